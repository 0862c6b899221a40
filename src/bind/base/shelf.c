/*
** shelf.c - slots for Lua values.
*/
#include "shelf.h"

#include <lauxlib.h>

enum { FIRST_CAPACITY = 8 };

void aq_shelf_init(struct aq_shelf *s) { *s = (struct aq_shelf){0}; }

static void *resize(lua_State *L, void *block, size_t old_count, size_t new_count) {
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  return alloc(ud, block, old_count * sizeof(uint32_t), new_count * sizeof(uint32_t));
}

void aq_shelf_free(lua_State *L, struct aq_shelf *s) {
  if (s->free != NULL) resize(L, s->free, s->capacity, 0);
  aq_shelf_init(s);
}

static void copy_slots(lua_State *L, int from, int to, uint32_t capacity) {
  for (uint32_t slot = 1; slot <= capacity; slot++) {
    lua_rawgeti(L, from, slot);
    lua_rawseti(L, to, slot);
  }
}

/*
** The new table has all of its slots in the array part, so that setting one never allocates.
** Making it may run a finalizer that uses this very shelf: the shelf is looked at afterwards.
*/
void aq_shelf_grow(lua_State *L, struct aq_shelf *s, uint32_t n, int owner, int uv) {
  uint32_t capacity = s->capacity > 0 ? s->capacity * 2 : FIRST_CAPACITY;
  if (capacity > INT32_MAX) luaL_error(L, "too many values waiting");
  owner = lua_absindex(L, owner);
  int top = lua_gettop(L);
  lua_createtable(L, (int)capacity, 0);
  if (s->nfree < n && s->capacity < capacity) {
    uint32_t *stack = resize(L, s->free, s->capacity, capacity);
    if (stack == NULL) luaL_error(L, "not enough memory");
    s->free = stack;
    lua_getiuservalue(L, owner, uv);
    copy_slots(L, top + 2, top + 1, s->capacity);
    for (uint32_t slot = capacity; slot > s->capacity; slot--) s->free[s->nfree++] = slot;
    s->capacity = capacity;
    lua_pushvalue(L, top + 1);
    lua_setiuservalue(L, owner, uv);
  }
  lua_settop(L, top);
}

uint32_t aq_shelf_put(lua_State *L, struct aq_shelf *s, int table, int value) {
  table = lua_absindex(L, table);
  lua_pushvalue(L, value);
  uint32_t slot = aq_shelf_slot(s);
  lua_rawseti(L, table, slot);
  return slot;
}

void aq_shelf_take(lua_State *L, struct aq_shelf *s, int table, uint32_t slot) {
  table = lua_absindex(L, table);
  lua_rawgeti(L, table, slot);
  aq_shelf_drop(L, s, table, slot);
}

void aq_shelf_drop(lua_State *L, struct aq_shelf *s, int table, uint32_t slot) {
  table = lua_absindex(L, table);
  lua_pushnil(L);
  lua_rawseti(L, table, slot);
  s->free[s->nfree++] = slot;
}
