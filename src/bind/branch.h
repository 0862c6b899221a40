/*
** branch.h - one of the things that a select waits for, as Lua has it.
**
** It is made by q:getting(), q:putting(item), q:joining() and event:waiting(), and holds its object
** and what belongs to it in user values. While a select waits, the waiter of each is in its thing's
** room; which one is elected is the kernel's affair (core/select.h). A branch is in its select
** until the task's step, in which the elected is finished and the others forget what they had
** prepared.
**
** The functions of a kind are called with the branch's values at stack index 1 (the object), 2 and
** 3, in a frame of their own.
*/
#ifndef AQ_BRANCH_H
#define AQ_BRANCH_H

#include <lua.h>
#include <stdbool.h>

#include "core/select.h"
#include "runtime.h"

struct aq_branch_object;

struct aq_branch_kind {
  const char *name; /* for reports: what comes before its object, e.g. "getting from " */
  /* Does it if it can be done at once. AQ_OK: its value is on top. AQ_EMPTY: it would have to wait.
  ** Else, and if it raises: it wins, with that error. */
  enum aq_status (*attempt)(lua_State *L, struct aq_branch_object *b);
  /* Lets the branch's waiter wait. AQ_OK: it does. AQ_EMPTY: it need not any more; nothing was
  ** changed. */
  enum aq_status (*enter)(lua_State *L, struct aq_branch_object *b);
  /* For the elected: completes it, or hands its ticket on. AQ_OK: its value is on top. */
  enum aq_status (*finish)(lua_State *L, struct aq_branch_object *b, bool cancelled);
  /* For the others, which waited: forgets what enter prepared. May be NULL. */
  void (*forget)(lua_State *L, struct aq_branch_object *b);
};

/* User values of a branch: what its functions find at stack index 1, 2, 3. */
enum { AQ_UV_OBJECT = 1, AQ_UV_ITEM, AQ_UV_KEY, AQ_UV_BRANCH_COUNT = AQ_UV_KEY };

struct aq_branch_object {
  const void *class; /* aq_branch_class */
  const struct aq_branch_kind *kind;
  struct aq_branch branch;
  uint64_t bits; /* a waiting put's packed item, if it is shelved */
  int nvalues;   /* values given to its functions: 1 to 3 */
  bool is_shelved;
};

extern const char aq_branch_class[];

/* The branch at `idx`, or NULL. */
struct aq_branch_object *aq_test_branch(lua_State *L, int idx);

/* Pushes a branch of `kind` for the object at 1 and, with nvalues = 2, the item at 2. [-0, +1, m] */
void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, int nvalues);

#endif
