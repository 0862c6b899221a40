/*
** inspect.h - what all tasks are doing: for a program that hangs, and for the prompt.
*/
#ifndef AQ_INSPECT_H
#define AQ_INSPECT_H

#include "bind/base/runtime.h"

/* Adds the internal functions. The runtime's userdata is below the module on top. [-0, +0, m] */
void aq_open_inspect(lua_State *L);

/* Hands a text on every task to the report hook, or to stderr: name, what it waits in, since when,
** line, stack. [-0, +0, -] */
void aq_inspect_report(lua_State *L, struct aq_runtime *rt);

#endif
