/*
** sync.h - events, locks, semaphores and conditions: a room with a rule each.
**
** A semaphore hands a permit to the one who waits longest; until that one's next step the permit
** is its ticket, and nobody else gets in meanwhile, even if more permits are free: then they are
** handed on in that step (K2).
**
** A lock is a semaphore with one permit and, as in asyncio, one thing more: a first waiter whose
** wait was broken off stands in the way until its next step, and then passes the wake on (K1).
**
**     free permits = value        tickets out = woken        in the way = leaving
**     a waiter waits unwoken  =>  value = 0 or woken > 0 or leaving > 0
**
** Who waits on a condition lets go of its lock, and takes it again however that wait ended (K4):
**
**     aq_condition_wait              notified, or broken off              the lock is its own
**     ----------------> in waiters -------------------------> retake, or -------------------> end
**                                                             in the lock's room
*/
#ifndef AQ_SYNC_H
#define AQ_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "waiter.h"

struct aq_event {
  struct aq_list waiters; /* until it is set */
  bool is_set;
};

void aq_event_init(struct aq_event *e);

/* Sets the event and wakes all who wait, even if it is cleared before they run (K3, H22). */
void aq_event_set(struct aq_event *e);

struct aq_semaphore {
  struct aq_list waiters; /* for a permit, longest first */
  size_t value;           /* permits nobody has */
  size_t woken;           /* permits handed to waiters that have not run yet */
  size_t leaving;         /* lock: first waiters broken off that have not run yet */
  bool is_lock;
};

/* A semaphore with `value` permits. */
void aq_semaphore_init(struct aq_semaphore *s, size_t value);

/* A lock, free. */
void aq_lock_init(struct aq_semaphore *s);

/* True if aq_semaphore_acquire_now would not get a permit. */
static inline bool aq_semaphore_is_locked(const struct aq_semaphore *s) {
  return s->value == 0 || s->woken > 0 || !aq_list_alone(&s->waiters);
}

/* True while a lock is held; one handed to a waiter is nobody's until that one runs (H21). */
static inline bool aq_lock_is_held(const struct aq_semaphore *s) {
  return s->value == 0 && s->woken == 0;
}

/* Takes a permit if one is free and nobody is before; else nothing changes. */
bool aq_semaphore_acquire_now(struct aq_semaphore *s);

/* `w`, IDLE, waits for a permit. */
void aq_semaphore_acquire_wait(struct aq_semaphore *s, struct aq_waiter *w, uint64_t deadline_ns);

/*
** For a waiter woken from acquire_wait, in its step. AQ_OK: the permit is the party's. Else the
** status says why not, and a permit it was handed goes to the next.
*/
enum aq_status aq_semaphore_acquire_end(struct aq_semaphore *s, struct aq_waiter *w,
                                        bool cancelled);

/* Gives a permit back. */
void aq_semaphore_release(struct aq_semaphore *s);

struct aq_condition {
  struct aq_list waiters;    /* for a notification, longest first */
  struct aq_semaphore *lock; /* held by who notifies, and by who begins to wait */
};

void aq_condition_init(struct aq_condition *c, struct aq_semaphore *lock);

/* Lets go of the lock, which the party of `w` holds; `w`, IDLE, waits for a notification. */
void aq_condition_wait(struct aq_condition *c, struct aq_waiter *w, uint64_t deadline_ns);

/*
** For a waiter woken from wait, in its step: true if it has the lock again. Else it waits for that:
** no cancel is to break it off, and it is to call retake_end when it is woken.
*/
bool aq_condition_retake(struct aq_condition *c, struct aq_waiter *w);

/* AQ_OK: the lock is the party's. Else it went to the next, or was never handed to this one. */
enum aq_status aq_condition_retake_end(struct aq_condition *c, struct aq_waiter *w, bool cancelled);

/*
** The end of a wait, after the lock. A party that was notified and has an outcome other than AQ_OK
** passes the notification on, so that somebody may be woken for nothing (B33).
*/
void aq_condition_end(struct aq_condition *c, bool was_notified, enum aq_status outcome);

/* Wakes the `n` that wait longest, or all if they are fewer. The caller holds the lock. */
void aq_condition_notify(struct aq_condition *c, size_t n);

#endif
