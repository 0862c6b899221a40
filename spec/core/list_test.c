/*
** list_test.c - the intrusive list.
*/
#include "check.h"
#include "core/list.h"

struct letter {
  char name;
  struct aq_list link;
};

static struct aq_list head;
static struct letter a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

static void init_all(void) {
  aq_list_init(&head);
  aq_list_init(&a.link);
  aq_list_init(&b.link);
  aq_list_init(&c.link);
}

static void append_all(void) {
  init_all();
  aq_list_append(&head, &a.link);
  aq_list_append(&head, &b.link);
  aq_list_append(&head, &c.link);
}

/* The names in a list from head to tail; a broken backward link shows as '!'. */
static const char *names(const struct aq_list *list) {
  static char text[16];
  size_t n = 0;
  for (struct aq_list *l = list->next; l != list && n < sizeof text - 2; l = l->next) {
    text[n++] = AQ_CONTAINER(l, struct letter, link)->name;
    if (l->prev->next != l || l->next->prev != l) text[n++] = '!';
  }
  text[n] = '\0';
  return text;
}

TEST(a_new_list_is_empty_and_a_new_node_alone) {
  init_all();
  CHECK(aq_list_alone(&head));
  CHECK(aq_list_alone(&a.link));
  CHECK_STR(names(&head), "");
}

TEST(append_keeps_the_order) {
  append_all();
  CHECK_STR(names(&head), "abc");
  CHECK(!aq_list_alone(&head));
  CHECK(!aq_list_alone(&b.link));
}

TEST(unlink_at_each_place) {
  append_all();
  aq_list_unlink(&b.link);
  CHECK_STR(names(&head), "ac");
  aq_list_unlink(&a.link);
  CHECK_STR(names(&head), "c");
  aq_list_unlink(&c.link);
  CHECK_STR(names(&head), "");
  CHECK(aq_list_alone(&head));
}

TEST(unlinking_twice_is_harmless) {
  append_all();
  aq_list_unlink(&b.link);
  aq_list_unlink(&b.link);
  CHECK(aq_list_alone(&b.link));
  CHECK_STR(names(&head), "ac");
}

TEST(a_node_can_be_appended_again) {
  append_all();
  aq_list_unlink(&a.link);
  aq_list_append(&head, &a.link);
  CHECK_STR(names(&head), "bca");
}

TEST(move_takes_all_nodes) {
  struct aq_list to;
  aq_list_init(&to);
  append_all();
  aq_list_move(&head, &to);
  CHECK(aq_list_alone(&head));
  CHECK_STR(names(&to), "abc");
  aq_list_unlink(&b.link);
  CHECK_STR(names(&to), "ac");
  aq_list_append(&head, &b.link);
  CHECK_STR(names(&head), "b");
}

TEST(move_of_one_node_and_of_none) {
  struct aq_list to;
  aq_list_init(&to);
  init_all();
  aq_list_move(&head, &to);
  CHECK(aq_list_alone(&to));
  aq_list_append(&head, &a.link);
  aq_list_move(&head, &to);
  CHECK_STR(names(&to), "a");
  CHECK(aq_list_alone(&head));
}
