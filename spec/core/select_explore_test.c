/*
** select_explore_test.c - all that can happen in small programs that select over two queues.
**
** A program is two queues, A and B, each empty or full, and a few parties. Each has one to three
** branches: to get from A or B, to put into it, to join it. With one it waits as anybody does, with
** several it selects. From each state everything is tried that can happen next:
**
**   - a party begins: the first of its branches that can be done is done; else they enter, one by
**     one, and anything may happen before the next one does, as in a finalizer. One that finds that
**     it need not wait takes them all back;
**   - the party that became ready first wakes;
**   - one that waits, enters, or was woken and has not run, is cancelled, or ended by force;
**   - one that waits sees its deadline come (once);
**   - an item that was got is marked done; a queue is shut down, or at once.
**
** After each step both queues are compared with a model, as in queue_explore_test.c; what that
** checks is written at check_queue and check_party.
**
** AQ_EXPLORE=n: programs of up to n parties.
*/
#include "chance.h"
#include "check.h"
#include "core/queue.h"
#include "core/select.h"
#include "explore.h"

enum { QUEUES = 2, BRANCHES = 3, PARTIES = 5, ITEMS = 32, SIZE = 4 };

enum kind { GET, PUT, JOIN, KINDS };

/* Where an item is. Only ever moves to the right. */
enum place { NOWHERE, HELD, STORED, RETURNED, DISCARDED, REFUSED };

/* One thing that a party waits for, and what it is in a program. */
struct want {
  uint8_t kind;
  uint8_t queue; /* 0: A, 1: B */
};

struct role {
  const char *name;
  uint8_t count; /* of its branches */
  struct want wants[BRANCHES];
};

struct party {
  struct aq_waiter waiter;
  struct aq_select select;
  struct aq_branch branches[BRANCHES];
  const struct role *role;
  uint8_t items[BRANCHES];   /* held by those that put; 0: none */
  uint8_t numbers[BRANCHES]; /* of these waits: who waits longer has the lower number */
  uint8_t nadded;            /* branches in the select */
  bool enters;               /* has a branch added that has not entered */
  bool is_in_step;           /* what it was woken with is no ticket any more */
  bool has_ended;
  bool is_cancelled; /* told so, and not yet seen by it */
  bool is_voided;    /* its ticket was voided by a shutdown */
  bool was_late;     /* its deadline came */
};

/* A queue and what it should be. */
struct pair {
  struct aq_queue q;
  uint8_t stored[ITEMS]; /* numbers of the items inside, oldest first */
  uint8_t count;         /* of these */
  uint8_t unfinished;
  uint8_t undone; /* items got and not marked done */
  bool is_joined; /* somebody may join it */
  bool is_shutdown, was_emptied;
};

struct program {
  const struct role *roles[PARTIES];
  uint8_t count;        /* of these */
  uint8_t full;         /* bit 0: A is full at first; bit 1: B */
  bool is_never_closed; /* no queue is shut down */
};

/* Everything that a step can change. */
static struct world {
  struct aq_agenda agenda;
  struct pair pairs[QUEUES];
  struct party parties[PARTIES];
  uint8_t waits; /* begun so far */
  uint8_t items; /* made so far */
  uint8_t places[ITEMS];
  struct arena arena;
} world;

static const struct program *program;
static uint64_t programs;

#define EACH_PARTY(p) (struct party *p = world.parties; p < world.parties + program->count; p++)

/* --- the model -------------------------------------------------------------------------------- */

static bool selects(const struct party *p) { return p->role->count > 1; }

static struct pair *pair_of(const struct party *p, int i) {
  return &world.pairs[p->role->wants[i].queue];
}

static struct aq_waiter *waiter_of(struct party *p, int i) {
  return selects(p) ? &p->branches[i].waiter : &p->waiter;
}

/* The branch of a select that is elected, or -1. */
static int elected(const struct party *p) {
  return p->select.chosen == NULL ? -1 : (int)(p->select.chosen - p->branches);
}

/* Whether branch `i` was settled with what it waited for: it owns a ticket, void or not. */
static bool is_woken(struct party *p, int i) {
  const struct aq_waiter *w = waiter_of(p, i);
  if (p->is_in_step || w->status != AQ_OK) return false;
  return selects(p) ? elected(p) == i : w->state == AQ_READY;
}

static void move_item(uint8_t item, enum place from, enum place to) {
  CHECK_EQ(world.places[item], from);
  world.places[item] = (uint8_t)to;
}

static uint8_t new_item(enum place place) {
  if (!CHECK(world.items + 1 < ITEMS)) abort();
  world.places[++world.items] = (uint8_t)place;
  return world.items;
}

static struct aq_item item_of(uint8_t number) {
  return (struct aq_item){number, ~(uint64_t)number};
}

static void model_store(struct pair *m, uint8_t item) {
  m->stored[m->count++] = item;
  m->unfinished++;
}

/* The item that must come out now. */
static uint8_t model_take(struct pair *m, enum place to) {
  if (!CHECK(m->count > 0)) return 0;
  uint8_t item = m->stored[0];
  memmove(m->stored, m->stored + 1, --m->count);
  move_item(item, STORED, to);
  return item;
}

static void model_got(struct pair *m, struct aq_item item) {
  CHECK_EQ(item.bits, model_take(m, RETURNED));
  CHECK(item.tag == ~item.bits);
  m->undone++;
}

/* What a party had put, or was to: only one of its branches can happen. */
static void model_put(struct party *p, int i, enum aq_status status) {
  move_item(p->items[i], HELD, status == AQ_OK ? STORED : REFUSED);
  if (status == AQ_OK) model_store(pair_of(p, i), p->items[i]);
  p->items[i] = 0;
}

/* Who waits in a queue and who was woken, seen by looking at each party. */
struct survey {
  unsigned waiting[KINDS];
  unsigned tickets[KINDS];       /* woken with what they waited for; a void claim is none */
  unsigned last_woken[KINDS];    /* highest number among these */
  unsigned first_waiting[KINDS]; /* lowest number among those who wait */
};

static void survey_party(struct survey *s, struct party *p, const struct pair *m) {
  for (int i = 0; i < p->role->count; i++) {
    int kind = p->role->wants[i].kind;
    if (pair_of(p, i) != m) continue;
    if (waiter_of(p, i)->state == AQ_WAITING) {
      s->waiting[kind]++;
      if (p->numbers[i] < s->first_waiting[kind]) s->first_waiting[kind] = p->numbers[i];
    } else if (is_woken(p, i) && !(kind == GET && p->is_voided)) {
      s->tickets[kind]++;
      if (p->numbers[i] > s->last_woken[kind]) s->last_woken[kind] = p->numbers[i];
    }
  }
}

static struct survey survey(const struct pair *m) {
  struct survey s = {.first_waiting = {255, 255, 255}};
  for
    EACH_PARTY(p) survey_party(&s, p, m);
  return s;
}

static bool item_is_free(const struct pair *m) {
  struct survey s = survey(m);
  return m->count > s.tickets[GET];
}

static bool slot_is_free(const struct pair *m) {
  struct survey s = survey(m);
  return m->count + s.tickets[PUT] < m->q.maxsize;
}

/* --- what is checked -------------------------------------------------------------------------- */

/* I4: what the model holds is inside, in order. */
static void check_items(const struct pair *m) {
  const struct aq_order *o = &m->q.order;
  if (!CHECK_EQ(o->count, m->count)) return;
  for (size_t i = 0; i < o->count; i++) {
    struct aq_item item = o->items[(o->head + i) & (o->capacity - 1)];
    CHECK_EQ(item.bits, m->stored[i]);
    CHECK(item.tag == ~item.bits);
  }
}

/*
** I1-I4 of one queue: nobody waits who could be served; tickets are as many as were handed out; in
** its rooms are those who wait and no one else; nobody was woken before one who waits longer (Q7).
*/
static void check_queue(const struct pair *m) {
  const struct aq_queue *q = &m->q;
  struct survey s = survey(m);
  bool open = !m->is_shutdown;
  check_items(m);
  CHECK_EQ(q->unfinished, m->unfinished);
  CHECK_EQ(q->claimed, s.tickets[GET]);
  CHECK_EQ(q->promised, s.tickets[PUT]);
  CHECK_EQ(aq_room_count(&q->getters), s.waiting[GET]);
  CHECK_EQ(aq_room_count(&q->putters), s.waiting[PUT]);
  CHECK_EQ(aq_room_count(&q->joiners), s.waiting[JOIN]);
  CHECK(s.waiting[GET] == 0 || (!item_is_free(m) && open));
  CHECK(s.waiting[PUT] == 0 || (!slot_is_free(m) && open));
  CHECK(s.waiting[JOIN] == 0 || m->unfinished > 0);
  for (int kind = 0; kind < JOIN; kind++) CHECK(s.last_woken[kind] < s.first_waiting[kind]);
  if (check.failures == 0) aq_queue_check(q);
}

/* Whether the branches of a select that have entered wait: until one is elected, or it gives up. */
static bool still_waits(const struct party *p) {
  return p->select.chosen == NULL && (p->enters || p->waiter.state == AQ_WAITING);
}

/* X9: the branches of a select wait together or not at all; the party stands for the elected. */
static void check_party(struct party *p) {
  int i = 0;
  for (const struct aq_branch *b = p->select.first; b != NULL; b = b->next, i++) {
    bool waits = still_waits(p) && !(p->enters && i == p->nadded - 1);
    CHECK(b == &p->branches[i]);
    CHECK_EQ(b->waiter.state, waits ? AQ_WAITING : AQ_IDLE);
    CHECK_EQ(aq_list_alone(&b->waiter.link), !waits);
  }
  CHECK_EQ(i, p->nadded);
  for (; i < BRANCHES; i++) CHECK(p->branches[i].select == NULL);
  if (p->nadded == 0) return;
  bool is_elected = p->select.chosen != NULL;
  if (p->enters) CHECK_EQ(p->waiter.state, AQ_IDLE);
  if (!p->enters && is_elected) CHECK_EQ(p->waiter.state, AQ_READY);
  if (!p->enters && is_elected) CHECK_EQ(p->waiter.status, p->select.chosen->waiter.status);
}

static void check_world(void) {
  for (int i = 0; i < QUEUES; i++) check_queue(&world.pairs[i]);
  for
    EACH_PARTY(p) check_party(p);
}

/* All have ended, and each item has gone exactly one way. */
static void check_end(void) {
  for
    EACH_PARTY(p) {
      CHECK(p->has_ended);
      CHECK_EQ(p->waiter.state, AQ_IDLE);
      CHECK_EQ(p->nadded, 0);
    }
  for (int i = 0; i < QUEUES; i++)
    CHECK_EQ(world.pairs[i].q.claimed + world.pairs[i].q.promised, 0);
  CHECK_EQ(aq_agenda_next_deadline(&world.agenda), AQ_NEVER);
  for (int i = 1; i <= world.items; i++) CHECK(world.places[i] >= STORED);
}

/* --- what one branch does --------------------------------------------------------------------- */

/* What it must say at once. AQ_EMPTY, AQ_FULL: it has to wait. */
static enum aq_status expected_now(const struct party *p, int i) {
  const struct pair *m = pair_of(p, i);
  switch (p->role->wants[i].kind) {
    case GET: return item_is_free(m) ? AQ_OK : m->is_shutdown ? AQ_SHUTDOWN : AQ_EMPTY;
    case PUT: return m->is_shutdown ? AQ_SHUTDOWN : slot_is_free(m) ? AQ_OK : AQ_FULL;
    default: return m->unfinished == 0 ? AQ_OK : AQ_EMPTY;
  }
}

static bool has_to_wait(enum aq_status status) { return status == AQ_EMPTY || status == AQ_FULL; }

/* Does it if it can be done at once. */
static bool attempt(struct party *p, int i) {
  struct pair *m = pair_of(p, i);
  enum aq_status expected = expected_now(p, i);
  struct aq_item item = {0, 0};
  if (p->role->wants[i].kind == GET) {
    CHECK_EQ(aq_queue_get_now(&m->q, &item), expected);
    if (expected == AQ_OK) model_got(m, item);
  } else if (p->role->wants[i].kind == PUT) {
    CHECK_EQ(aq_queue_reserve(&m->q), AQ_OK);
    CHECK_EQ(aq_queue_put_now(&m->q, item_of(p->items[i])), expected);
    if (!has_to_wait(expected)) model_put(p, i, expected);
  } else {
    CHECK_EQ(m->q.unfinished == 0, expected == AQ_OK);
  }
  return !has_to_wait(expected);
}

static void enter(struct party *p, int i, uint64_t deadline_ns) {
  struct aq_queue *q = &pair_of(p, i)->q;
  p->numbers[i] = ++world.waits;
  switch (p->role->wants[i].kind) {
    case GET: aq_queue_get_wait(q, waiter_of(p, i), deadline_ns); break;
    case PUT: aq_queue_put_wait(q, waiter_of(p, i), deadline_ns); break;
    default: aq_queue_join_wait(q, waiter_of(p, i), deadline_ns); break;
  }
}

/* What was free, or its own, is its to take, though a shutdown had woken it empty-handed (S3). */
static void finish_get(struct party *p, int i, enum aq_status expected) {
  struct pair *m = pair_of(p, i);
  struct aq_item item = {0, 0};
  if (expected == AQ_OK) CHECK(item_is_free(m));
  if (expected == AQ_SHUTDOWN && item_is_free(m)) expected = AQ_OK;
  CHECK_EQ(aq_queue_get_end(&m->q, waiter_of(p, i), p->is_cancelled, &item), expected);
  if (expected == AQ_OK) model_got(m, item);
}

static void finish_put(struct party *p, int i, enum aq_status expected) {
  struct aq_item item = item_of(p->items[i]);
  CHECK_EQ(aq_queue_put_end(&pair_of(p, i)->q, waiter_of(p, i), p->is_cancelled, item), expected);
  model_put(p, i, expected);
}

/* The party's step: what it was woken for is used, or handed on. */
static void finish(struct party *p, int i) {
  enum aq_status status = waiter_of(p, i)->status;
  if (status == AQ_OK && p->is_voided) status = AQ_SHUTDOWN;
  if (p->is_cancelled) status = AQ_CANCELLED;
  p->is_in_step = true;
  if (p->role->wants[i].kind == GET) finish_get(p, i, status);
  if (p->role->wants[i].kind == PUT) finish_put(p, i, status);
}

/* --- what parties do -------------------------------------------------------------------------- */

static void take_back(struct party *p) {
  aq_select_end(&p->select);
  p->nadded = 0;
  p->enters = false;
}

/* It has done its one thing or none: what it holds otherwise it keeps. */
static void end_party(struct party *p) {
  take_back(p);
  for (int i = 0; i < BRANCHES; i++)
    if (p->items[i] != 0) model_put(p, i, AQ_CANCELLED);
  p->is_cancelled = p->is_voided = p->is_in_step = false;
  p->has_ended = true;
}

static void add_next(struct party *p) {
  CHECK(aq_select_add(&p->select, &p->branches[p->nadded]));
  CHECK(!aq_select_add(&p->select, &p->branches[p->nadded]));
  p->nadded++;
  p->enters = true;
}

/* All have entered or one is elected: the party waits, if it may (T13). */
static void wait_for_election(struct party *p) {
  p->enters = false;
  CHECK_EQ(aq_agenda_reserve(&world.agenda), AQ_OK);
  aq_select_wait(&p->select, EXPLORE_FAR);
  if (p->is_cancelled) aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

/* The branch added last enters its room, or need not. */
static void go_on(struct party *p) {
  int i = p->nadded - 1;
  bool enters = has_to_wait(expected_now(p, i));
  if (enters) enter(p, i, AQ_NEVER);
  if (!aq_select_go_on(&p->select)) {
    wait_for_election(p);
  } else if (!enters) {
    take_back(p);
  } else if (p->nadded < p->role->count) {
    add_next(p);
  } else {
    wait_for_election(p);
  }
}

static void begin(struct party *p) {
  for (int i = 0; i < p->role->count; i++)
    if (p->role->wants[i].kind == PUT && p->items[i] == 0) p->items[i] = new_item(HELD);
  for (int i = 0; i < p->role->count; i++) {
    if (!attempt(p, i)) continue;
    end_party(p);
    return;
  }
  CHECK_EQ(aq_agenda_reserve(&world.agenda), AQ_OK);
  if (!selects(p)) {
    enter(p, 0, EXPLORE_FAR);
  } else {
    add_next(p);
    go_on(p);
  }
}

static void on_wake(struct aq_waiter *w) {
  struct party *p = AQ_CONTAINER(w, struct party, waiter);
  int i = selects(p) ? elected(p) : 0;
  if (selects(p)) CHECK_EQ(i < 0, w->status == AQ_TIMEDOUT || w->status == AQ_CANCELLED);
  if (i >= 0) finish(p, i);
  end_party(p);
}

/* What a runtime does to cancel a task. */
static void cancel(struct party *p) {
  p->is_cancelled = true;
  aq_waiter_abort(&p->waiter, AQ_CANCELLED);
}

/* What it does to end one by force: at once, without a step. */
static void end_by_force(struct party *p) {
  cancel(p);
  aq_waiter_drop(&p->waiter);
  int i = selects(p) ? elected(p) : 0;
  if (i >= 0) finish(p, i);
  end_party(p);
}

static void expire(struct party *p) {
  p->was_late = true;
  explore_expire(&p->waiter);
}

/* --- what else can happen to a queue ---------------------------------------------------------- */

static void done(struct pair *m) {
  CHECK_EQ(aq_queue_done(&m->q), AQ_OK);
  m->unfinished--;
  m->undone--;
}

/* Tickets handed out before are void: on slots (S7), and on items if these are thrown away. */
static void void_tickets(const struct pair *m, bool on_items) {
  for
    EACH_PARTY(p)
  for (int i = 0; i < p->role->count; i++) {
    int kind = p->role->wants[i].kind;
    if (pair_of(p, i) == m && is_woken(p, i) && (kind == PUT || (kind == GET && on_items)))
      p->is_voided = true;
  }
}

static void shut_down(struct pair *m) {
  void_tickets(m, false);
  m->is_shutdown = true;
  aq_queue_shutdown(&m->q);
}

static void shut_down_now(struct pair *m) {
  struct aq_item item;
  void_tickets(m, true);
  m->is_shutdown = m->was_emptied = true;
  while (aq_queue_discard(&m->q, &item)) {
    CHECK_EQ(item.bits, model_take(m, DISCARDED));
    m->unfinished--;
  }
  aq_queue_shutdown_now(&m->q);
}

/* --- choices ---------------------------------------------------------------------------------- */

enum choice { BEGIN, GO_ON, WAKE, CANCEL, CLOSE, EXPIRE, DONE, SHUTDOWN, SHUTDOWN_NOW, CHOICES };

static const char *const choice_names[CHOICES] = {
  "begins",  "goes on", "wakes",        "is cancelled",         "is closed",
  "is late", "done",    "is shut down", "is shut down at once",
};

static bool has_begun(const struct party *p) {
  return p->has_ended || p->nadded > 0 || p->waiter.state != AQ_IDLE || p->is_cancelled;
}

/* Parties of one role that have not begun cannot be told apart: the first of them does. */
static bool has_twin_before(const struct party *p) {
  for (const struct party *other = world.parties; other < p; other++)
    if (other->role == p->role && !has_begun(other) && !has_begun(p)) return true;
  return false;
}

static size_t list_of_party(struct step *list, size_t n, const struct party *p) {
  uint8_t i = (uint8_t)(p - world.parties);
  enum aq_waiter_state state = p->waiter.state;
  if (p->has_ended) return n;
  if (state == AQ_IDLE && !p->enters && !has_twin_before(p)) list[n++] = (struct step){BEGIN, i};
  if (p->enters) list[n++] = (struct step){GO_ON, i};
  if (state == AQ_READY && world.agenda.ready.next == &p->waiter.link)
    list[n++] = (struct step){WAKE, i};
  if ((state != AQ_IDLE || p->enters) && !p->is_cancelled) list[n++] = (struct step){CANCEL, i};
  if (state != AQ_IDLE && selects(p)) list[n++] = (struct step){CLOSE, i};
  if (state == AQ_WAITING && !p->was_late) list[n++] = (struct step){EXPIRE, i};
  return n;
}

static size_t list_choices(struct step *list) {
  size_t n = 0;
  for
    EACH_PARTY(p) n = list_of_party(list, n, p);
  for (uint8_t i = 0; i < QUEUES; i++) {
    const struct pair *m = &world.pairs[i];
    if (m->undone > 0 && m->is_joined) list[n++] = (struct step){DONE, i};
    if (program->is_never_closed) continue;
    if (!m->is_shutdown) list[n++] = (struct step){SHUTDOWN, i};
    if (!m->was_emptied) list[n++] = (struct step){SHUTDOWN_NOW, i};
  }
  return n;
}

static void take_step(struct step s) {
  struct party *p = &world.parties[s.whose];
  switch (s.choice) {
    case BEGIN: begin(p); break;
    case GO_ON: go_on(p); break;
    case WAKE: explore_turn(&world.agenda, 1); break;
    case CANCEL: cancel(p); break;
    case CLOSE: end_by_force(p); break;
    case EXPIRE: expire(p); break;
    case DONE: done(&world.pairs[s.whose]); break;
    case SHUTDOWN: shut_down(&world.pairs[s.whose]); break;
    default: shut_down_now(&world.pairs[s.whose]); break;
  }
  check_world();
}

/* --- states ----------------------------------------------------------------------------------- */

static const struct aq_list *room_of(struct party *p, int i) {
  const struct aq_queue *q = &pair_of(p, i)->q;
  int kind = p->role->wants[i].kind;
  return kind == GET ? &q->getters : kind == PUT ? &q->putters : &q->joiners;
}

/* Where each branch waits, 4 bits for each: its place in the room, from 1 on. */
static uint32_t places_of(struct party *p) {
  uint32_t places = 0;
  for (int i = 0; i < p->role->count; i++) {
    const struct aq_waiter *w = waiter_of(p, i);
    bool waits = w->state == AQ_WAITING;
    places = places << 4 | (waits ? explore_place(room_of(p, i), &w->link) + 1 : 0);
  }
  return places;
}

/* All of a party that the future depends on, in 29 bits. */
static uint32_t mark_of(struct party *p) {
  static const uint8_t short_status[] = {
    [AQ_OK] = 0, [AQ_SHUTDOWN] = 1, [AQ_TIMEDOUT] = 2, [AQ_CANCELLED] = 3};
  if (p->has_ended) return 1;
  const struct aq_waiter *w = elected(p) >= 0 ? &p->select.chosen->waiter : &p->waiter;
  bool is_ready = p->waiter.state == AQ_READY;
  uint32_t mark = (uint32_t)p->enters << 1 | (uint32_t)p->is_cancelled << 2 |
                  (uint32_t)p->is_voided << 3 | (uint32_t)p->was_late << 4 |
                  (uint32_t)p->waiter.state << 5 | (uint32_t)p->nadded << 7 |
                  (uint32_t)(elected(p) + 1) << 9 | places_of(p) << 17;
  if (is_ready || elected(p) >= 0) mark |= (uint32_t)short_status[w->status] << 11;
  if (is_ready) mark |= explore_place(&world.agenda.ready, &p->waiter.link) << 13;
  return mark;
}

static uint64_t mark_of_queue(const struct pair *m) {
  uint64_t mark =
    (uint64_t)m->is_shutdown | (uint64_t)m->was_emptied << 1 | (uint64_t)m->count << 2;
  if (m->is_joined) mark |= (uint64_t)m->unfinished << 5 | (uint64_t)m->undone << 10;
  return mark;
}

static struct key key_of_world(void) {
  struct key k = {{1 | mark_of_queue(&world.pairs[0]) << 1 | mark_of_queue(&world.pairs[1]) << 16}};
  for (int i = 0; i < program->count; i++)
    k.words[(i + 1) / 2] |= (uint64_t)mark_of(&world.parties[i]) << (i % 2 == 0 ? 32 : 0);
  return k;
}

/* --- programs --------------------------------------------------------------------------------- */

enum { A, B };

static const struct role selecting[] = {
  {"get A or get B", 2, {{GET, A}, {GET, B}}},
  {"put A or put B", 2, {{PUT, A}, {PUT, B}}},
  {"put A or get B", 2, {{PUT, A}, {GET, B}}},
  {"get A or put B", 2, {{GET, A}, {PUT, B}}},
  {"get A or put A", 2, {{GET, A}, {PUT, A}}},
  {"get A or get A", 2, {{GET, A}, {GET, A}}},
  {"get A or join B", 2, {{GET, A}, {JOIN, B}}},
  {"join A or put B or get A", 3, {{JOIN, A}, {PUT, B}, {GET, A}}},
};

static const struct role plain[] = {
  {"get A", 1, {{GET, A}}},
  {"put A", 1, {{PUT, A}}},
  {"get B", 1, {{GET, B}}},
  {"put B", 1, {{PUT, B}}},
};

enum {
  SELECTING = sizeof selecting / sizeof *selecting,
  PLAIN = sizeof plain / sizeof *plain,
};

static void print_program(void) {
  printf("maxsize %zu", world.pairs[0].q.maxsize);
  if (program->full & 1) printf(", A full");
  if (program->full & 2) printf(", B full");
  for (int i = 0; i < program->count; i++) printf(", %d: %s", i, program->roles[i]->name);
  printf("\n");
}

static void print_step(struct step s) {
  if (s.choice >= DONE)
    printf("  %c %s\n", "AB"[s.whose], choice_names[s.choice]);
  else
    printf("  %d %s\n", s.whose, choice_names[s.choice]);
}

static const struct explorer all = {&world,       sizeof world, list_choices,  take_step,
                                    key_of_world, check_end,    print_program, print_step};

static void open_pair(struct pair *m, size_t maxsize, bool is_full) {
  aq_queue_init(&m->q, maxsize, AQ_FIFO, (struct aq_alloc){arena_resize, &world.arena});
  while (is_full && m->count < maxsize) {
    uint8_t item = new_item(STORED);
    CHECK_EQ(aq_queue_reserve(&m->q), AQ_OK);
    CHECK_EQ(aq_queue_put_now(&m->q, item_of(item)), AQ_OK);
    model_store(m, item);
  }
}

static void open_party(struct party *p, const struct role *role) {
  p->role = role;
  aq_waiter_init(&p->waiter, &world.agenda, on_wake);
  aq_select_init(&p->select, &p->waiter);
  for (int i = 0; i < BRANCHES; i++) aq_branch_init(&p->branches[i], &world.agenda);
  for (int i = 0; i < role->count; i++)
    if (role->wants[i].kind == JOIN) pair_of(p, i)->is_joined = true;
}

static void explore_program(const struct program *p, size_t maxsize) {
  program = p;
  programs++;
  memset(&world, 0, sizeof world);
  aq_agenda_init(&world.agenda, (struct aq_alloc){arena_resize, &world.arena});
  for (int i = 0; i < QUEUES; i++) open_pair(&world.pairs[i], maxsize, p->full >> i & 1);
  for (int i = 0; i < p->count; i++) open_party(&world.parties[i], p->roles[i]);
  explore(&all);
}

static void explore_queues(struct program *p) {
  for (size_t maxsize = 1; maxsize <= 2; maxsize++)
    for (p->full = 0; p->full < 4; p->full++)
      if (check.failures == 0) explore_program(p, maxsize);
}

/* The parties so far, and up to `most` with all sets of plain ones, `first` the least of them. */
static void explore_plain(struct program *p, int first, int most) {
  explore_queues(p);
  if (p->count >= most) return;
  for (int i = first; i < PLAIN; i++) {
    p->roles[p->count++] = &plain[i];
    explore_plain(p, i, most);
    p->count--;
  }
}

static void report(int most) {
  printf("up to %d parties: %ju programs, %ju states, %ju steps\n", most, (uintmax_t)programs,
         (uintmax_t)explored_states, (uintmax_t)explored_steps);
  explored_states = explored_steps = programs = 0;
}

static void explore_one(bool is_never_closed, int fewer) {
  int most = (int)chance_env("AQ_EXPLORE", SIZE) - fewer;
  for (int i = 0; i < SELECTING; i++) {
    struct program p = {{&selecting[i]}, .count = 1, .is_never_closed = is_never_closed};
    explore_plain(&p, 0, most);
  }
  report(most);
}

static void explore_two(bool is_never_closed, int fewer) {
  int most = (int)chance_env("AQ_EXPLORE", SIZE) - fewer;
  for (int i = 0; i < SELECTING; i++)
    for (int j = i; j < SELECTING; j++) {
      struct program p = {
        {&selecting[i], &selecting[j]}, .count = 2, .is_never_closed = is_never_closed};
      explore_plain(&p, 0, most);
    }
  report(most);
}

TEST(X9_a_select_among_others) { explore_one(true, 0); }
TEST(X9_a_select_among_others_and_shutdowns) { explore_one(false, 1); }
TEST(X9_two_selects_among_others) { explore_two(true, 1); }
TEST(X9_two_selects_and_shutdowns) { explore_two(false, 2); }
