/*
** heap.c - the array min-heap. Sifting moves a hole instead of swapping: one store per level.
*/
#include "heap.h"

enum { FIRST_CAPACITY = 16, SHRINK_FLOOR = 1024 };

void aq_heap_init(struct aq_heap *h, struct aq_alloc alloc) {
  *h = (struct aq_heap){.alloc = alloc};
}

void aq_heap_free(struct aq_heap *h) {
  aq_free(&h->alloc, h->entries, h->capacity * sizeof *h->entries);
  h->entries = NULL;
  h->count = h->capacity = 0;
}

static enum aq_status resize(struct aq_heap *h, size_t capacity) {
  struct aq_heap_entry *entries =
    aq_realloc(&h->alloc, h->entries, h->capacity * sizeof *entries, capacity * sizeof *entries);
  if (entries == NULL) return AQ_NOMEM;
  h->entries = entries;
  h->capacity = capacity;
  return AQ_OK;
}

enum aq_status aq_heap_grow(struct aq_heap *h) {
  return resize(h, h->capacity > 0 ? h->capacity * 2 : FIRST_CAPACITY);
}

static bool less(const struct aq_heap_entry *a, const struct aq_heap_entry *b) {
  return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

static void place(struct aq_heap *h, size_t i, struct aq_heap_entry e) {
  h->entries[i] = e;
  e.node->place = i + 1;
}

/* Moves the hole at `i` up to where `e` belongs, and fills it. */
static void sift_up(struct aq_heap *h, size_t i, struct aq_heap_entry e) {
  while (i > 0) {
    size_t parent = (i - 1) / 2;
    if (!less(&e, &h->entries[parent])) break;
    place(h, i, h->entries[parent]);
    i = parent;
  }
  place(h, i, e);
}

/* Moves the hole at `i` down to where `e` belongs, and fills it. */
static void sift_down(struct aq_heap *h, size_t i, struct aq_heap_entry e) {
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= h->count) break;
    if (child + 1 < h->count && less(&h->entries[child + 1], &h->entries[child])) child++;
    if (!less(&h->entries[child], &e)) break;
    place(h, i, h->entries[child]);
    i = child;
  }
  place(h, i, e);
}

void aq_heap_push(struct aq_heap *h, struct aq_heap_node *node, uint64_t key) {
  struct aq_heap_entry e = {key, h->next_seq++, node};
  sift_up(h, h->count++, e);
}

void aq_heap_remove(struct aq_heap *h, struct aq_heap_node *node) {
  if (node->place == 0) return;
  size_t i = node->place - 1;
  node->place = 0;
  struct aq_heap_entry last = h->entries[--h->count];
  if (last.node != node) {
    if (i > 0 && less(&last, &h->entries[(i - 1) / 2]))
      sift_up(h, i, last);
    else
      sift_down(h, i, last);
  }
  /* A failed shrink is no failure: the larger array goes on serving. */
  if (h->capacity > SHRINK_FLOOR && h->count < h->capacity / 4) (void)resize(h, h->capacity / 2);
}
