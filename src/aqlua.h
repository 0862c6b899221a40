/*
** aqlua.h - tasks and queues for Lua 5.4, for those who embed them: the one header to include.
**
** Link with libaqlua, Lua 5.4 and libuv. Everything here is called on the thread that uses the
** lua_State. The library prints nothing unless it is told to, installs no signal handler, changes
** no locale or stdio setting and never ends the process.
*/
#ifndef AQLUA_H
#define AQLUA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" { /* lua.h says nothing of C++ */
#endif

#include <lua.h>
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

/* ---- driving --------------------------------------------------------------------------------- */

/*
** A host that has a loop of its own starts a run and drives it, by aq_step or aq_attach, instead of
** handing its thread to aq_call. A run is a main task and then, when that has ended, the end of all other
** tasks. Tasks may also be made without a run (aq_spawn); then there is no main task to wait for.
*/

/*
** Starts a run: the function and its `nargs` arguments, which are popped, become the main task. Nothing of
** it happens before a step. AQ_OK; AQ_BUSY: there is a run, or one whose outcome was not fetched; AQ_NOMEM;
** AQ_CLOSED: no runtime (any more); AQ_WRONG_THREAD; AQ_INVALID: with nothing popped.
*/
AQ_API int aq_start(lua_State *L, int nargs);

enum aq_step {
  AQ_STEP_RAN,  /* somebody went on; others may be ready already */
  AQ_STEP_IDLE, /* nobody did; something may come: I/O, a deadline, a post */
  AQ_STEP_DONE, /* the run is over, and aq_outcome tells how; without a run: no task is left */
  AQ_STEP_STUCK, /* nothing can ever happen but by the host: it wakes somebody, or aq_break_deadlock */
  AQ_STEP_REFUSED /* no runtime, wrong thread, attached, or called from inside a turn */
};

/*
** Polls once, for at most `block_ns` nanoseconds if nobody is ready (AQ_FOREVER: until something comes; 0:
** not at all), and takes turns: until nobody is ready or `budget_ns` is used up; with 0, one turn.
*/
AQ_API enum aq_step aq_step(lua_State *L, uint64_t block_ns, uint64_t budget_ns);

/*
** For how many nanoseconds nothing will happen that is known now: how long a host may sleep in a loop that
** is not libuv's, beside watching uv_backend_fd(aq_uv_loop(L)). 0: step now. AQ_FOREVER: only I/O, a post or
** the host can bring something, or all is done.
*/
AQ_API uint64_t aq_next_ns(lua_State *L);

/*
** After AQ_STEP_STUCK: the wait that the run depends on raises DeadlockError, with a list of all tasks that
** wait (O3). AQ_OK; AQ_INVALID: not stuck, or there is no run.
*/
AQ_API int aq_break_deadlock(lua_State *L);

/*
** From now on the host's own uv_run takes the turns. Ready tasks and deadlines keep the loop alive; tasks
** that only wait do not. When a run ends it is detached, and `ended(ud)` is called (NULL: nothing is), inside
** uv_run; it may fetch the outcome. AQ_OK, AQ_BUSY: attached already, or the run is over; AQ_NOMEM;
** AQ_INVALID: under the virtual clock.
*/
AQ_API int aq_attach(lua_State *L, void (*ended)(void *ud), void *ud);

/* The host's uv_run takes no more turns; aq_step may. Also from inside a turn, or when not attached. */
AQ_API int aq_detach(lua_State *L);

/*
** The outcome of a run that is over, once: what aq_call returns and pushes. If no run is over, an error
** that says so.
*/
AQ_API int aq_outcome(lua_State *L, int nresults);

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
