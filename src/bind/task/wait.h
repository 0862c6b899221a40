/*
** wait.h - a task suspends itself, and goes on.
**
** A wait, as a leaf of the binding writes it:
**
**     struct aq_task *t = aq_task_begin(L, rt, timeout_ns);     may raise: no task
**     if (...) return ...;                                      it can be done at once
**     if (timeout_ns == 0) return aq_task_time_out(L, t);       does not return
**     aq_task_check_wait(L, t);                                 may raise: cannot suspend, no memory
**     aq_queue_get_wait(queue, &t->waiter, when);               cannot raise
**     return aq_task_wait(L, t, &GET);                          does not return; GET.finish goes on
*/
#ifndef AQ_WAIT_H
#define AQ_WAIT_H

#include <lua.h>
#include <stdbool.h>

#include "task.h"

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

/*
** Pushes what to tell somebody who would wait while no task is running. False: it is an error to be
** raised as it is, since he is in a task that is closed because it has left. [-0, +1, m]
*/
bool aq_task_push_why_none(lua_State *L);

/* Raises that, from inside a C function. */
void aq_task_refuse(lua_State *L);

/* The running task, for a call that may have to wait; raises if there is none. */
static inline struct aq_task *aq_task_running(lua_State *L, struct aq_runtime *rt) {
  if (rt->current == NULL) aq_task_refuse(L);
  return rt->current;
}

/* True if the running task can be suspended here, whatever memory there is. */
bool aq_task_may_wait(lua_State *L, const struct aq_task *t);

/* For what aq_task_check_wait cannot see at a glance. */
void aq_task_check_closely(lua_State *L, struct aq_task *t);

/* Makes sure that the running task can wait here, with a deadline: raises if not. */
static inline void aq_task_check_wait(lua_State *L, struct aq_task *t) {
  const struct aq_heap *h = &t->waiter.agenda->deadlines;
  if (L != t->co || !lua_isyieldable(L) || !aq_heap_has_room(h)) aq_task_check_closely(L, t);
}

/*
** Suspends the task, whose waiter has entered something or is ready; the last statement of a C
** function. If a cancel is outstanding, the waiter leaves again and the wait ends cancelled in the
** next turn (T13). `wait` is static.
*/
int aq_task_wait(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* The same in a C function that is not the library's: the runtime is not its upvalue. */
int aq_task_wait_as_guest(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* True if the task has used up its budget of calls that completed at once (Q20): one that may wait,
** and is about to be made, is to pause first. */
static inline bool aq_task_is_spent(const struct aq_runtime *rt, struct aq_task *t) {
  return rt->budget > 0 && ++t->nat_once > rt->budget;
}

/* Lets the others run for a turn and then makes the call again: the C function that is running is
** called anew, with the stack as it is. As aq_task_wait, the last statement. */
int aq_task_pause(lua_State *L, struct aq_task *t);

/* The same for a call that failed at its first look and has no time to wait (X10): the next
** aq_task_begin finds that this is its second look. */
int aq_task_look_again(lua_State *L, struct aq_task *t);

/* A call with no time to wait begins: notes whether this is its second look. */
static inline void aq_task_begin_look(struct aq_task *t) {
  t->looks_again = t->was_sent_back;
  t->was_sent_back = false;
}

/* The running task, at the start of a call that may have to wait so long; raises if there is none.
** Before that nothing of the call may have happened: a task without budget pauses here. */
static inline struct aq_task *aq_task_begin(lua_State *L, struct aq_runtime *rt,
                                            uint64_t timeout_ns) {
  struct aq_task *t = aq_task_running(L, rt);
  if (timeout_ns == 0)
    aq_task_begin_look(t);
  else if (aq_task_is_spent(rt, t))
    aq_task_pause(L, t);
  return t;
}

/* For a call with no time to wait that cannot be done at once: looks again one turn later, and raises
** TimeoutError if that was the second look (X10). The stack is to be as it was given. */
int aq_task_time_out(lua_State *L, struct aq_task *t);

/*
** The same for a wait that no cancel breaks off, whether outstanding or to come: one that comes is
** told to `finish`, and one that was delivered before is not delivered again.
*/
int aq_task_wait_through(lua_State *L, struct aq_task *t, const struct aq_wait *wait);

/* As aq_task_wait, for awaiting `f`, which the waiter has entered: a cancel that the task has not seen yet
** is passed on to `f` instead (T4). */
int aq_task_await(lua_State *L, struct aq_task *t, struct aq_future *f, const struct aq_wait *wait);

/* Suspends the task for good: it is closed at the end of this step. As aq_task_wait, the last
** statement. */
int aq_task_leave(lua_State *L, struct aq_task *t);

/* How a wait ended: cancel wins over what the waiter was woken with. */
static inline enum aq_status aq_task_outcome(const struct aq_task *t, bool cancelled) {
  return cancelled ? AQ_CANCELLED : (enum aq_status)t->waiter.status;
}

/* Raises that, unless it is AQ_OK. */
void aq_task_check_outcome(lua_State *L, struct aq_task *t, bool cancelled);

/* Raises how a wait ended, CancelledError with its message; never returns. */
int aq_task_raise(lua_State *L, struct aq_task *t, enum aq_status status);

#endif
