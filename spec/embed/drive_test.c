/*
** drive_test.c - runs that a host drives, step by step or by its own uv_run.
*/
#include <pthread.h>

#include "host.h"

/* ---- steps ----------------------------------------------------------------------------------- */

TEST(a_run_is_started_stepped_and_its_outcome_fetched_once) {
  lua_State *L = open_state(NULL);
  start(L, "for i = 1, 3 do aq.sleep(0) end return 'result'");
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_RAN);
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  CHECK_EQ(aq_step(L, AQ_FOREVER, 0), AQ_STEP_DONE);
  check_outcome(L, LUA_OK, "result");
  check_outcome(L, LUA_ERRRUN, "no run is over");
  start(L, "error('again', 0)");
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  check_outcome(L, LUA_ERRRUN, "again");
  lua_close(L);
}

TEST(arguments_and_all_results) {
  lua_State *L = open_state(NULL);
  luaL_loadstring(L, "return select('#', ...), ...");
  lua_pushinteger(L, 7);
  lua_pushnil(L);
  CHECK_EQ(aq_start(L, 2), AQ_OK);
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  CHECK_EQ(aq_outcome(L, LUA_MULTRET), LUA_OK);
  CHECK_EQ(lua_gettop(L), 3);
  CHECK_EQ(lua_tointeger(L, 2), 7);
  lua_close(L);
}

TEST(a_host_fills_a_queue_between_steps) {
  lua_State *L = open_state(NULL);
  run_text(L, "q = aq.Queue()");
  start(L, "return q:get() .. q:get()");
  CHECK_EQ(run(L, 0), AQ_STEP_STUCK);
  run_text(L, "q:put_nowait('a')");
  CHECK_EQ(aq_next_ns(L), 0);
  CHECK_EQ(run(L, 0), AQ_STEP_STUCK);
  CHECK_EQ(aq_next_ns(L), AQ_FOREVER);
  run_text(L, "q:put_nowait('b')");
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  check_outcome(L, LUA_OK, "ab");
  lua_close(L);
}

TEST(only_the_host_breaks_a_deadlock) {
  lua_State *L = open_state(NULL);
  CHECK_EQ(aq_break_deadlock(L), AQ_INVALID);
  start(L, "local ok, err = pcall(aq.Event().wait, aq.Event()) aq.Event():wait()");
  CHECK_EQ(aq_break_deadlock(L), AQ_INVALID); /* it is ready */
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_STUCK);
  CHECK_EQ(aq_break_deadlock(L), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_STUCK);
  CHECK_EQ(aq_break_deadlock(L), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  check_outcome(L, LUA_ERRRUN, "DeadlockError");
  lua_close(L);
}

TEST(a_step_blocks_until_a_deadline_and_no_longer_than_it_is_let) {
  lua_State *L = open_state(NULL);
  start(L, "aq.sleep(0.02) return 'slept'");
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_RAN);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_IDLE);
  uint64_t next_ns = aq_next_ns(L), began_ns = uv_hrtime();
  CHECK(next_ns > 0 && next_ns <= 20 * MS);
  CHECK_EQ(aq_step(L, MS, 0), AQ_STEP_IDLE);
  CHECK(uv_hrtime() - began_ns >= MS);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK(uv_hrtime() - began_ns >= next_ns - MS);
  check_outcome(L, LUA_OK, "slept");
  lua_close(L);
}

TEST(without_a_budget_a_step_is_one_turn_and_with_one_many) {
  lua_State *L = open_state(NULL);
  start(L, "n = 0 while n < 100 do n = n + 1 aq.sleep(0) end");
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_RAN);
    lua_getglobal(L, "n");
    CHECK_EQ(lua_tointeger(L, -1), i);
    lua_pop(L, 1);
  }
  CHECK_EQ(aq_step(L, 0, 10000u * (uint64_t)MS), AQ_STEP_DONE);
  check_outcome(L, LUA_OK, "nil");
  lua_close(L);
}

TEST(the_end_of_the_other_tasks_is_part_of_the_run) {
  lua_State *L = open_state(NULL);
  start(L, "aq.create_task(function() local ok = pcall(aq.sleep, 100) aq.sleep(0) end)\n"
           "local t = aq.create_task(function() pcall(aq.sleep, 100) aq.shield(aq.sleep, 0.01) "
           "cleaned = true end) aq.sleep(0)");
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  lua_getglobal(L, "cleaned");
  CHECK(lua_toboolean(L, -1));
  lua_pop(L, 1);
  check_outcome(L, LUA_OK, "nil");
  lua_close(L);
}

TEST(aq_stop_ends_a_run_without_an_outcome_of_its_own) {
  lua_State *L = open_state(NULL);
  start(L, "aq.sleep(100)");
  CHECK_EQ(aq_step(L, 0, AQ_FOREVER), AQ_STEP_RAN);
  aq_stop(L);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  lua_pushliteral(L, "below");
  CHECK_EQ(aq_outcome(L, 2), LUA_OK);
  CHECK_EQ(lua_gettop(L), 3);
  CHECK(lua_isnil(L, 2) && lua_isnil(L, 3));
  lua_close(L);
}

TEST(a_run_that_is_stuck_hears_an_interrupt) {
  lua_State *L = open_state(NULL);
  start(L, "aq.Event():wait()");
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_STUCK);
  CHECK(aq_interrupt(aq_accept_interrupts(L), "hung up"));
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  check_outcome(L, LUA_ERRRUN, "CancelledError: hung up");
  lua_close(L);
}

TEST(without_a_run_tasks_are_stepped_until_none_is_left) {
  lua_State *L = open_state(NULL);
  CHECK_EQ(aq_step(L, AQ_FOREVER, 0), AQ_STEP_DONE);
  run_text(L, "aq.create_task(function() aq.sleep(0) error('nobody hears', 0) end)");
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  run_text(L, "aq.create_task(function() aq.sleep(0) end)");
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK(strstr(reported, "nobody hears") != NULL);
  CHECK_EQ(aq_unhandled(L), 1);
  lua_close(L);
}

static int waited;

static void on_waited(struct aq_cwait *w, int status, struct aq_value *v) {
  (void)w, (void)v;
  waited = status;
}

TEST(without_a_run_waits_of_cs_are_stepped_too) {
  lua_State *L = open_state(NULL);
  struct aq_cqueue *q;
  struct aq_cwait w = {.done = on_waited};
  struct aq_value v = {.kind = AQ_V_NIL};
  CHECK_EQ(aq_cqueue_new(L, &q, 1, NULL), AQ_OK);
  waited = AQ_INVALID;
  CHECK_EQ(aq_cqueue_get_wait(q, &w, AQ_FOREVER), AQ_OK);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_STUCK);
  CHECK_EQ(aq_cqueue_put(q, &v), AQ_OK);
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  CHECK_EQ(waited, AQ_OK);
  CHECK_EQ(aq_cqueue_get_wait(q, &w, MS), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK_EQ(waited, AQ_TIMEDOUT);
  aq_cqueue_drop(q);
  lua_close(L);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static int step_inside(lua_State *L) {
  lua_pushboolean(L, aq_step(L, 0, 0) == AQ_STEP_REFUSED && aq_attach(L, NULL, NULL) == AQ_BUSY &&
                       aq_break_deadlock(L) == AQ_BUSY);
  return 1;
}

TEST(turns_are_not_taken_inside_a_turn) {
  lua_State *L = open_state(NULL);
  lua_register(L, "step_inside", step_inside);
  start(L, "local r aq.create_task(function() end):add_done_callback(function() r = step_inside() "
           "end) aq.sleep(0) aq.sleep(0) return r and step_inside()");
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  check_outcome(L, LUA_OK, "true");
  lua_close(L);
}

TEST(one_run_at_a_time) {
  lua_State *L = open_state(NULL);
  start(L, "return 1");
  lua_pushcfunction(L, step_inside);
  CHECK_EQ(aq_start(L, 0), AQ_BUSY);
  CHECK_EQ(lua_gettop(L), 0);
  lua_pushcfunction(L, step_inside);
  CHECK_EQ(aq_call(L, 0, 0), LUA_ERRRUN);
  CHECK(strstr(lua_tostring(L, 1), "a run is under way") != NULL);
  lua_settop(L, 0);
  check_outcome(L, LUA_ERRRUN, "no run is over");
  CHECK_EQ(run(L, 0), AQ_STEP_DONE);
  lua_pushcfunction(L, step_inside);
  CHECK_EQ(aq_start(L, 0), AQ_BUSY); /* the outcome is still to be fetched */
  check_outcome(L, LUA_OK, "1");
  lua_close(L);
}

TEST(no_state_no_runtime_no_function) {
  lua_State *L = luaL_newstate();
  CHECK_EQ(aq_start(NULL, 0), AQ_INVALID);
  CHECK_EQ(aq_step(NULL, 0, 0), AQ_STEP_REFUSED);
  CHECK_EQ(aq_attach(NULL, NULL, NULL), AQ_INVALID);
  CHECK_EQ(aq_detach(NULL), AQ_INVALID);
  CHECK_EQ(aq_next_ns(NULL), AQ_FOREVER);
  CHECK_EQ(aq_break_deadlock(NULL), AQ_INVALID);
  CHECK_EQ(aq_outcome(NULL, 0), LUA_ERRRUN);
  lua_pushcfunction(L, step_inside);
  CHECK_EQ(aq_start(L, 0), AQ_CLOSED);
  CHECK_EQ(lua_gettop(L), 0);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_REFUSED);
  CHECK_EQ(aq_attach(L, NULL, NULL), AQ_CLOSED);
  check_outcome(L, LUA_ERRRUN, aq_status_text(AQ_CLOSED));
  lua_close(L);
  L = open_state(NULL);
  CHECK_EQ(aq_start(L, 0), AQ_INVALID);
  CHECK_EQ(aq_start(L, -1), AQ_INVALID);
  lua_pushnil(L);
  CHECK_EQ(aq_start(L, 0), AQ_INVALID);
  lua_settop(L, 0);
  lua_close(L);
}

static void *on_other_thread(void *ud) {
  lua_State *L = ud;
  lua_pushcfunction(L, step_inside);
  CHECK_EQ(aq_start(L, 0), AQ_WRONG_THREAD);
  CHECK_EQ(aq_detach(L), AQ_WRONG_THREAD);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE); /* from now on it is the runtime's thread */
  check_outcome(L, LUA_OK, "moved");
  return NULL;
}

TEST(a_runtime_is_of_the_thread_that_drives_it) {
  pthread_t thread;
  lua_State *L = open_state(NULL);
  start(L, "return 'moved'");
  CHECK_EQ(pthread_create(&thread, NULL, on_other_thread, L), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(aq_detach(L), AQ_WRONG_THREAD);
  lua_close(L);
}

/* ---- attached -------------------------------------------------------------------------------- */

static int ends;
static lua_State *attached;

static void on_ended(void *ud) {
  CHECK(ud == &ends);
  ends++;
  check_outcome(attached, LUA_OK, "done");
}

static lua_State *open_attached(uv_loop_t *uv, const char *text) {
  CHECK_EQ(uv_loop_init(uv), 0);
  lua_State *L = attached = open_state(uv);
  ends = 0;
  start(L, text);
  CHECK_EQ(aq_attach(L, on_ended, &ends), AQ_OK);
  return L;
}

static void close_attached(lua_State *L, uv_loop_t *uv) {
  lua_close(L);
  CHECK_EQ(uv_run(uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(uv_loop_close(uv), 0);
}

TEST(the_hosts_uv_run_takes_the_turns_up_to_the_end_of_all_tasks) {
  uv_loop_t uv;
  lua_State *L = open_attached(&uv, "aq.create_task(function() pcall(aq.sleep, 9) "
                                    "aq.shield(aq.sleep, 0.002) cleaned = 1 end)\n"
                                    "aq.sleep(0.002) aq.sleep(0) return 'done'");
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(ends, 1);
  lua_getglobal(L, "cleaned");
  CHECK_EQ(lua_tointeger(L, -1), 1);
  lua_pop(L, 1);
  start(L, "return 'done'"); /* and again */
  CHECK_EQ(aq_attach(L, on_ended, &ends), AQ_OK);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(ends, 2);
  close_attached(L, &uv);
}

TEST(attached_a_step_is_refused_and_detached_it_goes_on) {
  uv_loop_t uv;
  lua_State *L = open_attached(&uv, "aq.sleep(0.001) return 'done'");
  CHECK_EQ(aq_attach(L, NULL, NULL), AQ_BUSY);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_REFUSED);
  uv_run(&uv, UV_RUN_NOWAIT);
  CHECK_EQ(aq_detach(L), AQ_OK);
  CHECK_EQ(aq_detach(L), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK_EQ(ends, 0);
  check_outcome(L, LUA_OK, "done");
  close_attached(L, &uv);
}

TEST(tasks_that_only_wait_let_uv_run_return_and_the_host_goes_on) {
  uv_loop_t uv;
  lua_State *L = open_attached(&uv, "e = aq.Event() e:wait() return 'done'");
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(aq_next_ns(L), AQ_FOREVER);
  run_text(L, "e:set()");
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(ends, 1);
  close_attached(L, &uv);
}

TEST(a_deadline_of_cs_that_is_set_between_two_turns_comes) {
  uv_loop_t uv;
  struct aq_cqueue *q;
  struct aq_cwait w = {.done = on_waited};
  lua_State *L = open_attached(&uv, "aq.Event():wait()");
  waited = AQ_OK;
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(aq_cqueue_new(L, &q, 1, NULL), AQ_OK);
  CHECK_EQ(aq_cqueue_get_wait(q, &w, MS), AQ_OK);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(waited, AQ_TIMEDOUT);
  aq_cqueue_drop(q);
  close_attached(L, &uv);
}

TEST(attached_a_run_that_sleeps_hears_an_interrupt) {
  uv_loop_t uv;
  lua_State *L = open_attached(&uv, "pcall(aq.sleep, 1000) return 'done'");
  struct aq_interrupt *interrupt = aq_accept_interrupts(L);
  uv_run(&uv, UV_RUN_NOWAIT);
  CHECK(aq_interrupt(interrupt, "hung up"));
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(ends, 1);
  close_attached(L, &uv);
}

TEST(attached_a_run_that_sleeps_is_stopped) {
  uv_loop_t uv;
  CHECK_EQ(uv_loop_init(&uv), 0);
  lua_State *L = open_state(&uv);
  start(L, "aq.sleep(1000)");
  CHECK_EQ(aq_attach(L, NULL, NULL), AQ_OK);
  uv_run(&uv, UV_RUN_NOWAIT);
  aq_stop(L);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  check_outcome(L, LUA_OK, "nil");
  close_attached(L, &uv);
}

TEST(a_state_may_be_closed_while_a_run_is_attached_or_under_way) {
  uv_loop_t uv;
  close_attached(open_attached(&uv, "aq.sleep(100)"), &uv);
  lua_State *L = open_state(NULL);
  start(L, "local t <close> = setmetatable({}, {__close = function() end}) aq.sleep(100)");
  aq_step(L, 0, 0);
  lua_close(L);
}

TEST(under_the_virtual_clock_a_run_is_stepped_but_not_attached) {
  lua_State *L = open_state(NULL);
  start(L, "local clock <close> = require('aqlua.testing').clock() aq.sleep(1e6) return aq.now()");
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_RAN);
  CHECK_EQ(aq_attach(L, NULL, NULL), AQ_INVALID);
  CHECK_EQ(aq_next_ns(L), 0);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  lua_close(L);
}
