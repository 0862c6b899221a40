/*
** queue_object.h - the userdata behind Queue, LifoQueue and PriorityQueue, for the leaves that work
** on it.
**
** A put that has to wait keeps its item on the stack of the suspended call: the queue at 1, the
** value at 2, in a priority queue its key at 3, and on top the bits of the packed item if it was
** shelved.
*/
#ifndef AQ_QUEUE_OBJECT_H
#define AQ_QUEUE_OBJECT_H

#include <lauxlib.h>
#include <lua.h>

#include "bind/base/error.h"
#include "bind/base/items.h"
#include "bind/base/runtime.h"
#include "core/queue.h"

extern const char aq_queue_class[];           /* its address is the class */
extern const char *const aq_queue_names[];    /* of the Lua classes, by enum aq_order_kind */
extern const char *const aq_overflow_names[]; /* of the option overflow, by enum aq_overflow */

enum { AQ_UV_QUEUE_NAME = 2, AQ_UV_QUEUE_COUNT = 2 }; /* user values; the first is AQ_UV_SHELF */

struct aq_queue_object {
  const void *class; /* aq_queue_class, until finalized */
  struct aq_runtime *rt;
  struct aq_queue queue;
  struct aq_items items;
};

/* The queue at `idx`, or NULL. */
static inline struct aq_queue_object *aq_test_queue(lua_State *L, int idx) {
  return aq_test_object(L, idx, aq_queue_class, sizeof(struct aq_queue_object));
}

/* The queue at 1; raises on anything else. */
static inline struct aq_queue_object *aq_check_queue(lua_State *L) {
  struct aq_queue_object *qo = aq_test_queue(L, 1);
  if (qo == NULL) aq_error_type(L, 1, "Queue");
  return qo;
}

/* Pushes an item that has left the queue at 1; returns 1. */
static inline int aq_queue_push_item(lua_State *L, struct aq_queue_object *qo,
                                     struct aq_item item) {
  return aq_items_push(L, &qo->items, item);
}

/*
** Makes the put of the value at 2 ready: cuts the stack, of `top` values, to it, pushes the key in a
** priority queue, makes room. Raises with nothing changed. [-n, +0|1, v]
*/
void aq_queue_prepare_put(lua_State *L, struct aq_queue_object *qo, int top, struct aq_item *item);

/* Puts the prepared item if a slot is free. In a priority queue __lt runs, and may raise. [e] */
enum aq_status aq_queue_try_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item);

/* After try_put said AQ_FULL in a queue that drops: stores the item, or not, and pushes what was
** dropped. Returns 1. [-0, +1, -] */
int aq_queue_drop_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item);

/* As aq_queue_try_put; but a queue with an overflow drops an item instead of being full: it is left to the
** collector. */
enum aq_status aq_queue_put_or_drop(lua_State *L, struct aq_queue_object *qo, struct aq_item *item);

/* After try_put said AQ_FULL: shelves the item if need be and pushes its bits then; lets `w` wait
** for a slot. [-0, +0|1, -] */
void aq_queue_enter_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item,
                        struct aq_waiter *w, uint64_t deadline_ns);

/* For the woken waiter: stores the item, or forgets it. An error of __lt is raised, after the slot
** has been handed on. [e] */
enum aq_status aq_queue_finish_put(lua_State *L, struct aq_queue_object *qo, struct aq_waiter *w,
                                   bool cancelled);

/*
** Before the end of a woken put in a priority queue: looks for the item's place, for which __lt runs.
** Stack: the queue at 1, the value, the key. LUA_OK, or another Lua status with the error on top:
** then the put is to end as cancelled. [-0, +0|1, -]
*/
int aq_queue_place_put(lua_State *L);

/* For a waiter that left before it was woken: forgets the item. */
void aq_queue_forget_put(lua_State *L, struct aq_queue_object *qo);

/* Notes the new queue on top if a list of the living ones is kept. In a function of the library.
** [-0, +0, m] */
void aq_note_queue(lua_State *L);

#endif
