/*
** place.c - a line, a stack.
*/
#include "place.h"

#include <lauxlib.h>
#include <string.h>

#include "runtime.h"

bool aq_push_stack(lua_State *L, lua_State *co, int level) {
  static const char OURS[] = "\n\t[C]: in ?";
  size_t length, ours = sizeof OURS - 1;
  luaL_traceback(L, co, NULL, level);
  const char *text = lua_tolstring(L, -1, &length);
  while (length > ours && memcmp(text + length - ours, OURS, ours) == 0) length -= ours;
  lua_pushlstring(L, text, length);
  lua_remove(L, -2);
  return memchr(lua_tostring(L, -1), '\n', length) != NULL;
}

lua_CFunction aq_bottom_function(lua_State *co) {
  lua_Debug ar;
  int level = 0;
  while (lua_getstack(co, level, &ar)) level++;
  if (level == 0 || !lua_checkstack(co, 1)) return NULL;
  lua_getstack(co, level - 1, &ar);
  lua_getinfo(co, "f", &ar);
  lua_CFunction fn = lua_tocfunction(co, -1);
  lua_pop(co, 1);
  return fn;
}

bool aq_push_line(lua_State *L, lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline <= 0 || strncmp(ar.source, AQ_CHUNK, sizeof AQ_CHUNK - 1) == 0) continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return true;
  }
  lua_pushliteral(L, "?");
  return false;
}
