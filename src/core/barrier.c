/*
** barrier.c - coming in, leaving, and the heap of holes.
*/
#include "barrier.h"

#include <assert.h>

enum { FIRST_CAPACITY = 8 };

void aq_barrier_init(struct aq_barrier *b, size_t parties, struct aq_alloc alloc) {
  *b = (struct aq_barrier){.parties = parties, .alloc = alloc};
  aq_list_init(&b->waiters);
}

void aq_barrier_free(struct aq_barrier *b) {
  aq_free(&b->alloc, b->places, b->capacity * sizeof *b->places);
  b->places = NULL;
  b->capacity = b->nplaces = b->nholes = 0;
}

/* Nothing is allocated when a party leaves: its hole goes into the room it had taken. */
enum aq_status aq_barrier_reserve(struct aq_barrier *b) {
  if (b->nholes > 0 || b->nplaces < b->capacity) return AQ_OK;
  size_t capacity = b->capacity > 0 ? b->capacity * 2 : FIRST_CAPACITY;
  struct aq_barrier_place *places =
    aq_realloc(&b->alloc, b->places, b->capacity * sizeof *places, capacity * sizeof *places);
  if (places == NULL) return AQ_NOMEM;
  b->places = places;
  b->capacity = capacity;
  return AQ_OK;
}

/* ---- holes: a binary heap, the lowest first -------------------------------------------------- */

static void push_hole(struct aq_barrier *b, size_t hole) {
  size_t i = b->nholes++;
  for (; i > 0 && hole < b->places[(i - 1) / 2].hole; i = (i - 1) / 2)
    b->places[i].hole = b->places[(i - 1) / 2].hole;
  b->places[i].hole = hole;
}

static size_t pop_hole(struct aq_barrier *b) {
  size_t least = b->places[0].hole, last = b->places[--b->nholes].hole, i = 0;
  for (size_t child; (child = 2 * i + 1) < b->nholes; i = child) {
    if (child + 1 < b->nholes && b->places[child + 1].hole < b->places[child].hole) child++;
    if (last <= b->places[child].hole) break;
    b->places[i].hole = b->places[child].hole;
  }
  b->places[i].hole = last;
  return least;
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void change(struct aq_barrier *b, enum aq_barrier_state state) {
  b->state = state;
  aq_room_wake_all(&b->waiters, AQ_OK);
}

size_t aq_barrier_enter(struct aq_barrier *b, struct aq_waiter *w) {
  assert(b->state == AQ_FILLING);
  size_t index = b->nholes > 0 ? pop_hole(b) : b->nplaces++;
  b->places[index].party = w;
  if (aq_barrier_count(b) == b->parties) change(b, AQ_DRAINING);
  return index;
}

void aq_barrier_wait(struct aq_barrier *b, struct aq_waiter *w, uint64_t deadline_ns) {
  w->thing = b;
  aq_waiter_enter(w, &b->waiters, NULL, deadline_ns);
}

void aq_barrier_leave(struct aq_barrier *b, size_t index) {
  assert(b->places[index].party != NULL);
  b->places[index].party = NULL;
  push_hole(b, index);
  if (aq_barrier_count(b) > 0) return;
  b->nplaces = b->nholes = 0;
  change(b, b->state == AQ_ABORTED ? AQ_ABORTED : AQ_FILLING);
}

void aq_barrier_break_off(struct aq_barrier *b, struct aq_waiter *w, size_t index) {
  if (w->status == AQ_OK) aq_room_wake_first(&b->waiters);
  if (index != AQ_BEFORE) aq_barrier_leave(b, index);
}

size_t aq_barrier_find(const struct aq_barrier *b, const struct aq_waiter *w) {
  for (size_t i = 0; i < b->nplaces; i++)
    if (b->places[i].party == w) return i;
  return AQ_BEFORE;
}

void aq_barrier_reset(struct aq_barrier *b) {
  change(b, aq_barrier_count(b) > 0 ? AQ_RESETTING : AQ_FILLING);
}

void aq_barrier_abort(struct aq_barrier *b) { change(b, AQ_ABORTED); }
