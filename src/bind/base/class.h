/*
** class.h - making a Lua class out of C functions.
**
** The module table is on top of the stack, and below it the runtime's userdata, which becomes upvalue
** 1 of each function.
*/
#ifndef AQ_CLASS_H
#define AQ_CLASS_H

#include <lauxlib.h>
#include <lua.h>

/*
** Pushes a new metatable with the runtime as upvalue 1 of each function; `methods` become its
** __index. [-0, +1, m]
*/
void aq_push_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/*
** Adds a class to the module: its constructor gets the runtime and the metatable as upvalues.
** [-0, +0, m]
*/
void aq_set_class(lua_State *L, const luaL_Reg *constructor, const luaL_Reg *methods,
                  const luaL_Reg *meta);

/* Adds methods to a class that was set so. [-0, +0, m] */
void aq_add_methods(lua_State *L, const char *class, const luaL_Reg *methods);

/* Adds functions to the table that the Lua layer uses, and nobody else. [-0, +0, m] */
void aq_set_internal(lua_State *L, const luaL_Reg *functions);

#endif
