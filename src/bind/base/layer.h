/*
** layer.h - the part of the library that is written in Lua.
**
** Most programs start without it, so that starting is quick: the module table, the internals and
** the classes' methods have a metatable that loads the layer when a name is not found.
*/
#ifndef AQ_LAYER_H
#define AQ_LAYER_H

#include <lua.h>

/* Gives the table on top the metatable that loads the layer. The runtime is at `runtime`. [-0, +0, m] */
void aq_layer_make_lazy(lua_State *L, int runtime);

/* Lets the files that are modules of their own be required. Stack: runtime, module. [-0, +0, m] */
void aq_layer_preload(lua_State *L);

#endif
