/*
** inbox_test.c - posts and the bell: one by one, in every order, and by many threads at once.
**
** AQ_POSTS: how many posts each thread makes (a million is a matter of seconds).
*/
#include "chance.h"
#include "check.h"
#include "core/inbox.h"
#include "core/list.h"

enum { THREADS = 8, LOG = 64 };

static const size_t ALL = (size_t)-1;

static uv_loop_t uv;
static uv_idle_t idle; /* active while the loop is polled: libuv polls none that is not alive */
static struct aq_inbox *inbox;
static int bells;     /* calls of on_ring */
static char ran[LOG]; /* names of the posts that were run; lower case: with AQ_CLOSED */

struct note {
  struct aq_mail post;
  char name;          /* upper case */
  void (*then)(void); /* called after it was noted */
};

static struct note notes[LOG];

static void on_ring(void *ud) {
  CHECK(ud == &bells);
  bells++;
}

static void on_note(struct aq_mail *post, enum aq_status status, void *ud) {
  (void)ud;
  struct note *n = AQ_CONTAINER(post, struct note, post);
  size_t length = strlen(ran);
  CHECK(status == AQ_OK || status == AQ_CLOSED);
  if (CHECK(length + 1 < LOG)) ran[length] = (char)(n->name + (status == AQ_OK ? 0 : 'a' - 'A'));
  if (n->then != NULL) n->then();
}

static void open_inbox(void) {
  bells = 0;
  memset(ran, 0, sizeof ran);
  memset(notes, 0, sizeof notes);
  CHECK_EQ(uv_loop_init(&uv), 0);
  uv_idle_init(&uv, &idle);
  CHECK_EQ(aq_inbox_new(&inbox, &uv, on_ring, &bells), AQ_OK);
}

/* As a runtime ends: what is held elsewhere outlives the loop. */
static void close_loop(void) {
  aq_inbox_close(inbox);
  uv_close((uv_handle_t *)&idle, NULL);
  uv_run(&uv, UV_RUN_NOWAIT);
  CHECK_EQ(uv_loop_close(&uv), 0);
}

static void close_inbox(void) {
  close_loop();
  CHECK_EQ(inbox->holds, 1);
  aq_inbox_release(inbox);
}

static void on_idle(uv_idle_t *handle) { (void)handle; }

static void poll(void) {
  uv_idle_start(&idle, on_idle);
  uv_run(&uv, UV_RUN_NOWAIT);
  uv_idle_stop(&idle);
}

static enum aq_status post(char name, void (*then)(void)) {
  struct note *n = &notes[name - 'A'];
  *n = (struct note){{NULL, on_note}, name, then};
  return aq_inbox_post(inbox, &n->post);
}

static void post_all(const char *names) {
  for (; *names != '\0'; names++) CHECK_EQ(post(*names, NULL), AQ_OK);
}

/* --- posts ------------------------------------------------------------------------------------ */

TEST(posts_run_in_order) {
  open_inbox();
  post_all("ABC");
  CHECK_STR(ran, "");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "ABC");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "ABC");
  close_inbox();
}

TEST(a_drain_runs_at_most_its_limit) {
  open_inbox();
  post_all("ABCDE");
  CHECK(aq_inbox_drain(inbox, 0));
  CHECK_STR(ran, "");
  CHECK(aq_inbox_drain(inbox, 2));
  CHECK_STR(ran, "AB");
  post_all("F");
  CHECK(aq_inbox_drain(inbox, 3));
  CHECK_STR(ran, "ABCDE");
  CHECK(!aq_inbox_drain(inbox, 1));
  CHECK_STR(ran, "ABCDEF");
  CHECK(!aq_inbox_drain(inbox, 0));
  close_inbox();
}

static void post_b(void) { post_all("B"); }

TEST(a_post_from_a_post_runs_in_the_next_drain) {
  open_inbox();
  post('A', post_b);
  poll();
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "A");
  poll();
  CHECK_EQ(bells, 2);
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "AB");
  close_inbox();
}

static void post_a_again(void) { post_all("A"); }

TEST(a_post_may_be_posted_again_by_its_function) {
  open_inbox();
  post('A', post_a_again);
  post_all("B");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "ABA");
  close_inbox();
}

static void free_post(struct aq_mail *p, enum aq_status status, void *ud) {
  (void)ud;
  CHECK_EQ(status, AQ_OK);
  free(p);
}

TEST(a_post_may_be_freed_by_its_function) {
  open_inbox();
  for (int i = 0; i < 3; i++) {
    struct aq_mail *p = malloc(sizeof *p);
    if (p == NULL) abort();
    p->fn = free_post;
    CHECK_EQ(aq_inbox_post(inbox, p), AQ_OK);
  }
  CHECK(!aq_inbox_drain(inbox, ALL));
  close_inbox();
}

static void drain_one(void) { CHECK(aq_inbox_drain(inbox, 1)); }

TEST(a_drain_inside_a_post_goes_on_with_the_next) {
  open_inbox();
  post('A', drain_one);
  post_all("BC");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "ABC");
  post_all("D");
  poll();
  CHECK_EQ(bells, 1);
  close_inbox();
}

/* --- the bell --------------------------------------------------------------------------------- */

TEST(the_bell_is_rung_once_until_the_loop_drains) {
  open_inbox();
  poll();
  CHECK_EQ(bells, 0);
  post_all("ABC");
  CHECK_EQ(inbox->rings, 1);
  poll();
  poll();
  CHECK_EQ(bells, 1);
  post_all("D");
  CHECK_EQ(inbox->rings, 1);
  CHECK(!aq_inbox_drain(inbox, ALL));
  post_all("E");
  CHECK_EQ(inbox->rings, 2);
  poll();
  CHECK_EQ(bells, 2);
  close_inbox();
}

TEST(the_bell_alone_does_not_keep_the_loop_alive) {
  open_inbox();
  CHECK(!uv_loop_alive(&uv));
  post_all("A");
  CHECK(!uv_loop_alive(&uv));
  uv_run(&uv, UV_RUN_NOWAIT);
  CHECK_EQ(bells, 0);
  CHECK(aq_inbox_drain(inbox, 0));
  close_inbox();
}

TEST(the_loop_is_alive_while_the_inbox_is_kept) {
  open_inbox();
  aq_inbox_keep(inbox, 1);
  CHECK(!aq_inbox_drain(inbox, 0));
  CHECK(uv_loop_alive(&uv));
  aq_inbox_keep(inbox, 1);
  aq_inbox_keep(inbox, -1);
  CHECK_EQ(inbox->rings, 1);
  CHECK(!aq_inbox_drain(inbox, 0));
  CHECK(uv_loop_alive(&uv));
  aq_inbox_keep(inbox, -1);
  CHECK_EQ(inbox->rings, 2);
  CHECK(!aq_inbox_drain(inbox, 0));
  CHECK(!uv_loop_alive(&uv));
  close_inbox();
}

static void post_and_drop(void *arg) {
  (void)arg;
  CHECK_EQ(post('A', NULL), AQ_OK);
  aq_inbox_keep(inbox, -1);
  aq_inbox_release(inbox);
}

static void keep_no_more(void *arg) {
  (void)arg;
  aq_inbox_keep(inbox, -1);
  aq_inbox_release(inbox);
}

/* A thread is handed the inbox; the loop sleeps until it need not live any more. */
static void sleep_while_kept(uv_thread_cb body) {
  uv_thread_t thread;
  open_inbox();
  aq_inbox_hold(inbox);
  aq_inbox_keep(inbox, 1);
  aq_inbox_drain(inbox, 0);
  CHECK_EQ(uv_thread_create(&thread, body, NULL), 0);
  while (uv_loop_alive(&uv)) {
    uv_run(&uv, UV_RUN_ONCE);
    aq_inbox_drain(inbox, ALL);
  }
  uv_thread_join(&thread);
  poll();
  aq_inbox_drain(inbox, ALL);
}

TEST(a_post_of_a_thread_wakes_a_loop_that_sleeps) {
  sleep_while_kept(post_and_drop);
  CHECK_STR(ran, "A");
  close_inbox();
}

TEST(the_last_thread_that_keeps_it_wakes_the_loop_when_it_drops) {
  sleep_while_kept(keep_no_more);
  CHECK(!uv_loop_alive(&uv));
  close_inbox();
}

/* --- close ------------------------------------------------------------------------------------ */

TEST(close_runs_what_is_left_with_closed) {
  open_inbox();
  post_all("ABC");
  CHECK(aq_inbox_drain(inbox, 1));
  post_all("D");
  aq_inbox_close(inbox);
  CHECK_STR(ran, "Abcd");
  aq_inbox_close(inbox);
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "Abcd");
  close_inbox();
}

TEST(after_close_a_post_stays_its_callers) {
  open_inbox();
  aq_inbox_close(inbox);
  CHECK_EQ(post('A', NULL), AQ_CLOSED);
  close_loop();
  CHECK_EQ(post('A', NULL), AQ_CLOSED);
  aq_inbox_keep(inbox, 1);
  aq_inbox_keep(inbox, -1);
  CHECK_STR(ran, "");
  CHECK_EQ(inbox->rings, 0);
  aq_inbox_release(inbox);
}

static void close_here(void) { aq_inbox_close(inbox); }

TEST(a_post_may_close_the_inbox) {
  open_inbox();
  post_all("A");
  post('B', close_here);
  post_all("CD");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "ABcd");
  close_inbox();
}

static void close_all_here(void) {
  close_loop();
  aq_inbox_release(inbox);
}

TEST(a_post_may_close_the_loop_and_release_the_inbox) {
  open_inbox();
  post('A', close_all_here);
  post_all("B");
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_STR(ran, "Ab");
}

static void try_all(void) {
  aq_inbox_close(inbox);
  CHECK(!aq_inbox_drain(inbox, ALL));
  CHECK_EQ(post('D', NULL), AQ_CLOSED);
}

TEST(in_a_post_that_is_told_closed_nothing_more_happens) {
  open_inbox();
  post_all("A");
  post('B', try_all);
  post_all("C");
  aq_inbox_close(inbox);
  CHECK_STR(ran, "abc");
  close_inbox();
}

TEST(a_ring_that_the_loop_has_not_heard_is_forgotten_by_close) {
  open_inbox();
  post_all("A");
  close_inbox();
  CHECK_EQ(bells, 0);
  CHECK_STR(ran, "a");
}

/* --- every order ------------------------------------------------------------------------------ */

/*
** What the loop's thread does outside the lock can only be interrupted by whole posts. So, with
** choices for each place where a post may come in between, one thread goes through all that can
** happen to a loop and two producers: the way through the choices is counted up like a number.
*/
enum { CHOICES = 64 };

static struct {
  int taken[CHOICES]; /* the present way */
  int among[CHOICES]; /* how many there were to choose from */
  int length;         /* of the way to be followed; later choices are 0 */
  int place;
} way;

static int choose(int among) {
  if (among == 1 || !CHECK(way.place < CHOICES)) return 0;
  if (way.place >= way.length) way.taken[way.length++] = 0;
  way.among[way.place] = among;
  return way.taken[way.place++];
}

static bool go_next_way(void) {
  way.place = 0;
  while (way.length > 0 && ++way.taken[way.length - 1] == way.among[way.length - 1]) way.length--;
  return way.length > 0;
}

static const char *const producers[] = {"AB", "CD"};
static int nposted[2], nrefused;

static void others_post(void);

/* Some posts come now, at least `least` if there are any. */
static void posts_come(int least) {
  for (;; least--) {
    int open[2], n = 0;
    for (int i = 0; i < 2; i++)
      if (nposted[i] < 2) open[n++] = i;
    int choice = n == 0 ? 0 : choose(least > 0 ? n : n + 1);
    if (choice == n) return;
    int i = open[choice];
    if (post(producers[i][nposted[i]++], others_post) == AQ_CLOSED) nrefused++;
  }
}

static void others_post(void) { posts_come(0); }

static int place_of(char name) {
  for (int i = 0; ran[i] != '\0'; i++)
    if ((ran[i] | 0x20) == (name | 0x20)) return i;
  return -1;
}

/* The loop as a runtime drives it: drains at the turn after it was rung, and else sleeps. */
static void drive_a_while(size_t limit, bool is_closed_by_choice) {
  bool is_left = false;
  while (!is_closed_by_choice || choose(2) == 0) {
    int before = bells;
    others_post();
    poll();
    if (is_left || bells > before) {
      others_post();
      is_left = aq_inbox_drain(inbox, limit);
    } else if (nposted[0] + nposted[1] == 4) {
      return; /* asleep for ever */
    } else {
      posts_come(1);
    }
  }
}

static void drive_every_way(size_t limit, bool is_closed_by_choice) {
  int ways = 0;
  way.length = way.place = 0;
  do {
    open_inbox();
    nposted[0] = nposted[1] = nrefused = 0;
    drive_a_while(limit, is_closed_by_choice);
    if (!is_closed_by_choice) CHECK_EQ(strlen(ran), 4);
    aq_inbox_close(inbox);
    CHECK_EQ((int)strlen(ran) + nrefused, nposted[0] + nposted[1]);
    if (place_of('B') >= 0) CHECK(place_of('A') >= 0 && place_of('A') < place_of('B'));
    if (place_of('D') >= 0) CHECK(place_of('C') >= 0 && place_of('C') < place_of('D'));
    close_inbox();
    ways++;
  } while (go_next_way() && check.failures == 0);
  printf("limit %zu: %d ways\n", limit, ways);
}

TEST(no_post_is_lost_in_any_order) {
  drive_every_way(1, false);
  drive_every_way(ALL, false);
}

TEST(no_post_is_lost_or_doubled_in_any_order_with_close) { drive_every_way(1, true); }

/* --- many threads ----------------------------------------------------------------------------- */

struct parcel {
  struct aq_mail post;
  struct producer *from;
};

struct producer {
  uv_thread_t thread;
  struct parcel *parcels;
  size_t count;    /* of these */
  size_t accepted; /* its posts that were answered AQ_OK: the first ones */
  size_t run;      /* seen by the loop: those with AQ_OK */
  size_t dropped;  /* and those with AQ_CLOSED */
};

static struct producer crowd[THREADS];

static void on_parcel(struct aq_mail *p, enum aq_status status, void *ud) {
  (void)ud;
  struct parcel *parcel = AQ_CONTAINER(p, struct parcel, post);
  struct producer *from = parcel->from;
  CHECK_EQ(parcel - from->parcels, from->run + from->dropped);
  if (status == AQ_OK)
    from->run++;
  else
    from->dropped++;
}

static void produce(void *arg) {
  struct producer *p = arg;
  for (size_t i = 0; i < p->count; i++) {
    p->parcels[i] = (struct parcel){{NULL, on_parcel}, p};
    if (aq_inbox_post(inbox, &p->parcels[i].post) != AQ_OK) break;
    p->accepted++;
  }
  aq_inbox_keep(inbox, -1);
  aq_inbox_release(inbox);
}

static void start_crowd(size_t count) {
  for (int i = 0; i < THREADS; i++) {
    struct producer *p = &crowd[i];
    *p = (struct producer){.count = count, .parcels = malloc(count * sizeof *p->parcels)};
    if (p->parcels == NULL) abort();
    aq_inbox_hold(inbox);
    aq_inbox_keep(inbox, 1);
    CHECK_EQ(uv_thread_create(&p->thread, produce, p), 0);
  }
}

static void join_crowd(void) {
  for (int i = 0; i < THREADS; i++) uv_thread_join(&crowd[i].thread);
}

static void free_crowd(void) {
  for (int i = 0; i < THREADS; i++) free(crowd[i].parcels);
}

TEST(every_post_of_many_threads_runs_in_its_threads_order) {
  size_t count = chance_env("AQ_POSTS", 20000), drains = 1;
  open_inbox();
  start_crowd(count);
  for (bool is_left; (is_left = aq_inbox_drain(inbox, 256)) || uv_loop_alive(&uv); drains++)
    uv_run(&uv, is_left ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  join_crowd();
  for (int i = 0; i < THREADS; i++) CHECK_EQ(crowd[i].run, count);
  CHECK(inbox->rings <= drains);
  CHECK((size_t)bells <= inbox->rings);
  printf("%zu posts, %zu drains, %zu rings, %d wake-ups\n", THREADS * count, drains, inbox->rings,
         bells);
  close_inbox();
  free_crowd();
}

TEST(posts_of_many_threads_to_a_busy_loop_ring_once) {
  open_inbox();
  aq_inbox_keep(inbox, 1);
  start_crowd(1000);
  join_crowd();
  CHECK_EQ(inbox->rings, 1);
  aq_inbox_drain(inbox, ALL);
  for (int i = 0; i < THREADS; i++) CHECK_EQ(crowd[i].run, 1000);
  close_inbox();
  free_crowd();
}

/* The loop closes after some drains, while all post. */
static void close_among_posts(int drains) {
  open_inbox();
  start_crowd(500);
  aq_inbox_drain(inbox, 0);
  for (int i = 0; i < drains && uv_loop_alive(&uv); i++) {
    uv_run(&uv, UV_RUN_ONCE);
    aq_inbox_drain(inbox, 64);
  }
  close_loop();
  join_crowd();
  for (int i = 0; i < THREADS; i++) CHECK_EQ(crowd[i].run + crowd[i].dropped, crowd[i].accepted);
  CHECK_EQ(inbox->holds, 1);
  aq_inbox_release(inbox);
  free_crowd();
}

TEST(each_post_that_races_with_close_goes_one_way) {
  for (int i = 0; i < 100; i++) close_among_posts(i % 10);
}
