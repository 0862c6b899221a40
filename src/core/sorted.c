/*
** sorted.c - the chunks. A chunk that is full is split in two halves before an item goes in; one
** that has been used up is freed.
*/
#include "sorted.h"

#include <assert.h>
#include <string.h>

enum { CHUNK = 256, FIRST_CAPACITY = 8 };

struct aq_chunk {
  size_t head;  /* items before it have been taken */
  size_t count; /* items from head on */
  struct aq_item items[CHUNK];
};

void aq_sorted_init(struct aq_sorted *s, struct aq_alloc alloc) {
  *s = (struct aq_sorted){.alloc = alloc};
}

static void free_chunk(struct aq_sorted *s, struct aq_chunk *c) {
  aq_free(&s->alloc, c, sizeof *c);
}

void aq_sorted_free(struct aq_sorted *s) {
  for (size_t i = 0; i < s->nchunks; i++) free_chunk(s, s->chunks[s->first + i]);
  free_chunk(s, s->spare);
  aq_free(&s->alloc, s->chunks, s->capacity * sizeof *s->chunks);
  aq_sorted_init(s, s->alloc);
}

/* Room for one more pointer, by moving the used ones to the front or by growing. */
static enum aq_status reserve_pointer(struct aq_sorted *s) {
  if (s->first + s->nchunks < s->capacity) return AQ_OK;
  if (s->first > s->capacity / 2) {
    memmove(s->chunks, s->chunks + s->first, s->nchunks * sizeof *s->chunks);
    s->first = 0;
    return AQ_OK;
  }
  size_t capacity = s->capacity > 0 ? s->capacity * 2 : FIRST_CAPACITY;
  struct aq_chunk **chunks =
    aq_realloc(&s->alloc, s->chunks, s->capacity * sizeof *chunks, capacity * sizeof *chunks);
  if (chunks == NULL) return AQ_NOMEM;
  s->chunks = chunks;
  s->capacity = capacity;
  return AQ_OK;
}

enum aq_status aq_sorted_reserve(struct aq_sorted *s) {
  if (reserve_pointer(s) != AQ_OK) return AQ_NOMEM;
  if (s->spare == NULL) s->spare = aq_realloc(&s->alloc, NULL, 0, sizeof *s->spare);
  return s->spare != NULL ? AQ_OK : AQ_NOMEM;
}

static struct aq_chunk *chunk_at(const struct aq_sorted *s, size_t i) {
  return s->chunks[s->first + i];
}

static struct aq_item item_at(const struct aq_chunk *c, size_t i) { return c->items[c->head + i]; }

/* The first chunk whose last item comes after the new one, or the last chunk. */
static bool find_chunk(const struct aq_sorted *s,
                       bool (*is_before)(void *ctx, struct aq_item other), void *ctx,
                       size_t *chunk) {
  uint64_t version = s->version;
  size_t low = 0, high = s->nchunks - 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct aq_chunk *c = chunk_at(s, middle);
    bool before = is_before(ctx, item_at(c, c->count - 1));
    if (s->version != version) return false;
    if (before)
      high = middle;
    else
      low = middle + 1;
  }
  *chunk = low;
  return true;
}

bool aq_sorted_find(const struct aq_sorted *s, bool (*is_before)(void *ctx, struct aq_item other),
                    void *ctx, struct aq_place *place) {
  uint64_t version = s->version;
  *place = (struct aq_place){0, 0};
  if (s->nchunks == 0) return true;
  if (!find_chunk(s, is_before, ctx, &place->chunk)) return false;
  const struct aq_chunk *c = chunk_at(s, place->chunk);
  size_t low = 0, high = c->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    bool before = is_before(ctx, item_at(c, middle));
    if (s->version != version) return false;
    if (before)
      high = middle;
    else
      low = middle + 1;
  }
  place->index = low;
  return true;
}

/* Puts the spare chunk, empty, into the array at `i`. */
static struct aq_chunk *insert_chunk(struct aq_sorted *s, size_t i) {
  struct aq_chunk **at = s->chunks + s->first + i;
  struct aq_chunk *c = s->spare;
  memmove(at + 1, at, (s->nchunks - i) * sizeof *at);
  *at = c;
  s->spare = NULL;
  s->nchunks++;
  c->head = c->count = 0;
  return c;
}

/* Moves the upper half of a full chunk to a new one behind it; the place moves along. */
static void split(struct aq_sorted *s, struct aq_place *place) {
  struct aq_chunk *lower = chunk_at(s, place->chunk);
  struct aq_chunk *upper = insert_chunk(s, place->chunk + 1);
  size_t half = lower->count / 2;
  upper->count = lower->count - half;
  memcpy(upper->items, lower->items + lower->head + half, upper->count * sizeof *upper->items);
  lower->count = half;
  if (place->index <= half) return;
  place->chunk++;
  place->index -= half;
}

void aq_sorted_put(struct aq_sorted *s, struct aq_place place, struct aq_item item) {
  if (s->nchunks == 0) insert_chunk(s, 0);
  if (chunk_at(s, place.chunk)->count == CHUNK) split(s, &place);
  struct aq_chunk *c = chunk_at(s, place.chunk);
  if (c->head + c->count == CHUNK) {
    memmove(c->items, c->items + c->head, c->count * sizeof *c->items);
    c->head = 0;
  }
  struct aq_item *at = c->items + c->head + place.index;
  memmove(at + 1, at, (c->count - place.index) * sizeof *at);
  *at = item;
  c->count++;
  s->version++;
}

struct aq_item aq_sorted_least(const struct aq_sorted *s) {
  assert(s->nchunks > 0);
  return item_at(chunk_at(s, 0), 0);
}

struct aq_item aq_sorted_take(struct aq_sorted *s) {
  assert(s->nchunks > 0);
  struct aq_chunk *c = chunk_at(s, 0);
  struct aq_item item = c->items[c->head++];
  s->version++;
  if (--c->count > 0) return item;
  s->first++;
  if (--s->nchunks == 0) s->first = 0;
  if (s->spare == NULL)
    s->spare = c;
  else
    free_chunk(s, c);
  return item;
}
