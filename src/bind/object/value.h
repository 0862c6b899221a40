/*
** value.h - struct aq_value to Lua and back.
**
** What Lua has to hold for a value (a string's bytes, a table) rests in the runtime's keep: the
** value's private part counts the keep and knows the slot.
*/
#ifndef AQ_VALUE_H
#define AQ_VALUE_H

#include <lua.h>
#include <stdbool.h>

#include "aqlua.h"
#include "bind/base/keep.h"

/* Whether the value can go into the runtime `rt`. */
bool aq_value_fits(const struct aq_value *v, const struct aq_runtime *rt);

/* Pushes it; the value is as it was, and the box of a payload empty. [-0, +1, m] */
void aq_value_to_lua(lua_State *L, const struct aq_value *v);

/* What aq_value_to_lua pushed, at `idx`, is where it was to go: it is that of the value, which
** becomes nil. [-0, +0, -] */
void aq_value_move(lua_State *L, struct aq_value *v, int idx);

/* Makes the value on top one of C's; a payload leaves its box. The slot, which the caller has, goes
** over to it or is given back. [-1, +0, -] */
void aq_value_from_lua(lua_State *L, struct aq_keep *k, uint32_t slot, struct aq_value *v);

#endif
