/*
** run.c - the phases of a run, and the turn.
*/
#include "run.h"

#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/report/waiting.h"
#include "bind/report/watch.h"
#include "bind/task/ending.h"
#include "bind/task/task.h"
#include "bind/task/unhandled.h"
#include "handle.h"
#include "interrupt.h"

/* ---- driving --------------------------------------------------------------------------------- */

struct aq_driving aq_driving_begin(lua_State *L, struct aq_runtime *rt) {
  struct aq_driving d = {rt->L};
  rt->L = L;
  rt->thread = uv_thread_self();
  rt->is_driven = true;
  return d;
}

void aq_driving_end(struct aq_runtime *rt, struct aq_driving d) {
  rt->L = d.outer;
  rt->is_driven = false;
}

bool aq_run_is_idle(const struct aq_runtime *rt) {
  return aq_shelf_count(&rt->live) == rt->pool.count + rt->nkept;
}

/* ---- texts ----------------------------------------------------------------------------------- */

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

/* ---- starting -------------------------------------------------------------------------------- */

/* aq.create_task, as it was made. Stack: function and arguments. */
static int spawn(lua_State *L) {
  aq_runtime_push_uv(L, aq_runtime_of(L), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "create_task");
  lua_insert(L, 1);
  lua_pop(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* Keeps the Task on top as user value `uv`; pops it. */
static struct aq_task *keep(lua_State *L, struct aq_runtime *rt, int uv) {
  struct aq_task *t = lua_touserdata(L, -1);
  aq_runtime_push(L, rt);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, uv);
  lua_pop(L, 1);
  return t;
}

int aq_run_start(lua_State *L, struct aq_runtime *rt, int nargs) {
  lua_pushcfunction(L, spawn);
  lua_insert(L, -2 - nargs);
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status != LUA_OK) {
    push_text(L, "");
    return status;
  }
  rt->main = rt->awaited = keep(L, rt, AQ_UV_MAIN);
  rt->phase = AQ_RUNNING;
  rt->is_stopping = rt->was_stopped = rt->is_leaving = false;
  return LUA_OK;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int spawn_drain(lua_State *L) {
  aq_runtime_push_uv(L, aq_runtime_of(L), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "create_task");
  lua_getfield(L, -2, "drain");
  lua_call(L, 1, 1);
  return 1;
}

/* Nobody is left, or nobody could be told to leave for lack of memory. */
static void end_run(lua_State *L, struct aq_runtime *rt) {
  aq_runtime_push_uv(L, rt, AQ_UV_MAIN);
  struct aq_future *f = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (f->state == AQ_RAISED) f->is_retrieved = true;
  aq_unhandled_flush(L, rt);
  rt->awaited = NULL;
  rt->phase = AQ_RUN_OVER;
}

/* Cancels all tasks and waits for them, in a task of its own. */
static void start_ending(lua_State *L, struct aq_runtime *rt) {
  aq_interrupt_main_ended(rt, rt->main);
  rt->main = rt->foreground = NULL;
  rt->was_stopped = rt->is_stopping;
  rt->phase = AQ_ENDING;
  if (rt->watch != NULL) aq_watch_leftovers(L, rt);
  lua_pushcfunction(L, spawn_drain);
  if (!aq_run_is_idle(rt) && lua_pcall(L, 0, 1, 0) == LUA_OK) {
    rt->awaited = keep(L, rt, AQ_UV_DRAIN);
    rt->is_stopping = false;
  } else {
    lua_pop(L, 1);
    end_run(L, rt);
  }
}

/* What is awaited has ended, or the run is asked to stop; while it is ending that changes nothing. */
static void move_on(lua_State *L, struct aq_runtime *rt) {
  bool has_ended = rt->awaited->future.state != AQ_PENDING;
  if (rt->phase == AQ_RUNNING)
    start_ending(L, rt);
  else if (has_ended)
    end_run(L, rt);
  else
    rt->is_stopping = false;
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void after_turn(lua_State *L, struct aq_runtime *rt) {
  if (rt->nreports > 0) aq_unhandled_report(L, rt);
  if (rt->reports_early || rt->awaited == NULL) aq_unhandled_early(L, rt);
  if (rt->wants) aq_interrupt_serve(L, rt);
  if (rt->awaited == NULL) return;
  if (rt->awaited->future.state != AQ_PENDING || rt->is_stopping) move_on(L, rt);
}

void aq_run_turn(lua_State *L, struct aq_runtime *rt) {
  if (rt->has_posts) aq_run_posts(rt);
  aq_task_turn(rt);
  after_turn(L, rt);
}

/* ---- a deadlock ------------------------------------------------------------------------------ */

static int make_report(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  aq_runtime_push(L, rt);
  aq_push_deadlock(L, rt);
  lua_setiuservalue(L, -2, AQ_UV_DEADLOCK);
  return 0;
}

/* Whose wait is broken: the task in the foreground, if it is one that waits. */
static struct aq_task *blocked_task(const struct aq_runtime *rt) {
  struct aq_task *foreground = rt->foreground;
  return foreground != NULL && foreground->waiter.state == AQ_WAITING ? foreground : rt->awaited;
}

void aq_run_break(lua_State *L, struct aq_runtime *rt) {
  struct aq_task *t = blocked_task(rt);
  lua_pushcfunction(L, make_report);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (!aq_waiter_abort(&t->waiter, AQ_DEADLOCK)) aq_task_close(L, t);
  after_turn(L, rt);
}

/* ---- the outcome ----------------------------------------------------------------------------- */

int aq_run_refuse(lua_State *L, const char *why) {
  push_text(L, why);
  push_text(L, "");
  return LUA_ERRRUN;
}

/* Stack: a Task that has returned. */
static int push_results(lua_State *L) { return aq_future_unwrap(L, 1); }

/* Replaces the Task on top, which is done, by its results or by error and traceback. */
static int unwrap(lua_State *L, int nresults) {
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

static void forget(lua_State *L, struct aq_runtime *rt) {
  for (int uv = AQ_UV_MAIN; uv <= AQ_UV_DRAIN; uv++) {
    lua_pushnil(L);
    keep(L, rt, uv);
  }
  rt->phase = AQ_NO_RUN;
}

int aq_run_outcome(lua_State *L, struct aq_runtime *rt, int nresults) {
  aq_runtime_push_uv(L, rt, AQ_UV_MAIN);
  forget(L, rt);
  if (!rt->was_stopped) return unwrap(L, nresults);
  lua_pop(L, 1);
  lua_settop(L, lua_gettop(L) + (nresults == LUA_MULTRET ? 0 : nresults));
  return LUA_OK;
}
