/*
** order.h - in what order a queue's items leave it.
**
** For fifo and lifo the items rest in a ring of a power-of-two capacity:
**
**     items:  . . a b c d . .        head = index of a, count = 4
**
** First in, first out takes at the head; last in, first out takes at the tail. By priority, the
** items rest in a sorted list; whoever pushes has found the item's place there just before.
*/
#ifndef AQ_ORDER_H
#define AQ_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "item.h"
#include "sorted.h"
#include "status.h"

enum aq_order_kind { AQ_FIFO, AQ_LIFO, AQ_PRIORITY };

struct aq_order {
  struct aq_item *items; /* the ring */
  size_t capacity;       /* of the ring: 0 or a power of two */
  size_t head;           /* index of the oldest item */
  size_t count;          /* items inside */
  enum aq_order_kind kind;
  struct aq_sorted sorted; /* AQ_PRIORITY: the items, instead of the ring */
  struct aq_place place;   /* AQ_PRIORITY: where the next push goes; from aq_sorted_find */
  struct aq_alloc alloc;   /* for `items` */
};

/* An empty order; allocates nothing. */
void aq_order_init(struct aq_order *o, enum aq_order_kind kind, struct aq_alloc alloc);

/* Frees the memory; the items in it are forgotten. */
void aq_order_free(struct aq_order *o);

/* Makes room for `count` items in all (by priority: for one more). AQ_OK, or AQ_NOMEM with nothing
** changed. */
enum aq_status aq_order_reserve(struct aq_order *o, size_t count);

/* Adds an item. Cannot fail after aq_order_reserve. */
void aq_order_push(struct aq_order *o, struct aq_item item);

/* Takes the next item; count is not 0. */
struct aq_item aq_order_pop(struct aq_order *o);

/* The item that aq_order_pop would take; count is not 0. */
struct aq_item aq_order_peek(const struct aq_order *o);

/* Gives memory back if the ring is much larger than `keep` items (>= count) need. */
void aq_order_trim(struct aq_order *o, size_t keep);

#endif
