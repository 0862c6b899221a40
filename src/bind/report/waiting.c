/*
** waiting.c - describing suspended tasks.
**
** A suspended coroutine keeps the frame of the C function that waits, so its first argument, the
** queue or task it was called on, is still there to be named. That of a select is the list of its
** branches.
*/
#include "waiting.h"

#include <lauxlib.h>

#include "bind/base/place.h"
#include "bind/task/op.h"
#include "bind/task/wait.h"
#include "bind/object/branch.h"

enum { BRANCHES_NAMED = 8 }; /* of a select; of the others, only how many there are */

/* Replaces a list of branches on top by their names and objects; any other table by nil. */
static void name_branches(lua_State *L) {
  int list = lua_gettop(L), n = 0;
  lua_newtable(L);
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) == LUA_TUSERDATA; i++) {
    const struct aq_branch_object *b = aq_test_branch(L, -1);
    if (b == NULL) break;
    lua_pushstring(L, aq_branch_name(b));
    lua_rawseti(L, list + 1, ++n);
    lua_getiuservalue(L, -1, AQ_UV_OBJECT);
    lua_rawseti(L, list + 1, ++n);
    lua_pop(L, 1);
  }
  lua_settop(L, n > 0 ? list + 1 : list);
  if (n == 0) lua_pushnil(L);
  lua_replace(L, list);
}

void aq_push_waited_for(lua_State *L, lua_State *co) {
  int type = lua_type(co, 1);
  if (type != LUA_TUSERDATA && type != LUA_TTABLE) {
    lua_pushnil(L);
    return;
  }
  lua_pushvalue(co, 1);
  lua_xmove(co, L, 1);
  if (type == LUA_TTABLE) name_branches(L);
}

/* Adds the object on top, and pops it. */
static void add_object(lua_State *L, luaL_Buffer *b) {
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  luaL_addvalue(b);
}

/* Adds the branches in the list of names and objects at `list`. */
static void add_branches(lua_State *L, luaL_Buffer *b, int list) {
  int n = (int)lua_rawlen(L, list) / 2;
  for (int i = 1; i <= n && i <= BRANCHES_NAMED; i++) {
    luaL_addstring(b, i == 1 ? " on " : ", ");
    lua_rawgeti(L, list, 2 * i - 1);
    luaL_addvalue(b);
    lua_rawgeti(L, list, 2 * i);
    add_object(L, b);
  }
  if (n <= BRANCHES_NAMED) return;
  lua_pushfstring(L, " and %d more", n - BRANCHES_NAMED);
  luaL_addvalue(b);
}

enum { TEXT = 256 }; /* for what an operation says of itself */

/* Pushes " on " and what the suspended call waits for, or "". */
static void push_object(lua_State *L, const struct aq_task *t) {
  lua_State *co = t->innermost;
  char text[TEXT];
  if (aq_op_describe(t, text, sizeof text)) {
    lua_pushfstring(L, "%s%s", text[0] != '\0' ? " on " : "", text);
    return;
  }
  aq_push_waited_for(L, co);
  int idx = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  if (lua_istable(L, idx)) {
    add_branches(L, &b, idx);
  } else if (!lua_isnil(L, idx)) {
    luaL_addstring(&b, " on ");
    lua_pushvalue(L, idx);
    add_object(L, &b);
  }
  luaL_pushresult(&b);
  lua_replace(L, idx);
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
    push_object(L, t);
    aq_push_line(L, t->innermost, 0);
    lua_pushfstring(L, "%s: %s%s, for %f s, at %s", lua_tostring(L, top + 1), aq_task_waits_in(t),
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
