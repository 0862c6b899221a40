/*
** cancel.h - whom a cancel reaches, and what holds it off.
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
#ifndef AQ_CANCEL_H
#define AQ_CANCEL_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "task.h"

/* The cancels put aside while a shield is in force. Lives in a userdata on the task's stack. */
struct aq_shield {
  struct aq_shield *outer; /* the next enclosing one, or NULL */
  uint32_t requests;       /* task->requests of the level outside this shield */
  bool must_cancel;        /* likewise */
  bool was_delivered;      /* likewise */
};

/* Delivers the cancel outstanding to what `t` awaits. [-0, +0, -] */
void aq_task_pass_on(lua_State *L, struct aq_task *t);

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

#endif
