/*
** task.h - a Lua coroutine that owns a waiter: the only place where coroutines are resumed.
**
**     create        first turn          aq_task_wait       woken
**     (READY) --------> running ----------> suspended --------> running ... --> done
**
*/
#ifndef AQ_TASK_H
#define AQ_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "future.h"

struct aq_wait;
struct aq_shield;

/* What each step touches comes first, and side by side. */
struct aq_task {
  struct aq_future future; /* first: a Task is a Future */
  struct aq_waiter waiter;
  lua_State *co;               /* the coroutine; NULL when done */
  lua_State *innermost;        /* where it is suspended: co, or a coroutine it is resuming */
  const struct aq_wait *wait;  /* what it is suspended in */
  struct aq_future *awaiting;  /* the future it awaits, or NULL */
  uint64_t id;                 /* 1, 2, ... in order of creation */
  uint64_t since_ns;           /* when it was suspended, about */
  uint32_t requests;           /* cancels outstanding at the present level */
  uint32_t nat_once;           /* calls that completed at once since it was last suspended */
  bool has_origin : 1;         /* AQ_X_ORIGIN is set */
  bool notes_cancel : 1;       /* a block may put another error in the place of its cancel */
  bool must_cancel : 1;        /* a cancel has not been delivered */
  bool was_delivered : 1;      /* one of the cancels outstanding has been */
  bool has_started : 1;        /* the first step was taken */
  bool is_suspended : 1;       /* in aq_task_wait (else a yield was not ours) */
  bool is_finishing : 1;       /* the wait is over and its finish has been called */
  bool waits_through : 1;      /* no cancel breaks the present wait off */
  bool was_sent_back : 1;      /* the call about to be made is the second look of one that failed */
  bool looks_again : 1;        /* the call under way is */
  bool has_ended : 1;          /* the body is over, its outcome stored */
  bool is_stubborn : 1;        /* it has left for good, or its patience has been used up: closed */
  bool has_left : 1;           /* the first of these */
  bool is_ending : 1;          /* the program is over: its patience with this task is bounded */
  uint32_t swallowed;          /* suspensions refused after the cancel was delivered */
  uint32_t cancel_epoch;       /* of the latest cancel that reached it */
  uint32_t scope;              /* 0, or of the aq.run inside a task it was created under */
  uint32_t slot;               /* in AQ_UV_LIVE, until it is done */
  int nstart;                  /* arguments on co's stack for the first resume */
  struct aq_task *cancel_next; /* list of tasks still to be cancelled by the present cancel */
  struct aq_shield *shield;    /* the innermost shield in force, or NULL */
};

/* What is known of a step before it is taken. */
struct aq_watched {
  uint64_t began_ns;
  uint32_t swallowed; /* t->swallowed */
  int top;            /* of rt->L; above it, what `begin` has left there */
};

/* Who wants to see each step, before and after: see report/watch.c. */
struct aq_step_watch {
  struct aq_watched (*begin)(struct aq_runtime *rt, struct aq_task *t);
  void (*end)(struct aq_runtime *rt, struct aq_watched w);
};

/* Where a task's function is on its coroutine's stack before the first step. */
enum { AQ_TASK_FUNCTION = 5 };

/* Opens what all tasks share. The runtime's userdata is on top. [-0, +0, m] */
void aq_task_open(lua_State *L);

/* One turn of the runtime's agenda, as aq_agenda_turn, by the shortest way for tasks. */
void aq_task_turn(struct aq_runtime *rt);

/* True if the value at `idx` can be a task's function. [-0, +0, m] */
bool aq_task_can_call(lua_State *L, int idx);

/* Makes a task of the function and `nargs` arguments on top; leaves the Task. To be called in a
** function of the library. [-(1+nargs), +1, m] */
struct aq_task *aq_task_new(lua_State *L, int nargs);

/* The Task at `idx`; raises on anything else. */
struct aq_task *aq_check_task(lua_State *L, int idx);

/* Pushes the Task of a task that is not done. [-0, +1, -] */
void aq_task_push(lua_State *L, struct aq_task *t);

/* True for the C function at the bottom of every task's coroutine. */
bool aq_task_is_body(lua_CFunction fn);

/* True if this coroutine, which does not run, is that of a task that is not done. */
bool aq_task_owns(lua_State *co);

/* True if it is that of a task whose first step is to come. */
bool aq_task_is_loaded(lua_State *co);

/* Pushes the CancelledError of a task that is not done, with the message of its latest cancel. */
void aq_task_push_cancelled(lua_State *L, struct aq_task *t);

/* True for a task that is not done. */
static inline bool aq_task_is_pending(const struct aq_future *f) {
  return f->class == aq_task_class && f->state == AQ_PENDING;
}

/* Pushes a new list of the tasks not done, in no order. [-0, +1, m] */
void aq_task_push_all(lua_State *L, struct aq_runtime *rt);

/* Pushes the name: the one given, or "Task-" and the id. [-0, +1, m] */
void aq_task_push_name(lua_State *L, int idx);

#endif
