/*
** aqlua.h - tasks and queues for Lua 5.4, for those who embed them: the one header to include.
**
** Link with libaqlua, Lua 5.4 and libuv. Everything here is called on the thread that uses the
** lua_State, unless its comment says: any thread. The library prints nothing unless it is told to,
** installs no signal handler, changes no locale or stdio setting and never ends the process.
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

/*
** The loop that the runtime of `L` runs on, or NULL before luaopen_aqlua. If it is the runtime's
** own, the host closes its handles there before lua_close, and has no request under way: lua_close
** turns the loop once more, and what is not over by then never calls back. Who has what cannot be
** stopped, such as uv_getaddrinfo, uses aq_use_loop.
*/
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
** handing its thread to aq_call. A run is a main task and then, when that has ended, the end of all
** other tasks. Tasks may also be made without a run (aq_spawn); then there is no main task to wait
** for.
*/

/*
** Starts a run: the function and its `nargs` arguments, which are popped, become the main task.
** Nothing of it happens before a step. AQ_OK; AQ_BUSY: there is a run, or one whose outcome was not
** fetched; AQ_NOMEM; AQ_CLOSED: no runtime (any more); AQ_WRONG_THREAD; AQ_INVALID: with nothing
** popped.
*/
AQ_API int aq_start(lua_State *L, int nargs);

enum aq_step {
  AQ_STEP_RAN,  /* somebody went on; others may be ready already */
  AQ_STEP_IDLE, /* nobody did; something may come: I/O, a deadline, a post */
  AQ_STEP_DONE, /* the run is over, and aq_outcome tells how; without a run: nothing is left */
  AQ_STEP_STUCK, /* nothing can ever happen but by the host: it wakes somebody, or aq_break_deadlock */
  AQ_STEP_REFUSED /* no runtime, wrong thread, attached, or called from inside a turn */
};

/*
** Polls once, for at most `block_ns` nanoseconds if nobody is ready (AQ_FOREVER: until something
** comes; 0: not at all), and takes turns: until nobody is ready or `budget_ns` is used up; with 0,
** one turn.
*/
AQ_API enum aq_step aq_step(lua_State *L, uint64_t block_ns, uint64_t budget_ns);

/*
** For how many nanoseconds nothing will happen that is known now: how long a host may sleep in a
** loop that is not libuv's, beside watching uv_backend_fd(aq_uv_loop(L)). 0: step now. AQ_FOREVER:
** only I/O, a post or the host can bring something, or all is done.
*/
AQ_API uint64_t aq_next_ns(lua_State *L);

/*
** After AQ_STEP_STUCK: the wait that the run depends on raises DeadlockError, with a list of all
** tasks that wait (O3). AQ_OK; AQ_INVALID: not stuck, or there is no run.
*/
AQ_API int aq_break_deadlock(lua_State *L);

/*
** From now on the host's own uv_run takes the turns. Ready tasks and deadlines keep the loop alive;
** tasks that only wait do not. When a run ends it is detached, and `ended(ud)` is called (NULL:
** nothing is), inside uv_run; it may fetch the outcome and start the next run, but not close the
** state. AQ_OK, AQ_BUSY: attached already, or the run is over; AQ_NOMEM; AQ_INVALID: under the
** virtual clock.
*/
AQ_API int aq_attach(lua_State *L, void (*ended)(void *ud), void *ud);

/* The host's uv_run takes no more turns; aq_step may. Also from inside a turn, or when not attached. */
AQ_API int aq_detach(lua_State *L);

/*
** The outcome of a run that is over, once: what aq_call returns and pushes. If no run is over, an error
** that says so.
*/
AQ_API int aq_outcome(lua_State *L, int nresults);

/* ---- any thread ------------------------------------------------------------------------------ */

/*
** A handle is how other threads reach a runtime. It is a counted block: it may be copied, used and
** dropped on any thread, also after the runtime's end, when posting answers AQ_CLOSED. Not in a
** signal handler, and after a fork only exec.
*/
struct aq_handle;

enum {
  AQ_KEEP_ALIVE = 1, /* while it is held: something will come, so no wait is a deadlock */
  AQ_HOLD_CLOCK = 2  /* likewise, and the virtual clock does not jump meanwhile */
};

/* A handle on the runtime of `L`, in `*h`; on its thread. AQ_OK, AQ_NOMEM, AQ_INVALID, AQ_CLOSED,
** AQ_WRONG_THREAD. */
AQ_API int aq_handle_new(lua_State *L, struct aq_handle **h, int flags);

/* Another holder of `h`, which is returned: each drops it once. Any thread. */
AQ_API struct aq_handle *aq_handle_copy(struct aq_handle *h);

/* Any thread; NULL is nothing to drop. With the last the flags are no longer in force. */
AQ_API void aq_handle_drop(struct aq_handle *h);

/*
** Part of a struct of the caller's: posting it allocates nothing. It need not be zeroed. Exactly
** one of the two is called, once, if aq_post has answered AQ_OK; from then on the post is the
** caller's again, to free or to post.
*/
struct aq_post {
  void (*run)(lua_State *L,
              struct aq_post *post);  /* on the runtime's thread; may raise: that is reported */
  void (*drop)(struct aq_post *post); /* the runtime has ended first, or had no memory; or NULL */
  void *aq_private[2];
};

/*
** Has `post->run` called on the runtime's thread, with the next turn, outside of tasks and of
** libuv's callbacks; in order for each thread that posts. Any thread. AQ_OK; AQ_CLOSED, AQ_INVALID:
** nothing will be called. Posts that come while the runtime is awake cost no system call.
*/
AQ_API int aq_post(struct aq_handle *h, struct aq_post *post);

/*
** The same for a function and its argument, in memory that is allocated: `run(L, arg)`, or else
** `drop(arg)`, which may be NULL. Also AQ_NOMEM, and AQ_FULL if 65,536 such calls wait to be run;
** then `arg` stays the caller's.
*/
AQ_API int aq_post_call(struct aq_handle *h, void (*run)(lua_State *L, void *arg),
                        void (*drop)(void *arg), void *arg);

/* ---- ending, and reports --------------------------------------------------------------------- */

/*
** From a task, or from a callback on the loop's thread: makes aq_call stop taking turns for its
** main task; it then cancels all tasks, waits for them, and returns LUA_OK with nil for each result.
** A run that is driven otherwise ends likewise.
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

/* ---- interrupts ------------------------------------------------------------------------------ */

/*
** Stopping the program from a signal handler. The library installs none. A handler of the
** embedder's, running on the thread that uses `L`, may call aq_interrupt and aq_report_tasks on
** what aq_accept_interrupts gave; both are async-signal-safe.
*/
struct aq_interrupt;

/* To be called after luaopen_aqlua, not in a handler. NULL: no memory. Valid until lua_close. */
AQ_API struct aq_interrupt *aq_accept_interrupts(lua_State *L);

/*
** Cancels the main task of the aq_call or run under way, with `why` (a static string) as the
** message. Lua code that goes on for 50 ms more without suspending has CancelledError raised in it,
** once, and its task is cancelled. Returns 0, with nothing done, if the program is already on its
** way to end because of an earlier call: the main task was cancelled so and has not called
** uncancel().
*/
AQ_API int aq_interrupt(struct aq_interrupt *i, const char *why);

/* Has a text on all tasks handed to the report hook, or printed on stderr, soon; goes on then. */
AQ_API void aq_report_tasks(struct aq_interrupt *i);

/* True if the latest aq_call or run ended, or is about to, because of aq_interrupt. */
AQ_API int aq_interrupted(lua_State *L);

/* ---- queues ----------------------------------------------------------------------------------
**
** Putting and getting without a Lua stack, from anywhere on the loop's thread: a task's C function,
** a callback of libuv's, between two steps. None of these functions raises, but aq_check_payload;
** all accept NULL where a queue, a value or a wait is expected and return AQ_INVALID then, AQ_CLOSED
** once the runtime has ended, and AQ_WRONG_THREAD elsewhere than on its thread. "Nothing has changed"
** after any status but AQ_OK, and a value is then still the caller's, as it was.
*/

/* What a pointer in a queue is: static. */
struct aq_payload_kind {
  const char *name;         /* for messages: "connection" */
  void (*destroy)(void *p); /* or NULL; calls neither Lua nor aqlua */
};

enum aq_value_kind {
  AQ_V_NIL,
  AQ_V_BOOLEAN,
  AQ_V_INTEGER,
  AQ_V_NUMBER,
  AQ_V_BYTES,   /* a string */
  AQ_V_PAYLOAD, /* a pointer of C's */
  AQ_V_LUA      /* anything else that Lua has: to be put or pushed */
};

/* A value. Zero the struct, or name its fields in an initialiser: the rest must be 0. */
struct aq_value {
  enum aq_value_kind kind;
  union {
    int boolean;
    int64_t integer;
    double number;
    struct {
      const char *data;
      size_t length;
    } bytes;
    struct {
      void *data;
      const struct aq_payload_kind *kind;
    } payload;
  } as;
  void *aq_private[2];
};

/*
** Lets go of a value that came out of a queue, and makes it nil: its bytes were valid until here (or
** until lua_close). Destroys a payload. Harmless on nil and on NULL, and after lua_close.
*/
AQ_API void aq_value_free(struct aq_value *v);

/*
** Moves a value onto the stack of `L`; it is nil then. A payload goes in a userdata, which destroys
** it when it is collected. AQ_V_LUA is AQ_INVALID in another state than its own. AQ_OK, AQ_NOMEM.
** [-0, +1]
*/
AQ_API int aq_value_push(lua_State *L, struct aq_value *v);

/*
** For a C function that Lua calls: the pointer of the payload at `idx`, which stays there. Raises an
** error that names the kind on any other value, and on a payload that C has taken out of a queue.
*/
AQ_API void *aq_check_payload(lua_State *L, int idx, const struct aq_payload_kind *kind);

/* A Queue of Lua's, held by C: a counted block, which may be dropped after lua_close as well. */
struct aq_cqueue;

/* Makes a queue, as aq.Queue { maxsize =, name = } does; 0: no bound; `name` may be NULL. `*q` is NULL
** unless it is AQ_OK; AQ_NOMEM. */
AQ_API int aq_cqueue_new(lua_State *L, struct aq_cqueue **q, size_t maxsize, const char *name);

/* Holds the Queue, LifoQueue or PriorityQueue at `idx`. AQ_INVALID: it is none; AQ_NOMEM. */
AQ_API int aq_cqueue_at(lua_State *L, int idx, struct aq_cqueue **q);

/* Pushes the queue, for Lua. AQ_INVALID: another state. AQ_NOMEM. [-0, +1] */
AQ_API int aq_cqueue_push(lua_State *L, struct aq_cqueue *q);

/* Counts one more holder; returns `q`. */
AQ_API struct aq_cqueue *aq_cqueue_hold(struct aq_cqueue *q);

/* One holder less; with the last, Lua alone decides how long the queue lives. */
AQ_API void aq_cqueue_drop(struct aq_cqueue *q);

/*
** Puts a value without waiting: AQ_OK, it is in the queue, and `v` is nil; bytes are copied. AQ_FULL,
** AQ_SHUTDOWN, AQ_NOMEM. AQ_ERROR: a priority queue cannot order it, or its __lt has raised. A queue
** that drops items says AQ_OK, also if it dropped this one.
*/
AQ_API int aq_cqueue_put(struct aq_cqueue *q, struct aq_value *v);

/* The same for the Lua value at `idx`, which stays there. */
AQ_API int aq_cqueue_put_at(lua_State *L, int idx, struct aq_cqueue *q);

/*
** Takes an item without waiting; `*v` is overwritten. AQ_OK: it is the caller's, to be freed, put,
** or pushed. AQ_EMPTY, AQ_SHUTDOWN, AQ_NOMEM: `*v` is nil.
*/
AQ_API int aq_cqueue_get(struct aq_cqueue *q, struct aq_value *v);

/*
** A wait of C's in a queue: in the same room as tasks that wait, in the order they came. Zero the
** struct before its first use. It is the library's from AQ_OK on until `done` is called, the wait is
** cancelled, or lua_close returns; then it may be used again, or freed, also from inside `done`.
**
** `done` is called once, in a turn, outside of tasks. `v` is its own from then on: the item of a get,
** or that of a put that failed, else nil. `status` is AQ_OK, AQ_SHUTDOWN, AQ_TIMEDOUT, or for a put
** into a priority queue AQ_ERROR or AQ_NOMEM. An error that it raises is reported. It is not called
** after the end of the runtime, which frees the item of a put.
*/
struct aq_cwait {
  void (*done)(struct aq_cwait *w, int status, struct aq_value *v);
  void *ud;
  void *aq_private[24];
};

/*
** Puts a value when there is a slot for it; AQ_FOREVER, or how long to wait. AQ_OK: `v` is nil, `done`
** will come, be it that the queue was shut down, or that the item was stored at once. AQ_NOMEM,
** AQ_ERROR as aq_cqueue_put; AQ_BUSY: `w` waits already.
*/
AQ_API int aq_cqueue_put_wait(struct aq_cqueue *q, struct aq_cwait *w, struct aq_value *v,
                              uint64_t timeout_ns);

/* Takes an item when there is one: in the turn that calls `done`. AQ_OK: it will come. AQ_NOMEM,
** AQ_BUSY. */
AQ_API int aq_cqueue_get_wait(struct aq_cqueue *q, struct aq_cwait *w, uint64_t timeout_ns);

/*
** Ends a wait at once: `done` will not be called, the struct is the caller's whatever the answer. An
** item or a slot that it was woken with goes to the next in the room; the item of a put is freed.
** AQ_INVALID: there was nothing to cancel: not waiting, or a put that was stored at once. AQ_BUSY,
** from a comparison of items that the end of this very wait runs: `done` comes.
*/
AQ_API int aq_cwait_cancel(struct aq_cwait *w);

/* Marks an item done, as q:task_done(). AQ_OVERDONE: more often than items were put. */
AQ_API int aq_cqueue_done(struct aq_cqueue *q);

/* Shuts the queue down, as q:shutdown(immediate); what `immediate` discards is left to the collector,
** payloads as well. AQ_NOMEM: not even the memory for a call in Lua. */
AQ_API int aq_cqueue_shutdown(struct aq_cqueue *q, int immediate);

/* As q:qsize(), q:maxsize(), q:full(), q:empty(), q:is_shutdown(); of an ended runtime: 0, 0, 0, 1, 1. */
AQ_API size_t aq_cqueue_size(const struct aq_cqueue *q);
AQ_API size_t aq_cqueue_maxsize(const struct aq_cqueue *q);
AQ_API int aq_cqueue_is_full(const struct aq_cqueue *q);
AQ_API int aq_cqueue_is_empty(const struct aq_cqueue *q);
AQ_API int aq_cqueue_is_shutdown(const struct aq_cqueue *q);

/* ---- operations ------------------------------------------------------------------------------ */

/*
** A C function of the embedder's that waits, written as one that yields:
**
**     struct my_op { struct aq_op op; ... };
**
**     aq_op_begin(L, &my->op, &KIND, timeout_ns);    may raise; nothing has been started yet
**     ... starts something that will call aq_op_complete(&my->op)
**     return aq_op_wait(L, &my->op, ctx, k);         does not return, or returns what k does
**
**     static int k(lua_State *L, int status, lua_KContext ctx) { ... releases my, returns or raises }
**
** The struct is the caller's. From aq_op_wait on, or from when somebody knows of it, it stays where
** it is until it is released: by `k`, by `discard`, or by the one to whom aq_op_complete says 0. All
** on the loop's thread.
*/
struct aq_op;

/* What operations of one kind have in common. Static. `abort` and `discard` call no Lua and raise
** nothing; they may complete other operations. */
struct aq_op_kind {
  const char *name; /* "read": for reports */
  /* Writes what it waits on, "stream 127.0.0.1:80", for reports. NULL: they name the first argument
  ** of the function that waits, if it is a userdata or table. Raises nothing. */
  void (*describe)(const struct aq_op *op, char *text, size_t size);
  /* The wait is to end, because of AQ_TIMEDOUT, AQ_CANCELLED, AQ_DEADLOCK or AQ_CLOSED; asked once. 1:
  ** it is gone and will not be completed; the wait ends with that status. 0: not yet; the wait goes on
  ** until it is completed, and ends as AQ_OK; a cancel comes at the next wait then. NULL: gone. */
  int (*abort)(struct aq_op *op, int why);
  /* It is completed or gone, but `k` will not run: the task was closed by force, or the state. To
  ** release the struct. May be NULL. */
  void (*discard)(struct aq_op *op);
};

struct aq_op {
  const struct aq_op_kind *kind;
  void *aq_private[15];
};

/*
** Checks that the running task can wait here, and reserves all that waiting and results need. May
** raise: no task runs, this function cannot be suspended, no memory. Then, and if the caller raises
** afterwards instead of waiting, there is nothing to undo. What lies between it and aq_op_wait must
** not wait. `timeout_ns`: AQ_FOREVER, or from now; 0 tries for one turn. [-0, +0, v]
*/
AQ_API void aq_op_begin(lua_State *L, struct aq_op *op, const struct aq_op_kind *kind,
                        uint64_t timeout_ns);

/*
** Suspends the task until the operation is over, and then calls `k`, once, with the stack as it is
** here. If it has been completed by now, `k` is called at once. To be called as `return
** aq_op_wait(...)`. The status that `k` gets is AQ_OK, AQ_ERROR (aq_op_complete_with failed),
** AQ_TIMEDOUT, AQ_CANCELLED (which wins over a completion in the same turn) or AQ_DEADLOCK.
*/
AQ_API int aq_op_wait(lua_State *L, struct aq_op *op, lua_KContext ctx, lua_KFunction k);

/*
** The operation is done: its task goes on in the next turn. From anywhere on the loop's thread: a
** callback of libuv's, a task, an `abort`. Calls nothing of the caller's.
**
** Returns 1: the task's side releases the struct. 0: nobody waits any more, and it is the caller's
** to release; also after the state was closed. -1: refused, with nothing done: `op` is NULL, was
** completed already or is gone (debug mode warns of it), or this is another thread.
*/
AQ_API int aq_op_complete(struct aq_op *op);

/*
** The same with results: calls `push` at once, protected, on a stack of its own with `arg` as a light
** userdata at 1, and keeps what it returns, or the error that it raises. For what is not there any
** more when the task goes on. If the answer is not 1, `push` is not called.
*/
AQ_API int aq_op_complete_with(struct aq_op *op, lua_CFunction push, void *arg);

/*
** In `k`, which may have released the operation: pushes what it was completed with and returns how
** many values that are; raises the error if the status was AQ_ERROR. [-0, +n, v]
*/
AQ_API int aq_op_results(lua_State *L);

/*
** Raises the error value that a status stands for: TimeoutError, CancelledError with its message,
** DeadlockError with its report, QueueFull...; for AQ_ERROR in `k` what aq_op_results would. To be
** called as `return aq_raise(L, status)`.
*/
AQ_API int aq_raise(lua_State *L, int status);

/* The timeout at `idx` in nanoseconds: AQ_FOREVER for nil and none, 0 for what is not positive. Raises
** if it is no number of seconds. [-0, +0, v] */
AQ_API uint64_t aq_check_seconds(lua_State *L, int idx);

/* The wait of one branch of a select, while it waits. */
struct aq_branch_wait;

/*
** How an object of the embedder's stands in aq.select. Static. All but `attempt` call no Lua and raise
** nothing; all but `give_up` are needed.
*/
struct aq_branch_def {
  const char *name; /* for reports, before the object: "reading from " */
  /* Whether attempt would succeed, or fail, now. Only looks. */
  int (*is_ready)(void *object);
  /* It is ready, or was notified, and was chosen: does it. The Lua object is at 1. AQ_OK: the value is
  ** on top; another status, but AQ_EMPTY, or an error raised: that is the error of the branch. */
  int (*attempt)(lua_State *L, void *object);
  /* It is not ready: `w` is to be handed to aq_branch_notify once it may be. */
  void (*enter)(void *object, struct aq_branch_wait *w);
  /* The select goes on without it: `w` is not to be used any more. */
  void (*leave)(void *object, struct aq_branch_wait *w);
  /* It was notified and chosen, but its task was cancelled: it will not be attempted. May be NULL. */
  void (*give_up)(void *object);
};

/*
** Pushes a branch of aq.select for the Lua value at `idx`, which it keeps, and returns 1. `object` is
** what the functions get. May raise: no memory. [-0, +1, m]
*/
AQ_API int aq_push_branch(lua_State *L, int idx, const struct aq_branch_def *def, void *object);

/*
** The branch that waits with `w` is ready: its select chooses it, and the others leave. `w` is not
** to be used any more. 0: it does not wait. From anywhere on the loop's thread.
*/
AQ_API int aq_branch_notify(struct aq_branch_wait *w);

/* ---- tasks -----------------------------------------------------------------------------------
**
** C keeps a task by a block that is counted and outlives the state: after the state's end it answers
** AQ_CLOSED, and can still be dropped. The calls below are for the thread that uses the state
** (AQ_WRONG_THREAD), take NULL (AQ_INVALID), and raise no errors.
*/
struct aq_ctask;

/*
** Is called once when the task has ended, from a later turn, protected: an error raised in it is
** reported as a task's. Only what is on the stack of `L` is its own:
**
**   AQ_OK          all results of the function
**   AQ_ERROR       its error; counts as retrieved (T12)
**   AQ_CANCELLED   CancelledError
**   AQ_NOMEM       nothing: it returned so many values that the stack cannot take them
**   AQ_CLOSED      the state was closed before: `L` is NULL, and no call may be made but aq_ctask_*
*/
typedef void aq_ended(lua_State *L, int status, void *ud);

/*
** Makes a task, as aq.create_task does. Stack: a function and its `nargs` arguments, which are
** popped, whatever comes of it (but not on a wrong thread). Tasks run while somebody drives:
** aq_call, aq_step, or uv_run after aq_attach. `t` and `ended` may be NULL; what is put into `*t`
** is to be dropped.
**
** AQ_OK; then `ended` will be called, whatever happens. Else no task was made, `*t` is NULL and
** `ended` will not be called: AQ_INVALID (no function), AQ_NOMEM, AQ_CLOSED (before luaopen_aqlua
** too).
*/
AQ_API int aq_spawn(lua_State *L, int nargs, struct aq_ctask **t, aq_ended *ended, void *ud);

/*
** As task:cancel(message); `message` may be NULL. AQ_OK, AQ_INVALID: it has ended, AQ_CLOSED;
** AQ_NOMEM: it is cancelled, but without the message.
*/
AQ_API int aq_ctask_cancel(struct aq_ctask *t, const char *message);

/* As task:set_name(name). AQ_OK, AQ_NOMEM, AQ_CLOSED. */
AQ_API int aq_ctask_set_name(struct aq_ctask *t, const char *name);

/* Pushes the Task onto `L`, a stack of the same state. Else pushes nothing: AQ_INVALID, AQ_NOMEM, AQ_CLOSED. */
AQ_API int aq_ctask_push(lua_State *L, struct aq_ctask *t);

/* True if the task has ended; also for NULL and after the state's end. */
AQ_API int aq_ctask_is_done(const struct aq_ctask *t);

/* One handle more, to be dropped by itself. Returns `t`. */
AQ_API struct aq_ctask *aq_ctask_hold(struct aq_ctask *t);

/* One handle less, at any time, also after lua_close; the task runs on. NULL is allowed. */
AQ_API void aq_ctask_drop(struct aq_ctask *t);

/* ---- errors, classes and names --------------------------------------------------------------- */

/*
** Errors, classes and names from C, for what is to be one with the library. On the thread that uses the
** state. What returns a status raises no errors: AQ_INVALID, AQ_NOMEM, AQ_CLOSED, AQ_WRONG_THREAD.
*/
struct luaL_Reg;

/*
** Makes aq.<name> the bare value of a new kind of error, with `text` as its message. It equals all
** errors of the kind, and those of the kinds that have it as their `parent` (a name, or NULL). To
** define it again with the same parent changes nothing. AQ_INVALID: no such parent, or the name is
** taken or is none.
*/
AQ_API int aq_define_error(lua_State *L, const char *name, const char *parent, const char *text);

/*
** Pushes a new error value of a kind, e.g. "TimeoutError"; NULL as the message: that of the bare
** value. Pushes a string that says why, if it returns anything but AQ_OK: so that `return
** lua_error(L)` may follow in any case. (Nothing on a wrong thread, and nothing without memory for
** the stack.)
*/
AQ_API int aq_push_error(lua_State *L, const char *name, const char *message);

/*
** The same for an error of the system: aq.OSError, or the kind below it that fits, e.g.
** aq.FileNotFoundError. `error` is libuv's number, or errno. Fields: code ("ENOENT"), errno,
** syscall, message ("open /tmp/x: no such file or directory"). `syscall` ("open") and `what`
** ("/tmp/x") may be NULL.
*/
AQ_API int aq_push_os_error(lua_State *L, int error, const char *syscall, const char *what);

/*
** Pops a value and makes it a field of the error value at `idx`. AQ_INVALID: that is none, or a
** bare one, which all share.
*/
AQ_API int aq_set_error_field(lua_State *L, int idx, const char *key);

/*
** Makes a class of userdata. `methods` become its __index, `meta` the rest of its metatable; either
** may be NULL. tostring gives "name: address" unless there is a __tostring. To define it again with
** the same `methods` changes nothing; with others: AQ_INVALID.
*/
AQ_API int aq_define_class(lua_State *L, const char *name, const struct luaL_Reg *methods,
                           const struct luaL_Reg *meta);

/* Pushes a new object of a class, its memory zeroed: so `__gc` may find it. May raise. */
AQ_API void *aq_new_object(lua_State *L, const char *class_name, size_t size, int nuvalue);

/* The object of the class at `idx`; raises "Stream expected, got Queue" for anything else. */
AQ_API void *aq_check_object(lua_State *L, int idx, const char *class_name);

/* The same, or NULL for anything else. May raise for lack of memory. */
AQ_API void *aq_to_object(lua_State *L, int idx, const char *class_name);

/*
** aq.<name> will be made when it is first touched, or by pairs(aq): open(L) is called with the name
** and the module table, and returns the value. If it raises, that is raised, and the next touch
** calls it again; pairs leaves the name out. AQ_INVALID: the name is taken.
*/
AQ_API int aq_add_opener(lua_State *L, const char *name, lua_CFunction open);

#ifdef __cplusplus
}
#endif

#endif
