/*
** ctask.c - tasks from C: each call with what it must not be given, the ends of a task, and memory that
** runs out at each request in turn.
**
**     ctask STRIDE      prints what went wrong; memory fails at each STRIDEth request only
**
** Linked with --wrap=malloc, so that the library's own requests can fail too.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "aqlua.h"
#include "memory.h"

static int checks, failures;

#define CHECK(what)                                                                                \
  do {                                                                                             \
    checks++;                                                                                      \
    if (!(what)) failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #what);                     \
  } while (0)

/* ---- memory ---------------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size) { return is_refused() ? NULL : __real_malloc(size); }

/* ---- a state --------------------------------------------------------------------------------- */

static char reported[1000];

static void report(void *ud, const char *text) {
  (void)ud;
  snprintf(reported, sizeof reported, "%s", text);
}

static lua_State *open_state(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_setglobal(L, "aq");
  aq_set_report(L, report, NULL);
  reported[0] = 0;
  return L;
}

/* Runs a chunk as the main task. */
static int run(lua_State *L, const char *chunk) {
  if (luaL_loadstring(L, chunk) != LUA_OK) return -1;
  int status = aq_call(L, 0, 0);
  if (status != LUA_OK && memory.failed == 0) printf("%s\n", lua_tostring(L, -2));
  return status;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

struct end {
  int count, status, nvalues;
  char text[100];          /* of the first value */
  struct aq_ctask *drop;   /* dropped inside, if any */
  const char *raise;       /* raised inside, if any */
};

static void on_end(lua_State *L, int status, void *ud) {
  struct end *end = ud;
  end->count++;
  end->status = status;
  if (L != NULL) {
    end->nvalues = lua_gettop(L);
    if (end->nvalues > 0) snprintf(end->text, sizeof end->text, "%s", luaL_tolstring(L, 1, NULL));
  }
  if (end->drop != NULL) {
    CHECK(aq_ctask_is_done(end->drop));
    CHECK(aq_ctask_cancel(end->drop, NULL) == (L != NULL ? AQ_INVALID : AQ_CLOSED));
    aq_ctask_drop(end->drop);
    end->drop = NULL;
  }
  if (end->raise != NULL) luaL_error(L, "%s", end->raise);
}

static int spawn(lua_State *L, const char *chunk, struct aq_ctask **t, struct end *end) {
  luaL_loadstring(L, chunk);
  return aq_spawn(L, 0, t, end != NULL ? on_end : NULL, end);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_ends(void) {
  lua_State *L = open_state();
  struct end a = {0}, b = {0}, c = {0}, d = {0};
  struct aq_ctask *t;
  luaL_loadstring(L, "aq.sleep(0.001) return ...");
  lua_pushliteral(L, "one");
  lua_pushinteger(L, 2);
  CHECK(aq_spawn(L, 2, NULL, on_end, &a) == AQ_OK);
  CHECK(lua_gettop(L) == 0);
  CHECK(spawn(L, "error('broken', 0)", NULL, &b) == AQ_OK);
  CHECK(spawn(L, "aq.sleep(100)", &t, &c) == AQ_OK);
  CHECK(spawn(L, "", NULL, &d) == AQ_OK);
  CHECK(aq_ctask_set_name(t, "sleeper") == AQ_OK);
  CHECK(aq_ctask_push(L, t) == AQ_OK);
  lua_setglobal(L, "task");
  CHECK(aq_ctask_cancel(t, "enough") == AQ_OK);
  CHECK(!aq_ctask_is_done(t));
  CHECK(a.count == 0);
  CHECK(run(L, "assert(task:get_name() == 'sleeper') aq.sleep(0.01)") == LUA_OK);
  CHECK(a.count == 1 && a.status == AQ_OK && a.nvalues == 2 && strcmp(a.text, "one") == 0);
  CHECK(b.count == 1 && b.status == AQ_ERROR && b.nvalues == 1 && strcmp(b.text, "broken") == 0);
  CHECK(c.count == 1 && c.status == AQ_CANCELLED);
  CHECK(strcmp(c.text, "CancelledError: enough") == 0);
  CHECK(d.count == 1 && d.status == AQ_OK && d.nvalues == 0);
  CHECK(aq_ctask_is_done(t));
  CHECK(aq_ctask_cancel(t, NULL) == AQ_INVALID);
  CHECK(aq_ctask_push(L, t) == AQ_OK); /* it is there for as long as there is a handle */
  CHECK(strcmp(luaL_tolstring(L, -1, NULL), "Task 'sleeper' (cancelled)") == 0);
  CHECK(aq_unhandled(L) == 0);
  aq_ctask_drop(t);
  lua_close(L);
}

/* A handle on a task that has ended is no work to do. */
static void test_handle_is_no_work(void) {
  lua_State *L = open_state();
  struct aq_ctask *t, *u;
  struct end a = {0};
  CHECK(spawn(L, "return 1", &t, NULL) == AQ_OK);
  CHECK(spawn(L, "return 1", &u, &a) == AQ_OK);
  CHECK(aq_step(L, 0, 0) == AQ_STEP_RAN); /* the callback is to come */
  CHECK(aq_ctask_is_done(t) && a.count == 0);
  CHECK(aq_step(L, 0, 0) == AQ_STEP_DONE);
  CHECK(a.count == 1);
  aq_ctask_drop(u);
  CHECK(aq_step(L, 0, 0) == AQ_STEP_DONE);
  aq_ctask_drop(t);
  CHECK(aq_step(L, 0, 0) == AQ_STEP_DONE);
  lua_close(L);
}

/* A task that ends with the main task, or when that has ended. */
static void test_end_with_the_run(void) {
  lua_State *L = open_state();
  struct end a = {0}, b = {0};
  CHECK(spawn(L, "return 1", NULL, &a) == AQ_OK);
  CHECK(spawn(L, "aq.sleep(100)", NULL, &b) == AQ_OK);
  CHECK(run(L, "") == LUA_OK);
  CHECK(a.count == 1 && b.count == 1 && b.status == AQ_CANCELLED);
  CHECK(spawn(L, "aq.sleep(0)", NULL, &a) == AQ_OK);
  CHECK(run(L, "aq.sleep(0)") == LUA_OK); /* both end in one turn */
  CHECK(a.count == 2 && a.status == AQ_OK);
  lua_close(L);
}

static void test_many_results(void) {
  lua_State *L = open_state();
  struct end a = {0};
  CHECK(spawn(L, "return table.unpack({}, 1, 200000)", NULL, &a) == AQ_OK);
  CHECK(run(L, "aq.sleep(0.01)") == LUA_OK);
  CHECK(a.count == 1 && a.status == AQ_OK && a.nvalues == 200000);
  a.count = 0;
  lua_checkstack(L, 900000);
  lua_settop(L, 900000);
  CHECK(spawn(L, "return table.unpack({}, 1, 200000)", NULL, &a) == AQ_OK);
  CHECK(run(L, "aq.sleep(0.01)") == LUA_OK);
  CHECK(a.count == 1 && a.status == AQ_NOMEM && a.nvalues == 0);
  lua_close(L);
}

static void test_unhandled(void) {
  lua_State *L = open_state();
  struct aq_ctask *t;
  CHECK(spawn(L, "error('lost', 0)", NULL, NULL) == AQ_OK);
  CHECK(run(L, "aq.sleep(0.01) collectgarbage() aq.sleep(0)") == LUA_OK);
  CHECK(aq_unhandled(L) == 1 && strstr(reported, "lost") != NULL);
  CHECK(spawn(L, "error('kept', 0)", &t, NULL) == AQ_OK);
  CHECK(run(L, "aq.sleep(0.01) collectgarbage() aq.sleep(0)") == LUA_OK);
  CHECK(aq_unhandled(L) == 2 && strstr(reported, "kept") != NULL);
  aq_ctask_drop(t);
  lua_close(L);
}

static void test_error_in_callback(void) {
  lua_State *L = open_state();
  struct end a = {.raise = "in the callback"}, b = {0};
  CHECK(spawn(L, "return 1", &a.drop, &a) == AQ_OK);
  CHECK(spawn(L, "return 1", NULL, &b) == AQ_OK);
  CHECK(run(L, "aq.sleep(0.01)") == LUA_OK);
  CHECK(a.count == 1 && b.count == 1 && a.drop == NULL);
  CHECK(aq_unhandled(L) == 1 && strstr(reported, "in the callback") != NULL);
  lua_close(L);
}

static void test_refusals(void) {
  lua_State *L = open_state();
  struct aq_ctask *t = (void *)&checks;
  struct end a = {0};
  CHECK(aq_spawn(NULL, 0, &t, NULL, NULL) == AQ_INVALID && t == NULL);
  CHECK(aq_spawn(L, 0, &t, NULL, NULL) == AQ_INVALID); /* nothing is on the stack */
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 2);
  CHECK(aq_spawn(L, -1, &t, NULL, NULL) == AQ_INVALID);
  CHECK(aq_spawn(L, 1, &t, on_end, &a) == AQ_INVALID && t == NULL);
  CHECK(lua_gettop(L) == 0);
  CHECK(aq_ctask_cancel(NULL, "x") == AQ_INVALID);
  CHECK(aq_ctask_set_name(NULL, "x") == AQ_INVALID);
  CHECK(aq_ctask_push(L, NULL) == AQ_INVALID);
  CHECK(aq_ctask_is_done(NULL));
  CHECK(aq_ctask_hold(NULL) == NULL);
  aq_ctask_drop(NULL);
  CHECK(spawn(L, "", &t, NULL) == AQ_OK);
  CHECK(aq_ctask_set_name(t, NULL) == AQ_INVALID);
  CHECK(aq_ctask_push(NULL, t) == AQ_INVALID);
  lua_State *other = open_state(), *bare = luaL_newstate();
  CHECK(aq_ctask_push(other, t) == AQ_INVALID);
  CHECK(aq_ctask_push(bare, t) == AQ_CLOSED);
  lua_pushcfunction(bare, luaopen_aqlua);
  CHECK(aq_spawn(bare, 0, NULL, NULL, NULL) == AQ_CLOSED && lua_gettop(bare) == 0);
  lua_close(other);
  lua_close(bare);
  aq_ctask_drop(t);
  lua_close(L);
  CHECK(a.count == 0);
}

struct thread {
  lua_State *L;
  struct aq_ctask *t;
};

static int in_other_thread(void *arg) {
  struct thread *at = arg;
  CHECK(aq_spawn(at->L, 0, NULL, NULL, NULL) == AQ_WRONG_THREAD);
  CHECK(aq_ctask_cancel(at->t, NULL) == AQ_WRONG_THREAD);
  CHECK(aq_ctask_set_name(at->t, "x") == AQ_WRONG_THREAD);
  CHECK(aq_ctask_push(at->L, at->t) == AQ_WRONG_THREAD);
  return 0;
}

static void test_wrong_thread(void) {
  struct thread at = {open_state(), NULL};
  thrd_t thread;
  spawn(at.L, "", &at.t, NULL);
  lua_pushcfunction(at.L, luaopen_aqlua);
  CHECK(thrd_create(&thread, in_other_thread, &at) == thrd_success);
  thrd_join(thread, NULL);
  CHECK(lua_gettop(at.L) == 1);
  aq_ctask_drop(at.t);
  lua_close(at.L);
}

static void test_close_under_way(void) {
  lua_State *L = open_state();
  struct aq_ctask *a, *b, *c;
  struct end waits = {0}, ready = {0}, done = {0};
  CHECK(spawn(L, "aq.sleep(100)", &a, &waits) == AQ_OK);
  CHECK(spawn(L, "return 1", &b, NULL) == AQ_OK);
  CHECK(run(L, "stop = aq.create_task(aq.sleep, 0) aq.sleep(0)") == LUA_OK);
  CHECK(waits.status == AQ_CANCELLED);
  CHECK(spawn(L, "aq.sleep(100)", &ready.drop, &ready) == AQ_OK);
  CHECK(spawn(L, "return 1", NULL, &done) == AQ_OK);
  CHECK(spawn(L, "return 1", &c, NULL) == AQ_OK);
  CHECK(aq_ctask_hold(c) == c);
  aq_ctask_drop(c);
  lua_close(L);
  CHECK(ready.count == 1 && ready.status == AQ_CLOSED && ready.drop == NULL);
  CHECK(done.count == 1 && done.status == AQ_CLOSED);
  CHECK(aq_ctask_cancel(c, "x") == AQ_CLOSED);
  CHECK(aq_ctask_set_name(c, "x") == AQ_CLOSED);
  CHECK(aq_ctask_push(NULL, c) == AQ_CLOSED);
  CHECK(aq_ctask_is_done(c));
  aq_ctask_drop(a);
  aq_ctask_drop(b);
  aq_ctask_drop(c);
}

/* A callback at the state's end that spawns, against the rules. */
static void spawn_at_end(lua_State *L, int status, void *ud) {
  lua_State **state = ud;
  if (*state == NULL || status != AQ_CLOSED) return;
  L = *state;
  *state = NULL;
  lua_pushcfunction(L, luaopen_aqlua);
  CHECK(aq_spawn(L, 0, NULL, spawn_at_end, ud) == AQ_OK);
}

static void test_spawn_while_closing(void) {
  lua_State *L = open_state(), *state = L;
  lua_pushcfunction(L, luaopen_aqlua);
  CHECK(aq_spawn(L, 0, NULL, spawn_at_end, &state) == AQ_OK);
  lua_close(L);
  CHECK(state == NULL);
}

/* From inside a task: the state that drives is not the one that runs. */
static struct aq_ctask *inner;

static int spawn_inside(lua_State *L) {
  CHECK(spawn(L, "aq.sleep(100)", &inner, NULL) == AQ_OK);
  CHECK(aq_ctask_set_name(inner, "inner") == AQ_OK);
  CHECK(aq_ctask_cancel(inner, "from inside") == AQ_OK);
  CHECK(aq_ctask_push(L, inner) == AQ_OK);
  aq_ctask_drop(inner);
  return 1;
}

static void test_inside_a_task(void) {
  lua_State *L = open_state();
  lua_register(L, "spawn_inside", spawn_inside);
  CHECK(run(L, "local t = coroutine.wrap(spawn_inside)()\n"
               "local ok, err = pcall(t.await, t)\n"
               "assert(not ok and err.message == 'from inside' and t:get_name() == 'inner')") ==
        LUA_OK);
  lua_close(L);
}

/* ---- memory that runs out ------------------------------------------------------------------- */

enum { TASKS = 6 };

static void starve_once(long first, long burst) {
  static const char *const CHUNKS[TASKS] = {"return 'x', {}",  "error({})", "aq.sleep(100)",
                                            "aq.sleep(0)", "return 1",  "error('x')"};
  struct end ends[TASKS] = {0};
  struct aq_ctask *tasks[TASKS] = {0};
  bool made[TASKS];
  lua_State *L = open_state();
  if (luaL_dostring(L, "clock = require('aqlua.testing').clock()")) return;
  lua_settop(L, 0);
  for (int i = 0; i < TASKS; i++) luaL_loadstring(L, CHUNKS[i]);
  starve(first, burst);
  for (int i = TASKS - 1; i >= 0; i--) {
    int status = aq_spawn(L, 0, i % 2 ? &tasks[i] : NULL, on_end, &ends[i]);
    made[i] = status == AQ_OK;
    CHECK(made[i] || (status == AQ_NOMEM && tasks[i] == NULL));
    CHECK(lua_gettop(L) == i);
  }
  if (tasks[3] != NULL) {
    int status = aq_ctask_cancel(tasks[3], "a message");
    CHECK(status == AQ_OK || status == AQ_NOMEM);
    status = aq_ctask_set_name(tasks[3], "name");
    CHECK(status == AQ_OK || status == AQ_NOMEM);
    aq_ctask_drop(tasks[3]);
  }
  run(L, "aq.sleep(0) aq.sleep(0) aq.sleep(0)");
  CHECK(tasks[3] == NULL || ends[3].count == 0 || ends[3].status != AQ_OK);
  memory.counts = false;
  aq_ctask_drop(tasks[1]);
  lua_close(L);
  aq_ctask_drop(tasks[5]);
  for (int i = 0; i < TASKS; i++) CHECK(ends[i].count == made[i]);
}

static void test_starving(long stride) {
  for (long burst = 1; burst <= 1000; burst *= 10) {
    long first = 1;
    do starve_once(first += stride, burst);
    while (memory.failed > 0);
    CHECK(first > 100);
  }
}

int main(int argc, char **argv) {
  test_ends();
  test_handle_is_no_work();
  test_end_with_the_run();
  test_many_results();
  test_unhandled();
  test_error_in_callback();
  test_refusals();
  test_wrong_thread();
  test_close_under_way();
  test_spawn_while_closing();
  test_inside_a_task();
  test_starving(argc > 1 ? strtol(argv[1], NULL, 10) : 1);
  if (failures == 0) printf("all is well\n");
  return failures > 0;
}
