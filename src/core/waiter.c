/*
** waiter.c - the state machine of a wait, and the turn.
*/
#include "waiter.h"

#include <assert.h>

void aq_agenda_init(struct aq_agenda *a, struct aq_alloc alloc) {
  aq_list_init(&a->ready);
  aq_list_init(&a->batch);
  aq_heap_init(&a->deadlines, alloc);
  a->now_ns = 0;
  a->woken = 0;
  a->shuffle = 0;
  a->on_ready = NULL;
}

void aq_agenda_shuffle(struct aq_agenda *a, uint64_t seed) { a->shuffle = seed; }

void aq_agenda_free(struct aq_agenda *a) { aq_heap_free(&a->deadlines); }

uint64_t aq_agenda_next_deadline(const struct aq_agenda *a) {
  const struct aq_heap_entry *least = aq_heap_least(&a->deadlines);
  return least != NULL ? least->key : AQ_NEVER;
}

void aq_deadline_init(struct aq_deadline *d, void (*fire)(struct aq_deadline *d)) {
  d->node.place = 0;
  d->fire = fire;
}

void aq_deadline_arm(struct aq_agenda *a, struct aq_deadline *d, uint64_t when_ns) {
  assert(!aq_heap_holds(&d->node));
  if (when_ns < a->now_ns) when_ns = a->now_ns; /* else it would stand before those already due */
  aq_heap_push(&a->deadlines, &d->node, when_ns);
}

void aq_deadline_disarm(struct aq_agenda *a, struct aq_deadline *d) {
  aq_heap_remove(&a->deadlines, &d->node);
}

/* A random bit (xorshift64). */
static bool toss(struct aq_agenda *a) {
  a->shuffle ^= a->shuffle << 13;
  a->shuffle ^= a->shuffle >> 7;
  a->shuffle ^= a->shuffle << 17;
  return a->shuffle >> 63;
}

/*
** Sorts the batch by random keys, a bit of them per pass, so that nothing needs to be allocated:
** each pass puts those with a 1 behind those with a 0.
*/
static void shuffle_batch(struct aq_agenda *a) {
  size_t passes = 1;
  for (size_t n = aq_room_count(&a->batch); n > 1; n /= 2) passes += 2;
  while (passes-- > 0) {
    struct aq_list zeros, ones;
    aq_list_init(&zeros);
    aq_list_init(&ones);
    while (!aq_list_alone(&a->batch)) {
      struct aq_list *node = a->batch.next;
      aq_list_unlink(node);
      aq_list_append(toss(a) ? &ones : &zeros, node);
    }
    aq_list_move(&zeros, &a->batch);
    while (!aq_list_alone(&ones)) {
      struct aq_list *node = ones.next;
      aq_list_unlink(node);
      aq_list_append(&a->batch, node);
    }
  }
}

/* Fires what was due, and armed, before `first_new_seq`: the rest waits for the next turn. */
static void fire_due(struct aq_agenda *a, uint64_t now_ns, uint64_t first_new_seq) {
  const struct aq_heap_entry *least;
  while ((least = aq_heap_least(&a->deadlines)) != NULL && least->key <= now_ns &&
         least->seq < first_new_seq) {
    struct aq_deadline *d = AQ_CONTAINER(least->node, struct aq_deadline, node);
    aq_heap_remove(&a->deadlines, &d->node);
    d->fire(d);
  }
}

struct aq_turn aq_agenda_begin(struct aq_agenda *a) {
  assert(aq_list_alone(&a->batch));
  aq_list_move(&a->ready, &a->batch);
  if (a->shuffle != 0) shuffle_batch(a);
  return (struct aq_turn){a->now_ns, a->deadlines.next_seq};
}

void aq_agenda_end(struct aq_agenda *a, struct aq_turn turn) {
  fire_due(a, turn.now_ns, turn.first_new_seq);
}

void aq_agenda_turn(struct aq_agenda *a) {
  struct aq_turn turn = aq_agenda_begin(a);
  struct aq_waiter *w;
  while ((w = aq_agenda_next(a)) != NULL) w->wake(w);
  aq_agenda_end(a, turn);
}

/* A waiter's own deadline has come: the thing is told, the party becomes ready. */
static void expire(struct aq_deadline *d) {
  aq_waiter_abort(AQ_CONTAINER(d, struct aq_waiter, deadline), AQ_TIMEDOUT);
}

void aq_waiter_init(struct aq_waiter *w, struct aq_agenda *a, void (*wake)(struct aq_waiter *w)) {
  aq_list_init(&w->link);
  aq_deadline_init(&w->deadline, expire);
  w->agenda = a;
  w->wake = wake;
  w->thing = NULL;
  w->leave = NULL;
  w->state = AQ_IDLE;
  w->status = AQ_OK;
  w->is_branch = false;
}

void aq_waiter_enter(struct aq_waiter *w, struct aq_list *room, aq_leave *leave,
                     uint64_t deadline_ns) {
  assert(w->state == AQ_IDLE);
  w->state = AQ_WAITING;
  w->leave = leave;
  if (room != NULL) aq_list_append(room, &w->link);
  if (deadline_ns != AQ_NEVER) aq_deadline_arm(w->agenda, &w->deadline, deadline_ns);
}

void aq_waiter_ready(struct aq_waiter *w, enum aq_status status) {
  assert(w->state == AQ_IDLE);
  w->state = AQ_READY;
  w->status = status;
  aq_list_append(&w->agenda->ready, &w->link);
  if (w->agenda->on_ready != NULL) w->agenda->on_ready(w->agenda);
}

/* WAITING -> IDLE: out of the room, deadline off. */
static void stop_waiting(struct aq_waiter *w) {
  aq_list_unlink(&w->link);
  aq_deadline_disarm(w->agenda, &w->deadline);
  w->state = AQ_IDLE;
}

bool aq_waiter_settle(struct aq_waiter *w, enum aq_status status) {
  if (w->state != AQ_WAITING) return false;
  stop_waiting(w);
  if (w->is_branch) {
    w->status = status;
    w->wake(w);
  } else {
    aq_waiter_ready(w, status);
  }
  return true;
}

bool aq_waiter_abort(struct aq_waiter *w, enum aq_status status) {
  if (w->state != AQ_WAITING) return false;
  if (w->leave != NULL && !w->leave(w, status)) return false;
  stop_waiting(w);
  aq_waiter_ready(w, status);
  return true;
}

size_t aq_room_count(const struct aq_list *room) {
  size_t n = 0;
  for (const struct aq_list *node = room->next; node != room; node = node->next) n++;
  return n;
}

void aq_room_wake_all(struct aq_list *room, enum aq_status status) {
  while (!aq_list_alone(room))
    aq_waiter_settle(AQ_CONTAINER(room->next, struct aq_waiter, link), status);
}

void aq_waiter_drop(struct aq_waiter *w) {
  if (w->state == AQ_WAITING) {
    if (w->leave != NULL) w->leave(w, AQ_CLOSED);
    stop_waiting(w);
  }
  aq_list_unlink(&w->link);
  w->state = AQ_IDLE;
}
