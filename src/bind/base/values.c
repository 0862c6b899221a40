/*
** values.c - lists of results.
*/
#include "values.h"

#include <lauxlib.h>

void aq_values_pack(lua_State *L, int first) {
  int n = lua_gettop(L) - first + 1;
  lua_createtable(L, n, 0);
  lua_insert(L, first);
  for (int i = n; i >= 1; i--) lua_rawseti(L, first, i);
}

int aq_values_unpack(lua_State *L, int n) {
  int list = lua_gettop(L);
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, list, i);
  lua_remove(L, list);
  return n;
}
