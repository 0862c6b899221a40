/*
** pages_test.c - the memory of the program's Lua state: blocks stay what they are, pages are used
** again, and memory goes back to the system.
*/
#include "app/pages.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../core/chance.h"
#include "../core/check.h"

/* A sanitizer needs memory of its own, and dies without. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#define HAS_SANITIZER __has_feature(address_sanitizer)
#else
#define HAS_SANITIZER 0
#endif

enum { PAGE = 65536, MANY = 1000000, BYTES = 112 };

static void *new_block(struct pages *p, size_t size) { return pages_alloc(p, NULL, 5, size); }

static void free_block(struct pages *p, void *block, size_t size) {
  CHECK(pages_alloc(p, block, size, 0) == NULL);
}

/* Pages that are past their beginning, where all is the C library's. */
static struct pages *pages_in_use(void) {
  struct pages *p = pages_new();
  for (int i = 0; i < 2048 && pages_used(p) == 0; i++) free_block(p, new_block(p, 1024), 1024);
  return p;
}

/* ---- against a model -------------------------------------------------------------------------- */

struct slot {
  unsigned char *block;
  size_t size;
  unsigned char fill;
};

static bool is_intact(const struct slot *s, size_t size) {
  for (size_t i = 0; i < size && i < s->size; i++)
    if (s->block[i] != s->fill) return false;
  return true;
}

/* Mostly small sizes, some on either side of the largest block, some large. */
static size_t random_size(uint64_t *seed) {
  unsigned kind = chance_below(seed, 10);
  if (kind < 6) return 1 + chance_below(seed, 128);
  if (kind < 8) return 1 + chance_below(seed, PAGES_LARGEST);
  return kind == 8 ? PAGES_LARGEST - 8 + chance_below(seed, 16) : 1 + chance_below(seed, 20000);
}

static void fill(struct slot *s, uint64_t *seed) {
  s->fill = (unsigned char)chance_below(seed, 256);
  memset(s->block, s->fill, s->size);
}

/* One step on a slot: it is filled, freed or resized. */
static void step(struct pages *p, struct slot *s, uint64_t *seed) {
  size_t size = random_size(seed), old_size = s->size;
  CHECK(is_intact(s, s->size));
  if (s->block != NULL && chance_below(seed, 2) == 0) {
    free_block(p, s->block, s->size);
    *s = (struct slot){0};
    return;
  }
  s->block = pages_alloc(p, s->block, old_size, size);
  s->size = size;
  if (!CHECK(s->block != NULL)) return;
  CHECK_EQ((uintptr_t)s->block % 16, 0);
  CHECK(is_intact(s, old_size));
  fill(s, seed);
}

static void run_model(struct pages *p) {
  enum { SLOTS = 3000 };
  static struct slot slots[SLOTS];
  uint64_t seed = chance_env("AQ_SEED", 1);
  for (int i = 0; i < MANY; i++) step(p, &slots[chance_below(&seed, SLOTS)], &seed);
  for (int i = 0; i < SLOTS; i++) {
    CHECK(is_intact(&slots[i], slots[i].size));
    if (slots[i].block != NULL) free_block(p, slots[i].block, slots[i].size);
    slots[i] = (struct slot){0};
  }
}

TEST(blocks_keep_their_contents_through_all_that_happens) {
  struct pages *p = pages_new();
  if (!CHECK(p != NULL)) return;
  run_model(p);
  CHECK(pages_used(p) <= (size_t)PAGES_LARGEST / 16 * PAGE); /* one for each size at most */
  pages_free(p);
}

TEST(without_pages_all_is_the_c_librarys) {
  run_model(NULL);
  pages_free(NULL);
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void *blocks[MANY];

static void take_many(struct pages *p, size_t size) {
  for (int i = 0; i < MANY; i++) CHECK((blocks[i] = new_block(p, size)) != NULL);
}

/* Every `step`-th, so that pages empty slowly. */
static void free_many(struct pages *p, size_t size, int step) {
  for (int first = 0; first < step; first++)
    for (int i = first; i < MANY; i += step) free_block(p, blocks[i], size);
}

TEST(a_program_that_asks_for_little_has_no_pages) {
  struct pages *p = pages_new();
  void *block = new_block(p, 100);
  CHECK_EQ(pages_used(p), 0);
  block = pages_alloc(p, block, 100, 200);
  free_block(p, block, 200);
  pages_free(p);
}

TEST(blocks_of_a_size_lie_side_by_side) {
  struct pages *p = pages_in_use();
  take_many(p, BYTES);
  size_t full = (size_t)MANY * BYTES;
  CHECK(pages_used(p) < full + full / 100 + PAGE);
  for (int i = 1; i < 100; i++) CHECK_EQ((char *)blocks[i] - (char *)blocks[i - 1], BYTES);
  pages_free(p);
}

/* The lowest and the highest address of the blocks taken. */
static void extent(char **lowest, char **highest) {
  *lowest = *highest = blocks[0];
  for (int i = 0; i < MANY; i++) {
    char *b = blocks[i];
    if (b < *lowest) *lowest = b;
    if (b > *highest) *highest = b;
  }
}

TEST(a_page_serves_another_size_afterwards) {
  struct pages *p = pages_in_use();
  char *lowest, *highest, *low, *high;
  take_many(p, BYTES);
  extent(&lowest, &highest);
  free_many(p, BYTES, 7);
  CHECK(pages_used(p) <= 2 * PAGE);
  take_many(p, BYTES - 16);
  extent(&low, &high);
  CHECK(low >= lowest - PAGE && high <= highest + PAGE);
  pages_free(p);
}

TEST(a_block_given_back_is_the_next_of_its_size) {
  struct pages *p = pages_in_use();
  void *a = new_block(p, 40), *b = new_block(p, 40);
  free_block(p, a, 40);
  CHECK(new_block(p, 33) == a);
  free_block(p, b, 40);
  CHECK(new_block(p, 48) == b);
  pages_free(p);
}

static size_t resident(void) {
  unsigned long all = 0, pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%lu %lu", &all, &pages) != 2) pages = 0;
  if (f != NULL) fclose(f);
  return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

TEST(memory_goes_back_to_the_system) {
  struct pages *p = pages_in_use();
  memset(blocks, 1, sizeof blocks);
  size_t before = resident(), all = (size_t)MANY * BYTES;
  if (before == 0) return; /* no /proc here */
  take_many(p, BYTES);
  CHECK(resident() > before + all / 2);
  free_many(p, BYTES, 3);
  CHECK(pages_kept(p) < all / 4);
  CHECK(resident() < before + all / 4);
  take_many(p, BYTES); /* and can be had again */
  for (int i = 0; i < MANY; i++) memset(blocks[i], i, BYTES);
  free_many(p, BYTES, 1);
  pages_free(p);
  CHECK(resident() < before + PAGE * 16);
}

TEST(what_is_freed_is_kept_while_as_much_is_in_use) {
  struct pages *p = pages_in_use();
  take_many(p, BYTES);
  size_t full = pages_used(p);
  for (int i = 0; i < MANY / 3; i++) free_block(p, blocks[i], BYTES);
  CHECK(pages_kept(p) > full / 4);
  CHECK(pages_used(p) + pages_kept(p) >= full - PAGE);
  pages_free(p);
}

TEST(where_addresses_are_limited_none_are_reserved) {
  if (HAS_SANITIZER) return;
  struct rlimit before, limit;
  CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
  limit = before;
  limit.rlim_cur = (rlim_t)1 << 44;
  CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  struct pages *p = pages_in_use();
  CHECK_EQ(pages_used(p), 0);
  pages_free(p);
  CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

/* Fills up what the limit leaves, from the n-th block on; the number of the first there was none for. */
static int take_all(struct pages *p, int n, size_t size) {
  while (n < MANY && (blocks[n] = new_block(p, size)) != NULL) n++;
  return n;
}

TEST(without_memory_a_block_still_shrinks_and_grows_back) {
  if (HAS_SANITIZER) return;
  struct pages *p = pages_in_use();
  struct rlimit before, limit;
  CHECK_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  limit = before;
  limit.rlim_cur = 100 << 20;
  CHECK_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
  int n = take_all(p, 0, 1000), all = take_all(p, n, 100);
  CHECK(n > 1000 && all < MANY);
  void *block = n > 0 ? pages_alloc(p, blocks[0], 1000, 100) : NULL;
  CHECK(block == blocks[0]);
  blocks[0] = pages_alloc(p, block, 100, 900);
  CHECK(blocks[0] != NULL);
  for (int i = 0; i < all; i++) free_block(p, blocks[i], i < n ? 1000 : 100);
  CHECK(new_block(p, 64) != NULL);
  CHECK_EQ(setrlimit(RLIMIT_DATA, &before), 0);
  pages_free(p);
}

TEST(two_states_share_nothing) {
  struct pages *p = pages_in_use(), *q = pages_in_use();
  void *a = new_block(p, 100), *b = new_block(q, 100);
  memset(a, 1, 100);
  memset(b, 2, 100);
  pages_free(p);
  CHECK_EQ(((unsigned char *)b)[99], 2);
  free_block(q, b, 100);
  pages_free(q);
}

TEST(a_block_stays_where_it_is_while_it_fits) {
  struct pages *p = pages_in_use();
  void *a = new_block(p, 33);
  CHECK(pages_alloc(p, a, 33, 48) == a);
  CHECK(pages_alloc(p, a, 48, 34) == a);
  void *b = pages_alloc(p, a, 34, 32);
  CHECK(b != a);
  void *c = pages_alloc(p, b, 32, 5000);
  CHECK(c != b);
  free_block(p, c, 5000);
  pages_free(p);
}
