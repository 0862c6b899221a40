/*
** memory.h - the allocator of the tests: it counts, and it fails when it is told to.
**
** Every change of size is booked with the old size the kernel gives, so a wrong one shows at the
** end: what has been freed entirely has blocks = bytes = 0.
*/
#ifndef AQ_MEMORY_H
#define AQ_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/alloc.h"

struct memory {
  size_t calls;  /* requests for a new size, frees not counted */
  size_t blocks; /* blocks alive */
  size_t bytes;  /* bytes alive, by the kernel's own account */
  bool fails;    /* every request is refused */
};

static inline void *memory_resize(void *ud, void *block, size_t old_size, size_t new_size) {
  struct memory *m = ud;
  if (new_size == 0) {
    free(block);
    m->blocks--;
    m->bytes -= old_size;
    return NULL;
  }
  m->calls++;
  void *fresh = m->fails ? NULL : realloc(block, new_size);
  if (fresh == NULL) return NULL;
  if (block == NULL) m->blocks++;
  m->bytes += new_size - old_size;
  return fresh;
}

static inline struct aq_alloc memory_alloc(struct memory *m) {
  return (struct aq_alloc){memory_resize, m};
}

static inline bool memory_is_clean(const struct memory *m) {
  return m->blocks == 0 && m->bytes == 0;
}

#endif
