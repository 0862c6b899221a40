/*
** sorted.h - a list of items kept in ascending order, for priority queues.
**
**     chunks:   [ . . a b c ]  [ d e f g ]  [ h i ]        at most CHUNK items each
**
** Finding a place takes log2(count) comparisons and changes nothing; putting an item there moves
** part of one chunk; taking the least compares nothing and moves nothing. Equal items keep the
** order they came in: a new one goes behind them.
**
** What "before" means is the caller's business, and so is what happens if it cannot be told: the
** comparison may leave by longjmp.
*/
#ifndef AQ_SORTED_H
#define AQ_SORTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "item.h"
#include "status.h"

struct aq_chunk;

struct aq_sorted {
  struct aq_chunk **chunks; /* chunks[first .. first + nchunks), none of them empty */
  struct aq_chunk *spare;   /* for a chunk that must be split; NULL until reserved */
  size_t first;             /* chunks before it have been used up */
  size_t nchunks;           /* in use */
  size_t capacity;          /* of the array */
  uint64_t version;         /* changes so far: tells whether a place is still good */
  struct aq_alloc alloc;    /* for the array and the chunks */
};

/* Where an item belongs; good until the list changes. */
struct aq_place {
  size_t chunk; /* index from chunks[first] on */
  size_t index; /* among the items of the chunk */
};

void aq_sorted_init(struct aq_sorted *s, struct aq_alloc alloc);
void aq_sorted_free(struct aq_sorted *s);

/* Makes sure that one item can be put without allocating. AQ_OK, or AQ_NOMEM: nothing changed. */
enum aq_status aq_sorted_reserve(struct aq_sorted *s);

/*
** Finds the place behind all items that are not greater than the new one. `is_before(ctx, other)`
** tells whether the new one goes before `other`. False if the list was changed meanwhile (by the
** comparison): there is no place then.
*/
bool aq_sorted_find(const struct aq_sorted *s, bool (*is_before)(void *ctx, struct aq_item other),
                    void *ctx, struct aq_place *place);

/* Puts an item where it belongs. Cannot fail after aq_sorted_reserve. */
void aq_sorted_put(struct aq_sorted *s, struct aq_place place, struct aq_item item);

/* The least item; there is one. */
struct aq_item aq_sorted_least(const struct aq_sorted *s);

/* Takes the least item; there is one. */
struct aq_item aq_sorted_take(struct aq_sorted *s);

#endif
