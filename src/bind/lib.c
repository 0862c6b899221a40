/*
** lib.c - luaopen_aqlua: opens each leaf; nothing else.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/base/layer.h"
#include "bind/class/leaves.h"
#include "bind/report/inspect.h"
#include "bind/run/close.h"
#include "bind/run/ctask.h"
#include "bind/task/task.h"

int aq_version(void) { return AQ_VERSION_NUM; }

static void set_version(lua_State *L) {
  static const int PARTS[] = {AQ_VERSION_MAJOR, AQ_VERSION_MINOR, AQ_VERSION_PATCH};
  lua_pushliteral(L, "aqlua " AQ_VERSION_TEXT);
  lua_setfield(L, -2, "_VERSION");
  lua_createtable(L, 3, 0);
  for (int i = 0; i < 3; i++) {
    lua_pushinteger(L, PARTS[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "version");
}

/* internal.call(fn, ...): aq_call for Lua; an error is raised as it was thrown. */
static int call(lua_State *L) {
  luaL_checkany(L, 1);
  if (aq_call(L, lua_gettop(L) - 1, LUA_MULTRET) == LUA_OK) return lua_gettop(L);
  lua_pop(L, 1);
  return lua_error(L);
}

/* A state has one runtime: opening the module again gives the same one. */
static bool push_open_module(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return false;
  aq_runtime_push_uv(L, rt, AQ_UV_MODULE);
  return true;
}

int luaopen_aqlua(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {{"call", call}, {NULL, NULL}};
  luaL_checkversion(L);
  if (push_open_module(L)) return 1;
  lua_settop(L, 0);
  struct aq_runtime *rt = aq_runtime_open(L, aq_close);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, AQ_UV_MODULE);
  aq_error_open(L, rt);
  aq_open_queue(L);
  aq_open_task(L);
  aq_open_future(L);
  aq_open_time(L);
  aq_open_timeout(L);
  aq_open_sync(L);
  aq_open_condition(L);
  aq_open_barrier(L);
  aq_open_coroutine(L);
  aq_open_inspect(L);
  aq_open_select(L);
  aq_open_branch(L);
  aq_open_await(L);
  aq_set_internal(L, INTERNAL);
  set_version(L);
  lua_pushvalue(L, 1);
  aq_task_open(L);
  aq_ctasks_open(L);
  lua_pop(L, 1);
  aq_layer_preload(L);
  aq_layer_open_module(L, 1);
  lua_getiuservalue(L, 1, AQ_UV_INTERNAL);
  aq_layer_make_lazy(L, 1);
  lua_pop(L, 1);
  aq_runtime_publish(L, rt);
  return 1;
}
