/*
** ltask.c - the Lua class Task, and the functions that make and list tasks.
*/
#include "aqlua.h"
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/base/place.h"
#include "bind/task/callback.h"
#include "bind/task/cancel.h"
#include "bind/task/ending.h"
#include "bind/task/task.h"
#include "bind/task/unhandled.h"
#include "bind/task/wait.h"
#include "leaves.h"

/* internal: whether the value is a function, or has __call */
static int is_callable(lua_State *L) {
  lua_pushboolean(L, aq_task_can_call(L, 1));
  return 1;
}

/* aq.create_task(fn, ...) */
static int create_task(lua_State *L) {
  if (!aq_task_can_call(L, 1)) luaL_typeerror(L, 1, "function");
  aq_task_new(L, lua_gettop(L) - 1);
  return 1;
}

/* aq.current_task() */
static int current_task(lua_State *L) {
  struct aq_task *t = aq_runtime(L)->current;
  if (t != NULL)
    aq_task_push(L, t);
  else
    lua_pushnil(L);
  return 1;
}

/* aq.on_error(fn or nil) */
static int on_error(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_setiuservalue(L, lua_upvalueindex(1), AQ_UV_ON_ERROR);
  return 0;
}

/* internal: a list of the tasks not done, in no order */
static int live_tasks(lua_State *L) {
  aq_task_push_all(L, aq_runtime(L));
  return 1;
}

/* internal: whether the first task was made before the second; for table.sort */
static int is_older(lua_State *L) {
  const struct aq_task *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
  lua_pushboolean(L, a->id < b->id);
  return 1;
}

static int task_cancel(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) aq_error_push_with(L, AQ_E_CANCELLED);
  aq_task_set_message(L, 1);
  lua_pushboolean(L, aq_task_cancel(L, t));
  return 1;
}

static int task_uncancel(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  uint32_t left = aq_task_uncancel(t);
  if (left == 0 && t->future.state == AQ_PENDING) aq_task_forget_message(L, t);
  lua_pushinteger(L, (lua_Integer)left);
  return 1;
}

static int task_cancelling(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aq_task_cancelling(aq_check_task(L, 1)));
  return 1;
}

static int task_get_name(lua_State *L) {
  aq_check_task(L, 1);
  aq_task_push_name(L, 1);
  return 1;
}

static int task_set_name(lua_State *L) {
  aq_check_task(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  aq_set_extra(L, 1, AQ_X_NAME);
  return 0;
}

/* Where the task's error was thrown, or where the task is. */
static int task_traceback(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  bool tells = true;
  if (t->future.state != AQ_PENDING)
    aq_push_extra(L, 1, AQ_X_TRACEBACK);
  else if (t->future.rt->current == t)
    tells = aq_push_stack(L, L, 1);
  else
    tells = aq_push_stack(L, t->is_suspended ? t->innermost : t->co, 0);
  if (!tells) lua_pushnil(L);
  return 1;
}

static const char *state_name(const struct aq_task *t) {
  static const char *const DONE[] = {"pending", "returned", "failed", "cancelled"};
  if (t->future.state != AQ_PENDING) return DONE[t->future.state];
  if (t->future.rt->current == t) return "running";
  return t->is_suspended ? "waiting" : "ready";
}

static int task_tostring(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  aq_task_push_name(L, 1);
  lua_pushfstring(L, "Task '%s' (%s)", lua_tostring(L, -1), state_name(t));
  return 1;
}

/* internal: the scope that the running task's new tasks are made in; sets it if given one */
static int scope(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  if (lua_isinteger(L, 2)) t->scope = (uint32_t)lua_tointeger(L, 2);
  lua_pushinteger(L, (lua_Integer)t->scope);
  return 1;
}

/* internal: a scope of its own */
static int new_scope(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aq_runtime(L)->next_scope++);
  return 1;
}

/* internal: cancels the task and bounds how often it may swallow that */
static int end_task(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  if (!t->is_ending) aq_task_cancel(L, t);
  t->is_ending = true;
  return 0;
}

/* internal: raises if the running task cannot wait here */
static int check_wait(lua_State *L) {
  aq_task_check_wait(L, aq_task_running(L, aq_runtime(L)));
  return 0;
}

/* internal: what to tell somebody who would wait while no task is running */
static int why_no_task(lua_State *L) {
  aq_task_push_why_none(L);
  return 1;
}

/* internal: ends the suspended task by force */
static int close_task(lua_State *L) {
  struct aq_task *t = aq_check_task(L, 1);
  if (t->future.state == AQ_PENDING && t->future.rt->current != t) aq_task_close(L, t);
  return 0;
}

/* internal: reports a line of the library's own */
static int report(lua_State *L) {
  aq_unhandled_text(aq_runtime(L), luaL_checkstring(L, 1));
  return 0;
}

/* internal.report_error(task, err): as if nobody had retrieved it */
static int report_error(lua_State *L) {
  aq_check_task(L, 1);
  lua_settop(L, 2);
  aq_push_extra(L, 1, AQ_X_TRACEBACK);
  return aq_unhandled_now(L, aq_runtime(L)) ? 0 : aq_exit(L);
}

/* internal.raise_from(task, err): raises the task's error as the running task's own */
static int raise_from(lua_State *L) {
  const struct aq_task *t = aq_check_task(L, 1), *running = aq_runtime(L)->current;
  lua_settop(L, 2);
  if (running != NULL && running != t) {
    aq_task_push(L, aq_runtime(L)->current);
    lua_pushvalue(L, 1);
    aq_set_extra(L, 3, AQ_X_ORIGIN);
    aq_runtime(L)->current->has_origin = true;
    lua_settop(L, 2);
  }
  return lua_error(L);
}

/* internal: a cancel outstanding that was delivered is on its way again, since what it was delivered
** as went under in another error (G10) */
static int rearm_cancel(lua_State *L) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  if (t->requests > 0) t->must_cancel = true;
  return 0;
}

/* internal: whether a task was ended by force because it kept swallowing its cancel */
static int is_stubborn(lua_State *L) {
  const struct aq_task *t = aq_check_task(L, 1);
  lua_pushboolean(L, t->is_stubborn && !t->has_left);
  return 1;
}

void aq_open_task(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"cancel", task_cancel},
                                     {"uncancel", task_uncancel},
                                     {"cancelling", task_cancelling},
                                     {"get_name", task_get_name},
                                     {"set_name", task_set_name},
                                     {"traceback", task_traceback},
                                     {NULL, NULL}};
  static const luaL_Reg META[] = {{"__tostring", task_tostring}, {NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"create_task", create_task},
                                       {"current_task", current_task},
                                       {"on_error", on_error},
                                       {NULL, NULL}};
  static const luaL_Reg INTERNAL[] = {{"report_error", report_error},
                                      {"check_wait", check_wait},
                                      {"is_callable", is_callable},
                                      {"rearm_cancel", rearm_cancel},
                                      {"raise_from", raise_from},
                                      {"create_task", create_task},
                                      {"live_tasks", live_tasks},
                                      {"is_older", is_older},
                                      {"scope", scope},
                                      {"new_scope", new_scope},
                                      {"end_task", end_task},
                                      {"close_task", close_task},
                                      {"is_stubborn", is_stubborn},
                                      {"report", report},
                                      {"why_no_task", why_no_task},
                                      {NULL, NULL}};
  aq_push_class(L, "Task", METHODS, META);
  lua_setiuservalue(L, -3, AQ_UV_TASK_META);
  aq_setfuncs(L, FUNCTIONS);
  aq_set_internal(L, INTERNAL);
}
