/*
** ending.c - tasks that end though their body does not: cancelled before the first step, dead, closed
** by force, closed by a stranger.
**
** Under a stock Lua anybody can close a coroutine that is suspended, and with it goes what the task
** waits in. The guard is a <close> variable at the bottom of each task's coroutine that notices it
** in time. After aq.patch() coroutine.close refuses, and there is none: who has kept the stock
** function from before must not close with it what waits.
*/
#include "ending.h"

#include <lauxlib.h>

#include "task.h"
#include "unhandled.h"
#include "wait.h"

/* Takes the task from the shelf, where it may be the last to hold it: the Task stays on L's top. */
static void unshelve(lua_State *L, struct aq_task *t) {
  struct aq_runtime *rt = t->future.rt;
  aq_runtime_push_uv(L, rt, AQ_UV_LIVE);
  aq_shelf_take(L, &rt->live, -1, t->slot);
  lua_remove(L, -2);
}

/* Ends a task whose body did not; the error on top becomes its outcome. */
static void end_from_outside(lua_State *L, struct aq_task *t, enum aq_future_state state) {
  if (t->future.rt->foreground == t) t->future.rt->foreground = NULL;
  unshelve(L, t);
  lua_insert(L, -2);
  aq_future_store_error(L, -2);
  t->co = NULL;
  t->has_ended = true;
  aq_future_settle(&t->future, state);
  lua_pop(L, 1);
}

void aq_task_end_unstarted(lua_State *L, struct aq_task *t) {
  lua_settop(t->co, 0);
  aq_task_push_cancelled(L, t);
  end_from_outside(L, t, AQ_ENDED_CANCELLED);
}

static const char MEDDLED[] = "the task's coroutine was resumed or closed by somebody else";

static int watch_failure(lua_State *L) {
  aq_unhandled_watch(L, 1);
  return 0;
}

/* Ends a task that failed, though its body did not see it, with the error on top. */
static void fail_from_outside(lua_State *L, struct aq_task *t) {
  lua_pushcfunction(L, watch_failure);
  aq_task_push(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  end_from_outside(L, t, AQ_RAISED);
}

/* The coroutine is closed by the task itself: the guard need not notice. */
static int reset(struct aq_task *t) {
  struct aq_runtime *rt = t->future.rt;
  lua_State *outer = rt->closing;
  rt->closing = t->co;
  int status = lua_resetthread(t->co);
  rt->closing = outer;
  rt->let_go = NULL;
  return status;
}

void aq_task_end_dead(lua_State *L, struct aq_task *t) {
  lua_xmove(t->co, L, 1);
  if (t->wait != NULL && !t->is_finishing && t->wait->give_up != NULL) t->wait->give_up(L, t);
  reset(t);
  fail_from_outside(L, t);
}

void aq_task_end_meddled(lua_State *L, struct aq_task *t) {
  lua_settop(t->co, 0);
  lua_pushstring(t->co, MEDDLED);
  aq_task_end_dead(L, t);
}

/* Leaves what the task waits in, as a cancel would, but without a step. */
static void give_up(lua_State *L, struct aq_task *t) {
  aq_waiter_abort(&t->waiter, AQ_CANCELLED);
  aq_waiter_drop(&t->waiter);
  if (t->is_suspended && t->wait->give_up != NULL) t->wait->give_up(L, t);
}

void aq_task_close(lua_State *L, struct aq_task *t) {
  give_up(L, t);
  if (reset(t) != LUA_OK) { /* a <close> variable failed */
    aq_task_push(L, t);
    lua_xmove(t->co, L, 1);
    lua_pushnil(L);
    aq_unhandled_now(L, t->future.rt);
  }
  lua_settop(t->co, 0);
  aq_task_push_cancelled(L, t);
  end_from_outside(L, t, AQ_ENDED_CANCELLED);
}

/* ---- the guard ------------------------------------------------------------------------------- */

/* Pushes the Task whose coroutine this is; NULL, and nothing pushed, if there is none. */
static struct aq_task *push_task_of(lua_State *L, struct aq_runtime *rt, const lua_State *co) {
  aq_runtime_push_uv(L, rt, AQ_UV_LIVE);
  for (uint32_t slot = 1; slot <= rt->live.capacity; slot++) {
    lua_rawgeti(L, -1, slot);
    struct aq_future *f = aq_test_future(L, -1);
    if (f != NULL && aq_task_is_pending(f) && ((struct aq_task *)f)->co == co) {
      lua_remove(L, -2);
      return (struct aq_task *)f;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return NULL;
}

/* __close of the guard: the body has returned, or somebody else closes the coroutine, which is L. */
static int guard_close(lua_State *L) {
  struct aq_runtime *rt = aq_runtime(L);
  if (rt->closing == L || (rt->current != NULL && rt->current->co == L)) return 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  struct aq_task *t = push_task_of(L, rt, L);
  if (t == NULL) return 0;
  give_up(L, t);
  rt->let_go = NULL; /* its <close> variables have run */
  lua_pushstring(L, MEDDLED);
  fail_from_outside(L, t);
  return 0;
}

void aq_guard_open(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, guard_close, 1);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, AQ_UV_GUARD);
}
