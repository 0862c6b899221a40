/*
** attach_test.c - turns that somebody else's uv_run takes.
*/
#include "check.h"
#include "core/attach.h"
#include "memory.h"

enum { MS = 1000000 };

static struct memory memory;
static struct aq_loop *loop;
static struct aq_attachment *attachment;
static uv_loop_t uv;
static struct aq_waiter waiter, other;
static int wakes, turns, ends_after; /* turns to take before the attachment ends; 0: never */
static int ready_again;              /* how often the waiter makes itself ready */

static void on_wake(struct aq_waiter *w) {
  wakes++;
  if (ready_again > 0) {
    ready_again--;
    aq_waiter_ready(w, AQ_OK);
  }
}

static void on_turn(void *ud) {
  CHECK(ud == &uv);
  aq_agenda_turn(&loop->agenda);
  if (++turns == ends_after) {
    aq_attachment_end(attachment);
    attachment = NULL;
  }
}

static void open_attached(void) {
  memory = (struct memory){0};
  wakes = turns = ends_after = ready_again = 0;
  CHECK_EQ(uv_loop_init(&uv), 0);
  CHECK_EQ(aq_loop_new(&loop, &uv, memory_alloc(&memory)), 0);
  CHECK_EQ(aq_attachment_new(&attachment, loop, on_turn, &uv), AQ_OK);
  aq_waiter_init(&waiter, &loop->agenda, on_wake);
  aq_waiter_init(&other, &loop->agenda, on_wake);
}

static void close_attached(void) {
  if (attachment != NULL) aq_attachment_end(attachment);
  aq_loop_free(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_EQ(uv_loop_close(&uv), 0);
  CHECK(memory_is_clean(&memory));
}

TEST(the_first_turn_comes_by_itself_and_then_uv_run_returns) {
  open_attached();
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(turns, 1);
  close_attached();
}

TEST(who_is_ready_keeps_the_loop_alive_until_nobody_is) {
  open_attached();
  ready_again = 5;
  aq_waiter_ready(&waiter, AQ_OK);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(wakes, 6);
  close_attached();
}

TEST(a_deadline_keeps_the_loop_alive_and_fires_not_before_its_time) {
  open_attached();
  uint64_t deadline_ns = aq_loop_from_now(loop, 3 * MS);
  CHECK_EQ(aq_agenda_reserve(&loop->agenda), AQ_OK);
  aq_waiter_enter(&waiter, NULL, NULL, deadline_ns);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(wakes, 1);
  CHECK(uv_hrtime() >= deadline_ns);
  CHECK(turns < 20); /* it sleeps */
  close_attached();
}

TEST(a_deadline_armed_between_two_runs_is_seen_after_a_look) {
  open_attached();
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_EQ(aq_agenda_reserve(&loop->agenda), AQ_OK);
  aq_waiter_enter(&waiter, NULL, NULL, aq_loop_from_now(loop, MS));
  aq_attachment_look(attachment);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_EQ(wakes, 1);
  close_attached();
}

static void make_ready(uv_handle_t *handle) {
  (void)handle;
  aq_waiter_settle(&waiter, AQ_OK);
}

TEST(what_a_close_callback_makes_ready_runs_though_nothing_else_is_alive) {
  uv_timer_t timer;
  open_attached();
  aq_waiter_enter(&waiter, NULL, NULL, AQ_NEVER);
  uv_timer_init(&uv, &timer);
  uv_close((uv_handle_t *)&timer, make_ready);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_EQ(wakes, 1);
  close_attached();
}

TEST(nobody_who_only_waits_keeps_the_loop_alive) {
  open_attached();
  aq_waiter_enter(&waiter, NULL, NULL, AQ_NEVER);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(wakes, 0);
  aq_waiter_settle(&waiter, AQ_OK); /* between two runs */
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(wakes, 1);
  close_attached();
}

TEST(a_hurried_loop_takes_a_turn_more) {
  open_attached();
  aq_loop_hurry(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_EQ(turns, 2);
  close_attached();
}

TEST(the_turn_may_end_the_attachment) {
  open_attached();
  ends_after = 2;
  ready_again = 100;
  aq_waiter_ready(&waiter, AQ_OK);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(turns, 2);
  CHECK(aq_agenda_has_ready(&loop->agenda));
  aq_waiter_drop(&waiter);
  close_attached();
}

TEST(ended_it_hears_no_more_of_who_is_ready) {
  open_attached();
  aq_attachment_end(attachment);
  attachment = NULL;
  aq_waiter_ready(&waiter, AQ_OK);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(turns, 0);
  CHECK(aq_loop_step(loop)); /* taken by hand again */
  CHECK_EQ(wakes, 1);
  close_attached();
}
