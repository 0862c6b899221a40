/*
** select_test.c - a party that waits for several things gets the first, and only that.
**
** A party here writes its letter to a log when it is woken, with how its wait ended.
*/
#include "check.h"
#include "core/queue.h"
#include "core/select.h"
#include "memory.h"

enum { BRANCHES = 100 };

struct party {
  struct aq_waiter waiter;
  struct aq_select select;
  char name;
};

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_list rooms[3];
static struct aq_branch branches[BRANCHES], *const one = branches, *const two = branches + 1,
                                                   *const three = branches + 2;
static struct party S, T, A, B; /* S and T select, A and B wait as anybody does */
static char events[64];

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  size_t n = strlen(events), room = sizeof events - n;
  const char *how = w->status == AQ_OK          ? ""
                    : w->status == AQ_CANCELLED ? ":cancelled"
                    : w->status == AQ_TIMEDOUT  ? ":timedout"
                                                : ":shutdown";
  snprintf(events + n, room, "%s%c%s", n > 0 ? " " : "", p->name, how);
}

static void init_party(struct party *p, char name) {
  *p = (struct party){.name = name};
  aq_waiter_init(&p->waiter, &agenda, on_wake);
  aq_select_init(&p->select, &p->waiter);
}

static void open_agenda(void) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  for (int i = 0; i < 3; i++) aq_list_init(&rooms[i]);
  for (int i = 0; i < BRANCHES; i++) aq_branch_init(&branches[i], &agenda);
  init_party(&S, 'S');
  init_party(&T, 'T');
  init_party(&A, 'A');
  init_party(&B, 'B');
}

static void close_agenda(void) {
  for (int i = 0; i < 3; i++) CHECK(aq_list_alone(&rooms[i]));
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

/* One turn; who was woken in it. */
static const char *turn(void) {
  events[0] = '\0';
  aq_agenda_turn(&agenda);
  return events;
}

/* A branch of `p` enters a room. */
static bool enter(struct party *p, struct aq_branch *branch, struct aq_list *room) {
  CHECK(aq_select_add(&p->select, branch));
  aq_waiter_enter(&branch->waiter, room, NULL, AQ_NEVER);
  return aq_select_go_on(&p->select);
}

/* `S` waits for three branches, each in a room of its own. */
static void wait_for_three(uint64_t deadline_ns) {
  open_agenda();
  for (int i = 0; i < 3; i++) CHECK(enter(&S, &branches[i], &rooms[i]));
  if (deadline_ns != AQ_NEVER) CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_select_wait(&S.select, deadline_ns);
  CHECK_EQ(S.waiter.state, AQ_WAITING);
  CHECK(aq_list_alone(&S.waiter.link));
}

static void check_none_waits(void) {
  for (int i = 0; i < 3; i++) {
    CHECK(aq_list_alone(&rooms[i]));
    CHECK_EQ(branches[i].waiter.state, AQ_IDLE);
    CHECK(aq_list_alone(&branches[i].waiter.link));
  }
}

/* --- the election ----------------------------------------------------------------------------- */

TEST(X9_the_first_settled_is_elected_in_that_call) {
  wait_for_three(AQ_NEVER);
  CHECK(aq_room_wake_first(&rooms[1]));
  CHECK(S.select.chosen == two);
  check_none_waits();
  CHECK_EQ(S.waiter.state, AQ_READY);
  CHECK(!aq_room_wake_first(&rooms[0]));
  CHECK(!aq_waiter_settle(&three->waiter, AQ_OK));
  CHECK_STR(turn(), "S");
  CHECK_STR(turn(), "");
  CHECK(S.select.chosen == two);
  close_agenda();
}

TEST(the_party_gets_the_status_of_the_elected) {
  wait_for_three(AQ_NEVER);
  CHECK(aq_waiter_settle(&three->waiter, AQ_SHUTDOWN));
  CHECK_EQ(three->waiter.status, AQ_SHUTDOWN);
  CHECK_STR(turn(), "S:shutdown");
  close_agenda();
}

TEST(the_party_becomes_ready_where_its_branch_would) {
  wait_for_three(AQ_NEVER);
  aq_waiter_enter(&A.waiter, &rooms[0], NULL, AQ_NEVER);
  aq_waiter_ready(&B.waiter, AQ_OK);
  aq_room_wake_all(&rooms[0], AQ_OK);
  CHECK_STR(turn(), "B S A");
  close_agenda();
}

TEST(X4_the_others_in_a_room_keep_their_order) {
  open_agenda();
  aq_waiter_enter(&A.waiter, &rooms[0], NULL, AQ_NEVER);
  CHECK(enter(&S, one, &rooms[0]));
  aq_waiter_enter(&B.waiter, &rooms[0], NULL, AQ_NEVER);
  CHECK(enter(&S, two, &rooms[1]));
  CHECK(enter(&T, three, &rooms[0]));
  aq_select_wait(&S.select, AQ_NEVER);
  aq_select_wait(&T.select, AQ_NEVER);
  CHECK(aq_room_wake_first(&rooms[1]));
  CHECK_EQ(aq_room_count(&rooms[0]), 3);
  while (aq_room_wake_first(&rooms[0])) continue;
  CHECK_STR(turn(), "S A B T");
  close_agenda();
}

TEST(two_branches_in_one_room_are_elected_once) {
  open_agenda();
  CHECK(enter(&S, one, &rooms[0]));
  CHECK(enter(&S, two, &rooms[0]));
  aq_select_wait(&S.select, AQ_NEVER);
  aq_room_wake_all(&rooms[0], AQ_OK);
  CHECK(S.select.chosen == one);
  CHECK_STR(turn(), "S");
  close_agenda();
}

TEST(a_hundred_branches_and_nothing_is_allocated) {
  open_agenda();
  for (int i = 0; i < BRANCHES; i++) CHECK(enter(&S, &branches[i], &rooms[i % 3]));
  aq_select_wait(&S.select, AQ_NEVER);
  CHECK_EQ(aq_room_count(&rooms[0]) + aq_room_count(&rooms[1]) + aq_room_count(&rooms[2]),
           BRANCHES);
  CHECK(aq_waiter_settle(&branches[56].waiter, AQ_OK));
  CHECK(S.select.chosen == &branches[56]);
  check_none_waits();
  CHECK_EQ(memory.calls, 0);
  CHECK_STR(turn(), "S");
  close_agenda();
}

/* --- an election while branches still enter --------------------------------------------------- */

TEST(elected_before_the_party_waits_it_is_ready_at_once) {
  open_agenda();
  CHECK(enter(&S, one, &rooms[0]));
  CHECK(aq_room_wake_first(&rooms[0]));
  CHECK_EQ(S.waiter.state, AQ_IDLE);
  CHECK_STR(turn(), "");
  aq_select_wait(&S.select, AQ_NEVER);
  CHECK_EQ(S.waiter.state, AQ_READY);
  CHECK_STR(turn(), "S");
  close_agenda();
}

TEST(who_enters_after_the_election_leaves_again) {
  open_agenda();
  CHECK(enter(&S, one, &rooms[0]));
  CHECK(aq_select_add(&S.select, two));
  CHECK(aq_waiter_settle(&one->waiter, AQ_SHUTDOWN));
  aq_waiter_enter(&two->waiter, &rooms[1], NULL, AQ_NEVER);
  CHECK(!aq_select_go_on(&S.select));
  check_none_waits();
  CHECK(S.select.chosen == one);
  aq_select_wait(&S.select, AQ_NEVER);
  CHECK_STR(turn(), "S:shutdown");
  close_agenda();
}

/* --- a wait that is broken off ---------------------------------------------------------------- */

TEST(X1_aborted_no_branch_happens) {
  wait_for_three(AQ_NEVER);
  CHECK(aq_waiter_abort(&S.waiter, AQ_CANCELLED));
  check_none_waits();
  CHECK(S.select.chosen == NULL);
  CHECK_STR(turn(), "S:cancelled");
  close_agenda();
}

TEST(X7_late_no_branch_happens) {
  wait_for_three(100);
  agenda.now_ns = 100;
  CHECK_STR(turn(), "");
  check_none_waits();
  CHECK(S.select.chosen == NULL);
  CHECK_STR(turn(), "S:timedout");
  close_agenda();
}

TEST(X7_elected_in_time_its_deadline_is_off) {
  wait_for_three(100);
  CHECK(aq_room_wake_first(&rooms[2]));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  CHECK(!aq_waiter_abort(&S.waiter, AQ_CANCELLED));
  CHECK_STR(turn(), "S");
  close_agenda();
}

/* --- adding and ending ------------------------------------------------------------------------ */

TEST(a_branch_is_in_one_select_until_its_end) {
  wait_for_three(AQ_NEVER);
  CHECK(!aq_select_add(&S.select, one));
  CHECK(!aq_select_add(&T.select, two));
  aq_room_wake_first(&rooms[0]);
  CHECK_STR(turn(), "S");
  CHECK(!aq_select_add(&T.select, one));
  CHECK(!aq_select_add(&T.select, two));
  aq_select_end(&S.select);
  CHECK(S.select.chosen == NULL && S.select.first == NULL);
  CHECK(enter(&T, two, &rooms[1]));
  CHECK(enter(&T, one, &rooms[0]));
  CHECK(T.select.first == two && two->next == one && one->next == NULL);
  aq_select_wait(&T.select, AQ_NEVER);
  aq_room_wake_first(&rooms[0]);
  CHECK(T.select.chosen == one);
  CHECK_STR(turn(), "T");
  close_agenda();
}

TEST(what_is_ended_while_it_enters_waits_nowhere) {
  open_agenda();
  CHECK(enter(&S, one, &rooms[0]));
  CHECK(enter(&S, two, &rooms[1]));
  aq_select_end(&S.select);
  check_none_waits();
  CHECK(enter(&T, one, &rooms[0]));
  CHECK(enter(&S, three, &rooms[2]));
  CHECK(S.select.first == three);
  aq_select_end(&S.select);
  aq_select_wait(&T.select, AQ_NEVER);
  CHECK(aq_room_wake_first(&rooms[0]));
  CHECK(T.select.chosen == one && S.select.chosen == NULL);
  CHECK_STR(turn(), "T");
  close_agenda();
}

TEST(a_select_without_branches_waits_for_its_deadline) {
  open_agenda();
  CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
  aq_select_wait(&S.select, 100);
  agenda.now_ns = 100;
  turn();
  CHECK_STR(turn(), "S:timedout");
  close_agenda();
}

/* --- on queues -------------------------------------------------------------------------------- */

static struct aq_queue q;

/* `S` waits to get from `q`, and after it `A`. */
static void open_queue(void) {
  open_agenda();
  aq_queue_init(&q, 1, AQ_FIFO, memory_alloc(&memory));
  CHECK(aq_select_add(&S.select, one));
  aq_queue_get_wait(&q, &one->waiter, AQ_NEVER);
  aq_select_wait(&S.select, AQ_NEVER);
  aq_queue_get_wait(&q, &A.waiter, AQ_NEVER);
}

static void put(uint64_t bits) {
  CHECK_EQ(aq_queue_reserve(&q), AQ_OK);
  CHECK_EQ(aq_queue_put_now(&q, (struct aq_item){bits, 0}), AQ_OK);
}

static void close_queue(void) {
  CHECK_EQ(q.claimed + q.promised, 0);
  aq_queue_check(&q);
  aq_queue_free(&q);
  close_agenda();
}

TEST(Q13_the_elected_owns_its_ticket) {
  struct aq_item item;
  open_queue();
  put(7);
  CHECK_STR(turn(), "S");
  CHECK_EQ(aq_queue_get_now(&q, &item), AQ_EMPTY);
  CHECK_EQ(aq_queue_get_end(&q, &one->waiter, false, &item), AQ_OK);
  CHECK_EQ(item.bits, 7);
  aq_waiter_drop(&A.waiter);
  close_queue();
}

TEST(X2_cancelled_after_the_election_its_ticket_goes_to_the_next) {
  struct aq_item item;
  open_queue();
  put(7);
  CHECK(!aq_waiter_abort(&S.waiter, AQ_CANCELLED));
  CHECK_STR(turn(), "S");
  CHECK_EQ(aq_queue_get_end(&q, &one->waiter, true, &item), AQ_CANCELLED);
  CHECK_STR(turn(), "A");
  CHECK_EQ(aq_queue_get_end(&q, &A.waiter, false, &item), AQ_OK);
  CHECK_EQ(item.bits, 7);
  close_queue();
}

TEST(S4_a_shutdown_elects_once_and_wakes_the_others) {
  struct aq_item item;
  open_queue();
  CHECK(aq_select_add(&T.select, two));
  aq_queue_get_wait(&q, &two->waiter, AQ_NEVER);
  CHECK(aq_select_add(&T.select, three));
  aq_queue_get_wait(&q, &three->waiter, AQ_NEVER);
  aq_select_wait(&T.select, AQ_NEVER);
  aq_queue_shutdown(&q);
  CHECK(T.select.chosen == two);
  CHECK_STR(turn(), "S:shutdown A:shutdown T:shutdown");
  CHECK_EQ(aq_queue_get_end(&q, &two->waiter, false, &item), AQ_SHUTDOWN);
  close_queue();
}
