/*
** run.h - a run: a main task, and then the end of all others.
**
**                aq_run_start         main is done, or aq_stop        nobody is left
**     NO_RUN  ------------------> RUNNING ------------------> ENDING --------------> OVER
**        ^                                                                            |
**        +------------------------------ aq_run_outcome <-----------------------------+
**
** There is one way to take a turn: aq_run_turn. It is called by aq_call and aq_step, after a poll, and by
** an attached loop.
*/
#ifndef AQ_RUN_H
#define AQ_RUN_H

#include <lua.h>
#include <stdbool.h>

#include "bind/base/runtime.h"

/* What is in force while turns are taken: which state drives. */
struct aq_driving {
  lua_State *outer; /* who did before */
};

/* Turns are going to be taken for `L`, on this thread. */
struct aq_driving aq_driving_begin(lua_State *L, struct aq_runtime *rt);
void aq_driving_end(struct aq_runtime *rt, struct aq_driving d);

/*
** Makes the main task of the function and `nargs` arguments on top, which are popped. The phase is NO_RUN.
** LUA_OK, or what aq_call is to return, with error and traceback pushed. [-(1+nargs), +0|2, -]
*/
int aq_run_start(lua_State *L, struct aq_runtime *rt, int nargs);

/* Takes a turn, and sees to what comes after one: reports, signals, the run's next phase. */
void aq_run_turn(lua_State *L, struct aq_runtime *rt);

/* Nothing can happen any more: breaks the wait that the run depends on with DeadlockError (O3). */
void aq_run_break(lua_State *L, struct aq_runtime *rt);

/* The run is over: what aq_call returns. [-0, +n, -] */
int aq_run_outcome(lua_State *L, struct aq_runtime *rt, int nresults);

/* Pushes error values `why` and "" as an outcome; returns LUA_ERRRUN. [-0, +2, -] */
int aq_run_refuse(lua_State *L, const char *why);

/* No uv_run of the host's takes turns any more. */
void aq_run_detach(struct aq_runtime *rt);

/* True if no task is left. */
bool aq_run_is_idle(const struct aq_runtime *rt);

#endif
