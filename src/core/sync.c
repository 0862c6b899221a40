/*
** sync.c - events, locks, semaphores and conditions.
*/
#include "sync.h"

void aq_event_init(struct aq_event *e) {
  aq_list_init(&e->waiters);
  e->is_set = false;
}

void aq_event_set(struct aq_event *e) {
  e->is_set = true;
  aq_room_wake_all(&e->waiters, AQ_OK);
}

void aq_semaphore_init(struct aq_semaphore *s, size_t value) {
  aq_list_init(&s->waiters);
  s->value = value;
  s->woken = s->leaving = 0;
  s->is_lock = false;
}

void aq_lock_init(struct aq_semaphore *s) {
  aq_semaphore_init(s, 1);
  s->is_lock = true;
}

/* Hands one free permit to the one who waits longest; false if there is no permit or nobody. */
static bool hand_on(struct aq_semaphore *s) {
  if (s->value == 0 || s->leaving > 0 || !aq_room_wake_first(&s->waiters)) return false;
  s->value--;
  s->woken++;
  return true;
}

bool aq_semaphore_acquire_now(struct aq_semaphore *s) {
  if (aq_semaphore_is_locked(s)) return false;
  s->value--;
  return true;
}

/* A lock's waiter is broken off: being the first, it stands in the way until it runs. */
static void leave_room(struct aq_semaphore *s, struct aq_waiter *w) {
  if (s->waiters.next == &w->link)
    s->leaving++;
  else
    w->leave = NULL; /* tells acquire_end that it was not counted */
}

static bool leave_lock(struct aq_waiter *w, enum aq_status why) {
  (void)why;
  leave_room(w->thing, w);
  return true;
}

void aq_semaphore_acquire_wait(struct aq_semaphore *s, struct aq_waiter *w, uint64_t deadline_ns) {
  w->thing = s;
  aq_waiter_enter(w, &s->waiters, s->is_lock ? leave_lock : NULL, deadline_ns);
}

enum aq_status aq_semaphore_acquire_end(struct aq_semaphore *s, struct aq_waiter *w,
                                        bool cancelled) {
  enum aq_status status = w->status;
  if (status == AQ_OK) {
    s->woken--;
    if (cancelled) s->value++;
  } else if (s->is_lock && w->leave != NULL) {
    s->leaving--;
  }
  /* Permits released meanwhile had to stay: whoever was woken first goes first. */
  while (hand_on(s)) {}
  return cancelled ? AQ_CANCELLED : status;
}

void aq_semaphore_release(struct aq_semaphore *s) {
  s->value++;
  hand_on(s);
}

void aq_condition_init(struct aq_condition *c, struct aq_semaphore *lock) {
  aq_list_init(&c->waiters);
  c->lock = lock;
}

void aq_condition_wait(struct aq_condition *c, struct aq_waiter *w, uint64_t deadline_ns) {
  aq_semaphore_release(c->lock);
  w->thing = c;
  aq_waiter_enter(w, &c->waiters, NULL, deadline_ns);
}

static bool leave_retaking(struct aq_waiter *w, enum aq_status why) {
  const struct aq_condition *c = w->thing;
  (void)why;
  leave_room(c->lock, w);
  return true;
}

bool aq_condition_retake(struct aq_condition *c, struct aq_waiter *w) {
  if (aq_semaphore_acquire_now(c->lock)) return true;
  aq_waiter_enter(w, &c->lock->waiters, leave_retaking, AQ_NEVER);
  return false;
}

enum aq_status aq_condition_retake_end(struct aq_condition *c, struct aq_waiter *w,
                                       bool cancelled) {
  return aq_semaphore_acquire_end(c->lock, w, cancelled);
}

void aq_condition_end(struct aq_condition *c, bool was_notified, enum aq_status outcome) {
  if (was_notified && outcome != AQ_OK) aq_condition_notify(c, 1);
}

void aq_condition_notify(struct aq_condition *c, size_t n) {
  while (n > 0 && aq_room_wake_first(&c->waiters)) n--;
}
