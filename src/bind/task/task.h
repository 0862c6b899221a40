/*
** task.h - a Lua coroutine that owns a waiter: the only place where coroutines are resumed.
**
**     create        first turn          aq_task_wait       woken
**     (READY) --------> running ----------> suspended --------> running ... --> done
**
** A wait, as a leaf of the binding writes it:
**
**     struct aq_task *t = aq_task_running(L, rt);      may raise: no task
**     aq_task_check_wait(L, t);                        may raise: cannot suspend, no memory
**     aq_queue_get_wait(queue, &t->waiter, when);      cannot raise
**     return aq_task_wait(L, t, &GET);                 does not return; GET.finish goes on
**
** Cancel. `requests` counts cancel() minus uncancel(); `must_cancel` says that the latest has not
** been delivered yet. Delivery: a waiting task leaves what it waits in and is woken with
** AQ_CANCELLED, unless it awaits a future: then the cancel is passed on to that (T2, H11). A task
** that is ready already gets it at its step, and its ticket goes to the next (Q13, X2); any other
** at its next suspension (T4).
**
** Shield. Inside aq.shield a task's requests are put aside in a frame (struct aq_shield) and new
** ones from outside go there too; deadlines of scopes opened inside the shield act inside it.
*/
#ifndef AQ_TASK_H
#define AQ_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "future.h"

/* What a task waits in. */
struct aq_wait {
  const char *name; /* for reports, e.g. "get" */
  /* Goes on after the wait, as a continuation: the stack is as it was, the return value counts
  ** results. `cancelled`: cancel wins over what the waiter was woken with. */
  int (*finish)(lua_State *L, struct aq_task *t, bool cancelled);
  /* For a task that is ended by force and will not finish: hands on a ticket it may hold. Raises
  ** nothing. NULL: there are no tickets. */
  void (*give_up)(lua_State *L, struct aq_task *t);
};

/* The cancels put aside while a shield is in force. Lives in a userdata on the task's stack. */
struct aq_shield {
  struct aq_shield *outer; /* the next enclosing one, or NULL */
  uint32_t requests;       /* task->requests of the level outside this shield */
  bool must_cancel;        /* likewise */
  bool was_delivered;      /* likewise */
};

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
  bool must_cancel : 1;        /* a cancel has not been delivered */
  bool was_delivered : 1;      /* one of the cancels outstanding has been */
  bool has_started : 1;        /* the first step was taken */
  bool is_suspended : 1;       /* in aq_task_wait (else a yield was not ours) */
  bool is_finishing : 1;       /* the wait is over and its finish has been called */
  bool waits_through : 1;      /* no cancel breaks the present wait off */
  bool has_ended : 1;          /* the body is over, its outcome stored */
  bool is_stubborn : 1;        /* it has left for good, or its patience has been used up */
  bool is_ending : 1;          /* the program is over: its patience with this task is bounded */
  uint32_t swallowed;          /* suspensions refused after the cancel was delivered */
  uint32_t cancel_epoch;       /* of the latest cancel that reached it */
  uint32_t scope;              /* 0, or of the aq.run inside a task it was created under */
  uint32_t slot;               /* in AQ_UV_LIVE, until it is done */
  int nstart;                  /* arguments on co's stack for the first resume */
  struct aq_task *cancel_next; /* list of tasks still to be cancelled by the present cancel */
  struct aq_shield *shield;    /* the innermost shield in force, or NULL */
};

/* Where a task's function is on its coroutine's stack before the first step. */
enum { AQ_TASK_FUNCTION = 5 };

/* Opens what all tasks share. The runtime's userdata is on top. [-0, +0, m] */
void aq_task_open(lua_State *L);

/* One turn of the runtime's agenda, as aq_agenda_turn, by the shortest way for tasks. */
void aq_task_turn(struct aq_runtime *rt);

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

/* Raises that no task is running. */
void aq_task_refuse(lua_State *L);

/* The running task, for a call that may have to wait; raises if there is none. */
static inline struct aq_task *aq_task_running(lua_State *L, struct aq_runtime *rt) {
  if (rt->current == NULL) aq_task_refuse(L);
  return rt->current;
}

/* For what aq_task_check_wait cannot see at a glance. */
void aq_task_check_closely(lua_State *L, struct aq_task *t);

/* Makes sure that the running task can wait here, with a deadline: raises if not. */
static inline void aq_task_check_wait(lua_State *L, struct aq_task *t) {
  const struct aq_heap *h = &t->waiter.agenda->deadlines;
  if (L != t->co || !lua_isyieldable(L) || h->count == h->capacity) aq_task_check_closely(L, t);
}

/*
** Suspends the task, whose waiter has entered something or is ready; the last statement of a C
** function. If a cancel is outstanding, the waiter leaves again and the wait ends cancelled in the
** next turn (T13). `wait` is static.
*/
int aq_task_wait(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* True if the task has used up its budget of calls that completed at once (Q20): one that may wait,
** and is about to be made, is to pause first. */
static inline bool aq_task_is_spent(const struct aq_runtime *rt, struct aq_task *t) {
  return rt->budget > 0 && ++t->nat_once > rt->budget;
}

/* Lets the others run for a turn and then makes the call again: the C function that is running is
** called anew, with the stack as it is. As aq_task_wait, the last statement. */
int aq_task_pause(lua_State *L, struct aq_task *t);

/*
** The same for a wait that no cancel breaks off, whether outstanding or to come: one that comes is
** told to `finish`, and one that was delivered before is not delivered again.
*/
int aq_task_wait_through(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* As aq_task_wait, for awaiting `f`, which the waiter has entered: a cancel that the task has not seen yet
** is passed on to `f` instead (T4). */
int aq_task_await(lua_State *L, struct aq_task *t, struct aq_future *f, const struct aq_wait *wait);

/* Suspends the task for good: it is closed at the end of this step. */
int aq_task_leave(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* Delivers the cancel outstanding to what `t` awaits. [-0, +0, -] */
void aq_task_pass_on(lua_State *L, struct aq_task *t);

/* Pushes the CancelledError of a task that is not done, with the message of its latest cancel. */
void aq_task_push_cancelled(lua_State *L, struct aq_task *t);

/* Raises how a wait ended, CancelledError with its message; never returns. */
int aq_task_raise(lua_State *L, struct aq_task *t, enum aq_status status);

/* The value on top, a CancelledError with a message or nil, is what a cancel of the Task at `idx`, or
** of what the Future there waits for, is to be raised as that comes next; also in the tasks that it
** will be passed on to. [-1, +0, m] */
void aq_task_set_message(lua_State *L, int idx);

/* The message of `t`, for the Task or Future at `idx` that its cancel will be passed on to. [m] */
void aq_task_hand_message_on(lua_State *L, struct aq_task *t, int idx);

/* The cancel of `t` that comes next has no message. [-0, +0, -] */
void aq_task_forget_message(lua_State *L, struct aq_task *t);

/* Requests a cancel from outside any shield. False if the task is done. [-0, +0, -] */
bool aq_task_cancel(lua_State *L, struct aq_task *t);

/* Requests a cancel at the level just inside `level`, as a deadline opened there does. */
bool aq_task_cancel_at(lua_State *L, struct aq_task *t, struct aq_shield *level);

/* Takes one request back, the innermost first. Returns how many are left in all. */
uint32_t aq_task_uncancel(struct aq_task *t);

/* Requests outstanding, those put aside by shields included. */
uint32_t aq_task_cancelling(const struct aq_task *t);

/* Puts a shield over `t`; `s` must stay until it is lowered, which the newest must be first. */
void aq_shield_raise(struct aq_shield *s, struct aq_task *t);

/* Takes the shield off: what came meanwhile is outstanding again. */
void aq_shield_lower(struct aq_shield *s, struct aq_task *t);

/* True for a task that is not done. */
static inline bool aq_task_is_pending(const struct aq_future *f) {
  return f->class == aq_task_class && f->state == AQ_PENDING;
}

/* Ends a task that was cancelled before its first step: the body never runs (T3, H12). */
void aq_task_end_unstarted(lua_State *L, struct aq_task *t);

/* Ends a task before its first step, because its coroutine is not as it was left. */
void aq_task_end_meddled(lua_State *L, struct aq_task *t);

/* Ends a task whose coroutine died, with the error on its stack: out of memory at a bad moment. */
void aq_task_end_dead(lua_State *L, struct aq_task *t);

/* Sets the guard, one for all tasks. The runtime's userdata is on top. [-0, +0, m] */
void aq_guard_open(lua_State *L);

/* Ends a suspended task by force, as cancelled: its <close> variables run, and cannot wait. */
void aq_task_close(lua_State *L, struct aq_task *t);

/* Pushes a new list of the tasks not done, in no order. [-0, +1, m] */
void aq_task_push_all(lua_State *L, struct aq_runtime *rt);

/* Pushes the name: the one given, or "Task-" and the id. [-0, +1, m] */
void aq_task_push_name(lua_State *L, int idx);

#endif
