/*
** heap_test.c - the heap against a naive sorted array.
*/
#include "check.h"
#include "chance.h"
#include "core/heap.h"
#include "memory.h"

enum { MANY = 5000 };

static struct memory memory;
static struct aq_heap heap;
static struct aq_heap_node nodes[MANY];

static void open_heap(void) {
  memory = (struct memory){0};
  memset(nodes, 0, sizeof nodes);
  aq_heap_init(&heap, memory_alloc(&memory));
}

static void close_heap(void) {
  aq_heap_free(&heap);
  CHECK(memory_is_clean(&memory));
}

static void push(size_t node, uint64_t key) {
  CHECK_EQ(aq_heap_reserve(&heap), AQ_OK);
  aq_heap_push(&heap, &nodes[node], key);
}

/* Removes the least and says which it was. */
static size_t pop(void) {
  const struct aq_heap_entry *least = aq_heap_least(&heap);
  if (!CHECK(least != NULL)) return MANY;
  size_t node = (size_t)(least->node - nodes);
  aq_heap_remove(&heap, &nodes[node]);
  CHECK(!aq_heap_holds(&nodes[node]));
  return node;
}

/* Each node knows its place, and no child is less than its parent. */
static void check_shape(void) {
  for (size_t i = 0; i < heap.count; i++) {
    const struct aq_heap_entry *e = &heap.entries[i], *up = &heap.entries[i > 0 ? (i - 1) / 2 : 0];
    CHECK_EQ(e->node->place, i + 1);
    CHECK(up->key < e->key || (up->key == e->key && up->seq <= e->seq));
  }
}

TEST(an_empty_heap_has_no_least_and_no_memory) {
  open_heap();
  CHECK(aq_heap_least(&heap) == NULL);
  aq_heap_remove(&heap, &nodes[0]);
  CHECK_EQ(memory.calls, 0);
  close_heap();
}

TEST(the_least_key_comes_first) {
  static const uint64_t keys[] = {5, 3, 8, 1, UINT64_MAX, 0, 4};
  static const size_t sorted[] = {5, 3, 1, 6, 0, 2, 4};
  open_heap();
  for (size_t i = 0; i < 7; i++) push(i, keys[i]);
  for (size_t i = 0; i < 7; i++) CHECK_EQ(pop(), sorted[i]);
  close_heap();
}

TEST(L3_equal_keys_come_out_in_the_order_they_went_in) {
  open_heap();
  for (size_t i = 0; i < 300; i++) push(i, i % 3);
  for (size_t i = 0; i < 300; i++) CHECK_EQ(pop(), (i % 100) * 3 + i / 100);
  close_heap();
}

TEST(L3_a_removal_keeps_the_order_of_equal_keys) {
  open_heap();
  for (size_t i = 0; i < 100; i++) push(i, 7);
  for (size_t i = 0; i < 100; i += 2) aq_heap_remove(&heap, &nodes[i]);
  for (size_t i = 1; i < 100; i += 2) CHECK_EQ(pop(), i);
  close_heap();
}

TEST(removing_twice_is_harmless) {
  open_heap();
  push(0, 1);
  push(1, 2);
  aq_heap_remove(&heap, &nodes[0]);
  aq_heap_remove(&heap, &nodes[0]);
  CHECK_EQ(heap.count, 1);
  CHECK_EQ(pop(), 1);
  close_heap();
}

/* The model: what is inside, in the order it must come out. */
static struct {
  uint64_t key;
  size_t node;
} sorted[MANY];
static size_t inside;

static void model_push(size_t node, uint64_t key) {
  size_t i = inside++;
  for (; i > 0 && sorted[i - 1].key > key; i--) sorted[i] = sorted[i - 1];
  sorted[i].key = key;
  sorted[i].node = node;
}

static void model_remove(size_t i) {
  memmove(&sorted[i], &sorted[i + 1], (--inside - i) * sizeof sorted[0]);
}

TEST(random_pushes_and_removals_against_a_sorted_array) {
  uint64_t seed = chance_env("AQ_SEED", 1);
  open_heap();
  inside = 0;
  for (int step = 0; step < 100000; step++) {
    size_t node = chance_below(&seed, 200);
    if (!aq_heap_holds(&nodes[node])) {
      uint64_t key = chance_below(&seed, 50);
      push(node, key);
      model_push(node, key);
    } else if (inside > 0) {
      size_t i = chance_below(&seed, 3) == 0 ? 0 : chance_below(&seed, (unsigned)inside);
      aq_heap_remove(&heap, &nodes[sorted[i].node]);
      model_remove(i);
    }
    CHECK_EQ(heap.count, inside);
    if (inside > 0) CHECK(aq_heap_least(&heap)->node == &nodes[sorted[0].node]);
    if (step % 100 == 0) check_shape();
  }
  while (inside > 0) {
    CHECK_EQ(pop(), sorted[0].node);
    model_remove(0);
  }
  close_heap();
}

TEST(the_array_shrinks_when_most_have_left) {
  open_heap();
  for (size_t i = 0; i < MANY; i++) push(i, MANY - i);
  size_t most = memory.bytes;
  for (size_t i = MANY; i-- > 10;) CHECK_EQ(pop(), i);
  CHECK(memory.bytes <= most / 4);
  check_shape();
  for (size_t i = 10; i-- > 0;) CHECK_EQ(pop(), i);
  close_heap();
}

TEST(a_push_after_a_reserve_fits_even_if_the_array_shrank_between) {
  open_heap();
  for (size_t i = 0; i < 4096; i++) push(i, i);
  CHECK_EQ(aq_heap_reserve(&heap), AQ_OK);
  for (size_t i = 0; i < 4096; i++) {
    aq_heap_remove(&heap, &nodes[i]);
    CHECK(heap.count < heap.capacity);
  }
  aq_heap_push(&heap, &nodes[0], 1);
  CHECK_EQ(pop(), 0);
  close_heap();
}

TEST(out_of_memory_changes_nothing) {
  open_heap();
  memory.fails = true;
  CHECK_EQ(aq_heap_reserve(&heap), AQ_NOMEM);
  CHECK_EQ(heap.capacity, 0);
  memory.fails = false;
  for (size_t i = 0; i < 15; i++) push(i, 15 - i);
  memory.fails = true;
  CHECK_EQ(aq_heap_reserve(&heap), AQ_NOMEM); /* one entry is free, for whoever made room before */
  CHECK_EQ(heap.count, 15);
  check_shape();
  for (size_t i = 15; i-- > 0;) CHECK_EQ(pop(), i);
  CHECK_EQ(aq_heap_reserve(&heap), AQ_OK); /* what is there already needs no memory */
  close_heap();
}

TEST(a_failed_shrink_is_no_failure) {
  open_heap();
  for (size_t i = 0; i < MANY; i++) push(i, i);
  memory.fails = true;
  for (size_t i = 0; i < MANY; i++) CHECK_EQ(pop(), i);
  close_heap();
}
