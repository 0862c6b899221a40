/*
** traceback.h - where an error was thrown, kept beside the error and never inside it.
*/
#ifndef AQ_TRACEBACK_H
#define AQ_TRACEBACK_H

#include <lua.h>

/*
** The message handler of every task's body: notes the traceback in the running task's extras and
** leaves the error as it is. A CancelledError is no fault and gets none; where it broke off a block that
** may put another error in its place is noted.
*/
int aq_traceback_handler(lua_State *L);

#endif
