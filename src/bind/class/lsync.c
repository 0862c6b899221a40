/*
** lsync.c - the Lua classes Event, Lock, Semaphore and BoundedSemaphore.
*/
#include <lauxlib.h>

#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/object/branch.h"
#include "bind/object/semaphore_object.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

/* ---- Event ----------------------------------------------------------------------------------- */

static const char EVENT_CLASS[] = "Event"; /* its address is the class */

struct event {
  const void *class;
  struct aq_event event;
};

static struct aq_event *check_event(lua_State *L) {
  struct event *e = aq_test_object(L, 1, EVENT_CLASS, sizeof *e);
  if (e == NULL) luaL_typeerror(L, 1, "Event");
  return &e->event;
}

static int event_set(lua_State *L) {
  aq_event_set(check_event(L));
  return 0;
}

static int event_clear(lua_State *L) {
  check_event(L)->is_set = false;
  return 0;
}

static int event_is_set(lua_State *L) {
  lua_pushboolean(L, check_event(L)->is_set);
  return 1;
}

static int wait_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  aq_task_check_outcome(L, t, cancelled);
  return aq_push_success(L);
}

static const struct aq_wait WAIT = {"wait", wait_finish, NULL};

static int event_wait(lua_State *L) {
  struct aq_event *e = check_event(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, aq_runtime(L), timeout_ns);
  if (e->is_set) return aq_push_success(L);
  if (timeout_ns == 0) return aq_task_time_out(L, t);
  aq_task_check_wait(L, t);
  aq_waiter_enter(&t->waiter, &e->waiters, NULL, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &WAIT);
}

/* A select's branch. */
static bool waiting_is_ready(const struct aq_branch_object *b) {
  const struct event *e = b->object;
  return e->event.is_set;
}

static enum aq_status waiting_attempt(lua_State *L, struct aq_branch_object *b) {
  (void)b;
  lua_pushnil(L);
  return AQ_OK;
}

static void waiting_enter(struct aq_branch_object *b) {
  struct event *e = b->object;
  aq_waiter_enter(&b->branch.waiter, &e->event.waiters, NULL, AQ_NEVER);
}

static int event_waiting(lua_State *L) {
  static const struct aq_branch_kind WAITING = {.name = "",
                                                .is_ready = waiting_is_ready,
                                                .attempt = waiting_attempt,
                                                .enter = waiting_enter,
                                                .finish = waiting_attempt};
  check_event(L);
  aq_check_no_more(L, 1, "the timeout is that of the select");
  aq_branch_push(L, &WAITING, lua_touserdata(L, 1), 1, 1);
  return 1;
}

static int event_tostring(lua_State *L) {
  struct aq_event *e = check_event(L);
  lua_pushfstring(L, "Event %p (%s, %I waiting)", (void *)e, e->is_set ? "set" : "not set",
                  (LUAI_UACINT)aq_room_count(&e->waiters));
  return 1;
}

/* aq.Event(). Upvalues: the runtime, the metatable. */
static int event_new(lua_State *L) {
  aq_check_no_more(L, 0, "an event begins as not set");
  struct event *e = lua_newuserdatauv(L, sizeof *e, 0);
  e->class = EVENT_CLASS;
  aq_event_init(&e->event);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

/* ---- Lock, Semaphore, BoundedSemaphore ------------------------------------------------------- */

static const char *const NAMES[] = {"Lock", "Semaphore", "BoundedSemaphore"};

static struct aq_semaphore_object *check_semaphore(lua_State *L) {
  struct aq_semaphore_object *s = aq_test_semaphore(L, 1);
  if (s == NULL) luaL_typeerror(L, 1, "Lock or Semaphore");
  return s;
}

static int semaphore_acquire(lua_State *L) { return aq_acquire(L, &check_semaphore(L)->semaphore); }

static bool may_release(const struct aq_semaphore_object *s) {
  return (s->kind == AQ_SEMAPHORE && s->semaphore.value < INT64_MAX) ||
         s->semaphore.value < s->bound;
}

static int semaphore_release(lua_State *L) {
  struct aq_semaphore_object *s = check_semaphore(L);
  aq_check_no_more(L, 1, "each call releases once");
  if (s->kind == AQ_LOCK) return aq_release_lock(L, &s->semaphore);
  if (!may_release(s)) return luaL_error(L, "release: called more often than acquire");
  aq_semaphore_release(&s->semaphore);
  return 0;
}

static int semaphore_locked(lua_State *L) {
  const struct aq_semaphore_object *s = check_semaphore(L);
  lua_pushboolean(L, s->kind == AQ_LOCK ? aq_lock_is_held(&s->semaphore)
                                        : aq_semaphore_is_locked(&s->semaphore));
  return 1;
}

static int semaphore_tostring(lua_State *L) {
  const struct aq_semaphore_object *s = check_semaphore(L);
  if (s->kind == AQ_LOCK)
    lua_pushfstring(L, "Lock %p (%s", (const void *)s,
                    aq_lock_is_held(&s->semaphore) ? "held" : "not held");
  else
    lua_pushfstring(L, "%s %p (value %I", NAMES[s->kind], (const void *)s,
                    (LUAI_UACINT)s->semaphore.value);
  lua_pushfstring(L, "%s, %I waiting)", lua_tostring(L, -1),
                  (LUAI_UACINT)aq_room_count(&s->semaphore.waiters));
  return 1;
}

static int push_semaphore(lua_State *L, enum aq_semaphore_kind kind, size_t value) {
  struct aq_semaphore_object *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->class = aq_semaphore_class;
  if (kind == AQ_LOCK)
    aq_lock_init(&s->semaphore);
  else
    aq_semaphore_init(&s->semaphore, value);
  s->bound = value;
  s->kind = kind;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

/* The number of permits at 1: 1 for nil, as with asyncio. */
static size_t check_permits(lua_State *L) {
  if (!lua_isnoneornil(L, 1) && lua_type(L, 1) != LUA_TNUMBER) luaL_typeerror(L, 1, "integer");
  lua_Integer value = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, value >= 0, 1, "number of permits expected, got a negative one");
  return (size_t)value;
}

static int lock_new(lua_State *L) {
  aq_check_no_more(L, 0, "a lock begins as free");
  return push_semaphore(L, AQ_LOCK, 1);
}

static int semaphore_new(lua_State *L) { return push_semaphore(L, AQ_SEMAPHORE, check_permits(L)); }

static int bounded_new(lua_State *L) { return push_semaphore(L, AQ_BOUNDED, check_permits(L)); }

/* internal: whether the value is a Lock or a Semaphore of either kind */
static int is_semaphore(lua_State *L) {
  lua_pushboolean(L, aq_test_semaphore(L, 1) != NULL);
  return 1;
}

/* ---- opening --------------------------------------------------------------------------------- */

void aq_open_sync(lua_State *L) {
  static const luaL_Reg EVENT[] = {{"set", event_set},         {"clear", event_clear},
                                   {"is_set", event_is_set},   {"wait", event_wait},
                                   {"waiting", event_waiting}, {NULL, NULL}};
  static const luaL_Reg EVENT_META[] = {{"__tostring", event_tostring}, {NULL, NULL}};
  static const luaL_Reg METHODS[] = {{"acquire", semaphore_acquire},
                                     {"release", semaphore_release},
                                     {"locked", semaphore_locked},
                                     {NULL, NULL}};
  static const luaL_Reg META[] = {{"__tostring", semaphore_tostring}, {NULL, NULL}};
  static const luaL_Reg CONSTRUCTORS[] = {
    {"Lock", lock_new}, {"Semaphore", semaphore_new}, {"BoundedSemaphore", bounded_new}};
  static const luaL_Reg EVENT_CONSTRUCTOR = {"Event", event_new};
  static const luaL_Reg INTERNAL[] = {{"is_semaphore", is_semaphore}, {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
  aq_set_class(L, &EVENT_CONSTRUCTOR, EVENT, EVENT_META);
  for (size_t i = 0; i < sizeof CONSTRUCTORS / sizeof *CONSTRUCTORS; i++)
    aq_set_class(L, &CONSTRUCTORS[i], METHODS, META);
}
