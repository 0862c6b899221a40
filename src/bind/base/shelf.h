/*
** shelf.h - where Lua values rest while only C knows of them.
**
** A shelf is a Lua table whose slots 1..capacity exist from the start, and a C stack of the slots
** that are free. Putting and taking a value never allocate; only aq_shelf_reserve does. The table
** is kept by its owner (in a user value), so that what is shelved lives as long as the owner and a
** thing that holds itself can be collected.
*/
#ifndef AQ_SHELF_H
#define AQ_SHELF_H

#include <lua.h>
#include <stdint.h>

struct aq_shelf {
  uint32_t *free;    /* stack of free slots: free[0..nfree) */
  uint32_t nfree;    /* slots free */
  uint32_t capacity; /* slots in all */
};

void aq_shelf_init(struct aq_shelf *s);

/* Frees the C side; the table is the collector's. */
void aq_shelf_free(lua_State *L, struct aq_shelf *s);

/* Grows until `n` slots are free. Use aq_shelf_reserve. */
void aq_shelf_grow(lua_State *L, struct aq_shelf *s, uint32_t n, int owner, int uv);

/*
** Makes sure that `n` slots are free (at most 8). The table is user value `uv` of the userdata at
** `owner`; a larger one takes its place there. Raises a memory error with nothing changed.
** [-0, +0, m]
*/
static inline void aq_shelf_reserve(lua_State *L, struct aq_shelf *s, uint32_t n, int owner,
                                    int uv) {
  while (s->nfree < n) aq_shelf_grow(L, s, n, owner, uv);
}

/* A free slot, which there must be; it is the caller's, who sets it in the table himself. */
static inline uint32_t aq_shelf_slot(struct aq_shelf *s) { return s->free[--s->nfree]; }

/* Gives a slot back in which nothing was put. */
static inline void aq_shelf_return(struct aq_shelf *s, uint32_t slot) {
  s->free[s->nfree++] = slot;
}

/* Puts the value at `value` into the table at `table`; a slot must be free. [-0, +0, -] */
uint32_t aq_shelf_put(lua_State *L, struct aq_shelf *s, int table, int value);

/* Pushes the value in `slot` of the table at `table` and frees the slot. [-0, +1, -] */
void aq_shelf_take(lua_State *L, struct aq_shelf *s, int table, uint32_t slot);

/* Forgets the value in `slot` of the table at `table` and frees the slot. [-0, +0, -] */
void aq_shelf_drop(lua_State *L, struct aq_shelf *s, int table, uint32_t slot);

/* How many slots are taken. */
static inline uint32_t aq_shelf_count(const struct aq_shelf *s) { return s->capacity - s->nfree; }

#endif
