/*
** callback.h - functions called in the turn after a task or future ends (H4, H5).
**
** A callback is a waiter in the future's room, so it keeps its place among those who await. While
** a future has callbacks to come it is kept alive by the runtime.
*/
#ifndef AQ_CALLBACK_H
#define AQ_CALLBACK_H

#include <lua.h>

/* Adds the function at 2 to the future at 1; if that is done, it is called in the next turn. m */
void aq_callback_add(lua_State *L);

/* Removes the function at 2 wherever it was added to the future at 1; returns how often. */
int aq_callback_remove(lua_State *L);

#endif
