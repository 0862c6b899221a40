/*
** queue_random_test.c - a million random operations on queues, against a naive model.
**
** Twelve parties put, get and join on a few small queues; they are cancelled, time out, and see
** queues shut down; a woken party may act again in its own step. After each operation:
**
**   - aq_queue_check (I1-I3), and the same rules by the model's own count: the model knows what is
**     stored, and finds claims and promises by looking at who is ready and not by counting along;
**   - each item is in one place: held by a put, stored, returned, discarded or refused (I4, Q17);
**     items leave in the queue's order (V2), and the unfinished are as many as the model says;
**   - nobody waits who could be served (no lost wake-up), nobody is served before one who has
**     waited longer (Q7, Q13), and every call ends as the model foretells;
**   - a turn wakes those who were ready when it began, each once, and nobody else (L5), and leaves
**     nobody waiting past a deadline (X7, X11).
**
** Uniform operations seldom lose a wake-up even in a broken queue; so most phases aim: getters
** wait and are cancelled in the turn that serves them, and so on (see `phases`).
**
** AQ_SEED, AQ_STEPS: another run, a longer run. AQ_TRACE=1 prints every operation.
*/
#include "check.h"
#include "chance.h"
#include "core/queue.h"
#include "memory.h"

enum { PARTIES = 12, QUEUES = 3, MOST = 64, PHASE_STEPS = 40, NO_MEMORY_ONCE_IN = 64 };

enum job { GET, PUT, JOIN, JOBS };

/* Where an item is. Only ever moves to the right. */
enum place { NOWHERE, HELD, STORED, RETURNED, DISCARDED, REFUSED };

/* A queue and what the model knows of it. */
struct shop {
  struct aq_queue q;
  size_t maxsize;
  enum aq_overflow overflow;
  bool is_lifo, is_shutdown;
  uint64_t stored[MOST + PARTIES]; /* numbers of the items inside, oldest first */
  size_t count;                    /* of them */
  size_t unfinished;
  uint64_t served[JOBS]; /* number of the last wait served in each room */
  /* Found by survey(): */
  size_t tickets[JOBS];         /* parties woken with what they waited for, and not voided */
  uint64_t last_woken[JOBS];    /* highest number among these */
  size_t waiting[JOBS];         /* parties in each room */
  uint64_t first_waiting[JOBS]; /* lowest number among these */
};

struct party {
  struct aq_waiter waiter;
  struct shop *shop;    /* where it waits; NULL: it does not */
  enum job job;         /* what it waits in */
  uint64_t item;        /* what it holds while in put */
  uint64_t number;      /* of this wait: who waits longer has the lower number */
  uint64_t deadline_ns; /* of this wait */
  bool is_cancelled;    /* told so, and not yet seen by it */
  bool is_voided;       /* its ticket was voided by a shutdown */
  bool was_ready;       /* when the turn under way began */
};

static struct memory memory;
static struct aq_agenda agenda;
static struct shop shops[QUEUES];
static struct party parties[PARTIES];
static uint8_t *places; /* of each item, an enum place */
static uint64_t items;  /* made so far */
static uint64_t waits;  /* begun so far */
static uint64_t step;   /* operations so far */
static uint64_t steps;  /* to be done */
static uint64_t random_state;
static bool in_turn, is_traced;

static unsigned below(unsigned n) { return chance_below(&random_state, n); }

#define TRACE(...) (is_traced ? (void)printf(__VA_ARGS__) : (void)0)

static int shop_number(const struct shop *s) { return (int)(s - shops); }
static int party_number(const struct party *p) { return (int)(p - parties); }

/* --- the model -------------------------------------------------------------------------------- */

static void move_item(uint64_t item, enum place from, enum place to) {
  CHECK_EQ(places[item], from);
  places[item] = (uint8_t)to;
}

static void model_store(struct shop *s, uint64_t item) {
  move_item(item, HELD, STORED);
  s->stored[s->count++] = item;
  s->unfinished++;
}

/* The item that must come out now. */
static uint64_t model_take(struct shop *s, enum place to) {
  if (!CHECK(s->count > 0)) return 0;
  uint64_t item = s->is_lifo ? s->stored[s->count - 1] : s->stored[0];
  s->count--;
  if (!s->is_lifo) memmove(s->stored, s->stored + 1, s->count * sizeof s->stored[0]);
  move_item(item, STORED, to);
  return item;
}

/* A claim that a shutdown has voided is none; a void promise is given back when its party runs. */
static bool has_ticket(const struct party *p) {
  bool was_given = p->waiter.state == AQ_READY && p->waiter.status == AQ_OK;
  return was_given && !(p->is_voided && p->job == GET);
}

/* Counts who waits and who holds a ticket, by looking at each party. */
static void survey(struct shop *s) {
  for (int j = 0; j < JOBS; j++) {
    s->tickets[j] = s->waiting[j] = 0;
    s->last_woken[j] = 0;
    s->first_waiting[j] = UINT64_MAX;
  }
  for (struct party *p = parties; p < parties + PARTIES; p++) {
    if (p->shop != s) continue;
    if (p->waiter.state == AQ_WAITING) {
      s->waiting[p->job]++;
      if (p->number < s->first_waiting[p->job]) s->first_waiting[p->job] = p->number;
    } else if (has_ticket(p)) {
      s->tickets[p->job]++;
      if (p->number > s->last_woken[p->job]) s->last_woken[p->job] = p->number;
    }
  }
}

static bool item_is_free(struct shop *s) {
  survey(s);
  return s->count > s->tickets[GET];
}

static bool slot_is_free(struct shop *s) {
  survey(s);
  return s->maxsize == 0 || s->count + s->tickets[PUT] < s->maxsize;
}

static void check_shop(struct shop *s) {
  aq_queue_check(&s->q);
  bool free_item = item_is_free(s), free_slot = slot_is_free(s);
  CHECK_EQ(aq_queue_size(&s->q), s->count);
  CHECK_EQ(s->q.unfinished, s->unfinished);
  CHECK_EQ(s->q.is_shutdown, s->is_shutdown);
  CHECK_EQ(s->q.claimed, s->tickets[GET]);
  CHECK_EQ(s->q.promised, s->tickets[PUT]);
  CHECK_EQ(aq_queue_is_empty(&s->q), !free_item);
  CHECK_EQ(aq_queue_is_full(&s->q), !free_slot);
  CHECK(s->maxsize == 0 || s->count + s->tickets[PUT] <= s->maxsize);
  CHECK(s->waiting[GET] == 0 || (!free_item && !s->is_shutdown));
  CHECK(s->waiting[PUT] == 0 || (!free_slot && !s->is_shutdown));
  CHECK(s->waiting[JOIN] == 0 || s->unfinished > 0);
  for (int j = 0; j < JOBS; j++) CHECK(s->last_woken[j] < s->first_waiting[j]);
}

/* A party is idle, or in a wait that is still going to end. */
static void check_parties(void) {
  for (struct party *p = parties; p < parties + PARTIES; p++)
    CHECK_EQ(p->shop == NULL, p->waiter.state == AQ_IDLE);
}

static void check_world(void) {
  for (int i = 0; i < QUEUES; i++) check_shop(&shops[i]);
  check_parties();
}

/* --- operations of a party -------------------------------------------------------------------- */

/* Half the waits have a deadline, a near one, now and then in this very turn. */
static void wait_for(struct party *p, struct shop *s, enum job job) {
  p->deadline_ns = below(2) ? AQ_NEVER : agenda.now_ns + below(4);
  if (p->deadline_ns != AQ_NEVER && aq_agenda_reserve(&agenda) != AQ_OK) p->deadline_ns = AQ_NEVER;
  p->shop = s;
  p->job = job;
  p->number = ++waits;
  p->is_voided = false;
  TRACE("  party %d waits\n", party_number(p));
  if (job == GET) aq_queue_get_wait(&s->q, &p->waiter, p->deadline_ns);
  if (job == PUT) aq_queue_put_wait(&s->q, &p->waiter, p->deadline_ns);
  if (job == JOIN) aq_queue_join_wait(&s->q, &p->waiter, p->deadline_ns);
}

/* What is dropped counts as done; the tickets stay as they are. Allocates nothing. */
static void put_dropping(struct shop *s, uint64_t item) {
  uint64_t dropped = item;
  memory.fails = true;
  struct aq_item got = aq_queue_put_dropping(&s->q, (struct aq_item){item, ~item});
  memory.fails = false;
  TRACE("  drops\n");
  if (s->overflow == AQ_DROP_NEWEST) {
    move_item(item, HELD, DISCARDED);
  } else {
    dropped = model_take(s, DISCARDED);
    if (s->unfinished > 0) s->unfinished--;
    model_store(s, item);
  }
  CHECK_EQ(got.bits, dropped);
  CHECK(got.tag == ~got.bits);
}

/* `p` NULL: the nowait form. */
static void put(struct party *p, struct shop *s) {
  if (s->count >= MOST) return;
  memory.fails = below(NO_MEMORY_ONCE_IN) == 0;
  enum aq_status reserved = aq_queue_reserve(&s->q);
  memory.fails = false;
  if (reserved != AQ_OK) return;
  enum aq_status expected = s->is_shutdown ? AQ_SHUTDOWN : slot_is_free(s) ? AQ_OK : AQ_FULL;
  uint64_t item = ++items;
  places[item] = HELD;
  CHECK_EQ(aq_queue_put_now(&s->q, (struct aq_item){item, ~item}), expected);
  if (expected == AQ_OK) {
    model_store(s, item);
  } else if (expected == AQ_FULL && s->overflow != AQ_PUT_WAITS) {
    put_dropping(s, item);
  } else if (expected == AQ_FULL && p != NULL) {
    p->item = item;
    wait_for(p, s, PUT);
  } else {
    move_item(item, HELD, REFUSED);
  }
}

static void check_got(struct aq_item got, uint64_t expected) {
  CHECK_EQ(got.bits, expected);
  CHECK(got.tag == ~got.bits);
}

static void get(struct party *p, struct shop *s) {
  struct aq_item item = {0, 0};
  enum aq_status expected = item_is_free(s) ? AQ_OK : s->is_shutdown ? AQ_SHUTDOWN : AQ_EMPTY;
  CHECK_EQ(aq_queue_get_now(&s->q, &item), expected);
  if (expected == AQ_OK)
    check_got(item, model_take(s, RETURNED));
  else if (expected == AQ_EMPTY && p != NULL)
    wait_for(p, s, GET);
}

static void join(struct party *p, struct shop *s) {
  if (s->unfinished > 0) wait_for(p, s, JOIN);
}

/* Mostly for an item that was got; a call too many is an error, or steals a completion (J9). */
static void done(struct shop *s) {
  if (s->unfinished <= s->count && below(16) > 0) return;
  CHECK_EQ(aq_queue_done(&s->q), s->unfinished > 0 ? AQ_OK : AQ_OVERDONE);
  if (s->unfinished > 0) s->unfinished--;
}

static void end_get(struct party *p, struct shop *s, bool cancelled) {
  struct aq_item item = {0, 0};
  bool free_item = item_is_free(s); /* its own ticket counts as free: it is no longer ready */
  enum aq_status expected = p->waiter.status;
  if (expected == AQ_OK && p->is_voided) expected = AQ_SHUTDOWN;
  if (expected == AQ_OK) CHECK(free_item);
  if (expected == AQ_SHUTDOWN && free_item) expected = AQ_OK;
  if (cancelled) expected = AQ_CANCELLED;
  CHECK_EQ(aq_queue_get_end(&s->q, &p->waiter, cancelled, &item), expected);
  if (expected == AQ_OK) check_got(item, model_take(s, RETURNED));
}

static void end_put(struct party *p, struct shop *s, bool cancelled) {
  enum aq_status expected = p->waiter.status;
  if (expected == AQ_OK && p->is_voided) expected = AQ_SHUTDOWN;
  if (cancelled) expected = AQ_CANCELLED;
  struct aq_item item = {p->item, ~p->item};
  CHECK_EQ(aq_queue_put_end(&s->q, &p->waiter, cancelled, item), expected);
  if (expected == AQ_OK)
    model_store(s, p->item);
  else
    move_item(p->item, HELD, REFUSED);
}

static void act_in_wake(struct party *p);

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  struct shop *s = p->shop;
  bool cancelled = p->is_cancelled;
  TRACE("  party %d wakes: %s%s\n", party_number(p), aq_status_text(w->status),
        cancelled ? ", cancelled" : "");
  if (!CHECK(in_turn && p->was_ready && s != NULL)) return;
  CHECK(w->status != AQ_TIMEDOUT || p->deadline_ns <= agenda.now_ns);
  p->shop = NULL;
  p->is_cancelled = p->was_ready = false;
  bool served = w->status == AQ_OK && !p->is_voided && !cancelled;
  if (p->job == GET) end_get(p, s, cancelled);
  if (p->job == PUT) end_put(p, s, cancelled);
  if (served) {
    CHECK(p->number > s->served[p->job]);
    s->served[p->job] = p->number;
  }
  check_world();
  if (below(2) == 0) act_in_wake(p);
}

/* --- operations from outside ------------------------------------------------------------------ */

/* A cancelled waiter is aborted; a woken one will see the cancel at its step. */
static void cancel(struct party *p) {
  p->is_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

/* A party that is closed while it waits, as at the end of a program. */
static void drop(struct party *p) {
  if (p->waiter.state != AQ_WAITING) return;
  aq_waiter_drop(&p->waiter);
  if (p->job == PUT) move_item(p->item, HELD, REFUSED);
  p->shop = NULL;
}

/* The tickets of this job are void from now on. */
static void void_tickets(struct shop *s, enum job job) {
  for (struct party *p = parties; p < parties + PARTIES; p++)
    if (p->shop == s && p->job == job && has_ticket(p)) p->is_voided = true;
}

static void shutdown(struct shop *s) {
  void_tickets(s, PUT);
  s->is_shutdown = true;
  aq_queue_shutdown(&s->q);
}

static void shutdown_now(struct shop *s) {
  struct aq_item item;
  void_tickets(s, GET);
  void_tickets(s, PUT);
  s->is_shutdown = true;
  while (aq_queue_discard(&s->q, &item)) {
    check_got(item, model_take(s, DISCARDED));
    if (s->unfinished > 0) s->unfinished--;
  }
  aq_queue_shutdown_now(&s->q);
}

static void turn(void) {
  uint64_t due[PARTIES];
  for (int i = 0; i < PARTIES; i++) {
    struct party *p = &parties[i];
    bool waits_past = p->waiter.state == AQ_WAITING && p->deadline_ns <= agenda.now_ns;
    p->was_ready = p->waiter.state == AQ_READY;
    due[i] = waits_past || p->was_ready ? p->number : 0;
  }
  in_turn = true;
  aq_agenda_turn(&agenda);
  in_turn = false;
  for (int i = 0; i < PARTIES; i++) {
    struct party *p = &parties[i];
    CHECK(!p->was_ready);
    if (due[i] != 0 && due[i] == p->number) CHECK(p->waiter.state != AQ_WAITING);
  }
}

static void open_shop(struct shop *s) {
  *s = (struct shop){.maxsize = below(4), .is_lifo = below(2)};
  aq_queue_init(&s->q, s->maxsize, s->is_lifo ? AQ_LIFO : AQ_FIFO, memory_alloc(&memory));
  if (s->maxsize == 0 || s->is_lifo || below(2)) return;
  s->overflow = below(3) > 0 ? AQ_DROP_OLDEST : AQ_DROP_NEWEST;
  aq_queue_set_overflow(&s->q, s->overflow);
}

/* A queue that is shut down, drained and left by all is replaced by a new one. */
static void reopen(struct shop *s) {
  if (!s->is_shutdown || s->count > 0) return;
  for (struct party *p = parties; p < parties + PARTIES; p++)
    if (p->shop == s) return;
  aq_queue_free(&s->q);
  open_shop(s);
}

/* --- which operation is next ------------------------------------------------------------------ */

enum op {
  OP_PUT,
  OP_GET,
  OP_JOIN,
  OP_PUT_NOW,
  OP_GET_NOW,
  OP_DONE,
  OP_CANCEL,       /* anybody who waits */
  OP_CANCEL_READY, /* somebody woken who has not run yet */
  OP_DROP,
  OP_SHUTDOWN,
  OP_SHUTDOWN_NOW,
  OP_REOPEN,
  OP_TIME,
  OP_TURN,
  OPS
};

static const char *const op_names[OPS] = {
  "put",          "get",  "join",     "put_now",      "get_now", "done", "cancel",
  "cancel_ready", "drop", "shutdown", "shutdown_now", "reopen",  "time", "turn"};

/* How often each operation comes, in the order of enum op. */
static const unsigned char phases[][OPS] = {
  {10, 10, 4, 6, 6, 8, 3, 3, 1, 1, 1, 3, 3, 10}, /* anything */
  {0, 24, 1, 14, 1, 1, 2, 14, 0, 0, 0, 1, 1, 9}, /* getters cancelled when just served */
  {24, 0, 1, 1, 14, 1, 2, 14, 0, 0, 0, 1, 1, 9}, /* putters cancelled when just served */
  {14, 14, 4, 9, 9, 2, 1, 1, 1, 0, 0, 1, 12, 9}, /* deadlines against items and slots */
  {10, 14, 4, 9, 9, 4, 1, 8, 1, 3, 3, 6, 1, 9},  /* shutdown against tickets */
  {4, 4, 14, 9, 14, 20, 4, 4, 1, 0, 1, 1, 3, 9}, /* joiners */
  {9, 9, 0, 9, 9, 9, 0, 0, 0, 0, 0, 1, 0, 9},    /* nobody is broken off: only order matters */
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static const unsigned char *phase; /* the row in force */
static struct shop *focus;         /* the queue that most operations are about */

static enum op choose_op(void) {
  unsigned sum = 0, i = 0;
  for (unsigned o = 0; o < OPS; o++) sum += phase[o];
  for (unsigned left = below(sum); left >= phase[i]; i++) left -= phase[i];
  return (enum op)i;
}

/* Some party that is in this state (and in `focus`, most of the time), or NULL. */
static struct party *find_party(enum aq_waiter_state state) {
  unsigned first = below(PARTIES);
  for (unsigned i = 0; i < PARTIES; i++) {
    struct party *p = &parties[(first + i) % PARTIES];
    if (p->waiter.state == state && (state == AQ_IDLE || p->shop == focus || below(4) == 0))
      return p;
  }
  return NULL;
}

static void break_off(enum op op) {
  bool of_ready = op == OP_CANCEL_READY || (op == OP_CANCEL && below(2));
  struct party *p = find_party(of_ready ? AQ_READY : AQ_WAITING);
  if (p == NULL) return;
  TRACE("  party %d of queue %d\n", party_number(p), shop_number(p->shop));
  if (op == OP_DROP)
    drop(p);
  else
    cancel(p);
}

/* One operation; `p`, idle, is who puts, gets or joins. */
static void operate(enum op op, struct party *p, struct shop *s) {
  step++;
  TRACE("%ju: %s%s, queue %d\n", (uintmax_t)step, in_turn ? "  in its wake: " : "", op_names[op],
        shop_number(s));
  switch (op) {
    case OP_PUT: put(p, s); break;
    case OP_GET: get(p, s); break;
    case OP_JOIN:
      if (p != NULL) join(p, s);
      break;
    case OP_PUT_NOW: put(NULL, s); break;
    case OP_GET_NOW: get(NULL, s); break;
    case OP_DONE: done(s); break;
    case OP_SHUTDOWN: shutdown(s); break;
    case OP_SHUTDOWN_NOW: shutdown_now(s); break;
    case OP_REOPEN: reopen(s); break;
    case OP_TIME: agenda.now_ns += in_turn ? 0 : 1 + below(3); break;
    case OP_TURN:
      if (!in_turn) turn();
      break;
    default: break_off(op); break;
  }
  check_world();
}

static struct shop *choose_shop(void) { return below(4) > 0 ? focus : &shops[below(QUEUES)]; }

static void act_in_wake(struct party *p) {
  if (step < steps && p->shop == NULL) operate(choose_op(), p, choose_shop());
}

static void begin_phase(void) {
  phase = phases[below(PHASES)];
  focus = &shops[below(QUEUES)];
}

/* --- a run ------------------------------------------------------------------------------------ */

static void open_world(void) {
  memory = (struct memory){0};
  items = waits = step = 0;
  in_turn = false;
  places = calloc(steps + 2, 1);
  aq_agenda_init(&agenda, memory_alloc(&memory));
  for (int i = 0; i < QUEUES; i++) open_shop(&shops[i]);
  for (int i = 0; i < PARTIES; i++) {
    parties[i] = (struct party){0};
    aq_waiter_init(&parties[i].waiter, &agenda, on_wake);
  }
}

/* Everything comes to an end, and then each item has gone exactly one way. */
static void close_world(void) {
  for (int i = 0; i < QUEUES; i++) shutdown_now(&shops[i]);
  for (struct party *p = parties; p < parties + PARTIES; p++)
    if (p->waiter.state == AQ_WAITING)
      cancel(p); /* a joiner: what it waits for may never be done */
  for (int i = 0; i < 10; i++) turn();
  CHECK(!aq_agenda_has_ready(&agenda));
  CHECK_EQ(aq_agenda_next_deadline(&agenda), AQ_NEVER);
  for (struct party *p = parties; p < parties + PARTIES; p++) CHECK_EQ(p->waiter.state, AQ_IDLE);
  for (uint64_t i = 1; i <= items; i++) CHECK(places[i] >= RETURNED);
}

static void free_world(void) {
  for (int i = 0; i < QUEUES; i++) aq_queue_free(&shops[i].q);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
  free(places);
}

TEST(I1_I4_random_operations_against_a_model) {
  uint64_t seed = random_state = chance_env("AQ_SEED", 1);
  steps = chance_env("AQ_STEPS", 1000000);
  is_traced = chance_env("AQ_TRACE", 0) != 0;
  printf("AQ_SEED=%ju AQ_STEPS=%ju\n", (uintmax_t)seed, (uintmax_t)steps);
  open_world();
  if (!CHECK(places != NULL)) return;
  for (uint64_t phase_end = 0; step < steps && check.failures == 0;) {
    if (step >= phase_end) {
      begin_phase();
      phase_end = step + PHASE_STEPS;
    }
    operate(choose_op(), find_party(AQ_IDLE), choose_shop());
  }
  if (check.failures == 0) {
    step = steps; /* nobody acts in its wake any more */
    close_world();
  } else {
    printf("stopped after step %ju; AQ_TRACE=1 AQ_STEPS=%ju shows the way there\n", (uintmax_t)step,
           (uintmax_t)step);
  }
  free_world();
}
