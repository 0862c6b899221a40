/*
** watch.h - warnings for those who look for trouble: `aqlua -W`, aq_set_debug.
**
** A step that runs for long without suspending, a cancel that was swallowed, a task left behind.
** Each is a warning of Lua's (lua_warning), so that warn "@off" silences it.
*/
#ifndef AQ_WATCH_H
#define AQ_WATCH_H

#include "bind/base/runtime.h"

/* What is known of a step before it is taken. */
struct aq_watched {
  uint64_t began_ns;
  uint32_t swallowed; /* t->swallowed */
  int top;            /* of rt->L; above it, the Task and the line where it goes on */
};

/* Before a step of `t`, if rt->is_debug. Leaves two values on rt->L. [-0, +2, -] */
struct aq_watched aq_watch_begin(struct aq_runtime *rt, struct aq_task *t);

/* After it, when the task's outcome is settled: warns. [-2, +0, -] */
void aq_watch_end(struct aq_runtime *rt, struct aq_watched w);

/* Warns of each task that is left when the program ends. [-0, +0, -] */
void aq_watch_leftovers(lua_State *L, struct aq_runtime *rt);

#endif
