/*
** waiting.h - what every waiting task waits in, for people.
*/
#ifndef AQ_WAITING_H
#define AQ_WAITING_H

#include <lua.h>

#include "bind/task/task.h"

/* Pushes what a suspended call waits for: the object that it was called on; of a select, a list of
** its branches, two values for each: the name of its kind and its object; or nil. [-0, +1, m] */
void aq_push_waited_for(lua_State *L, lua_State *co);

/* Pushes one line on the Task at `idx`: name, what it waits in, since when, where. [-0, +1, m] */
void aq_push_waiting(lua_State *L, int idx);

/* Pushes the deadlock report (O3): a head line and a line per waiting task. [-0, +1, m] */
void aq_push_deadlock(lua_State *L, struct aq_runtime *rt);

#endif
