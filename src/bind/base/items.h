/*
** items.h - Lua values as the kernel's items, and the keys they are ordered by.
**
** Integers, floats, booleans, nil and light userdata travel inside the kernel's 16 bytes; any
** other value rests on the queue's own shelf and its slot number travels. The shelf is a user value
** of the queue, so a queue that holds itself can be collected.
**
** In a priority queue each item has a key, fixed when it is put: the value itself if it has __lt,
** or is a number or a string; else the table's [1]. A key that is not the value itself rests on the
** shelf beside it (V1, V3, V4).
**
** All functions expect the queue at stack index 1, the value to put at 2, and in a priority queue
** its key at 3.
*/
#ifndef AQ_ITEMS_H
#define AQ_ITEMS_H

#include <lua.h>
#include <stdbool.h>

#include "core/order.h"
#include "shelf.h"

enum { AQ_UV_SHELF = 1 }; /* user value of a queue */

enum aq_key_kind { AQ_KEY_NUMBER, AQ_KEY_STRING, AQ_KEY_OBJECT };

struct aq_items {
  struct aq_shelf shelf;     /* slots for the values the kernel cannot hold */
  enum aq_key_kind key_kind; /* of all keys in the queue, while there are any */
  bool has_keys;             /* a priority queue's */
};

/*
** Makes the value at 2 an item. One that the kernel can hold is packed at once. For any other, room
** is made on the shelf and *item marked, for aq_items_shelve; that may run a finalizer, and so
** code that uses this very queue: it comes before anything is looked at. [-0, +0, m]
*/
void aq_items_prepare(lua_State *L, struct aq_items *items, struct aq_item *item);

/* Shelves the value of an item that was marked; any other is left alone. [-0, +0, -] */
void aq_items_shelve(lua_State *L, struct aq_items *items, struct aq_item *item);

/* The item of a value that waited, from what it needs of the stack: its bits if it is shelved. */
struct aq_item aq_items_restore(lua_State *L, struct aq_items *items, bool is_shelved,
                                uint64_t bits);

/* Pushes the value of an item that is no integer. Use aq_items_push. */
int aq_items_push_other(lua_State *L, struct aq_items *items, struct aq_item item);

/* Pushes the value of an item that has left the queue, and forgets it. [-0, +1, -] */
static inline int aq_items_push(lua_State *L, struct aq_items *items, struct aq_item item) {
  if (item.tag != LUA_TNUMBER) return aq_items_push_other(L, items, item);
  lua_pushinteger(L, (lua_Integer)item.bits);
  return 1;
}

/* The same with the queue anywhere on the stack. [-0, +1, -] */
int aq_items_push_from(lua_State *L, int queue, struct aq_items *items, struct aq_item item);

/* Pushes the value of an item that stays in the queue. [-0, +1, -] */
int aq_items_peek(lua_State *L, struct aq_item item);

/* Pushes the key of an item of a priority queue, which stays there. [-0, +1, -] */
void aq_items_peek_key(lua_State *L, struct aq_item item);

/* Whether a packed item is nil. */
static inline bool aq_items_is_nil(struct aq_item item) { return item.tag == LUA_TNIL; }

/* Whether a packed item has something on the shelf. */
bool aq_items_is_shelved(struct aq_item item);

/* Its address is on the stack of a C function that is running __lt, as light userdata. */
extern const char aq_items_comparing;

/* Pushes the key of the value at 2, if it has one. [-0, +0|1, -] */
bool aq_items_try_key(lua_State *L);

/* Pushes the key of the value at 2; raises if it has none. [-0, +1, v] */
void aq_items_push_key(lua_State *L);

/*
** Finds the place of the key at 3 in the order and sets it there for the push that follows. Runs
** __lt, which may raise: then nothing has changed. Returns NULL, or what is wrong. [-0, +0, e]
*/
const char *aq_items_find_place(lua_State *L, struct aq_items *items, struct aq_order *order);

#endif
