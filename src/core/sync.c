/*
** sync.c - events, locks and semaphores.
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
static void leave_lock(struct aq_waiter *w) {
  struct aq_semaphore *s = w->thing;
  if (s->waiters.next == &w->link)
    s->leaving++;
  else
    w->leave = NULL; /* tells acquire_end that it was not counted */
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
