/*
** order.c - the ring of items, and the way to the sorted list.
*/
#include "order.h"

#include <assert.h>

enum { FIRST_CAPACITY = 8, SHRINK_FLOOR = 1024 };

void aq_order_init(struct aq_order *o, enum aq_order_kind kind, struct aq_alloc alloc) {
  *o = (struct aq_order){.kind = kind, .alloc = alloc};
  aq_sorted_init(&o->sorted, alloc);
}

void aq_order_free(struct aq_order *o) {
  aq_free(&o->alloc, o->items, o->capacity * sizeof *o->items);
  aq_sorted_free(&o->sorted);
  o->items = NULL;
  o->capacity = o->head = o->count = 0;
}

/* Moves the items to a new ring of `capacity`, oldest first. */
static enum aq_status resize(struct aq_order *o, size_t capacity) {
  struct aq_item *items = aq_realloc(&o->alloc, NULL, 0, capacity * sizeof *items);
  if (items == NULL) return AQ_NOMEM;
  for (size_t i = 0; i < o->count; i++) items[i] = o->items[(o->head + i) & (o->capacity - 1)];
  aq_free(&o->alloc, o->items, o->capacity * sizeof *items);
  o->items = items;
  o->capacity = capacity;
  o->head = 0;
  return AQ_OK;
}

enum aq_status aq_order_reserve(struct aq_order *o, size_t count) {
  if (o->kind == AQ_PRIORITY) return aq_sorted_reserve(&o->sorted);
  if (count <= o->capacity) return AQ_OK;
  size_t capacity = o->capacity > 0 ? o->capacity : FIRST_CAPACITY;
  while (capacity < count) capacity *= 2;
  return resize(o, capacity);
}

void aq_order_push(struct aq_order *o, struct aq_item item) {
  if (o->kind == AQ_PRIORITY) {
    aq_sorted_put(&o->sorted, o->place, item);
    o->count++;
    return;
  }
  assert(o->count < o->capacity);
  o->items[(o->head + o->count++) & (o->capacity - 1)] = item;
}

struct aq_item aq_order_pop(struct aq_order *o) {
  assert(o->count > 0);
  size_t mask = o->capacity - 1;
  o->count--;
  if (o->kind == AQ_PRIORITY) return aq_sorted_take(&o->sorted);
  if (o->kind == AQ_LIFO) return o->items[(o->head + o->count) & mask];
  struct aq_item item = o->items[o->head];
  o->head = (o->head + 1) & mask;
  return item;
}

struct aq_item aq_order_peek(const struct aq_order *o) {
  assert(o->count > 0);
  if (o->kind == AQ_PRIORITY) return aq_sorted_least(&o->sorted);
  size_t i = o->kind == AQ_LIFO ? o->head + o->count - 1 : o->head;
  return o->items[i & (o->capacity - 1)];
}

void aq_order_trim(struct aq_order *o, size_t keep) {
  /* A failed shrink is no failure: the larger ring goes on serving. */
  if (o->capacity > SHRINK_FLOOR && keep < o->capacity / 8) (void)resize(o, o->capacity / 2);
}
