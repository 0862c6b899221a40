/*
** barrier.h - a room whose parties go on only when all of them are there.
**
**     FILLING ---- the last party comes ----> DRAINING ---- all have left ----> FILLING
**        \                                        |
**         \------- reset, somebody inside --------+--> RESETTING -- all have left --> FILLING
**
** abort leads from each to ABORTED, and reset out of it. A party comes in while the barrier is
** filling, and waits before it while those inside leave. All wait in one room, those inside and
** those before it: a change wakes all, and each looks again in its step. One that was woken and
** then cancelled wakes the next in its stead, which may so look for nothing.
**
** A party that comes in gets the lowest index that nobody inside has. After one was cancelled while
** the others wait, there may be holes below the indices given out: they are kept in a heap.
*/
#ifndef AQ_BARRIER_H
#define AQ_BARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "alloc.h"
#include "status.h"
#include "waiter.h"

enum aq_barrier_state { AQ_FILLING, AQ_DRAINING, AQ_RESETTING, AQ_ABORTED };

/* Two lists of numbers in one array. */
struct aq_barrier_place {
  struct aq_waiter *party; /* who has the index of this place, or NULL */
  size_t hole;             /* the heap of holes: the first `nholes` of these */
};

struct aq_barrier {
  struct aq_list waiters;          /* for a change, longest first */
  struct aq_barrier_place *places; /* by index */
  size_t capacity;                 /* places allocated */
  size_t nplaces;                  /* indices given out since nobody was inside */
  size_t nholes;                   /* of these, how many nobody has any more */
  size_t parties;                  /* that go on together */
  struct aq_alloc alloc;           /* for `places` */
  enum aq_barrier_state state;
};

/* The index of a party that is not inside. */
#define AQ_BEFORE SIZE_MAX

/* A barrier for that many parties, 1 or more. Allocates nothing. */
void aq_barrier_init(struct aq_barrier *b, size_t parties, struct aq_alloc alloc);

/* Frees the array. No waiter may be in the room. */
void aq_barrier_free(struct aq_barrier *b);

/* How many parties are inside. */
static inline size_t aq_barrier_count(const struct aq_barrier *b) { return b->nplaces - b->nholes; }

/* True if a party may not come in yet. */
static inline bool aq_barrier_is_closed(const struct aq_barrier *b) {
  return b->state == AQ_DRAINING || b->state == AQ_RESETTING;
}

/* True if a party that comes now has to wait, before the barrier or inside. */
static inline bool aq_barrier_must_wait(const struct aq_barrier *b) {
  return aq_barrier_is_closed(b) ||
         (b->state == AQ_FILLING && aq_barrier_count(b) + 1 < b->parties);
}

/* Makes room for one more party inside. AQ_OK, or AQ_NOMEM with nothing changed. */
enum aq_status aq_barrier_reserve(struct aq_barrier *b);

/*
** The party of `w` comes in; the barrier is filling. Returns its index. If it is the last, the
** others are woken. Cannot fail after aq_barrier_reserve.
*/
size_t aq_barrier_enter(struct aq_barrier *b, struct aq_waiter *w);

/* `w`, IDLE, waits for a change until the deadline; the agenda has room for it. */
void aq_barrier_wait(struct aq_barrier *b, struct aq_waiter *w, uint64_t deadline_ns);

/* The party with this index leaves; after the last one the barrier fills again. */
void aq_barrier_leave(struct aq_barrier *b, size_t index);

/*
** For a waiter that does not look again, in its step: if it was woken, the next is woken instead;
** its party leaves. `index` may be AQ_BEFORE.
*/
void aq_barrier_break_off(struct aq_barrier *b, struct aq_waiter *w, size_t index);

/* The index of the party of `w`, or AQ_BEFORE; by looking through all. */
size_t aq_barrier_find(const struct aq_barrier *b, const struct aq_waiter *w);

/* Those inside are to leave, and then it can be used again (K5). */
void aq_barrier_reset(struct aq_barrier *b);

/* Those inside are to leave, and nobody comes in before a reset (K5). */
void aq_barrier_abort(struct aq_barrier *b);

#endif
