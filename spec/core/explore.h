/*
** explore.h - trying all that can happen: a search through the states of a small world.
**
** A world is a static struct that never moves, so a state is saved and brought back by copying
** bytes, and the pointers in it stay right. A test says what can happen next in the present state,
** takes a step and checks it, and packs all that the future depends on into a key: from a state
** whose key was seen before the search does not go on.
*/
#ifndef AQ_EXPLORE_H
#define AQ_EXPLORE_H

#include <signal.h>
#include <stdlib.h>

#include "check.h"
#include "core/waiter.h"

enum { EXPLORE_DEPTH = 64, EXPLORE_CHOICES = 48, EXPLORE_WORDS = 3 };

struct step {
  uint8_t choice;
  uint8_t whose; /* index of the party or the queue that it is about */
};

/* The whole state, not a digest of it. The first word is never 0. */
struct key {
  uint64_t words[EXPLORE_WORDS];
};

struct explorer {
  void *world;
  size_t size;                       /* of the world */
  size_t (*list)(struct step *list); /* all that can happen next; returns how many */
  void (*take)(struct step s);       /* takes a step and checks the world after it */
  struct key (*key)(void);           /* of the present state */
  void (*check_end)(void);           /* where nothing can happen any more */
  void (*print_program)(void);       /* a line on what is explored */
  void (*print_step)(struct step s); /* a line on a step */
};

static const struct explorer *explorer;
static uint64_t explored_states, explored_steps;

/* --- memory ----------------------------------------------------------------------------------- */

struct arena {
  size_t used; /* bytes */
  _Alignas(16) unsigned char bytes[1024];
};

/* Hands out the world's own memory and takes nothing back: so little is asked for. */
static inline void *arena_resize(void *ud, void *block, size_t old_size, size_t new_size) {
  struct arena *a = ud;
  if (new_size == 0) return NULL;
  size_t rounded = (new_size + 15) / 16 * 16;
  if (a->used + rounded > sizeof a->bytes) return NULL;
  void *fresh = a->bytes + a->used;
  a->used += rounded;
  if (block != NULL) memcpy(fresh, block, old_size < new_size ? old_size : new_size);
  return fresh;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* A turn in which only the first `n` of those who are ready wake; the others keep their order. */
static inline void explore_turn(struct aq_agenda *a, int n) {
  struct aq_list later, fresh;
  aq_list_init(&later);
  aq_list_init(&fresh);
  aq_list_move(&a->ready, &later);
  if (n > 0) {
    struct aq_list *first = later.next;
    aq_list_unlink(first);
    aq_list_append(&a->ready, first);
  }
  aq_agenda_turn(a);
  aq_list_move(&a->ready, &fresh);
  aq_list_move(&later, &a->ready);
  while (!aq_list_alone(&fresh)) {
    struct aq_list *next = fresh.next;
    aq_list_unlink(next);
    aq_list_append(&a->ready, next);
  }
}

/* All deadlines are far away until a step of its own lets one come. */
enum { EXPLORE_FAR = 1000, EXPLORE_DUE = 1 };

/* The deadline of `w`, which waits, and no other, comes. */
static inline void explore_expire(struct aq_waiter *w) {
  struct aq_agenda *a = w->agenda;
  CHECK(aq_heap_holds(&w->deadline.node));
  aq_deadline_disarm(a, &w->deadline);
  aq_deadline_arm(a, &w->deadline, EXPLORE_DUE);
  a->now_ns = EXPLORE_DUE;
  explore_turn(a, 0);
  a->now_ns = 0;
  CHECK_EQ(w->state, AQ_READY);
  CHECK_EQ(w->status, AQ_TIMEDOUT);
}

/* How many stand before `n` in the list `head`, or in all if it is not there. */
static inline unsigned explore_place(const struct aq_list *head, const struct aq_list *n) {
  unsigned place = 0;
  for (const struct aq_list *i = head->next; i != n && i != head; i = i->next) place++;
  return place;
}

/* --- states seen ------------------------------------------------------------------------------ */

static struct {
  struct key *keys; /* open addressing; all zero: free */
  size_t capacity;  /* a power of two */
  size_t count;
} seen;

static inline uint64_t explore_hash(const struct key *k) {
  uint64_t hash = 0;
  for (int i = 0; i < EXPLORE_WORDS; i++) {
    hash = (hash ^ k->words[i]) * 0x94d049bb133111ebu;
    hash ^= hash >> 32;
  }
  return hash;
}

static inline bool explore_insert(struct key k) {
  size_t i = explore_hash(&k) & (seen.capacity - 1);
  for (; seen.keys[i].words[0] != 0; i = (i + 1) & (seen.capacity - 1))
    if (memcmp(&seen.keys[i], &k, sizeof k) == 0) return false;
  seen.keys[i] = k;
  return true;
}

static inline void explore_grow(size_t capacity) {
  struct key *old = seen.keys;
  size_t old_capacity = seen.capacity;
  seen.keys = calloc(capacity, sizeof *seen.keys);
  if (seen.keys == NULL) abort();
  seen.capacity = capacity;
  for (size_t i = 0; i < old_capacity; i++)
    if (old[i].words[0] != 0) explore_insert(old[i]);
  free(old);
}

/* True the first time it is called in this state. */
static inline bool explore_is_new(void) {
  if (seen.count * 2 >= seen.capacity) explore_grow(seen.capacity > 0 ? seen.capacity * 2 : 1024);
  if (!explore_insert(explorer->key())) return false;
  seen.count++;
  explored_states++;
  return true;
}

/* --- the search ------------------------------------------------------------------------------- */

static struct step explore_way[EXPLORE_DEPTH]; /* the steps to the present state */
static size_t explore_length;

static inline void explore_print(void) {
  explorer->print_program();
  for (size_t i = 0; i < explore_length; i++) explorer->print_step(explore_way[i]);
}

/* An assertion has failed: the way there is what one wants to know. */
static inline void explore_on_abort(int signal_number) {
  (void)signal_number;
  explore_print();
}

static inline void explore_from_here(unsigned char *saved) {
  struct step choices[EXPLORE_CHOICES];
  size_t n = explorer->list(choices);
  if (n == 0) explorer->check_end();
  if (!CHECK(explore_length < EXPLORE_DEPTH)) return;
  memcpy(saved, explorer->world, explorer->size);
  for (size_t i = 0; i < n && check.failures == 0; i++) {
    explore_way[explore_length++] = choices[i];
    explored_steps++;
    explorer->take(choices[i]);
    if (check.failures > 0)
      explore_print();
    else if (explore_is_new())
      explore_from_here(saved + explorer->size);
    explore_length--;
    memcpy(explorer->world, saved, explorer->size);
  }
}

/* Explores all that can happen in the world as it is. */
static inline void explore(const struct explorer *e) {
  unsigned char *saved = malloc((EXPLORE_DEPTH + 1) * e->size);
  if (saved == NULL) abort();
  explorer = e;
  signal(SIGABRT, explore_on_abort);
  explore_is_new();
  explore_from_here(saved);
  free(saved);
  free(seen.keys);
  memset(&seen, 0, sizeof seen);
}

#endif
