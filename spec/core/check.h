/*
** check.h - a small test harness: one test program is one file that includes it.
**
**     TEST(Q4_get_now_on_an_empty_queue) { CHECK_EQ(aq_queue_get_now(&q, &item), AQ_EMPTY); }
**
** Tests register themselves before main and run in the order in which they are written. A failed
** check is printed and counted and the test goes on, so one run shows all that is wrong. The name
** of a test begins with the rule that it holds, where there is one. `prog TEXT` runs the tests
** whose name contains TEXT.
*/
#ifndef AQ_CHECK_H
#define AQ_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct check_test {
  const char *name;
  void (*run)(void);
  struct check_test *next; /* registered after this one */
};

static struct {
  struct check_test *first; /* of all tests */
  struct check_test *last;
  const char *running; /* name of the test under way */
  int failures;        /* failed checks in it */
} check;

enum { CHECK_SHOWN = 10 }; /* failures printed for each test: a loop may fail a million times */

static inline void check_add(struct check_test *t) {
  if (check.first == NULL)
    check.first = t;
  else
    check.last->next = t;
  check.last = t;
}

#define TEST(name)                                                                                 \
  static void test_##name(void);                                                                   \
  __attribute__((constructor)) static void add_##name(void) {                                      \
    static struct check_test t = {#name, test_##name, NULL};                                       \
    check_add(&t);                                                                                 \
  }                                                                                                \
  static void test_##name(void)

/* Counts a failure; true if it is still to be printed. */
static inline bool check_failed(const char *file, int line) {
  if (++check.failures > CHECK_SHOWN) return false;
  printf("%s:%d: %s: ", file, line, check.running);
  return true;
}

static inline bool check_true(bool held, const char *file, int line, const char *text) {
  if (!held && check_failed(file, line)) printf("CHECK(%s)\n", text);
  return held;
}

static inline bool check_equal(intmax_t a, intmax_t b, const char *file, int line,
                               const char *text) {
  if (a != b && check_failed(file, line)) printf("CHECK_EQ(%s): %jd is not %jd\n", text, a, b);
  return a == b;
}

static inline bool check_same(const char *a, const char *b, const char *file, int line,
                              const char *text) {
  bool same = strcmp(a, b) == 0;
  if (!same && check_failed(file, line))
    printf("CHECK_STR(%s): \"%s\" is not \"%s\"\n", text, a, b);
  return same;
}

/* Each says whether it held. */
#define CHECK(cond) check_true((cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(a, b) check_equal((intmax_t)(a), (intmax_t)(b), __FILE__, __LINE__, #a ", " #b)
#define CHECK_STR(a, b) check_same((a), (b), __FILE__, __LINE__, #a ", " #b)

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0); /* what was said is seen also if a test aborts */
  for (struct check_test *t = check.first; t != NULL; t = t->next) {
    if (argc > 1 && strstr(t->name, argv[1]) == NULL) continue;
    check.running = t->name;
    check.failures = 0;
    t->run();
    if (check.failures > CHECK_SHOWN)
      printf("%s: %d more failed checks\n", t->name, check.failures - CHECK_SHOWN);
    if (check.failures > 0)
      failed++;
    else
      passed++;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}

#endif
