/*
** queue_test.c - the rules of the queue, one by one.
**
** A party is a task in small: it gets, puts or joins, waiting if it must, and writes what came of
** it to a log: "A1" party A got item 1, "A+1" A has put item 1, "A." A's join returned, and
** "A:cancelled" and the like. A party may go on until it has moved a number of items.
*/
#include "check.h"
#include "core/queue.h"
#include "memory.h"

enum job { GET, PUT, JOIN };

struct party {
  struct aq_waiter waiter;
  enum job job;         /* what it waits in, or did last */
  enum aq_status ended; /* how that ended; valid when not waiting */
  uint64_t item;        /* what it holds while in put; what it got last */
  int rest;             /* how many more times it does the same after this one */
  bool is_cancelled;    /* told so, and not yet seen by it */
  char name;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_queue q;
static struct party A, B, C, P, R;
static char events[512];

static struct aq_item item_of(uint64_t number) { return (struct aq_item){number, ~number}; }

static const char *word(enum aq_status status) {
  switch (status) {
    case AQ_SHUTDOWN: return "shutdown";
    case AQ_TIMEDOUT: return "timedout";
    case AQ_CANCELLED: return "cancelled";
    default: return aq_status_text(status);
  }
}

static void note(struct party *p) {
  size_t n = strlen(events), room = sizeof events - n;
  const char *space = n > 0 ? " " : "";
  if (p->ended != AQ_OK)
    snprintf(events + n, room, "%s%c:%s", space, p->name, word(p->ended));
  else if (p->job == JOIN)
    snprintf(events + n, room, "%s%c.", space, p->name);
  else
    snprintf(events + n, room, "%s%c%s%d", space, p->name, p->job == PUT ? "+" : "", (int)p->item);
}

/* Tries the party's job; true if it has ended, well or not. */
static bool try_now(struct party *p) {
  struct aq_item item = item_of(p->item);
  if (p->job == JOIN) {
    p->ended = AQ_OK;
    return q.unfinished == 0;
  }
  if (p->job == PUT) {
    CHECK_EQ(aq_queue_reserve(&q), AQ_OK);
    p->ended = aq_queue_put_now(&q, item);
    return p->ended != AQ_FULL;
  }
  p->ended = aq_queue_get_now(&q, &item);
  p->item = item.bits;
  return p->ended != AQ_EMPTY;
}

static void wait_for(struct party *p, uint64_t deadline_ns) {
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  if (p->job == GET) aq_queue_get_wait(&q, &p->waiter, deadline_ns);
  if (p->job == PUT) aq_queue_put_wait(&q, &p->waiter, deadline_ns);
  if (p->job == JOIN) aq_queue_join_wait(&q, &p->waiter, deadline_ns);
}

/* Says how the job ended; true if the party has another one to do. */
static bool goes_on(struct party *p) {
  note(p);
  if (p->ended != AQ_OK || p->rest == 0) return false;
  p->rest--;
  if (p->job == PUT) p->item++;
  return true;
}

static void run(struct party *p, uint64_t deadline_ns) {
  do {
    if (!try_now(p)) {
      wait_for(p, deadline_ns);
      return;
    }
  } while (goes_on(p));
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  bool was_cancelled = p->is_cancelled;
  struct aq_item item = item_of(p->item);
  p->is_cancelled = false;
  if (p->job == GET) {
    p->ended = aq_queue_get_end(&q, w, was_cancelled, &item);
    CHECK(item.tag == ~item.bits);
    p->item = item.bits;
  } else if (p->job == PUT) {
    p->ended = aq_queue_put_end(&q, w, was_cancelled, item);
  } else {
    p->ended = was_cancelled ? AQ_CANCELLED : w->status;
  }
  if (goes_on(p)) run(p, AQ_NEVER);
}

static void init_party(struct party *p, char name) {
  *p = (struct party){.name = name};
  aq_waiter_init(&p->waiter, &agenda, on_wake);
}

static void open_kind(size_t maxsize, enum aq_order_kind kind) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  aq_queue_init(&q, maxsize, kind, memory_alloc(&memory));
  init_party(&A, 'A');
  init_party(&B, 'B');
  init_party(&C, 'C');
  init_party(&P, 'P');
  init_party(&R, 'R');
  events[0] = '\0';
}

static void open_queue(size_t maxsize) { open_kind(maxsize, AQ_FIFO); }

static void open_dropping(size_t maxsize, enum aq_overflow overflow) {
  open_queue(maxsize);
  aq_queue_set_overflow(&q, overflow);
}

static void close_queue(void) {
  aq_queue_check(&q);
  aq_waiter_drop(&A.waiter);
  aq_waiter_drop(&B.waiter);
  aq_waiter_drop(&C.waiter);
  aq_waiter_drop(&P.waiter);
  aq_waiter_drop(&R.waiter);
  CHECK(aq_list_alone(&q.getters) && aq_list_alone(&q.putters) && aq_list_alone(&q.joiners));
  aq_queue_free(&q);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

static void start(struct party *p, enum job job, uint64_t item) {
  p->job = job;
  p->item = item;
  run(p, AQ_NEVER);
}

static void get(struct party *p) { start(p, GET, 0); }
static void put(struct party *p, uint64_t item) { start(p, PUT, item); }
static void join(struct party *p) { start(p, JOIN, 0); }

static void get_by(struct party *p, uint64_t deadline_ns) {
  p->job = GET;
  run(p, deadline_ns);
}

static bool waits(const struct party *p) { return p->waiter.state != AQ_IDLE; }

/* What a runtime does to cancel a task. */
static void cancel(struct party *p) {
  p->is_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

static enum aq_status put_now(uint64_t number) {
  CHECK_EQ(aq_queue_reserve(&q), AQ_OK);
  return aq_queue_put_now(&q, item_of(number));
}

/* The number got, or minus the status. */
static int get_now(void) {
  struct aq_item item;
  enum aq_status status = aq_queue_get_now(&q, &item);
  return status == AQ_OK ? (int)item.bits : -(int)status;
}

/* Puts on a full queue that drops; the number of what was dropped. */
static int put_dropping(uint64_t number) {
  CHECK_EQ(aq_queue_put_now(&q, item_of(number)), AQ_FULL);
  return (int)aq_queue_put_dropping(&q, item_of(number)).bits;
}

/* Shuts down at once; how many items were thrown away. */
static int shutdown_now(void) {
  struct aq_item item;
  int count = 0;
  while (aq_queue_discard(&q, &item)) count++;
  aq_queue_shutdown_now(&q);
  return count;
}

/* One turn; what happened in it. */
static const char *turn(void) {
  events[0] = '\0';
  aq_agenda_turn(&agenda);
  return events;
}

/* Turns until nobody is ready; all that happened. */
static const char *settle_down(void) {
  events[0] = '\0';
  while (aq_agenda_has_ready(&agenda)) aq_agenda_turn(&agenda);
  return events;
}

/* --- basics ----------------------------------------------------------------------------------- */

TEST(Q1_maxsize_0_is_unbounded_and_never_full) {
  open_queue(0);
  for (uint64_t i = 0; i < 5000; i++) CHECK_EQ(put_now(i), AQ_OK);
  CHECK(!aq_queue_is_full(&q));
  CHECK_EQ(aq_queue_size(&q), 5000);
  for (int i = 0; i < 5000; i++) CHECK_EQ(get_now(), i);
  CHECK(aq_queue_is_empty(&q));
  close_queue();
}

TEST(Q3_a_blocked_put_is_in_neither_the_size_nor_the_unfinished) {
  open_queue(1);
  put(&P, 1);
  put(&A, 2);
  CHECK(waits(&A));
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK_EQ(q.unfinished, 1);
  CHECK(aq_queue_is_full(&q));
  close_queue();
}

TEST(Q3_full_counts_promised_slots_and_empty_does_not_count_claimed_items) {
  open_queue(1);
  get(&A);
  put_now(1);
  CHECK(aq_queue_is_empty(&q));
  CHECK(aq_queue_is_full(&q));
  CHECK_STR(turn(), "A1");
  CHECK(aq_queue_is_empty(&q) && !aq_queue_is_full(&q));
  put_now(2);
  put(&P, 3);
  CHECK_EQ(get_now(), 2);
  CHECK(aq_queue_is_empty(&q));
  CHECK(aq_queue_is_full(&q));
  CHECK_STR(turn(), "P+3");
  close_queue();
}

TEST(Q4_put_now_on_a_full_queue_changes_nothing) {
  open_queue(2);
  put_now(1);
  put_now(2);
  CHECK_EQ(put_now(3), AQ_FULL);
  CHECK_EQ(aq_queue_size(&q), 2);
  CHECK_EQ(q.unfinished, 2);
  CHECK_EQ(get_now(), 1);
  CHECK_EQ(get_now(), 2);
  close_queue();
}

TEST(Q4_get_now_on_an_empty_queue_changes_nothing) {
  open_queue(2);
  CHECK_EQ(get_now(), -AQ_EMPTY);
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK_EQ(q.unfinished, 0);
  close_queue();
}

TEST(Q5_put_and_get_that_need_not_wait_take_no_turn) {
  open_queue(1);
  put(&P, 1);
  get(&A);
  CHECK_STR(events, "P+1 A1");
  CHECK(!aq_agenda_has_ready(&agenda));
  close_queue();
}

TEST(Q6_an_item_counts_from_the_moment_it_is_stored) {
  open_queue(1);
  put_now(1);
  put(&P, 2);
  CHECK_EQ(q.unfinished, 1);
  get_now();
  CHECK_EQ(q.unfinished, 1); /* the slot is promised, the item not stored */
  turn();
  CHECK_EQ(q.unfinished, 2);
  close_queue();
}

TEST(Q7_one_put_wakes_one_getter_the_longest_waiting) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  CHECK_STR(turn(), "A1");
  CHECK(waits(&B));
  put_now(2);
  CHECK_STR(turn(), "B2");
  close_queue();
}

TEST(Q7_one_get_wakes_one_putter_the_longest_waiting) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  put(&B, 3);
  CHECK_EQ(get_now(), 1);
  CHECK_STR(turn(), "A+2");
  CHECK(waits(&B));
  CHECK_EQ(get_now(), 2);
  CHECK_STR(turn(), "B+3");
  close_queue();
}

TEST(Q7_a_put_passes_over_one_who_is_already_woken_or_cancelled) {
  open_queue(0);
  get(&A);
  get(&B);
  get(&C);
  put_now(1);
  cancel(&B);
  put_now(2);
  CHECK_STR(turn(), "A1 B:cancelled C2");
  close_queue();
}

TEST(Q8_between_the_put_and_the_getters_step) {
  open_queue(1);
  get(&A);
  CHECK_EQ(put_now(1), AQ_OK);
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK(aq_queue_is_full(&q));
  CHECK_EQ(put_now(2), AQ_FULL);
  CHECK(aq_queue_is_empty(&q));
  CHECK_EQ(get_now(), -AQ_EMPTY);
  CHECK_STR(turn(), "A1");
  close_queue();
}

TEST(Q9_between_the_get_and_the_putters_step) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  CHECK_EQ(get_now(), 1);
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK(aq_queue_is_full(&q));
  CHECK_EQ(put_now(3), AQ_FULL);
  CHECK_STR(turn(), "A+2");
  CHECK_EQ(aq_queue_size(&q), 1);
  close_queue();
}

TEST(Q10_six_puts_at_once_and_three_looping_getters) {
  open_queue(0);
  A.rest = B.rest = C.rest = 99;
  get(&A);
  get(&B);
  get(&C);
  for (uint64_t i = 1; i <= 6; i++) CHECK_EQ(put_now(i), AQ_OK);
  CHECK_STR(turn(), "A1 A2 A3 A4 B5 C6");
  CHECK(waits(&A) && waits(&B) && waits(&C));
  close_queue();
}

TEST(Q11_looping_getters_take_turns) {
  open_queue(1);
  A.rest = B.rest = C.rest = 99;
  P.rest = 5;
  get(&A);
  get(&B);
  get(&C);
  put(&P, 1);
  CHECK_STR(settle_down(), "A1 P+2 B2 P+3 C3 P+4 A4 P+5 B5 P+6 C6");
  close_queue();
}

/* Of a log, what `name` got. */
static const char *got_by(char name, const char *log) {
  static char text[sizeof events];
  size_t n = 0;
  for (; *log != '\0'; log += strcspn(log, " "), log += strspn(log, " "))
    if (log[0] == name) n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", 3, log);
  text[n] = '\0';
  return text;
}

TEST(Q12_three_producers_and_one_consumer) {
  open_queue(2);
  A.rest = B.rest = C.rest = 2;
  R.rest = 8;
  put(&A, 10);
  put(&B, 20);
  put(&C, 30);
  get(&R);
  CHECK_STR(got_by('R', events), "R10 R11 ");
  CHECK_STR(got_by('R', settle_down()), "R12 R20 R30 R21 R31 R22 R32 ");
  close_queue();
}

TEST(H27_ping_pong_takes_one_turn_per_half_hand_off) {
  static const char *const by_turn[] = {"R0", "P+1", "R1", "P+2", "R2", "P+3", "R3"};
  open_queue(1);
  P.rest = R.rest = 3;
  get(&R);
  put(&P, 0);
  CHECK_STR(events, "P+0");
  for (int i = 0; i < 7; i++) CHECK_STR(turn(), by_turn[i]);
  close_queue();
}

TEST(H7_H29_put_then_the_getter_one_turn_later_in_its_place) {
  open_queue(0);
  put_now(1);
  P.job = R.job = GET; /* X and Y of the rule: made ready by hand, they end empty-handed */
  get_now();
  get(&A);
  aq_waiter_ready(&P.waiter, AQ_TIMEDOUT);
  put_now(2);
  aq_waiter_ready(&R.waiter, AQ_TIMEDOUT);
  CHECK_STR(turn(), "P:timedout A2 R:timedout");
  close_queue();
}

/* --- tickets ---------------------------------------------------------------------------------- */

TEST(Q13_a_later_get_cannot_take_a_woken_getters_item) {
  open_queue(0);
  get(&A);
  put_now(1);
  get(&B);
  CHECK(waits(&B));
  CHECK_STR(turn(), "A1");
  CHECK(waits(&B));
  put_now(2);
  CHECK_STR(turn(), "B2");
  close_queue();
}

TEST(Q13_a_later_get_waits_only_if_every_item_is_claimed) {
  open_queue(0);
  get(&A);
  put_now(1);
  put_now(2);
  get(&B);
  CHECK_STR(events, "B1"); /* A's claim names no item (V2) */
  CHECK_STR(turn(), "A2");
  close_queue();
}

TEST(Q13_a_later_put_waits_only_if_every_slot_is_promised) {
  open_queue(2);
  put_now(1);
  put_now(2);
  put(&A, 3);
  get_now();
  get_now();
  CHECK_EQ(put_now(4), AQ_OK);
  CHECK_EQ(put_now(5), AQ_FULL);
  CHECK_STR(turn(), "A+3");
  CHECK_EQ(get_now(), 4);
  CHECK_EQ(get_now(), 3);
  close_queue();
}

TEST(Q13_a_later_put_goes_behind_those_who_wait) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  get_now();
  put(&B, 3);
  CHECK(waits(&B));
  CHECK_STR(turn(), "A+2");
  CHECK_EQ(get_now(), 2);
  CHECK_STR(turn(), "B+3");
  close_queue();
}

TEST(Q14_the_nowait_calls_agree_with_empty_and_full) {
  open_queue(2);
  get(&A);
  get(&B);
  put_now(1);
  CHECK(aq_queue_is_empty(&q) && get_now() == -AQ_EMPTY);
  CHECK(!aq_queue_is_full(&q) && put_now(2) == AQ_OK);
  CHECK(aq_queue_is_full(&q) && put_now(3) == AQ_FULL);
  CHECK(aq_queue_is_empty(&q) && get_now() == -AQ_EMPTY);
  CHECK_EQ(aq_queue_size(&q), 2);
  CHECK_STR(turn(), "A1 B2");
  close_queue();
}

TEST(Q15_a_woken_getter_never_finds_nothing) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  put_now(2);
  while (!aq_queue_is_empty(&q)) get_now();
  CHECK_STR(turn(), "A1 B2");
  close_queue();
}

TEST(Q15_a_woken_putter_never_finds_the_queue_full) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  get_now();
  while (!aq_queue_is_full(&q)) put_now(9);
  CHECK_STR(turn(), "A+2");
  close_queue();
}

TEST(Q16_any_bits_are_an_item) {
  struct aq_item item = {1, 1};
  open_queue(0);
  CHECK_EQ(aq_queue_reserve(&q), AQ_OK);
  CHECK_EQ(aq_queue_put_now(&q, (struct aq_item){0, 0}), AQ_OK);
  CHECK_EQ(aq_queue_get_now(&q, &item), AQ_OK);
  CHECK(item.bits == 0 && item.tag == 0);
  CHECK_EQ(aq_queue_get_now(&q, &item), AQ_EMPTY);
  close_queue();
}

TEST(Q17_the_memory_of_many_items_is_given_back) {
  open_queue(0);
  for (uint64_t i = 0; i < 100000; i++) put_now(i);
  size_t most = memory.bytes;
  for (int i = 0; i < 100000; i++) CHECK_EQ(get_now(), i);
  CHECK(memory.bytes <= most / 16);
  close_queue();
}

/* --- overflow --------------------------------------------------------------------------------- */

TEST(Q23_a_full_queue_drops_the_oldest) {
  open_dropping(2, AQ_DROP_OLDEST);
  put_now(1);
  CHECK(!aq_queue_is_full(&q));
  put_now(2);
  CHECK(aq_queue_is_full(&q));
  CHECK_EQ(put_dropping(3), 1);
  CHECK_EQ(put_dropping(4), 2);
  CHECK_EQ(aq_queue_size(&q), 2);
  CHECK_EQ(get_now(), 3);
  CHECK_EQ(get_now(), 4);
  CHECK_EQ(get_now(), -AQ_EMPTY);
  close_queue();
}

TEST(Q23_a_full_queue_drops_the_newest) {
  open_dropping(2, AQ_DROP_NEWEST);
  put_now(1);
  put_now(2);
  CHECK_EQ(put_dropping(3), 3);
  CHECK_EQ(put_dropping(4), 4);
  CHECK_EQ(get_now(), 1);
  CHECK_EQ(put_now(5), AQ_OK);
  CHECK_EQ(get_now(), 2);
  CHECK_EQ(get_now(), 5);
  close_queue();
}

TEST(Q23_dropping_goes_round_the_ring_and_needs_no_memory) {
  open_dropping(8, AQ_DROP_OLDEST);
  for (uint64_t i = 0; i < 8; i++) put_now(i);
  memory.fails = true;
  for (uint64_t i = 8; i < 50; i++) CHECK_EQ(put_dropping(i), i - 8);
  CHECK_EQ(q.order.capacity, 8);
  for (int i = 42; i < 50; i++) CHECK_EQ(get_now(), i);
  close_queue();
}

TEST(Q23_after_a_shutdown_a_put_is_refused_and_drops_nothing) {
  open_dropping(1, AQ_DROP_OLDEST);
  put_now(1);
  aq_queue_shutdown(&q);
  CHECK_EQ(aq_queue_put_now(&q, item_of(2)), AQ_SHUTDOWN);
  CHECK_EQ(q.total_dropped, 0);
  CHECK_EQ(get_now(), 1);
  close_queue();
}

TEST(Q24_a_dropped_item_is_not_unfinished) {
  for (enum aq_overflow o = AQ_DROP_OLDEST; o <= AQ_DROP_NEWEST; o++) {
    open_dropping(1, o);
    put_now(1);
    join(&A);
    put_dropping(2);
    put_dropping(3);
    CHECK_EQ(q.unfinished, 1);
    CHECK_EQ(q.total_put, 3);
    CHECK_EQ(q.total_dropped, 2);
    CHECK_STR(turn(), "");
    CHECK_EQ(get_now(), o == AQ_DROP_OLDEST ? 3 : 1);
    CHECK_EQ(aq_queue_done(&q), AQ_OK);
    CHECK_STR(turn(), "A.");
    CHECK_EQ(aq_queue_done(&q), AQ_OVERDONE);
    close_queue();
  }
}

TEST(Q24_the_new_item_is_unfinished_though_the_oldest_was_marked_done_early) {
  open_dropping(1, AQ_DROP_OLDEST);
  put_now(1);
  aq_queue_done(&q);
  CHECK_EQ(put_dropping(2), 1);
  CHECK_EQ(q.unfinished, 1);
  CHECK_EQ(get_now(), 2);
  CHECK_EQ(aq_queue_done(&q), AQ_OK);
  close_queue();
}

TEST(Q25_between_a_put_and_the_getters_step_its_item_is_replaced) {
  open_dropping(1, AQ_DROP_OLDEST);
  get(&A);
  get(&B);
  put_now(1);
  CHECK(aq_queue_is_full(&q) && aq_queue_is_empty(&q));
  CHECK_EQ(put_dropping(2), 1);
  CHECK_EQ(put_dropping(3), 2);
  CHECK_EQ(q.claimed, 1);
  CHECK_EQ(get_now(), -AQ_EMPTY);
  CHECK_STR(settle_down(), "A3");
  CHECK(waits(&B));
  put_now(4);
  CHECK_STR(turn(), "B4");
  close_queue();
}

TEST(Q25_a_cancelled_getter_hands_on_the_item_that_replaced_its_own) {
  open_dropping(1, AQ_DROP_OLDEST);
  get(&A);
  get(&B);
  put_now(1);
  put_dropping(2);
  cancel(&A);
  CHECK_STR(settle_down(), "A:cancelled B2");
  close_queue();
}

TEST(Q25_the_newest_is_dropped_though_a_getter_has_been_woken) {
  open_dropping(1, AQ_DROP_NEWEST);
  get(&A);
  put_now(1);
  CHECK_EQ(put_dropping(2), 2);
  CHECK_STR(turn(), "A1");
  close_queue();
}

TEST(V2_a_lifo_getter_is_given_the_newest_item_at_its_step) {
  open_kind(0, AQ_LIFO);
  get(&A);
  get(&B);
  put_now(1);
  put_now(2);
  CHECK_STR(turn(), "A2 B1");
  close_queue();
}

TEST(V2_a_fifo_getter_is_given_the_oldest_item_at_its_step) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  put_now(2);
  CHECK_STR(turn(), "A1 B2");
  close_queue();
}

TEST(V2_lifo_with_putters_waiting) {
  open_kind(2, AQ_LIFO);
  put_now(1);
  put_now(2);
  put(&A, 3);
  put(&B, 4);
  CHECK_EQ(get_now(), 2);
  CHECK_EQ(get_now(), 1);
  CHECK_STR(turn(), "A+3 B+4");
  CHECK_EQ(get_now(), 4);
  CHECK_EQ(get_now(), 3);
  close_queue();
}

/* --- done and join ---------------------------------------------------------------------------- */

TEST(J1_done_once_too_often) {
  open_queue(0);
  CHECK_EQ(aq_queue_done(&q), AQ_OVERDONE);
  CHECK_EQ(q.unfinished, 0);
  put_now(1);
  CHECK_EQ(aq_queue_done(&q), AQ_OK);
  CHECK_EQ(aq_queue_done(&q), AQ_OVERDONE);
  CHECK_EQ(q.unfinished, 0);
  close_queue();
}

TEST(J2_join_with_nothing_unfinished_does_not_wait) {
  open_queue(0);
  join(&A);
  CHECK_STR(events, "A.");
  put_now(1);
  get_now();
  aq_queue_done(&q);
  join(&A);
  CHECK_STR(events, "A. A.");
  close_queue();
}

TEST(J3_join_counts_every_item_got_or_not) {
  open_queue(0);
  put_now(1);
  put_now(2);
  join(&A);
  get_now();
  aq_queue_done(&q);
  CHECK_STR(settle_down(), "");
  get_now();
  CHECK_STR(settle_down(), "");
  aq_queue_done(&q);
  CHECK_STR(turn(), "A.");
  close_queue();
}

TEST(J4_H9_the_last_done_wakes_all_joiners_one_turn_later) {
  open_queue(0);
  put_now(1);
  join(&A);
  join(&B);
  join(&C);
  get_now();
  aq_queue_done(&q);
  CHECK_STR(events, "");
  CHECK_STR(turn(), "A. B. C.");
  close_queue();
}

TEST(J5_a_woken_join_returns_although_an_item_has_come_since) {
  open_queue(0);
  put_now(1);
  join(&A);
  get_now();
  aq_queue_done(&q);
  put_now(2);
  CHECK_STR(turn(), "A.");
  CHECK_EQ(q.unfinished, 1);
  close_queue();
}

TEST(J6_a_blocked_put_is_not_counted_by_join) {
  open_queue(1);
  put_now(1);
  put(&P, 2);
  join(&A);
  get_now();
  aq_queue_done(&q);
  CHECK_STR(turn(), "P+2 A.");
  CHECK_EQ(q.unfinished, 1);
  close_queue();
}

TEST(J7_cancelling_a_joiner_changes_nothing) {
  open_queue(0);
  put_now(1);
  join(&A);
  join(&B);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(q.unfinished, 1);
  aq_queue_done(&q);
  CHECK_STR(turn(), "B.");
  close_queue();
}

TEST(J7_a_joiner_that_times_out_changes_nothing) {
  open_queue(0);
  put_now(1);
  A.job = JOIN;
  run(&A, 5);
  agenda.now_ns = 5;
  turn();
  CHECK_STR(turn(), "A:timedout");
  CHECK_EQ(q.unfinished, 1);
  close_queue();
}

TEST(J8_done_is_allowed_after_shutdown) {
  open_queue(0);
  put_now(1);
  join(&A);
  get_now();
  aq_queue_shutdown(&q);
  CHECK_STR(settle_down(), "");
  CHECK_EQ(aq_queue_done(&q), AQ_OK);
  CHECK_STR(turn(), "A.");
  CHECK_EQ(aq_queue_done(&q), AQ_OVERDONE);
  close_queue();
}

/* --- shutdown --------------------------------------------------------------------------------- */

TEST(S1_shutdown_may_be_called_again_and_again) {
  open_queue(0);
  put_now(1);
  aq_queue_shutdown(&q);
  aq_queue_shutdown(&q);
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK_EQ(shutdown_now(), 1);
  CHECK_EQ(shutdown_now(), 0);
  aq_queue_shutdown(&q);
  CHECK_EQ(get_now(), -AQ_SHUTDOWN);
  close_queue();
}

TEST(S2_after_any_shutdown_every_put_is_refused) {
  for (int immediate = 0; immediate < 2; immediate++) {
    open_queue(1);
    if (immediate)
      shutdown_now();
    else
      aq_queue_shutdown(&q);
    CHECK_EQ(put_now(1), AQ_SHUTDOWN);
    put(&P, 2);
    CHECK_STR(events, "P:shutdown");
    CHECK_EQ(q.unfinished, 0);
    close_queue();
  }
}

TEST(S2_a_full_queue_that_is_shut_down_says_shutdown_not_full) {
  open_queue(1);
  put_now(1);
  aq_queue_shutdown(&q);
  CHECK_EQ(put_now(2), AQ_SHUTDOWN);
  close_queue();
}

TEST(S3_after_a_graceful_shutdown_what_is_stored_can_be_got) {
  open_queue(0);
  put_now(1);
  put_now(2);
  aq_queue_shutdown(&q);
  CHECK_EQ(get_now(), 1);
  get(&A);
  CHECK_STR(events, "A2");
  CHECK_EQ(get_now(), -AQ_SHUTDOWN);
  get(&B);
  CHECK_STR(events, "A2 B:shutdown");
  close_queue();
}

TEST(S3_a_blocked_put_is_refused_one_turn_later_and_its_item_not_stored) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  put(&B, 3);
  aq_queue_shutdown(&q);
  CHECK_STR(events, "");
  CHECK_STR(turn(), "A:shutdown B:shutdown");
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK_EQ(q.unfinished, 1);
  CHECK_EQ(get_now(), 1);
  CHECK_STR(settle_down(), "");
  close_queue();
}

TEST(S4_shutdown_wakes_all_getters_in_the_same_call) {
  open_queue(0);
  get(&A);
  get(&B);
  aq_queue_shutdown(&q);
  CHECK(A.waiter.state == AQ_READY && B.waiter.state == AQ_READY);
  CHECK_STR(turn(), "A:shutdown B:shutdown");
  close_queue();
}

TEST(S5_shutdown_now_discards_and_wakes_the_joiners) {
  open_queue(0);
  put_now(1);
  put_now(2);
  join(&A);
  CHECK_EQ(shutdown_now(), 2);
  CHECK_EQ(q.unfinished, 0);
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK_STR(turn(), "A.");
  close_queue();
}

TEST(S5_items_already_got_still_hold_join) {
  open_queue(0);
  put_now(1);
  put_now(2);
  get_now();
  join(&A);
  CHECK_EQ(shutdown_now(), 1);
  CHECK_EQ(q.unfinished, 1);
  CHECK_STR(settle_down(), "");
  aq_queue_done(&q);
  CHECK_STR(turn(), "A.");
  close_queue();
}

TEST(S6_join_never_fails_because_of_shutdown) {
  open_queue(0);
  put_now(1);
  join(&A);
  aq_queue_shutdown(&q);
  CHECK_STR(settle_down(), "");
  get_now();
  aq_queue_done(&q);
  CHECK_STR(turn(), "A.");
  join(&B);
  CHECK_STR(events, "A. B.");
  close_queue();
}

TEST(S7_put_wakes_a_getter_then_shutdown_now) {
  open_queue(0);
  get(&A);
  put_now(1);
  CHECK_EQ(shutdown_now(), 1);
  CHECK_STR(turn(), "A:shutdown");
  CHECK_EQ(q.unfinished, 0);
  close_queue();
}

TEST(S7_get_wakes_a_putter_then_shutdown) {
  for (int immediate = 0; immediate < 2; immediate++) {
    open_queue(1);
    put_now(1);
    put(&A, 2);
    CHECK_EQ(get_now(), 1);
    if (immediate)
      shutdown_now();
    else
      aq_queue_shutdown(&q);
    CHECK_STR(turn(), "A:shutdown");
    CHECK_EQ(aq_queue_size(&q), 0);
    CHECK_EQ(q.unfinished, 1); /* of the item that was got */
    CHECK_EQ(q.promised, 0);
    close_queue();
  }
}

TEST(S7_a_promised_putter_that_is_cancelled_and_shut_down_hands_on_nothing) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  put(&B, 3);
  get_now();
  cancel(&A);
  aq_queue_shutdown(&q);
  CHECK_STR(turn(), "A:cancelled B:shutdown");
  CHECK_EQ(aq_queue_size(&q), 0);
  close_queue();
}

TEST(S8_discard_hands_out_every_item_once_in_the_queues_order) {
  struct aq_item item;
  open_queue(0);
  get(&A);
  for (uint64_t i = 1; i <= 3; i++) put_now(i);
  for (uint64_t i = 1; i <= 3; i++) {
    CHECK(aq_queue_discard(&q, &item));
    CHECK_EQ(item.bits, i);
  }
  CHECK(!aq_queue_discard(&q, &item));
  aq_queue_shutdown_now(&q);
  CHECK_STR(turn(), "A:shutdown");
  close_queue();
}

TEST(S9_a_graceful_shutdown_honours_the_getters_tickets) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  aq_queue_shutdown(&q);
  CHECK_EQ(get_now(), -AQ_SHUTDOWN); /* the only item is A's */
  CHECK_STR(turn(), "A1 B:shutdown");
  close_queue();
}

TEST(S9_a_ticket_given_back_after_shutdown_serves_the_next_in_line) {
  open_queue(0);
  get(&A);
  get(&B);
  get(&C);
  put_now(1);
  aq_queue_shutdown(&q);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled B1 C:shutdown");
  close_queue();
}

TEST(S9_graceful_and_then_immediate_voids_the_tickets) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  aq_queue_shutdown(&q);
  CHECK_EQ(shutdown_now(), 1);
  CHECK_STR(turn(), "A:shutdown B:shutdown");
  close_queue();
}

TEST(S9_a_voided_getter_that_is_cancelled_too) {
  open_queue(0);
  get(&A);
  put_now(1);
  cancel(&A);
  CHECK_EQ(shutdown_now(), 1);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(q.claimed, 0);
  close_queue();
}

/* --- cancel and timeout ----------------------------------------------------------------------- */

TEST(X1_a_cancelled_getter_leaves_and_nothing_else_changes) {
  open_queue(0);
  get(&A);
  get(&B);
  cancel(&A);
  CHECK(q.getters.next == &B.waiter.link && q.getters.prev == &B.waiter.link);
  CHECK_STR(turn(), "A:cancelled");
  put_now(1);
  CHECK_STR(turn(), "B1");
  close_queue();
}

TEST(X1_no_ghosts_after_many_timed_out_gets) {
  open_queue(0);
  for (uint64_t i = 0; i < 1000; i++) {
    get_by(&A, agenda.now_ns + 1);
    agenda.now_ns++;
    turn();
    CHECK_STR(turn(), "A:timedout");
    CHECK(aq_list_alone(&q.getters));
  }
  CHECK_EQ(put_now(1), AQ_OK);
  CHECK_EQ(get_now(), 1);
  close_queue();
}

TEST(X2_put_then_cancel_gives_the_item_to_the_next) {
  open_queue(0);
  get(&A);
  get(&B);
  put_now(1);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK_STR(turn(), "B1");
  close_queue();
}

TEST(X2_put_then_cancel_with_nobody_else_leaves_the_item_free) {
  open_queue(0);
  get(&A);
  put_now(1);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK(!aq_queue_is_empty(&q));
  CHECK_EQ(get_now(), 1);
  close_queue();
}

TEST(X2_a_chain_of_cancelled_getters_hands_the_ticket_down) {
  open_queue(0);
  get(&A);
  get(&B);
  get(&C);
  put_now(1);
  cancel(&A);
  turn();
  cancel(&B);
  CHECK_STR(settle_down(), "B:cancelled C1");
  close_queue();
}

TEST(X3_cancel_then_put_ends_the_same_way) {
  open_queue(0);
  get(&A);
  get(&B);
  cancel(&A);
  put_now(1);
  CHECK_STR(turn(), "A:cancelled B1");
  close_queue();
}

TEST(X4_two_puts_then_cancel_keeps_both_orders) {
  open_queue(0);
  get(&A);
  get(&B);
  get(&C);
  put_now(1);
  put_now(2);
  cancel(&A);
  CHECK_STR(settle_down(), "A:cancelled B1 C2");
  close_queue();
}

TEST(X5_get_then_cancel_of_a_blocked_putter) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  CHECK_EQ(get_now(), 1);
  cancel(&A);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK_EQ(q.unfinished, 1);
  CHECK(!aq_queue_is_full(&q));
  close_queue();
}

TEST(X5_cancel_then_get_of_a_blocked_putter) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  cancel(&A);
  CHECK_EQ(get_now(), 1);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK_EQ(q.unfinished, 1);
  CHECK(!aq_queue_is_full(&q));
  close_queue();
}

TEST(X5_a_cancelled_putters_slot_goes_to_the_next) {
  open_queue(1);
  put_now(1);
  put(&A, 2);
  put(&B, 3);
  get_now();
  cancel(&A);
  CHECK_EQ(put_now(9), AQ_FULL);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(put_now(9), AQ_FULL);
  CHECK_STR(turn(), "B+3");
  close_queue();
}

TEST(X6_a_get_that_never_began_leaves_the_queue_untouched) {
  open_queue(0);
  aq_waiter_ready(&A.waiter, AQ_CANCELLED); /* entered nothing, cancelled before its first step */
  A.is_cancelled = true;
  put_now(1);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(q.claimed, 0);
  CHECK_EQ(get_now(), 1);
  close_queue();
}

TEST(X7_an_item_ticketed_before_the_deadline_fires_is_delivered) {
  open_queue(0);
  get_by(&A, 5);
  agenda.now_ns = 5;
  put_now(1);
  CHECK_STR(turn(), "A1");
  CHECK_EQ(aq_queue_size(&q), 0);
  close_queue();
}

TEST(X7_an_item_put_after_the_deadline_fired_stays) {
  open_queue(0);
  get_by(&A, 5);
  agenda.now_ns = 5;
  turn();
  put_now(1);
  CHECK_STR(turn(), "A:timedout");
  CHECK_EQ(aq_queue_size(&q), 1);
  CHECK_EQ(get_now(), 1);
  close_queue();
}

TEST(X7_the_next_getter_is_served_past_one_that_timed_out) {
  open_queue(0);
  get_by(&A, 5);
  get(&B);
  agenda.now_ns = 5;
  turn();
  put_now(1);
  CHECK_STR(turn(), "A:timedout B1");
  close_queue();
}

TEST(X7_a_put_that_times_out_stores_nothing) {
  open_queue(1);
  put_now(1);
  A.job = PUT;
  A.item = 2;
  run(&A, 5);
  agenda.now_ns = 5;
  turn();
  CHECK_EQ(get_now(), 1);
  CHECK_STR(turn(), "A:timedout");
  CHECK_EQ(aq_queue_size(&q), 0);
  CHECK(!aq_queue_is_full(&q));
  close_queue();
}

TEST(X7_a_putter_promised_before_the_deadline_fires_stores) {
  open_queue(1);
  put_now(1);
  A.job = PUT;
  A.item = 2;
  run(&A, 5);
  agenda.now_ns = 5;
  get_now();
  CHECK_STR(turn(), "A+2");
  close_queue();
}

TEST(O3_a_wait_ended_by_the_deadlock_report_changes_nothing) {
  open_queue(1);
  get(&A);
  aq_waiter_abort(&A.waiter, AQ_DEADLOCK);
  turn();
  CHECK_EQ(A.ended, AQ_DEADLOCK);
  put_now(1);
  put(&B, 2);
  aq_waiter_abort(&B.waiter, AQ_DEADLOCK);
  turn();
  CHECK_EQ(B.ended, AQ_DEADLOCK);
  CHECK_EQ(aq_queue_size(&q), 1);
  close_queue();
}

TEST(T8_a_party_told_of_both_a_timeout_and_a_cancel_sees_the_cancel) {
  open_queue(0);
  get_by(&A, 5);
  agenda.now_ns = 5;
  turn();
  cancel(&A);
  put_now(1);
  CHECK_STR(turn(), "A:cancelled");
  CHECK_EQ(get_now(), 1);
  close_queue();
}

/* --- memory ----------------------------------------------------------------------------------- */

TEST(out_of_memory_changes_nothing) {
  open_queue(0);
  memory.fails = true;
  CHECK_EQ(aq_queue_reserve(&q), AQ_NOMEM);
  CHECK_EQ(aq_queue_size(&q), 0);
  memory.fails = false;
  for (uint64_t i = 1; i <= 8; i++) put_now(i);
  memory.fails = true;
  CHECK_EQ(aq_queue_reserve(&q), AQ_NOMEM);
  CHECK_EQ(aq_queue_size(&q), 8);
  CHECK_EQ(q.unfinished, 8);
  aq_queue_check(&q);
  for (int i = 1; i <= 8; i++) CHECK_EQ(get_now(), i);
  close_queue();
}

TEST(waiting_waking_and_shutdown_need_no_memory) {
  open_queue(2);
  put_now(1);
  put_now(2);
  put(&A, 3); /* reserves nothing: a promised slot is one that a get has freed */
  memory.fails = true;
  CHECK_EQ(get_now(), 1);
  CHECK_STR(turn(), "A+3");
  CHECK_EQ(get_now(), 2);
  CHECK_EQ(get_now(), 3);
  get(&B);
  join(&C);
  cancel(&B);
  CHECK_STR(turn(), "B:cancelled");
  get(&B);
  CHECK_EQ(shutdown_now(), 0);
  CHECK_STR(turn(), "B:shutdown");
  memory.fails = false;
  close_queue();
}

TEST(a_promised_slot_is_still_there_after_the_ring_was_trimmed) {
  open_queue(5000);
  for (uint64_t i = 0; i < 5000; i++) put_now(i);
  put(&A, 5000);
  put(&B, 5001);
  for (int i = 0; i < 5000; i++) CHECK_EQ(get_now(), i);
  memory.fails = true;
  CHECK_STR(turn(), "A+5000 B+5001");
  CHECK_EQ(get_now(), 5000);
  CHECK_EQ(get_now(), 5001);
  close_queue();
}

TEST(a_reserve_counts_the_promised_slots_too) {
  open_queue(5000);
  for (uint64_t i = 0; i < 5000; i++) put_now(i);
  put(&A, 5000);
  put(&B, 5001);
  for (int i = 0; i < 5000; i++) CHECK_EQ(get_now(), i);
  size_t trimmed = q.order.capacity;
  CHECK(trimmed < 4998);
  for (uint64_t i = 0; i < trimmed; i++) CHECK_EQ(put_now(i), AQ_OK);
  memory.fails = true;
  CHECK_STR(turn(), "A+5000 B+5001");
  CHECK_EQ(aq_queue_size(&q), trimmed + 2);
  close_queue();
}

/* ---- a getter that takes nothing before its turn ---------------------------------------------- */

TEST(Q13_a_later_getter_claims_what_is_free_and_takes_it_in_its_turn) {
  open_queue(0);
  put_now(1);
  put_now(2);
  A.job = GET;
  aq_queue_get_later(&q, &A.waiter, AQ_NEVER);
  CHECK_EQ(aq_queue_size(&q), 2);
  CHECK_EQ(get_now(), 1);
  CHECK_EQ(get_now(), -AQ_EMPTY);
  CHECK_STR(turn(), "A2");
  close_queue();
}

TEST(Q13_a_later_getter_that_is_cancelled_hands_its_claim_on) {
  struct aq_item item;
  open_queue(0);
  put_now(1);
  A.job = GET;
  aq_queue_get_later(&q, &A.waiter, AQ_NEVER);
  get(&B);
  CHECK(waits(&B));
  CHECK_EQ(aq_queue_get_end(&q, &A.waiter, true, &item), AQ_CANCELLED);
  aq_waiter_drop(&A.waiter);
  CHECK_STR(turn(), "B1");
  close_queue();
}

TEST(Q7_a_later_getter_waits_in_the_room_if_nothing_is_free) {
  open_queue(0);
  get(&A);
  B.job = GET;
  aq_queue_get_later(&q, &B.waiter, AQ_NEVER);
  put_now(1);
  put_now(2);
  CHECK_STR(turn(), "A1 B2");
  close_queue();
}

TEST(S3_a_later_getter_is_told_of_a_shutdown_in_its_turn) {
  open_queue(0);
  put_now(1);
  aq_queue_shutdown(&q);
  A.job = B.job = GET;
  aq_queue_get_later(&q, &A.waiter, AQ_NEVER);
  aq_queue_get_later(&q, &B.waiter, AQ_NEVER);
  CHECK_STR(turn(), "A1 B:shutdown");
  close_queue();
}
