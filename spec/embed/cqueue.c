/*
** cqueue.c - queues from C where something is wrong: NULL, no runtime, another thread, the end of the
** state, callbacks that raise, memory that runs out.
**
**     cqueue TEST      prints what is wrong, and "fine" if nothing is
*/
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aqlua.h"
#include "memory.h"

static int problems;

#define CHECK_EQ(a, b)                                                                             \
  do {                                                                                             \
    long long x_ = (long long)(a), y_ = (long long)(b);                                            \
    if (x_ != y_) {                                                                                \
      printf("%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, x_, y_);                     \
      problems++;                                                                                  \
    }                                                                                              \
  } while (0)

/* ---- payloads that are counted ----------------------------------------------------------------- */

static long alive;

static void destroy(void *p) {
  alive--;
  free(p);
}

static const struct aq_payload_kind CRATE = {"crate", destroy};

static struct aq_value integer(int64_t n) {
  return (struct aq_value){.kind = AQ_V_INTEGER, .as.integer = n};
}

static struct aq_value bytes(const char *text) {
  return (struct aq_value){.kind = AQ_V_BYTES, .as.bytes = {text, strlen(text)}};
}

static struct aq_value crate(void) {
  alive++;
  return (struct aq_value){.kind = AQ_V_PAYLOAD, .as.payload = {malloc(1), &CRATE}};
}

/* ---- states ------------------------------------------------------------------------------------ */

static char reported[512];

static void report(void *ud, const char *text) {
  (void)ud;
  snprintf(reported, sizeof reported, "%s", text);
}

static lua_State *open_state(void) {
  memory.live = memory.requests = memory.failed = 0;
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 1);
  lua_setglobal(L, "aq");
  lua_settop(L, 0);
  aq_set_report(L, report, NULL);
  reported[0] = '\0';
  return L;
}

static void close_state(lua_State *L) {
  lua_close(L);
  CHECK_EQ(memory.live, 0);
}

/* Runs a chunk as the main task. */
static int run(lua_State *L, const char *chunk) {
  int status = luaL_loadstring(L, chunk);
  if (status == LUA_OK) status = aq_call(L, 0, 0);
  if (status != LUA_OK) {
    printf("%s\n", luaL_tolstring(L, -2, NULL));
    problems++;
  }
  lua_settop(L, 0);
  return status;
}

/* ---- waits that note how they ended ------------------------------------------------------------ */

static struct {
  int calls, status;
  enum aq_value_kind kind;
} last;

static void note(struct aq_cwait *w, int status, struct aq_value *v) {
  (void)w;
  last.calls++;
  last.status = status;
  last.kind = v->kind;
  aq_value_free(v);
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_null(void) {
  lua_State *L = open_state();
  struct aq_cqueue *q;
  struct aq_value v = integer(1);
  struct aq_cwait w = {.done = note}, mute = {.done = NULL};
  CHECK_EQ(aq_cqueue_new(NULL, &q, 1, NULL), AQ_INVALID);
  CHECK_EQ(q == NULL, 1);
  CHECK_EQ(aq_cqueue_new(L, NULL, 1, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_new(L, &q, SIZE_MAX, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_at(NULL, 1, &q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_at(L, 1, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_at(L, 1, &q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_new(L, &q, 1, "q"), AQ_OK);
  CHECK_EQ(aq_cqueue_push(L, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_push(NULL, q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_hold(NULL) == NULL, 1);
  aq_cqueue_drop(NULL);
  CHECK_EQ(aq_cqueue_put(NULL, &v), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put(q, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_get(NULL, &v), AQ_INVALID);
  CHECK_EQ(aq_cqueue_get(q, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_at(NULL, 1, q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_at(L, 1, NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_at(L, 1, q), AQ_INVALID); /* nothing is there */
  CHECK_EQ(aq_cqueue_put_wait(NULL, &w, &v, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_wait(q, NULL, &v, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_wait(q, &w, NULL, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_wait(q, &mute, &v, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_get_wait(NULL, &w, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_get_wait(q, NULL, 0), AQ_INVALID);
  CHECK_EQ(aq_cqueue_get_wait(q, &mute, 0), AQ_INVALID);
  CHECK_EQ(aq_cwait_cancel(NULL), AQ_INVALID);
  CHECK_EQ(aq_cwait_cancel(&w), AQ_INVALID);
  CHECK_EQ(aq_cqueue_done(NULL), AQ_INVALID);
  CHECK_EQ(aq_cqueue_shutdown(NULL, 1), AQ_INVALID);
  CHECK_EQ(aq_cqueue_size(NULL) + aq_cqueue_maxsize(NULL), 0);
  CHECK_EQ(aq_cqueue_is_full(NULL), 0);
  CHECK_EQ(aq_cqueue_is_empty(NULL) && aq_cqueue_is_shutdown(NULL), 1);
  aq_value_free(NULL);
  CHECK_EQ(aq_value_push(L, NULL), AQ_INVALID);
  CHECK_EQ(aq_value_push(NULL, &v), AQ_INVALID);
  CHECK_EQ(lua_gettop(L), 0);
  CHECK_EQ(last.calls, 0);
  aq_cqueue_drop(q);
  close_state(L);
}

static void test_values(void) {
  lua_State *L = open_state(), *other = luaL_newstate();
  struct aq_cqueue *q;
  struct aq_value bad[] = {{.kind = (enum aq_value_kind)77},
                           {.kind = AQ_V_BYTES, .as.bytes = {NULL, 1}},
                           {.kind = AQ_V_PAYLOAD},
                           {.kind = AQ_V_LUA}};
  struct aq_cwait w = {.done = note};
  CHECK_EQ(aq_cqueue_new(L, &q, 0, NULL), AQ_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_EQ(aq_cqueue_put(q, &bad[i]), AQ_INVALID);
    CHECK_EQ(aq_cqueue_put_wait(q, &w, &bad[i], 0), AQ_INVALID);
    CHECK_EQ(aq_value_push(L, &bad[i]), AQ_INVALID);
  }
  /* From one state to another. */
  struct aq_value v = bytes("text");
  CHECK_EQ(aq_value_push(other, &v), AQ_CLOSED); /* has no runtime */
  luaL_openlibs(other);
  luaL_requiref(other, "aqlua", luaopen_aqlua, 1);
  CHECK_EQ(aq_cqueue_push(other, q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put_at(other, -1, q), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put(q, &v), AQ_OK);
  CHECK_EQ(aq_cqueue_get(q, &v), AQ_OK);
  CHECK_EQ(aq_value_push(other, &v), AQ_OK);
  CHECK_EQ(strcmp(lua_tostring(other, -1), "text"), 0);
  v = crate();
  CHECK_EQ(aq_value_push(other, &v), AQ_OK);
  CHECK_EQ(v.kind, AQ_V_NIL);
  lua_newtable(L);
  CHECK_EQ(aq_cqueue_put_at(L, -1, q), AQ_OK);
  CHECK_EQ(aq_cqueue_get(q, &v), AQ_OK);
  CHECK_EQ(v.kind, AQ_V_LUA);
  CHECK_EQ(aq_value_push(other, &v), AQ_INVALID);
  CHECK_EQ(aq_value_push(L, &v), AQ_OK);
  lua_close(other);
  CHECK_EQ(alive, 0);
  aq_cqueue_drop(q);
  close_state(L);
}

/* The end comes with everything in flight; what C has still can be used and dropped. */
static void test_close(void) {
  lua_State *L = open_state();
  struct aq_cqueue *q, *full, *copy;
  struct aq_cwait gets[2] = {{.done = note}, {.done = note}}, puts[3];
  struct aq_value v, kept, text;
  memset(puts, 0, sizeof puts);
  last.calls = 0;
  CHECK_EQ(aq_cqueue_new(L, &q, 0, NULL), AQ_OK);
  CHECK_EQ(aq_cqueue_new(L, &full, 1, NULL), AQ_OK);
  copy = aq_cqueue_hold(full);
  lua_newtable(L);
  aq_cqueue_put_at(L, -1, q);
  aq_cqueue_get(q, &kept);
  v = bytes("text");
  aq_cqueue_put(q, &v);
  aq_cqueue_get(q, &text);
  CHECK_EQ(aq_cqueue_get_wait(q, &gets[0], AQ_FOREVER), AQ_OK);
  CHECK_EQ(aq_cqueue_get_wait(q, &gets[1], 1000000000), AQ_OK);
  for (int i = 0; i < 3; i++) { /* one is stored, one waits, one with a deadline */
    puts[i].done = note;
    v = crate();
    CHECK_EQ(aq_cqueue_put_wait(full, &puts[i], &v, i < 2 ? AQ_FOREVER : 1000000000), AQ_OK);
  }
  v = integer(1);
  aq_cqueue_put(q, &v); /* one has a ticket */
  aq_cqueue_drop(full);
  CHECK_EQ(alive, 3);
  close_state(L);
  CHECK_EQ(alive, 0);
  CHECK_EQ(last.calls, 0);
  v = integer(1);
  CHECK_EQ(aq_cwait_cancel(&gets[0]), AQ_INVALID);
  CHECK_EQ(aq_cwait_cancel(&puts[2]), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put(q, &v), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_get(q, &v), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_put_wait(copy, &puts[0], &v, 0), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_get_wait(copy, &gets[0], 0), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_done(q), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_shutdown(q, 0), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_shutdown(q, 1), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_size(q) + aq_cqueue_maxsize(q), 0);
  CHECK_EQ(aq_cqueue_is_full(q), 0);
  CHECK_EQ(aq_cqueue_is_empty(q) && aq_cqueue_is_shutdown(q), 1);
  L = open_state();
  struct aq_cqueue *next;
  CHECK_EQ(aq_cqueue_new(L, &next, 0, NULL), AQ_OK);
  CHECK_EQ(aq_cqueue_push(L, q), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_put_at(L, 1, q), AQ_CLOSED);
  CHECK_EQ(aq_value_push(L, &kept), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put(next, &kept), AQ_INVALID);
  CHECK_EQ(aq_cqueue_put(next, &text), AQ_INVALID); /* its bytes are gone */
  close_state(L);
  aq_value_free(&kept);
  aq_value_free(&text);
  aq_cqueue_drop(next);
  aq_cqueue_drop(q);
  aq_cqueue_drop(copy);
}

/* A finalizer that runs while the state is being closed: its queue is finalized before it. */
static struct {
  struct aq_cqueue *q;
  struct aq_cwait get, put;
  int runs;
} late;

static int finalize(lua_State *L) {
  struct aq_value v = integer(1);
  (void)L;
  CHECK_EQ(aq_cqueue_put(late.q, &v), AQ_CLOSED);
  CHECK_EQ(aq_cqueue_get_wait(late.q, &late.get, 0), AQ_CLOSED);
  CHECK_EQ(aq_cwait_cancel(&late.put), AQ_OK);
  memset(&late.put, 0xff, sizeof late.put);
  late.runs++;
  return 0;
}

static void test_finalizer(void) {
  lua_State *L = open_state();
  struct aq_value v = integer(1);
  late.get.done = late.put.done = note;
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, finalize);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setglobal(L, "late");
  CHECK_EQ(aq_cqueue_new(L, &late.q, 1, NULL), AQ_OK);
  CHECK_EQ(aq_cqueue_put(late.q, &v), AQ_OK);
  v = crate();
  CHECK_EQ(aq_cqueue_put_wait(late.q, &late.put, &v, AQ_FOREVER), AQ_OK);
  close_state(L);
  CHECK_EQ(late.runs, 1);
  CHECK_EQ(alive, 0);
  aq_cqueue_drop(late.q);
}

static void *on_thread(void *arg) {
  struct aq_cqueue *q = arg;
  struct aq_value v = integer(1);
  struct aq_cwait w = {.done = note};
  CHECK_EQ(aq_cqueue_put(q, &v), AQ_WRONG_THREAD);
  CHECK_EQ(aq_cqueue_get(q, &v), AQ_WRONG_THREAD);
  CHECK_EQ(aq_cqueue_get_wait(q, &w, 0), AQ_WRONG_THREAD);
  CHECK_EQ(aq_cqueue_put_wait(q, &w, &v, 0), AQ_WRONG_THREAD);
  CHECK_EQ(aq_cqueue_done(q), AQ_WRONG_THREAD);
  CHECK_EQ(aq_cqueue_shutdown(q, 1), AQ_WRONG_THREAD);
  return NULL;
}

static void test_thread(void) {
  lua_State *L = open_state();
  struct aq_cqueue *q;
  pthread_t thread;
  CHECK_EQ(aq_cqueue_new(L, &q, 0, NULL), AQ_OK);
  pthread_create(&thread, NULL, on_thread, q);
  pthread_join(thread, NULL);
  aq_cqueue_drop(q);
  close_state(L);
}

static void raise_error(struct aq_cwait *w, int status, struct aq_value *v) {
  (void)status;
  aq_value_free(v);
  lua_State *L = w->ud;
  free(w);
  luaL_error(L, "broken");
}

/* The error of a callback is reported; the struct may be freed in it. */
static void test_callback(void) {
  lua_State *L = open_state();
  struct aq_cqueue *q;
  struct aq_cwait *w = calloc(1, sizeof *w);
  struct aq_value v = integer(1);
  CHECK_EQ(aq_cqueue_new(L, &q, 0, NULL), AQ_OK);
  w->done = raise_error;
  w->ud = L;
  CHECK_EQ(aq_cqueue_get_wait(q, w, AQ_FOREVER), AQ_OK);
  CHECK_EQ(aq_cqueue_put(q, &v), AQ_OK);
  run(L, "aq.sleep(0)");
  CHECK_EQ(strcmp(reported, "aqlua: error in a callback of a queue: broken\n"), 0);
  CHECK_EQ(aq_unhandled(L), 1);
  aq_cqueue_drop(q);
  close_state(L);
}

/* ---- memory that runs out ---------------------------------------------------------------------- */

enum { WAITS = 4 };

static struct {
  struct aq_cqueue *q, *sorted;
  struct aq_cwait gets[WAITS], puts[WAITS], sorted_puts[WAITS];
  long put, got;
} scene;

static void on_get(struct aq_cwait *w, int status, struct aq_value *v) {
  (void)w;
  if (status == AQ_OK) scene.got++;
  aq_value_free(v);
}

static void on_put(struct aq_cwait *w, int status, struct aq_value *v) {
  (void)w;
  if (status == AQ_OK) scene.put++;
  aq_value_free(v);
}

/* A put that fails is without effect. */
static void put_now(struct aq_cqueue *q, struct aq_value v) {
  enum aq_value_kind kind = v.kind;
  int status = aq_cqueue_put(q, &v);
  if (status == AQ_OK)
    scene.put++;
  else
    CHECK_EQ(status == AQ_NOMEM || status == AQ_FULL, 1);
  CHECK_EQ(v.kind, status == AQ_OK ? AQ_V_NIL : kind);
  aq_value_free(&v);
}

static void take_all(struct aq_cqueue *q) {
  struct aq_value v;
  while (aq_cqueue_get(q, &v) == AQ_OK) {
    scene.got++;
    aq_value_free(&v);
  }
}

/* In the main task. */
static int act(lua_State *L) {
  (void)L;
  for (int i = 0; i < WAITS; i++) {
    struct aq_value v = bytes("some text");
    scene.gets[i] = (struct aq_cwait){.done = on_get};
    scene.puts[i] = scene.sorted_puts[i] = (struct aq_cwait){.done = on_put};
    aq_cqueue_get_wait(scene.q, &scene.gets[i], i % 2 ? AQ_FOREVER : 1000000);
    put_now(scene.q, i % 2 ? bytes("other") : crate());
    put_now(scene.sorted, integer(-i));
    aq_cqueue_put_wait(scene.sorted, &scene.sorted_puts[i], &v, 1000000); /* of another kind */
    aq_value_free(&v);
    v = i % 2 ? crate() : integer(-i);
    aq_cqueue_put_wait(i % 2 ? scene.q : scene.sorted, &scene.puts[i], &v, AQ_FOREVER);
    aq_value_free(&v);
    if (i % 2) continue;
    aq_cqueue_get(scene.sorted, &v);
    if (v.kind != AQ_V_NIL) scene.got++;
    aq_value_free(&v);
  }
  return 0;
}

static void starve_once(void) {
  lua_State *L = open_state();
  memset(&scene, 0, sizeof scene);
  aq_cqueue_new(L, &scene.q, 6, NULL);
  lua_getglobal(L, "aq");
  lua_getfield(L, -1, "PriorityQueue");
  lua_pushinteger(L, 2);
  lua_call(L, 1, 1);
  aq_cqueue_at(L, -1, &scene.sorted);
  lua_pushcfunction(L, act);
  lua_setglobal(L, "act");
  lua_settop(L, 0);
  luaL_loadstring(L, "act() aq.sleep(0.005)");
  memory.counts = true;
  int status = aq_call(L, 0, 0);
  memory.counts = false;
  CHECK_EQ(status == LUA_OK || memory.failed > 0, 1);
  lua_settop(L, 0);
  /* What is ready is told; whoever waits still is let go. Then what was put has been got. */
  run(L, "aq.sleep(0.01)");
  for (int i = 0; i < WAITS; i++) {
    aq_cwait_cancel(&scene.gets[i]);
    aq_cwait_cancel(&scene.puts[i]);
    aq_cwait_cancel(&scene.sorted_puts[i]);
  }
  take_all(scene.q);
  take_all(scene.sorted);
  CHECK_EQ(aq_cqueue_size(scene.q) + aq_cqueue_size(scene.sorted), 0);
  CHECK_EQ(scene.got, scene.put);
  aq_cqueue_drop(scene.q);
  aq_cqueue_drop(scene.sorted);
  close_state(L);
  CHECK_EQ(alive, 0);
}

static void test_starve(void) {
  for (memory.burst = 0; memory.burst <= 3 && problems == 0; memory.burst++) {
    memory.first = 0;
    do {
      memory.first++;
      starve_once();
    } while (memory.failed > 0 && problems == 0);
    CHECK_EQ(memory.first > 20, 1);
    CHECK_EQ(scene.put > 2 * WAITS, 1); /* the last run had all it asked for */
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } TESTS[] = {{"null", test_null},           {"values", test_values}, {"close", test_close},
               {"finalizer", test_finalizer}, {"thread", test_thread}, {"callback", test_callback},
               {"starve", test_starve}};
  bool found = false;
  for (size_t i = 0; argc == 2 && i < sizeof TESTS / sizeof *TESTS; i++) {
    if (strcmp(TESTS[i].name, argv[1]) != 0) continue;
    found = true;
    TESTS[i].run();
  }
  if (found && problems == 0) puts("fine");
  return found && problems == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
