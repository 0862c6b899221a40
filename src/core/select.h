/*
** select.h - one party waits for several things, and gets the first of them.
**
** For each thing there is a branch: a waiter that enters the thing's room as any other does, and
** waits its turn there. The party's own waiter enters no room. Whoever settles the waiter of a
** branch elects it, in that very call: the waiters of all others leave their rooms, and the
** party's becomes ready in its stead.
**
**                  add, then the thing's *_wait        its thing settles it
**     a branch     IDLE ----------------------> WAITING -------------------> elected, IDLE
**                                                  \_________ another is elected, the party's wait
**                                                             is broken off, or end: IDLE
**                  aq_select_wait                      an election
**     the party    IDLE ----------------------> WAITING -------------------> READY
**                                                  \_________ deadline, cancel: READY
**
** What always holds:
**
**     - At most one branch is elected. Once one is, or the party's wait was broken off, no branch
**       waits: so the others own no ticket, and have left no trace.
**     - The elected branch was settled as any waiter is: it may own a ticket, and whoever ends the
**       select uses it or hands it on (the thing's *_end, with the waiter of the branch).
**     - A branch is in one select at most, from add to end. It has no deadline: the party has.
**
** An election may come before the party waits, while further branches still enter.
*/
#ifndef AQ_SELECT_H
#define AQ_SELECT_H

#include "waiter.h"

struct aq_select;

struct aq_branch {
  struct aq_waiter waiter;  /* what enters the thing's room */
  struct aq_select *select; /* the select it is in, or NULL */
  struct aq_branch *next;   /* the one added to that select after it */
};

struct aq_select {
  struct aq_waiter *party;
  struct aq_branch *first;  /* the branches in it, in the order in which they were added */
  struct aq_branch **last;  /* where the next one is noted */
  struct aq_branch *chosen; /* the one elected, or NULL */
};

void aq_branch_init(struct aq_branch *b, struct aq_agenda *a);

/* A select without branches for the party behind `w`. */
void aq_select_init(struct aq_select *s, struct aq_waiter *w);

/* Adds a branch, whose waiter is to enter its room next. False: it is in a select already. */
bool aq_select_add(struct aq_select *s, struct aq_branch *b);

/*
** To be called as soon as the waiter of a branch has entered: whether the next is to. False: one
** has been elected already; whoever has entered since is taken out again.
*/
bool aq_select_go_on(struct aq_select *s);

/*
** The party, IDLE, waits for the election; it is ready at once if there was one. As for any waiter,
** a deadline other than AQ_NEVER needs aq_agenda_reserve before.
*/
void aq_select_wait(struct aq_select *s, uint64_t deadline_ns);

/* Takes the waiters of all branches out of their rooms. The branches stay in the select. */
void aq_select_leave(struct aq_select *s);

/* Empties the select: none of its branches waits any more, and each can be added to any other. */
void aq_select_end(struct aq_select *s);

#endif
