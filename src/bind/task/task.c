/*
** task.c - making a task, its steps, its end.
**
** At the bottom of a task's coroutine is `body`, which makes one protected call. Its stack: [1] the
** traceback function, [2] the Task, [3] the guard or nil, [4...] function and arguments, later the
** results. When it has returned, the coroutine is as good as new and rests until the next task
** (pool.h). The guard, and how a task ends whose body does not, are in ending.c.
*/
#include "task.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/base/error.h"
#include "bind/base/place.h"
#include "bind/base/pool.h"
#include "ending.h"
#include "traceback.h"
#include "unhandled.h"

/* ---- the body: inside the coroutine ---------------------------------------------------------- */

/* A body that returned although a cancel was still to be delivered ends cancelled (T4). */
static void store_success(lua_State *L, struct aq_task *t) {
  if (t->must_cancel) {
    aq_task_push_cancelled(L, t);
    aq_future_store_error(L, 2);
    t->future.state = AQ_ENDED_CANCELLED;
  } else {
    aq_future_store(L, 2, 4);
    t->future.state = AQ_RETURNED;
  }
}

/* The error is on top. Any CancelledError counts as the task's cancel, as in asyncio. */
static void store_failure(lua_State *L, struct aq_task *t) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "<no error object>");
  }
  if (aq_error_is(L, -1, AQ_E_CANCELLED)) {
    t->future.state = AQ_ENDED_CANCELLED;
  } else {
    aq_unhandled_watch(L, 2);
    t->future.state = AQ_RAISED;
  }
  aq_future_store_error(L, 2);
}

/* The task whose error this one was handed is not kept alive any longer. */
static void forget_origin(lua_State *L) {
  lua_pushnil(L);
  aq_set_extra(L, 2, AQ_X_ORIGIN);
}

static int body_end(lua_State *L, int status, lua_KContext ctx) {
  struct aq_task *t = lua_touserdata(L, 2);
  (void)ctx;
  if (t->has_origin) forget_origin(L);
  if (status == LUA_OK || status == LUA_YIELD)
    store_success(L, t);
  else
    store_failure(L, t);
  aq_pool_give(L, t->future.rt, t->slot);
  t->has_ended = true;
  return 0;
}

static int body(lua_State *L) {
  if (!aq_runtime(L)->is_patched) lua_toclose(L, 3);
  int status = lua_pcallk(L, lua_gettop(L) - 4, LUA_MULTRET, 1, 0, body_end);
  return body_end(L, status, 0);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void step(struct aq_waiter *w);

void aq_task_open(lua_State *L) {
  aq_pool_open(L);
  aq_guard_open(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, body, 1);
  lua_setiuservalue(L, -2, AQ_UV_BODY);
}

bool aq_task_can_call(lua_State *L, int idx) {
  if (lua_isfunction(L, idx)) return true;
  if (luaL_getmetafield(L, idx, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

static void init_task(struct aq_task *t, struct aq_runtime *rt) {
  memset(t, 0, sizeof *t);
  aq_future_init(&t->future, rt, aq_task_class);
  aq_waiter_init(&t->waiter, &rt->loop->agenda, step);
  t->scope = rt->current != NULL ? rt->current->scope : 0;
}

/* Pushes a coroutine for `t` with room for `room` values, and gives it its slot. */
static void push_coroutine(lua_State *L, struct aq_task *t, int room) {
  struct aq_runtime *rt = t->future.rt;
  t->co = aq_pool_take(L, rt, room, &t->slot);
  if (t->co != NULL) {
    lua_pushthread(t->co);
    lua_xmove(t->co, L, 1);
    return;
  }
  t->co = lua_newthread(L);
  if (!lua_checkstack(t->co, room)) luaL_error(L, "too many arguments");
  aq_shelf_reserve(L, &rt->live, 1, lua_upvalueindex(1), AQ_UV_LIVE);
  t->slot = aq_shelf_slot(&rt->live);
}

/* Puts the Task on top where it is kept while it is not done. */
static void shelve(lua_State *L, const struct aq_task *t) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_LIVE);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
}

/* Moves the function and arguments from `first` on to the task's coroutine, above what else body
** needs, for the first resume. The Task is on top, and stays. */
static void load(lua_State *L, struct aq_task *t, int first) {
  int count = lua_gettop(L) - first;
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_BODY);
  lua_pushcfunction(L, aq_traceback_handler);
  lua_pushvalue(L, -3);
  if (t->future.rt->is_patched)
    lua_pushnil(L);
  else
    lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_GUARD);
  lua_xmove(L, t->co, 4);
  lua_insert(L, first);
  lua_xmove(L, t->co, count);
  t->nstart = 3 + count;
}

struct aq_task *aq_task_new(lua_State *L, int nargs) {
  enum { ROOM = 8 }; /* for what is on the stack beside the arguments */
  struct aq_runtime *rt = aq_runtime(L);
  int first = lua_gettop(L) - nargs;
  if (rt->loop == NULL) luaL_error(L, "create_task: the state is being closed");
  if (nargs > ROOM) luaL_checkstack(L, ROOM, "too many arguments");
  struct aq_task *t = lua_newuserdatauv(L, sizeof *t, 2);
  init_task(t, rt);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_TASK_META);
  lua_setmetatable(L, -2);
  push_coroutine(L, t, nargs + ROOM);    /* from here on, nothing can fail */
  lua_setiuservalue(L, -2, AQ_UV_VALUE); /* until the outcome takes its place */
  shelve(L, t);
  load(L, t, first);
  t->id = rt->next_task_id++;
  aq_waiter_ready(&t->waiter, AQ_OK);
  return t;
}

struct aq_task *aq_check_task(lua_State *L, int idx) {
  struct aq_future *f = aq_test_future(L, idx);
  if (f == NULL || f->class != aq_task_class) luaL_typeerror(L, idx, "Task");
  return (struct aq_task *)f;
}

void aq_task_push(lua_State *L, struct aq_task *t) {
  aq_runtime_push_uv(L, t->future.rt, AQ_UV_LIVE);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
}

void aq_task_push_name(lua_State *L, int idx) {
  struct aq_task *t = lua_touserdata(L, idx);
  aq_push_extra(L, idx, AQ_X_NAME);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "Task-%I", (LUAI_UACINT)t->id);
}

/* ---- steps ----------------------------------------------------------------------------------- */

void aq_task_push_cancelled(lua_State *L, struct aq_task *t) {
  aq_task_push(L, t);
  aq_push_extra(L, -1, AQ_X_MESSAGE);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return; /* the value made by cancel(message) */
  lua_pop(L, 1);
  aq_error_push_of(L, t->future.rt, AQ_E_CANCELLED);
}

/*
** Before the first step: false if there is to be none. Somebody who kept the coroutine of a task that
** is done may have resumed it, under a stock Lua, while it was loaded for this one.
*/
static bool may_start(lua_State *L, struct aq_task *t) {
  if (t->must_cancel) {
    aq_task_end_unstarted(L, t);
    return false;
  }
  if (lua_status(t->co) == LUA_OK && lua_gettop(t->co) == t->nstart + 1) return true;
  aq_task_end_meddled(L, t);
  return false;
}

/* A hook for one instruction: raises where the coroutine goes on after a yield that was not ours. */
static void refuse_yield(lua_State *co, lua_Debug *ar) {
  lua_sethook(co, NULL, 0, 0);
  lua_getinfo(co, "Sl", ar);
  luaL_error(co, "%s:%d: attempt to yield from a task (aq.sleep(0) lets the others run)",
             ar->short_src, ar->currentline);
}

/* A yield that was not a wait of ours: the task goes on at once, into an error. */
static int resume_refused(struct aq_runtime *rt, struct aq_task *t, int nresults) {
  int status = LUA_YIELD;
  while (status == LUA_YIELD && !t->is_suspended && !t->has_ended) {
    lua_pop(t->co, nresults);
    lua_sethook(t->co, refuse_yield, LUA_MASKCOUNT, 1);
    status = lua_resume(t->co, rt->L, 0, &nresults);
    if (lua_gethook(t->co) == refuse_yield) lua_sethook(t->co, NULL, 0, 0);
  }
  return status;
}

/* After a step that did not end in a wait. */
static void end_step(struct aq_runtime *rt, struct aq_task *t, int status, int nresults) {
  if (status == LUA_YIELD && !t->is_suspended && !t->has_ended)
    status = resume_refused(rt, t, nresults);
  rt->current = NULL;
  aq_runtime_moved(rt);
  if (t->has_ended) {
    if (rt->foreground == t) rt->foreground = NULL;
    t->co = NULL;
    aq_future_settle(&t->future, t->future.state);
  } else if (status != LUA_YIELD) {
    aq_task_end_dead(rt->L, t);
  } else if (t->is_stubborn) {
    aq_task_close(rt->L, t);
  }
}

/*
** One step: from here to the next wait, or to the end. A yield leaves by longjmp, after which the
** processor mispredicts every return up to here; so this is inlined into the turn's loop.
*/
static inline void take_step(struct aq_runtime *rt, struct aq_task *t) {
  int nresults, nargs = 0;
  if (!t->has_started) {
    if (!may_start(rt->L, t)) return;
    nargs = t->nstart;
    t->has_started = true;
  }
  t->is_suspended = false;
  rt->current = t;
  aq_runtime_moved(rt);
  int status = lua_resume(t->co, rt->L, nargs, &nresults);
  if (status == LUA_YIELD && t->is_suspended && !t->is_stubborn && !rt->wants)
    rt->current = NULL;
  else
    end_step(rt, t, status, nresults);
}

static void step(struct aq_waiter *w) {
  struct aq_task *t = AQ_CONTAINER(w, struct aq_task, waiter);
  struct aq_runtime *rt = t->future.rt;
  if (rt->watch == NULL) {
    take_step(rt, t);
    return;
  }
  const struct aq_step_watch *watch = rt->watch; /* what runs may switch it off */
  struct aq_watched watched = watch->begin(rt, t);
  take_step(rt, t);
  watch->end(rt, watched);
}

void aq_task_turn(struct aq_runtime *rt) {
  struct aq_agenda *a = &rt->loop->agenda;
  struct aq_turn turn = aq_agenda_begin(a);
  struct aq_waiter *w;
  while ((w = aq_agenda_next(a)) != NULL) {
    if (w->wake == step && rt->watch == NULL)
      take_step(rt, AQ_CONTAINER(w, struct aq_task, waiter));
    else
      w->wake(w);
  }
  aq_agenda_end(a, turn);
}

/* ---- looking ---------------------------------------------------------------------------------- */

bool aq_task_is_body(lua_CFunction fn) { return fn == body; }

bool aq_task_is_loaded(lua_State *co) {
  lua_Debug ar;
  return lua_status(co) == LUA_OK && !lua_getstack(co, 0, &ar) && lua_tocfunction(co, 1) == body;
}

bool aq_task_owns(lua_State *co) { return aq_task_is_loaded(co) || aq_bottom_function(co) == body; }

/* A Task may be on the shelf a second time, for its callbacks. */
void aq_task_push_all(lua_State *L, struct aq_runtime *rt) {
  lua_newtable(L);
  aq_runtime_push_uv(L, rt, AQ_UV_LIVE);
  lua_insert(L, -2);
  lua_Integer n = 0;
  for (uint32_t slot = 1; slot <= rt->live.capacity; slot++) {
    lua_rawgeti(L, -2, slot);
    const struct aq_future *f = aq_test_future(L, -1);
    if (f != NULL && aq_task_is_pending(f) && ((const struct aq_task *)f)->slot == slot)
      lua_rawseti(L, -2, ++n);
    else
      lua_pop(L, 1);
  }
  lua_remove(L, -2);
}
