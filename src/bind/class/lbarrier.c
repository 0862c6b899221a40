/*
** lbarrier.c - the Lua class Barrier.
**
** The stack of a call that waits: the barrier at 1, the deadline in nanoseconds at 2 and, once the
** party is inside, its index at 3.
*/
#include <lauxlib.h>

#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "core/barrier.h"
#include "leaves.h"

static const char BARRIER_CLASS[] = "Barrier"; /* its address is the class */

enum { DEADLINE_AT = 2, INDEX_AT };

struct barrier {
  const void *class; /* BARRIER_CLASS, until finalized */
  struct aq_barrier barrier;
};

static struct barrier *check_object(lua_State *L) {
  struct barrier *b = aq_test_object(L, 1, BARRIER_CLASS, sizeof *b);
  if (b == NULL) aq_error_type(L, 1, "Barrier");
  return b;
}

static struct aq_barrier *check_barrier(lua_State *L) { return &check_object(L)->barrier; }

/* ---- wait ------------------------------------------------------------------------------------ */

static int look(lua_State *L, struct aq_task *t);

/* A party whose time is up looks a last time: it goes on if it need not wait any more. */
static bool may_look(const struct aq_barrier *b, enum aq_status status, bool is_inside) {
  if (status != AQ_TIMEDOUT) return status == AQ_OK;
  return is_inside ? b->state != AQ_FILLING : !aq_barrier_must_wait(b);
}

static int wait_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct barrier *b = lua_touserdata(L, 1);
  enum aq_status status = aq_task_outcome(t, cancelled);
  bool is_inside = lua_gettop(L) >= INDEX_AT;
  if (may_look(&b->barrier, status, is_inside)) return look(L, t);
  aq_barrier_break_off(&b->barrier, &t->waiter,
                       is_inside ? (size_t)lua_tointeger(L, INDEX_AT) : AQ_BEFORE);
  return aq_task_raise(L, t, status);
}

/* The stack may be no more. */
static void wait_give_up(lua_State *L, struct aq_task *t) {
  struct aq_barrier *b = t->waiter.thing;
  (void)L;
  aq_barrier_break_off(b, &t->waiter, aq_barrier_find(b, &t->waiter));
}

static const struct aq_wait WAIT = {"wait", wait_finish, wait_give_up};

static int wait_for_change(lua_State *L, struct aq_barrier *b, struct aq_task *t) {
  uint64_t deadline_ns = (uint64_t)lua_tointeger(L, DEADLINE_AT);
  aq_barrier_wait(b, &t->waiter, deadline_ns);
  if (deadline_ns <= t->waiter.agenda->now_ns) aq_waiter_abort(&t->waiter, AQ_TIMEDOUT);
  return aq_task_wait(L, t, &WAIT);
}

static int raise_broken(lua_State *L) {
  aq_error_push(L, AQ_E_BROKEN_BARRIER);
  return lua_error(L);
}

/* What a party inside does whenever it looks; its index is on top. */
static int meet(lua_State *L, struct aq_barrier *b, struct aq_task *t) {
  if (b->state == AQ_FILLING) return wait_for_change(L, b, t);
  bool is_broken = b->state != AQ_DRAINING;
  aq_barrier_leave(b, (size_t)lua_tointeger(L, INDEX_AT));
  return is_broken ? raise_broken(L) : 1;
}

static int come_in(lua_State *L, struct aq_barrier *b, struct aq_task *t) {
  if (aq_barrier_reserve(b) != AQ_OK) return aq_error_raise(L, AQ_NOMEM);
  if (aq_barrier_must_wait(b)) aq_task_check_wait(L, t);
  lua_pushinteger(L, (lua_Integer)aq_barrier_enter(b, &t->waiter));
  return meet(L, b, t);
}

/* Goes on, at first and whenever it is woken. It can be suspended here, if that is to be. */
static int look(lua_State *L, struct aq_task *t) {
  struct barrier *b = lua_touserdata(L, 1);
  if (lua_gettop(L) >= INDEX_AT) return meet(L, &b->barrier, t);
  if (aq_barrier_is_closed(&b->barrier)) {
    aq_task_check_wait(L, t);
    return wait_for_change(L, &b->barrier, t);
  }
  return b->barrier.state == AQ_ABORTED ? raise_broken(L) : come_in(L, &b->barrier, t);
}

static int barrier_wait(lua_State *L) {
  struct aq_barrier *b = check_barrier(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, aq_runtime(L), timeout_ns);
  bool must_wait = aq_barrier_must_wait(b);
  if (must_wait && timeout_ns == 0) return aq_task_time_out(L, t);
  lua_settop(L, 1);
  lua_pushinteger(L, (lua_Integer)aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return look(L, t);
}

/* ---- reset, abort, looking ------------------------------------------------------------------- */

static int barrier_reset(lua_State *L) {
  aq_barrier_reset(check_barrier(L));
  return 0;
}

static int barrier_abort(lua_State *L) {
  aq_barrier_abort(check_barrier(L));
  return 0;
}

static int barrier_parties(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_barrier(L)->parties);
  return 1;
}

static int barrier_n_waiting(lua_State *L) {
  const struct aq_barrier *b = check_barrier(L);
  lua_pushinteger(L, b->state == AQ_FILLING ? (lua_Integer)aq_barrier_count(b) : 0);
  return 1;
}

static int barrier_broken(lua_State *L) {
  lua_pushboolean(L, check_barrier(L)->state == AQ_ABORTED);
  return 1;
}

static int barrier_tostring(lua_State *L) {
  static const char *const STATES[] = {"filling", "draining", "resetting", "broken"};
  const struct aq_barrier *b = check_barrier(L);
  lua_pushfstring(L, "Barrier %p (%s, %I of %I)", lua_touserdata(L, 1), STATES[b->state],
                  (LUAI_UACINT)aq_barrier_count(b), (LUAI_UACINT)b->parties);
  return 1;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int barrier_gc(lua_State *L) {
  struct barrier *b = aq_test_object(L, 1, BARRIER_CLASS, sizeof *b);
  if (b == NULL) return 0; /* was finalized by hand */
  bool is_used = aq_barrier_count(&b->barrier) > 0 || !aq_list_alone(&b->barrier.waiters);
  if (aq_runtime(L)->is_driven && is_used)
    return luaL_error(L, "a barrier that is waited for cannot be finalized");
  b->class = aq_finalized_class;
  aq_barrier_free(&b->barrier);
  return 0;
}

/* aq.Barrier(parties). Upvalues: the runtime, the metatable. */
static int barrier_new(lua_State *L) {
  aq_check_no_more(L, 1, "a barrier calls nothing");
  luaL_argcheck(L, lua_isinteger(L, 1) && lua_tointeger(L, 1) > 0, 1, "positive integer expected");
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  struct barrier *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->class = BARRIER_CLASS;
  aq_barrier_init(&b->barrier, (size_t)lua_tointeger(L, 1), (struct aq_alloc){alloc, ud});
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

void aq_open_barrier(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"wait", barrier_wait},
                                     {"reset", barrier_reset},
                                     {"abort", barrier_abort},
                                     {"parties", barrier_parties},
                                     {"n_waiting", barrier_n_waiting},
                                     {"broken", barrier_broken},
                                     {NULL, NULL}};
  static const luaL_Reg META[] = {
    {"__tostring", barrier_tostring}, {"__gc", barrier_gc}, {NULL, NULL}};
  static const luaL_Reg CONSTRUCTOR = {"Barrier", barrier_new};
  aq_set_class(L, &CONSTRUCTOR, METHODS, META);
}
