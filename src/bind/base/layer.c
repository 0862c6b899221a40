/*
** layer.c - finding and running the Lua files.
*/
#include "layer.h"

#include <lauxlib.h>
#include <string.h>

#include "aqlua.h"
#include "kinds.h"
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

static void make_lazy(lua_State *L, int runtime, const luaL_Reg *meta) {
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, runtime);
  luaL_setfuncs(L, meta, 1);
  lua_setmetatable(L, -2);
}

void aq_layer_make_lazy(lua_State *L, int runtime) {
  static const luaL_Reg META[] = {{"__index", lazy_index}, {"__pairs", lazy_pairs}, {NULL, NULL}};
  make_lazy(L, runtime, META);
}

/* ---- the module ------------------------------------------------------------------------------ */

/* Never read: its address is the key in the registry of the openers: name -> C function. */
static const char OPENERS_KEY;

bool aq_layer_has_opener(lua_State *L, const char *name) {
  int top = lua_gettop(L);
  bool has_one = lua_rawgetp(L, LUA_REGISTRYINDEX, &OPENERS_KEY) == LUA_TTABLE &&
                 lua_getfield(L, -1, name) != LUA_TNIL;
  lua_settop(L, top);
  return has_one;
}

/* Stack: module, name. Pushes what the name's opener makes, and forgets that; false: there is none. */
static bool open_name(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &OPENERS_KEY) != LUA_TTABLE) return false;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, 3) == LUA_TNIL) return false;
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 1);
  lua_pushvalue(L, 2);
  lua_pushnil(L);
  lua_rawset(L, 3);
  return true;
}

/* Stack: module, name. Pushes what has that name, if it is made when first touched. */
static bool make_name(lua_State *L) {
  if (aq_kind_push(L, aq_runtime(L), lua_tostring(L, 2)) != NULL) return true;
  lua_settop(L, 2);
  return open_name(L);
}

/* __index: errors of the system and what guests open are made now. Upvalue: the runtime. */
static int module_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || !make_name(L)) return lazy_index(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}

/* Touches each name that has an opener, of the module at 1. One that cannot be opened is left out. */
static void open_all(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &OPENERS_KEY) != LUA_TTABLE) return;
  lua_newtable(L);
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, 3, ++n);
  }
  for (lua_Integer i = 1; i <= n; i++) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, module_index, 1);
    lua_pushvalue(L, 1);
    lua_rawgeti(L, 3, i);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
}

/* __pairs: all names. Upvalue: the runtime. */
static int module_pairs(lua_State *L) {
  lua_settop(L, 1);
  aq_kinds_set_all(L, aq_runtime(L));
  open_all(L);
  lua_settop(L, 1);
  return lazy_pairs(L);
}

void aq_layer_open_module(lua_State *L, int runtime) {
  static const luaL_Reg META[] = {
    {"__index", module_index}, {"__pairs", module_pairs}, {NULL, NULL}};
  make_lazy(L, runtime, META);
}

struct opener {
  struct aq_runtime *rt;
  const char *name;
  lua_CFunction open;
  enum aq_status status;
};

/* Stack: the request (light). */
static int add_opener(lua_State *L) {
  struct opener *o = lua_touserdata(L, 1);
  aq_runtime_push_uv(L, o->rt, AQ_UV_MODULE);
  lua_pushstring(L, o->name);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, 2) != LUA_TNIL || aq_kind_push(L, o->rt, o->name) != NULL) return 0;
  lua_settop(L, 3);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &OPENERS_KEY) != LUA_TTABLE) {
    lua_newtable(L);
    lua_replace(L, 4);
    lua_pushvalue(L, 4);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &OPENERS_KEY);
  }
  lua_pushvalue(L, 3);
  if (lua_rawget(L, 4) != LUA_TNIL) return 0;
  lua_pushvalue(L, 3);
  lua_pushcfunction(L, o->open);
  lua_rawset(L, 4);
  o->status = AQ_OK;
  return 0;
}

int aq_add_opener(lua_State *L, const char *name, lua_CFunction open) {
  enum { ROOM = 8 };
  struct opener o = {.name = name, .open = open, .status = AQ_INVALID};
  if (name == NULL || open == NULL) return AQ_INVALID;
  enum aq_status status = aq_runtime_enter(L, &o.rt);
  if (status != AQ_OK) return status;
  if (!lua_checkstack(L, ROOM)) return AQ_NOMEM;
  lua_pushcfunction(L, add_opener);
  lua_pushlightuserdata(L, &o);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return o.status;
  lua_pop(L, 1);
  return AQ_NOMEM;
}

/* ---- files that can be required -------------------------------------------------------------- */

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
