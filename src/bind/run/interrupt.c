/*
** interrupt.c - the bell, the hook, and stopping what runs.
**
** What a signal handler shares with the rest is in struct aq_interrupt and rt->wants. The handler
** only sets, the rest clears `wants` before it looks at the single requests: so none gets lost. At
** most one coroutine has the hook; what the hook displaced there is put back.
*/
#include "interrupt.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/base/place.h"
#include "bind/report/inspect.h"
#include "bind/report/waiting.h"
#include "bind/task/cancel.h"
#include "bind/task/task.h"

static const uint64_t GRACE_NS = 50000000;

struct aq_interrupt {
  struct aq_runtime *rt;
  uv_async_t bell;                    /* never keeps the loop alive */
  volatile sig_atomic_t wants_stop;   /* asked for: stop what runs */
  volatile sig_atomic_t wants_report; /* asked for: tell what all tasks do */
  volatile sig_atomic_t is_moving;    /* the hook is being set or taken off */
  volatile sig_atomic_t is_in_force;  /* the main task was told to stop */
  volatile uint64_t since_ns;         /* when wants_stop was set */
  const char *volatile why;           /* message of the CancelledError */
  lua_State *hooked;                  /* the coroutine that has the hook, or NULL */
  lua_Hook hook;                      /* what it had instead, */
  int mask, count;                    /* likewise */
  uint64_t driven_out;                /* id of the task that is stopped again and again, or 0 */
};

/* ---- the hook -------------------------------------------------------------------------------- */

/* The coroutine that runs now, or will when the driver goes on. */
static lua_State *innermost(const struct aq_runtime *rt) {
  if (rt->current == NULL) return rt->L;
  for (const struct aq_level *level = rt->level; level != NULL; level = level->outer)
    if (level->resumer == rt->current->co) return rt->level->resumed;
  return rt->current->co;
}

static void unhook(struct aq_interrupt *i) {
  if (i->hooked != NULL) lua_sethook(i->hooked, i->hook, i->mask, i->count);
  i->hooked = NULL;
}

static void on_instruction(lua_State *L, lua_Debug *ar);

static void hook_onto(struct aq_interrupt *i, lua_State *co) {
  if (i->hooked == co) return;
  unhook(i);
  bool is_inherited = lua_gethook(co) == on_instruction;
  i->hook = is_inherited ? NULL : lua_gethook(co);
  i->mask = is_inherited ? 0 : lua_gethookmask(co);
  i->count = lua_gethookcount(co);
  i->hooked = co;
  lua_sethook(co, on_instruction, LUA_MASKCOUNT, 1);
}

/* Puts the hook where it is wanted, or takes it off. A signal that comes meanwhile leaves it to us. */
static void settle_hook(struct aq_runtime *rt) {
  struct aq_interrupt *i = rt->interrupt;
  if (i->is_moving) return;
  sig_atomic_t wanted;
  do {
    i->is_moving = 1;
    wanted = rt->wants;
    if (wanted)
      hook_onto(i, innermost(rt));
    else
      unhook(i);
    i->is_moving = 0;
  } while (wanted != rt->wants);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void serve_report(lua_State *L, struct aq_runtime *rt) {
  if (!rt->interrupt->wants_report) return;
  rt->interrupt->wants_report = 0;
  aq_inspect_report(L, rt);
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Pushes the reason, and where the task is: e.g. "interrupted by SIGINT at a.lua:3". */
static void push_message(lua_State *L, struct aq_task *t, const char *why) {
  bool runs = t->future.rt->current == t;
  aq_push_line(L, runs ? L : t->is_suspended ? t->innermost : t->co, 0);
  if (strcmp(lua_tostring(L, -1), "?") == 0)
    lua_pushstring(L, why);
  else
    lua_pushfstring(L, "%s at %s", why, lua_tostring(L, -1));
}

/* Cancels the Task at 1 with the reason as message. */
static int cancel(lua_State *L) {
  struct aq_task *t = lua_touserdata(L, 1);
  const char *why = lua_touserdata(L, 2);
  if (t->future.state != AQ_PENDING) return 0;
  push_message(L, t, why);
  aq_error_push_with(L, AQ_E_CANCELLED);
  aq_task_set_message(L, 1);
  aq_task_cancel(L, t);
  return 0;
}

static void cancel_task(lua_State *L, struct aq_task *t, const char *why) {
  lua_pushcfunction(L, cancel);
  aq_task_push(L, t);
  lua_pushlightuserdata(L, (void *)why);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) { /* no memory for the message */
    lua_pop(L, 1);
    if (t->future.state == AQ_PENDING) aq_task_cancel(L, t);
  }
}

enum answer { NOT_SEEN_TO, SEEN_TO, DRIVE_OUT };

/* Asks internal.on_interrupt's function: true if it has seen to the request itself, "drive out" if
** the running task is to be stopped as often as it goes on. */
static enum answer ask(lua_State *L, struct aq_runtime *rt, bool is_spinning) {
  int top = lua_gettop(L);
  enum answer answer = NOT_SEEN_TO;
  aq_runtime_push_uv(L, rt, AQ_UV_ON_INTERRUPT);
  if (!lua_isnil(L, -1)) {
    lua_pushstring(L, rt->interrupt->why);
    lua_pushboolean(L, is_spinning);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1))
      answer = lua_isstring(L, -1) ? DRIVE_OUT : SEEN_TO;
  }
  lua_settop(L, top);
  return answer;
}

/* Tells the program to end: its main task, if somebody else has not been told instead. */
static enum answer tell_main(lua_State *L, struct aq_runtime *rt, bool is_spinning) {
  enum answer answer = ask(L, rt, is_spinning);
  if (answer != NOT_SEEN_TO) return answer;
  rt->interrupt->is_in_force = 1;
  if (rt->main != NULL && rt->main != rt->current) cancel_task(L, rt->main, rt->interrupt->why);
  return answer;
}

static bool is_stop_due(const struct aq_interrupt *i) {
  return i->wants_stop && uv_hrtime() - i->since_ns >= GRACE_NS;
}

/* Raising inside the library's own Lua code could leave something half done. */
static bool is_users(lua_State *L, lua_Debug *ar) {
  return lua_getinfo(L, "S", ar) && strncmp(ar->source, AQ_CHUNK, sizeof AQ_CHUNK - 1) != 0;
}

/* A hook for a task that goes on although it was stopped: stops it at each instruction. */
static void drive_out(lua_State *L, lua_Debug *ar) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt->interrupt == NULL || rt->current == NULL ||
      rt->current->id != rt->interrupt->driven_out) {
    lua_sethook(L, NULL, 0, 0); /* the coroutine serves another task now */
  } else if (is_users(L, ar)) {
    aq_task_push_cancelled(L, rt->current);
    lua_error(L);
  }
}

static void start_driving_out(lua_State *L, struct aq_task *t) {
  t->future.rt->interrupt->driven_out = t->id;
  lua_sethook(L, drive_out, LUA_MASKCOUNT, 1);
  lua_sethook(t->co, drive_out, LUA_MASKCOUNT, 1);
}

/* Raises CancelledError in the code that runs; its task counts as cancelled, and has been told. */
static void stop_running(lua_State *L, struct aq_runtime *rt) {
  struct aq_task *t = rt->current;
  rt->interrupt->wants_stop = 0;
  settle_hook(rt);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  enum answer answer = tell_main(L, rt, true);
  if (t == NULL) {
    aq_error_push_of(L, rt, AQ_E_CANCELLED);
    lua_error(L);
  }
  cancel_task(L, t, rt->interrupt->why);
  if (t->must_cancel && t->shield == NULL) {
    t->must_cancel = false;
    t->was_delivered = true;
  }
  if (answer == DRIVE_OUT) start_driving_out(L, t);
  aq_task_push_cancelled(L, t);
  lua_error(L);
}

static void on_instruction(lua_State *L, lua_Debug *ar) {
  struct aq_runtime *rt = aq_runtime_of(L);
  struct aq_interrupt *i = rt != NULL ? rt->interrupt : NULL;
  if (i == NULL || i->hooked != L) {
    lua_sethook(L, NULL, 0, 0); /* inherited from the coroutine that made this one */
    return;
  }
  rt->wants = 0;
  serve_report(L, rt);
  if (is_stop_due(i) && is_users(L, ar)) stop_running(L, rt);
  if (i->wants_stop) rt->wants = 1;
  settle_hook(rt);
}

void aq_interrupt_serve(lua_State *L, struct aq_runtime *rt) {
  struct aq_interrupt *i = rt->interrupt;
  rt->wants = 0;
  settle_hook(rt);
  serve_report(L, rt);
  if (!i->wants_stop) return;
  i->wants_stop = 0;
  tell_main(L, rt, false);
}

/* ---- the main task's end --------------------------------------------------------------------- */

void aq_interrupt_main_ended(struct aq_runtime *rt, const struct aq_task *t) {
  if (rt->interrupt == NULL || !rt->interrupt->is_in_force) return;
  rt->interrupt->is_in_force = aq_task_cancelling(t) > 0;
}

/* True while the program is on its way to end because of an earlier request. */
static bool is_in_force(const struct aq_interrupt *i) {
  if (i->wants_stop) return true;
  if (!i->is_in_force) return false;
  return i->rt->main == NULL || aq_task_cancelling(i->rt->main) > 0;
}

/* ---- the bell -------------------------------------------------------------------------------- */

/* A turn is to be taken, for the request to be seen. */
static void on_bell(uv_async_t *bell) {
  const struct aq_interrupt *i = bell->data;
  aq_loop_hurry(i->rt->loop);
}

static void on_bell_closed(uv_handle_t *bell) { free(bell->data); }

void aq_interrupt_close(struct aq_runtime *rt) {
  if (rt->interrupt == NULL) return;
  uv_close((uv_handle_t *)&rt->interrupt->bell, on_bell_closed);
  rt->interrupt = NULL;
  rt->wants = 0;
}

/* ---- for embedders --------------------------------------------------------------------------- */

struct aq_interrupt *aq_accept_interrupts(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL || rt->loop == NULL) return NULL;
  if (rt->interrupt != NULL) return rt->interrupt;
  struct aq_interrupt *i = calloc(1, sizeof *i);
  if (i == NULL) return NULL;
  if (uv_async_init(rt->loop->uv, &i->bell, on_bell) != 0) {
    free(i);
    return NULL;
  }
  i->rt = rt;
  i->bell.data = i;
  uv_unref((uv_handle_t *)&i->bell);
  rt->on_move = settle_hook;
  rt->interrupt = i;
  return i;
}

static void request(struct aq_interrupt *i) {
  i->rt->wants = 1;
  settle_hook(i->rt);
  uv_async_send(&i->bell);
}

int aq_interrupt(struct aq_interrupt *i, const char *why) {
  if (is_in_force(i)) return 0;
  i->why = why;
  i->since_ns = uv_hrtime();
  i->wants_stop = 1;
  request(i);
  return 1;
}

void aq_report_tasks(struct aq_interrupt *i) {
  i->wants_report = 1;
  request(i);
}

int aq_interrupted(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && rt->interrupt != NULL && is_in_force(rt->interrupt);
}
