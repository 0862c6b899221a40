/*
** waiter_test.c - the state machine of a wait, deadlines, and the order of events in a turn.
**
** There is one kind of room, and all that can be waited for has it: a bug of waiting in the locks
** alone, or in one of them again, has no place to be (B36). The rules of those who use it are in
** queue_test.c, sync_test.c and select_test.c.
**
** A party here writes its letter to a log when it is woken, and may then do one more thing.
*/
#include "check.h"
#include "core/waiter.h"
#include "memory.h"

struct party {
  struct aq_waiter waiter;
  char name;
  void (*then)(void); /* done in the wake; may be NULL */
  int wakes;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_list room;
static struct party x, y, a, b, c;
static char events[64];
static int leaves;              /* calls of on_leave */
static enum aq_status left_why; /* with what the latest was made */
static bool stays;              /* what on_leave answers: not yet */
static int readies;             /* calls of on_ready */

static void note(char event) {
  size_t n = strlen(events);
  if (n < sizeof events - 1) {
    events[n] = event;
    events[n + 1] = '\0';
  }
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  CHECK_EQ(w->state, AQ_IDLE);
  CHECK(aq_list_alone(&w->link));
  CHECK(!aq_heap_holds(&w->deadline.node));
  p->wakes++;
  note(p->name);
  if (p->then != NULL) p->then();
}

/* The thing sees a waiter that is still in its room: it can tell whether that one was the first. */
static bool on_leave(struct aq_waiter *w, enum aq_status why) {
  CHECK_EQ(w->state, AQ_WAITING);
  CHECK(!aq_list_alone(&w->link));
  leaves++;
  left_why = why;
  return !stays;
}

static void on_ready(struct aq_agenda *which) {
  CHECK(aq_agenda_has_ready(which));
  readies++;
}

static void init_party(struct party *p, char name) {
  *p = (struct party){.name = name};
  aq_waiter_init(&p->waiter, &agenda, on_wake);
}

static void open_agenda(void) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  aq_list_init(&room);
  init_party(&x, 'x');
  init_party(&y, 'y');
  init_party(&a, 'a');
  init_party(&b, 'b');
  init_party(&c, 'c');
  events[0] = '\0';
  leaves = readies = 0;
  stays = false;
}

static void close_agenda(void) {
  CHECK(aq_list_alone(&room));
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

static void enter(struct party *p, uint64_t deadline_ns) {
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_waiter_enter(&p->waiter, &room, on_leave, deadline_ns);
  CHECK_EQ(p->waiter.state, AQ_WAITING);
}

static void ready(struct party *p) { aq_waiter_ready(&p->waiter, AQ_OK); }
static bool settle(struct party *p) { return aq_waiter_settle(&p->waiter, AQ_OK); }

/* One turn; what happened in it. */
static const char *turn(void) {
  events[0] = '\0';
  aq_agenda_turn(&agenda);
  return events;
}

/* --- the state machine ------------------------------------------------------------------------ */

TEST(a_new_waiter_is_idle_and_nowhere) {
  open_agenda();
  CHECK_EQ(a.waiter.state, AQ_IDLE);
  CHECK(aq_list_alone(&a.waiter.link));
  CHECK(!aq_heap_holds(&a.waiter.deadline.node));
  CHECK_STR(turn(), "");
  close_agenda();
}

TEST(enter_puts_at_the_tail_of_the_room) {
  open_agenda();
  enter(&a, AQ_NEVER);
  enter(&b, AQ_NEVER);
  CHECK(room.next == &a.waiter.link);
  CHECK(room.prev == &b.waiter.link);
  CHECK_EQ(memory.calls, 0);
  settle(&a);
  settle(&b);
  CHECK_STR(turn(), "ab");
  close_agenda();
}

TEST(settle_makes_ready_and_the_turn_wakes_once) {
  open_agenda();
  enter(&a, 100);
  CHECK(aq_waiter_settle(&a.waiter, AQ_SHUTDOWN));
  CHECK_EQ(a.waiter.state, AQ_READY);
  CHECK(aq_list_alone(&room));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  CHECK(aq_agenda_has_ready(&agenda));
  CHECK_STR(turn(), "a");
  CHECK_EQ(a.waiter.status, AQ_SHUTDOWN);
  CHECK_EQ(leaves, 0); /* the thing that settles needs not be told */
  CHECK_STR(turn(), "");
  CHECK_EQ(agenda.woken, 1);
  close_agenda();
}

TEST(the_first_to_settle_decides) {
  open_agenda();
  enter(&a, 0);
  CHECK(aq_waiter_settle(&a.waiter, AQ_OK));
  CHECK(!aq_waiter_settle(&a.waiter, AQ_SHUTDOWN));
  CHECK(!aq_waiter_abort(&a.waiter, AQ_CANCELLED));
  CHECK_STR(turn(), "a");
  CHECK_EQ(a.waiter.status, AQ_OK);
  CHECK_EQ(leaves, 0);
  close_agenda();
}

TEST(settle_and_abort_of_an_idle_waiter_do_nothing) {
  open_agenda();
  CHECK(!aq_waiter_settle(&a.waiter, AQ_OK));
  CHECK(!aq_waiter_abort(&a.waiter, AQ_CANCELLED));
  CHECK_EQ(a.waiter.state, AQ_IDLE);
  CHECK_STR(turn(), "");
  CHECK_EQ(leaves, 0);
  close_agenda();
}

TEST(abort_tells_the_thing_and_makes_ready) {
  open_agenda();
  enter(&a, 100);
  CHECK(aq_waiter_abort(&a.waiter, AQ_CANCELLED));
  CHECK_EQ(leaves, 1);
  CHECK_EQ(a.waiter.state, AQ_READY);
  CHECK(aq_list_alone(&room));
  CHECK(!aq_waiter_abort(&a.waiter, AQ_TIMEDOUT));
  CHECK_EQ(leaves, 1);
  CHECK_STR(turn(), "a");
  CHECK_EQ(a.waiter.status, AQ_CANCELLED);
  close_agenda();
}

TEST(abort_says_why) {
  open_agenda();
  enter(&x, 10);
  enter(&y, AQ_NEVER);
  agenda.now_ns = 10;
  aq_agenda_turn(&agenda);
  CHECK_EQ(left_why, AQ_TIMEDOUT);
  aq_waiter_drop(&y.waiter);
  CHECK_EQ(left_why, AQ_CLOSED);
  aq_agenda_turn(&agenda);
  close_agenda();
}

TEST(a_thing_may_keep_its_waiter_until_it_settles_it) {
  open_agenda();
  enter(&x, 10);
  stays = true;
  CHECK(!aq_waiter_abort(&x.waiter, AQ_CANCELLED));
  CHECK_EQ(x.waiter.state, AQ_WAITING);
  agenda.now_ns = 10;
  aq_agenda_turn(&agenda); /* its deadline comes and goes */
  CHECK_EQ(leaves, 2);
  CHECK_EQ(x.waiter.state, AQ_WAITING);
  CHECK(aq_waiter_settle(&x.waiter, AQ_OK));
  aq_agenda_turn(&agenda);
  CHECK_STR(events, "x");
  CHECK_EQ(x.waiter.status, AQ_OK);
  close_agenda();
}

TEST(drop_asks_nobody_for_leave) {
  open_agenda();
  enter(&x, AQ_NEVER);
  stays = true;
  aq_waiter_drop(&x.waiter);
  CHECK_EQ(x.waiter.state, AQ_IDLE);
  close_agenda();
}

TEST(the_agenda_tells_that_somebody_has_become_ready) {
  open_agenda();
  agenda.on_ready = on_ready;
  enter(&x, AQ_NEVER);
  CHECK_EQ(readies, 0);
  aq_waiter_settle(&x.waiter, AQ_OK);
  CHECK_EQ(readies, 1);
  enter(&y, AQ_NEVER);
  aq_waiter_abort(&y.waiter, AQ_CANCELLED);
  CHECK_EQ(readies, 2);
  aq_agenda_turn(&agenda);
  close_agenda();
}

TEST(leave_may_be_null_and_so_may_the_room) {
  open_agenda();
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  CHECK_EQ(a.waiter.state, AQ_WAITING);
  CHECK(aq_waiter_abort(&a.waiter, AQ_CANCELLED));
  CHECK_STR(turn(), "a");
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  aq_waiter_drop(&a.waiter);
  CHECK_STR(turn(), "");
  close_agenda();
}

TEST(the_leave_of_an_earlier_wait_is_forgotten) {
  open_agenda();
  enter(&a, AQ_NEVER);
  settle(&a);
  CHECK_STR(turn(), "a");
  aq_waiter_enter(&a.waiter, &room, NULL, AQ_NEVER);
  aq_waiter_abort(&a.waiter, AQ_CANCELLED);
  CHECK_STR(turn(), "a");
  CHECK_EQ(leaves, 0);
  close_agenda();
}

TEST(ready_needs_nothing_to_wait_for) {
  open_agenda();
  aq_waiter_ready(&a.waiter, AQ_CANCELLED);
  CHECK_EQ(a.waiter.state, AQ_READY);
  CHECK(!aq_waiter_settle(&a.waiter, AQ_OK));
  CHECK_STR(turn(), "a");
  CHECK_EQ(a.waiter.status, AQ_CANCELLED);
  close_agenda();
}

TEST(drop_of_an_idle_waiter_does_nothing) {
  open_agenda();
  aq_waiter_drop(&a.waiter);
  CHECK_EQ(a.waiter.state, AQ_IDLE);
  CHECK_EQ(leaves, 0);
  close_agenda();
}

TEST(drop_of_a_waiting_one_tells_the_thing_and_wakes_nobody) {
  open_agenda();
  enter(&a, 0);
  enter(&b, AQ_NEVER);
  aq_waiter_drop(&a.waiter);
  CHECK_EQ(a.waiter.state, AQ_IDLE);
  CHECK_EQ(leaves, 1);
  CHECK(room.next == &b.waiter.link);
  CHECK_STR(turn(), "");
  CHECK_STR(turn(), "");
  aq_waiter_drop(&b.waiter);
  close_agenda();
}

TEST(drop_of_a_ready_one_takes_it_off_the_agenda) {
  open_agenda();
  enter(&a, AQ_NEVER);
  settle(&a);
  ready(&b);
  aq_waiter_drop(&a.waiter);
  CHECK_EQ(a.waiter.state, AQ_IDLE);
  CHECK_EQ(leaves, 0); /* settled: the thing has let go of it already */
  CHECK_STR(turn(), "b");
  close_agenda();
}

static void drop_b(void) { aq_waiter_drop(&b.waiter); }
static void drop_a(void) { aq_waiter_drop(&a.waiter); }

TEST(drop_of_one_who_is_about_to_be_woken_in_this_turn) {
  open_agenda();
  ready(&a);
  ready(&b);
  ready(&c);
  a.then = drop_b;
  CHECK_STR(turn(), "ac");
  CHECK_EQ(b.waiter.state, AQ_IDLE);
  CHECK_EQ(agenda.woken, 2);
  close_agenda();
}

TEST(drop_of_oneself_in_the_wake) {
  open_agenda();
  ready(&a);
  ready(&b);
  a.then = drop_a;
  CHECK_STR(turn(), "ab");
  close_agenda();
}

static struct party *heap_party;

static void on_wake_free(struct aq_waiter *w) {
  note('f');
  free(AQ_CONTAINER(w, struct party, waiter));
}

TEST(a_party_may_be_freed_in_its_own_wake) {
  open_agenda();
  heap_party = malloc(sizeof *heap_party);
  if (!CHECK(heap_party != NULL)) return;
  aq_waiter_init(&heap_party->waiter, &agenda, on_wake_free);
  aq_waiter_ready(&heap_party->waiter, AQ_OK);
  ready(&a);
  CHECK_STR(turn(), "fa");
  close_agenda();
}

/* --- the order of events ---------------------------------------------------------------------- */

TEST(H1_ready_ones_are_woken_in_order) {
  open_agenda();
  ready(&b);
  ready(&a);
  ready(&c);
  CHECK_STR(turn(), "bac");
  close_agenda();
}

TEST(H29_a_wake_takes_its_place_in_the_one_line) {
  open_agenda();
  enter(&a, AQ_NEVER);
  ready(&x);
  settle(&a);
  ready(&y);
  CHECK_STR(turn(), "xay");
  close_agenda();
}

static void ready_b(void) { ready(&b); }
static void settle_b(void) { settle(&b); }
static void ready_a(void) { ready(&a); }

TEST(L5_what_a_wake_makes_ready_runs_in_the_next_turn) {
  open_agenda();
  ready(&a);
  ready(&x);
  a.then = ready_b;
  CHECK_STR(turn(), "ax");
  CHECK_STR(turn(), "b");
  close_agenda();
}

TEST(L5_one_who_is_always_ready_runs_once_a_turn) {
  open_agenda();
  a.then = ready_a;
  ready(&a);
  for (int i = 0; i < 100; i++) CHECK_STR(turn(), "a");
  aq_waiter_drop(&a.waiter);
  close_agenda();
}

TEST(H4_a_settled_room_is_woken_in_the_order_of_entering) {
  open_agenda();
  enter(&a, AQ_NEVER);
  enter(&b, AQ_NEVER);
  enter(&c, AQ_NEVER);
  while (!aq_list_alone(&room)) {
    struct aq_waiter *w = AQ_CONTAINER(room.next, struct aq_waiter, link);
    aq_waiter_settle(w, AQ_OK);
  }
  CHECK_STR(turn(), "abc");
  close_agenda();
}

/* --- deadlines -------------------------------------------------------------------------------- */

TEST(H20_a_deadline_fires_after_the_batch_and_its_party_runs_the_next_turn) {
  open_agenda();
  enter(&a, 10);
  agenda.now_ns = 10;
  ready(&x);
  CHECK_STR(turn(), "x");
  CHECK_EQ(leaves, 1);
  CHECK_EQ(a.waiter.state, AQ_READY);
  CHECK_STR(turn(), "a");
  CHECK_EQ(a.waiter.status, AQ_TIMEDOUT);
  close_agenda();
}

TEST(X11_a_deadline_does_not_fire_before_its_time) {
  open_agenda();
  enter(&a, 10);
  agenda.now_ns = 9;
  CHECK_STR(turn(), "");
  CHECK_EQ(a.waiter.state, AQ_WAITING);
  CHECK_EQ(aq_agenda_next_deadline(&agenda), 10);
  agenda.now_ns = 10;
  turn();
  CHECK_STR(turn(), "a");
  close_agenda();
}

static uint64_t order_seen_by_x;
static void look_at_b(void) { order_seen_by_x = b.waiter.state; }

TEST(L1_ready_first_then_due_deadlines) {
  open_agenda();
  enter(&b, 5);
  agenda.now_ns = 5;
  x.then = look_at_b;
  ready(&x);
  CHECK_STR(turn(), "x");
  CHECK_EQ(order_seen_by_x, AQ_WAITING);
  CHECK_STR(turn(), "b");
  close_agenda();
}

TEST(X7_a_settle_in_the_batch_beats_a_deadline_that_is_due) {
  open_agenda();
  enter(&b, 5);
  agenda.now_ns = 5;
  x.then = settle_b;
  ready(&x);
  CHECK_STR(turn(), "x");
  CHECK_STR(turn(), "b");
  CHECK_EQ(b.waiter.status, AQ_OK);
  CHECK_EQ(b.wakes, 1);
  close_agenda();
}

TEST(X7_a_settle_after_the_deadline_fired_is_too_late) {
  open_agenda();
  enter(&b, 5);
  agenda.now_ns = 5;
  turn();
  CHECK(!settle(&b));
  CHECK_STR(turn(), "b");
  CHECK_EQ(b.waiter.status, AQ_TIMEDOUT);
  close_agenda();
}

TEST(L3_equal_deadlines_fire_in_the_order_they_were_set) {
  open_agenda();
  enter(&c, 7);
  enter(&a, 7);
  enter(&x, 6);
  enter(&b, 7);
  enter(&y, 8);
  agenda.now_ns = 9;
  turn();
  CHECK_STR(turn(), "xcaby");
  close_agenda();
}

static void enter_b_in_the_past(void) { enter(&b, 0); }

TEST(L2_a_deadline_of_now_goes_behind_what_is_ready) {
  open_agenda();
  agenda.now_ns = 10;
  a.then = enter_b_in_the_past;
  ready(&a);
  ready(&x);
  CHECK_STR(turn(), "ax");
  CHECK_EQ(b.waiter.state, AQ_WAITING); /* armed in this turn: looked at in the next */
  ready(&y);
  CHECK_STR(turn(), "y");
  CHECK_STR(turn(), "b");
  close_agenda();
}

TEST(L2_a_past_deadline_set_in_the_turn_does_not_hold_up_those_that_were_due) {
  open_agenda();
  enter(&c, 5);
  agenda.now_ns = 10;
  a.then = enter_b_in_the_past;
  ready(&a);
  CHECK_STR(turn(), "a");
  CHECK_EQ(c.waiter.state, AQ_READY);
  CHECK_EQ(b.waiter.state, AQ_WAITING);
  while (c.waiter.state != AQ_IDLE || b.waiter.state != AQ_IDLE) turn();
  close_agenda();
}

static struct aq_deadline timer, other;

static void fire_and_arm_again(struct aq_deadline *d) {
  note('t');
  CHECK(!aq_heap_holds(&d->node));
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_deadline_arm(&agenda, d, 0);
}

TEST(L5_a_deadline_that_arms_itself_again_fires_once_a_turn) {
  open_agenda();
  aq_deadline_init(&timer, fire_and_arm_again);
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_deadline_arm(&agenda, &timer, 3);
  agenda.now_ns = 3;
  CHECK_STR(turn(), "t");
  CHECK_STR(turn(), "t");
  aq_deadline_disarm(&agenda, &timer);
  CHECK_STR(turn(), "");
  close_agenda();
}

static void fire_and_disarm_other(struct aq_deadline *d) {
  (void)d;
  note('t');
  aq_deadline_disarm(&agenda, &other);
}

TEST(a_fire_may_disarm_another_that_is_due) {
  open_agenda();
  aq_deadline_init(&timer, fire_and_disarm_other);
  aq_deadline_init(&other, fire_and_arm_again);
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_deadline_arm(&agenda, &timer, 1);
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_deadline_arm(&agenda, &other, 1);
  agenda.now_ns = 1;
  CHECK_STR(turn(), "t");
  aq_deadline_disarm(&agenda, &timer); /* not armed: harmless */
  close_agenda();
}

TEST(a_wait_that_ends_in_time_disarms_its_deadline) {
  open_agenda();
  enter(&a, 10);
  settle(&a);
  agenda.now_ns = 10;
  CHECK_STR(turn(), "a");
  CHECK_STR(turn(), "");
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(leaves, 0);
  close_agenda();
}

TEST(out_of_memory_is_said_before_anything_is_armed) {
  open_agenda();
  memory.fails = true;
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_NOMEM);
  enter(&a, AQ_NEVER); /* a wait with no deadline needs no memory */
  settle(&a);
  CHECK_STR(turn(), "a");
  CHECK_EQ(memory.calls, 1);
  close_agenda();
}
