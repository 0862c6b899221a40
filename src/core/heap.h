/*
** heap.h - an array min-heap on (key, seq), for deadlines.
**
** Among equal keys the entry pushed first comes out first (seq is a running number), so equal
** deadlines fire in the order they were set. An entry's node knows its place in the array, so any
** entry can be removed in O(log n). The heap owns its array and nothing else.
*/
#ifndef AQ_HEAP_H
#define AQ_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "status.h"

struct aq_heap_node {
  size_t place; /* 1-based index in the array; 0: not in the heap */
};

struct aq_heap_entry {
  uint64_t key;              /* what the order goes by, e.g. nanoseconds */
  uint64_t seq;              /* number of pushes before this one: breaks ties */
  struct aq_heap_node *node; /* inside the owner's struct */
};

struct aq_heap {
  struct aq_heap_entry *entries; /* entries[0] is the least */
  size_t count;                  /* entries in use */
  size_t capacity;               /* entries allocated */
  uint64_t next_seq;             /* of the next push */
  struct aq_alloc alloc;         /* for `entries` */
};

/* An empty heap; allocates nothing. */
void aq_heap_init(struct aq_heap *h, struct aq_alloc alloc);

/* Frees the array. Nodes still inside are forgotten, not touched. */
void aq_heap_free(struct aq_heap *h);

/* Doubles the array. Use aq_heap_reserve. */
enum aq_status aq_heap_grow(struct aq_heap *h);

/* True if there is room for a push, and for that of another who made room before and has not pushed yet. */
static inline bool aq_heap_has_room(const struct aq_heap *h) { return h->count + 1 < h->capacity; }

/* Makes such room. Returns AQ_OK, or AQ_NOMEM with nothing changed. */
static inline enum aq_status aq_heap_reserve(struct aq_heap *h) {
  return aq_heap_has_room(h) ? AQ_OK : aq_heap_grow(h);
}

/* Pushes `node`, which is not in the heap. Cannot fail after aq_heap_reserve. */
void aq_heap_push(struct aq_heap *h, struct aq_heap_node *node, uint64_t key);

/* Removes `node`; does nothing when it is not in the heap. */
void aq_heap_remove(struct aq_heap *h, struct aq_heap_node *node);

/* The least entry, or NULL when the heap is empty. Valid until the heap changes. */
static inline const struct aq_heap_entry *aq_heap_least(const struct aq_heap *h) {
  return h->count > 0 ? &h->entries[0] : NULL;
}

static inline bool aq_heap_holds(const struct aq_heap_node *node) { return node->place != 0; }

#endif
