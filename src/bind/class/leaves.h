/*
** leaves.h - the leaves of the binding, and what each needs to make its class.
*/
#ifndef AQ_LEAVES_H
#define AQ_LEAVES_H

#include <lauxlib.h>
#include <lua.h>

/*
** Each adds its names to the module table on top; below it is the runtime's userdata. [-0, +0, m]
*/
void aq_open_queue(lua_State *L);
void aq_open_task(lua_State *L);
void aq_open_future(lua_State *L);
void aq_open_time(lua_State *L);
void aq_open_timeout(lua_State *L);
void aq_open_sync(lua_State *L);
void aq_open_condition(lua_State *L);
void aq_open_barrier(lua_State *L);
void aq_open_coroutine(lua_State *L);
void aq_open_select(lua_State *L);
void aq_open_branch(lua_State *L);

/*
** Pushes a new metatable with the runtime as upvalue 1 of each function; `methods` become its
** __index. Stack as above. [-0, +1, m]
*/
void aq_push_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/*
** Adds a class to the module: its constructor gets the runtime and the metatable as upvalues.
** Stack as above. [-0, +0, m]
*/
void aq_set_class(lua_State *L, const luaL_Reg *constructor, const luaL_Reg *methods,
                  const luaL_Reg *meta);

/* Adds methods to a class that was set so. Stack as above. [-0, +0, m] */
void aq_add_methods(lua_State *L, const char *class, const luaL_Reg *methods);

/* Adds functions to the table that the Lua layer uses, and nobody else. Stack as above. m */
void aq_set_internal(lua_State *L, const luaL_Reg *functions);

#endif
