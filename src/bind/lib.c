/*
** lib.c - opens each leaf, and the Lua layer when it is needed; nothing else.
*/
#include <string.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/report/inspect.h"
#include "bind/class/leaves.h"
#include "bind/base/lua_sources.h"
#include "bind/task/task.h"

int aq_version(void) { return AQ_VERSION_NUM; }

static void make_lazy(lua_State *L, int runtime);

void aq_push_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  int runtime = lua_gettop(L) - 1;
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, runtime);
  luaL_setfuncs(L, meta, 1);
  lua_newtable(L);
  lua_pushvalue(L, runtime);
  luaL_setfuncs(L, methods, 1);
  make_lazy(L, runtime);
  lua_setfield(L, -2, "__index");
}

void aq_set_class(lua_State *L, const luaL_Reg *constructor, const luaL_Reg *methods,
                  const luaL_Reg *meta) {
  aq_push_class(L, constructor->name, methods, meta);
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_pushcclosure(L, constructor->func, 2);
  lua_setfield(L, -2, constructor->name);
}

void aq_add_methods(lua_State *L, const char *class, const luaL_Reg *methods) {
  lua_getfield(L, -1, class);
  lua_getupvalue(L, -1, 2);
  lua_getfield(L, -1, "__index");
  lua_pushvalue(L, -5);
  luaL_setfuncs(L, methods, 1);
  lua_pop(L, 3);
}

void aq_set_internal(lua_State *L, const luaL_Reg *functions) {
  lua_getiuservalue(L, -2, AQ_UV_INTERNAL);
  lua_pushvalue(L, -3);
  luaL_setfuncs(L, functions, 1);
  lua_pop(L, 1);
}

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

/* ---- the Lua layer, loaded when it is first needed ------------------------------------------- */

/*
** Most programs start without it, so that starting is quick: the module table, the internals and
** the classes' methods have a metatable that loads the layer when a name is not found.
*/
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

/* Gives the table on top the metatable that loads the layer. The runtime is at `runtime`. */
static void make_lazy(lua_State *L, int runtime) {
  static const luaL_Reg META[] = {{"__index", lazy_index}, {"__pairs", lazy_pairs}, {NULL, NULL}};
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, runtime);
  luaL_setfuncs(L, META, 1);
  lua_setmetatable(L, -2);
}

/* The modules beside aqlua itself. Stack: runtime, module. */
static void preload_modules(lua_State *L) {
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
  struct aq_runtime *rt = aq_runtime_open(L);
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
  aq_set_internal(L, INTERNAL);
  set_version(L);
  lua_pushvalue(L, 1);
  aq_task_open(L);
  lua_pop(L, 1);
  preload_modules(L);
  make_lazy(L, 1);
  lua_getiuservalue(L, 1, AQ_UV_INTERNAL);
  make_lazy(L, 1);
  lua_pop(L, 1);
  aq_runtime_publish(L, rt);
  return 1;
}
