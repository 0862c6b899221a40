/*
** prompt.h - where the user types: lines from a terminal or from anything else, without keeping the
** loop from its work. What is done with them is in lua/aqlua/repl.
*/
#ifndef AQ_PROMPT_H
#define AQ_PROMPT_H

#include "host.h"

/* Pushes the function that reads, evaluates and prints until the input ends. [-0, +1, v] */
void prompt_push(lua_State *L, struct host *h);

/* Before lua_close, and after it. */
void prompt_close(struct host *h);
void prompt_free(struct host *h);

/* Takes the line that is being typed off the screen, since something else is going to be written;
** it comes back before the next wait. `p` may be NULL in this one and the next. */
void prompt_hide(struct prompt *p);

/* Something was written since; whether it ended a line. */
void prompt_wrote(struct prompt *p, bool ends_line);

#endif
