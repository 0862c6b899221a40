/*
** select_args.h - the arguments of aq.select, read.
**
** From then on the stack of the call is:
**
**     1     the table of branches; while the task waits, the list of them instead
**     2     the options; while the task waits, its select
**     3 4   key and branch of the first to be tried, and so on for each
**
** A select that need not wait makes nothing in Lua, but branches of the Tasks and Futures.
*/
#ifndef AQ_SELECT_ARGS_H
#define AQ_SELECT_ARGS_H

#include "branch.h"

struct aq_select_args {
  int n;               /* how many branches are enabled */
  uint64_t timeout_ns; /* AQ_NEVER: there is none, or no end of it */
};

enum { AQ_SELECT_AT = 2 };

/* Where the key of the branch is that is the i-th to be tried, from 0; the branch is above it. */
static inline int aq_select_key(int i) { return AQ_SELECT_AT + 1 + 2 * i; }

/*
** Reads the arguments, at 1 and 2, in a function of the library; leaves the stack as above. Raises
** if they are wrong, if no task is running, and if they close a circle of tasks (T10). May run any
** code. [-n, +2+2n, v]
*/
struct aq_select_args aq_select_read(lua_State *L);

#endif
