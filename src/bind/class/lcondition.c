/*
** lcondition.c - the Lua class Condition.
**
** The stack of a call that waits: the condition at 1, the predicate of wait_for or nil at 2, the deadline
** at 3, and, while it takes the lock again, how the wait for a notification ended at 4 and 5. No cancel
** breaks off the second wait; one that comes is raised when the lock is held (T13, K4).
*/
#include <lauxlib.h>

#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/object/semaphore_object.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

static const char CONDITION_CLASS[] = "Condition"; /* its address is the class */

enum { UV_LOCK = 1 }; /* its user value: the Lock it was given, or nil */

struct condition {
  const void *class;
  struct aq_condition condition;
  struct aq_semaphore own; /* the lock, if none was given */
};

static struct condition *test_condition(lua_State *L) {
  return aq_test_object(L, 1, CONDITION_CLASS, sizeof(struct condition));
}

static struct aq_condition *check_condition(lua_State *L) {
  struct condition *c = test_condition(L);
  if (c == NULL) luaL_typeerror(L, 1, "Condition");
  return &c->condition;
}

/* Raises if the lock is not held. As with asyncio, anybody may hold it. */
static void check_held(lua_State *L, const struct aq_condition *c, const char *method) {
  if (!aq_lock_is_held(c->lock)) luaL_error(L, "%s: the lock is not held", method);
}

static int condition_acquire(lua_State *L) { return aq_acquire(L, check_condition(L)->lock); }

static int condition_release(lua_State *L) { return aq_release_lock(L, check_condition(L)->lock); }

static int condition_locked(lua_State *L) {
  lua_pushboolean(L, aq_lock_is_held(check_condition(L)->lock));
  return 1;
}

/* ---- wait and wait_for ----------------------------------------------------------------------- */

enum { PREDICATE_AT = 2, DEADLINE_AT, STATUS_AT, NOTIFIED_AT };

/* Stands for a deadline when the predicate is asked a last time. */
enum { TIME_IS_UP = -3 }; /* AQ_NEVER and AQ_FAR are -1 and -2 */

static int ask(lua_State *L);
static int ask_a_last_time(lua_State *L);

/* The end of one wait, with the lock held again if that can be. */
static int end(lua_State *L, struct aq_task *t, bool was_notified, enum aq_status outcome) {
  struct condition *c = lua_touserdata(L, 1);
  bool has_predicate = !lua_isnil(L, PREDICATE_AT);
  aq_condition_end(&c->condition, was_notified, outcome);
  if (outcome == AQ_TIMEDOUT && has_predicate) return ask_a_last_time(L);
  if (outcome != AQ_OK) return aq_task_raise(L, t, outcome);
  return has_predicate ? ask(L) : aq_push_success(L);
}

static int retake_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct condition *c = lua_touserdata(L, 1);
  enum aq_status outcome = aq_condition_retake_end(&c->condition, &t->waiter, false);
  if (outcome == AQ_OK)
    outcome = cancelled ? AQ_CANCELLED : (enum aq_status)lua_tointeger(L, STATUS_AT);
  return end(L, t, lua_toboolean(L, NOTIFIED_AT), outcome);
}

/* Whether it was notified is no longer known: somebody may be woken for nothing. */
static void retake_give_up(lua_State *L, struct aq_task *t) {
  struct aq_condition *c = t->waiter.thing;
  (void)L;
  t->future.rt->let_go = c->lock;
  aq_condition_retake_end(c, &t->waiter, true);
  aq_condition_notify(c, 1);
}

static const struct aq_wait RETAKE = {"wait", retake_finish, retake_give_up};

static int wait_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct condition *c = lua_touserdata(L, 1);
  bool was_notified = t->waiter.status == AQ_OK;
  enum aq_status status = aq_task_outcome(t, cancelled);
  if (aq_condition_retake(&c->condition, &t->waiter)) return end(L, t, was_notified, status);
  lua_settop(L, DEADLINE_AT);
  lua_pushinteger(L, (lua_Integer)status);
  lua_pushboolean(L, was_notified);
  return aq_task_wait_through(L, t, &RETAKE);
}

static void wait_give_up(lua_State *L, struct aq_task *t) {
  struct aq_condition *c = t->waiter.thing;
  (void)L;
  t->future.rt->let_go = c->lock;
  aq_condition_end(c, t->waiter.status == AQ_OK, AQ_CANCELLED);
}

static const struct aq_wait WAIT = {"wait", wait_finish, wait_give_up};

/* When it is too late already, the lock is released for a turn (X10). */
static int enter(lua_State *L, struct aq_condition *c, struct aq_task *t) {
  uint64_t deadline_ns = (uint64_t)lua_tointeger(L, DEADLINE_AT);
  aq_task_check_wait(L, t);
  aq_condition_wait(c, &t->waiter, deadline_ns);
  if (deadline_ns <= t->waiter.agenda->now_ns) aq_waiter_abort(&t->waiter, AQ_TIMEDOUT);
  return aq_task_wait(L, t, &WAIT);
}

/* Puts the deadline of a call whose timeout is at `idx` in its place. */
static void set_deadline(lua_State *L, int idx) {
  uint64_t timeout_ns = aq_check_timeout(L, idx);
  uint64_t deadline_ns = timeout_ns == 0 ? 0 : aq_loop_deadline(aq_runtime(L)->loop, timeout_ns);
  lua_settop(L, DEADLINE_AT);
  lua_pushinteger(L, (lua_Integer)deadline_ns);
  lua_replace(L, DEADLINE_AT);
}

static int condition_wait(lua_State *L) {
  struct aq_condition *c = check_condition(L);
  set_deadline(L, 2);
  check_held(L, c, "wait");
  lua_pushnil(L);
  lua_replace(L, PREDICATE_AT);
  return enter(L, c, aq_task_running(L, aq_runtime(L)));
}

/* The predicate's answer is on top. */
static int answered(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  if (lua_toboolean(L, -1)) return 1;
  struct aq_condition *c = check_condition(L);
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  lua_settop(L, DEADLINE_AT);
  if (lua_tointeger(L, DEADLINE_AT) == TIME_IS_UP) return aq_error_raise(L, AQ_TIMEDOUT);
  check_held(L, c, "wait_for");
  return enter(L, c, t);
}

static int ask(lua_State *L) {
  lua_settop(L, DEADLINE_AT);
  lua_pushvalue(L, PREDICATE_AT);
  lua_callk(L, 0, 1, 0, answered);
  return answered(L, LUA_OK, 0);
}

static int ask_a_last_time(lua_State *L) {
  lua_pushinteger(L, TIME_IS_UP);
  lua_replace(L, DEADLINE_AT);
  return ask(L);
}

static int condition_wait_for(lua_State *L) {
  struct aq_condition *c = check_condition(L);
  luaL_checktype(L, PREDICATE_AT, LUA_TFUNCTION);
  set_deadline(L, 3);
  check_held(L, c, "wait_for");
  return ask(L);
}

/* ---- notify ---------------------------------------------------------------------------------- */

/* How many to wake: 1 if it is not given. */
static size_t check_count(lua_State *L) {
  if (lua_isnoneornil(L, 2)) return 1;
  if (!lua_isinteger(L, 2)) luaL_typeerror(L, 2, "integer");
  lua_Integer n = lua_tointeger(L, 2);
  return n > 0 ? (size_t)n : 0;
}

static int condition_notify(lua_State *L) {
  struct aq_condition *c = check_condition(L);
  size_t n = check_count(L);
  check_held(L, c, "notify");
  aq_condition_notify(c, n);
  return 0;
}

static int condition_notify_all(lua_State *L) {
  struct aq_condition *c = check_condition(L);
  check_held(L, c, "notify_all");
  aq_condition_notify(c, SIZE_MAX);
  return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int condition_tostring(lua_State *L) {
  const struct aq_condition *c = check_condition(L);
  lua_pushfstring(L, "Condition %p (%s, %I waiting)", lua_touserdata(L, 1),
                  aq_lock_is_held(c->lock) ? "held" : "not held",
                  (LUAI_UACINT)aq_room_count(&c->waiters));
  return 1;
}

/* aq.Condition([lock]). Upvalues: the runtime, the metatable. */
static int condition_new(lua_State *L) {
  lua_settop(L, 1);
  struct aq_semaphore_object *lock = aq_test_semaphore(L, 1);
  if (!lua_isnil(L, 1) && (lock == NULL || lock->kind != AQ_LOCK)) luaL_typeerror(L, 1, "Lock");
  struct condition *c = lua_newuserdatauv(L, sizeof *c, 1);
  c->class = CONDITION_CLASS;
  aq_lock_init(&c->own);
  aq_condition_init(&c->condition, lock != NULL ? &lock->semaphore : &c->own);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOCK);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

/* internal: whether the value is a Condition */
static int is_condition(lua_State *L) {
  lua_pushboolean(L, test_condition(L) != NULL);
  return 1;
}

void aq_open_condition(lua_State *L) {
  static const luaL_Reg METHODS[] = {
    {"acquire", condition_acquire},       {"release", condition_release},
    {"locked", condition_locked},         {"wait", condition_wait},
    {"wait_for", condition_wait_for},     {"notify", condition_notify},
    {"notify_all", condition_notify_all}, {NULL, NULL}};
  static const luaL_Reg META[] = {{"__tostring", condition_tostring}, {NULL, NULL}};
  static const luaL_Reg CONSTRUCTOR = {"Condition", condition_new};
  static const luaL_Reg INTERNAL[] = {{"is_condition", is_condition}, {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
  aq_set_class(L, &CONSTRUCTOR, METHODS, META);
}
