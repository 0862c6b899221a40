/*
** branch.h - one of the things that a select waits for, as Lua has it.
**
** It is made by q:getting(), q:putting(item), q:joining() and event:waiting(), and holds its object
** and what belongs to it in user values. While a select waits, the waiter of each is in its thing's
** room; which one is elected is the kernel's affair (core/select.h). A branch is in its select
** until the task's step, in which the elected is finished and the others forget what they had
** prepared.
**
** A select of many branches looks at each, lets each wait, and then does something with one of them
** only. So what is done to each is a plain call that cannot raise: is_ready, enter. The rest may
** raise, and costs a protected call: attempt and finish for the one that happens, prepare and
** forget for those that have something to keep.
*/
#ifndef AQ_BRANCH_H
#define AQ_BRANCH_H

#include <lua.h>
#include <stdbool.h>

#include "bind/base/runtime.h"
#include "core/select.h"

struct aq_branch_object;

/* Is called with the branch's values at stack index 1 (the object), 2 and 3, in a frame of its own,
** by aq_branch_call. May raise. */
typedef enum aq_status aq_branch_function(lua_State *L, struct aq_branch_object *b);

struct aq_branch_kind {
  const char *name; /* for reports: what comes before its object, e.g. "getting from " */
  /* Whether it can be done at once, or would raise. Only looks. */
  bool (*is_ready)(const struct aq_branch_object *b);
  /* For one that is ready: does it. AQ_OK: its value is on top. AQ_EMPTY: it would have to wait
  ** after all. Else, and if it raises: it wins, with that error. */
  aq_branch_function *attempt;
  /* Before enter: keeps what the wait needs, unless the branch is ready now. May run any code.
  ** NULL: it needs nothing. */
  aq_branch_function *prepare;
  /* For one that is prepared and not ready: lets its waiter wait. */
  void (*enter)(struct aq_branch_object *b);
  /* For the elected: completes it. AQ_OK: its value is on top. Else, and if it raises: that is its
  ** error. */
  aq_branch_function *finish;
  /* For the elected of a task that was cancelled: hands its ticket on. NULL: it has none. */
  aq_branch_function *give_up;
  /* For the others, if they are shelved: forgets what prepare kept. */
  aq_branch_function *forget;
};

/* User values of a branch: what its functions find at stack index 1, 2, 3. */
enum { AQ_UV_OBJECT = 1, AQ_UV_ITEM, AQ_UV_KEY };

struct aq_branch_object {
  const void *class; /* aq_branch_class */
  const struct aq_branch_kind *kind;
  struct aq_branch branch;
  void *object;                    /* what is in AQ_UV_OBJECT; of a guest's, what the guest said */
  const struct aq_branch_def *def; /* of a guest's (guest_branch.c), or NULL */
  uint64_t bits;                   /* a waiting put's packed item, if it is shelved */
  int nvalues;                     /* values given to its functions: 1 to 3 */
  bool is_shelved;                 /* there is something to forget */
};

extern const char aq_branch_class[];

/* Makes what all branches share. Stack: the runtime's userdata, anything. [-0, +0, m] */
void aq_branch_open(lua_State *L);

/* For reports: what comes before its object. */
const char *aq_branch_name(const struct aq_branch_object *b);

/* The branch at `idx`, or NULL. */
struct aq_branch_object *aq_test_branch(lua_State *L, int idx);

/*
** Pushes a branch of `kind` for `object`, which is at `first`; above it are the item and its key,
** if `nvalues` is 2 or 3. To be called in a function of the library. [-0, +1, m]
*/
void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, void *object, int first,
                    int nvalues);

/* The same from anywhere, for one value. [-0, +1, m] */
struct aq_branch_object *aq_branch_push_of(lua_State *L, struct aq_runtime *rt,
                                           const struct aq_branch_kind *kind, void *object,
                                           int idx);

/*
** Calls a function of the branch on top, and replaces that by the value, or the error: a raised one
** makes *raised true. [-1, +1, -]
*/
enum aq_status aq_branch_call(lua_State *L, aq_branch_function *function, bool *raised);

#endif
