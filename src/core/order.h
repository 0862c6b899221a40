/*
** order.h - in what order a queue's items leave it.
**
** An item is 16 opaque bytes to the kernel: it is moved, never looked at. The items rest in a ring
** of a power-of-two capacity:
**
**     items:  . . a b c d . .        head = index of a, count = 4
**
** First in, first out takes at the head; last in, first out takes at the tail.
*/
#ifndef AQ_ORDER_H
#define AQ_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "status.h"

struct aq_item {
  uint64_t bits; /* a number, a pointer, a slot: the owner's business */
  uint64_t tag;  /* says what bits is: the owner's business too */
};

enum aq_order_kind { AQ_FIFO, AQ_LIFO };

struct aq_order {
  struct aq_item *items; /* the ring */
  size_t capacity;       /* of the ring: 0 or a power of two */
  size_t head;           /* index of the oldest item */
  size_t count;          /* items inside */
  enum aq_order_kind kind;
  struct aq_alloc alloc; /* for `items` */
};

/* An empty order; allocates nothing. */
void aq_order_init(struct aq_order *o, enum aq_order_kind kind, struct aq_alloc alloc);

/* Frees the ring; the items in it are forgotten. */
void aq_order_free(struct aq_order *o);

/* Makes room for `count` items in all. AQ_OK, or AQ_NOMEM with nothing changed. */
enum aq_status aq_order_reserve(struct aq_order *o, size_t count);

/* Adds an item. Cannot fail while count < capacity. */
void aq_order_push(struct aq_order *o, struct aq_item item);

/* Takes the next item; count is not 0. */
struct aq_item aq_order_pop(struct aq_order *o);

/* Gives memory back if the ring is much larger than `keep` items (>= count) need. */
void aq_order_trim(struct aq_order *o, size_t keep);

#endif
