/*
** files.h - two things about files that the prompt needs and Lua has not.
*/
#ifndef AQ_FILES_H
#define AQ_FILES_H

#include <lua.h>

/* list(directory): the names in it, or nil. */
int files_list(lua_State *L);

/* make_private(path): makes the file, and the directories it is in, so that only the user can read
** it. True, or nil and what is wrong. */
int files_make_private(lua_State *L);

#endif
