/*
** alloc.h - where the kernel's growing arrays get their memory.
**
** The signature is that of Lua's allocator, so a runtime passes on the one its state was made
** with, and a test passes one that fails on purpose. Only arrays grow (a queue's items, the heap
** of deadlines, a barrier's places), and only in calls that are documented to return AQ_NOMEM;
** waiting, waking, cancelling and closing never allocate.
*/
#ifndef AQ_ALLOC_H
#define AQ_ALLOC_H

#include <stddef.h>

struct aq_alloc {
  void *(*fn)(void *ud, void *block, size_t old_size, size_t new_size); /* new_size 0 frees */
  void *ud;                                                             /* passed to fn */
};

/* The block resized, or NULL: then the old block is as it was. */
static inline void *aq_realloc(const struct aq_alloc *a, void *block, size_t old_size,
                               size_t new_size) {
  return a->fn(a->ud, block, old_size, new_size);
}

/* Frees a block of `size` bytes; NULL is allowed. */
static inline void aq_free(const struct aq_alloc *a, void *block, size_t size) {
  if (block != NULL) a->fn(a->ud, block, size, 0);
}

#endif
