/*
** pool.c - keeping coroutines, and letting go of those not needed.
*/
#include "pool.h"

#include <lauxlib.h>

#include "runtime.h"

enum { FIRST_CAPACITY = 16 };

static void *resize(lua_State *L, struct aq_pool *p, uint32_t capacity) {
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  size_t size = sizeof *p->rested;
  return alloc(ud, p->rested, p->capacity * size, capacity * size);
}

void aq_pool_free(lua_State *L, struct aq_pool *p) {
  if (p->rested != NULL) resize(L, p, 0);
  *p = (struct aq_pool){0};
}

/* Room for one more. If there is no memory, a coroutine is let go instead: that is no failure. */
static bool has_room(lua_State *L, struct aq_pool *p) {
  if (p->count < p->capacity) return true;
  uint32_t capacity = p->capacity > 0 ? p->capacity * 2 : FIRST_CAPACITY;
  struct aq_rested *rested = resize(L, p, capacity);
  if (rested == NULL) return false;
  p->rested = rested;
  p->capacity = capacity;
  return true;
}

static struct aq_rested pop(struct aq_pool *p) {
  struct aq_rested r = p->rested[--p->count];
  if (p->count < p->fewest) p->fewest = p->count;
  return r;
}

/* ---- letting go ------------------------------------------------------------------------------ */

static int cycle_gc(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  lua_getmetatable(L, 1);
  lua_setmetatable(L, 1); /* to be finalized again at the end of the next cycle */
  if (rt == NULL) return 0;
  struct aq_pool *p = &rt->pool;
  aq_runtime_push_uv(L, rt, AQ_UV_LIVE);
  for (uint32_t n = p->fewest; n > 0; n--) aq_shelf_drop(L, &rt->live, -1, pop(p).slot);
  p->fewest = p->count;
  return 0;
}

/* A table that is garbage at once: its finalizer runs at the end of each cycle. */
void aq_pool_open(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, cycle_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* ---- taking and giving ----------------------------------------------------------------------- */

static void let_go(lua_State *L, struct aq_runtime *rt, uint32_t slot) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_LIVE);
  aq_shelf_drop(L, &rt->live, -1, slot);
  lua_pop(L, 1);
}

/* Unless somebody has meddled with it. */
static bool is_as_new(lua_State *co) { return lua_status(co) == LUA_OK && lua_gettop(co) == 0; }

/* The hook of whoever makes the task, as for a new coroutine. */
static void inherit_hook(lua_State *L, lua_State *co) {
  if (lua_gethook(L) == NULL && lua_gethook(co) == NULL) return;
  lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
}

lua_State *aq_pool_take(lua_State *L, struct aq_runtime *rt, int room, uint32_t *slot) {
  while (rt->pool.count > 0) {
    struct aq_rested r = pop(&rt->pool);
    *slot = r.slot;
    if (is_as_new(r.co) && lua_checkstack(r.co, room)) {
      inherit_hook(L, r.co);
      return r.co;
    }
    let_go(L, rt, r.slot);
  }
  return NULL;
}

/* A hook must not run between here and the return: it might make a task. */
void aq_pool_give(lua_State *L, struct aq_runtime *rt, uint32_t slot) {
  if (!has_room(L, &rt->pool)) {
    let_go(L, rt, slot);
    return;
  }
  if (lua_gethook(L) != NULL) lua_sethook(L, NULL, 0, 0);
  rt->pool.rested[rt->pool.count++] = (struct aq_rested){L, slot};
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_LIVE);
  lua_pushthread(L);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}
