/*
** pool.c - keeping coroutines, and letting go of those not needed.
*/
#include "pool.h"

#include <lauxlib.h>

/* A table that is garbage at once: its finalizer runs at the end of each cycle, and makes the next.
** Stack: the metatable on top. [-0, +0, m] */
static void watch_cycle(lua_State *L) {
  lua_newtable(L);
  lua_pushvalue(L, -2);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

static int cycle_gc(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  lua_getmetatable(L, 1);
  watch_cycle(L);
  if (rt == NULL) return 0;
  aq_runtime_push_uv(L, rt, AQ_UV_IDLE);
  for (; rt->fewest_idle > 0; rt->fewest_idle--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, rt->nidle--);
  }
  rt->fewest_idle = rt->nidle;
  return 0;
}

void aq_pool_open(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, cycle_gc);
  lua_setfield(L, -2, "__gc");
  watch_cycle(L);
  lua_pop(L, 1);
}

/* Pushes the coroutine on top of the pool at -1, taken out; NULL if somebody has closed it. */
static lua_State *pop(lua_State *L, struct aq_runtime *rt) {
  lua_rawgeti(L, -1, rt->nidle);
  lua_pushnil(L);
  lua_rawseti(L, -3, rt->nidle--);
  if (rt->nidle < rt->fewest_idle) rt->fewest_idle = rt->nidle;
  lua_State *co = lua_tothread(L, -1);
  if (lua_status(co) == LUA_YIELD) return co;
  lua_pop(L, 1);
  return NULL;
}

lua_State *aq_pool_take(lua_State *L, struct aq_runtime *rt) {
  lua_State *co = NULL;
  if (rt->nidle == 0) return NULL;
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_IDLE);
  while (co == NULL && rt->nidle > 0) co = pop(L, rt);
  lua_remove(L, co != NULL ? -2 : -1);
  return co;
}

void aq_pool_give(lua_State *L, struct aq_runtime *rt) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_IDLE);
  lua_pushthread(L);
  lua_rawseti(L, -2, rt->nidle + 1);
  rt->nidle++;
  lua_pop(L, 1);
}
