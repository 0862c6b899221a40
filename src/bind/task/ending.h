/*
** ending.h - tasks that end though their body does not.
*/
#ifndef AQ_ENDING_H
#define AQ_ENDING_H

#include <lua.h>

#include "task.h"

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

#endif
