/*
** future.h - a result that comes once, and those who wait for it. A Task begins with one.
**
**     PENDING --> RETURNED | RAISED | CANCELLED          (final)
**
** The values lie in user value 1 of the userdata: one value as it is, several as a list, an error
** as it was thrown. User value 2 is a table of rarely needed extras, made on demand.
*/
#ifndef AQ_FUTURE_H
#define AQ_FUTURE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "bind/base/runtime.h"

enum aq_future_state { AQ_PENDING, AQ_RETURNED, AQ_RAISED, AQ_ENDED_CANCELLED };

/* User values of Task and Future. */
enum { AQ_UV_VALUE = 1, AQ_UV_EXTRAS = 2 };

/* Keys of the extras: integers, so that looking one up allocates nothing. */
enum {
  AQ_X_TRACEBACK = 1, /* string, where the error was thrown */
  AQ_X_STACK,         /* string, the stack when it broke off: the last part of that, mostly */
  AQ_X_NAME,          /* the name given by set_name */
  AQ_X_CALLBACKS,     /* light pointer -> callback record */
  AQ_X_CHILDREN,      /* list of futures that this one waits for (gather, shield) */
  AQ_X_SENTINEL,      /* its finalizer reports an error that nobody retrieved */
  AQ_X_MESSAGE,       /* CancelledError with the message of the latest cancel(message) */
  AQ_X_SELECT,        /* the select that a task waits in */
  AQ_X_INNERMOST,     /* the user's coroutine that a task waits in, */
  AQ_X_THING,         /* ... and what it waits for there: kept, should somebody close that one */
  AQ_X_ORIGIN,        /* the task whose error this one was handed last */
};

struct aq_future {
  const void *class; /* tells what a userdata is: see aq_test_future */
  struct aq_runtime *rt;
  struct aq_list joiners; /* who waits for the end: tasks and callbacks, in order */
  uint32_t live_slot;     /* in AQ_UV_LIVE while callbacks are to come, or 0 */
  uint32_t ncallbacks;    /* callbacks that have still to run */
  int nresults;           /* values returned */
  uint32_t walk_epoch;    /* of the latest search that came by (aq_future_leads_to) */
  enum aq_future_state state : 8;
  bool is_retrieved : 1;      /* somebody was handed the outcome (T12) */
  bool has_children : 1;      /* AQ_X_CHILDREN is set */
  bool passes_cancel : 1;     /* a cancel goes to the children instead */
  bool was_passed_cancel : 1; /* a cancel was passed on to the children */
};

struct aq_task;

extern const char aq_task_class[], aq_future_class[];

void aq_future_init(struct aq_future *f, struct aq_runtime *rt, const void *class);

/* The Task or Future at `idx`, or NULL. */
struct aq_future *aq_test_future(lua_State *L, int idx);

/* Pushes the extras table of the userdata at `idx`, made if need be. [-0, +1, m] */
void aq_push_extras(lua_State *L, int idx);

/* Pushes one of the extras, or nil. [-0, +1, -] */
void aq_push_extra(lua_State *L, int idx, int key);

/* Sets one of the extras to the value on top. [-1, +0, m] */
void aq_set_extra(lua_State *L, int idx, int key);

/* Stores the values from index `first` to the top as the results of the userdata at `idx`. m */
void aq_future_store(lua_State *L, int idx, int first);

/* Stores the error value on top. [-1, +0, -] */
void aq_future_store_error(lua_State *L, int idx);

/* The state becomes final; whoever waits is made ready. Stored first, settled then. */
void aq_future_settle(struct aq_future *f, enum aq_future_state state);

/*
** The outcome of the future at `idx`, which is done: pushes its results and returns how many, or
** raises its error. Marks it retrieved. [-0, +n, v]
*/
int aq_future_unwrap(lua_State *L, int idx);

/*
** True if the future at `idx` waits for `t`, by what its task awaits or by its children: so that
** `t` awaiting it would close a circle (T10). [-0, +0, -]
*/
bool aq_future_leads_to(lua_State *L, int idx, const struct aq_task *t);

/* Raises that. `call` is what the task was about to do. */
int aq_future_refuse_circle(lua_State *L, const char *call);

/* Pushes the error of the future at `idx`, which failed or was cancelled. [-0, +1, -] */
void aq_future_push_error(lua_State *L, int idx);

/* Settles a pending Future (no Task) as cancelled. */
static inline void aq_future_cancel(struct aq_future *f) {
  aq_future_settle(f, AQ_ENDED_CANCELLED);
}

#endif
