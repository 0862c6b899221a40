/*
** inbox_explore_test.c - all that can happen between two producers and a loop, step by step.
**
** Not the inbox itself but a model of it, which can be interrupted inside its critical sections.
** (inbox_test.c does the same with the inbox, from one critical section to the next.) Two producers make two posts each. The loop polls,
** takes what was posted, runs it, some at a time, and polls again: where the bell was not rung, it
** sleeps. It may be closed before a poll or inside a post.
**
** Where nothing can happen any more, each post must have gone one way: run, or refused. A loop that
** sleeps then, with a post left, has lost a wake. A bell that is closed may not be rung, and each
** producer's posts must run in their order.
**
** That the search would find such errors is shown by two mutants, in which it must.
*/
#include "check.h"
#include "explore.h"

enum { PRODUCERS = 2, EACH = 2, POSTS = PRODUCERS * EACH };

enum mutant {
  NONE,
  FORGETS_LATE, /* the loop forgets the ring after it has run the posts, not when it takes them */
  RINGS_LATE,   /* a producer rings after it has released the lock */
};

/* Where a producer is: what it does next. */
enum { P_LOCK, P_PUSH, P_MARK, P_UNLOCK_FIRST, P_RING, P_UNLOCK, P_DONE };

/* Where the loop is. */
enum {
  L_POLL,
  L_LOCK,
  L_TAKE,
  L_FORGET,
  L_UNLOCK,
  L_RUN,
  L_LOCK_LATE,
  L_FORGET_LATE,
  L_CLOSE,
  L_CLOSE_UNLOCK,
  L_CLOSE_BELL,
  L_DROP,
  L_ENDED
};

enum fate { NOT_YET, POSTED, RUN, DROPPED, REFUSED };

struct producer {
  uint8_t at;
  uint8_t made; /* posts that it is through with */
};

/* Everything that a step can change, in bytes: it is its own key. Posts have numbers from 1 on. */
static struct world {
  uint8_t lock; /* 0: free; the loop, or a producer */
  uint8_t loop; /* where it is */
  uint8_t ran;  /* posts run since the last drain began */
  uint8_t was_rung, is_closed;
  uint8_t bell_is_rung, bell_is_closed;
  uint8_t posted[POSTS], taken[POSTS]; /* 0: the list has ended */
  uint8_t fates[POSTS];
  struct producer producers[PRODUCERS];
} world;

enum { FREE, LOOP, FIRST_PRODUCER };

static struct {
  enum mutant mutant;
  uint8_t limit; /* of a drain */
  bool closes;   /* the loop may be closed */
} program;

static bool found; /* a mutant's error */

/* What must hold; the search ends where a mutant breaks it. */
static void must(bool holds) {
  if (program.mutant == NONE)
    CHECK(holds);
  else if (!holds)
    found = true;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void push(uint8_t *list, uint8_t post) {
  while (*list != 0) list++;
  *list = post;
}

static uint8_t pop(uint8_t *list) {
  uint8_t post = list[0];
  memmove(list, list + 1, POSTS - 1);
  list[POSTS - 1] = 0;
  return post;
}

static void move(uint8_t *from, uint8_t *to) {
  while (*from != 0) push(to, pop(from));
}

/* A post goes on its way, and no second time. */
static void change_fate(uint8_t post, enum fate before, enum fate after) {
  must(world.fates[post - 1] == before);
  world.fates[post - 1] = (uint8_t)after;
}

/* --- a producer ------------------------------------------------------------------------------- */

static void ring_bell(void) {
  must(!world.bell_is_closed);
  world.bell_is_rung = 1;
}

static void end_call(struct producer *p) { p->at = ++p->made < EACH ? P_LOCK : P_DONE; }

static void push_post(struct producer *p, uint8_t post) {
  change_fate(post, NOT_YET, world.is_closed ? REFUSED : POSTED);
  if (!world.is_closed) push(world.posted, post);
  p->at = world.is_closed || world.was_rung ? P_UNLOCK : P_MARK;
}

static void produce(uint8_t i) {
  struct producer *p = &world.producers[i];
  switch (p->at) {
    case P_LOCK:
      world.lock = FIRST_PRODUCER + i;
      p->at = P_PUSH;
      break;
    case P_PUSH: push_post(p, i * EACH + p->made + 1); break;
    case P_MARK:
      world.was_rung = 1;
      p->at = program.mutant == RINGS_LATE ? P_UNLOCK_FIRST : P_RING;
      break;
    case P_UNLOCK_FIRST:
      world.lock = FREE;
      p->at = P_RING;
      break;
    case P_RING:
      ring_bell();
      if (program.mutant == RINGS_LATE)
        end_call(p);
      else
        p->at = P_UNLOCK;
      break;
    default:
      world.lock = FREE;
      end_call(p);
      break;
  }
}

/* --- the loop --------------------------------------------------------------------------------- */

/* What is left over is drained at the next turn, without a bell. */
static void end_drain(void) { world.loop = world.taken[0] != 0 ? L_LOCK : L_POLL; }

/* The first post that was taken is called, after the earlier one of its producer. */
static void call_first(enum fate fate) {
  uint8_t post = pop(world.taken);
  bool is_second = post % EACH == 0;
  if (is_second) must(world.fates[post - 2] > POSTED);
  change_fate(post, POSTED, fate);
}

static void run_one(void) {
  if (world.taken[0] != 0 && world.ran < program.limit) {
    call_first(RUN);
    world.ran++;
  } else if (program.mutant == FORGETS_LATE) {
    world.loop = L_LOCK_LATE;
  } else {
    end_drain();
  }
}

static void drop_one(void) {
  if (world.taken[0] != 0)
    call_first(DROPPED);
  else
    world.loop = L_ENDED;
}

static void lock_for(uint8_t next) {
  world.lock = LOOP;
  world.loop = next;
}

static void unlock_for(uint8_t next) {
  world.lock = FREE;
  world.loop = next;
}

static void go_on(void) {
  switch (world.loop) {
    case L_POLL:
      world.bell_is_rung = 0;
      world.loop = L_LOCK;
      break;
    case L_LOCK:
      world.ran = 0;
      lock_for(L_TAKE);
      break;
    case L_TAKE:
      move(world.posted, world.taken);
      world.loop = program.mutant == FORGETS_LATE ? L_UNLOCK : L_FORGET;
      break;
    case L_FORGET:
      world.was_rung = 0;
      world.loop = L_UNLOCK;
      break;
    case L_UNLOCK: unlock_for(L_RUN); break;
    case L_RUN: run_one(); break;
    case L_LOCK_LATE: lock_for(L_FORGET_LATE); break;
    case L_FORGET_LATE:
      world.was_rung = 0;
      world.lock = FREE;
      end_drain();
      break;
    case L_CLOSE:
      world.is_closed = 1;
      move(world.posted, world.taken);
      world.loop = L_CLOSE_UNLOCK;
      break;
    case L_CLOSE_UNLOCK: unlock_for(L_CLOSE_BELL); break;
    case L_CLOSE_BELL:
      world.bell_is_closed = 1;
      world.loop = L_DROP;
      break;
    default: drop_one(); break;
  }
}

/* --- choices ---------------------------------------------------------------------------------- */

enum { PRODUCE, GO_ON, CLOSE };

static size_t list_choices(struct step *list) {
  size_t n = 0;
  if (found) return 0;
  for (uint8_t i = 0; i < PRODUCERS; i++) {
    uint8_t at = world.producers[i].at;
    if (at != P_DONE && (at != P_LOCK || world.lock == FREE)) list[n++] = (struct step){PRODUCE, i};
  }
  uint8_t at = world.loop;
  bool is_asleep = at == L_POLL && !world.bell_is_rung;
  bool is_kept_out = (at == L_LOCK || at == L_LOCK_LATE) && world.lock != FREE;
  if (at != L_ENDED && !is_asleep && !is_kept_out) list[n++] = (struct step){GO_ON, 0};
  if (program.closes && (at == L_POLL || at == L_RUN) && world.lock == FREE)
    list[n++] = (struct step){CLOSE, 0};
  return n;
}

static void take_step(struct step s) {
  if (s.choice == PRODUCE)
    produce(s.whose);
  else if (s.choice == GO_ON)
    go_on();
  else
    lock_for(L_CLOSE);
}

static struct key key_of_world(void) {
  struct key k = {{1}};
  _Static_assert(sizeof world < sizeof k, "the world is its own key");
  memcpy((char *)&k + 1, &world, sizeof world);
  return k;
}

/* Nothing can happen any more: no call is stuck, and no post is where nobody will find it. */
static void check_end(void) {
  if (found) return;
  for (int i = 0; i < PRODUCERS; i++) must(world.producers[i].at == P_DONE);
  for (int i = 0; i < POSTS; i++) must(world.fates[i] > POSTED);
  must(world.loop == L_POLL || world.loop == L_ENDED);
}

static void print_program(void) {
  printf("drains of %d%s\n", program.limit, program.closes ? ", may be closed" : "");
}

static void print_step(struct step s) {
  static const char *const names[] = {"producer goes on", "loop goes on", "loop is to be closed"};
  printf("  %d %s\n", s.whose, names[s.choice]);
}

/* --- programs --------------------------------------------------------------------------------- */

static const struct explorer all = {&world,       sizeof world, list_choices,  take_step,
                                    key_of_world, check_end,    print_program, print_step};

static void explore_inbox(enum mutant mutant, uint8_t limit, bool closes) {
  program.mutant = mutant;
  program.limit = limit;
  program.closes = closes;
  found = false;
  memset(&world, 0, sizeof world);
  explored_states = explored_steps = 0;
  explore(&all);
  printf("drains of %d: %ju states, %ju steps\n", limit, (uintmax_t)explored_states,
         (uintmax_t)explored_steps);
}

TEST(no_wake_is_lost_between_a_drain_and_sleep) {
  for (uint8_t limit = 1; limit <= POSTS; limit++) explore_inbox(NONE, limit, false);
}

TEST(each_post_goes_one_way_when_the_loop_closes) {
  for (uint8_t limit = 1; limit <= POSTS; limit++) explore_inbox(NONE, limit, true);
}

TEST(a_ring_forgotten_after_the_posts_have_run_would_lose_a_wake) {
  explore_inbox(FORGETS_LATE, POSTS, false);
  CHECK(found);
}

TEST(a_ring_after_the_lock_is_released_would_meet_a_closed_bell) {
  explore_inbox(RINGS_LATE, POSTS, true);
  CHECK(found);
  explore_inbox(RINGS_LATE, POSTS, false);
  CHECK(!found);
}
