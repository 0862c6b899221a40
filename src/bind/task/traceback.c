/*
** traceback.c - taking the traceback at the throw, and following an error that was passed on.
**
** The handler is called for an error that no pcall in the body is there to catch: so the body is being
** left. If it is called again, a <close> variable has put another error in the place of the first:
** TimeoutError in that of the CancelledError, or a child's failure in that of the body's. Where the
** body was is no longer on the stack then, and has been noted the first time.
**
** A task that was handed another task's error and lets it go on shows both: first where the error
** was thrown, then where it was awaited.
*/
#include "traceback.h"

#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/base/place.h"
#include "task.h"

/* Pushes name and traceback of the task the error came from, if it did come from one. The error is at
** 1, the running Task at 2. */
static bool push_origin(lua_State *L) {
  aq_push_extra(L, 2, AQ_X_ORIGIN);
  if (lua_isnil(L, -1)) return false;
  int origin = lua_gettop(L);
  lua_getiuservalue(L, origin, AQ_UV_VALUE);
  if (!lua_rawequal(L, 1, -1)) return false;
  aq_task_push_name(L, origin);
  aq_push_extra(L, origin, AQ_X_TRACEBACK);
  return !lua_isnil(L, -1);
}

/* Pushes where the body is: its stack or, if that has no line of the user's any more, what was noted
** before. False: nothing is known. The running Task is at 2. */
static bool push_stack(lua_State *L) {
  bool has_line = aq_push_line(L, L, 1);
  aq_push_extra(L, 2, AQ_X_STACK);
  if (!has_line && !lua_isnil(L, -1)) return true;
  if (!aq_push_stack(L, L, 1)) return false;
  lua_pushvalue(L, -1);
  aq_set_extra(L, 2, AQ_X_STACK);
  return true;
}

/* A cancel has broken the body off here, or has done so before. Stack: as below. */
static void note_break(lua_State *L) {
  aq_push_extra(L, 2, AQ_X_STACK);
  if (lua_isnil(L, -1)) push_stack(L);
}

/* Stack: the error, the running Task. */
static void keep_traceback(lua_State *L) {
  bool has_stack = push_stack(L);
  int stack = lua_gettop(L);
  if (!push_origin(L)) {
    if (!has_stack) return;
    lua_pushvalue(L, stack);
  } else if (has_stack) {
    lua_pushfstring(L, "%s\nin task '%s', awaited here:\n%s", lua_tostring(L, -1),
                    lua_tostring(L, -2), lua_tostring(L, stack));
  }
  aq_set_extra(L, 2, AQ_X_TRACEBACK);
}

int aq_traceback_handler(lua_State *L) {
  struct aq_task *t = aq_runtime_of(L)->current;
  bool is_cancel = aq_error_is(L, 1, AQ_E_CANCELLED);
  if (t == NULL || (is_cancel && !t->notes_cancel)) return 1;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  aq_task_push(L, t);
  if (is_cancel)
    note_break(L);
  else
    keep_traceback(L);
  lua_settop(L, 1);
  return 1;
}
