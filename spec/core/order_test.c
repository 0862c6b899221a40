/*
** order_test.c - the ring of items against a naive array, and the way to the sorted list.
*/
#include "check.h"
#include "chance.h"
#include "core/order.h"
#include "memory.h"

enum { MANY = 20000 };

static struct memory memory;
static struct aq_order order;

static void open_order(enum aq_order_kind kind) {
  memory = (struct memory){0};
  aq_order_init(&order, kind, memory_alloc(&memory));
}

static void close_order(void) {
  aq_order_free(&order);
  CHECK(memory_is_clean(&memory));
}

static bool is_before(void *ctx, struct aq_item other) { return *(uint64_t *)ctx < other.bits; }

/* By priority, the number is the key too. */
static void push(uint64_t number) {
  if (order.kind == AQ_PRIORITY)
    CHECK(aq_sorted_find(&order.sorted, is_before, &number, &order.place));
  CHECK_EQ(aq_order_reserve(&order, order.count + 1), AQ_OK);
  aq_order_push(&order, (struct aq_item){number, ~number});
}

/* Pops what peek has shown; both halves of an item travel together. */
static uint64_t pop(void) {
  struct aq_item next = aq_order_peek(&order), item = aq_order_pop(&order);
  CHECK_EQ(next.bits, item.bits);
  CHECK(next.tag == item.tag && item.tag == ~item.bits);
  return item.bits;
}

TEST(a_new_order_is_empty_and_has_no_memory) {
  open_order(AQ_FIFO);
  CHECK_EQ(order.count, 0);
  CHECK_EQ(memory.calls, 0);
  CHECK_EQ(aq_order_reserve(&order, 0), AQ_OK);
  CHECK_EQ(memory.calls, 0);
  close_order();
}

TEST(first_in_first_out) {
  open_order(AQ_FIFO);
  for (uint64_t i = 0; i < 100; i++) push(i);
  for (uint64_t i = 0; i < 100; i++) CHECK_EQ(pop(), i);
  close_order();
}

TEST(last_in_first_out) {
  open_order(AQ_LIFO);
  for (uint64_t i = 0; i < 100; i++) push(i);
  for (uint64_t i = 100; i-- > 0;) CHECK_EQ(pop(), i);
  close_order();
}

TEST(V1_by_priority_the_least_leaves_first) {
  open_order(AQ_PRIORITY);
  for (uint64_t i = 0; i < 100; i++) push(i * 37 % 100);
  CHECK_EQ(order.count, 100);
  for (uint64_t i = 0; i < 100; i++) CHECK_EQ(pop(), i);
  CHECK_EQ(order.count, 0);
  close_order();
}

TEST(V2_by_priority_one_pushed_late_leaves_before_larger_ones) {
  open_order(AQ_PRIORITY);
  push(5);
  push(3);
  CHECK_EQ(pop(), 3);
  push(1);
  push(9);
  CHECK_EQ(pop(), 1);
  CHECK_EQ(pop(), 5);
  CHECK_EQ(pop(), 9);
  close_order();
}

static void random_operations(enum aq_order_kind kind) {
  static uint64_t model[MANY];
  size_t first = 0, count = 0; /* model[first .. first + count - 1] is inside, oldest first */
  uint64_t seed = chance_env("AQ_SEED", 1) + kind;
  open_order(kind);
  for (uint64_t number = 0; number < MANY / 2; number++) {
    /* Long stretches of mostly pushes and of mostly pops: the ring wraps, grows and shrinks. */
    unsigned pushes = number / 1000 % 2 == 0 ? 70 : 30;
    if (count == 0 || chance_below(&seed, 100) < pushes) {
      push(number);
      model[first + count++] = number;
    } else {
      CHECK_EQ(pop(), kind == AQ_LIFO ? model[first + count - 1] : model[first]);
      if (kind == AQ_FIFO) first++;
      count--;
    }
    if (chance_below(&seed, 10) == 0) aq_order_trim(&order, count);
    CHECK_EQ(order.count, count);
    CHECK(order.count <= order.capacity);
  }
  close_order();
}

TEST(fifo_against_a_model) { random_operations(AQ_FIFO); }
TEST(lifo_against_a_model) { random_operations(AQ_LIFO); }

TEST(growth_of_a_wrapped_ring_keeps_the_order) {
  open_order(AQ_FIFO);
  for (uint64_t i = 0; i < 8; i++) push(i);
  for (uint64_t i = 0; i < 5; i++) CHECK_EQ(pop(), i);
  for (uint64_t i = 8; i < 13; i++) push(i);
  CHECK_EQ(order.capacity, 8);
  for (uint64_t i = 13; i < 50; i++) push(i);
  for (uint64_t i = 5; i < 50; i++) CHECK_EQ(pop(), i);
  close_order();
}

TEST(the_capacity_is_a_power_of_two_that_suffices) {
  static const size_t wanted[] = {1, 8, 9, 1000, 1024, 1025};
  for (size_t i = 0; i < 6; i++) {
    open_order(AQ_FIFO);
    CHECK_EQ(aq_order_reserve(&order, wanted[i]), AQ_OK);
    CHECK(order.capacity >= wanted[i]);
    CHECK_EQ(order.capacity & (order.capacity - 1), 0);
    close_order();
  }
}

TEST(trim_gives_memory_back_and_keeps_the_items) {
  open_order(AQ_FIFO);
  for (uint64_t i = 0; i < MANY; i++) push(i);
  size_t most = memory.bytes;
  for (uint64_t i = 0; i < MANY; i++) {
    CHECK_EQ(pop(), i);
    aq_order_trim(&order, order.count);
  }
  CHECK(memory.bytes <= most / 8);
  close_order();
}

TEST(trim_leaves_room_for_what_is_to_be_kept) {
  open_order(AQ_FIFO);
  for (size_t keep = 0; keep < 5000; keep += 7) {
    CHECK_EQ(aq_order_reserve(&order, 8192), AQ_OK);
    for (int i = 0; i < 10; i++) aq_order_trim(&order, keep);
    CHECK(order.capacity >= keep);
  }
  close_order();
}

TEST(a_small_ring_is_never_trimmed) {
  open_order(AQ_FIFO);
  for (uint64_t i = 0; i < 1000; i++) push(i);
  for (uint64_t i = 0; i < 1000; i++) pop();
  size_t calls = memory.calls;
  aq_order_trim(&order, 0);
  CHECK_EQ(memory.calls, calls);
  close_order();
}

TEST(out_of_memory_changes_nothing) {
  open_order(AQ_FIFO);
  memory.fails = true;
  CHECK_EQ(aq_order_reserve(&order, 1), AQ_NOMEM);
  CHECK_EQ(order.capacity, 0);
  memory.fails = false;
  for (uint64_t i = 0; i < 8; i++) push(i);
  memory.fails = true;
  CHECK_EQ(aq_order_reserve(&order, 9), AQ_NOMEM);
  CHECK_EQ(aq_order_reserve(&order, 8), AQ_OK);
  for (uint64_t i = 0; i < 8; i++) CHECK_EQ(pop(), i);
  close_order();
}

TEST(by_priority_out_of_memory_changes_nothing) {
  open_order(AQ_PRIORITY);
  memory.fails = true;
  CHECK_EQ(aq_order_reserve(&order, 1), AQ_NOMEM);
  CHECK_EQ(order.count, 0);
  memory.fails = false;
  for (uint64_t i = 0; i < 257; i++) push(256 - i);
  memory.fails = true;
  CHECK_EQ(aq_order_reserve(&order, 258), AQ_NOMEM); /* the spare chunk was just used */
  CHECK_EQ(order.count, 257);
  for (uint64_t i = 0; i < 257; i++) CHECK_EQ(pop(), i);
  close_order();
}

TEST(by_priority_there_is_no_ring_to_trim) {
  open_order(AQ_PRIORITY);
  for (uint64_t i = 0; i < 5000; i++) push(i);
  CHECK_EQ(order.capacity, 0);
  size_t calls = memory.calls;
  for (uint64_t i = 0; i < 5000; i++) {
    CHECK_EQ(pop(), i);
    aq_order_trim(&order, order.count);
  }
  CHECK_EQ(memory.calls, calls);
  close_order();
}

TEST(by_priority_free_with_items_inside_leaks_nothing) {
  open_order(AQ_PRIORITY);
  for (uint64_t i = 0; i < 1000; i++) push(i);
  close_order();
}

TEST(a_failed_trim_is_no_failure) {
  open_order(AQ_FIFO);
  for (uint64_t i = 0; i < 5000; i++) push(i);
  memory.fails = true;
  for (uint64_t i = 0; i < 5000; i++) {
    CHECK_EQ(pop(), i);
    aq_order_trim(&order, order.count);
  }
  CHECK(order.capacity >= 5000);
  close_order();
}
