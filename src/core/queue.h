/*
** queue.h - the queue: maxsize, an order of items, tickets, and three rooms of waiters.
**
** Knows no Lua, no libuv, no threads, and not what an item is. Every call runs to its end on the
** caller's thread; none calls back except `leave`-free waiters becoming ready on the agenda.
**
** A call that may have to wait comes in three parts. *_now does it if it can be done at once. If
** that says AQ_FULL or AQ_EMPTY, *_wait puts the caller's waiter in the room. When the waiter is
** woken, *_end uses the ticket it then owns, or hands it on if the party was cancelled meanwhile.
** A woken waiter must call *_end exactly once, in the turn that wakes it.
**
** Rules: Q1-Q18, Q23-Q25, J1-J8, S1-S9, X1-X7.
*/
#ifndef AQ_QUEUE_H
#define AQ_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "order.h"
#include "waiter.h"

/* What a put does that finds no slot free. */
enum aq_overflow { AQ_PUT_WAITS, AQ_DROP_OLDEST, AQ_DROP_NEWEST };

struct aq_queue {
  size_t maxsize;         /* how many items may be stored; 0: any number */
  size_t claimed;         /* tickets on items, owned by woken getters */
  size_t promised;        /* tickets on slots, owned by woken putters */
  size_t unfinished;      /* items stored and not yet marked done */
  size_t peak;            /* the most items ever stored at once */
  uint64_t total_put;     /* items ever stored, or dropped on arrival */
  uint64_t total_done;    /* calls of done that counted */
  uint64_t total_dropped; /* items discarded */
  struct aq_order order;  /* the stored items */
  struct aq_list getters; /* waiting for an item, longest first */
  struct aq_list putters; /* waiting for a slot, longest first */
  struct aq_list joiners; /* waiting for unfinished = 0 */
  enum aq_overflow overflow;
  bool is_shutdown;
};

/* An empty queue; maxsize 0 is unbounded. Allocates nothing. A put on a full one waits. */
void aq_queue_init(struct aq_queue *q, size_t maxsize, enum aq_order_kind kind,
                   struct aq_alloc alloc);

/* Makes a new fifo queue with a maxsize one that drops. Nobody may wait for a slot of it then. */
void aq_queue_set_overflow(struct aq_queue *q, enum aq_overflow overflow);

/* Frees the items' memory. No waiter may be in a room. */
void aq_queue_free(struct aq_queue *q);

/* True if somebody waits, or has been woken and has not run yet. */
bool aq_queue_is_waited_for(const struct aq_queue *q);

static inline size_t aq_queue_size(const struct aq_queue *q) { return q->order.count; }

/* True when a put that finds no slot free drops an item, and so never waits. */
static inline bool aq_queue_drops(const struct aq_queue *q) { return q->overflow != AQ_PUT_WAITS; }

/* True when aq_queue_get_now would find nothing free: stored items may all be claimed (Q3, Q14). */
static inline bool aq_queue_is_empty(const struct aq_queue *q) {
  return q->order.count == q->claimed;
}

/* True when aq_queue_put_now would find no slot free: slots may all be promised (Q3, Q14). */
static inline bool aq_queue_is_full(const struct aq_queue *q) {
  return q->maxsize > 0 && q->order.count + q->promised >= q->maxsize;
}

/*
** Makes room so that one more put can be stored without allocating. AQ_OK, or AQ_NOMEM with
** nothing changed. Every put_now needs one before, and by priority every put_end that stores; else a
** put that has waited does not (its slot comes from a get). By priority, order.place is set as well.
*/
enum aq_status aq_queue_reserve(struct aq_queue *q);

/* AQ_OK: stored. AQ_FULL or AQ_SHUTDOWN: nothing changed. */
enum aq_status aq_queue_put_now(struct aq_queue *q, struct aq_item item);

/*
** After put_now said AQ_FULL, in a queue that drops: stores `item` in the place of the oldest, or
** not at all. Returns the one that was dropped. Wakes nobody; needs no memory (Q23-Q25).
*/
struct aq_item aq_queue_put_dropping(struct aq_queue *q, struct aq_item item);

/* After put_now said AQ_FULL: `w`, IDLE, waits for a slot; its party keeps the item. */
void aq_queue_put_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns);

/*
** For a waiter woken from put_wait. AQ_OK: the slot was used, the item is stored. Else it is not,
** and the status says why: AQ_CANCELLED if `cancelled` (the slot goes to the next putter), or
** AQ_SHUTDOWN, AQ_TIMEDOUT, AQ_DEADLOCK.
*/
enum aq_status aq_queue_put_end(struct aq_queue *q, struct aq_waiter *w, bool cancelled,
                                struct aq_item item);

/* AQ_OK: `*item` was taken. AQ_EMPTY, or AQ_SHUTDOWN (shut down and nothing free): no change. */
enum aq_status aq_queue_get_now(struct aq_queue *q, struct aq_item *item);

/* After get_now said AQ_EMPTY: `w`, IDLE, waits for an item. */
void aq_queue_get_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns);

/*
** As get_wait, for a party that takes nothing before its turn: without looking first. If there is
** nothing to wait for, `w` is READY at once, with a claim on an item or with AQ_SHUTDOWN.
*/
void aq_queue_get_later(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns);

/*
** For a waiter woken from get_wait. AQ_OK: `*item` was taken; it is chosen now, not at the wake
** (V2). Else no change but that a ticket, if it had one, goes to the next getter.
*/
enum aq_status aq_queue_get_end(struct aq_queue *q, struct aq_waiter *w, bool cancelled,
                                struct aq_item *item);

/* Marks one item done; the last one wakes the joiners. AQ_OVERDONE: none is unfinished. */
enum aq_status aq_queue_done(struct aq_queue *q);

/* `w`, IDLE, waits until unfinished is 0, which it is not now. No ticket, so no *_end. */
void aq_queue_join_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns);

/*
** Refuses puts from now on and wakes everybody who could only wait for ever. What is stored can
** still be taken. May be called again.
*/
void aq_queue_shutdown(struct aq_queue *q);

/*
** Takes one item out of a queue that is being shut down at once: call aq_queue_shutdown_now after
** the last. False: none is left. The item counts as done (S5).
*/
bool aq_queue_discard(struct aq_queue *q, struct aq_item *item);

/* After the last discard: voids all tickets, wakes joiners if nothing is unfinished, shuts down. */
void aq_queue_shutdown_now(struct aq_queue *q);

/* Aborts unless I1-I3 hold. For tests; called after each operation in debug builds. */
void aq_queue_check(const struct aq_queue *q);

#endif
