/*
** ctask.h - tasks that C has spawned, and what it keeps of them.
*/
#ifndef AQ_CTASK_H
#define AQ_CTASK_H

#include <lua.h>

struct aq_runtime;

/* Makes what aq_spawn calls. The runtime's userdata is on top. [-0, +0, m] */
void aq_ctasks_open(lua_State *L);

/* The runtime ends: what C keeps of its tasks answers AQ_CLOSED from now on. Calls the callbacks that are
** still to come. */
void aq_ctasks_close(struct aq_runtime *rt);

#endif
