/*
** ltime.c - sleep, now, the deadline of a block, and the shield.
*/
#include "error.h"
#include "leaves.h"
#include "task.h"

/* ---- sleep and now --------------------------------------------------------------------------- */

static int sleep_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = cancelled ? AQ_CANCELLED : t->waiter.status;
  if (status != AQ_OK && status != AQ_TIMEDOUT) return aq_task_raise(L, t, status);
  lua_settop(L, 2);
  return 1;
}

static const struct aq_wait SLEEP = {"sleep", sleep_finish};

static int aq_sleep(lua_State *L) {
  aq_task_running(L);
  luaL_checktype(L, 1, LUA_TNUMBER);
  uint64_t timeout_ns = aq_check_timeout(L, 1);
  struct aq_task *t = aq_task_to_wait(L);
  if (aq_task_is_interrupted(t)) return aq_task_wait(L, t, &SLEEP);
  if (timeout_ns == 0)
    aq_waiter_ready(&t->waiter, AQ_OK);
  else
    aq_waiter_enter(&t->waiter, NULL, NULL, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &SLEEP);
}

static int aq_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)aq_loop_now(aq_runtime(L)->loop) / 1e9);
  return 1;
}

/* ---- timeout: a deadline for a block --------------------------------------------------------- */

static const char TIMEOUT_CLASS[] = "Timeout"; /* its address is the class */

enum { UV_TASK = 1 };

/*
** When the deadline comes, the task is cancelled as if from outside, but at the level of shields
** the block was opened in. The end of the block takes that cancel back, and turns CancelledError
** into TimeoutError if no other cancel is outstanding (G8).
*/
struct timeout {
  const void *class;           /* TIMEOUT_CLASS */
  struct aq_deadline deadline; /* armed while the block runs */
  struct aq_task *task;        /* whose block it is; kept by UV_TASK; NULL: left */
  struct aq_shield *level;     /* in which the block was opened */
  uint64_t when_ns;            /* the deadline, or AQ_NEVER */
  bool has_expired;            /* the task was cancelled */
};

static struct timeout *check_scope(lua_State *L) {
  struct timeout *s = lua_touserdata(L, 1);
  if (s == NULL || lua_rawlen(L, 1) < sizeof *s || s->class != TIMEOUT_CLASS)
    luaL_typeerror(L, 1, "Timeout");
  return s;
}

static struct aq_agenda *agenda_of(struct timeout *s) { return &s->task->future.rt->loop->agenda; }

static void expire(lua_State *L, struct timeout *s) {
  s->has_expired = true;
  aq_task_cancel_at(L, s->task, s->level);
}

static void on_deadline(struct aq_deadline *d) {
  struct timeout *s = AQ_CONTAINER(d, struct timeout, deadline);
  expire(s->task->future.rt->L, s);
}

/* Arms the deadline `timeout_ns` from now; one that has come already takes effect at once. */
static void schedule(lua_State *L, struct timeout *s, uint64_t timeout_ns) {
  s->when_ns = aq_loop_deadline(s->task->future.rt->loop, timeout_ns);
  if (timeout_ns == 0)
    expire(L, s);
  else if (s->when_ns != AQ_NEVER)
    aq_deadline_arm(agenda_of(s), &s->deadline, s->when_ns);
}

/* aq.timeout(seconds). Upvalues: the runtime, the metatable. */
static int timeout_new(lua_State *L) {
  struct aq_task *t = aq_task_running(L);
  uint64_t timeout_ns = aq_check_timeout(L, 1);
  struct timeout *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (struct timeout){.class = TIMEOUT_CLASS, .task = t, .level = t->shield};
  aq_deadline_init(&s->deadline, on_deadline);
  aq_task_push(L, t);
  lua_setiuservalue(L, -2, UV_TASK);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  if (aq_agenda_reserve(agenda_of(s)) != AQ_OK) return luaL_error(L, "not enough memory");
  schedule(L, s, timeout_ns);
  return 1;
}

static int timeout_reschedule(lua_State *L) {
  struct timeout *s = check_scope(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  if (s->task == NULL) return luaL_error(L, "reschedule: the block has been left");
  if (s->has_expired) return luaL_error(L, "reschedule: the time is up already");
  if (aq_agenda_reserve(agenda_of(s)) != AQ_OK) return luaL_error(L, "not enough memory");
  aq_deadline_disarm(agenda_of(s), &s->deadline);
  schedule(L, s, timeout_ns);
  return 0;
}

static int timeout_when(lua_State *L) {
  struct timeout *s = check_scope(L);
  if (s->when_ns == AQ_NEVER) return 0;
  lua_pushnumber(L, (lua_Number)s->when_ns / 1e9);
  return 1;
}

static int timeout_expired(lua_State *L) {
  lua_pushboolean(L, check_scope(L)->has_expired);
  return 1;
}

static int timeout_close(lua_State *L) {
  struct timeout *s = check_scope(L);
  struct aq_task *t = s->task;
  if (t == NULL) return 0;
  aq_deadline_disarm(agenda_of(s), &s->deadline);
  s->task = NULL;
  if (!s->has_expired) return 0;
  aq_task_uncancel(t);
  if (t->requests == 0 && aq_error_is(L, 2, AQ_E_CANCELLED)) return aq_error_raise(L, AQ_TIMEDOUT);
  return 0;
}

/* Left without its block being closed: only if it was no <close> variable. */
static int timeout_gc(lua_State *L) {
  struct timeout *s = check_scope(L);
  if (s->task != NULL) aq_deadline_disarm(agenda_of(s), &s->deadline);
  s->task = NULL;
  return 0;
}

/* ---- shield ---------------------------------------------------------------------------------- */

enum { UV_SHIELD_TASK = 1 };

struct shield {
  struct aq_shield frame;
  struct aq_task *task; /* whose it is; kept by UV_SHIELD_TASK; NULL: taken off */
};

/* internal: a value for a <close> variable; until closed, cancels of the running task wait. */
static int shield_new(lua_State *L) {
  struct aq_task *t = aq_task_running(L);
  struct shield *s = lua_newuserdatauv(L, sizeof *s, 1);
  s->task = NULL;
  aq_task_push(L, t);
  lua_setiuservalue(L, -2, UV_SHIELD_TASK);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  s->frame = (struct aq_shield){t->shield, t->requests, t->must_cancel};
  s->task = t;
  t->shield = &s->frame;
  t->requests = 0;
  t->must_cancel = false;
  return 1;
}

static int shield_close(lua_State *L) {
  struct shield *s = lua_touserdata(L, 1);
  struct aq_task *t = s->task;
  if (t == NULL) return 0;
  s->task = NULL;
  t->shield = s->frame.outer;
  t->requests += s->frame.requests;
  t->must_cancel = s->frame.must_cancel || t->must_cancel;
  return 0;
}

/* ---- the virtual clock ----------------------------------------------------------------------- */

/* internal: puts the virtual clock in force, or the real one */
static int use_virtual_clock(lua_State *L) {
  aq_loop_use_virtual(aq_runtime(L)->loop, lua_toboolean(L, 1));
  return 0;
}

/* internal: whether the virtual clock is in force */
static int is_virtual_clock(lua_State *L) {
  lua_pushboolean(L, aq_runtime(L)->loop->is_virtual);
  return 1;
}

/* Adds `name` = a function with the runtime and the metatable on top as upvalues to the table
** `into`, and pops the metatable. */
static void set_constructor(lua_State *L, lua_CFunction fn, int runtime, int into,
                            const char *name) {
  lua_pushvalue(L, runtime);
  lua_insert(L, -2);
  lua_pushcclosure(L, fn, 2);
  lua_setfield(L, into, name);
}

void aq_open_time(lua_State *L) {
  static const luaL_Reg TIMEOUT[] = {{"reschedule", timeout_reschedule},
                                     {"when", timeout_when},
                                     {"expired", timeout_expired},
                                     {NULL, NULL}};
  static const luaL_Reg TIMEOUT_META[] = {
    {"__close", timeout_close}, {"__gc", timeout_gc}, {NULL, NULL}};
  static const luaL_Reg SHIELD_META[] = {{"__close", shield_close}, {NULL, NULL}};
  static const luaL_Reg NONE[] = {{NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"sleep", aq_sleep}, {"now", aq_now}, {NULL, NULL}};
  static const luaL_Reg INTERNAL[] = {
    {"use_virtual_clock", use_virtual_clock}, {"is_virtual_clock", is_virtual_clock}, {NULL, NULL}};
  int module = lua_gettop(L), runtime = module - 1;
  aq_setfuncs(L, FUNCTIONS);
  aq_set_internal(L, INTERNAL);
  aq_push_class(L, "Timeout", TIMEOUT, TIMEOUT_META);
  set_constructor(L, timeout_new, runtime, module, "timeout");
  lua_getiuservalue(L, runtime, AQ_UV_INTERNAL);
  lua_pushvalue(L, runtime); /* aq_push_class looks for the runtime below the top */
  lua_pushvalue(L, module);
  aq_push_class(L, "Shield", NONE, SHIELD_META);
  set_constructor(L, shield_new, runtime, module + 1, "shield");
  lua_settop(L, module);
}
