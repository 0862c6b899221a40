/*
** loop_test.c - steps, the two clocks, and somebody else's uv loop.
*/
#include <sys/resource.h>

#include "check.h"
#include "core/loop.h"
#include "memory.h"

enum { MS = 1000000, LIMIT = 100000 };

static const uint64_t HOUR = 3600u * 1000u * (uint64_t)MS;

struct party {
  struct aq_waiter waiter;
  uint64_t woken_at; /* by the loop's clock; 0: not yet */
  int wakes;
  bool stays_ready; /* makes itself ready again */
};

static struct memory memory;
static struct aq_loop *loop;
static struct party a, b;
static bool in_callback; /* a uv callback is running */

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  CHECK(!in_callback);
  p->woken_at = aq_loop_now(loop);
  p->wakes++;
  if (p->stays_ready) aq_waiter_ready(w, AQ_OK);
}

static void open_loop(uv_loop_t *uv) {
  memory = (struct memory){0};
  in_callback = false;
  loop = NULL;
  CHECK_EQ(aq_loop_new(&loop, uv, memory_alloc(&memory)), 0);
  a = b = (struct party){0};
  aq_waiter_init(&a.waiter, &loop->agenda, on_wake);
  aq_waiter_init(&b.waiter, &loop->agenda, on_wake);
}

static void close_loop(void) {
  aq_loop_free(loop);
  CHECK(memory_is_clean(&memory));
}

static void sleep_until(struct party *p, uint64_t deadline_ns) {
  CHECK_EQ(aq_agenda_reserve(&loop->agenda), AQ_OK);
  aq_waiter_enter(&p->waiter, NULL, NULL, deadline_ns);
}

/* Steps until nothing can happen any more; how many there were. */
static int run(void) {
  int steps = 0;
  while (aq_loop_step(loop))
    if (!CHECK(++steps < LIMIT)) break;
  return steps;
}

/* A uv timer that makes `a` ready and closes itself. */
static uv_timer_t handle;
static uint64_t handle_fired_at;

static void on_handle(uv_timer_t *t) {
  in_callback = true;
  handle_fired_at = aq_loop_now(loop);
  aq_waiter_settle(&a.waiter, AQ_OK);
  uv_close((uv_handle_t *)t, NULL);
  in_callback = false;
}

static void start_handle_with(uv_timer_cb callback, uint64_t ms) {
  handle_fired_at = 0;
  uv_timer_init(loop->uv, &handle);
  uv_update_time(loop->uv);
  uv_timer_start(&handle, callback, ms, 0);
}

static void start_handle(uint64_t ms) { start_handle_with(on_handle, ms); }

/* --- a loop of its own ------------------------------------------------------------------------ */

TEST(a_step_is_refused_when_nothing_can_happen) {
  open_loop(NULL);
  CHECK(!aq_loop_step(loop));
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER); /* waits, but nobody can wake it */
  CHECK(!aq_loop_step(loop));
  CHECK_EQ(a.wakes, 0);
  aq_waiter_drop(&a.waiter);
  aq_loop_use_virtual(loop, true);
  CHECK(!aq_loop_step(loop));
  close_loop();
}

TEST(a_step_wakes_what_is_ready) {
  open_loop(NULL);
  aq_waiter_ready(&a.waiter, AQ_OK);
  aq_waiter_ready(&b.waiter, AQ_OK);
  CHECK(aq_loop_step(loop));
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(b.wakes, 1);
  CHECK(!aq_loop_step(loop));
  close_loop();
}

TEST(H20_a_deadline_takes_one_step_to_fire_and_one_to_be_seen) {
  open_loop(NULL);
  sleep_until(&a, aq_loop_now(loop));
  CHECK(aq_loop_step(loop));
  CHECK_EQ(a.waiter.state, AQ_READY);
  CHECK(aq_loop_step(loop));
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(a.waiter.status, AQ_TIMEDOUT);
  CHECK(!aq_loop_step(loop));
  close_loop();
}

TEST(X11_a_deadline_is_never_early) {
  static const uint64_t timeouts_ns[] = {1900000, 1, 999999, 1000001, 2500000, 100000, 0, 1999999};
  open_loop(NULL);
  for (size_t i = 0; i < 40; i++) {
    uint64_t deadline_ns = aq_loop_deadline(loop, timeouts_ns[i % 8]);
    a.woken_at = 0;
    sleep_until(&a, deadline_ns);
    run();
    CHECK(a.woken_at >= deadline_ns);
    CHECK(uv_hrtime() >= deadline_ns);
    CHECK(a.woken_at < deadline_ns + 1000 * (uint64_t)MS); /* sanity: it does block to the end */
  }
  CHECK_EQ(a.wakes, 40);
  close_loop();
}

TEST(X11_waiting_for_a_deadline_does_not_spin) {
  open_loop(NULL);
  sleep_until(&a, aq_loop_deadline(loop, 20 * (uint64_t)MS));
  int steps = run();
  CHECK_EQ(a.wakes, 1);
  CHECK(steps < 10);
  close_loop();
}

TEST(L6_a_deadline_counts_from_a_fresh_clock) {
  open_loop(NULL);
  uint64_t before_ns = uv_hrtime();
  while (uv_hrtime() - before_ns < 2 * (uint64_t)MS) continue; /* a long step: nobody polls */
  CHECK(aq_loop_deadline(loop, 0) >= before_ns + 2 * (uint64_t)MS);
  close_loop();
}

TEST(a_deadline_beyond_the_clock_is_far_and_only_never_is_never) {
  open_loop(NULL);
  CHECK_EQ(aq_loop_deadline(loop, AQ_NEVER), AQ_NEVER);
  CHECK_EQ(aq_loop_deadline(loop, AQ_FAR), AQ_FAR);
  CHECK_EQ(aq_loop_deadline(loop, AQ_FAR - 1), AQ_FAR);
  uint64_t now_ns = aq_loop_now(loop);
  CHECK(aq_loop_deadline(loop, 1000) >= now_ns + 1000);
  close_loop();
}

TEST(O3_a_far_deadline_keeps_the_loop_waiting) {
  open_loop(NULL);
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  sleep_until(&b, AQ_FAR);
  start_handle(1);
  uv_unref((uv_handle_t *)&handle); /* as the bell of a signal handler, it keeps nothing alive */
  while (a.wakes == 0)
    if (!CHECK(aq_loop_step(loop))) break;
  CHECK_EQ(b.wakes, 0);
  aq_waiter_drop(&b.waiter);
  run();
  close_loop();
}

TEST(a_very_distant_deadline_does_not_keep_a_near_one_from_firing) {
  open_loop(NULL);
  sleep_until(&b, AQ_FAR);
  sleep_until(&a, aq_loop_deadline(loop, MS));
  while (a.wakes == 0)
    if (!CHECK(aq_loop_step(loop))) break;
  CHECK_EQ(b.wakes, 0);
  aq_waiter_drop(&b.waiter);
  CHECK(!aq_loop_step(loop));
  close_loop();
}

TEST(a_uv_callback_makes_ready_and_the_party_runs_outside_libuv) {
  open_loop(NULL);
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  start_handle(2);
  run();
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(a.waiter.status, AQ_OK);
  close_loop();
}

/* Once this much has passed, a timer is due before libuv looks for events. */
static void let_ms_pass(uint64_t ms) {
  uint64_t until_ns = uv_hrtime() + ms * MS;
  while (uv_hrtime() < until_ns) continue;
}

TEST(what_a_callback_makes_ready_before_the_poll_blocks_does_not_wait_for_its_end) {
  open_loop(NULL);
  sleep_until(&a, AQ_NEVER);
  sleep_until(&b, aq_loop_now(loop) + HOUR);
  start_handle(1);
  let_ms_pass(3);
  CHECK(aq_loop_step(loop));
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(b.wakes, 0);
  aq_waiter_drop(&b.waiter);
  close_loop();
}

static void on_handle_hurry(uv_timer_t *t) {
  aq_loop_hurry(loop);
  uv_close((uv_handle_t *)t, NULL);
}

TEST(a_callback_before_the_poll_blocks_can_hurry_it) {
  open_loop(NULL);
  sleep_until(&b, aq_loop_now(loop) + HOUR);
  start_handle_with(on_handle_hurry, 1);
  let_ms_pass(3);
  CHECK(aq_loop_step(loop));
  CHECK_EQ(b.wakes, 0);
  aq_waiter_drop(&b.waiter);
  close_loop();
}

TEST(L5_a_party_that_is_always_ready_keeps_neither_io_nor_deadlines_from_happening) {
  open_loop(NULL);
  a.stays_ready = true;
  aq_waiter_ready(&a.waiter, AQ_OK);
  sleep_until(&b, aq_loop_deadline(loop, MS));
  start_handle(1);
  for (uint64_t start_ns = uv_hrtime(); b.wakes == 0 || handle_fired_at == 0;) {
    CHECK(aq_loop_step(loop));
    if (!CHECK(uv_hrtime() - start_ns < 5000 * (uint64_t)MS)) break;
  }
  CHECK(a.wakes > 0);
  aq_waiter_drop(&a.waiter);
  run();
  close_loop();
}

TEST(a_hurried_loop_does_not_block_in_its_next_poll) {
  open_loop(NULL);
  sleep_until(&a, aq_loop_from_now(loop, HOUR));
  aq_loop_hurry(loop);
  CHECK(aq_loop_poll(loop, AQ_NEVER));
  CHECK(!aq_agenda_has_ready(&loop->agenda));
  aq_waiter_drop(&a.waiter);
  CHECK(!aq_loop_poll(loop, AQ_NEVER)); /* once */
  close_loop();
}

TEST(out_of_memory_makes_no_loop) {
  struct aq_loop *none = NULL;
  memory = (struct memory){.fails = true};
  CHECK_EQ(aq_loop_new(&none, NULL, memory_alloc(&memory)), UV_ENOMEM);
  CHECK(none == NULL);
  CHECK(memory_is_clean(&memory));
}

/* The descriptors in use stay open; the next one is refused. */
TEST(a_system_that_refuses_descriptors_is_said_to) {
  struct aq_loop *none = NULL;
  struct rlimit before, nothing;
  memory = (struct memory){0};
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  nothing = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &nothing), 0);
  CHECK_EQ(aq_loop_new(&none, NULL, memory_alloc(&memory)), UV_EMFILE);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK(none == NULL);
  CHECK(memory_is_clean(&memory));
}

TEST(a_deadline_that_is_no_longer_wanted_keeps_nothing_alive) {
  open_loop(NULL);
  sleep_until(&b, aq_loop_deadline(loop, HOUR));
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  start_handle(1);
  while (a.wakes == 0)
    if (!CHECK(aq_loop_step(loop))) break;
  aq_waiter_drop(&b.waiter);
  while (uv_is_closing((uv_handle_t *)&handle) && aq_loop_step(loop)) continue;
  CHECK(!uv_loop_alive(loop->uv));
  CHECK(!aq_loop_step(loop));
  close_loop();
}

TEST(free_forgets_those_who_still_wait) {
  open_loop(NULL);
  sleep_until(&a, aq_loop_deadline(loop, HOUR));
  aq_waiter_ready(&b.waiter, AQ_OK);
  close_loop();
  CHECK_EQ(a.wakes + b.wakes, 0);
}

TEST(a_hundred_loops_leave_nothing_behind) {
  for (int i = 0; i < 100; i++) {
    open_loop(NULL);
    sleep_until(&a, aq_loop_now(loop));
    run();
    CHECK_EQ(a.wakes, 1);
    close_loop();
  }
}

/* --- the virtual clock ------------------------------------------------------------------------ */

TEST(O4_the_virtual_clock_jumps_to_the_next_deadline) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  uint64_t start_ns = aq_loop_now(loop), real_ns = uv_hrtime();
  sleep_until(&b, start_ns + 2 * HOUR);
  sleep_until(&a, start_ns + HOUR);
  run();
  CHECK(a.woken_at == start_ns + HOUR);
  CHECK(b.woken_at == start_ns + 2 * HOUR);
  CHECK(aq_loop_now(loop) == start_ns + 2 * HOUR);
  CHECK(uv_hrtime() - real_ns < 1000 * (uint64_t)MS);
  close_loop();
}

TEST(O4_the_virtual_clock_stands_still_while_anyone_is_ready) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  uint64_t start_ns = aq_loop_now(loop);
  sleep_until(&b, start_ns + 1);
  a.stays_ready = true;
  aq_waiter_ready(&a.waiter, AQ_OK);
  for (int i = 0; i < 1000; i++) CHECK(aq_loop_step(loop));
  CHECK(aq_loop_now(loop) == start_ns);
  CHECK_EQ(b.wakes, 0);
  a.stays_ready = false;
  run();
  CHECK(b.woken_at == start_ns + 1);
  close_loop();
}

TEST(O4_a_deadline_in_the_past_does_not_turn_the_virtual_clock_back) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  uint64_t start_ns = aq_loop_now(loop);
  sleep_until(&a, start_ns - 1);
  run();
  CHECK_EQ(a.wakes, 1);
  CHECK(aq_loop_now(loop) == start_ns);
  close_loop();
}

TEST(O4_the_virtual_clock_does_not_jump_beyond_its_end) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  uint64_t last_ns = AQ_FAR - 1;
  sleep_until(&a, last_ns);
  sleep_until(&b, AQ_FAR);
  run();
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(b.wakes, 0);
  CHECK(aq_loop_now(loop) == last_ns);
  CHECK(aq_loop_from_now(loop, HOUR) == AQ_FAR);
  aq_waiter_drop(&b.waiter);
  close_loop();
}

TEST(O4_a_live_uv_handle_blocks_the_jump) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  uint64_t start_ns = aq_loop_now(loop);
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  sleep_until(&b, start_ns + HOUR);
  start_handle(3);
  run();
  CHECK(handle_fired_at == start_ns);
  CHECK(a.woken_at == start_ns);
  CHECK(b.woken_at == start_ns + HOUR); /* and once it is closed, the jump is made */
  close_loop();
}

TEST(O4_back_to_the_real_clock) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  sleep_until(&a, aq_loop_now(loop) + HOUR);
  run();
  aq_loop_use_virtual(loop, false);
  uint64_t now_ns = aq_loop_now(loop);
  CHECK(now_ns <= uv_hrtime());
  CHECK(loop->agenda.now_ns <= uv_hrtime());
  sleep_until(&b, aq_loop_deadline(loop, MS));
  run();
  CHECK_EQ(b.wakes, 1);
  CHECK(b.woken_at >= now_ns + MS);
  close_loop();
}

TEST(O4_switching_the_virtual_clock_on_twice_keeps_its_time) {
  open_loop(NULL);
  aq_loop_use_virtual(loop, true);
  sleep_until(&a, aq_loop_now(loop) + HOUR);
  run();
  uint64_t now_ns = aq_loop_now(loop);
  aq_loop_use_virtual(loop, true);
  CHECK(aq_loop_now(loop) == now_ns);
  close_loop();
}

/* --- the embedder's loop ---------------------------------------------------------------------- */

TEST(a_foreign_loop_is_driven_and_outlives_ours) {
  uv_loop_t mine;
  CHECK_EQ(uv_loop_init(&mine), 0);
  open_loop(&mine);
  CHECK(loop->uv == &mine);
  aq_waiter_enter(&a.waiter, NULL, NULL, AQ_NEVER);
  sleep_until(&b, aq_loop_deadline(loop, MS));
  start_handle(2);
  run();
  CHECK_EQ(a.wakes, 1);
  CHECK_EQ(b.wakes, 1);
  CHECK(!uv_loop_alive(&mine)); /* our timer does not keep the embedder's loop alive */
  aq_loop_free(loop);
  CHECK_EQ(uv_run(&mine, UV_RUN_DEFAULT), 0); /* closing takes a turn of the embedder's loop */
  CHECK(memory_is_clean(&memory));
  CHECK_EQ(uv_loop_close(&mine), 0);
}

TEST(a_foreign_loop_with_live_handles_survives_our_free) {
  uv_loop_t mine;
  CHECK_EQ(uv_loop_init(&mine), 0);
  open_loop(&mine);
  uv_timer_init(&mine, &handle);
  uv_timer_start(&handle, on_handle, 1000000, 0);
  aq_loop_free(loop);
  CHECK(uv_is_active((uv_handle_t *)&handle));
  uv_close((uv_handle_t *)&handle, NULL);
  CHECK_EQ(uv_run(&mine, UV_RUN_DEFAULT), 0);
  CHECK(memory_is_clean(&memory));
  CHECK_EQ(uv_loop_close(&mine), 0);
}

TEST(two_loops_over_one_foreign_loop) {
  struct aq_loop *second = NULL;
  uv_loop_t mine;
  CHECK_EQ(uv_loop_init(&mine), 0);
  open_loop(&mine);
  CHECK_EQ(aq_loop_new(&second, &mine, memory_alloc(&memory)), 0);
  sleep_until(&a, aq_loop_deadline(loop, MS));
  CHECK(!aq_loop_step(second));
  run();
  CHECK_EQ(a.wakes, 1);
  aq_loop_free(second);
  aq_loop_free(loop);
  uv_run(&mine, UV_RUN_DEFAULT);
  CHECK(memory_is_clean(&memory));
  CHECK_EQ(uv_loop_close(&mine), 0);
}
