/*
** unhandled.h - errors that nobody retrieved (T12).
**
** A task that fails is watched. If its Task is collected before anybody was handed the error, a
** finalizer notes it and the next turn reports it; what is left is reported at the end of the run.
** Each error is reported once, from the loop, never from a finalizer.
*/
#ifndef AQ_UNHANDLED_H
#define AQ_UNHANDLED_H

#include <lua.h>

#include "bind/base/runtime.h"

/* Watches the Task at `idx`, which has just failed. [-0, +0, m] */
void aq_unhandled_watch(lua_State *L, int idx);

/* Reports what the collector has found. Runs user code, protected. [-0, +0, -] */
void aq_unhandled_report(lua_State *L, struct aq_runtime *rt);

/* Reports every failed task whose error nobody retrieved. Runs user code, protected. [-0, +0, -] */
void aq_unhandled_flush(lua_State *L, struct aq_runtime *rt);

/* After a turn: reports those that failed before the turn and were not retrieved in it. Runs user
** code, protected. [-0, +0, -] */
void aq_unhandled_early(lua_State *L, struct aq_runtime *rt);

/* Reports an error at once, to the handler set with aq.on_error or to the report hook. Stack: the
** Task or Future it belongs to, the error, a traceback or nil; popped. False if the handler has left
** by aq_exit. [-3, +0, -] */
bool aq_unhandled_now(lua_State *L, struct aq_runtime *rt);

/* Pushes a message handler that keeps the traceback of the error it is given: one for each call that it is
** to watch. [-0, +1, m] */
void aq_unhandled_push_handler(lua_State *L);

/* Reports the error on top, of the Task or Future at `idx`, which was raised under the handler at `handler`;
** pops it. [-1, +0, -] */
void aq_unhandled_caught(lua_State *L, struct aq_runtime *rt, int idx, int handler);

/* Hands `text` to the report hook, or to stderr, and counts it. */
void aq_unhandled_text(struct aq_runtime *rt, const char *text);

/* Reports the error on top, which `what`, a function of the embedder's, has raised; pops it. An exit is none.
** [-1, +0, -] */
void aq_unhandled_callback(lua_State *L, struct aq_runtime *rt, const char *what);

#endif
