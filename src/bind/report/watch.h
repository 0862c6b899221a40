/*
** watch.h - warnings for those who look for trouble: `aqlua -W`, aq_set_debug.
**
** A step that runs for long without suspending, a cancel that was swallowed, a task left behind.
** Each is a warning of Lua's (lua_warning), so that warn "@off" silences it.
*/
#ifndef AQ_WATCH_H
#define AQ_WATCH_H

#include "bind/base/runtime.h"

/* Warns of each task that is left when the program ends. [-0, +0, -] */
void aq_watch_leftovers(lua_State *L, struct aq_runtime *rt);

#endif
