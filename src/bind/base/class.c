/*
** class.c - metatables, constructors, and the functions of the Lua layer.
*/
#include "class.h"

#include "layer.h"
#include "runtime.h"

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
  aq_layer_make_lazy(L, runtime);
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
