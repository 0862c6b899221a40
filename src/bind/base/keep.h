/*
** keep.h - Lua values that C holds for as long as it likes: beyond a call, beyond a turn.
**
** A runtime has one keep, made when it is first used. It is a counted block of malloc's that each
** holder of a value counts in, so whoever still has a slot when the state is gone finds `rt` NULL
** and the slot void. The values are in a shelf of the runtime's. One thread.
*/
#ifndef AQ_KEEP_H
#define AQ_KEEP_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "shelf.h"

struct aq_runtime;

struct aq_keep {
  struct aq_runtime *rt; /* NULL: closed */
  size_t refs;           /* holders, the runtime being one */
  struct aq_shelf shelf; /* slots of AQ_UV_KEPT */
  struct aq_list waits;  /* of C programs in queues (cwait.c) */
};

/* The runtime's keep, or NULL: no memory. */
struct aq_keep *aq_keep_of(struct aq_runtime *rt);

struct aq_keep *aq_keep_hold(struct aq_keep *k);

/* The last one frees the block. */
void aq_keep_drop(struct aq_keep *k);

/* A free slot, which is the caller's from now on. May run a finalizer. [-0, +0, m] */
uint32_t aq_keep_slot(lua_State *L, struct aq_keep *k);

/* Moves the value on top into a slot of the caller's. [-1, +0, -] */
void aq_keep_set(lua_State *L, struct aq_keep *k, uint32_t slot);

/* Pushes the value in a slot. [-0, +1, -] */
void aq_keep_push(lua_State *L, struct aq_keep *k, uint32_t slot);

/* Gives the slot back, and forgets its value. Nothing happens if it is 0, or the keep closed. */
void aq_keep_free(struct aq_keep *k, uint32_t slot);

/* The end of the runtime: all slots are void. */
void aq_keep_close(lua_State *L, struct aq_runtime *rt);

#endif
