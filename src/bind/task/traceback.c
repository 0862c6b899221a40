/*
** traceback.c - taking the traceback at the throw, and following an error that was passed on.
**
** A task that was handed another task's error and lets it go on shows both: first where the error
** was thrown, then where it was awaited.
*/
#include "traceback.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/base/error.h"
#include "task.h"

/* Pushes the traceback of the task the error came from, if it did come from one. The error is at
** 1, the running Task at `task`. */
static bool push_origin(lua_State *L, int task) {
  aq_push_extra(L, task, AQ_X_ORIGIN);
  if (lua_isnil(L, -1)) return false;
  int origin = lua_gettop(L);
  lua_getiuservalue(L, origin, AQ_UV_VALUE);
  if (!lua_rawequal(L, 1, -1)) return false;
  aq_push_extra(L, origin, AQ_X_TRACEBACK);
  if (lua_isnil(L, -1)) return false;
  aq_task_push_name(L, origin);
  lua_pushfstring(L, "%s\nin task '%s', awaited here:\n", lua_tostring(L, -2), lua_tostring(L, -1));
  return true;
}

void aq_push_stack(lua_State *L, lua_State *co, int level) {
  static const char OURS[] = "\n\t[C]: in ?";
  size_t length, ours = sizeof OURS - 1;
  luaL_traceback(L, co, NULL, level);
  const char *text = lua_tolstring(L, -1, &length);
  while (length > ours && memcmp(text + length - ours, OURS, ours) == 0) length -= ours;
  lua_pushlstring(L, text, length);
  lua_remove(L, -2);
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

int aq_traceback_handler(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt->current == NULL || aq_error_is(L, 1, AQ_E_CANCELLED)) return 1;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  aq_task_push(L, rt->current);
  bool has_origin = push_origin(L, 2);
  aq_push_stack(L, L, 1);
  if (has_origin) lua_concat(L, 2);
  aq_set_extra(L, 2, AQ_X_TRACEBACK);
  lua_settop(L, 1);
  return 1;
}

int aq_error_text(lua_State *L) {
  if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL);
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return 1;
}
