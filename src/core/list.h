/*
** list.h - an intrusive circular doubly linked list.
**
**     head <-> a <-> b <-> c <-> head          alone:  n <-> n
**
** A list is a node that nobody owns (its head). A node that is in no list points at itself, and
** unlinking leaves it so: unlinking twice is harmless, and `aq_list_alone` tells whether a node is
** in any list. Nothing is allocated; the owner of a node's struct owns the node.
*/
#ifndef AQ_LIST_H
#define AQ_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct aq_list {
  struct aq_list *next; /* towards the tail; the head's next is the first node */
  struct aq_list *prev; /* towards the head; the head's prev is the last node */
};

/* The struct of type `type` whose member `member` is the node `node`. */
#define AQ_CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void aq_list_init(struct aq_list *n) {
  n->next = n;
  n->prev = n;
}

/* True for a head: the list is empty. For a node: it is in no list. */
static inline bool aq_list_alone(const struct aq_list *n) { return n->next == n; }

/* Puts `n`, which is alone, at the tail of the list `head`. */
static inline void aq_list_append(struct aq_list *head, struct aq_list *n) {
  n->next = head;
  n->prev = head->prev;
  head->prev->next = n;
  head->prev = n;
}

/* Takes `n` out of whatever list it is in and leaves it alone. */
static inline void aq_list_unlink(struct aq_list *n) {
  n->prev->next = n->next;
  n->next->prev = n->prev;
  aq_list_init(n);
}

/* Moves all nodes of `from` to `to`, which is an empty head; `from` is empty afterwards. */
static inline void aq_list_move(struct aq_list *from, struct aq_list *to) {
  struct aq_list *first = from->next, *last = from->prev;
  if (first == from) return;
  first->prev = to;
  last->next = to;
  to->next = first;
  to->prev = last;
  aq_list_init(from);
}

#endif
