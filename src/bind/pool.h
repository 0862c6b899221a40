/*
** pool.h - coroutines that rest between two tasks.
**
** Making a coroutine costs many times what using a rested one does, so they are kept; but no more
** than are used. At the end of each cycle of the collector those go that were not needed at any time
** since the last: the fewest that rested at once.
*/
#ifndef AQ_POOL_H
#define AQ_POOL_H

#include <lua.h>

#include "runtime.h"

/* Begins to watch the collector's cycles. The runtime's userdata is on top. [-0, +0, m] */
void aq_pool_open(lua_State *L);

/* Pushes a coroutine that rests; NULL, and nothing pushed, if there is none. To be called in a
** function of the library. [-0, +0|1, -] */
lua_State *aq_pool_take(lua_State *L, struct aq_runtime *rt);

/* The running coroutine is about to rest. As above; runs no finalizer. [-0, +0, m] */
void aq_pool_give(lua_State *L, struct aq_runtime *rt);

#endif
