/*
** memory.h - an allocator for a Lua state that runs out when it is told to, and counts.
*/
#ifndef AQ_SPEC_MEMORY_H
#define AQ_SPEC_MEMORY_H

#include <stdbool.h>
#include <stdlib.h>

static struct {
  bool counts;   /* requests are counted, and refused */
  long requests; /* since `counts` was set */
  long first;    /* the first one that fails */
  long burst;    /* how many do in a row; 0: all */
  long failed;   /* how many have */
  long live;     /* bytes in use */
} memory;

static inline bool is_refused(void) {
  if (!memory.counts || ++memory.requests < memory.first) return false;
  if (memory.burst > 0 && memory.requests >= memory.first + memory.burst) return false;
  memory.failed++;
  return true;
}

/* Lua relies on it that making a block smaller does not fail. */
static inline void *allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  size_t held = block != NULL ? old_size : 0;
  (void)ud;
  if (new_size > held && is_refused()) return NULL;
  memory.live += (long)new_size - (long)held;
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

/* From now on `burst` requests fail, the `first` being the first of them. */
static inline void starve(long first, long burst) {
  memory.first = first;
  memory.burst = burst;
  memory.requests = memory.failed = 0;
  memory.counts = true;
}

#endif
