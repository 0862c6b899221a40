/*
** traceback.c - taking the traceback at the throw, and following an error that was passed on.
**
** A task that was handed another task's error and lets it go on shows both: first where the error
** was thrown, then where it was awaited.
*/
#include "traceback.h"

#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/base/place.h"
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
