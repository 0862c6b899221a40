/*
** leaves.h - what opens each leaf.
*/
#ifndef AQ_LEAVES_H
#define AQ_LEAVES_H

#include <lua.h>

/*
** Each adds its names to the module table on top; below it is the runtime's userdata. [-0, +0, m]
*/
void aq_open_queue(lua_State *L);
void aq_open_task(lua_State *L);
void aq_open_future(lua_State *L);
void aq_open_time(lua_State *L);
void aq_open_timeout(lua_State *L);
void aq_open_sync(lua_State *L);
void aq_open_condition(lua_State *L);
void aq_open_barrier(lua_State *L);
void aq_open_coroutine(lua_State *L);
void aq_open_select(lua_State *L);
void aq_open_branch(lua_State *L);
void aq_open_await(lua_State *L);

#endif
