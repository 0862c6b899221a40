/*
** kinds.h - kinds of errors by name: the library's own, those of the system, and those that guests define.
*/
#ifndef AQ_KINDS_H
#define AQ_KINDS_H

#include <lua.h>

#include "error.h"

/* Pushes the bare value of the kind of this name, made if need be. NULL, and nil is pushed: there is
** none. [-0, +1, m] */
const struct aq_kind *aq_kind_push(lua_State *L, struct aq_runtime *rt, const char *name);

/* Makes the system's kinds fields of the table on top. [-0, +0, m] */
void aq_kinds_set_all(lua_State *L, struct aq_runtime *rt);

#endif
