/*
** layer.c - finding and running the Lua files.
*/
#include "layer.h"

#include <lauxlib.h>
#include <string.h>

#include "lua_sources.h"
#include "runtime.h"

/* The Lua files that belong to the module, in the order they are run. The rest can be required. */
static const char *const LAYER[] = {"aqlua.tasks", "aqlua.gather", "aqlua.wait_for", "aqlua.run",
                                    "aqlua.guard", "aqlua.bridge", "aqlua.patch",    "aqlua.wait",
                                    "aqlua.group", "aqlua.map",    "aqlua.bulk"};

static const struct aq_lua_source *find_source(lua_State *L, const char *name) {
  for (const struct aq_lua_source *s = aq_lua_sources; s->name != NULL; s++)
    if (strcmp(s->name, name) == 0) return s;
  luaL_error(L, "no source '%s'", name);
  return NULL;
}

static void load_source(lua_State *L, const struct aq_lua_source *s) {
  const char *chunk = lua_pushfstring(L, AQ_CHUNK "%s]", s->name + strlen("aqlua"));
  if (luaL_loadbufferx(L, (const char *)s->text, s->size, chunk, "t") != LUA_OK) lua_error(L);
  lua_remove(L, -2);
}

/* A loader for package.preload: upvalues the module, the internals, the source's name. */
static int load_module(lua_State *L) {
  load_source(L, find_source(L, lua_tostring(L, lua_upvalueindex(3))));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_call(L, 2, 1);
  return 1;
}

static bool is_in_layer(const char *name) {
  for (size_t i = 0; i < sizeof LAYER / sizeof *LAYER; i++)
    if (strcmp(LAYER[i], name) == 0) return true;
  return false;
}

static void load_layer(lua_State *L, struct aq_runtime *rt) {
  int top = lua_gettop(L);
  aq_runtime_push_uv(L, rt, AQ_UV_MODULE);
  aq_runtime_push_uv(L, rt, AQ_UV_INTERNAL);
  rt->has_layer = true; /* what it looks for itself is there, or not at all */
  for (size_t i = 0; i < sizeof LAYER / sizeof *LAYER; i++) {
    load_source(L, find_source(L, LAYER[i]));
    lua_pushvalue(L, top + 1);
    lua_pushvalue(L, top + 2);
    lua_call(L, 2, 0);
  }
  lua_settop(L, top);
}

/* __index: a name that is not there (yet). Upvalue: the runtime. */
static int lazy_index(lua_State *L) {
  struct aq_runtime *rt = aq_runtime(L);
  if (!rt->has_layer) load_layer(L, rt);
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

/* __pairs: all names. Upvalue: the runtime. */
static int lazy_pairs(lua_State *L) {
  struct aq_runtime *rt = aq_runtime(L);
  if (!rt->has_layer) load_layer(L, rt);
  lua_getglobal(L, "next");
  lua_pushvalue(L, 1);
  return 2;
}

void aq_layer_make_lazy(lua_State *L, int runtime) {
  static const luaL_Reg META[] = {{"__index", lazy_index}, {"__pairs", lazy_pairs}, {NULL, NULL}};
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, runtime);
  luaL_setfuncs(L, META, 1);
  lua_setmetatable(L, -2);
}

void aq_layer_preload(lua_State *L) {
  int module = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const struct aq_lua_source *s = aq_lua_sources; s->name != NULL; s++) {
    if (is_in_layer(s->name)) continue;
    lua_pushvalue(L, module);
    lua_getiuservalue(L, module - 1, AQ_UV_INTERNAL);
    lua_pushstring(L, s->name);
    lua_pushcclosure(L, load_module, 3);
    lua_setfield(L, -2, s->name);
  }
  lua_settop(L, module);
}
