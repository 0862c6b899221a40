/*
** sorted_test.c - the sorted list against a naive array that is sorted and stable.
**
** An item's bits are its key, its tag is the number of its arrival: equal keys must leave in the
** order of their tags (V1). The sizes are chosen around a chunk's 256 items.
*/
#include <setjmp.h>

#include "check.h"
#include "chance.h"
#include "core/sorted.h"
#include "memory.h"

enum { MANY = 100000, MOST = 3000, CHUNK_BYTES = 256 * 16 + 16 };

static struct memory memory;
static struct aq_sorted list;
static uint64_t arrivals; /* items put so far */

/* What a comparison knows, and what it does besides. */
struct search {
  uint64_t key;         /* of the new item */
  size_t calls;         /* comparisons so far */
  size_t meddles_at;    /* the comparison that calls meddle; 0: none does */
  void (*meddle)(void); /* changes the list, or leaves */
};

static void open_list(void) {
  memory = (struct memory){0};
  arrivals = 0;
  aq_sorted_init(&list, memory_alloc(&memory));
}

static void close_list(void) {
  aq_sorted_free(&list);
  CHECK(memory_is_clean(&memory));
}

static bool is_before(void *ctx, struct aq_item other) {
  struct search *s = ctx;
  bool before = s->key < other.bits;
  if (++s->calls == s->meddles_at) s->meddle();
  return before;
}

/* Puts `key` behind its equals; the number of comparisons that took. */
static size_t put(uint64_t key) {
  struct search s = {.key = key};
  struct aq_place place;
  CHECK(aq_sorted_find(&list, is_before, &s, &place));
  CHECK_EQ(aq_sorted_reserve(&list), AQ_OK);
  size_t calls = memory.calls;
  aq_sorted_put(&list, place, (struct aq_item){key, arrivals++});
  CHECK_EQ(memory.calls, calls);
  return s.calls;
}

static uint64_t take(void) { return aq_sorted_take(&list).bits; }

static bool is_empty(void) { return list.nchunks == 0; }

/* --- the model -------------------------------------------------------------------------------- */

static struct aq_item model[MOST];
static size_t count; /* of the items in model, ascending */

static void model_put(uint64_t key) {
  size_t i = count++;
  for (; i > 0 && key < model[i - 1].bits; i--) model[i] = model[i - 1];
  model[i] = (struct aq_item){key, arrivals};
}

static void put_both(uint64_t key) {
  model_put(key);
  put(key);
}

static void take_both(void) {
  struct aq_item got = aq_sorted_take(&list);
  CHECK_EQ(got.bits, model[0].bits);
  CHECK_EQ(got.tag, model[0].tag);
  memmove(model, model + 1, --count * sizeof model[0]);
}

static void take_all(void) {
  while (count > 0 && !is_empty()) take_both();
  CHECK_EQ(count, 0);
  CHECK(is_empty());
}

/* --- order ------------------------------------------------------------------------------------ */

TEST(a_new_list_is_empty_and_has_no_memory) {
  open_list();
  struct search s = {.key = 1};
  struct aq_place place = {9, 9};
  CHECK(is_empty());
  CHECK(aq_sorted_find(&list, is_before, &s, &place));
  CHECK_EQ(place.chunk, 0);
  CHECK_EQ(place.index, 0);
  CHECK_EQ(s.calls, 0);
  CHECK_EQ(memory.calls, 0);
  close_list();
}

TEST(V1_the_least_leaves_first_and_equal_ones_in_order_of_arrival) {
  static const uint64_t keys[] = {3, 1, 2, 1, 3, 2, 1, 0, 3, 0};
  open_list();
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) put_both(keys[i]);
  take_all();
  close_list();
}

/* The keys of four orders of arrival; the last one fills chunks that are not the last. */
static uint64_t key_of(int kind, uint64_t i) {
  switch (kind) {
    case 0: return i;
    case 1: return MANY - i;
    case 2: return 7;
    default: return i * 7919 % 1009;
  }
}

TEST(V1_sizes_around_the_boundaries_of_chunks) {
  static const size_t sizes[] = {1,   127, 128, 129, 255, 256, 257,
                                 383, 384, 385, 511, 512, 513, 1025};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int kind = 0; kind < 4; kind++) {
      open_list();
      for (uint64_t n = 0; n < sizes[i]; n++) put_both(key_of(kind, n));
      take_all();
      close_list();
    }
}

/* Every place in a chunk that is full: before, at and behind the middle, where it is split. */
TEST(a_full_chunk_takes_an_item_at_each_place) {
  for (uint64_t at = 0; at <= 256; at++) {
    open_list();
    for (uint64_t n = 0; n < 256; n++) put_both(2 * n + 1);
    put_both(2 * at);
    CHECK_EQ(list.nchunks, 2);
    take_all();
    close_list();
  }
}

/* The front of a full chunk has been taken: its items move to make room at the end. */
TEST(a_chunk_used_up_at_the_front_takes_more_at_the_end) {
  for (size_t taken = 1; taken < 256; taken += 17) {
    open_list();
    for (uint64_t n = 0; n < 256; n++) put_both(n);
    for (size_t n = 0; n < taken; n++) take_both();
    for (uint64_t n = 0; n < taken; n++) put_both(n % 2 == 0 ? 1000 : 100);
    CHECK_EQ(list.nchunks, 1);
    take_all();
    close_list();
  }
}

TEST(V1_random_puts_and_takes_against_a_model) {
  uint64_t state = chance_env("AQ_SEED", 1);
  printf("AQ_SEED=%ju\n", (uintmax_t)state);
  for (unsigned keys = 1; keys <= 100000 && check.failures == 0; keys *= 10) {
    open_list();
    for (unsigned n = 0; n < 20000; n++) {
      /* Long stretches of mostly puts and of mostly takes, down to nothing. */
      unsigned puts = n / 2500 % 2 == 0 ? 80 : 20;
      if (count < MOST && (count == 0 || chance_below(&state, 100) < puts))
        put_both(chance_below(&state, keys));
      else
        take_both();
      CHECK_EQ(is_empty(), count == 0);
    }
    take_all();
    close_list();
  }
}

/* A queue that stays short for long: used-up chunks are reused, the array does not creep. */
TEST(many_items_through_a_short_list_need_little_memory) {
  open_list();
  for (uint64_t n = 0; n < 600; n++) put(n);
  size_t blocks = memory.blocks;
  for (uint64_t n = 600; n < MANY; n++) {
    put(n);
    CHECK_EQ(take(), n - 600);
    if (memory.blocks > blocks) blocks = memory.blocks;
  }
  CHECK(blocks <= 10);
  CHECK(list.capacity <= 16);
  CHECK(memory.bytes <= 10 * CHUNK_BYTES);
  close_list();
}

/* --- many items, and how many comparisons they take ------------------------------------------- */

static size_t log2_of(size_t n) {
  size_t log = 0;
  while (n >> (log + 1) != 0) log++;
  return log;
}

/* Puts a hundred thousand; no find takes many more comparisons than a binary search must. */
static void put_many(int kind) {
  size_t worst_excess = 0;
  for (uint64_t n = 0; n < MANY; n++) {
    size_t calls = put(key_of(kind, n)), log = n > 0 ? log2_of(n) : 0;
    if (calls > log && calls - log > worst_excess) worst_excess = calls - log;
  }
  CHECK(worst_excess <= 3); /* log2 is rounded down here: that is one of them */
}

static void take_many(void) {
  struct aq_item last = aq_sorted_take(&list);
  for (uint64_t n = 1; n < MANY; n++) {
    struct aq_item item = aq_sorted_take(&list);
    CHECK(last.bits < item.bits || (last.bits == item.bits && last.tag < item.tag));
    last = item;
  }
  CHECK(is_empty());
}

static void many(int kind) {
  open_list();
  put_many(kind);
  take_many();
  close_list();
}

TEST(a_hundred_thousand_ascending) { many(0); }
TEST(a_hundred_thousand_descending) { many(1); }
TEST(V1_a_hundred_thousand_equal) { many(2); }
TEST(V1_a_hundred_thousand_mixed) { many(3); }

TEST(taking_compares_nothing_and_allocates_nothing) {
  open_list();
  for (uint64_t n = 0; n < 1000; n++) put(n);
  size_t calls = memory.calls;
  for (uint64_t n = 0; n < 1000; n++) CHECK_EQ(take(), n);
  CHECK_EQ(memory.calls, calls);
  close_list();
}

/* --- comparisons that do more than compare ---------------------------------------------------- */

static void take_one(void) { take(); }

static void put_another(void) { put(5); }

static void empty_it(void) {
  while (!is_empty()) take();
}

static void empty_it_and_fill_it_again(void) {
  size_t n = 0;
  for (; !is_empty(); n++) take();
  while (n-- > 0) put(n);
}

/* The comparison numbered `at` meddles; whether a place was found. */
static bool find_meddled(uint64_t key, size_t at, void (*meddle)(void), size_t *calls) {
  struct search s = {.key = key, .meddles_at = at, .meddle = meddle};
  struct aq_place place;
  bool found = aq_sorted_find(&list, is_before, &s, &place);
  *calls = s.calls;
  return found;
}

/* Meddles in every comparison of a find, the first to the last, in lists of one and more chunks. */
static void meddle_everywhere(void (*meddle)(void)) {
  static const size_t sizes[] = {1, 2, 255, 256, 257, 513, 2000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (size_t at = 1, calls = 1; at <= calls; at++) {
      open_list();
      for (uint64_t n = 0; n < sizes[i]; n++) put(n);
      find_meddled(sizes[i] * 2 / 3, 0, NULL, &calls);
      size_t made;
      CHECK(!find_meddled(sizes[i] * 2 / 3, at, meddle, &made));
      CHECK_EQ(made, at);
      close_list();
    }
}

TEST(V3_a_comparison_that_takes_an_item) { meddle_everywhere(take_one); }
TEST(V3_a_comparison_that_puts_an_item) { meddle_everywhere(put_another); }
TEST(V3_a_comparison_that_empties_the_list) { meddle_everywhere(empty_it); }
TEST(V3_a_comparison_that_replaces_all_items) { meddle_everywhere(empty_it_and_fill_it_again); }

static void reserve_room(void) { CHECK_EQ(aq_sorted_reserve(&list), AQ_OK); }

TEST(a_comparison_that_only_reserves_changes_nothing) {
  size_t calls;
  open_list();
  for (uint64_t n = 0; n < 1024; n++) put(n); /* the array is full: reserving moves it */
  for (size_t at = 1; at <= 10; at++) CHECK(find_meddled(600, at, reserve_room, &calls));
  close_list();
}

static jmp_buf way_out;

static void leave(void) { longjmp(way_out, 1); }

TEST(V3_a_comparison_that_leaves_by_longjmp_changes_nothing) {
  open_list();
  for (uint64_t n = 0; n < 600; n++) put_both(n / 3);
  for (volatile size_t at = 1; at <= 8; at++) {
    size_t calls;
    if (setjmp(way_out) == 0) {
      find_meddled(100, at, leave, &calls);
      CHECK(false);
    }
  }
  take_all();
  close_list();
}

/* --- memory ----------------------------------------------------------------------------------- */

TEST(reserve_is_idempotent) {
  open_list();
  CHECK_EQ(aq_sorted_reserve(&list), AQ_OK);
  size_t calls = memory.calls;
  memory.fails = true;
  CHECK_EQ(aq_sorted_reserve(&list), AQ_OK);
  CHECK_EQ(memory.calls, calls);
  close_list();
}

/* Refuses the requests from the one numbered `allowed` + 1 on. */
static void *resize_some(void *ud, void *block, size_t old_size, size_t new_size) {
  size_t *allowed = ud;
  if (new_size > 0) {
    if (*allowed == 0) return NULL;
    --*allowed;
  }
  return memory_resize(&memory, block, old_size, new_size);
}

/* Each of reserve's two requests may be the one that fails. */
TEST(out_of_memory_changes_nothing) {
  for (size_t step = 0; step < 2; step++) {
    size_t allowed = 0;
    open_list();
    aq_sorted_init(&list, (struct aq_alloc){resize_some, &allowed});
    for (uint64_t n = 0; n < 1500; n++) {
      uint64_t version = list.version;
      for (allowed = step; aq_sorted_reserve(&list) != AQ_OK; allowed = 2) {
        CHECK_EQ(list.version, version);
        CHECK_EQ(list.nchunks == 0, count == 0);
      }
      put_both(n * 7919 % 211);
    }
    CHECK_EQ(aq_sorted_reserve(&list), AQ_OK);
    take_all();
    close_list();
  }
}

TEST(what_was_used_is_given_back_but_for_one_chunk) {
  open_list();
  for (uint64_t n = 0; n < 10000; n++) put(n);
  size_t most = memory.bytes;
  for (uint64_t n = 0; n < 5000; n++) take();
  CHECK(memory.bytes < most * 6 / 10);
  for (uint64_t n = 5000; n < 10000; n++) take();
  CHECK(is_empty());
  CHECK_EQ(memory.blocks, 2); /* the spare chunk and the array of pointers */
  CHECK_EQ(memory.bytes, CHUNK_BYTES + list.capacity * sizeof(void *));
  CHECK(list.capacity <= 128);
  close_list();
}

TEST(free_with_items_inside_leaks_nothing) {
  static const size_t sizes[] = {0, 1, 256, 257, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    open_list();
    for (uint64_t n = 0; n < sizes[i]; n++) put(n);
    for (size_t n = 0; n < sizes[i] / 3; n++) take();
    aq_sorted_reserve(&list);
    close_list();
    CHECK(is_empty());
    put(1); /* and it can be used again */
    close_list();
  }
}
