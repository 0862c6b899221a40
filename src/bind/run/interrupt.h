/*
** interrupt.h - what a signal handler may ask of the code that runs.
**
** A handler can only leave a note and see to it that somebody looks at it soon: the bell ends a
** poll that blocks, and a hook stops Lua code that does not come back to the loop. Whoever looks
** first serves the request:
**
**     signal handler --> wants, bell --> the loop, after a turn     (aq_interrupt_serve)
**                    \-> hook -------->  the code that runs
**
** To stop means: the main task (or the one in the foreground) is cancelled. Code that goes on for
** longer than GRACE_NS is not going to suspend soon: CancelledError is raised in it, once.
*/
#ifndef AQ_INTERRUPT_H
#define AQ_INTERRUPT_H

#include "bind/base/runtime.h"

/* From the loop, if rt->wants: does what was asked for. Runs user code, protected. [-0, +0, -] */
void aq_interrupt_serve(lua_State *L, struct aq_runtime *rt);

/* The main task is done: notes whether it ended with an interrupt in force. */
void aq_interrupt_main_ended(struct aq_runtime *rt, const struct aq_task *t);

/* Closes the bell; the loop has to run once more. */
void aq_interrupt_close(struct aq_runtime *rt);

#endif
