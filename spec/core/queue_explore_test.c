/*
** queue_explore_test.c - all that can happen in small programs on a queue.
**
** A program is a queue, one that drops or not, up to three producers and three consumers with one or two items each, and
** perhaps a party that joins. From each state everything is tried that can happen next:
**
**   - a party begins its next put, get or join, and does it or waits;
**   - the party that became ready first wakes;
**   - one who waits, or was woken and has not run, is cancelled, and then gives up for good;
**   - one who waits sees its deadline come (once), and goes on with its next item;
**   - an item that was got is marked done; the queue is shut down, or at once.
**
** Parties wake in the order in which they became ready, one by one, so that everything else is
** tried between any two of them, as by other tasks that run in the same turn. (In a turn deadlines
** come only after the last wake. That is one of the cases here.)
**
** After each step the queue is compared with a model; what that checks is written at check_world.
** A state that was seen before is not gone on from: parties of one sort with the same to do are
** interchangeable, and which items are inside makes no difference to the kernel.
**
** AQ_EXPLORE=n: programs with up to n puts, gets and joins in all.
*/
#include "check.h"
#include "chance.h"
#include "core/queue.h"
#include "explore.h"

enum { SIDE = 3, PARTIES = 2 * SIDE + 1, ITEMS = 2 * SIDE + 1, SIZE = 6 };

enum role { PRODUCER, CONSUMER, JOINER, ROLES };

/* Where an item is. Only ever moves to the right. */
enum place { NOWHERE, HELD, STORED, RETURNED, DISCARDED, REFUSED };

struct party {
  struct aq_waiter waiter;
  enum role role;
  uint8_t rest;      /* operations to do, the present one included */
  uint8_t item;      /* held in a put */
  uint8_t number;    /* of this wait: who waits longer has the lower number */
  bool is_cancelled; /* told so, and not yet seen by it */
  bool is_voided;    /* its ticket was voided by a shutdown */
  bool was_late;     /* its deadline came once */
};

struct program {
  uint8_t count[ROLES]; /* of parties */
  uint8_t twice[ROLES]; /* how many of these have two items */
  size_t maxsize;
  enum aq_order_kind kind;
  enum aq_overflow overflow;
};

/* Everything that a step can change. */
static struct world {
  struct aq_queue q;
  struct aq_agenda agenda;
  struct party parties[PARTIES];
  uint8_t parties_count;
  uint8_t waits;         /* begun so far */
  uint8_t items;         /* made so far */
  uint8_t served[ROLES]; /* number of the last wait served */
  uint8_t places[ITEMS];
  uint8_t stored[ITEMS]; /* numbers of the items inside, oldest first */
  uint8_t count;         /* of these */
  uint8_t unfinished;
  uint8_t undone; /* items got and not marked done */
  bool is_shutdown, was_emptied;
  struct arena arena;
} world;

static const struct program *program;
static uint64_t programs;

/* --- the model -------------------------------------------------------------------------------- */

static void move_item(uint8_t item, enum place from, enum place to) {
  CHECK_EQ(world.places[item], from);
  world.places[item] = (uint8_t)to;
}

static void model_store(uint8_t item) {
  move_item(item, HELD, STORED);
  world.stored[world.count++] = item;
  world.unfinished++;
}

/* The item that must come out now. */
static uint8_t model_take(enum place to) {
  if (!CHECK(world.count > 0)) return 0;
  uint8_t first = program->kind == AQ_LIFO ? world.count - 1 : 0;
  uint8_t item = world.stored[first];
  memmove(world.stored + first, world.stored + first + 1, --world.count - first);
  move_item(item, STORED, to);
  return item;
}

static bool is_woken(const struct party *p) {
  return p->waiter.state == AQ_READY && p->waiter.status == AQ_OK;
}

/* Who waits and who was woken, seen by looking at each party. */
struct survey {
  unsigned waiting[ROLES];
  unsigned tickets[ROLES];       /* woken with what they waited for; a void claim is none */
  unsigned last_woken[ROLES];    /* highest number among these */
  unsigned first_waiting[ROLES]; /* lowest number among those who wait */
};

static struct survey survey(void) {
  struct survey s = {.first_waiting = {255, 255, 255}};
  for (const struct party *p = world.parties; p < world.parties + world.parties_count; p++) {
    if (p->waiter.state == AQ_WAITING) {
      s.waiting[p->role]++;
      if (p->number < s.first_waiting[p->role]) s.first_waiting[p->role] = p->number;
    } else if (is_woken(p) && !(p->role == CONSUMER && p->is_voided)) {
      s.tickets[p->role]++;
      if (p->number > s.last_woken[p->role]) s.last_woken[p->role] = p->number;
    }
  }
  return s;
}

static bool item_is_free(const struct survey *s) { return world.count > s->tickets[CONSUMER]; }

static bool slot_is_free(const struct survey *s) {
  return program->maxsize == 0 || world.count + s->tickets[PRODUCER] < program->maxsize;
}

/* I4: what the model holds is inside, in order. */
static void check_items(void) {
  const struct aq_order *o = &world.q.order;
  if (!CHECK_EQ(o->count, world.count)) return;
  for (size_t i = 0; i < o->count; i++) {
    struct aq_item item = o->items[(o->head + i) & (o->capacity - 1)];
    CHECK_EQ(item.bits, world.stored[i]);
    CHECK(item.tag == ~item.bits);
  }
}

/* I1-I3: nobody waits who could be served; tickets are as many as were handed out; nobody was woken
** before one who waits longer (Q7). */
static void check_world(void) {
  const struct aq_queue *q = &world.q;
  struct survey s = survey();
  bool free_item = item_is_free(&s), free_slot = slot_is_free(&s), open = !world.is_shutdown;
  check_items();
  CHECK_EQ(q->unfinished, world.unfinished);
  CHECK_EQ(q->is_shutdown, world.is_shutdown);
  CHECK_EQ(q->claimed, s.tickets[CONSUMER]);
  CHECK_EQ(q->promised, s.tickets[PRODUCER]);
  CHECK_EQ(aq_queue_is_empty(q), !free_item);
  CHECK(!open || aq_queue_is_full(q) == !free_slot);
  CHECK(program->maxsize == 0 || world.count + s.tickets[PRODUCER] <= program->maxsize);
  CHECK(s.waiting[CONSUMER] == 0 || (!free_item && open));
  CHECK(s.waiting[PRODUCER] == 0 || (!free_slot && open));
  CHECK(s.waiting[JOINER] == 0 || world.unfinished > 0);
  for (int role = 0; role < JOINER; role++) CHECK(s.last_woken[role] < s.first_waiting[role]);
  if (check.failures == 0) aq_queue_check(q);
}

/* Nothing can happen any more: all have ended, and each item has gone exactly one way. */
static void check_end(void) {
  for (const struct party *p = world.parties; p < world.parties + world.parties_count; p++) {
    CHECK_EQ(p->waiter.state, AQ_IDLE);
    CHECK_EQ(p->rest, 0);
  }
  CHECK(aq_list_alone(&world.q.getters) && aq_list_alone(&world.q.putters));
  CHECK(aq_list_alone(&world.q.joiners) && aq_list_alone(&world.agenda.ready));
  CHECK_EQ(aq_agenda_next_deadline(&world.agenda), AQ_NEVER);
  CHECK_EQ(world.q.claimed + world.q.promised, 0);
  for (int i = 1; i <= world.items; i++) CHECK(world.places[i] >= STORED);
}

/* --- what parties do -------------------------------------------------------------------------- */

static struct aq_item item_of(uint8_t number) {
  return (struct aq_item){number, ~(uint64_t)number};
}

/* It goes on with its next item, unless it learned that there is no point. */
static void end_operation(struct party *p, enum aq_status status) {
  if (status == AQ_OK || status == AQ_TIMEDOUT)
    p->rest--;
  else
    p->rest = 0;
}

static void wait_for(struct party *p) {
  CHECK_EQ(aq_agenda_reserve(&world.agenda), AQ_OK);
  p->number = ++world.waits;
  p->is_voided = false;
  if (p->role == PRODUCER) aq_queue_put_wait(&world.q, &p->waiter, EXPLORE_FAR);
  if (p->role == CONSUMER) aq_queue_get_wait(&world.q, &p->waiter, EXPLORE_FAR);
  if (p->role == JOINER) aq_queue_join_wait(&world.q, &p->waiter, EXPLORE_FAR);
}

/* What is dropped counts as done; nobody is woken, and each claim stays good (Q23-Q25). */
static void put_dropping(uint8_t item) {
  bool drops_newest = program->overflow == AQ_DROP_NEWEST;
  struct survey before = survey();
  struct aq_item dropped = aq_queue_put_dropping(&world.q, item_of(item));
  struct survey after = survey();
  CHECK_EQ(memcmp(&before, &after, sizeof after), 0);
  CHECK_EQ(dropped.bits, drops_newest ? item : model_take(DISCARDED));
  if (drops_newest) {
    move_item(item, HELD, DISCARDED);
  } else {
    model_store(item);
    world.unfinished--;
  }
}

static void begin_put(struct party *p) {
  struct survey s = survey();
  enum aq_status expected = world.is_shutdown ? AQ_SHUTDOWN : slot_is_free(&s) ? AQ_OK : AQ_FULL;
  p->item = ++world.items;
  world.places[p->item] = HELD;
  CHECK_EQ(aq_queue_reserve(&world.q), AQ_OK);
  CHECK_EQ(aq_queue_put_now(&world.q, item_of(p->item)), expected);
  if (expected == AQ_OK) model_store(p->item);
  if (expected == AQ_SHUTDOWN) move_item(p->item, HELD, REFUSED);
  if (expected == AQ_FULL && program->overflow != AQ_PUT_WAITS) {
    put_dropping(p->item);
    expected = AQ_OK;
  }
  if (expected == AQ_FULL)
    wait_for(p);
  else
    end_operation(p, expected);
}

static void model_got(struct aq_item item) {
  CHECK_EQ(item.bits, model_take(RETURNED));
  CHECK(item.tag == ~item.bits);
  world.undone++;
}

static void begin_get(struct party *p) {
  struct survey s = survey();
  enum aq_status expected = item_is_free(&s) ? AQ_OK : world.is_shutdown ? AQ_SHUTDOWN : AQ_EMPTY;
  struct aq_item item = {0, 0};
  CHECK_EQ(aq_queue_get_now(&world.q, &item), expected);
  if (expected == AQ_OK) model_got(item);
  if (expected == AQ_EMPTY)
    wait_for(p);
  else
    end_operation(p, expected);
}

static void begin(struct party *p) {
  if (p->role == PRODUCER)
    begin_put(p);
  else if (p->role == CONSUMER)
    begin_get(p);
  else if (world.unfinished > 0)
    wait_for(p);
  else
    end_operation(p, AQ_OK);
}

static enum aq_status end_put(struct party *p, enum aq_status expected) {
  struct aq_item item = item_of(p->item);
  CHECK_EQ(aq_queue_put_end(&world.q, &p->waiter, p->is_cancelled, item), expected);
  if (expected == AQ_OK)
    model_store(p->item);
  else
    move_item(p->item, HELD, REFUSED);
  return expected;
}

/* What was free, or its own, is its to take, though a shutdown had woken it empty-handed (S3). */
static enum aq_status end_get(struct party *p, enum aq_status expected) {
  struct survey s = survey();
  struct aq_item item = {0, 0};
  if (expected == AQ_OK) CHECK(item_is_free(&s));
  if (expected == AQ_SHUTDOWN && item_is_free(&s)) expected = AQ_OK;
  CHECK_EQ(aq_queue_get_end(&world.q, &p->waiter, p->is_cancelled, &item), expected);
  if (expected == AQ_OK) model_got(item);
  return expected;
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  enum aq_status expected = w->status == AQ_OK && p->is_voided ? AQ_SHUTDOWN : w->status;
  if (p->is_cancelled) expected = AQ_CANCELLED;
  if (p->role == PRODUCER) expected = end_put(p, expected);
  if (p->role == CONSUMER) expected = end_get(p, expected);
  bool was_served = w->status == AQ_OK && !p->is_voided && !p->is_cancelled;
  p->is_cancelled = p->is_voided = false;
  end_operation(p, expected);
  if (!was_served) return;
  CHECK(p->number > world.served[p->role]);
  world.served[p->role] = p->number;
}

/* --- what else can happen --------------------------------------------------------------------- */

/* The deadline of `p`, and no other, comes. */
static void expire(struct party *p) {
  p->was_late = true;
  explore_expire(&p->waiter);
}

/* What a runtime does to cancel a task. */
static void cancel(struct party *p) {
  p->is_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

static void done(void) {
  CHECK_EQ(aq_queue_done(&world.q), AQ_OK);
  world.unfinished--;
  world.undone--;
}

/* Tickets handed out before are void: on slots (S7), and on items if these are thrown away. */
static void void_tickets(bool on_items) {
  for (struct party *p = world.parties; p < world.parties + world.parties_count; p++)
    if (is_woken(p) && (p->role == PRODUCER || (p->role == CONSUMER && on_items)))
      p->is_voided = true;
}

static void shutdown(void) {
  void_tickets(false);
  world.is_shutdown = true;
  aq_queue_shutdown(&world.q);
}

static void shutdown_now(void) {
  struct aq_item item;
  void_tickets(true);
  world.is_shutdown = world.was_emptied = true;
  while (aq_queue_discard(&world.q, &item)) {
    CHECK_EQ(item.bits, model_take(DISCARDED));
    world.unfinished--;
  }
  aq_queue_shutdown_now(&world.q);
}

/* --- choices ---------------------------------------------------------------------------------- */

enum choice { BEGIN, WAKE, CANCEL, EXPIRE, DONE, SHUTDOWN, SHUTDOWN_NOW, CHOICES };

static const char *const choice_names[CHOICES] = {
  "begins", "wakes", "is cancelled", "is late", "done", "shutdown", "shutdown_now",
};

/* Parties that cannot be told apart have the same mark, and the same choices. */
static uint32_t mark_of(const struct party *p);

static bool has_twin_before(const struct party *p) {
  for (const struct party *other = world.parties; other < p; other++)
    if (other->role == p->role && mark_of(other) == mark_of(p)) return true;
  return false;
}

static size_t list_of_party(struct step *list, size_t n, const struct party *p) {
  uint8_t i = (uint8_t)(p - world.parties);
  enum aq_waiter_state state = p->waiter.state;
  if (state == AQ_IDLE && p->rest > 0 && !has_twin_before(p)) list[n++] = (struct step){BEGIN, i};
  if (state == AQ_READY && world.agenda.ready.next == &p->waiter.link)
    list[n++] = (struct step){WAKE, i};
  if (state != AQ_IDLE && !p->is_cancelled) list[n++] = (struct step){CANCEL, i};
  if (state == AQ_WAITING && !p->was_late) list[n++] = (struct step){EXPIRE, i};
  return n;
}

/* All that can happen next. */
static size_t list_choices(struct step *list) {
  size_t n = 0;
  for (const struct party *p = world.parties; p < world.parties + world.parties_count; p++)
    n = list_of_party(list, n, p);
  if (world.undone > 0 && program->count[JOINER] > 0) list[n++] = (struct step){DONE, 0};
  if (!world.is_shutdown) list[n++] = (struct step){SHUTDOWN, 0};
  if (!world.was_emptied) list[n++] = (struct step){SHUTDOWN_NOW, 0};
  return n;
}

static void take_step(struct step s) {
  struct party *p = &world.parties[s.whose];
  switch (s.choice) {
    case BEGIN: begin(p); break;
    case WAKE: explore_turn(&world.agenda, 1); break;
    case CANCEL: cancel(p); break;
    case EXPIRE: expire(p); break;
    case DONE: done(); break;
    case SHUTDOWN: shutdown(); break;
    default: shutdown_now(); break;
  }
  check_world();
}

/* --- states ----------------------------------------------------------------------------------- */

static const struct aq_list *list_of(const struct party *p) {
  if (p->waiter.state == AQ_READY) return &world.agenda.ready;
  if (p->role == JOINER) return &world.q.joiners;
  return p->role == PRODUCER ? &world.q.putters : &world.q.getters;
}

/* All that the future depends on, in 12 bits. Two parties are never at one place of one list. */
static uint32_t mark_of(const struct party *p) {
  static const uint8_t short_status[] = {
    [AQ_OK] = 0, [AQ_SHUTDOWN] = 1, [AQ_TIMEDOUT] = 2, [AQ_CANCELLED] = 3};
  uint32_t mark = p->rest | (uint32_t)p->was_late << 2 | (uint32_t)p->waiter.state << 3;
  if (p->waiter.state == AQ_IDLE) return mark;
  uint32_t place = explore_place(list_of(p), &p->waiter.link);
  if (p->waiter.state == AQ_READY) mark |= (uint32_t)short_status[p->waiter.status] << 5;
  return mark | (uint32_t)p->is_cancelled << 7 | (uint32_t)p->is_voided << 8 | place << 9;
}

static void sort(uint32_t *marks, size_t n) {
  for (size_t i = 1; i < n; i++)
    for (size_t j = i; j > 0 && marks[j] < marks[j - 1]; j--) {
      uint32_t mark = marks[j];
      marks[j] = marks[j - 1];
      marks[j - 1] = mark;
    }
}

/* The marks of a side's parties, sorted: which of them is which makes no difference. */
static uint64_t key_of_side(enum role role) {
  uint32_t marks[SIDE];
  size_t n = 0;
  for (const struct party *p = world.parties; p < world.parties + world.parties_count; p++)
    if (p->role == role) marks[n++] = mark_of(p);
  sort(marks, n);
  uint64_t key = 0;
  for (size_t i = 0; i < n; i++) key = key << 14 | marks[i];
  return key;
}

static struct key key_of_world(void) {
  bool counts = program->count[JOINER] > 0; /* else nothing depends on what is unfinished */
  uint64_t flags = 1 | (uint64_t)world.is_shutdown << 1 | (uint64_t)world.was_emptied << 2;
  uint64_t numbers = world.count;
  if (counts) numbers |= (uint64_t)world.unfinished << 4 | (uint64_t)world.undone << 8;
  return (struct key){{flags | numbers << 3, key_of_side(PRODUCER),
                       key_of_side(CONSUMER) | key_of_side(JOINER) << 42}};
}

/* --- the search ------------------------------------------------------------------------------- */

static void print_program(void) {
  static const char *const overflows[] = {"", ", drop oldest", ", drop newest"};
  printf("maxsize %zu, %s%s", program->maxsize, program->kind == AQ_LIFO ? "lifo" : "fifo",
         overflows[program->overflow]);
  for (int role = 0; role < ROLES; role++)
    printf(", %d %s (%d of two)", program->count[role],
           role == PRODUCER   ? "putting"
           : role == CONSUMER ? "getting"
                              : "joining",
           program->twice[role]);
  printf("\n");
}

static void print_step(struct step s) {
  if (s.choice >= DONE)
    printf("  %s\n", choice_names[s.choice]);
  else
    printf("  %c%d %s\n", "PCJ"[world.parties[s.whose].role], s.whose, choice_names[s.choice]);
}

static const struct explorer all = {&world,       sizeof world, list_choices,  take_step,
                                    key_of_world, check_end,    print_program, print_step};

static void add_parties(enum role role) {
  for (int i = 0; i < program->count[role]; i++) {
    struct party *p = &world.parties[world.parties_count++];
    p->role = role;
    p->rest = i < program->twice[role] ? 2 : 1;
    aq_waiter_init(&p->waiter, &world.agenda, on_wake);
  }
}

static void open_world(void) {
  struct aq_alloc alloc = {arena_resize, &world.arena};
  memset(&world, 0, sizeof world);
  aq_agenda_init(&world.agenda, alloc);
  aq_queue_init(&world.q, program->maxsize, program->kind, alloc);
  if (program->overflow != AQ_PUT_WAITS) aq_queue_set_overflow(&world.q, program->overflow);
  add_parties(PRODUCER);
  add_parties(CONSUMER);
  add_parties(JOINER);
}

static void explore_program(const struct program *p) {
  program = p;
  programs++;
  open_world();
  explore(&all);
}

static int size_of(const struct program *p) {
  int size = 0;
  for (int role = 0; role < ROLES; role++) size += p->count[role] + p->twice[role];
  return size;
}

/* All ways to give one or two items to up to three on each side. */
static void explore_sides(struct program p, int most) {
  uint8_t *producers = &p.count[PRODUCER], *consumers = &p.count[CONSUMER];
  uint8_t *twice = p.twice;
  for (*producers = 0; *producers <= SIDE; ++*producers)
    for (*consumers = 0; *consumers <= SIDE; ++*consumers)
      for (twice[PRODUCER] = 0; twice[PRODUCER] <= *producers; twice[PRODUCER]++)
        for (twice[CONSUMER] = 0; twice[CONSUMER] <= *consumers; twice[CONSUMER]++)
          if (size_of(&p) <= most && check.failures == 0) explore_program(&p);
}

/* Of the given program's sort, with each maxsize from `least` on. */
static void explore_all(struct program p, size_t least) {
  int most = (int)chance_env("AQ_EXPLORE", SIZE);
  explored_states = explored_steps = programs = 0;
  for (p.maxsize = least; p.maxsize <= 2; p.maxsize++) explore_sides(p, most);
  printf("AQ_EXPLORE=%d: %ju programs, %ju states, %ju steps\n", most, (uintmax_t)programs,
         (uintmax_t)explored_states, (uintmax_t)explored_steps);
}

TEST(I1_I4_all_that_can_happen_fifo) { explore_all((struct program){.kind = AQ_FIFO}, 0); }
TEST(I1_I4_all_that_can_happen_lifo) { explore_all((struct program){.kind = AQ_LIFO}, 0); }

TEST(I1_I4_all_that_can_happen_with_a_join) {
  explore_all((struct program){.count = {[JOINER] = 1}}, 0);
}

TEST(Q23_Q25_all_that_can_happen_where_the_oldest_is_dropped) {
  explore_all((struct program){.count = {[JOINER] = 1}, .overflow = AQ_DROP_OLDEST}, 1);
}

TEST(Q23_Q25_all_that_can_happen_where_the_newest_is_dropped) {
  explore_all((struct program){.count = {[JOINER] = 1}, .overflow = AQ_DROP_NEWEST}, 1);
}
