/*
** sync_test.c - events, semaphores and locks.
**
** First the rules, one by one; then random operations against asyncio's own algorithms: the model
** keeps a deque of futures as CPython's locks.py does, and every party must be let in, made to
** wait and woken exactly when asyncio would.
**
** A party acquires (or waits for the event) and writes to a log how that ended: "A", or
** "A:cancelled", "A:timedout". What it holds it keeps until it is told to release.
**
** AQ_SEED, AQ_STEPS: another run, a longer run. AQ_TRACE=1 prints every operation.
*/
#include "check.h"
#include "chance.h"
#include "core/sync.h"
#include "memory.h"

struct party {
  struct aq_waiter waiter;
  void (*then)(void); /* called in its step, after it has got what it waited for */
  bool is_cancelled;  /* told so, and not yet seen by it */
  bool for_event;     /* it waits for the event, not for a permit */
  char name;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_semaphore s;
static struct aq_event e;
static struct party A, B, C, D;
static char events[256];

static void note(struct party *p, enum aq_status status) {
  size_t n = strlen(events), room = sizeof events - n;
  const char *how = status == AQ_OK          ? ""
                    : status == AQ_CANCELLED ? ":cancelled"
                    : status == AQ_TIMEDOUT  ? ":timedout"
                                             : aq_status_text(status);
  snprintf(events + n, room, "%s%c%s", n > 0 ? " " : "", p->name, how);
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  bool was_cancelled = p->is_cancelled;
  p->is_cancelled = false;
  enum aq_status status = was_cancelled ? AQ_CANCELLED : w->status;
  if (!p->for_event) status = aq_semaphore_acquire_end(w->thing, w, was_cancelled);
  note(p, status);
  if (status == AQ_OK && p->then != NULL) p->then();
}

static void init_party(struct party *p, char name) {
  *p = (struct party){.name = name};
  aq_waiter_init(&p->waiter, &agenda, on_wake);
}

static void open_agenda(void) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  init_party(&A, 'A');
  init_party(&B, 'B');
  init_party(&C, 'C');
  init_party(&D, 'D');
  events[0] = '\0';
}

static void open_semaphore(size_t value) {
  open_agenda();
  aq_semaphore_init(&s, value);
}

static void open_lock(void) {
  open_agenda();
  aq_lock_init(&s);
}

static void open_event(void) {
  open_agenda();
  aq_event_init(&e);
}

/* All have run: nobody is woken, waits, or stands in the way. */
static void close_sync(void) {
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

static void close_semaphore(void) {
  CHECK(aq_list_alone(&s.waiters));
  CHECK_EQ(s.woken, 0);
  CHECK_EQ(s.leaving, 0);
  close_sync();
}

/* Acquires at once, or waits: then false. */
static bool acquire_by(struct party *p, uint64_t deadline_ns) {
  if (aq_semaphore_acquire_now(&s)) return true;
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_semaphore_acquire_wait(&s, &p->waiter, deadline_ns);
  return false;
}

static bool acquire(struct party *p) { return acquire_by(p, AQ_NEVER); }
static void release(void) { aq_semaphore_release(&s); }

static void wait_event_by(struct party *p, uint64_t deadline_ns) {
  p->for_event = true;
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_waiter_enter(&p->waiter, &e.waiters, NULL, deadline_ns);
}

static void wait_event(struct party *p) { wait_event_by(p, AQ_NEVER); }

/* What a runtime does to cancel a task. */
static void cancel(struct party *p) {
  p->is_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

/* One turn; what happened in it. */
static const char *turn(void) {
  events[0] = '\0';
  aq_agenda_turn(&agenda);
  return events;
}

/* --- events ----------------------------------------------------------------------------------- */

TEST(K3_a_new_event_is_not_set_and_clearing_takes_nothing_back) {
  open_event();
  CHECK(!e.is_set);
  aq_event_set(&e);
  aq_event_set(&e);
  CHECK(e.is_set);
  CHECK_STR(turn(), "");
  close_sync();
}

TEST(K3_H22_set_wakes_all_in_order_one_turn_later) {
  open_event();
  wait_event(&B);
  wait_event(&A);
  wait_event(&C);
  CHECK_STR(turn(), "");
  aq_event_set(&e);
  CHECK_STR(events, "");
  CHECK_STR(turn(), "B A C");
  close_sync();
}

TEST(K3_H22_set_and_cleared_at_once_wakes_those_who_waited_and_only_those) {
  open_event();
  wait_event(&A);
  wait_event(&B);
  aq_event_set(&e);
  e.is_set = false;
  wait_event(&C);
  CHECK_STR(turn(), "A B");
  CHECK_EQ(C.waiter.state, AQ_WAITING);
  aq_event_set(&e);
  CHECK_STR(turn(), "C");
  close_sync();
}

static void set_event(void) { aq_event_set(&e); }

TEST(H22_set_in_a_step_wakes_in_the_next_turn) {
  open_event();
  wait_event(&B);
  A.then = set_event;
  A.for_event = true;
  aq_waiter_ready(&A.waiter, AQ_OK);
  CHECK_STR(turn(), "A");
  CHECK_STR(turn(), "B");
  close_sync();
}

static void clear_and_wait_again(void) {
  e.is_set = false;
  A.then = NULL;
  wait_event(&A);
}

TEST(K3_who_waits_again_in_its_step_waits_for_the_next_set) {
  open_event();
  A.then = clear_and_wait_again;
  wait_event(&A);
  wait_event(&B);
  aq_event_set(&e);
  CHECK_STR(turn(), "A B");
  CHECK_STR(turn(), "");
  CHECK_EQ(A.waiter.state, AQ_WAITING);
  aq_event_set(&e);
  CHECK_STR(turn(), "A");
  close_sync();
}

TEST(K3_one_who_is_cancelled_leaves_the_others_waiting) {
  open_event();
  wait_event(&A);
  wait_event(&B);
  wait_event(&C);
  cancel(&B);
  CHECK_STR(turn(), "B:cancelled");
  aq_event_set(&e);
  cancel(&A); /* woken, but it has not run */
  CHECK_STR(turn(), "A:cancelled C");
  close_sync();
}

TEST(K3_a_deadline_breaks_off_and_a_set_before_it_disarms_it) {
  open_event();
  wait_event_by(&A, 10);
  wait_event_by(&B, 20);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "");
  aq_event_set(&e);
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  agenda.now_ns = 20;
  CHECK_STR(turn(), "A:timedout B");
  close_sync();
}

/* --- semaphores ------------------------------------------------------------------------------- */

TEST(K2_as_many_as_there_are_permits_get_in_at_once) {
  open_semaphore(2);
  CHECK(!aq_semaphore_is_locked(&s));
  CHECK(aq_semaphore_acquire_now(&s));
  CHECK(aq_semaphore_acquire_now(&s));
  CHECK(aq_semaphore_is_locked(&s));
  CHECK(!aq_semaphore_acquire_now(&s));
  CHECK_EQ(s.value, 0);
  release();
  CHECK_EQ(s.value, 1);
  CHECK(aq_semaphore_acquire_now(&s));
  close_semaphore();
}

TEST(K2_a_semaphore_without_permits_waits_for_the_first_release) {
  open_semaphore(0);
  CHECK(aq_semaphore_is_locked(&s));
  CHECK(!acquire(&A));
  release();
  CHECK_STR(turn(), "A");
  close_semaphore();
}

TEST(K2_H21_a_release_wakes_the_longest_waiting_one_turn_later) {
  open_semaphore(1);
  CHECK(acquire(&D));
  acquire(&B);
  acquire(&A);
  release();
  CHECK_STR(turn(), "B");
  CHECK_STR(turn(), "");
  release();
  CHECK_STR(turn(), "A");
  close_semaphore();
}

TEST(K2_the_value_is_lowered_at_the_wake) {
  open_semaphore(0);
  acquire(&A);
  release();
  CHECK_EQ(s.value, 0);
  CHECK_EQ(s.woken, 1);
  CHECK_STR(turn(), "A");
  CHECK_EQ(s.value, 0);
  CHECK_EQ(s.woken, 0);
  close_semaphore();
}

TEST(K2_no_newcomer_gets_in_before_a_woken_waiter_even_if_permits_are_free) {
  open_semaphore(0);
  acquire(&A);
  release();
  release();
  CHECK_EQ(s.value, 1);
  CHECK(aq_semaphore_is_locked(&s));
  CHECK(!acquire(&B));
  CHECK_EQ(s.value, 1); /* B waits though a permit is free: A hands it on */
  CHECK_STR(turn(), "A");
  CHECK_EQ(s.value, 0);
  CHECK_STR(turn(), "B");
  close_semaphore();
}

TEST(K2_a_woken_waiter_hands_on_all_the_permits_there_are) {
  open_semaphore(0);
  acquire(&A);
  for (int i = 0; i < 4; i++) release();
  acquire(&B);
  acquire(&C);
  CHECK_STR(turn(), "A");
  CHECK_EQ(s.value, 1);
  CHECK_EQ(s.woken, 2);
  CHECK_STR(turn(), "B C");
  CHECK(acquire(&D));
  close_semaphore();
}

TEST(K2_a_release_wakes_the_next_while_others_are_woken) {
  open_semaphore(0);
  acquire(&A);
  acquire(&B);
  acquire(&C);
  release();
  release();
  CHECK_EQ(s.woken, 2);
  CHECK_STR(turn(), "A B");
  release();
  CHECK_STR(turn(), "C");
  close_semaphore();
}

TEST(K2_a_cancelled_woken_waiter_gives_its_permit_to_the_next) {
  open_semaphore(0);
  acquire(&A);
  acquire(&B);
  release();
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B");
  close_semaphore();
}

TEST(K2_a_cancelled_woken_waiter_gives_its_permit_back_if_nobody_waits) {
  open_semaphore(0);
  acquire(&A);
  release();
  cancel(&A);
  CHECK(aq_semaphore_is_locked(&s));
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(s.value, 1);
  CHECK(acquire(&B));
  close_semaphore();
}

TEST(K2_a_cancelled_woken_waiter_hands_on_the_free_permits_too) {
  open_semaphore(0);
  acquire(&A);
  release();
  release();
  acquire(&B);
  acquire(&C);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B C");
  CHECK_EQ(s.value, 0);
  close_semaphore();
}

TEST(K2_a_cancelled_waiter_is_passed_over_at_once) {
  open_semaphore(0);
  acquire(&A);
  acquire(&B);
  cancel(&A);
  release();
  CHECK_STR(turn(), "A:cancelled B"); /* unlike a lock */
  close_semaphore();
}

TEST(K2_one_who_is_cancelled_alone_keeps_no_newcomer_out) {
  open_semaphore(1);
  CHECK(acquire(&D));
  acquire(&A);
  cancel(&A);
  release();
  CHECK(acquire(&B));
  CHECK_STR(turn(), "A:cancelled");
  release();
  CHECK_EQ(s.value, 1);
  close_semaphore();
}

TEST(K2_a_deadline_breaks_off_the_wait_and_takes_no_permit) {
  open_semaphore(0);
  acquire_by(&A, 10);
  acquire_by(&B, 20);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "");
  release();
  CHECK_STR(turn(), "A:timedout B");
  release();
  CHECK_EQ(s.value, 1);
  close_semaphore();
}

TEST(K2_a_permit_handed_over_in_time_is_kept) {
  open_semaphore(0);
  acquire_by(&A, 10);
  agenda.now_ns = 10;
  release();
  CHECK_STR(turn(), "A");
  CHECK_STR(turn(), "");
  close_semaphore();
}

TEST(K2_a_timeout_that_is_cancelled_before_its_step_is_a_cancel) {
  open_semaphore(0);
  acquire_by(&A, 10);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "");
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(s.value, 0);
  close_semaphore();
}

static void release_and_acquire_again(void) {
  A.then = NULL;
  release();
  CHECK(!acquire(&A));
}

TEST(K2_H21_who_releases_and_acquires_again_goes_behind_the_waiters) {
  open_semaphore(0);
  A.then = release_and_acquire_again;
  acquire(&A);
  acquire(&B);
  release();
  CHECK_STR(turn(), "A");
  CHECK_STR(turn(), "B");
  release();
  CHECK_STR(turn(), "A");
  close_semaphore();
}

/* --- locks ------------------------------------------------------------------------------------ */

TEST(K1_one_at_a_time_in_the_order_they_came) {
  open_lock();
  CHECK(acquire(&D));
  CHECK(!acquire(&B));
  CHECK(!acquire(&A));
  CHECK_STR(turn(), "");
  release();
  CHECK_STR(turn(), "B");
  release();
  CHECK_STR(turn(), "A");
  release();
  CHECK(!aq_semaphore_is_locked(&s));
  close_semaphore();
}

TEST(K1_H21_nobody_gets_in_before_the_woken_waiter) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  release();
  CHECK(aq_semaphore_is_locked(&s));
  CHECK(!acquire(&D));
  CHECK_STR(turn(), "A");
  release();
  CHECK_STR(turn(), "D");
  close_semaphore();
}

TEST(K1_H21_who_releases_and_acquires_again_goes_behind_the_waiters) {
  open_lock();
  CHECK(acquire(&D));
  A.then = release_and_acquire_again;
  acquire(&A);
  acquire(&B);
  release();
  CHECK_STR(turn(), "A");
  CHECK_STR(turn(), "B");
  release();
  CHECK_STR(turn(), "A");
  close_semaphore();
}

TEST(K1_a_woken_waiter_that_is_cancelled_passes_the_lock_on) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  release();
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B");
  close_semaphore();
}

TEST(K1_a_woken_waiter_that_is_cancelled_frees_the_lock_if_nobody_waits) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  release();
  cancel(&A);
  CHECK(aq_semaphore_is_locked(&s));
  CHECK_STR(turn(), "A:cancelled");
  CHECK(acquire(&B));
  close_semaphore();
}

TEST(K1_a_first_waiter_broken_off_stands_in_the_way_until_its_step) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  cancel(&A);
  release();
  CHECK_EQ(s.woken, 0);
  CHECK_EQ(s.value, 1);
  CHECK(!acquire(&C)); /* B was before */
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B"); /* one turn later than from a semaphore */
  release();
  CHECK_STR(turn(), "C");
  close_semaphore();
}

TEST(K1_a_first_waiter_that_timed_out_stands_in_the_way_until_its_step) {
  open_lock();
  CHECK(acquire(&D));
  acquire_by(&A, 10);
  acquire(&B);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "");
  release();
  CHECK_STR(turn(), "A:timedout");
  CHECK_STR(turn(), "B");
  close_semaphore();
}

TEST(K1_a_later_waiter_broken_off_is_in_nobodys_way) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  acquire(&C);
  cancel(&B);
  release();
  CHECK_STR(turn(), "B:cancelled A");
  release();
  CHECK_STR(turn(), "C");
  close_semaphore();
}

TEST(K1_the_first_is_the_one_behind_those_woken) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  acquire(&C);
  A.then = release;
  release();
  cancel(&B);
  CHECK_STR(turn(), "A B:cancelled");
  CHECK_STR(turn(), "C");
  close_semaphore();
}

TEST(K1_all_who_stand_in_the_way_must_have_run) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  acquire(&C);
  cancel(&A);
  cancel(&B); /* the first now */
  CHECK_EQ(s.leaving, 2);
  release();
  CHECK_STR(turn(), "A:cancelled B:cancelled");
  CHECK_STR(turn(), "C");
  close_semaphore();
}

TEST(K1_all_waiters_broken_off_let_a_newcomer_in_at_once) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  cancel(&B);
  cancel(&A);
  release();
  CHECK(acquire(&C));
  CHECK_STR(turn(), "B:cancelled A:cancelled");
  release();
  CHECK(!aq_semaphore_is_locked(&s));
  close_semaphore();
}

TEST(K1_one_who_leaves_while_the_lock_is_held_passes_nothing_on) {
  open_lock();
  CHECK(acquire(&D));
  acquire(&A);
  acquire(&B);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "");
  CHECK_EQ(B.waiter.state, AQ_WAITING);
  release();
  CHECK_STR(turn(), "B");
  close_semaphore();
}

TEST(K1_a_lock_handed_over_in_time_is_kept) {
  open_lock();
  CHECK(acquire(&D));
  acquire_by(&A, 10);
  release();
  agenda.now_ns = 10;
  CHECK_STR(turn(), "A");
  CHECK_STR(turn(), "");
  close_semaphore();
}

/* --- random operations against asyncio's algorithms ------------------------------------------- */

enum { PEOPLE = 10, DOORS = 4, MOST_PERMITS = 4, PHASE_STEPS = 40 };

/* A future in a deque of asyncio's: pending, given its result, or cancelled. */
enum future_state { PENDING, WOKEN, BROKEN };

struct person;

struct future {
  struct person *owner;
  enum future_state state;
};

/* A lock or semaphore, and asyncio's view of it. */
struct door {
  struct aq_semaphore s;
  bool is_lock;
  size_t value;                /* a lock's: 1 unless somebody has acquired it */
  struct future deque[PEOPLE]; /* of who waits or was woken; they leave it in their step */
  size_t count;                /* of these */
  size_t permits;              /* there should be in all */
  uint64_t served;             /* number of the last wait served */
};

struct person {
  struct aq_waiter waiter;
  struct door *door;    /* where it waits, or has a permit of; NULL: neither */
  uint64_t number;      /* of this wait: who waits longer has the lower number */
  uint64_t deadline_ns; /* of this wait */
  bool holds;           /* it has a permit */
  bool was_cancelled;   /* told so, and not yet seen by it */
  bool was_ready;       /* when the turn under way began */
};

static struct door doors[DOORS];
static struct person people[PEOPLE];
static uint64_t waits, step, steps, random_state;
static bool in_turn, is_traced;

static unsigned below(unsigned n) { return chance_below(&random_state, n); }

#define TRACE(...) (is_traced ? (void)printf(__VA_ARGS__) : (void)0)

static int door_number(const struct door *d) { return (int)(d - doors); }
static int person_number(const struct person *p) { return (int)(p - people); }

static bool model_is_locked(const struct door *d) {
  bool somebody = false;
  for (size_t i = 0; i < d->count; i++) somebody = somebody || d->deque[i].state != BROKEN;
  return d->value == 0 || somebody;
}

/* Semaphore._wake_up_next: the first that is not done, if any, and it has a permit from now on. */
static bool model_wake_next(struct door *d) {
  for (size_t i = 0; i < d->count; i++)
    if (d->deque[i].state == PENDING) {
      d->deque[i].state = WOKEN;
      d->value--;
      return true;
    }
  return false;
}

/* Lock._wake_up_first: the first, unless it is done; the lock is nobody's until it runs. */
static void model_wake_first(struct door *d) {
  if (d->count > 0 && d->deque[0].state == PENDING) d->deque[0].state = WOKEN;
}

static void model_release(struct door *d) {
  d->value++;
  if (d->is_lock)
    model_wake_first(d);
  else
    model_wake_next(d);
}

static struct future *future_of(struct person *p) {
  struct door *d = p->door;
  for (size_t i = 0; i < d->count; i++)
    if (d->deque[i].owner == p) return &d->deque[i];
  return NULL;
}

/* The end of acquire, in the step of its task. */
static void model_end(struct person *p, bool has_failed) {
  struct door *d = p->door;
  struct future *f = future_of(p);
  bool was_woken = f->state == WOKEN;
  memmove(f, f + 1, (size_t)(d->deque + --d->count - f) * sizeof *f);
  if (!d->is_lock) {
    if (has_failed && was_woken) d->value++;
    while (d->value > 0 && model_wake_next(d)) {}
  } else if (!has_failed) {
    CHECK_EQ(d->value, 1);
    d->value = 0;
  } else if (d->value > 0) {
    model_wake_first(d);
  }
}

/* What the future of a waiter in this state is. */
static enum future_state state_of(const struct aq_waiter *w) {
  if (w->state == AQ_WAITING) return PENDING;
  return w->status == AQ_OK ? WOKEN : BROKEN;
}

/* Each waits or is woken as the model says; counted on the way, who has what. */
static void check_door(struct door *d) {
  size_t held = 0, woken = 0, broken = 0, waiting = 0;
  uint64_t last_woken = 0, first_waiting = UINT64_MAX;
  for (struct person *p = people; p < people + PEOPLE; p++) {
    if (p->door != d) continue;
    if (p->holds) {
      held++;
      continue;
    }
    struct future *f = future_of(p);
    if (!CHECK(f != NULL)) continue;
    CHECK_EQ(state_of(&p->waiter), f->state);
    if (f->state == WOKEN && p->number > last_woken) last_woken = p->number;
    if (f->state == PENDING && p->number < first_waiting) first_waiting = p->number;
    woken += f->state == WOKEN;
    broken += f->state == BROKEN;
    waiting += f->state == PENDING;
  }
  CHECK_EQ(aq_room_count(&d->s.waiters), waiting);
  CHECK_EQ(d->s.woken, woken);
  CHECK_EQ(aq_semaphore_is_locked(&d->s), model_is_locked(d));
  CHECK_EQ(d->s.value, d->value - (d->is_lock ? woken : 0));
  CHECK_EQ(d->s.value + held + woken, d->permits);
  CHECK(d->s.leaving <= (d->is_lock ? broken : 0));
  CHECK(!d->is_lock || held + woken <= 1);
  CHECK(waiting == 0 || d->s.value == 0 || woken > 0 || (d->is_lock && broken > 0));
  CHECK(last_woken < first_waiting);
}

static void check_doors(void) {
  for (struct door *d = doors; d < doors + DOORS; d++) check_door(d);
}

/* --- what people do --------------------------------------------------------------------------- */

static void go_in(struct person *p, struct door *d) {
  p->door = d;
  p->holds = true;
}

/* Half the waits have a deadline, a near one, now and then in this very turn. */
static void queue_up(struct person *p, struct door *d) {
  p->deadline_ns = below(2) ? AQ_NEVER : agenda.now_ns + below(4);
  if (p->deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  p->door = d;
  p->number = ++waits;
  d->deque[d->count++] = (struct future){p, PENDING};
  aq_semaphore_acquire_wait(&d->s, &p->waiter, p->deadline_ns);
}

/* `p`, free, acquires; it waits if it must and may. */
static void enter(struct person *p, struct door *d, bool may_wait) {
  bool expected = !model_is_locked(d);
  if (expected) d->value--;
  if (!CHECK_EQ(aq_semaphore_acquire_now(&d->s), expected)) return;
  if (expected)
    go_in(p, d);
  else if (may_wait)
    queue_up(p, d);
}

static void leave(struct person *p) {
  struct door *d = p->door;
  p->holds = false;
  p->door = NULL;
  model_release(d);
  aq_semaphore_release(&d->s);
}

/* A permit that nobody had acquired; or one is taken away for good. */
static void more_or_less(struct door *d) {
  if (d->is_lock) return;
  if (d->permits > 0 && below(2) && !model_is_locked(d)) {
    d->value--;
    d->permits--;
    CHECK(aq_semaphore_acquire_now(&d->s));
  } else if (d->permits < MOST_PERMITS) {
    d->permits++;
    model_release(d);
    aq_semaphore_release(&d->s);
  }
}

static void break_off(struct person *p) {
  p->was_cancelled = true;
  if (p->waiter.state == AQ_WAITING) future_of(p)->state = BROKEN;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

static void act_in_wake(struct person *p);

static void on_step(struct aq_waiter *w) {
  struct person *p = AQ_CONTAINER(w, struct person, waiter);
  struct door *d = p->door;
  bool cancelled = p->was_cancelled;
  TRACE("  %d wakes: %s%s\n", person_number(p), aq_status_text(w->status),
        cancelled ? ", cancelled" : "");
  if (!CHECK(in_turn && p->was_ready && d != NULL && !p->holds)) return;
  CHECK(w->status != AQ_TIMEDOUT || p->deadline_ns <= agenda.now_ns);
  enum aq_status expected = cancelled ? AQ_CANCELLED : w->status;
  model_end(p, expected != AQ_OK);
  p->was_cancelled = p->was_ready = false;
  p->door = NULL;
  CHECK_EQ(aq_semaphore_acquire_end(&d->s, w, cancelled), expected);
  if (expected == AQ_OK) {
    CHECK(p->number > d->served);
    d->served = p->number;
    go_in(p, d);
  }
  check_doors();
  if (below(2)) act_in_wake(p);
}

/* The kernel fires deadlines at the end of the turn; so does the model, after the last step. */
static void expire_futures(void) {
  for (struct person *p = people; p < people + PEOPLE; p++) {
    bool is_broken = p->waiter.state == AQ_READY && p->waiter.status == AQ_TIMEDOUT;
    if (p->door != NULL && !p->holds && is_broken) future_of(p)->state = BROKEN;
  }
}

static void run_turn(void) {
  uint64_t due[PEOPLE];
  for (int i = 0; i < PEOPLE; i++) {
    struct person *p = &people[i];
    bool is_late = p->waiter.state == AQ_WAITING && p->deadline_ns <= agenda.now_ns;
    p->was_ready = p->waiter.state == AQ_READY;
    due[i] = is_late ? p->number : 0;
  }
  in_turn = true;
  aq_agenda_turn(&agenda);
  in_turn = false;
  expire_futures();
  for (int i = 0; i < PEOPLE; i++) {
    struct person *p = &people[i];
    CHECK(!p->was_ready);
    if (due[i] != 0 && due[i] == p->number) CHECK(p->waiter.state != AQ_WAITING);
  }
}

/* --- which operation is next ------------------------------------------------------------------ */

enum op { ENTER, ENTER_NOW, LEAVE, MORE_OR_LESS, CANCEL, CANCEL_READY, TIME, TURN, OPS };

static const char *const op_names[OPS] = {
  "acquire", "acquire_now", "release", "more or less", "cancel", "cancel woken", "time", "turn",
};

/* How often each operation comes, in the order of enum op. */
static const unsigned char phases[][OPS] = {
  {20, 6, 14, 4, 6, 4, 4, 12},  /* anything */
  {24, 4, 16, 0, 16, 2, 0, 10}, /* waiters broken off while permits come free */
  {24, 4, 16, 0, 2, 16, 0, 10}, /* woken ones cancelled before they run */
  {24, 4, 12, 0, 0, 2, 16, 10}, /* deadlines against permits */
  {20, 8, 16, 12, 4, 4, 1, 6},  /* many permits at once */
  {20, 4, 16, 0, 0, 0, 0, 12},  /* nobody is broken off: only order matters */
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static const unsigned char *phase; /* the row in force */
static struct door *focus;         /* the door that most operations are about */

static enum op choose_op(void) {
  unsigned sum = 0, i = 0;
  for (unsigned o = 0; o < OPS; o++) sum += phase[o];
  for (unsigned left = below(sum); left >= phase[i]; i++) left -= phase[i];
  return (enum op)i;
}

static bool is_free(const struct person *p) { return p->door == NULL; }
static bool is_inside(const struct person *p) { return p->holds; }
static bool is_waiting(const struct person *p) { return p->waiter.state == AQ_WAITING; }
static bool is_ready(const struct person *p) { return p->waiter.state == AQ_READY; }

/* Somebody of this sort, at `focus` most of the time, or NULL. */
static struct person *find_person(bool (*is)(const struct person *p)) {
  unsigned first = below(PEOPLE);
  for (unsigned i = 0; i < PEOPLE; i++) {
    struct person *p = &people[(first + i) % PEOPLE];
    if (is(p) && (is_free(p) || p->door == focus || below(4) == 0)) return p;
  }
  return NULL;
}

static void operate(enum op op, struct door *d) {
  static bool (*const sorts[OPS])(const struct person *p) = {
    [ENTER] = is_free,     [ENTER_NOW] = is_free,     [LEAVE] = is_inside,
    [CANCEL] = is_waiting, [CANCEL_READY] = is_ready,
  };
  struct person *p = sorts[op] != NULL ? find_person(sorts[op]) : NULL;
  step++;
  if (sorts[op] != NULL && p == NULL) return;
  TRACE("%ju: %s%s: door %d, %d\n", (uintmax_t)step, in_turn ? "  in a step: " : "", op_names[op],
        door_number(p != NULL && p->door != NULL ? p->door : d), p != NULL ? person_number(p) : -1);
  switch (op) {
    case ENTER: enter(p, d, true); break;
    case ENTER_NOW: enter(p, d, false); break;
    case LEAVE: leave(p); break;
    case MORE_OR_LESS: more_or_less(d); break;
    case CANCEL:
    case CANCEL_READY: break_off(p); break;
    case TIME: agenda.now_ns += in_turn ? 0 : 1 + below(3); break;
    default:
      if (!in_turn) run_turn();
  }
  check_doors();
}

static struct door *choose_door(void) { return below(4) > 0 ? focus : &doors[below(DOORS)]; }

/* As often as not it releases at once what it was given. */
static void act_in_wake(struct person *p) {
  if (step >= steps) return;
  if (p->holds && below(2))
    leave(p);
  else
    operate(choose_op(), choose_door());
}

static void open_doors(void) {
  static const size_t permits[DOORS] = {1, 1, 2, 0};
  open_agenda();
  waits = step = 0;
  in_turn = false;
  for (int i = 0; i < DOORS; i++) {
    doors[i] = (struct door){.is_lock = i == 0, .value = permits[i], .permits = permits[i]};
    if (i == 0)
      aq_lock_init(&doors[i].s);
    else
      aq_semaphore_init(&doors[i].s, permits[i]);
  }
  for (int i = 0; i < PEOPLE; i++) {
    people[i] = (struct person){0};
    aq_waiter_init(&people[i].waiter, &agenda, on_step);
  }
}

/* Everybody goes home: who is inside leaves, so that who waits gets in. */
static void empty_doors(void) {
  while (doors[DOORS - 1].permits == 0) more_or_less(&doors[DOORS - 1]);
  for (int round = 0; round < 4 * PEOPLE; round++) {
    for (struct person *p = people; p < people + PEOPLE; p++)
      if (p->holds) leave(p);
    check_doors();
    run_turn();
  }
  for (struct person *p = people; p < people + PEOPLE; p++) CHECK(is_free(p));
  for (struct door *d = doors; d < doors + DOORS; d++) {
    CHECK_EQ(d->s.value, d->permits);
    CHECK_EQ(d->s.leaving, 0);
  }
}

TEST(K1_K2_random_operations_against_asyncios_algorithms) {
  uint64_t seed = random_state = chance_env("AQ_SEED", 1);
  steps = chance_env("AQ_STEPS", 500000);
  is_traced = chance_env("AQ_TRACE", 0) != 0;
  printf("AQ_SEED=%ju AQ_STEPS=%ju\n", (uintmax_t)seed, (uintmax_t)steps);
  open_doors();
  for (uint64_t phase_end = 0; step < steps && check.failures == 0;) {
    if (step >= phase_end) {
      phase = phases[below(PHASES)];
      focus = &doors[below(DOORS)];
      phase_end = step + PHASE_STEPS;
    }
    operate(choose_op(), choose_door());
  }
  if (check.failures == 0) {
    step = steps; /* nobody acts in its step any more */
    empty_doors();
  } else {
    printf("stopped after step %ju; AQ_TRACE=1 AQ_STEPS=%ju shows the way there\n", (uintmax_t)step,
           (uintmax_t)step);
  }
  CHECK(check.failures > 0 || aq_agenda_next_deadline(&agenda) == AQ_NEVER);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}
