/*
** call.c - running a main task: steps of the loop until it is done, then the end of all others.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "error.h"
#include "task.h"
#include "unhandled.h"
#include "waiting.h"

static int make_report(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  aq_runtime_push(L, rt);
  aq_push_deadlock(L, rt);
  lua_setiuservalue(L, -2, AQ_UV_DEADLOCK);
  return 0;
}

/* Nothing can happen any more: the wait of `t` raises DeadlockError with the report (O3). */
static void break_deadlock(lua_State *L, struct aq_task *t) {
  lua_pushcfunction(L, make_report);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (!aq_waiter_abort(&t->waiter, AQ_DEADLOCK)) aq_task_close(L, t);
}

/* Takes steps until `t` is done or aq_stop is called. */
static void drive(lua_State *L, struct aq_runtime *rt, struct aq_task *t) {
  while (t->future.state == AQ_PENDING && !rt->is_stopping) {
    if (!aq_loop_step(rt->loop)) break_deadlock(L, t);
    if (rt->nreports > 0) aq_unhandled_report(L, rt);
  }
}

static int spawn(lua_State *L) {
  aq_task_new(L, aq_runtime_of(L), lua_gettop(L) - 1);
  return 1;
}

static int spawn_drain(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  aq_runtime_push_uv(L, rt, AQ_UV_INTERNAL);
  lua_getfield(L, -1, "drain");
  aq_task_new(L, rt, 0);
  return 1;
}

/* Cancels all tasks and waits for them, in a task of its own. */
static void drain(lua_State *L, struct aq_runtime *rt) {
  rt->is_stopping = false;
  lua_pushcfunction(L, spawn_drain);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) drive(L, rt, aq_check_task(L, -1));
  lua_pop(L, 1);
}

/* Replaces the Task on top, which is done, by its results or by error and traceback. */
static int push_outcome(lua_State *L, int nresults) {
  int task = lua_gettop(L);
  struct aq_future *f = lua_touserdata(L, task);
  if (f->state == AQ_RETURNED) {
    aq_future_unwrap(L, task);
    lua_remove(L, task);
    if (nresults != LUA_MULTRET) lua_settop(L, task - 1 + nresults);
    return LUA_OK;
  }
  f->is_retrieved = true;
  aq_future_push_error(L, task);
  aq_push_extra(L, task, AQ_X_TRACEBACK);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_remove(L, task);
  return LUA_ERRRUN;
}

static int refuse(lua_State *L, int first) {
  lua_settop(L, first - 1);
  lua_pushliteral(L, "aq_call: this state is running tasks already");
  lua_pushliteral(L, "");
  return LUA_ERRRUN;
}

int aq_call(lua_State *L, int nargs, int nresults) {
  struct aq_runtime *rt = aq_runtime_of(L);
  int first = lua_gettop(L) - nargs;
  lua_State *outer = rt->L;
  if (rt->is_running) return refuse(L, first);
  lua_pushcfunction(L, spawn);
  lua_insert(L, first);
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status != LUA_OK) {
    lua_pushliteral(L, "");
    return status;
  }
  struct aq_task *t = lua_touserdata(L, first);
  rt->is_running = true;
  rt->is_stopping = false;
  rt->L = L;
  drive(L, rt, t);
  bool was_stopped = rt->is_stopping;
  drain(L, rt);
  if (t->future.state == AQ_RAISED) t->future.is_retrieved = true;
  aq_unhandled_flush(L, rt);
  rt->L = outer;
  rt->is_running = false;
  if (!was_stopped) return push_outcome(L, nresults);
  lua_settop(L, nresults == LUA_MULTRET ? first - 1 : first - 1 + nresults);
  return LUA_OK;
}

void aq_stop(lua_State *L) { aq_runtime_of(L)->is_stopping = true; }

int aq_in_task(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && rt->current != NULL;
}

size_t aq_unhandled(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL ? rt->unhandled : 0;
}

void aq_set_report(lua_State *L, void (*report)(void *ud, const char *text), void *ud) {
  struct aq_runtime *rt = aq_runtime_of(L);
  rt->report = report;
  rt->report_ud = ud;
}
