/*
** queue_alloc_test.c - no operation allocates: counted over a million of each.
*/
#include "check.h"
#include "core/queue.h"
#include "memory.h"

enum { MANY = 1000000 };

static struct memory memory;
static struct aq_agenda agenda;
static struct aq_queue q;

struct party {
  struct aq_waiter waiter;
  uint64_t moved; /* items put, or got */
};

static struct party putter, getter;

static bool put_next(void) {
  CHECK_EQ(aq_queue_reserve(&q), AQ_OK);
  if (aq_queue_put_now(&q, (struct aq_item){putter.moved, 0}) != AQ_OK) return false;
  putter.moved++;
  return true;
}

static void count_got(struct aq_item item) {
  CHECK_EQ(item.bits, getter.moved);
  getter.moved++;
}

static void go_on_putting(void) {
  while (putter.moved < MANY)
    if (!put_next()) {
      CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
      aq_queue_put_wait(&q, &putter.waiter, 1); /* a deadline that never comes: now_ns stays 0 */
      return;
    }
}

static void go_on_getting(void) {
  struct aq_item item;
  while (getter.moved < MANY) {
    if (aq_queue_get_now(&q, &item) != AQ_OK) {
      CHECK_EQ(aq_agenda_reserve(&agenda), AQ_OK);
      aq_queue_get_wait(&q, &getter.waiter, 1);
      return;
    }
    count_got(item);
  }
}

static void on_put(struct aq_waiter *w) {
  CHECK_EQ(aq_queue_put_end(&q, w, false, (struct aq_item){putter.moved, 0}), AQ_OK);
  putter.moved++;
  go_on_putting();
}

static void on_get(struct aq_waiter *w) {
  struct aq_item item = {0, 0};
  CHECK_EQ(aq_queue_get_end(&q, w, false, &item), AQ_OK);
  count_got(item);
  go_on_getting();
}

static void open_queue(size_t maxsize) {
  memory = (struct memory){0};
  aq_agenda_init(&agenda, memory_alloc(&memory));
  aq_queue_init(&q, maxsize, AQ_FIFO, memory_alloc(&memory));
  putter.moved = getter.moved = 0;
  aq_waiter_init(&putter.waiter, &agenda, on_put);
  aq_waiter_init(&getter.waiter, &agenda, on_get);
}

static void close_queue(void) {
  CHECK_EQ(putter.moved, MANY);
  CHECK_EQ(getter.moved, MANY);
  aq_queue_free(&q);
  aq_agenda_free(&agenda);
  CHECK(memory_is_clean(&memory));
}

TEST(put_now_and_get_now_allocate_nothing) {
  struct aq_item item;
  size_t warm = 0;
  open_queue(100);
  while (getter.moved < MANY) {
    while (putter.moved < MANY && put_next()) continue;
    if (warm == 0) warm = memory.calls;
    while (aq_queue_get_now(&q, &item) == AQ_OK) count_got(item);
  }
  CHECK(warm > 0);
  CHECK_EQ(memory.calls, warm);
  close_queue();
}

/* A producer and a consumer, each waiting for the other, with deadlines armed and disarmed. */
static void hand_over(size_t maxsize) {
  open_queue(maxsize);
  go_on_getting();
  go_on_putting();
  for (int i = 0; i < 10; i++) aq_agenda_turn(&agenda);
  size_t warm = memory.calls;
  while (aq_agenda_has_ready(&agenda)) aq_agenda_turn(&agenda);
  CHECK_EQ(memory.calls, warm);
  close_queue();
}

TEST(put_wait_and_get_wait_allocate_nothing_maxsize_1) { hand_over(1); }
TEST(put_wait_and_get_wait_allocate_nothing_maxsize_100) { hand_over(100); }

/* Larger than what is never trimmed: growing and trimming must not see-saw. */
TEST(filling_and_draining_a_large_queue_allocates_rarely) {
  struct aq_item item;
  open_queue(3000);
  while (getter.moved < MANY) {
    while (putter.moved < MANY && put_next()) continue;
    for (int i = 0; i < 1500 && aq_queue_get_now(&q, &item) == AQ_OK; i++) count_got(item);
    if (putter.moved == MANY)
      while (aq_queue_get_now(&q, &item) == AQ_OK) count_got(item);
  }
  CHECK(memory.calls < 20);
  close_queue();
}
