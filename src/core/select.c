/*
** select.c - electing one branch of several.
*/
#include "select.h"

#include <assert.h>

/* A branch is settled: it is the one. Its party is ready in its stead, or will be when it waits. */
static void elect(struct aq_waiter *w) {
  struct aq_branch *b = AQ_CONTAINER(w, struct aq_branch, waiter);
  struct aq_select *s = b->select;
  assert(s->chosen == NULL);
  s->chosen = b;
  aq_select_leave(s);
  aq_waiter_settle(s->party, w->status);
}

void aq_branch_init(struct aq_branch *b, struct aq_agenda *a) {
  aq_waiter_init(&b->waiter, a, elect);
  b->waiter.is_branch = true;
  b->select = NULL;
  b->next = NULL;
}

void aq_select_init(struct aq_select *s, struct aq_waiter *w) {
  s->party = w;
  s->first = s->chosen = NULL;
  s->last = &s->first;
}

bool aq_select_add(struct aq_select *s, struct aq_branch *b) {
  if (b->select != NULL) return false;
  b->select = s;
  b->next = NULL;
  *s->last = b;
  s->last = &b->next;
  return true;
}

bool aq_select_go_on(struct aq_select *s) {
  if (s->chosen != NULL) aq_select_leave(s);
  return s->chosen == NULL;
}

/* The party's wait is broken off: no branch happens. */
static bool leave(struct aq_waiter *party, enum aq_status why) {
  (void)why;
  aq_select_leave(party->thing);
  return true;
}

void aq_select_wait(struct aq_select *s, uint64_t deadline_ns) {
  s->party->thing = s;
  if (s->chosen != NULL)
    aq_waiter_ready(s->party, s->chosen->waiter.status);
  else
    aq_waiter_enter(s->party, NULL, leave, deadline_ns);
}

void aq_select_leave(struct aq_select *s) {
  for (struct aq_branch *b = s->first; b != NULL; b = b->next) aq_waiter_drop(&b->waiter);
}

void aq_select_end(struct aq_select *s) {
  for (struct aq_branch *b = s->first; b != NULL; b = b->next) {
    aq_waiter_drop(&b->waiter);
    b->select = NULL;
  }
  s->first = s->chosen = NULL;
  s->last = &s->first;
}
