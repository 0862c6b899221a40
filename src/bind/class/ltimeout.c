/*
** ltimeout.c - the Lua class Timeout: a deadline for a block, and the one inside wait_for.
**
** When the deadline of a block comes, its task is cancelled as if from outside, but at the level of
** shields that the block was opened in. The end of the block takes that cancel back, and turns
** CancelledError into TimeoutError if no other cancel is outstanding (G8).
**
** wait_for on a task or future has that one for its target: the deadline cancels the target, and
** from then on the caller is shielded while it sees the target end (G7). What the target returns
** or raises is the outcome; only its being cancelled means that the time was up.
*/
#include <math.h>

#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/task/cancel.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

static const char TIMEOUT_CLASS[] = "Timeout"; /* its address is the class */

enum { UV_TASK = 1, UV_TARGET = 2 };

/* What a deadline of the past has found when it cancelled the task at once. */
struct late {
  uint64_t woken;    /* agenda.woken: the same until the task's step is over */
  uint32_t requests; /* of the task */
  bool must_cancel;  /* likewise */
  bool is_late;      /* it was one, and the task's own step that set it */
};

struct timeout {
  const void *class;           /* TIMEOUT_CLASS */
  struct aq_deadline deadline; /* armed while the block runs */
  struct aq_task *task;        /* whose block it is; kept by UV_TASK; NULL: left */
  struct aq_future *target;    /* wait_for's; kept by UV_TARGET; NULL for a block */
  struct aq_shield *level;     /* in which the block was opened */
  struct aq_shield shield;     /* put over the task when the target was cancelled */
  uint64_t when_ns;            /* the deadline, or AQ_NEVER */
  struct late late;
  bool has_expired; /* the task, or the target, was cancelled */
};

static struct timeout *check_timeout(lua_State *L) {
  struct timeout *s = aq_test_object(L, 1, TIMEOUT_CLASS, sizeof *s);
  if (s == NULL) luaL_typeerror(L, 1, "Timeout");
  return s;
}

static struct aq_agenda *agenda_of(struct timeout *s) { return &s->task->future.rt->loop->agenda; }

static void expire_target(lua_State *L, struct timeout *s) {
  if (s->target->state != AQ_PENDING) return; /* its outcome is on the way already */
  s->has_expired = s->task->notes_cancel = true;
  aq_shield_raise(&s->shield, s->task);
  if (s->target->class == aq_task_class) {
    struct aq_task *target = (struct aq_task *)s->target;
    aq_task_forget_message(L, target);
    aq_task_cancel(L, target);
  } else {
    aq_future_cancel(s->target);
  }
}

static void expire(lua_State *L, struct timeout *s) {
  if (s->target != NULL) {
    expire_target(L, s);
  } else {
    s->has_expired = s->task->notes_cancel = true;
    aq_task_forget_message(L, s->task);
    aq_task_cancel_at(L, s->task, s->level);
  }
}

static void on_deadline(struct aq_deadline *d) {
  struct timeout *s = AQ_CONTAINER(d, struct timeout, deadline);
  expire(s->task->future.rt->L, s);
}

static void expire_at_once(lua_State *L, struct timeout *s) {
  const struct aq_task *t = s->task;
  bool is_own = t->future.rt->current == t && t->shield == s->level;
  s->late = (struct late){agenda_of(s)->woken, t->requests, t->must_cancel, is_own};
  expire(L, s);
}

/* True if the task has not been suspended since, and is at the same level of shields. */
static bool is_undoable(struct timeout *s) {
  const struct aq_task *t = s->task;
  return s->late.is_late && s->late.woken == agenda_of(s)->woken && t->future.rt->current == t &&
         t->shield == s->level;
}

/* The task is as if the deadline had not come. Other cancels may have come meanwhile. */
static void undo(struct timeout *s) {
  struct aq_task *t = s->task;
  aq_task_uncancel(t);
  if (t->requests == s->late.requests) t->must_cancel = s->late.must_cancel;
  s->late.is_late = s->has_expired = false;
}

/* Arms the deadline `timeout_ns` from now; one that has come already takes effect at once. */
static void schedule(lua_State *L, struct timeout *s, uint64_t timeout_ns) {
  s->when_ns = aq_loop_deadline(s->task->future.rt->loop, timeout_ns);
  if (timeout_ns == 0)
    expire_at_once(L, s);
  else if (s->when_ns != AQ_NEVER)
    aq_deadline_arm(agenda_of(s), &s->deadline, s->when_ns);
}

/* Upvalues: the runtime, the metatable. */
static int push_timeout(lua_State *L, struct aq_future *target) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  uint64_t timeout_ns = aq_check_timeout(L, 1);
  struct timeout *s = lua_newuserdatauv(L, sizeof *s, 2);
  *s = (struct timeout){.class = TIMEOUT_CLASS, .task = t, .target = target, .level = t->shield};
  aq_deadline_init(&s->deadline, on_deadline);
  aq_task_push(L, t);
  lua_setiuservalue(L, -2, UV_TASK);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, UV_TARGET);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  if (aq_agenda_reserve(agenda_of(s)) != AQ_OK) return luaL_error(L, "not enough memory");
  schedule(L, s, timeout_ns);
  return 1;
}

/* aq.timeout(seconds) */
static int timeout_new(lua_State *L) {
  aq_check_no_more(L, 1, "the block is what follows; aq.wait_for(fn, seconds) calls a function");
  lua_settop(L, 1);
  lua_pushnil(L);
  return push_timeout(L, NULL);
}

/* internal.cancel_scope(): a block of the running task with no deadline, for expire and leave. Any
** cancel that leaves it may become another error, that of a child. */
static int cancel_scope(lua_State *L) {
  lua_settop(L, 0);
  lua_pushnil(L);
  lua_pushnil(L);
  push_timeout(L, NULL);
  aq_runtime(L)->current->notes_cancel = true;
  return 1;
}

/* internal.expire(scope): as if its deadline had come */
static int scope_expire(lua_State *L) {
  struct timeout *s = check_timeout(L);
  if (s->task != NULL && !s->has_expired) expire(L, s);
  return 0;
}

/* internal.leave(scope): takes back the cancel that was its own */
static int scope_leave(lua_State *L) {
  struct timeout *s = check_timeout(L);
  if (s->task != NULL && s->has_expired) aq_task_uncancel(s->task);
  s->task = NULL;
  return 0;
}

/* internal.timeout_for(seconds, future) */
static int timeout_for(lua_State *L) {
  lua_settop(L, 2);
  struct aq_future *target = aq_test_future(L, 2);
  if (target == NULL) return luaL_typeerror(L, 2, "Task or Future");
  return push_timeout(L, target);
}

static int timeout_reschedule(lua_State *L) {
  struct timeout *s = check_timeout(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  if (s->task == NULL) return luaL_error(L, "reschedule: the block has been left");
  if (s->has_expired && !is_undoable(s)) return luaL_error(L, "reschedule: the time is up already");
  if (aq_agenda_reserve(agenda_of(s)) != AQ_OK) return luaL_error(L, "not enough memory");
  if (s->has_expired) undo(s);
  aq_deadline_disarm(agenda_of(s), &s->deadline);
  schedule(L, s, timeout_ns);
  return 0;
}

static int timeout_when(lua_State *L) {
  struct timeout *s = check_timeout(L);
  if (s->when_ns == AQ_NEVER)
    lua_pushnil(L);
  else if (s->when_ns == AQ_FAR)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushnumber(L, (lua_Number)s->when_ns / 1e9);
  return 1;
}

static int timeout_expired(lua_State *L) {
  lua_pushboolean(L, check_timeout(L)->has_expired);
  return 1;
}

/* After the target was cancelled: a cancel of the caller's own that came meanwhile is a plain
** CancelledError, and is delivered by it. */
static void lower_shield(struct timeout *s, struct aq_task *t) {
  aq_shield_lower(&s->shield, t);
  if (t->requests == 0 || s->target->state != AQ_ENDED_CANCELLED) return;
  t->must_cancel = false;
  t->was_delivered = true;
}

static int timeout_close(lua_State *L) {
  struct timeout *s = check_timeout(L);
  struct aq_task *t = s->task;
  if (t == NULL) return 0;
  aq_deadline_disarm(agenda_of(s), &s->deadline);
  s->task = NULL;
  if (!s->has_expired) return 0;
  if (s->target != NULL)
    lower_shield(s, t);
  else
    aq_task_uncancel(t);
  if (t->requests == 0 && aq_error_is(L, 2, AQ_E_CANCELLED)) return aq_error_raise(L, AQ_TIMEDOUT);
  return 0;
}

/* Left without its block being closed: only if it was no <close> variable. */
static int timeout_gc(lua_State *L) {
  struct timeout *s = check_timeout(L);
  if (s->task == NULL) return 0;
  aq_deadline_disarm(agenda_of(s), &s->deadline);
  if (s->target != NULL && s->has_expired) lower_shield(s, s->task);
  s->task = NULL;
  return 0;
}

void aq_open_timeout(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"reschedule", timeout_reschedule},
                                     {"when", timeout_when},
                                     {"expired", timeout_expired},
                                     {NULL, NULL}};
  static const luaL_Reg META[] = {{"__close", timeout_close}, {"__gc", timeout_gc}, {NULL, NULL}};
  static const luaL_Reg CONSTRUCTOR = {"timeout", timeout_new};
  static const luaL_Reg INTERNAL[] = {{"timeout_for", timeout_for}, {"cancel_scope", cancel_scope}};
  static const luaL_Reg SCOPE[] = {{"expire", scope_expire}, {"leave", scope_leave}, {NULL, NULL}};
  aq_set_class(L, &CONSTRUCTOR, METHODS, META);
  lua_pushvalue(L, -2);
  lua_getiuservalue(L, -1, AQ_UV_INTERNAL);
  for (size_t i = 0; i < sizeof INTERNAL / sizeof *INTERNAL; i++)
    aq_set_class(L, &INTERNAL[i], METHODS, META);
  lua_pop(L, 2);
  aq_set_internal(L, SCOPE);
}
