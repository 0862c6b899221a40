/*
** values.h - several values kept as one: what is stored as a result is one value as it is, or a list.
*/
#ifndef AQ_VALUES_H
#define AQ_VALUES_H

#include <lua.h>

/* Replaces the values from index `first` to the top by a list of them. [-n, +1, m] */
void aq_values_pack(lua_State *L, int first);

/* Replaces the list on top by its `n` values; returns `n`. [-1, +n, e] */
int aq_values_unpack(lua_State *L, int n);

#endif
