/* A TCP server of the program's, on its own loop, whose requests Lua tasks answer. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local requests, replies = ...\n"
                             "local function work()\n"
                             "  for connection in requests:items() do\n"
                             "    aq.sleep(0.01)\n"
                             "    answer(connection, question(connection):upper())\n"
                             "    replies:put(connection)\n"
                             "  end\n"
                             "end\n"
                             "aq.gather(work, work, work)\n";

/* ---- the server ------------------------------------------------------------------------------ */

/* One question, a line, and its answer. While Lua works on it, a payload. */
struct connection {
  uv_tcp_t tcp;
  uv_write_t write;
  char text[64]; /* the question, later the answer, with their newline */
  size_t length;
};

static struct aq_cqueue *requests, *replies;
static uv_tcp_t server;

static void on_connection_closed(uv_handle_t *tcp) { free(tcp->data); }

/* Also if Lua forgets it: then the collector calls this. */
static void close_connection(void *p) {
  uv_close((uv_handle_t *)&((struct connection *)p)->tcp, on_connection_closed);
}

static const struct aq_payload_kind CONNECTION = {"connection", close_connection};

static void on_alloc(uv_handle_t *tcp, size_t size, uv_buf_t *buf) {
  struct connection *c = tcp->data;
  (void)size;
  *buf = uv_buf_init(c->text + c->length, (unsigned)(sizeof c->text - c->length));
}

/* Once the line is complete, its connection goes to the workers. */
static void on_read(uv_stream_t *tcp, ssize_t count, const uv_buf_t *buf) {
  struct connection *c = tcp->data;
  (void)buf;
  if (count == 0) return;
  if (count > 0) c->length += (size_t)count;
  if (count > 0 && c->text[c->length - 1] != '\n') return;
  uv_read_stop(tcp);
  struct aq_value v = {.kind = AQ_V_PAYLOAD, .as.payload = {c, &CONNECTION}};
  if (count < 0 || aq_cqueue_put(requests, &v) != AQ_OK) aq_value_free(&v); /* closes it */
}

static void on_connect(uv_stream_t *stream, int status) {
  struct connection *c = status == 0 ? calloc(1, sizeof *c) : NULL;
  if (c == NULL) return;
  uv_tcp_init(stream->loop, &c->tcp);
  c->tcp.data = c;
  uv_accept(stream, (uv_stream_t *)&c->tcp);
  uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void on_written(uv_write_t *write, int status) {
  (void)status;
  close_connection(write->handle->data);
}

/* A worker has answered: sends it, and waits for the next with the same struct. */
static void on_reply(struct aq_cwait *w, int status, struct aq_value *v) {
  if (status != AQ_OK) return;
  struct connection *c = v->as.payload.data; /* taken: from here on it is ours again */
  uv_buf_t buf = uv_buf_init(c->text, (unsigned)c->length);
  uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written);
  aq_cqueue_get_wait(replies, w, AQ_FOREVER);
}

/* question(connection) */
static int question(lua_State *L) {
  struct connection *c = aq_check_payload(L, 1, &CONNECTION);
  lua_pushlstring(L, c->text, c->length);
  return 1;
}

/* answer(connection, text) */
static int answer(lua_State *L) {
  struct connection *c = aq_check_payload(L, 1, &CONNECTION);
  const char *text = luaL_checklstring(L, 2, &c->length);
  if (c->length > sizeof c->text) c->length = sizeof c->text;
  memcpy(c->text, text, c->length);
  return 0;
}

static int listen_locally(uv_loop_t *loop, struct sockaddr_in *address) {
  int size = sizeof *address;
  uv_ip4_addr("127.0.0.1", 0, address);
  uv_tcp_init(loop, &server);
  if (uv_tcp_bind(&server, (struct sockaddr *)address, 0) != 0) return 0;
  if (uv_listen((uv_stream_t *)&server, 8, on_connect) != 0) return 0;
  return uv_tcp_getsockname(&server, (struct sockaddr *)address, &size) == 0;
}

/* ---- its clients ----------------------------------------------------------------------------- */

struct client {
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_write_t write;
  const char *line;
  char answer[64];
};

static int clients = 0;

static void on_answer_alloc(uv_handle_t *tcp, size_t size, uv_buf_t *buf) {
  struct client *client = tcp->data;
  (void)size;
  *buf = uv_buf_init(client->answer, sizeof client->answer);
}

/* With the last client the server ends, and then the workers. */
static void on_answer(uv_stream_t *tcp, ssize_t count, const uv_buf_t *buf) {
  (void)buf;
  uv_close((uv_handle_t *)tcp, NULL);
  if (count < 0) ((struct client *)tcp->data)->answer[0] = '\0';
  if (--clients > 0) return;
  uv_close((uv_handle_t *)&server, NULL);
  aq_cqueue_shutdown(requests, 0);
}

static void on_connected(uv_connect_t *connect, int status) {
  struct client *client = connect->data;
  if (status != 0) return;
  uv_buf_t buf = uv_buf_init((char *)client->line, (unsigned)strlen(client->line));
  uv_write(&client->write, connect->handle, &buf, 1, NULL);
  uv_read_start(connect->handle, on_answer_alloc, on_answer);
}

static void ask(struct client *client, const char *line, const struct sockaddr_in *address,
                uv_loop_t *loop) {
  uv_tcp_init(loop, &client->tcp);
  client->tcp.data = client->connect.data = client;
  client->line = line;
  clients++;
  uv_tcp_connect(&client->connect, &client->tcp, (const struct sockaddr *)address, on_connected);
}

/* ---- the program ----------------------------------------------------------------------------- */

/* Leaves the script's function and its arguments. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "question", question);
  lua_register(L, "answer", answer);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  if (aq_cqueue_new(L, &requests, 0, "requests") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, requests) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_new(L, &replies, 0, "replies") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, replies) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  return 3;
}

/* All tasks have ended. Called inside uv_run. */
static void on_end(void *ud) {
  lua_State *L = ud;
  if (aq_outcome(L, 0) == LUA_OK)
    printf("the workers have ended\n");
  else
    printf("%s\n", luaL_tolstring(L, -2, NULL));
}

int main(void) {
  uv_loop_t loop;
  struct sockaddr_in address;
  struct client first = {0}, second = {0};
  struct aq_cwait reply = {.done = on_reply};
  lua_State *L = luaL_newstate();
  if (L == NULL || uv_loop_init(&loop) != 0) return 1;
  aq_use_loop(L, &loop);
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 3, 0) != LUA_OK) return 1;
  if (aq_start(L, 2) != AQ_OK || aq_attach(L, on_end, L) != AQ_OK) return 1;
  if (aq_cqueue_get_wait(replies, &reply, AQ_FOREVER) != AQ_OK) return 1;

  if (!listen_locally(&loop, &address)) return 1;
  ask(&first, "hello\n", &address, &loop);
  ask(&second, "goodbye\n", &address, &loop);
  uv_run(&loop, UV_RUN_DEFAULT);
  printf("%s%s", first.answer, second.answer);

  aq_cqueue_drop(requests);
  aq_cqueue_drop(replies);
  lua_close(L);
  uv_run(&loop, UV_RUN_DEFAULT); /* lets all handles finish closing */
  return uv_loop_close(&loop) != 0;
}
/* --> the workers have ended */
/* --> HELLO */
/* --> GOODBYE */
