/*
** ltime.c - sleep, now, the shield, and the virtual clock.
*/
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/task/cancel.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

/* ---- sleep and now --------------------------------------------------------------------------- */

static int sleep_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  if (cancelled || t->waiter.status != AQ_TIMEDOUT) aq_task_check_outcome(L, t, cancelled);
  lua_settop(L, 2);
  return 1;
}

static const struct aq_wait SLEEP = {"sleep", sleep_finish, NULL};

static int aq_sleep(lua_State *L) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  luaL_checktype(L, 1, LUA_TNUMBER);
  uint64_t timeout_ns = aq_check_timeout(L, 1);
  aq_task_check_wait(L, t);
  if (timeout_ns == 0)
    aq_waiter_ready(&t->waiter, AQ_OK);
  else
    aq_waiter_enter(&t->waiter, NULL, NULL, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &SLEEP);
}

static int aq_now(lua_State *L) {
  if (aq_runtime(L)->loop == NULL) return luaL_error(L, "now: the state is being closed");
  lua_pushnumber(L, (lua_Number)aq_loop_now(aq_runtime(L)->loop) / 1e9);
  return 1;
}

/* ---- shield ---------------------------------------------------------------------------------- */

enum { UV_SHIELD_TASK = 1 };

struct shield {
  struct aq_shield frame;
  struct aq_task *task; /* whose it is; kept by UV_SHIELD_TASK; NULL: taken off */
};

/* internal: a value for a <close> variable; until closed, cancels of the running task wait. */
static int shield_new(lua_State *L) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  struct shield *s = lua_newuserdatauv(L, sizeof *s, 1);
  s->task = NULL;
  aq_task_push(L, t);
  lua_setiuservalue(L, -2, UV_SHIELD_TASK);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  aq_shield_raise(&s->frame, t);
  s->task = t;
  return 1;
}

static int shield_close(lua_State *L) {
  struct shield *s = lua_touserdata(L, 1);
  struct aq_task *t = s->task;
  if (t == NULL) return 0;
  s->task = NULL;
  aq_shield_lower(&s->frame, t);
  return 0;
}

/* ---- the virtual clock ----------------------------------------------------------------------- */

/* internal: puts the virtual clock in force, or the real one */
static int use_virtual_clock(lua_State *L) {
  if (aq_runtime(L)->loop->attachment != NULL)
    return luaL_error(L, "a virtual clock is not for a run that is attached to the host's loop");
  aq_loop_use_virtual(aq_runtime(L)->loop, lua_toboolean(L, 1));
  return 0;
}

/* internal: whether the virtual clock is in force */
static int is_virtual_clock(lua_State *L) {
  lua_pushboolean(L, aq_runtime(L)->loop->is_virtual);
  return 1;
}

/* internal.shuffle(seed): 0 for the order of becoming ready. Returns what goes on with the order that
** was in force before, as a seed. */
static int shuffle(lua_State *L) {
  struct aq_agenda *a = &aq_runtime(L)->loop->agenda;
  lua_Integer seed = luaL_checkinteger(L, 1);
  lua_pushinteger(L, (lua_Integer)a->shuffle);
  aq_agenda_shuffle(a, (uint64_t)seed);
  return 1;
}

/* internal: how many but the running task will run without waiting for anything */
static int count_ready(lua_State *L) {
  const struct aq_agenda *a = &aq_runtime(L)->loop->agenda;
  lua_pushinteger(L, (lua_Integer)(aq_room_count(&a->ready) + aq_room_count(&a->batch)));
  return 1;
}

/* internal: whether a Lua function, and not C or nobody, called the function that calls this */
static int is_called_by_lua(lua_State *L) {
  lua_Debug ar;
  bool is_known = lua_getstack(L, 2, &ar) && lua_getinfo(L, "S", &ar);
  lua_pushboolean(L, is_known && *ar.what != 'C');
  return 1;
}

void aq_open_time(lua_State *L) {
  static const luaL_Reg SHIELD_META[] = {
    {"__close", shield_close}, {"__gc", shield_close}, {NULL, NULL}};
  static const luaL_Reg NONE[] = {{NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"sleep", aq_sleep}, {"now", aq_now}, {NULL, NULL}};
  static const luaL_Reg INTERNAL[] = {{"use_virtual_clock", use_virtual_clock},
                                      {"is_virtual_clock", is_virtual_clock},
                                      {"shuffle", shuffle},
                                      {"is_called_by_lua", is_called_by_lua},
                                      {"count_ready", count_ready},
                                      {NULL, NULL}};
  static const luaL_Reg SHIELD_CONSTRUCTOR = {"shield", shield_new};
  aq_setfuncs(L, FUNCTIONS);
  aq_set_internal(L, INTERNAL);
  lua_pushvalue(L, -2);
  lua_getiuservalue(L, -1, AQ_UV_INTERNAL);
  aq_set_class(L, &SHIELD_CONSTRUCTOR, NONE, SHIELD_META);
  lua_pop(L, 2);
}
