/*
** waiter.h - one pending wait by one party, and the agenda that says who is next.
**
**                enter                     settle, abort                turn
**     IDLE ----------------> WAITING ----------------------> READY ----------> IDLE + wake()
**       \____________________________________________________/
**                        ready (nothing to wait for)
**
** A waiter stands between a thing (a queue's room, a deadline) and a party (a task, a callback),
** with one function facing each: `leave` faces the thing and is called when the wait is to be broken
** off (deadline, cancel), and may say that it cannot be; `wake` faces the party and is called once,
** from a turn. Whatever settles a waiter first decides its status; later attempts are ignored. Its link is in exactly one list: a
** room while WAITING, the ready list while READY, none while IDLE.
**
** The agenda is the ready list plus the heap of deadlines. One *turn* wakes the waiters that were
** ready when it began, in order (what they make ready runs in the next turn), and then fires the
** deadlines that were due when it began; firing only makes ready. This is the order of events of
** asyncio: what is ready, then due timers, one hop from a timer to the one who waited for it.
**
** Nothing here allocates but aq_agenda_reserve. One thread. A waiter's owner keeps it alive until
** it is IDLE again (aq_waiter_drop gets it there at any time).
*/
#ifndef AQ_WAITER_H
#define AQ_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "heap.h"
#include "list.h"
#include "status.h"

#define AQ_NEVER UINT64_MAX   /* a deadline that does not come */
#define AQ_FAR (AQ_NEVER - 1) /* one that is beyond the clock: armed, and never reached */

struct aq_agenda {
  struct aq_list ready;     /* READY waiters, in the order they will be woken */
  struct aq_list batch;     /* what the turn under way has still to wake */
  struct aq_heap deadlines; /* armed deadlines, soonest first */
  uint64_t now_ns;          /* the clock as last looked at; owned by whoever drives the turns */
  uint64_t woken;           /* waiters woken since the start */
  uint64_t shuffle; /* state of the random order of each turn; 0: first come, first served */
  void (*on_ready)(struct aq_agenda *a); /* is told that there is something to do; or NULL */
};

/* A moment at which `fire` is called from a turn. Armed = its node is in the heap. */
struct aq_deadline {
  struct aq_heap_node node; /* in agenda->deadlines */
  void (*fire)(struct aq_deadline *d);
};

struct aq_waiter;

/*
** The waiter is about to leave the room because of `why`, AQ_CLOSED if nobody will be woken. False:
** not yet; it stays WAITING until its thing settles it. Of aq_waiter_drop the answer is not heard.
*/
typedef bool aq_leave(struct aq_waiter *w, enum aq_status why);

enum aq_waiter_state { AQ_IDLE, AQ_WAITING, AQ_READY };

struct aq_waiter {
  struct aq_list link;               /* in a room, in ready or batch, or alone */
  struct aq_deadline deadline;       /* armed only while WAITING */
  struct aq_agenda *agenda;          /* where it becomes ready */
  void (*wake)(struct aq_waiter *w); /* faces the party; the waiter is IDLE again */
  void *thing;                       /* what is waited for; for leave and for the party */
  aq_leave *leave;                   /* faces the thing; may be NULL */
  uint8_t state;  /* enum aq_waiter_state; a byte of its own, as the next: each is often written */
  uint8_t status; /* enum aq_status: how the wait ended; valid from READY on */
  bool is_branch; /* of a select: settling calls wake at once and never queues it */
};

void aq_agenda_init(struct aq_agenda *a, struct aq_alloc alloc);

/* Frees the heap's array. Waiters still on the agenda are forgotten, not touched. */
void aq_agenda_free(struct aq_agenda *a);

/* Makes sure that one more deadline can be armed. AQ_OK, or AQ_NOMEM with nothing changed. */
static inline enum aq_status aq_agenda_reserve(struct aq_agenda *a) {
  return aq_heap_reserve(&a->deadlines);
}

/* Runs one turn. The caller has set now_ns; not to be called from within a turn. */
void aq_agenda_turn(struct aq_agenda *a);

/*
** The same in parts, for a driver that knows its parties: begin, then aq_agenda_next until it says
** NULL, calling wake of each, then end.
*/
struct aq_turn {
  uint64_t now_ns;        /* deadlines up to here fire at the end */
  uint64_t first_new_seq; /* ... unless they were armed in this turn */
};

struct aq_turn aq_agenda_begin(struct aq_agenda *a);
void aq_agenda_end(struct aq_agenda *a, struct aq_turn turn);

/*
** Wakes the waiters of each turn in an order drawn from `seed`, to find out what relies on theirs;
** 0 goes back to the order in which they became ready.
*/
void aq_agenda_shuffle(struct aq_agenda *a, uint64_t seed);

/* For who arms a deadline outside of a turn: whoever takes the turns looks at the deadlines again. */
static inline void aq_agenda_tell(struct aq_agenda *a) {
  if (a->on_ready != NULL) a->on_ready(a);
}

/* True when a turn would wake somebody at once. */
static inline bool aq_agenda_has_ready(const struct aq_agenda *a) {
  return !aq_list_alone(&a->ready);
}

/* The soonest armed deadline, or AQ_NEVER. */
uint64_t aq_agenda_next_deadline(const struct aq_agenda *a);

void aq_deadline_init(struct aq_deadline *d, void (*fire)(struct aq_deadline *d));

/* Arms `d`, which is not armed. Cannot fail after aq_agenda_reserve. */
void aq_deadline_arm(struct aq_agenda *a, struct aq_deadline *d, uint64_t when_ns);

/* Disarms `d`; does nothing when it is not armed. */
void aq_deadline_disarm(struct aq_agenda *a, struct aq_deadline *d);

/* An IDLE waiter of the party behind `wake`. */
void aq_waiter_init(struct aq_waiter *w, struct aq_agenda *a, void (*wake)(struct aq_waiter *w));

/*
** IDLE -> WAITING at the tail of `room` (NULL: waits for its deadline only). `deadline_ns` may be
** AQ_NEVER; any other needs aq_agenda_reserve before.
*/
void aq_waiter_enter(struct aq_waiter *w, struct aq_list *room, aq_leave *leave,
                     uint64_t deadline_ns);

/* IDLE -> READY: there is nothing to wait for but the next turn. */
void aq_waiter_ready(struct aq_waiter *w, enum aq_status status);

/* WAITING -> READY, called by the thing. Returns false, with nothing done, in any other state. */
bool aq_waiter_settle(struct aq_waiter *w, enum aq_status status);

/* WAITING -> READY, called by anybody else: the thing is told through `leave`. False, with nothing
** done, in any other state, and if the thing does not let it go yet. */
bool aq_waiter_abort(struct aq_waiter *w, enum aq_status status);

/* The next waiter of the turn under way, IDLE and to be woken now; NULL: no more. */
static inline struct aq_waiter *aq_agenda_next(struct aq_agenda *a) {
  if (aq_list_alone(&a->batch)) return NULL;
  struct aq_waiter *w = AQ_CONTAINER(a->batch.next, struct aq_waiter, link);
  aq_list_unlink(&w->link);
  w->state = AQ_IDLE;
  a->woken++;
  return w;
}

/* A room: settles the one who has waited longest; false if nobody waits. */
static inline bool aq_room_wake_first(struct aq_list *room) {
  if (aq_list_alone(room)) return false;
  return aq_waiter_settle(AQ_CONTAINER(room->next, struct aq_waiter, link), AQ_OK);
}

/* A room: how many wait in it, by walking along them. */
size_t aq_room_count(const struct aq_list *room);

/* A room: settles all, in the order they came. */
void aq_room_wake_all(struct aq_list *room, enum aq_status status);

/* Any state -> IDLE without a wake; the thing is told if it was WAITING. A READY waiter may hold a
** ticket: its party hands that on first (*_end with `cancelled`). */
void aq_waiter_drop(struct aq_waiter *w);

#endif
