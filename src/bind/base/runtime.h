/*
** runtime.h - one Lua state tied to one loop.
**
** The runtime is a userdata: upvalue 1 of every C function of the library, and in the registry
** under its own address. Its user values hold what is shared by all classes; it is the first
** object with a finalizer that the library makes, so its own runs last.
**
** Who drives: aq_call, aq_step, or the host's uv_run takes turns (run/run.h). While a task is being
** resumed, `current` is that task; everything else runs with current = NULL.
*/
#ifndef AQ_RUNTIME_H
#define AQ_RUNTIME_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "pool.h"
#include "shelf.h"

struct aq_semaphore;
struct aq_task;
struct aq_keep;

/* How the names of the library's own Lua chunks begin. */
#define AQ_CHUNK "=[aqlua"

/* User values of the runtime. */
enum {
  /* What all classes share. */
  AQ_UV_MODULE = 1, /* the module table */
  AQ_UV_INTERNAL,   /* functions shared with the Lua layer */
  AQ_UV_ERRORS,     /* the bare error values, by kind */

  /* Tasks and futures. */
  AQ_UV_LIVE, /* shelf of tasks not done, of coroutines at rest (pool.h), of futures with callbacks
                     ** to come, and of tasks that C keeps */
  AQ_UV_TASK_META,   /* metatable of Task */
  AQ_UV_FUTURE_META, /* metatable of Future */
  AQ_UV_BRANCH_META, /* metatable of the branches of a select */
  AQ_UV_GUARD,       /* the <close> variable of the next: see ending.c */
  AQ_UV_BODY,        /* the function at the bottom of each task's coroutine */
  AQ_UV_WAITING,     /* coroutines of the user's that a wait passed through; weak keys */
  AQ_UV_TRACEBACKS, /* coroutine of the user's -> its stack as text, when an error left it; weak keys */

  /* Errors that nobody retrieved (unhandled.c). */
  AQ_UV_ON_ERROR, /* the handler set with aq.on_error, or nil */
  AQ_UV_FAILED,   /* number -> task that failed; weak */
  AQ_UV_REPORTS,  /* list of tasks to report in the next turn */
  AQ_UV_REPORTED, /* error and place of the latest report, as text */

  /* The run, and the reports on it. */
  AQ_UV_MAIN,         /* the main Task of the run, until its outcome is fetched */
  AQ_UV_DRAIN,        /* the Task that ends all others */
  AQ_UV_DEADLOCK,     /* text of the latest deadlock report */
  AQ_UV_ON_INTERRUPT, /* who is asked first when the program is to stop, or nil (interrupt.c) */
  AQ_UV_QUEUES,       /* the living queues, if anybody wants to know; weak keys (inspect.c) */

  /* What C holds. */
  AQ_UV_KEPT,    /* the values that C holds (keep.h) */
  AQ_UV_RESULTS, /* shelf of what operations were completed with (op.c) */
  AQ_UV_COUNT = AQ_UV_RESULTS
};

/* One resume of a user's coroutine that is under way; on the C stack (lcoroutine.c). */
struct aq_level {
  lua_State *resumer;
  lua_State *resumed;
  struct aq_level *outer; /* the resume that the resumer is in, or NULL */
  int depth;              /* 1, 2, ... from the outermost */
};

/* How far the run is: see run/run.h. */
enum aq_phase { AQ_NO_RUN, AQ_RUNNING, AQ_ENDING, AQ_RUN_OVER };

/* What an operation was completed with: one value, a list of several, or an error. */
struct aq_results {
  uint32_t slot; /* in AQ_UV_RESULTS, or 0 */
  int count;     /* of the values, or AQ_NO_RESULTS, AQ_FAILED_RESULTS */
};

enum { AQ_NO_RESULTS = -1, AQ_FAILED_RESULTS = -2 };

struct aq_runtime {
  /* What runs. */
  struct aq_loop *loop;
  lua_State *L;            /* the state that drives; the main one while nobody does */
  uv_thread_t thread;      /* that uses it: the one that opened it, or drove it last */
  struct aq_task *current; /* the task being resumed, or NULL */
  lua_State *closing;      /* the coroutine that is closed by force, or NULL */
  struct aq_level *level;  /* the innermost resume under way, or NULL */

  /* Tasks. */
  struct aq_shelf live;        /* slots of AQ_UV_LIVE */
  struct aq_pool pool;         /* coroutines at rest */
  uint64_t next_task_id;       /* tasks made so far + 1 */
  uint32_t walk_epoch;         /* number of the latest search for a circle */
  uint32_t cancel_epoch;       /* number of the latest cancel operation */
  uint32_t next_scope;         /* scopes made so far + 1 (aq.run inside a task makes one) */
  uint32_t budget;             /* calls a task may complete at once before it must pause; 0: any */
  struct aq_semaphore *let_go; /* lock that the task being closed let go for a wait; or NULL */
  const struct aq_step_watch *watch; /* who watches the steps of tasks (task.h), or NULL */
  bool is_patched;                   /* aq.patch() was called: coroutine.close refuses a task's */
  bool met_stranger;                 /* somebody but the scheduler resumed a coroutine that waits */
  bool has_layer;                    /* the Lua layer is loaded */

  /* Errors that nobody retrieved (unhandled.c). */
  uint64_t failures;      /* tasks failed so far: numbers AQ_UV_FAILED */
  uint64_t flushed;       /* of those, how many have been looked at when a run ended */
  uint64_t failed_before; /* `failures` a turn ago, if reports_early */
  uint32_t nreports;      /* entries of AQ_UV_REPORTS */
  bool reports_early;     /* in the next turn (T12) */
  size_t unhandled;       /* errors reported by the default report */
  uint64_t run_length;    /* reports in a row of what AQ_UV_REPORTED says, but for its task */
  uint64_t run_since_ns;  /* when the first of them came */
  void (*report)(void *ud, const char *text); /* the embedder's, or NULL: stderr */
  void *report_ud;

  /* The run (run/run.h). */
  struct aq_task *main;       /* the main task, until it is done; or NULL */
  struct aq_task *awaited;    /* whose end ends the phase: the main task, or the drain; or NULL */
  struct aq_task *foreground; /* whose wait a deadlock breaks in its place; or NULL */
  enum aq_phase phase : 8;
  bool is_driven;             /* turns are being taken, by a caller further up the stack */
  bool is_stopping;           /* aq_stop was called: the main task is awaited no longer */
  bool was_stopped;           /* ... and so the run has no outcome */
  bool is_leaving;            /* aq_exit was called, since the run began */
  void (*on_ended)(void *ud); /* the host's, called when a run ends that is attached; or NULL */
  void *ended_ud;             /* what it is called with */

  /* Signals (run/interrupt.c). */
  struct aq_interrupt *interrupt; /* what signal handlers use; or NULL */
  volatile sig_atomic_t wants;    /* a handler has asked for something */
  void (*on_move)(
    struct aq_runtime *rt); /* is told that the coroutine that runs has changed, if `wants` */

  /* What C holds. */
  struct aq_keep *keep;    /* its values, or NULL: none so far (keep.h) */
  struct aq_list ctasks;   /* its tasks (run/ctask.h) */
  uint32_t nkept;          /* slots of AQ_UV_LIVE by which it does, and no more is to come */
  struct aq_list ops;      /* operations under way, from their wait to their end (op.c) */
  struct aq_shelf results; /* slots of AQ_UV_RESULTS */
  struct aq_results ended; /* of the operation that ended last, until it takes them */
  struct aq_gate *gate;    /* what handles post by, or NULL: there was none (run/handle.c) */
  bool has_posts;          /* the bell was heard */
  uint64_t nqueues;        /* queues noted in AQ_UV_QUEUES so far */
};

/* Makes the runtime of this state and leaves its userdata on the stack; `close` will be its
** finalizer. [-0, +1, m] */
struct aq_runtime *aq_runtime_open(lua_State *L, lua_CFunction close);

/* Frees what the runtime has, but for what is above it. [-0, +0, -] */
void aq_runtime_free(lua_State *L, struct aq_runtime *rt);

/* Makes it the runtime that aq_runtime_of finds: last, when all is open. [-0, +0, m] */
void aq_runtime_publish(lua_State *L, struct aq_runtime *rt);

/* The runtime of this state, or NULL before aq_runtime_publish. [-0, +0, -] */
struct aq_runtime *aq_runtime_of(lua_State *L);

/*
** For the functions of aqlua.h that are called on the loop's thread: AQ_OK and the runtime of `L`; or
** AQ_INVALID for NULL, AQ_CLOSED if it has no runtime (any more), AQ_WRONG_THREAD.
*/
enum aq_status aq_runtime_enter(lua_State *L, struct aq_runtime **rt);

/* AQ_OK, or AQ_WRONG_THREAD if it is not the one that uses the runtime. */
enum aq_status aq_runtime_check_thread(const struct aq_runtime *rt);

/* The runtime, from inside a C function of the library. */
static inline struct aq_runtime *aq_runtime(lua_State *L) {
  return (struct aq_runtime *)lua_touserdata(L, lua_upvalueindex(1));
}

/* The coroutine that runs has changed: a request of a signal handler must be able to stop it. */
static inline void aq_runtime_moved(struct aq_runtime *rt) {
  if (rt->wants) rt->on_move(rt);
}

/* Pushes the runtime's userdata, from anywhere. [-0, +1, -] */
void aq_runtime_push(lua_State *L, struct aq_runtime *rt);

/* Pushes one of its user values, from anywhere. [-0, +1, -] */
void aq_runtime_push_uv(lua_State *L, struct aq_runtime *rt, int uv);

/*
** The userdata at `idx` if it is one of `size` bytes or more that begins with the address of `class`;
** else NULL. Quicker than comparing metatables, and sure also if debug.setmetatable was at work.
*/
static inline void *aq_test_object(lua_State *L, int idx, const void *class, size_t size) {
  const void **object = lua_touserdata(L, idx);
  return object != NULL && lua_rawlen(L, idx) >= size && *object == class ? object : NULL;
}

/* The class of an object that has been finalized, by the collector or by hand. */
extern const char aq_finalized_class[];

/* Adds functions to the table on top, each with the runtime as upvalue 1. The runtime's userdata
** is below the table. [-0, +0, m] */
struct luaL_Reg;
void aq_setfuncs(lua_State *L, const struct luaL_Reg *functions);

/* The timeout at `idx`, which is there. Use aq_check_timeout. [-0, +0, v] */
uint64_t aq_check_given_timeout(lua_State *L, int idx);

/* Nanoseconds of the timeout at `idx` in seconds: AQ_NEVER for nil and none, AQ_FAR for infinity and
** what cannot be counted; 0 for what is not positive. Raises on NaN and on what is no number. Rounds
** up. [-0, +0, v] */
static inline uint64_t aq_check_timeout(lua_State *L, int idx) {
  return lua_gettop(L) < idx ? AQ_NEVER : aq_check_given_timeout(L, idx);
}

/* Refuses a value after the argument at `last`, where ignoring it would hide a mistake. `hint` says what
** is right. [-0, +0, v] */
void aq_check_no_more(lua_State *L, int last, const char *hint);

#endif
