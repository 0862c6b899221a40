/*
** barrier_test.c - barriers.
**
** First the rules, one by one; then random operations against asyncio's own algorithm on a plain
** list of futures and a table of who has which index: the room must have in it who is pending
** there, in the same order, and each party must get the lowest index that nobody has.
**
** A party comes to the barrier and writes to a log how that ended: "A0", its index, or "A:broken",
** "A:cancelled".
**
** AQ_SEED, AQ_STEPS: another run, a longer run. AQ_TRACE=1 prints every operation.
*/
#include "check.h"
#include "chance.h"
#include "core/barrier.h"
#include "memory.h"

enum { PEOPLE = 12, PHASE_STEPS = 60 };

/* What a future of asyncio's is: pending, given its result, or cancelled. */
enum future_state { NONE, PENDING, WOKEN, BROKEN };

struct party {
  struct aq_waiter waiter;
  size_t index;             /* inside; or AQ_BEFORE */
  enum future_state future; /* in the model */
  bool is_there;            /* it has come, and has not gone on */
  bool was_cancelled;       /* told so, and not yet seen by it */
  char name;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_barrier b;
static struct party A, B, C, D;
static char events[256];

static void go(struct party *p) { p->is_there = false; }

static void note(struct party *p, const char *how) {
  size_t n = strlen(events), room = sizeof events - n;
  snprintf(events + n, room, "%s%c%s", n > 0 ? " " : "", p->name, how);
  go(p);
}

/* What a party inside does whenever it looks. */
static void meet(struct party *p) {
  char index[24];
  if (b.state == AQ_FILLING) {
    aq_barrier_wait(&b, &p->waiter, AQ_NEVER);
    return;
  }
  bool is_broken = b.state != AQ_DRAINING;
  snprintf(index, sizeof index, "%zu", p->index);
  aq_barrier_leave(&b, p->index);
  note(p, is_broken ? ":broken" : index);
}

static void come(struct party *p) {
  p->is_there = true;
  p->index = AQ_BEFORE;
  if (aq_barrier_is_closed(&b)) {
    aq_barrier_wait(&b, &p->waiter, AQ_NEVER);
  } else if (b.state == AQ_ABORTED) {
    note(p, ":broken");
  } else {
    CHECK_EQ(aq_barrier_reserve(&b), AQ_OK);
    p->index = aq_barrier_enter(&b, &p->waiter);
    meet(p);
  }
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  if (p->was_cancelled || w->status != AQ_OK) {
    p->was_cancelled = false;
    aq_barrier_break_off(&b, w, p->index);
    note(p, ":cancelled");
  } else if (p->index == AQ_BEFORE) {
    come(p);
  } else {
    meet(p);
  }
}

static void cancel(struct party *p) {
  p->was_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

static void init_party(struct party *p, char name, void (*wake)(struct aq_waiter *w)) {
  *p = (struct party){.name = name, .index = AQ_BEFORE};
  aq_waiter_init(&p->waiter, &agenda, wake);
}

static void open_barrier(size_t parties) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  init_party(&A, 'A', on_wake);
  init_party(&B, 'B', on_wake);
  init_party(&C, 'C', on_wake);
  init_party(&D, 'D', on_wake);
  events[0] = '\0';
  aq_barrier_init(&b, parties, memory_alloc(&memory));
}

static void close_barrier(void) {
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK(aq_list_alone(&b.waiters));
  aq_agenda_free(&agenda);
  aq_barrier_free(&b);
  CHECK(memory_is_clean(&memory));
}

/* One turn; what happened in it, and since the last one. */
static const char *turn(void) {
  static char seen[sizeof events];
  aq_agenda_turn(&agenda);
  strcpy(seen, events);
  events[0] = '\0';
  return seen;
}

/* --- the rules -------------------------------------------------------------------------------- */

TEST(K5_H24_the_last_goes_on_at_once_the_others_a_turn_later_in_order) {
  open_barrier(3);
  come(&B);
  come(&A);
  CHECK_STR(turn(), "");
  come(&C);
  CHECK_STR(events, "C2");
  CHECK_STR(turn(), "C2 B0 A1");
  CHECK_EQ(b.state, AQ_FILLING);
  close_barrier();
}

TEST(K5_a_barrier_of_one_keeps_nobody) {
  open_barrier(1);
  for (int i = 0; i < 3; i++) {
    CHECK(!aq_barrier_must_wait(&b));
    come(&A);
    CHECK_STR(turn(), "A0");
  }
  close_barrier();
}

TEST(K5_who_must_wait_is_known_before) {
  open_barrier(2);
  CHECK(aq_barrier_must_wait(&b));
  come(&A);
  CHECK(!aq_barrier_must_wait(&b));
  come(&B);
  CHECK(aq_barrier_must_wait(&b)); /* it drains */
  CHECK_STR(turn(), "B1 A0");
  aq_barrier_abort(&b);
  CHECK(!aq_barrier_must_wait(&b));
  close_barrier();
}

TEST(K5_who_comes_while_it_drains_waits_and_comes_in_when_all_have_left) {
  open_barrier(2);
  come(&A);
  come(&B);
  come(&C);
  come(&D);
  CHECK_EQ(C.index, AQ_BEFORE);
  CHECK_STR(turn(), "B1 A0");
  CHECK_STR(turn(), "D1");
  CHECK_STR(turn(), "C0");
  close_barrier();
}

TEST(K5_one_that_is_cancelled_leaves_and_its_index_is_the_next_to_be_had) {
  open_barrier(4);
  come(&A);
  come(&B);
  come(&C);
  cancel(&C);
  cancel(&A);
  CHECK_STR(turn(), "C:cancelled A:cancelled");
  CHECK_EQ(aq_barrier_count(&b), 1);
  come(&C);
  come(&D);
  CHECK_EQ(C.index, 0);
  CHECK_EQ(D.index, 2);
  come(&A);
  CHECK_STR(turn(), "A3 B1 C0 D2");
  close_barrier();
}

TEST(K5_one_that_is_cancelled_after_it_was_woken_leaves) {
  open_barrier(2);
  come(&A);
  come(&B);
  cancel(&A);
  CHECK_STR(turn(), "B1 A:cancelled");
  CHECK_EQ(b.state, AQ_FILLING);
  close_barrier();
}

TEST(K5_B33_one_that_is_cancelled_after_it_was_woken_wakes_the_next) {
  open_barrier(3);
  come(&A);
  aq_barrier_reset(&b);
  come(&C);
  come(&D);
  CHECK_STR(turn(), "A:broken");
  come(&A);
  cancel(&C); /* woken, as D is, to come in */
  CHECK_STR(turn(), "C:cancelled");
  CHECK_STR(turn(), ""); /* A looks for nothing, and is now behind D */
  come(&B);
  CHECK_STR(turn(), "B2 D1 A0");
  close_barrier();
}

TEST(K5_reset_breaks_those_inside_and_lets_those_before_it_in) {
  open_barrier(3);
  come(&A);
  come(&B);
  aq_barrier_reset(&b);
  come(&C);
  CHECK_EQ(C.index, AQ_BEFORE);
  CHECK_STR(turn(), "A:broken B:broken");
  CHECK_STR(turn(), "");
  CHECK_EQ(C.index, 0);
  come(&A);
  come(&B);
  CHECK_STR(turn(), "B2 C0 A1");
  close_barrier();
}

TEST(K5_reset_of_one_where_nobody_is_inside_changes_nothing) {
  open_barrier(2);
  aq_barrier_reset(&b);
  CHECK_EQ(b.state, AQ_FILLING);
  close_barrier();
}

TEST(K5_reset_while_it_drains_breaks_those_that_have_not_left) {
  open_barrier(2);
  come(&A);
  come(&B);
  aq_barrier_reset(&b);
  CHECK_STR(turn(), "B1 A:broken");
  CHECK_EQ(b.state, AQ_FILLING);
  close_barrier();
}

TEST(K5_abort_breaks_all_until_a_reset) {
  open_barrier(2);
  come(&A);
  aq_barrier_abort(&b);
  CHECK_STR(turn(), "A:broken");
  CHECK_EQ(b.state, AQ_ABORTED);
  come(&B);
  CHECK_STR(turn(), "B:broken");
  aq_barrier_reset(&b);
  CHECK_EQ(b.state, AQ_FILLING);
  come(&A);
  come(&B);
  CHECK_STR(turn(), "B1 A0");
  close_barrier();
}

TEST(K5_a_reset_after_an_abort_waits_for_those_inside) {
  open_barrier(2);
  come(&A);
  aq_barrier_abort(&b);
  aq_barrier_reset(&b);
  CHECK_EQ(b.state, AQ_RESETTING);
  CHECK_STR(turn(), "A:broken");
  CHECK_EQ(b.state, AQ_FILLING);
  close_barrier();
}

TEST(K5_the_party_of_a_waiter_is_found) {
  open_barrier(3);
  come(&A);
  come(&B);
  CHECK_EQ(aq_barrier_find(&b, &A.waiter), 0);
  CHECK_EQ(aq_barrier_find(&b, &B.waiter), 1);
  CHECK_EQ(aq_barrier_find(&b, &C.waiter), AQ_BEFORE);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(aq_barrier_find(&b, &A.waiter), AQ_BEFORE);
  cancel(&B);
  CHECK_STR(turn(), "B:cancelled");
  close_barrier();
}

TEST(K5_out_of_memory_changes_nothing_and_leaving_needs_none) {
  open_barrier(SIZE_MAX);
  memory.fails = true;
  CHECK_EQ(aq_barrier_reserve(&b), AQ_NOMEM);
  CHECK_EQ(aq_barrier_count(&b), 0);
  memory.fails = false;
  come(&A);
  come(&B);
  memory.fails = true;
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  come(&C); /* in the place of A */
  CHECK_EQ(C.index, 0);
  cancel(&B);
  cancel(&C);
  CHECK_STR(turn(), "B:cancelled C:cancelled");
  close_barrier();
}

enum { MANY = 1 << 17 }; /* so many that the array is full */

TEST(K5_many_leave_and_others_get_their_indices_the_lowest_first) {
  static struct party crowd[MANY];
  open_barrier(2 * MANY);
  for (int i = 0; i < MANY; i++) {
    init_party(&crowd[i], 'x', on_wake);
    come(&crowd[i]);
  }
  for (int i = MANY - 1; i > 0; i -= 2) cancel(&crowd[i]);
  turn();
  memory.fails = true; /* none is needed for a hole */
  for (int i = 1; i < MANY; i += 2) {
    come(&crowd[i]);
    if (!CHECK_EQ(crowd[i].index, i)) break;
  }
  for (int i = 0; i < MANY; i++) cancel(&crowd[i]);
  turn();
  CHECK_EQ(aq_barrier_count(&b), 0);
  close_barrier();
}

/* --- random operations against asyncio's algorithm -------------------------------------------- */

static struct party people[PEOPLE];
static struct party *model_waiters[PEOPLE]; /* of the condition; they leave it in their step */
static size_t model_nwaiters, model_count, model_parties;
static bool model_taken[PEOPLE]; /* indices */
static enum aq_barrier_state model_state;
static uint64_t step, steps, random_state;
static bool is_traced;

static unsigned below(unsigned n) { return chance_below(&random_state, n); }

#define TRACE(...) (is_traced ? (void)printf(__VA_ARGS__) : (void)0)

/* Condition._notify */
static void model_notify(size_t n) {
  for (size_t i = 0; i < model_nwaiters && n > 0; i++)
    if (model_waiters[i]->future == PENDING) {
      model_waiters[i]->future = WOKEN;
      n--;
    }
}

static void model_wait(struct party *p) {
  p->future = PENDING;
  model_waiters[model_nwaiters++] = p;
}

static enum future_state model_waited(struct party *p) {
  enum future_state state = p->future;
  size_t i = 0;
  while (model_waiters[i] != p) i++;
  memmove(&model_waiters[i], &model_waiters[i + 1], (--model_nwaiters - i) * sizeof *model_waiters);
  p->future = NONE;
  return state;
}

static size_t model_enter(void) {
  size_t index = 0;
  while (model_taken[index]) index++;
  model_taken[index] = true;
  if (++model_count == model_parties) {
    model_state = AQ_DRAINING;
    model_notify(PEOPLE);
  }
  return index;
}

static void model_leave(size_t index) {
  model_taken[index] = false;
  if (--model_count > 0) return;
  if (model_state != AQ_ABORTED) model_state = AQ_FILLING;
  model_notify(PEOPLE);
}

static void check_all(void) {
  const struct aq_list *node = b.waiters.next;
  CHECK_EQ(b.state, model_state);
  CHECK_EQ(aq_barrier_count(&b), model_count);
  CHECK_EQ(b.parties, model_parties);
  for (size_t i = 0; i < model_nwaiters; i++) {
    if (model_waiters[i]->future != PENDING) continue;
    if (!CHECK(node == &model_waiters[i]->waiter.link)) return;
    node = node->next;
  }
  CHECK(node == &b.waiters);
}

static void random_meet(struct party *p) {
  if (model_state == AQ_FILLING) {
    model_wait(p);
    aq_barrier_wait(&b, &p->waiter, AQ_NEVER);
    return;
  }
  model_leave(p->index);
  aq_barrier_leave(&b, p->index);
  go(p);
}

static void random_come(struct party *p) {
  p->is_there = true;
  p->index = AQ_BEFORE;
  bool is_closed = model_state == AQ_DRAINING || model_state == AQ_RESETTING;
  CHECK_EQ(aq_barrier_is_closed(&b), is_closed);
  if (is_closed) {
    model_wait(p);
    aq_barrier_wait(&b, &p->waiter, AQ_NEVER);
  } else if (model_state == AQ_ABORTED) {
    go(p);
  } else {
    CHECK_EQ(aq_barrier_reserve(&b), AQ_OK);
    size_t expected = model_enter();
    p->index = aq_barrier_enter(&b, &p->waiter);
    CHECK_EQ(p->index, expected);
    CHECK_EQ(aq_barrier_find(&b, &p->waiter), expected);
    random_meet(p);
  }
}

static void operate(bool in_turn);

static void on_step(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  bool was_woken = model_waited(p) == WOKEN;
  TRACE("  %d wakes: %s%s\n", (int)(p - people), aq_status_text(w->status),
        p->was_cancelled ? ", cancelled" : "");
  CHECK_EQ(w->status == AQ_OK, was_woken);
  if (p->was_cancelled) {
    p->was_cancelled = false;
    if (was_woken) model_notify(1);
    if (p->index != AQ_BEFORE) model_leave(p->index);
    aq_barrier_break_off(&b, w, p->index);
    go(p);
  } else if (p->index == AQ_BEFORE) {
    random_come(p);
  } else {
    random_meet(p);
  }
  check_all();
  if (step < steps && below(3) == 0) operate(true);
}

static void random_cancel(struct party *p) {
  p->was_cancelled = true;
  if (p->future == PENDING) p->future = BROKEN;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

static void random_reset(void) {
  model_state = model_count > 0 ? AQ_RESETTING : AQ_FILLING;
  model_notify(PEOPLE);
  aq_barrier_reset(&b);
}

static void random_abort(void) {
  model_state = AQ_ABORTED;
  model_notify(PEOPLE);
  aq_barrier_abort(&b);
}

enum op { COME, CANCEL, CANCEL_READY, RESET, ABORT, TURN, OPS };

static const char *const op_names[OPS] = {"come",  "cancel", "cancel woken",
                                          "reset", "abort",  "turn"};

/* How often each operation comes, in the order of enum op. */
static const unsigned char phases[][OPS] = {
  {20, 4, 3, 1, 0, 8},  /* anything */
  {20, 12, 1, 0, 0, 4}, /* waits broken off: holes */
  {24, 1, 8, 1, 0, 6},  /* those woken are cancelled before they run */
  {16, 2, 2, 4, 2, 8},  /* reset and abort */
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static const unsigned char *phase; /* the row in force */

static enum op choose_op(void) {
  unsigned sum = 0, i = 0;
  for (unsigned o = 0; o < OPS; o++) sum += phase[o];
  for (unsigned left = below(sum); left >= phase[i]; i++) left -= phase[i];
  return (enum op)i;
}

static bool is_away(const struct party *p) { return !p->is_there; }
static bool is_waiting(const struct party *p) { return p->waiter.state == AQ_WAITING; }
static bool is_ready(const struct party *p) { return p->waiter.state == AQ_READY; }

/* Somebody of this sort, or NULL. */
static struct party *find_party(bool (*is)(const struct party *p)) {
  unsigned first = below(PEOPLE);
  for (unsigned i = 0; i < PEOPLE; i++) {
    struct party *p = &people[(first + i) % PEOPLE];
    if (is(p)) return p;
  }
  return NULL;
}

static void operate(bool in_turn) {
  static bool (*const sorts[OPS])(const struct party *p) = {
    [COME] = is_away, [CANCEL] = is_waiting, [CANCEL_READY] = is_ready};
  enum op op = choose_op();
  struct party *p = sorts[op] != NULL ? find_party(sorts[op]) : NULL;
  step++;
  if (sorts[op] != NULL && p == NULL) return;
  TRACE("%ju: %s%s: %d\n", (uintmax_t)step, in_turn ? "  in a step: " : "", op_names[op],
        p != NULL ? (int)(p - people) : -1);
  switch (op) {
    case COME: random_come(p); break;
    case CANCEL:
    case CANCEL_READY: random_cancel(p); break;
    case RESET: random_reset(); break;
    case ABORT: random_abort(); break;
    default:
      if (!in_turn) aq_agenda_turn(&agenda);
  }
  check_all();
}

/* A barrier for another number of parties, now and then, when all have gone. */
static void next_phase(void) {
  phase = phases[below(PHASES)];
  for (int round = 0; round < 4 && below(2); round++) {
    for (struct party *p = people; p < people + PEOPLE; p++)
      if (is_waiting(p)) random_cancel(p);
    aq_agenda_turn(&agenda);
  }
  if (model_count > 0 || model_nwaiters > 0) return;
  aq_barrier_free(&b);
  model_parties = 1 + below(PEOPLE - 1);
  model_state = AQ_FILLING;
  aq_barrier_init(&b, model_parties, memory_alloc(&memory));
}

static void open_people(void) {
  open_barrier(3);
  model_nwaiters = model_count = step = 0;
  model_parties = 3;
  model_state = AQ_FILLING;
  for (int i = 0; i < PEOPLE; i++) init_party(&people[i], '.', on_step);
}

/* Everybody goes home. */
static void end_all(void) {
  random_abort();
  while (aq_agenda_has_ready(&agenda)) aq_agenda_turn(&agenda);
  check_all();
  for (struct party *p = people; p < people + PEOPLE; p++) CHECK(!p->is_there);
  close_barrier();
}

TEST(K5_B33_random_operations_against_asyncios_algorithm) {
  uint64_t seed = random_state = chance_env("AQ_SEED", 1);
  steps = chance_env("AQ_STEPS", 500000);
  is_traced = chance_env("AQ_TRACE", 0) != 0;
  printf("AQ_SEED=%ju AQ_STEPS=%ju\n", (uintmax_t)seed, (uintmax_t)steps);
  open_people();
  for (uint64_t phase_end = 0; step < steps && check.failures == 0;) {
    if (step >= phase_end) {
      next_phase();
      phase_end = step + PHASE_STEPS;
    }
    operate(false);
  }
  if (check.failures == 0) {
    step = steps; /* nobody acts in its step any more */
    end_all();
  } else {
    printf("stopped after step %ju; AQ_TRACE=1 AQ_STEPS=%ju shows the way there\n", (uintmax_t)step,
           (uintmax_t)step);
  }
}
