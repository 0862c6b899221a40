/*
** ctask.c - aq_spawn, and the block by which C knows a task.
**
** The block is malloc'ed and counted: one for each handle that C has, one while `ended` is to come. It keeps
** the Task by a slot of AQ_UV_LIVE, which counts as work to do until `ended` has been called: so the end of a
** run takes that turn. The runtime lists its blocks and cuts them off when it ends.
**
** All that a block needs is made by aq_spawn: `ended` is never lost for lack of memory, only put off.
*/
#include "ctask.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/task/cancel.h"
#include "bind/task/task.h"
#include "bind/task/unhandled.h"

struct aq_ctask {
  struct aq_list link;     /* in rt->ctasks */
  struct aq_runtime *rt;   /* NULL: it has ended */
  struct aq_task *task;    /* kept by `slot` */
  struct aq_waiter waiter; /* in the task's joiners, or ready, while `ended` is to come */
  aq_ended *ended;         /* NULL: none, or it was called */
  void *ud;
  uint32_t slot;  /* in AQ_UV_LIVE, or 0 */
  uint32_t count; /* who needs the block */
};

/* Stack that is made sure of before anything is pushed. */
enum { ROOM = 8 };

/* Whether the runtime, NULL if it has ended, can be used here. */
static enum aq_status check(const struct aq_runtime *rt) {
  return rt == NULL || rt->loop == NULL ? AQ_CLOSED : aq_runtime_check_thread(rt);
}

/* ---- the block ------------------------------------------------------------------------------- */

static void push_task(lua_State *L, const struct aq_ctask *c) {
  aq_runtime_push_uv(L, c->rt, AQ_UV_LIVE);
  lua_rawgeti(L, -1, c->slot);
  lua_remove(L, -2);
}

/* Gives the slot back. Without memory for the stack, the Task is kept until the state ends. */
static void let_go(struct aq_ctask *c) {
  if (c->rt == NULL || c->slot == 0 || !lua_checkstack(c->rt->L, ROOM)) return;
  aq_runtime_push_uv(c->rt->L, c->rt, AQ_UV_LIVE);
  aq_shelf_drop(c->rt->L, &c->rt->live, -1, c->slot);
  if (c->task != NULL) c->rt->nkept--;
  lua_pop(c->rt->L, 1);
}

static void release(struct aq_ctask *c) {
  if (--c->count > 0) return;
  let_go(c);
  aq_list_unlink(&c->link);
  free(c);
}

/* AQ_OK if the task that the block stands for can be reached. */
static enum aq_status enter(const struct aq_ctask *c) {
  if (c == NULL) return AQ_INVALID;
  enum aq_status status = check(c->rt);
  if (status != AQ_OK) return status;
  return lua_checkstack(c->rt->L, ROOM) ? AQ_OK : AQ_NOMEM;
}

/* ---- its end --------------------------------------------------------------------------------- */

/* Pushes the results of the Task at `idx`, or its error; returns how many values. Raises, to be called
** again, for lack of memory; but pushes none of so many that they might never fit onto the stack. */
static int push_outcome(lua_State *L, int idx) {
  enum { MANY = 1000 };
  const struct aq_future *f = lua_touserdata(L, idx);
  if (f->state != AQ_RETURNED) {
    aq_future_push_error(L, idx);
    return 1;
  }
  if (f->nresults > MANY && !lua_checkstack(L, f->nresults + ROOM)) return 0;
  return aq_future_unwrap(L, idx);
}

static int status_of(const struct aq_future *f, int nvalues) {
  if (f->state == AQ_RETURNED) return nvalues == f->nresults ? AQ_OK : AQ_NOMEM;
  return f->state == AQ_RAISED ? AQ_ERROR : AQ_CANCELLED;
}

/* Stack: the outcome, the block (light). */
static int call_ended(lua_State *L) {
  struct aq_ctask *c = lua_touserdata(L, -1);
  aq_ended *ended = c->ended;
  lua_pop(L, 1);
  c->ended = NULL; /* called, whatever comes of it */
  c->task->future.is_retrieved = true;
  ended(L, status_of(&c->task->future, lua_gettop(L)), c->ud);
  return 0;
}

/* Stack: the block (light). Reports an error of the callback's. */
static int run_protected(lua_State *L) {
  struct aq_ctask *c = lua_touserdata(L, 1);
  push_task(L, c);              /* [2] */
  aq_unhandled_push_handler(L); /* [3] */
  lua_pushcfunction(L, call_ended);
  int n = push_outcome(L, 2);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, n + 1, 0, 3) == LUA_OK) return 0;
  if (c->ended != NULL) return lua_error(L);
  aq_unhandled_caught(L, c->rt, 2, 3);
  return 0;
}

static void run(struct aq_waiter *w) {
  struct aq_ctask *c = AQ_CONTAINER(w, struct aq_ctask, waiter);
  lua_State *L = c->rt->L;
  lua_pushcfunction(L, run_protected);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (c->ended != NULL) {
    aq_waiter_ready(&c->waiter, AQ_OK); /* out of memory before it was called: once more */
    return;
  }
  c->rt->nkept++;
  release(c);
}

/* ---- spawning -------------------------------------------------------------------------------- */

/* Never read: its address is the key in the registry of `spawn`, whose upvalue is the runtime. */
static const char SPAWN_KEY;

struct spawning {
  struct aq_ctask *c; /* or NULL */
  enum aq_status status;
};

/* The block is that of the task `t`, which is on top. */
static void keep(lua_State *L, struct aq_ctask *c, struct aq_task *t) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_LIVE);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, c->slot);
  c->task = t;
  aq_list_append(&c->rt->ctasks, &c->link);
  if (c->ended != NULL)
    aq_waiter_enter(&c->waiter, &t->future.joiners, NULL, AQ_NEVER);
  else
    c->rt->nkept++;
}

/* Stack: the request (light), function, arguments. Once the task is made, nothing can fail. */
static int spawn(lua_State *L) {
  struct spawning *s = lua_touserdata(L, 1);
  struct aq_ctask *c = s->c;
  if (!aq_task_can_call(L, 2)) {
    s->status = AQ_INVALID;
    return 0;
  }
  if (c != NULL) {
    aq_shelf_reserve(L, &c->rt->live, 1, lua_upvalueindex(1), AQ_UV_LIVE);
    c->slot = aq_shelf_slot(&c->rt->live);
  }
  struct aq_task *t = aq_task_new(L, lua_gettop(L) - 2);
  if (c != NULL) keep(L, c, t);
  s->status = AQ_OK;
  return 0;
}

/* `spawn` is on top: calls it with the function and arguments below. Pops all. */
static enum aq_status make(lua_State *L, int nargs, struct aq_ctask *c) {
  struct spawning s = {c, AQ_NOMEM};
  lua_pushlightuserdata(L, &s);
  lua_rotate(L, -(nargs + 3), 2);
  if (lua_pcall(L, nargs + 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  return s.status;
}

static enum aq_status make_kept(lua_State *L, int nargs, struct aq_ctask *c) {
  if (c == NULL) {
    lua_pop(L, nargs + 2);
    return AQ_NOMEM;
  }
  enum aq_status status = make(L, nargs, c);
  if (status != AQ_OK) {
    c->count = 1;
    release(c);
  }
  return status;
}

static struct aq_ctask *new_block(struct aq_runtime *rt, uint32_t nhandles, aq_ended *ended,
                                  void *ud) {
  struct aq_ctask *c = malloc(sizeof *c);
  if (c == NULL) return NULL;
  *c = (struct aq_ctask){.rt = rt, .ended = ended, .ud = ud};
  c->count = nhandles + (ended != NULL);
  aq_list_init(&c->link);
  aq_waiter_init(&c->waiter, &rt->loop->agenda, run);
  return c;
}

/* Pushes `spawn` and gets the runtime; pushes nothing if that has ended. */
static enum aq_status push_spawn(lua_State *L, struct aq_runtime **rt) {
  *rt = NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &SPAWN_KEY) != LUA_TNIL) {
    lua_getupvalue(L, -1, 1);
    *rt = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  enum aq_status status = check(*rt);
  if (status != AQ_OK) lua_pop(L, 1);
  return status;
}

int aq_spawn(lua_State *L, int nargs, struct aq_ctask **t, aq_ended *ended, void *ud) {
  struct aq_runtime *rt;
  if (t != NULL) *t = NULL;
  if (L == NULL || nargs < 0 || lua_gettop(L) <= nargs) return AQ_INVALID;
  enum aq_status status = lua_checkstack(L, ROOM) ? push_spawn(L, &rt) : AQ_NOMEM;
  if (status != AQ_OK) {
    if (status != AQ_WRONG_THREAD) lua_pop(L, nargs + 1);
    return status;
  }
  if (t == NULL && ended == NULL) return make(L, nargs, NULL);
  struct aq_ctask *c = new_block(rt, t != NULL, ended, ud);
  status = make_kept(L, nargs, c);
  if (t != NULL && status == AQ_OK) *t = c;
  return status;
}

/* ---- what C does with it --------------------------------------------------------------------- */

struct text {
  struct aq_ctask *c;
  const char *text;
};

/* Stack: the request (light). */
static int cancel(lua_State *L) {
  const struct text *r = lua_touserdata(L, 1);
  push_task(L, r->c);
  lua_pushnil(L);
  if (r->text != NULL) {
    lua_pushstring(L, r->text);
    aq_error_push_with(L, AQ_E_CANCELLED);
  }
  aq_task_set_message(L, 2);
  aq_task_cancel(L, r->c->task);
  return 0;
}

static int set_name(lua_State *L) {
  const struct text *r = lua_touserdata(L, 1);
  push_task(L, r->c);
  lua_pushstring(L, r->text);
  aq_set_extra(L, 2, AQ_X_NAME);
  return 0;
}

/* Calls one of these. */
static enum aq_status call_with(lua_CFunction fn, struct aq_ctask *c, const char *text) {
  lua_State *L = c->rt->L;
  struct text r = {c, text};
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, &r);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return AQ_OK;
  lua_pop(L, 1);
  return AQ_NOMEM;
}

int aq_ctask_cancel(struct aq_ctask *t, const char *message) {
  enum aq_status status = enter(t);
  if (status != AQ_OK) return status;
  if (t->task->future.state != AQ_PENDING) return AQ_INVALID;
  status = call_with(cancel, t, message);
  if (status != AQ_OK) aq_task_cancel(t->rt->L, t->task);
  return status;
}

int aq_ctask_set_name(struct aq_ctask *t, const char *name) {
  enum aq_status status = name != NULL ? enter(t) : AQ_INVALID;
  return status == AQ_OK ? call_with(set_name, t, name) : status;
}

int aq_ctask_push(lua_State *L, struct aq_ctask *t) {
  struct aq_runtime *rt;
  enum aq_status status = enter(t);
  if (status == AQ_OK) status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  if (rt != t->rt) return AQ_INVALID;
  if (!lua_checkstack(L, ROOM)) return AQ_NOMEM;
  push_task(L, t);
  return AQ_OK;
}

int aq_ctask_is_done(const struct aq_ctask *t) {
  return t == NULL || t->rt == NULL || t->task->future.state != AQ_PENDING;
}

struct aq_ctask *aq_ctask_hold(struct aq_ctask *t) {
  if (t != NULL) t->count++;
  return t;
}

void aq_ctask_drop(struct aq_ctask *t) {
  if (t != NULL && check(t->rt) != AQ_WRONG_THREAD) release(t);
}

/* ---- the runtime's part ---------------------------------------------------------------------- */

void aq_ctasks_open(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, spawn, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SPAWN_KEY);
}

/* Moves the runtime's blocks to `closed`; none of them leads to it any more. */
static void cut_off(struct aq_runtime *rt, struct aq_list *closed) {
  aq_list_init(closed);
  aq_list_move(&rt->ctasks, closed);
  for (struct aq_list *n = closed->next; n != closed; n = n->next) {
    struct aq_ctask *c = AQ_CONTAINER(n, struct aq_ctask, link);
    aq_waiter_drop(&c->waiter);
    c->rt = NULL;
    c->task = NULL;
  }
}

/* The task of this block will not end. */
static void tell_closed(struct aq_ctask *c) {
  aq_ended *ended = c->ended;
  aq_list_unlink(&c->link);
  if (ended == NULL) return;
  c->ended = NULL;
  ended(NULL, AQ_CLOSED, c->ud);
  release(c);
}

void aq_ctasks_close(struct aq_runtime *rt) {
  while (!aq_list_alone(&rt->ctasks)) { /* a callback might spawn */
    struct aq_list closed;
    cut_off(rt, &closed);
    while (!aq_list_alone(&closed)) tell_closed(AQ_CONTAINER(closed.next, struct aq_ctask, link));
  }
}
