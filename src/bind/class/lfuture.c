/*
** lfuture.c - the Lua class Future, and what a Task has in common with it: await, result, done,
** callbacks.
*/
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/task/callback.h"
#include "bind/task/cancel.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

static struct aq_future *check_future(lua_State *L, int idx) {
  struct aq_future *f = aq_test_future(L, idx);
  if (f == NULL) luaL_typeerror(L, idx, "Task or Future");
  return f;
}

/* The pending Future at 1, for those who settle it; a Task is settled by its own end only. */
static struct aq_future *check_settable(lua_State *L) {
  struct aq_future *f = check_future(L, 1);
  if (f->class != aq_future_class) luaL_typeerror(L, 1, "Future");
  if (f->state != AQ_PENDING) aq_error_invalid_state(L, "the future is done already");
  return f;
}

/* ---- await ----------------------------------------------------------------------------------- */

static int await_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  const struct aq_future *f = lua_touserdata(L, 1);
  enum aq_status status = aq_task_outcome(t, cancelled);
  /* Cancelled because the cancel was passed on to it: that cancel's message counts. */
  if (status == AQ_OK && f->state == AQ_ENDED_CANCELLED && t->was_delivered) status = AQ_CANCELLED;
  return status == AQ_OK ? aq_future_unwrap(L, 1) : aq_task_raise(L, t, status);
}

static const struct aq_wait AWAIT = {"await", await_finish, NULL};

static int future_await(lua_State *L) {
  struct aq_future *f = check_future(L, 1);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, f->rt, timeout_ns);
  if (f->state != AQ_PENDING) return aq_future_unwrap(L, 1);
  if (aq_future_leads_to(L, 1, t)) return aq_future_refuse_circle(L, "await");
  if (timeout_ns == 0) return aq_task_time_out(L, t);
  aq_task_check_wait(L, t);
  if (t->must_cancel && !t->was_delivered) aq_task_hand_message_on(L, t, 1);
  aq_waiter_enter(&t->waiter, &f->joiners, NULL, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_await(L, t, f, &AWAIT);
}

/* ---- looking --------------------------------------------------------------------------------- */

static int future_done(lua_State *L) {
  lua_pushboolean(L, check_future(L, 1)->state != AQ_PENDING);
  return 1;
}

static int future_cancelled(lua_State *L) {
  lua_pushboolean(L, check_future(L, 1)->state == AQ_ENDED_CANCELLED);
  return 1;
}

static int future_result(lua_State *L) {
  struct aq_future *f = check_future(L, 1);
  if (f->state == AQ_PENDING) return aq_error_invalid_state(L, "the result is not there yet");
  return aq_future_unwrap(L, 1);
}

static int future_exception(lua_State *L) {
  struct aq_future *f = check_future(L, 1);
  if (f->state == AQ_PENDING) return aq_error_invalid_state(L, "the exception is not there yet");
  if (f->state == AQ_ENDED_CANCELLED) return aq_future_unwrap(L, 1);
  f->is_retrieved = true;
  if (f->state == AQ_RETURNED)
    lua_pushnil(L);
  else
    lua_getiuservalue(L, 1, AQ_UV_VALUE);
  return 1;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static int add_done_callback(lua_State *L) {
  check_future(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  aq_check_no_more(L, 2, "a callback gets the task or future, and nothing else");
  lua_settop(L, 2);
  aq_callback_add(L);
  return 0;
}

static int remove_done_callback(lua_State *L) {
  check_future(L, 1);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, aq_callback_remove(L));
  return 1;
}

/* ---- settling a Future ----------------------------------------------------------------------- */

static int set_result(lua_State *L) {
  struct aq_future *f = check_settable(L);
  aq_future_store(L, 1, 2);
  aq_future_settle(f, AQ_RETURNED);
  return 0;
}

static int set_exception(lua_State *L) {
  struct aq_future *f = check_settable(L);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return luaL_argerror(L, 2, "error value expected, got nil");
  aq_future_store_error(L, 1);
  aq_future_settle(f, AQ_RAISED);
  return 0;
}

static int cancel(lua_State *L) {
  struct aq_future *f = check_future(L, 1);
  if (f->class != aq_future_class) luaL_typeerror(L, 1, "Future");
  bool is_pending = f->state == AQ_PENDING;
  if (is_pending) aq_future_cancel(f);
  lua_pushboolean(L, is_pending);
  return 1;
}

static int future_tostring(lua_State *L) {
  static const char *const STATES[] = {"pending", "has a result", "has an error", "cancelled"};
  struct aq_future *f = check_future(L, 1);
  aq_push_extra(L, 1, AQ_X_NAME);
  if (!lua_isnil(L, -1)) return 1;
  lua_pushfstring(L, "Future %p (%s)", (void *)f, STATES[f->state]);
  return 1;
}

static int future_new(lua_State *L) {
  aq_check_no_more(L, 0,
                   "a Future calls nothing; aq.await(fn) calls a function that takes a callback");
  struct aq_runtime *rt = aq_runtime(L);
  struct aq_future *f = lua_newuserdatauv(L, sizeof *f, 2);
  aq_future_init(f, rt, aq_future_class);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_FUTURE_META);
  lua_setmetatable(L, -2);
  return 1;
}

/* ---- for gather ------------------------------------------------------------------------------ */

/*
** internal.set_children(future, children, name, passes_cancel): what the Future waits for, so that
** circles are seen; cancels go to the children if passes_cancel. Raises if that closes a circle.
*/
static int set_children(lua_State *L) {
  struct aq_future *f = check_settable(L);
  const struct aq_task *t = aq_task_running(L, aq_runtime(L));
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 4);
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
    bool circle = check_future(L, -1)->state == AQ_PENDING && aq_future_leads_to(L, -1, t);
    if (circle) return aq_future_refuse_circle(L, lua_tostring(L, 3));
    lua_pop(L, 1);
  }
  f->passes_cancel = lua_toboolean(L, 4);
  lua_settop(L, 3);
  aq_set_extra(L, 1, AQ_X_NAME);
  aq_set_extra(L, 1, AQ_X_CHILDREN);
  f->has_children = true;
  return 0;
}

/* internal: the Future at 1 gets the error of the failed task or future at 2 */
static int fail_like(lua_State *L) {
  struct aq_future *f = check_settable(L), *failed = check_future(L, 2);
  lua_settop(L, 2);
  failed->is_retrieved = true;
  lua_pushvalue(L, 2);
  aq_set_extra(L, 1, AQ_X_ORIGIN);
  aq_future_push_error(L, 2);
  aq_future_store_error(L, 1);
  aq_future_settle(f, AQ_RAISED);
  return 0;
}

/* internal: whether a cancel was passed on to the children */
static int was_passed_cancel(lua_State *L) {
  lua_pushboolean(L, check_future(L, 1)->was_passed_cancel);
  return 1;
}

/* internal: whether a task or future that is done failed; does not count as retrieving */
static int has_failed(lua_State *L) {
  lua_pushboolean(L, check_future(L, 1)->state == AQ_RAISED);
  return 1;
}

/* internal: whether the value is a Task or a Future */
static int is_future(lua_State *L) {
  lua_pushboolean(L, aq_test_future(L, 1) != NULL);
  return 1;
}

static const luaL_Reg SHARED[] = {{"await", future_await},
                                  {"done", future_done},
                                  {"cancelled", future_cancelled},
                                  {"result", future_result},
                                  {"exception", future_exception},
                                  {"add_done_callback", add_done_callback},
                                  {"remove_done_callback", remove_done_callback},
                                  {NULL, NULL}};

/* Adds the shared methods to the class whose metatable is on top. */
static void add_shared(lua_State *L) {
  lua_pushvalue(L, -3);
  lua_getfield(L, -2, "__index");
  aq_setfuncs(L, SHARED);
  lua_pop(L, 2);
}

void aq_open_future(lua_State *L) {
  static const luaL_Reg METHODS[] = {
    {"set_result", set_result}, {"set_exception", set_exception}, {"cancel", cancel}, {NULL, NULL}};
  static const luaL_Reg META[] = {{"__tostring", future_tostring}, {NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"Future", future_new}, {NULL, NULL}};
  static const luaL_Reg INTERNAL[] = {
    {"set_children", set_children}, {"was_passed_cancel", was_passed_cancel},
    {"fail_like", fail_like},       {"has_failed", has_failed},
    {"is_future", is_future},       {NULL, NULL}};
  aq_push_class(L, "Future", METHODS, META);
  add_shared(L);
  lua_setiuservalue(L, -3, AQ_UV_FUTURE_META);
  lua_getiuservalue(L, -2, AQ_UV_TASK_META);
  add_shared(L);
  lua_pop(L, 1);
  aq_setfuncs(L, FUNCTIONS);
  aq_set_internal(L, INTERNAL);
}
