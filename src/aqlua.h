/*
** aqlua.h - tasks and queues for Lua 5.4, for those who embed them: the one header to include.
**
** Link with libaqlua, Lua 5.4 and libuv. Everything here is called on the thread that uses the
** lua_State. The library prints nothing unless it is told to, installs no signal handler, changes
** no locale or stdio setting and never ends the process.
*/
#ifndef AQLUA_H
#define AQLUA_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "core/status.h"

#define AQ_VERSION_MAJOR 0
#define AQ_VERSION_MINOR 1
#define AQ_VERSION_PATCH 0
#define AQ_VERSION_NUM (AQ_VERSION_MAJOR * 10000 + AQ_VERSION_MINOR * 100 + AQ_VERSION_PATCH)

#define AQ_VERSION_STRING_(a, b, c) #a "." #b "." #c
#define AQ_VERSION_STRING(a, b, c) AQ_VERSION_STRING_(a, b, c)
/* "0.1.0" */
#define AQ_VERSION_TEXT AQ_VERSION_STRING(AQ_VERSION_MAJOR, AQ_VERSION_MINOR, AQ_VERSION_PATCH)

/* A timeout that never comes, in nanoseconds. */
#define AQ_FOREVER UINT64_MAX

struct uv_loop_s;

/* The version of the library that is linked: AQ_VERSION_NUM of its own header. */
AQ_API int aq_version(void);

/*
** Opens the module in `L` and returns it on the stack, as `require "aqlua"` does (use it with
** luaL_requiref). The state gets its own runtime, closed with the state. Raises Lua errors.
*/
AQ_API int luaopen_aqlua(lua_State *L);

/*
** Makes the runtime of `L` run on `loop`, which the caller owns and keeps until the state is
** closed, instead of a loop of its own. To be called before luaopen_aqlua. The caller runs the
** loop once more after lua_close, so that the runtime's handles can finish closing.
*/
AQ_API void aq_use_loop(lua_State *L, struct uv_loop_s *loop);

/* The loop that the runtime of `L` runs on, or NULL before luaopen_aqlua. */
AQ_API struct uv_loop_s *aq_uv_loop(lua_State *L);

/*
** Runs a function as the main task until it ends, then cancels all other tasks and waits for
** them. Stack: the function and its `nargs` arguments, which are popped. Needs luaopen_aqlua.
**
** Returns LUA_OK with `nresults` results pushed (LUA_MULTRET: all), or another Lua status with
** two values pushed: the error as it was thrown, and its traceback (a string). Raises no error.
*/
AQ_API int aq_call(lua_State *L, int nargs, int nresults);

/*
** From a task, or from a callback on the loop's thread: makes aq_call stop taking turns for its
** main task; it then cancels all tasks, waits for them, and returns LUA_OK without results.
*/
AQ_API void aq_stop(lua_State *L);

/*
** The same for a task that is to go no further: its <close> variables run, but cannot wait, and no
** pcall in it goes on. Where no task runs, or none can be suspended, CancelledError is raised, of
** which no report is made. To be called as `return aq_exit(L)`.
*/
AQ_API int aq_exit(lua_State *L);

/* True if the error at `idx` is what aq_exit has raised: a callback of the embedder's that is left
** by it has nothing to report. */
AQ_API int aq_is_exit(lua_State *L, int idx);

/* True while a task is running: the caller is C code below a task's step. */
AQ_API int aq_in_task(lua_State *L);

/*
** How many errors were reported because nobody retrieved them (T12) and no handler was set with
** aq.on_error. A program that counts any should not end as a success.
*/
AQ_API size_t aq_unhandled(lua_State *L);

/* Reports a text as such an error, and counts it: for callbacks of the embedder's that fail. */
AQ_API void aq_report(lua_State *L, const char *text);

/*
** Gets every such report instead of stderr: `report(ud, text)`, with a text of one or more lines
** that ends in a newline. Called from a turn, never from a finalizer. NULL: back to stderr.
*/
AQ_API void aq_set_report(lua_State *L, void (*report)(void *ud, const char *text), void *ud);

/*
** With debug on, Lua's warnings (lua_setwarnf) tell of a step that ran for longer than 100 ms
** without suspending, a cancel that was swallowed, and a task left behind when aq_call ends.
*/
AQ_API void aq_set_debug(lua_State *L, int on);

/*
** Stopping the program from a signal handler. The library installs none. A handler of the
** embedder's, running on the thread that uses `L`, may call aq_interrupt and aq_report_tasks on
** what aq_accept_interrupts gave; both are async-signal-safe.
*/
struct aq_interrupt;

/* To be called after luaopen_aqlua, not in a handler. NULL: no memory. Valid until lua_close. */
AQ_API struct aq_interrupt *aq_accept_interrupts(lua_State *L);

/*
** Cancels the main task of the aq_call under way, with `why` (a static string) as the message. Lua
** code that goes on for 50 ms more without suspending has CancelledError raised in it, once, and
** its task is cancelled. Returns 0, with nothing done, if the program is already on its way to end
** because of an earlier call: the main task was cancelled so and has not called uncancel().
*/
AQ_API int aq_interrupt(struct aq_interrupt *i, const char *why);

/* Has a text on all tasks handed to the report hook, or printed on stderr, soon; goes on then. */
AQ_API void aq_report_tasks(struct aq_interrupt *i);

/* True if the latest aq_call ended, or is about to, because of aq_interrupt. */
AQ_API int aq_interrupted(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
