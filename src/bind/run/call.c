/*
** call.c - running a main task: steps of the loop until it is done, then the end of all others.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/report/waiting.h"
#include "bind/report/watch.h"
#include "bind/task/ending.h"
#include "bind/task/task.h"
#include "bind/task/unhandled.h"
#include "interrupt.h"

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

/* Whose wait is broken: the task in the foreground, if it is one that waits. */
static struct aq_task *blocked_task(const struct aq_runtime *rt, struct aq_task *t) {
  struct aq_task *foreground = rt->foreground;
  return foreground != NULL && foreground->waiter.state == AQ_WAITING ? foreground : t;
}

/* Takes steps until `t` is done or aq_stop is called. */
static void drive(lua_State *L, struct aq_runtime *rt, struct aq_task *t) {
  while (t->future.state == AQ_PENDING && !rt->is_stopping) {
    if (aq_loop_poll(rt->loop))
      aq_task_turn(rt);
    else
      break_deadlock(L, blocked_task(rt, t));
    if (rt->nreports > 0) aq_unhandled_report(L, rt);
    if (rt->reports_early) aq_unhandled_early(L, rt);
    if (rt->wants) aq_interrupt_serve(L, rt);
  }
}

/* aq.create_task, as it was made. Stack: function and arguments. */
static int spawn(lua_State *L) {
  aq_runtime_push_uv(L, aq_runtime_of(L), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "create_task");
  lua_insert(L, 1);
  lua_pop(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int spawn_drain(lua_State *L) {
  aq_runtime_push_uv(L, aq_runtime_of(L), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "create_task");
  lua_getfield(L, -2, "drain");
  lua_call(L, 1, 1);
  return 1;
}

/* Cancels all tasks and waits for them, in a task of its own. Asking to stop changes nothing now. */
static void drain(lua_State *L, struct aq_runtime *rt) {
  if (aq_shelf_count(&rt->live) == rt->pool.count)
    return; /* nobody is left, as with most programs */
  lua_pushcfunction(L, spawn_drain);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK) {
    struct aq_task *t = aq_check_task(L, -1);
    do {
      rt->is_stopping = false;
      drive(L, rt, t);
    } while (t->future.state == AQ_PENDING);
  }
  lua_pop(L, 1);
}

static int push_string(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

/* Pushes a static text, or, without the memory for it, the message that says so. Raises nothing. */
static void push_text(lua_State *L, const char *text) {
  lua_pushcfunction(L, push_string);
  lua_pushlightuserdata(L, (void *)text);
  (void)lua_pcall(L, 1, 1, 0);
}

/* Stack: a Task that has returned. */
static int push_results(lua_State *L) { return aq_future_unwrap(L, 1); }

/* Replaces the Task on top, which is done, by its results or by error and traceback. */
static int push_outcome(lua_State *L, int nresults) {
  int task = lua_gettop(L);
  struct aq_future *f = lua_touserdata(L, task);
  if (f->state == AQ_RETURNED) {
    lua_pushcfunction(L, push_results);
    lua_insert(L, task);
    int status = lua_pcall(L, 1, nresults, 0);
    if (status != LUA_OK) push_text(L, "");
    return status;
  }
  f->is_retrieved = true;
  aq_future_push_error(L, task);
  aq_push_extra(L, task, AQ_X_TRACEBACK);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_text(L, "");
  }
  lua_remove(L, task);
  return LUA_ERRRUN;
}

static int refuse(lua_State *L, int first, const char *why) {
  lua_settop(L, first - 1);
  push_text(L, why);
  push_text(L, "");
  return LUA_ERRRUN;
}

int aq_call(lua_State *L, int nargs, int nresults) {
  struct aq_runtime *rt = aq_runtime_of(L);
  int first = lua_gettop(L) - nargs;
  if (rt == NULL) return refuse(L, first, "aq_call: luaopen_aqlua was not called");
  if (rt->is_running) return refuse(L, first, "aq.run: this state is running tasks already");
  lua_State *outer = rt->L;
  lua_pushcfunction(L, spawn);
  lua_insert(L, first);
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status != LUA_OK) {
    push_text(L, "");
    return status;
  }
  struct aq_task *t = lua_touserdata(L, first);
  rt->is_running = true;
  rt->is_stopping = rt->is_leaving = false;
  rt->L = L;
  rt->main = t;
  drive(L, rt, t);
  aq_interrupt_main_ended(rt, t);
  rt->main = rt->foreground = NULL;
  bool was_stopped = rt->is_stopping;
  if (rt->watch != NULL) aq_watch_leftovers(L, rt);
  drain(L, rt);
  if (t->future.state == AQ_RAISED) t->future.is_retrieved = true;
  aq_unhandled_flush(L, rt);
  rt->L = outer;
  rt->is_running = false;
  if (!was_stopped) return push_outcome(L, nresults);
  lua_settop(L, nresults == LUA_MULTRET ? first - 1 : first - 1 + nresults);
  return LUA_OK;
}

int aq_in_task(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && rt->current != NULL;
}

size_t aq_unhandled(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL ? rt->unhandled : 0;
}

void aq_report(lua_State *L, const char *text) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt != NULL) aq_unhandled_text(rt, text);
}

void aq_set_report(lua_State *L, void (*report)(void *ud, const char *text), void *ud) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return;
  rt->report = report;
  rt->report_ud = ud;
}
