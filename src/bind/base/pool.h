/*
** pool.h - coroutines that rest between two tasks.
**
** Making a coroutine costs many times what using a rested one does, so they are kept; but no more
** than are used. At the end of each cycle of the collector those go that were not needed at any time
** since the last: the fewest that rested at once.
**
** A coroutine keeps its slot of AQ_UV_LIVE for as long as it is used: its task is there, and while it
** rests the coroutine itself. One that rests is like one that is dead: nobody can resume it.
*/
#ifndef AQ_POOL_H
#define AQ_POOL_H

#include <lua.h>
#include <stdint.h>

struct aq_runtime;

struct aq_rested {
  lua_State *co; /* kept by its slot */
  uint32_t slot; /* in AQ_UV_LIVE */
};

struct aq_pool {
  struct aq_rested *rested; /* a stack: rested[0..count) */
  uint32_t count;           /* coroutines at rest */
  uint32_t capacity;        /* of the stack */
  uint32_t fewest;          /* the fewest at rest since the collector's last cycle */
};

/* Begins to watch the collector's cycles. The runtime's userdata is on top. [-0, +0, m] */
void aq_pool_open(lua_State *L);

/* Frees the C side; the coroutines are the collector's. */
void aq_pool_free(lua_State *L, struct aq_pool *p);

/* A coroutine that rests, with an empty stack that has room for `room` values, and its slot, where
** it still is; NULL if there is none. To be called in a function of the library. [-0, +0, -] */
lua_State *aq_pool_take(lua_State *L, struct aq_runtime *rt, int room, uint32_t *slot);

/* The running coroutine, whose task is in `slot`, will rest from its return on, or be let go.
** As above; runs no finalizer. [-0, +0, -] */
void aq_pool_give(lua_State *L, struct aq_runtime *rt, uint32_t slot);

#endif
