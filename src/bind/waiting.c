/*
** waiting.c - describing suspended tasks.
**
** A suspended coroutine keeps the frame of the C function that waits, so its first argument, the
** queue or task it was called on, is still there to be named.
*/
#include "waiting.h"

#include <lauxlib.h>

#include "traceback.h"

/* Pushes " on " and the object that the waiting function was called on, or "". */
static void push_object(lua_State *L, lua_State *co) {
  if (lua_type(co, 1) != LUA_TUSERDATA) {
    lua_pushliteral(L, "");
    return;
  }
  lua_pushvalue(co, 1);
  lua_xmove(co, L, 1);
  lua_pushfstring(L, " on %s", luaL_tolstring(L, -1, NULL));
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Seconds since the task was suspended, cut to hundredths. */
static lua_Number seconds_waited(const struct aq_task *t) {
  uint64_t ns = aq_loop_now(t->future.rt->loop) - t->since_ns;
  return (lua_Number)(ns / 10000000) / 100;
}

void aq_push_waiting(lua_State *L, int idx) {
  const struct aq_task *t = lua_touserdata(L, idx);
  int top = lua_gettop(L);
  aq_task_push_name(L, idx);
  if (t->is_suspended) {
    push_object(L, t->innermost);
    aq_push_line(L, t->innermost, 0);
    lua_pushfstring(L, "%s: %s%s, for %f s, at %s", lua_tostring(L, top + 1), t->wait->name,
                    lua_tostring(L, top + 2), seconds_waited(t), lua_tostring(L, top + 3));
  } else {
    lua_pushfstring(L, "%s: ready to run", lua_tostring(L, -1));
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void aq_push_deadlock(lua_State *L, struct aq_runtime *rt) {
  aq_runtime_push_uv(L, rt, AQ_UV_INTERNAL);
  lua_getfield(L, -1, "all_tasks");
  lua_call(L, 0, 1);
  int list = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "nothing can ever wake the waiting tasks:");
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    aq_push_waiting(L, lua_gettop(L));
    lua_remove(L, -2);
    lua_pushliteral(L, "\n  ");
    lua_insert(L, -2);
    lua_concat(L, 2);
    luaL_addvalue(&b);
  }
  lua_pop(L, 1);
  luaL_pushresult(&b);
  lua_replace(L, list - 1);
  lua_settop(L, list - 1);
}
