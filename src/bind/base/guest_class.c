/*
** guest_class.c - Lua classes that guests and embedders make: a metatable each, in a table of the registry.
*/
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "aqlua.h"
#include "error.h"

/* Never read: its address is the key of the table, class name -> metatable. A metatable has the address of
** the class's methods under this key, too: so a class that is defined twice is told from another. */
static const char CLASSES_KEY;

enum { ROOM = 8 };

struct definition {
  const char *name;
  const luaL_Reg *methods, *meta;
  enum aq_status status;
};

static void push_classes(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY);
}

static void push_metatable(lua_State *L, const struct definition *d) {
  lua_newtable(L);
  lua_pushstring(L, d->name);
  lua_setfield(L, -2, "__name");
  lua_newtable(L);
  if (d->methods != NULL) luaL_setfuncs(L, d->methods, 0);
  lua_setfield(L, -2, "__index");
  if (d->meta != NULL) luaL_setfuncs(L, d->meta, 0);
  lua_pushlightuserdata(L, (void *)d->methods);
  lua_rawsetp(L, -2, &CLASSES_KEY);
}

/* Stack: the definition (light). */
static int define(lua_State *L) {
  struct definition *d = lua_touserdata(L, 1);
  push_classes(L);
  if (lua_getfield(L, 2, d->name) == LUA_TTABLE) {
    lua_rawgetp(L, -1, &CLASSES_KEY);
    d->status = lua_touserdata(L, -1) == (const void *)d->methods ? AQ_OK : AQ_INVALID;
    return 0;
  }
  push_metatable(L, d);
  lua_setfield(L, 2, d->name);
  d->status = AQ_OK;
  return 0;
}

int aq_define_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  struct definition d = {name, methods, meta, AQ_NOMEM};
  struct aq_runtime *rt;
  enum aq_status status = name != NULL ? aq_runtime_enter(L, &rt) : AQ_INVALID;
  if (status != AQ_OK) return status;
  if (!lua_checkstack(L, ROOM)) return AQ_NOMEM;
  lua_pushcfunction(L, define);
  lua_pushlightuserdata(L, &d);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  return d.status;
}

/* Pushes the metatable of a class, or nil. */
static bool push_class(lua_State *L, const char *name) {
  if (name == NULL || lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY) != LUA_TTABLE) {
    if (name == NULL) lua_pushnil(L);
    return false;
  }
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return lua_istable(L, -1);
}

void *aq_new_object(lua_State *L, const char *class_name, size_t size, int nuvalue) {
  luaL_checkstack(L, ROOM, NULL);
  if (!push_class(L, class_name))
    luaL_error(L, "no class '%s'", class_name != NULL ? class_name : "");
  if (nuvalue < 0 || nuvalue >= USHRT_MAX) luaL_error(L, "%d user values", nuvalue);
  void *object = lua_newuserdatauv(L, size, nuvalue);
  memset(object, 0, size);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  return object;
}

void *aq_to_object(lua_State *L, int idx, const char *class_name) {
  void *object = lua_touserdata(L, idx);
  if (object == NULL || !lua_getmetatable(L, idx)) return NULL;
  bool is_one = push_class(L, class_name) && lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_one ? object : NULL;
}

void *aq_check_object(lua_State *L, int idx, const char *class_name) {
  void *object = aq_to_object(L, idx, class_name);
  if (object == NULL) aq_error_type(L, idx, class_name != NULL ? class_name : "object");
  return object;
}
