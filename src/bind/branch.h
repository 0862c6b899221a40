/*
** branch.h - one of the things that a select waits for.
**
** A branch is made by q:getting(), q:putting(item), q:joining() and event:waiting(), and holds its
** object and what belongs to it in user values. While a select waits, each branch has a waiter in
** the thing's room. The first that is settled is elected at once: the others leave, and the
** select's task is made ready in its stead. So exactly one branch has happened when the task runs,
** and the others were never there.
**
** The functions of a kind are called with the branch's values at stack index 1 (the object), 2 and
** 3, in a frame of their own.
*/
#ifndef AQ_BRANCH_H
#define AQ_BRANCH_H

#include <lua.h>
#include <stdbool.h>

#include "runtime.h"

struct aq_branch;
struct aq_select;

struct aq_branch_kind {
  /* Does it if it can be done at once. AQ_OK: its value is on top. AQ_EMPTY: it would have to wait.
  ** Else, and if it raises: it wins, with that error. */
  enum aq_status (*attempt)(lua_State *L, struct aq_branch *b);
  /* Lets the branch's waiter wait. AQ_OK: it does. AQ_EMPTY: it need not any more; nothing was
  ** changed. */
  enum aq_status (*enter)(lua_State *L, struct aq_branch *b);
  /* For the elected: completes it, or hands its ticket on. AQ_OK: its value is on top. */
  enum aq_status (*finish)(lua_State *L, struct aq_branch *b, bool cancelled);
  /* For the others, which waited: forgets what enter prepared. May be NULL. */
  void (*forget)(lua_State *L, struct aq_branch *b);
};

/* User values of a branch: what its functions find at stack index 1, 2, 3. */
enum { AQ_UV_OBJECT = 1, AQ_UV_ITEM, AQ_UV_KEY, AQ_UV_BRANCH_COUNT = AQ_UV_KEY };

struct aq_branch {
  const void *class; /* aq_branch_class */
  const struct aq_branch_kind *kind;
  struct aq_waiter waiter;
  struct aq_select *select; /* that waits for it, or NULL */
  uint64_t bits;            /* a waiting put's packed item, if it is shelved */
  int nvalues;              /* values given to its functions: 1 to 3 */
  bool is_shelved;
};

extern const char aq_branch_class[];

/* Pushes a branch of `kind` for the object at 1 and, with nvalues = 2, the item at 2. [-0, +1, m] */
void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, int nvalues);

#endif
