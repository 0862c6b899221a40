/*
** place.h - where a coroutine is, for people.
*/
#ifndef AQ_PLACE_H
#define AQ_PLACE_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the stack of `co` from `level` on, without the frames at its bottom that are ours. False: there
** are no others, and it is but a heading. [-0, +1, m] */
bool aq_push_stack(lua_State *L, lua_State *co, int level);

/* Pushes "chunk:line" of the innermost Lua function of `co`, from `level` on, that is not one of the
** library's own. False: there is none, and "?" is pushed. [-0, +1, m] */
bool aq_push_line(lua_State *L, lua_State *co, int level);

/* The C function at the bottom of a coroutine that does not run, or NULL. [-0, +0, -] */
lua_CFunction aq_bottom_function(lua_State *co);

#endif
