/*
** condition_test.c - conditions.
**
** First the rules, one by one; then random operations against asyncio's own algorithm: the model
** keeps the waiters of a lock and of two conditions on it in lists of futures, as CPython's
** locks.py does, and each room must have in it who is pending there, in the same order. One thing
** is ours: a cancel of who takes the lock again leaves it its place, and is seen at the end.
**
** AQ_SEED, AQ_STEPS: another run, a longer run. AQ_TRACE=1 prints every operation.
*/
#include "check.h"
#include "chance.h"
#include "core/sync.h"
#include "memory.h"

/* Where somebody is. */
enum stage { OUTSIDE, INSIDE, ENTERING, WAITING, RETAKING };

struct person {
  struct aq_waiter waiter;
  struct aq_condition *condition; /* WAITING, RETAKING: on which */
  void (*then)(void);             /* called in its step when it is inside */
  enum stage stage;
  enum aq_status outcome; /* of its wait, so far */
  bool was_notified;
  bool was_cancelled; /* told so, and not yet seen by it */
  char name;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_semaphore lock;
static struct aq_condition c, d;
static struct person A, B, C, D;
static char events[256];

/* "A" has what it waited for; "A:cancelled", "A:timedout", "A:lost": not. */
static void note(const struct person *p, enum aq_status status) {
  size_t n = strlen(events), room = sizeof events - n;
  const char *how = status == AQ_OK          ? ""
                    : status == AQ_CANCELLED ? ":cancelled"
                    : status == AQ_TIMEDOUT  ? ":timedout"
                                             : ":lost";
  snprintf(events + n, room, "%s%c%s", n > 0 ? " " : "", p->name, how);
}

static void come_in(struct person *p) {
  aq_condition_end(p->condition, p->was_notified, p->outcome);
  p->stage = p->outcome == AQ_DEADLOCK ? OUTSIDE : INSIDE;
  note(p, p->outcome);
  if (p->stage == INSIDE && p->then != NULL) p->then();
}

static void end_retaking(struct person *p, bool cancelled) {
  enum aq_status status = aq_condition_retake_end(p->condition, &p->waiter, false);
  if (cancelled) p->outcome = AQ_CANCELLED;
  if (status != AQ_OK) p->outcome = status;
  come_in(p);
}

static void end_waiting(struct person *p, bool cancelled) {
  p->was_notified = p->waiter.status == AQ_OK;
  p->outcome = cancelled ? AQ_CANCELLED : (enum aq_status)p->waiter.status;
  p->stage = RETAKING;
  if (aq_condition_retake(p->condition, &p->waiter)) come_in(p);
}

static void end_entering(struct person *p, bool cancelled) {
  enum aq_status status = aq_semaphore_acquire_end(&lock, &p->waiter, cancelled);
  p->stage = status == AQ_OK ? INSIDE : OUTSIDE;
  note(p, status);
  if (p->stage == INSIDE && p->then != NULL) p->then();
}

static void on_wake(struct aq_waiter *w) {
  struct person *p = AQ_CONTAINER(w, struct person, waiter);
  bool was_cancelled = p->was_cancelled;
  p->was_cancelled = false;
  if (p->stage == WAITING)
    end_waiting(p, was_cancelled);
  else if (p->stage == RETAKING)
    end_retaking(p, was_cancelled);
  else
    end_entering(p, was_cancelled);
}

static void init_person(struct person *p, char name) {
  *p = (struct person){.name = name};
  aq_waiter_init(&p->waiter, &agenda, on_wake);
}

static void open_conditions(void) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  init_person(&A, 'A');
  init_person(&B, 'B');
  init_person(&C, 'C');
  init_person(&D, 'D');
  events[0] = '\0';
  aq_lock_init(&lock);
  aq_condition_init(&c, &lock);
  aq_condition_init(&d, &lock);
}

static void close_conditions(void) {
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  CHECK(aq_list_alone(&c.waiters));
  CHECK(aq_list_alone(&d.waiters));
  CHECK(aq_list_alone(&lock.waiters));
  CHECK_EQ(lock.value, 1);
  CHECK_EQ(lock.leaving, 0);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

/* Takes the lock, at once or after waiting. */
static void enter(struct person *p) {
  p->stage = INSIDE;
  if (aq_semaphore_acquire_now(&lock)) return;
  p->stage = ENTERING;
  aq_semaphore_acquire_wait(&lock, &p->waiter, AQ_NEVER);
}

static void leave(struct person *p) {
  p->stage = OUTSIDE;
  aq_semaphore_release(&lock);
}

static void wait_by(struct person *p, struct aq_condition *condition, uint64_t deadline_ns) {
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  p->stage = WAITING;
  p->condition = condition;
  aq_condition_wait(condition, &p->waiter, deadline_ns);
}

/* Enters, and waits on the condition. */
static void enter_and_wait(struct person *p, struct aq_condition *condition) {
  enter(p);
  CHECK_EQ(p->stage, INSIDE);
  wait_by(p, condition, AQ_NEVER);
}

/* What a runtime does to cancel a task. */
static void cancel(struct person *p) {
  p->was_cancelled = true;
  if (p->stage != RETAKING) aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

/* One turn; what happened in it. */
static const char *turn(void) {
  events[0] = '\0';
  aq_agenda_turn(&agenda);
  return events;
}

static void leave_A(void) { leave(&A); }
static void leave_B(void) { leave(&B); }
static void leave_C(void) { leave(&C); }

/* Each lets go of the lock as soon as it has it. */
static void all_leave(void) {
  A.then = leave_A;
  B.then = leave_B;
  C.then = leave_C;
}

/* --- the rules -------------------------------------------------------------------------------- */

TEST(K4_wait_frees_the_lock_and_has_it_again) {
  open_conditions();
  enter_and_wait(&A, &c);
  CHECK(!aq_lock_is_held(&lock));
  enter(&B);
  aq_condition_notify(&c, 1);
  leave(&B);
  CHECK_STR(turn(), "A");
  CHECK(aq_lock_is_held(&lock));
  leave(&A);
  close_conditions();
}

TEST(K4_wait_hands_the_lock_to_who_waits_for_it) {
  open_conditions();
  enter(&A);
  enter(&B);
  CHECK_EQ(B.stage, ENTERING);
  wait_by(&A, &c, AQ_NEVER);
  CHECK_STR(turn(), "B");
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "");
  CHECK_EQ(A.stage, RETAKING);
  leave(&B);
  CHECK_STR(turn(), "A");
  leave(&A);
  close_conditions();
}

TEST(K4_H23_notify_all_with_the_lock_freed_in_that_turn_lets_all_in_in_order) {
  open_conditions();
  all_leave();
  enter_and_wait(&B, &c);
  enter_and_wait(&A, &c);
  enter_and_wait(&C, &c);
  enter(&D);
  aq_condition_notify(&c, SIZE_MAX);
  leave(&D);
  CHECK_STR(turn(), "B A C");
  close_conditions();
}

TEST(K4_notify_wakes_as_many_as_it_says_the_longest_waiting_first) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &c);
  enter_and_wait(&C, &c);
  aq_condition_notify(&c, 0);
  CHECK_STR(turn(), "");
  aq_condition_notify(&c, 2);
  CHECK_STR(turn(), "A B");
  aq_condition_notify(&c, 2);
  CHECK_STR(turn(), "C");
  aq_condition_notify(&c, 1); /* nobody is there: it is not kept */
  enter_and_wait(&A, &c);
  CHECK_STR(turn(), "");
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "A");
  close_conditions();
}

TEST(K4_two_conditions_on_one_lock_wake_their_own) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &d);
  aq_condition_notify(&d, 2);
  CHECK_STR(turn(), "B");
  aq_condition_notify(&c, 2);
  CHECK_STR(turn(), "A");
  close_conditions();
}

TEST(K4_B32_a_cancelled_wait_takes_the_lock_again) {
  open_conditions();
  enter_and_wait(&A, &c);
  enter(&B);
  cancel(&A);
  CHECK_STR(turn(), "");
  CHECK_EQ(A.stage, RETAKING);
  cancel(&A); /* once more: it keeps its place */
  enter(&C);
  leave(&B);
  CHECK_STR(turn(), "A:cancelled");
  CHECK(aq_lock_is_held(&lock));
  leave(&A);
  CHECK_STR(turn(), "C");
  leave(&C);
  close_conditions();
}

TEST(K4_a_timeout_takes_the_lock_again) {
  open_conditions();
  enter(&A);
  wait_by(&A, &c, 10);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "");
  aq_condition_notify(&c, 1); /* too late for it */
  CHECK_STR(turn(), "A:timedout");
  leave(&A);
  close_conditions();
}

TEST(K4_B33_a_notification_to_one_that_is_cancelled_goes_to_the_next) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &c);
  enter_and_wait(&C, &c);
  aq_condition_notify(&c, 1);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B");
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "C");
  close_conditions();
}

TEST(K4_B33_a_cancel_while_it_takes_the_lock_passes_the_notification_on_after_that) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &c);
  enter(&D);
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "");
  cancel(&A);
  CHECK_STR(turn(), "");
  CHECK_EQ(B.waiter.state, AQ_WAITING);
  leave(&D);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_STR(turn(), "B");
  close_conditions();
}

TEST(K4_a_cancel_before_the_notification_leaves_it_to_the_next) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &c);
  enter_and_wait(&C, &c);
  cancel(&A);
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "A:cancelled B");
  CHECK_STR(turn(), "");
  CHECK_EQ(C.waiter.state, AQ_WAITING);
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "C");
  close_conditions();
}

TEST(K4_one_broken_off_while_it_takes_the_lock_is_in_the_way_like_any_other) {
  open_conditions();
  all_leave();
  enter_and_wait(&A, &c);
  enter_and_wait(&B, &c);
  enter(&D);
  aq_condition_notify(&c, 1);
  CHECK_STR(turn(), "");
  enter(&C);
  aq_waiter_abort(&A.waiter, AQ_DEADLOCK);
  CHECK_EQ(lock.leaving, 1);
  leave(&D);
  CHECK_STR(turn(), "A:lost");
  CHECK_STR(turn(), "C B"); /* its notification has gone on */
  close_conditions();
}

/* --- random operations against asyncio's algorithm -------------------------------------------- */

enum { PEOPLE = 9, CONDITIONS = 2, PHASE_STEPS = 40 };

/* A future of asyncio's: pending, given its result, or cancelled. */
enum future_state { PENDING, WOKEN, BROKEN };

struct future {
  struct person *owner;
  enum future_state state;
};

/* Futures, longest waiting first. They leave in their owner's step. */
struct futures {
  struct future list[PEOPLE];
  size_t count;
};

static struct person people[PEOPLE];
static struct aq_condition *const conditions[CONDITIONS] = {&c, &d};
static struct futures model_entering, model_waiting[CONDITIONS];
static bool model_locked;
static uint64_t step, steps, random_state;
static bool is_traced;

static unsigned below(unsigned n) { return chance_below(&random_state, n); }

#define TRACE(...) (is_traced ? (void)printf(__VA_ARGS__) : (void)0)

static struct futures *model_of(const struct aq_condition *condition) {
  return &model_waiting[condition == &d];
}

static void add_future(struct futures *f, struct person *p) {
  f->list[f->count++] = (struct future){p, PENDING};
}

static struct future *find_future(struct futures *f, const struct person *p) {
  for (size_t i = 0; i < f->count; i++)
    if (f->list[i].owner == p) return &f->list[i];
  return NULL;
}

/* Takes the future of `p` out; what became of it. */
static enum future_state remove_future(struct futures *f, const struct person *p) {
  struct future *mine = find_future(f, p);
  enum future_state state = mine->state;
  memmove(mine, mine + 1, (size_t)(f->list + --f->count - mine) * sizeof *mine);
  return state;
}

/* Condition._notify */
static void model_notify(struct futures *f, size_t n) {
  for (size_t i = 0; i < f->count && n > 0; i++)
    if (f->list[i].state == PENDING) {
      f->list[i].state = WOKEN;
      n--;
    }
}

/* Lock._wake_up_first */
static void model_wake_first(void) {
  struct future *first = model_entering.list;
  if (model_entering.count > 0 && first->state == PENDING) first->state = WOKEN;
}

static bool model_acquire(struct person *p) {
  bool is_free = !model_locked;
  for (size_t i = 0; i < model_entering.count; i++)
    is_free = is_free && model_entering.list[i].state == BROKEN;
  if (is_free)
    model_locked = true;
  else
    add_future(&model_entering, p);
  return is_free;
}

static void model_release(void) {
  model_locked = false;
  model_wake_first();
}

/* The end of Lock.acquire, in the step of its task. */
static void model_acquired(struct person *p, bool has_failed) {
  remove_future(&model_entering, p);
  if (!has_failed)
    model_locked = true;
  else if (!model_locked)
    model_wake_first();
}

/* The room holds the pending ones, in their order. */
static void check_room(const struct aq_list *room, const struct futures *f) {
  const struct aq_list *node = room->next;
  for (size_t i = 0; i < f->count; i++) {
    if (f->list[i].state != PENDING) continue;
    if (!CHECK(node == &f->list[i].owner->waiter.link)) return;
    node = node->next;
  }
  CHECK(node == room);
}

static void check_all(void) {
  int inside = 0;
  for (struct person *p = people; p < people + PEOPLE; p++) inside += p->stage == INSIDE;
  CHECK_EQ(inside, model_locked);
  CHECK_EQ(aq_lock_is_held(&lock), model_locked);
  check_room(&lock.waiters, &model_entering);
  for (int i = 0; i < CONDITIONS; i++) check_room(&conditions[i]->waiters, &model_waiting[i]);
}

static void act_in_wake(struct person *p);

static void random_come_in(struct person *p) {
  if (p->was_notified && p->outcome != AQ_OK) model_notify(model_of(p->condition), 1);
  aq_condition_end(p->condition, p->was_notified, p->outcome);
  p->stage = p->outcome == AQ_DEADLOCK ? OUTSIDE : INSIDE;
}

static void random_end_retaking(struct person *p, bool cancelled) {
  bool is_lost = p->waiter.status == AQ_DEADLOCK;
  model_acquired(p, is_lost);
  CHECK_EQ(aq_condition_retake_end(p->condition, &p->waiter, false), is_lost ? AQ_DEADLOCK : AQ_OK);
  if (cancelled) p->outcome = AQ_CANCELLED;
  if (is_lost) p->outcome = AQ_DEADLOCK;
  random_come_in(p);
}

static void random_end_waiting(struct person *p, bool cancelled) {
  p->was_notified = remove_future(model_of(p->condition), p) == WOKEN;
  CHECK_EQ(p->waiter.status == AQ_OK, p->was_notified);
  p->outcome = cancelled ? AQ_CANCELLED : (enum aq_status)p->waiter.status;
  p->stage = RETAKING;
  bool expected = model_acquire(p);
  CHECK_EQ(aq_condition_retake(p->condition, &p->waiter), expected);
  if (expected) random_come_in(p);
}

static void random_end_entering(struct person *p, bool cancelled) {
  bool has_failed = cancelled || p->waiter.status != AQ_OK;
  model_acquired(p, has_failed);
  CHECK_EQ(aq_semaphore_acquire_end(&lock, &p->waiter, cancelled) != AQ_OK, has_failed);
  p->stage = has_failed ? OUTSIDE : INSIDE;
}

static void on_step(struct aq_waiter *w) {
  struct person *p = AQ_CONTAINER(w, struct person, waiter);
  bool cancelled = p->was_cancelled;
  TRACE("  %d wakes in stage %d: %s%s\n", (int)(p - people), p->stage, aq_status_text(w->status),
        cancelled ? ", cancelled" : "");
  p->was_cancelled = false;
  if (p->stage == WAITING)
    random_end_waiting(p, cancelled);
  else if (p->stage == RETAKING)
    random_end_retaking(p, cancelled);
  else
    random_end_entering(p, cancelled);
  check_all();
  if (below(2)) act_in_wake(p);
}

/* --- what people do --------------------------------------------------------------------------- */

static void random_enter(struct person *p) {
  bool expected = model_acquire(p);
  enter(p);
  CHECK_EQ(p->stage == INSIDE, expected);
}

static void random_leave(struct person *p) {
  model_release();
  leave(p);
}

/* Half the waits have a deadline, a near one. */
static void random_wait(struct person *p) {
  struct aq_condition *condition = conditions[below(CONDITIONS)];
  model_release();
  add_future(model_of(condition), p);
  wait_by(p, condition, below(2) ? AQ_NEVER : agenda.now_ns + below(4));
}

static void random_notify(void) {
  struct aq_condition *condition = conditions[below(CONDITIONS)];
  size_t n = below(4) ? below(3) : SIZE_MAX;
  model_notify(model_of(condition), n);
  aq_condition_notify(condition, n);
}

static struct futures *futures_of(const struct person *p) {
  return p->stage == WAITING ? model_of(p->condition) : &model_entering;
}

static void break_off(struct person *p, enum aq_status status) {
  if (p->waiter.state == AQ_WAITING) find_future(futures_of(p), p)->state = BROKEN;
  aq_waiter_abort(&p->waiter, status);
}

static void random_cancel(struct person *p) {
  p->was_cancelled = true;
  if (p->stage != RETAKING) break_off(p, AQ_CANCELLED);
}

/* The kernel fires deadlines at the end of the turn; so does the model, after the last step. */
static void run_turn(void) {
  aq_agenda_turn(&agenda);
  for (struct person *p = people; p < people + PEOPLE; p++)
    if (p->stage == WAITING && p->waiter.state == AQ_READY && p->waiter.status == AQ_TIMEDOUT)
      find_future(model_of(p->condition), p)->state = BROKEN;
}

enum op { ENTER, LEAVE, WAIT, NOTIFY, CANCEL, CANCEL_READY, LOSE, TIME, TURN, OPS };

static const char *const op_names[OPS] = {
  "acquire", "release", "wait", "notify", "cancel", "cancel woken", "lose", "time", "turn",
};

/* How often each operation comes, in the order of enum op. */
static const unsigned char phases[][OPS] = {
  {20, 10, 14, 10, 4, 4, 1, 4, 14},  /* anything */
  {20, 6, 20, 14, 16, 2, 0, 0, 10},  /* waits broken off against notifications */
  {20, 6, 20, 14, 2, 16, 0, 0, 10},  /* those notified are cancelled before they run */
  {20, 10, 20, 10, 0, 2, 0, 16, 10}, /* deadlines against notifications */
  {20, 3, 20, 14, 6, 6, 4, 0, 12},   /* the lock is held for long */
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static const unsigned char *phase; /* the row in force */

static enum op choose_op(void) {
  unsigned sum = 0, i = 0;
  for (unsigned o = 0; o < OPS; o++) sum += phase[o];
  for (unsigned left = below(sum); left >= phase[i]; i++) left -= phase[i];
  return (enum op)i;
}

static bool is_outside(const struct person *p) { return p->stage == OUTSIDE; }
static bool is_inside(const struct person *p) { return p->stage == INSIDE; }
static bool is_waiting(const struct person *p) { return p->waiter.state == AQ_WAITING; }
static bool is_ready(const struct person *p) { return p->waiter.state == AQ_READY; }
static bool is_retaking(const struct person *p) { return p->stage == RETAKING && is_waiting(p); }

/* Somebody of this sort, or NULL. */
static struct person *find_person(bool (*is)(const struct person *p)) {
  unsigned first = below(PEOPLE);
  for (unsigned i = 0; i < PEOPLE; i++) {
    struct person *p = &people[(first + i) % PEOPLE];
    if (is(p)) return p;
  }
  return NULL;
}

static void operate(enum op op, bool in_turn) {
  static bool (*const sorts[OPS])(const struct person *p) = {
    [ENTER] = is_outside,  [LEAVE] = is_inside,       [WAIT] = is_inside,   [NOTIFY] = is_inside,
    [CANCEL] = is_waiting, [CANCEL_READY] = is_ready, [LOSE] = is_retaking,
  };
  struct person *p = sorts[op] != NULL ? find_person(sorts[op]) : NULL;
  step++;
  if (sorts[op] != NULL && p == NULL) return;
  TRACE("%ju: %s%s: %d\n", (uintmax_t)step, in_turn ? "  in a step: " : "", op_names[op],
        p != NULL ? (int)(p - people) : -1);
  switch (op) {
    case ENTER: random_enter(p); break;
    case LEAVE: random_leave(p); break;
    case WAIT: random_wait(p); break;
    case NOTIFY: random_notify(); break;
    case CANCEL:
    case CANCEL_READY: random_cancel(p); break;
    case LOSE: break_off(p, AQ_DEADLOCK); break;
    case TIME: agenda.now_ns += in_turn ? 0 : 1 + below(3); break;
    default:
      if (!in_turn) run_turn();
  }
  check_all();
}

/* As often as not it waits or leaves at once. */
static void act_in_wake(struct person *p) {
  if (step >= steps) return;
  if (p->stage != INSIDE || below(2))
    operate(choose_op(), true);
  else if (below(2))
    random_leave(p);
  else
    random_wait(p);
}

static void open_people(void) {
  open_conditions();
  model_entering.count = model_waiting[0].count = model_waiting[1].count = 0;
  model_locked = false;
  step = 0;
  for (int i = 0; i < PEOPLE; i++) {
    people[i] = (struct person){0};
    aq_waiter_init(&people[i].waiter, &agenda, on_step);
  }
}

/* Everybody goes home. */
static void end_all(void) {
  for (int round = 0; round < 8 * PEOPLE; round++) {
    for (int i = 0; i < CONDITIONS; i++) {
      model_notify(&model_waiting[i], PEOPLE);
      aq_condition_notify(conditions[i], PEOPLE);
    }
    struct person *p = find_person(is_inside);
    if (p != NULL) random_leave(p);
    run_turn();
    check_all();
  }
  for (struct person *p = people; p < people + PEOPLE; p++) CHECK_EQ(p->stage, OUTSIDE);
  close_conditions();
}

TEST(K4_B32_B33_random_operations_against_asyncios_algorithm) {
  uint64_t seed = random_state = chance_env("AQ_SEED", 1);
  steps = chance_env("AQ_STEPS", 500000);
  is_traced = chance_env("AQ_TRACE", 0) != 0;
  printf("AQ_SEED=%ju AQ_STEPS=%ju\n", (uintmax_t)seed, (uintmax_t)steps);
  open_people();
  for (uint64_t phase_end = 0; step < steps && check.failures == 0;) {
    if (step >= phase_end) {
      phase = phases[below(PHASES)];
      phase_end = step + PHASE_STEPS;
    }
    operate(choose_op(), false);
  }
  if (check.failures == 0) {
    step = steps; /* nobody acts in its step any more */
    end_all();
  } else {
    printf("stopped after step %ju; AQ_TRACE=1 AQ_STEPS=%ju shows the way there\n", (uintmax_t)step,
           (uintmax_t)step);
  }
}
