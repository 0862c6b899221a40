/*
** handle_test.c - other threads reach a runtime: handles and posts.
*/
#include <pthread.h>
#include <stdatomic.h>

#include "host.h"

static atomic_int drops;

/* A post that notes its number when it runs. */
struct note {
  struct aq_post post;
  int number;
};

static int noted[1000000];
static int nnoted;

static void note(lua_State *L, struct aq_post *post) {
  CHECK_EQ(lua_gettop(L), 0);
  noted[nnoted++] = ((struct note *)post)->number;
}

static void drop_note(struct aq_post *post) {
  (void)post;
  atomic_fetch_add(&drops, 1);
}

static struct note make_note(int number) {
  return (struct note){{note, drop_note, {NULL}}, number};
}

static lua_State *open_with(struct aq_handle **h, int flags) {
  lua_State *L = open_state(NULL);
  nnoted = 0;
  atomic_store(&drops, 0);
  CHECK_EQ(aq_handle_new(L, h, flags), AQ_OK);
  return L;
}

/* ---- one thread ------------------------------------------------------------------------------ */

TEST(a_post_runs_with_the_next_turn_in_order_and_may_be_posted_again) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, 0);
  struct note a = make_note(1), b = make_note(2);
  CHECK_EQ(aq_post(h, &a.post), AQ_OK);
  CHECK_EQ(aq_post(h, &b.post), AQ_OK);
  CHECK_EQ(nnoted, 0);
  CHECK_EQ(aq_next_ns(L), 0);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_DONE); /* there is no task */
  CHECK_EQ(aq_post(h, &a.post), AQ_OK);
  CHECK_EQ(aq_step(L, AQ_FOREVER, 0), AQ_STEP_DONE);
  CHECK_EQ(nnoted, 3);
  CHECK(noted[0] == 1 && noted[1] == 2 && noted[2] == 1);
  aq_handle_drop(h);
  lua_close(L);
}

static void put(lua_State *L, void *arg) {
  CHECK_EQ(aq_in_task(L), 0);
  if (luaL_dostring(L, arg) != LUA_OK) lua_error(L);
}

TEST(a_post_wakes_a_task_of_a_run_that_would_be_stuck) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, 0);
  run_text(L, "q = aq.Queue()");
  start(L, "return q:get()");
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_STUCK);
  CHECK_EQ(aq_post_call(h, put, NULL, "q:put_nowait('posted')"), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  check_outcome(L, LUA_OK, "posted");
  aq_handle_drop(h);
  lua_close(L);
}

TEST(an_error_is_reported_and_the_next_post_runs) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, 0);
  CHECK_EQ(aq_post_call(h, put, NULL, "error('in a post', 0)"), AQ_OK);
  CHECK_EQ(aq_post_call(h, put, NULL, "error(setmetatable({}, {__tostring = error}))"), AQ_OK);
  CHECK_EQ(aq_post_call(h, put, NULL, "after = true"), AQ_OK);
  aq_step(L, 0, 0);
  CHECK(strstr(reported, "aqlua: error in a function that was posted: in a post\n") != NULL);
  CHECK_EQ(aq_unhandled(L), 2);
  lua_getglobal(L, "after");
  CHECK(lua_toboolean(L, -1));
  aq_handle_drop(h);
  lua_close(L);
}

static int c_exit(lua_State *L) { return aq_exit(L); }

TEST(what_is_posted_may_leave_and_that_is_no_error) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, AQ_KEEP_ALIVE);
  lua_register(L, "exit", c_exit);
  start(L, "aq.sleep(100)");
  CHECK_EQ(aq_post_call(h, put, NULL, "exit()"), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK_STR(reported, "");
  check_outcome(L, LUA_OK, "nil");
  aq_handle_drop(h);
  lua_close(L);
}

static void count_drop(void *arg) {
  (void)arg;
  atomic_fetch_add(&drops, 1);
}

TEST(calls_are_limited_and_dropped_at_the_end) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, 0);
  int n = 0;
  while (aq_post_call(h, put, count_drop, NULL) == AQ_OK) n++;
  CHECK_EQ(n, 65536);
  CHECK_EQ(aq_post_call(h, put, count_drop, NULL), AQ_FULL);
  CHECK_EQ(atomic_load(&drops), 0);
  lua_close(L);
  CHECK_EQ(atomic_load(&drops), n);
  CHECK_EQ(aq_post_call(h, put, count_drop, NULL), AQ_CLOSED);
  CHECK_EQ(atomic_load(&drops), n);
  aq_handle_drop(h);
}

static struct aq_handle *dropped;

static void drop_handle(lua_State *L, struct aq_post *post) {
  note(L, post);
  aq_handle_drop(dropped);
}

TEST(a_handle_may_be_dropped_while_posts_wait_and_by_one_of_them) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, AQ_KEEP_ALIVE);
  struct note a = make_note(1), b = make_note(2), c = make_note(3);
  a.post.run = drop_handle;
  dropped = aq_handle_copy(h);
  CHECK(dropped == h);
  aq_post(h, &a.post);
  aq_post(h, &b.post);
  aq_handle_drop(h);
  aq_step(L, 0, 0);
  CHECK_EQ(nnoted, 2);
  CHECK_EQ(aq_handle_new(L, &h, 0), AQ_OK);
  aq_post(h, &c.post);
  lua_close(L);
  CHECK_EQ(atomic_load(&drops), 1);
  CHECK_EQ(aq_post(h, &c.post), AQ_CLOSED);
  aq_handle_drop(h);
}

TEST(bad_arguments_are_told) {
  struct aq_handle *h = NULL;
  struct note a = make_note(1), none = make_note(1);
  lua_State *L = luaL_newstate();
  none.post.run = NULL;
  CHECK_EQ(aq_handle_new(L, &h, 0), AQ_CLOSED);
  CHECK_EQ(aq_handle_new(NULL, &h, 0), AQ_INVALID);
  lua_close(L);
  L = open_with(&h, 0);
  CHECK_EQ(aq_handle_new(L, NULL, 0), AQ_INVALID);
  CHECK_EQ(aq_handle_new(L, &h, 4), AQ_INVALID);
  CHECK_EQ(aq_post(NULL, &a.post), AQ_INVALID);
  CHECK_EQ(aq_post(h, NULL), AQ_INVALID);
  CHECK_EQ(aq_post(h, &none.post), AQ_INVALID);
  CHECK_EQ(aq_post_call(NULL, put, NULL, NULL), AQ_INVALID);
  CHECK_EQ(aq_post_call(h, NULL, NULL, NULL), AQ_INVALID);
  CHECK(aq_handle_copy(NULL) == NULL);
  aq_handle_drop(NULL);
  aq_handle_drop(h);
  lua_close(L);
}

/* ---- keeping alive --------------------------------------------------------------------------- */

TEST(while_a_handle_keeps_alive_no_wait_is_a_deadlock) {
  struct aq_handle *h;
  lua_State *L = open_with(&h, AQ_KEEP_ALIVE);
  start(L, "aq.Event():wait()");
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_RAN);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_IDLE);
  CHECK_EQ(aq_step(L, MS, 0), AQ_STEP_IDLE);
  CHECK_EQ(aq_break_deadlock(L), AQ_INVALID);
  aq_handle_copy(h);
  aq_handle_drop(h);
  CHECK_EQ(aq_step(L, 0, 0), AQ_STEP_IDLE);
  aq_handle_drop(h);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_STUCK);
  lua_close(L);
}

static atomic_bool was_dropped;

static void *drop_later(void *ud) {
  uv_sleep(5);
  atomic_store(&was_dropped, true);
  aq_handle_drop(ud);
  return NULL;
}

static lua_State *start_under_virtual_clock(struct aq_handle **h, int flags) {
  lua_State *L = open_with(h, flags);
  start(L, "local clock <close> = require('aqlua.testing').clock() aq.sleep(1e6)");
  return L;
}

TEST(the_virtual_clock_stands_still_while_a_handle_holds_it) {
  pthread_t thread;
  struct aq_handle *h;
  lua_State *L = start_under_virtual_clock(&h, AQ_HOLD_CLOCK);
  atomic_store(&was_dropped, false);
  CHECK_EQ(pthread_create(&thread, NULL, drop_later, h), 0);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK(atomic_load(&was_dropped));
  pthread_join(thread, NULL);
  lua_close(L);
}

TEST(a_handle_that_only_keeps_alive_does_not_hold_the_virtual_clock) {
  struct aq_handle *h;
  lua_State *L = start_under_virtual_clock(&h, AQ_KEEP_ALIVE);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  aq_handle_drop(h);
  lua_close(L);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, POSTS = 2000 };

static void *post_many(void *ud) {
  struct aq_handle *h = ud;
  for (int i = 0; i < POSTS; i++)
    while (aq_post_call(h, put, NULL, "n = n + 1 if n == total then done:set() end") != AQ_OK) {}
  aq_handle_drop(h);
  return NULL;
}

/* Waits for what the threads post; they hold the only handles. */
static void check_threads(void (*wait)(lua_State *L)) {
  pthread_t threads[THREADS];
  struct aq_handle *h;
  lua_State *L = open_with(&h, AQ_KEEP_ALIVE);
  run_text(L, "done, n = aq.Event(), 0");
  lua_pushinteger(L, THREADS * POSTS);
  lua_setglobal(L, "total");
  CHECK_EQ(luaL_loadstring(L, "done:wait() return n"), LUA_OK);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, post_many, aq_handle_copy(h));
  aq_handle_drop(h);
  wait(L);
  CHECK_EQ(lua_tointeger(L, -1), THREADS * POSTS);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  lua_close(L);
}

static void call(lua_State *L) { CHECK_EQ(aq_call(L, 0, 1), LUA_OK); }

static void step(lua_State *L) {
  CHECK_EQ(aq_start(L, 0), AQ_OK);
  CHECK_EQ(run(L, AQ_FOREVER), AQ_STEP_DONE);
  CHECK_EQ(aq_outcome(L, 1), LUA_OK);
}

TEST(threads_post_to_a_runtime_that_is_called) { check_threads(call); }

TEST(threads_post_to_a_runtime_that_is_stepped) { check_threads(step); }

static void *post_one(void *ud) {
  uv_sleep(2);
  aq_post_call(ud, put, NULL, "q:put_nowait('posted')");
  aq_handle_drop(ud);
  return NULL;
}

static void on_ended(void *ud) { *(int *)ud = 1; }

TEST(an_attached_loop_runs_more_posts_than_one_turn_does) {
  enum { MANY = 250000 };
  static struct note notes[MANY];
  int has_ended = 0;
  uv_loop_t uv;
  struct aq_handle *h;
  CHECK_EQ(uv_loop_init(&uv), 0);
  lua_State *L = open_state(&uv);
  nnoted = 0;
  start(L, "aq.Event():wait()");
  CHECK_EQ(aq_attach(L, on_ended, &has_ended), AQ_OK);
  CHECK_EQ(aq_handle_new(L, &h, AQ_KEEP_ALIVE), AQ_OK);
  for (int i = 0; i < MANY; i++) {
    notes[i] = make_note(i);
    CHECK_EQ(aq_post(h, &notes[i].post), AQ_OK);
  }
  aq_handle_drop(h);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(nnoted, MANY);
  lua_close(L);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(uv_loop_close(&uv), 0);
}

TEST(a_post_wakes_an_attached_loop) {
  int has_ended = 0;
  uv_loop_t uv;
  pthread_t thread;
  struct aq_handle *h;
  CHECK_EQ(uv_loop_init(&uv), 0);
  lua_State *L = open_state(&uv);
  run_text(L, "q = aq.Queue()");
  start(L, "return q:get()");
  CHECK_EQ(aq_attach(L, on_ended, &has_ended), AQ_OK);
  CHECK_EQ(aq_handle_new(L, &h, AQ_KEEP_ALIVE), AQ_OK);
  pthread_create(&thread, NULL, post_one, h);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0); /* kept alive until the handle is dropped */
  CHECK_EQ(has_ended, 1);
  check_outcome(L, LUA_OK, "posted");
  pthread_join(thread, NULL);
  lua_close(L);
  CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_EQ(uv_loop_close(&uv), 0);
}

/* Posts until it is told that the runtime is closed: each note runs, is dropped, or was never taken. */
struct racer {
  struct aq_handle *h;
  struct note *notes;
  int nposted;
};

static void *race(void *ud) {
  struct racer *r = ud;
  for (r->nposted = 0; r->nposted < 100000; r->nposted++) {
    r->notes[r->nposted] = make_note(r->nposted);
    if (aq_post(r->h, &r->notes[r->nposted].post) != AQ_OK) break;
  }
  return NULL;
}

TEST(closing_races_with_posts_and_loses_none) {
  static struct note notes[100000];
  pthread_t thread;
  struct racer r = {NULL, notes, 0};
  lua_State *L = open_with(&r.h, 0);
  pthread_create(&thread, NULL, race, &r);
  for (int i = 0; i < 20; i++) aq_step(L, 0, 0);
  lua_close(L);
  pthread_join(thread, NULL);
  CHECK_EQ(nnoted + atomic_load(&drops), r.nposted);
  for (int i = 0; i < nnoted; i++)
    if (!CHECK_EQ(noted[i], i)) break;
  aq_handle_drop(r.h);
}
