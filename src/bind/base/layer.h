/*
** layer.h - the part of the library that is written in Lua.
**
** Most programs start without it, so that starting is quick: the module table, the internals and
** the classes' methods have a metatable that loads the layer when a name is not found.
*/
#ifndef AQ_LAYER_H
#define AQ_LAYER_H

#include <lua.h>
#include <stdbool.h>

/* Gives the table on top the metatable that loads the layer. The runtime is at `runtime`. [-0, +0, m] */
void aq_layer_make_lazy(lua_State *L, int runtime);

/* The same for the module, on top, whose names are also made by what aq_add_opener was given. */
void aq_layer_open_module(lua_State *L, int runtime);

/* True if the module's field of this name is to be made when it is first touched. [-0, +0, m] */
bool aq_layer_has_opener(lua_State *L, const char *name);

/* Lets the files that are modules of their own be required. Stack: runtime, module. [-0, +0, m] */
void aq_layer_preload(lua_State *L);

#endif
