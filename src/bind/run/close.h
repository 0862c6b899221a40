/*
** close.h - the end of a runtime.
*/
#ifndef AQ_CLOSE_H
#define AQ_CLOSE_H

#include <lua.h>

/* The finalizer of the runtime's userdata, the last to run when a state is closed. */
int aq_close(lua_State *L);

#endif
