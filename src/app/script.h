/*
** script.h - the main task: what the environment, the command line and the script ask for.
*/
#ifndef AQ_SCRIPT_H
#define AQ_SCRIPT_H

#include <lua.h>

#include "host.h"

/* The main task's function; upvalue 1 is the host. */
int script_main(lua_State *L);

/* Whether there will be a prompt. */
bool script_wants_prompt(const struct host *h);

/* Sets the global `arg`: the script at 0, its arguments above, what came before it below. m */
void script_set_arg(lua_State *L, const struct cli *cli);

#endif
