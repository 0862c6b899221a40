// pkg-config: hiredis
// program: redis-server
/* Two tasks on one connection to Redis: the commands of hiredis' asynchronous API as operations. */
#include <aqlua.h>
#include <hiredis/adapters/libuv.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local function count()\n"
                             "  for _ = 1, 100 do redis('INCR', 'n') end\n"
                             "end\n"
                             "aq.gather(count, count)\n"
                             "print(redis('GET', 'n'), redis('GET', 'm'), redis('SET', 'm', 'x'))\n"
                             "print(select(2, pcall(redis, 'INCR', 'm')))\n";

/* ---- redis(...) ------------------------------------------------------------------------------ */

enum { MAX_WORDS = 16 };

static redisAsyncContext *connection;

static void release(struct aq_op *op) { free(op); }

/* A command cannot be taken back: whoever waits for its reply goes on waiting. */
static int abort_command(struct aq_op *op, int why) {
  (void)op;
  (void)why;
  return 0;
}

static const struct aq_op_kind COMMAND = {"redis", NULL, abort_command, release};

/* Protected: the reply, which hiredis frees when its callback returns, as a value of Lua. */
static int push_reply(lua_State *L) {
  const redisReply *reply = lua_touserdata(L, 1);
  if (reply == NULL) return luaL_error(L, "the connection is lost");
  switch (reply->type) {
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING: lua_pushlstring(L, reply->str, reply->len); return 1;
    case REDIS_REPLY_INTEGER: lua_pushinteger(L, reply->integer); return 1;
    case REDIS_REPLY_NIL: lua_pushnil(L); return 1;
    case REDIS_REPLY_ERROR: return luaL_error(L, "%s", reply->str);
    default: return luaL_error(L, "a reply of a kind unknown here");
  }
}

static void on_disconnect(const redisAsyncContext *c, int status) {
  (void)c;
  (void)status;
  connection = NULL; /* hiredis frees it */
}

static void on_reply(redisAsyncContext *c, void *reply, void *command) {
  (void)c;
  if (aq_op_complete_with(command, push_reply, reply) == 0) release(command); /* nobody waits */
}

static int replied(lua_State *L, int status, lua_KContext ctx) {
  release((struct aq_op *)ctx);
  return status == AQ_OK ? aq_op_results(L) : aq_raise(L, status);
}

/* redis(command, ...) returns the reply, or raises an error */
static int redis(lua_State *L) {
  const char *words[MAX_WORDS];
  size_t lengths[MAX_WORDS];
  int count = lua_gettop(L);
  luaL_argcheck(L, 0 < count && count <= MAX_WORDS, 1, "too many words, or none");
  for (int i = 0; i < count; i++) words[i] = luaL_checklstring(L, i + 1, &lengths[i]);

  struct aq_op op;
  aq_op_begin(L, &op, &COMMAND, AQ_FOREVER); /* may raise: there is nothing to release yet */
  struct aq_op *command = malloc(sizeof *command);
  if (command == NULL) return aq_raise(L, AQ_NOMEM);
  *command = op; /* from here on it stays where it is */
  if (connection == NULL ||
      redisAsyncCommandArgv(connection, on_reply, command, count, words, lengths) != REDIS_OK) {
    free(command);
    return luaL_error(L, "the connection is lost");
  }
  return aq_op_wait(L, command, (lua_KContext)command, replied);
}

/* ---- a server -------------------------------------------------------------------------------- */

static char folder[] = "/tmp/aqlua-redis-XXXXXX", path[sizeof folder + sizeof "/socket"];

static int is_up(void) {
  redisContext *c = redisConnectUnix(path);
  int ok = c != NULL && c->err == 0;
  if (c != NULL) redisFree(c);
  return ok;
}

/* Returns its process, once it can be connected to, or -1. */
static pid_t start_server(void) {
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/socket", folder);
  pid_t server = fork();
  if (server == 0) {
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir", folder,
           "--save", "", "--logfile", "/dev/null", (char *)NULL);
    _exit(127);
  }
  while (server > 0 && !is_up()) {
    if (waitpid(server, NULL, WNOHANG) != 0) return -1;
    usleep(10000);
  }
  return server;
}

static void stop_server(pid_t server) {
  kill(server, SIGTERM);
  waitpid(server, NULL, 0);
  unlink(path);
  rmdir(folder);
}

/* ---- the program ----------------------------------------------------------------------------- */

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "redis", redis);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  connection = redisAsyncConnectUnix(path);
  if (connection == NULL || connection->err != 0) return luaL_error(L, "cannot connect");
  redisAsyncSetDisconnectCallback(connection, on_disconnect);
  redisLibuvAttach(connection, aq_uv_loop(L));
  return 1;
}

static int run(lua_State *L) {
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 0;
  if (aq_call(L, 0, 0) != LUA_OK) printf("%s\n", luaL_tolstring(L, -2, NULL));
  if (connection != NULL) redisAsyncDisconnect(connection); /* before the loop ends */
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  pid_t server = start_server();
  if (L == NULL || server < 0) return 1;
  int ok = run(L);
  lua_close(L);
  stop_server(server);
  return !ok;
}
/* --> 200	nil	OK */
/* --> ERR value is not an integer or out of range */
