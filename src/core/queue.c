/*
** queue.c - put, get, done, join, shutdown.
**
** Tickets. A woken waiter owns one stored item (a claim) or one free slot (a promise) until its
** next step. Nobody else can have it meanwhile, so a woken waiter never finds nothing and there is
** no retry loop; and whoever comes later waits behind, so waiting is strictly first come, first
** served. Tickets count items, they do not name them: which item, is decided by the order when the
** getter runs.
**
**     free items = count - claimed        free slots = maxsize - count - promised
**
** What holds after every call:
**
**     I1  a getter waits unwoken  =>  no free item, and the queue is open
**     I2  a putter waits unwoken  =>  no free slot, and the queue is open
**     I3  a joiner waits          =>  unfinished > 0
**     I4  each item is exactly one of: stored, returned by a get, handed out by discard or dropped
**
** After a shutdown a promised putter raises (S7), and a claim is good (S9) unless the items were
** discarded: then the claims are void, and a getter learns it from claimed = 0, since a queue that
** is shut down and empty never gives a new claim.
**
** A queue that drops has no putters. On a full one the new item takes the place of the oldest, so
** the count and with it every claim stays good, and no item becomes free.
*/
#include "queue.h"

#include <assert.h>
#include <stdlib.h>

void aq_queue_init(struct aq_queue *q, size_t maxsize, enum aq_order_kind kind,
                   struct aq_alloc alloc) {
  *q = (struct aq_queue){.maxsize = maxsize};
  aq_order_init(&q->order, kind, alloc);
  aq_list_init(&q->getters);
  aq_list_init(&q->putters);
  aq_list_init(&q->joiners);
}

void aq_queue_set_overflow(struct aq_queue *q, enum aq_overflow overflow) {
  assert(q->maxsize > 0 && q->order.kind == AQ_FIFO && q->total_put == 0);
  q->overflow = overflow;
}

bool aq_queue_is_waited_for(const struct aq_queue *q) {
  return q->claimed + q->promised > 0 || !aq_list_alone(&q->getters) ||
         !aq_list_alone(&q->putters) || !aq_list_alone(&q->joiners);
}

void aq_queue_free(struct aq_queue *q) { aq_order_free(&q->order); }

#ifdef AQ_DEBUG
#define CHECK(q) aq_queue_check(q)
#else
#define CHECK(q) ((void)0)
#endif

void aq_queue_check(const struct aq_queue *q) {
  bool getter_waits = !aq_list_alone(&q->getters);
  bool putter_waits = !aq_list_alone(&q->putters);
  bool held = q->claimed <= q->order.count;
  held = held && !(getter_waits && (!aq_queue_is_empty(q) || q->is_shutdown));
  held = held && !(putter_waits && (!aq_queue_is_full(q) || q->is_shutdown));
  held = held && !(!aq_list_alone(&q->joiners) && q->unfinished == 0);
  held = held && !(aq_queue_drops(q) && (putter_waits || q->promised > 0));
  held = held && (q->maxsize == 0 || q->order.count + q->promised <= q->maxsize);
  held =
    held && (q->order.kind == AQ_PRIORITY || q->order.count + q->promised <= q->order.capacity);
  if (!held) abort();
}

/* An item has become free: it is claimed for the next getter. */
static void offer_item(struct aq_queue *q) {
  if (aq_room_wake_first(&q->getters)) q->claimed++;
}

/* A slot has become free: it is promised to the next putter. */
static void offer_slot(struct aq_queue *q) {
  if (aq_room_wake_first(&q->putters)) q->promised++;
}

enum aq_status aq_queue_reserve(struct aq_queue *q) {
  return aq_order_reserve(&q->order, q->order.count + q->promised + 1);
}

static void store(struct aq_queue *q, struct aq_item item) {
  aq_order_push(&q->order, item);
  q->unfinished++;
  q->total_put++;
  if (q->order.count > q->peak) q->peak = q->order.count;
  offer_item(q);
}

static struct aq_item take(struct aq_queue *q) {
  struct aq_item item = aq_order_pop(&q->order);
  offer_slot(q);
  aq_order_trim(&q->order, q->order.count + q->promised);
  return item;
}

enum aq_status aq_queue_put_now(struct aq_queue *q, struct aq_item item) {
  if (q->is_shutdown) return AQ_SHUTDOWN;
  if (aq_queue_is_full(q)) return AQ_FULL;
  store(q, item);
  CHECK(q);
  return AQ_OK;
}

struct aq_item aq_queue_put_dropping(struct aq_queue *q, struct aq_item item) {
  assert(aq_queue_drops(q) && aq_queue_is_full(q) && !q->is_shutdown);
  q->total_put++;
  q->total_dropped++;
  if (q->overflow == AQ_DROP_NEWEST) return item;
  struct aq_item oldest = aq_order_pop(&q->order);
  aq_order_push(&q->order, item);
  /* One more and one less; but the oldest may have been marked done early, the new one is not. */
  if (q->unfinished == 0) q->unfinished = 1;
  CHECK(q);
  return oldest;
}

void aq_queue_put_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns) {
  aq_waiter_enter(w, &q->putters, NULL, deadline_ns);
  CHECK(q);
}

enum aq_status aq_queue_put_end(struct aq_queue *q, struct aq_waiter *w, bool cancelled,
                                struct aq_item item) {
  enum aq_status status = w->status;
  if (status == AQ_OK) {
    q->promised--;
    if (q->is_shutdown)
      status = AQ_SHUTDOWN;
    else if (cancelled)
      offer_slot(q);
    else
      store(q, item);
  }
  CHECK(q);
  return cancelled ? AQ_CANCELLED : status;
}

enum aq_status aq_queue_get_now(struct aq_queue *q, struct aq_item *item) {
  if (aq_queue_is_empty(q)) return q->is_shutdown ? AQ_SHUTDOWN : AQ_EMPTY;
  *item = take(q);
  CHECK(q);
  return AQ_OK;
}

void aq_queue_get_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns) {
  aq_waiter_enter(w, &q->getters, NULL, deadline_ns);
  CHECK(q);
}

void aq_queue_get_later(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns) {
  if (aq_queue_is_empty(q) && !q->is_shutdown) {
    aq_queue_get_wait(q, w, deadline_ns);
    return;
  }
  enum aq_status status = aq_queue_is_empty(q) ? AQ_SHUTDOWN : AQ_OK;
  if (status == AQ_OK) q->claimed++;
  aq_waiter_ready(w, status);
  CHECK(q);
}

/* A woken getter's claim turns back into a free item; false if it was voided by a shutdown. */
static bool unclaim(struct aq_queue *q) {
  if (q->claimed == 0) return false;
  q->claimed--;
  return true;
}

enum aq_status aq_queue_get_end(struct aq_queue *q, struct aq_waiter *w, bool cancelled,
                                struct aq_item *item) {
  enum aq_status status = w->status;
  if (status == AQ_OK && !unclaim(q)) status = AQ_SHUTDOWN;
  /* Woken empty-handed by a shutdown, but an item has come free since: it is served (S3). */
  if (status == AQ_SHUTDOWN && !aq_queue_is_empty(q)) status = AQ_OK;
  if (cancelled) {
    if (!aq_queue_is_empty(q)) offer_item(q);
    status = AQ_CANCELLED;
  } else if (status == AQ_OK) {
    *item = take(q);
  }
  CHECK(q);
  return status;
}

enum aq_status aq_queue_done(struct aq_queue *q) {
  if (q->unfinished == 0) return AQ_OVERDONE;
  q->total_done++;
  if (--q->unfinished == 0) aq_room_wake_all(&q->joiners, AQ_OK);
  CHECK(q);
  return AQ_OK;
}

void aq_queue_join_wait(struct aq_queue *q, struct aq_waiter *w, uint64_t deadline_ns) {
  aq_waiter_enter(w, &q->joiners, NULL, deadline_ns);
  CHECK(q);
}

void aq_queue_shutdown(struct aq_queue *q) {
  q->is_shutdown = true;
  aq_room_wake_all(&q->getters, AQ_SHUTDOWN);
  aq_room_wake_all(&q->putters, AQ_SHUTDOWN);
  CHECK(q);
}

bool aq_queue_discard(struct aq_queue *q, struct aq_item *item) {
  if (q->order.count == 0) return false;
  *item = aq_order_pop(&q->order);
  q->total_dropped++;
  if (q->unfinished > 0) q->unfinished--;
  return true;
}

void aq_queue_shutdown_now(struct aq_queue *q) {
  assert(q->order.count == 0);
  q->claimed = 0;
  if (q->unfinished == 0) aq_room_wake_all(&q->joiners, AQ_OK);
  aq_queue_shutdown(q);
}
