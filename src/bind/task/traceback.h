/*
** traceback.h - where an error was thrown, kept beside the error and never inside it.
*/
#ifndef AQ_TRACEBACK_H
#define AQ_TRACEBACK_H

#include <lua.h>
#include <stdbool.h>

/*
** The message handler of every task's body: notes the traceback in the running task's extras and
** leaves the error as it is. A CancelledError is no fault and gets none.
*/
int aq_traceback_handler(lua_State *L);

/* A C function: the printable form of the error at 1, in the words of the stock interpreter. Calls
** __tostring, so it may raise. */
int aq_error_text(lua_State *L);

/* Pushes the stack of `co` from `level` on, without the frames at its bottom that are ours. m */
void aq_push_stack(lua_State *L, lua_State *co, int level);

/* Pushes "chunk:line" of the innermost Lua function of `co`, from `level` on, that is not one of the
** library's own. False: there is none, and "?" is pushed. [-0, +1, m] */
bool aq_push_line(lua_State *L, lua_State *co, int level);

#endif
