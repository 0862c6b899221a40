/*
** watch.c - watching the steps of tasks.
*/
#include "watch.h"

#include <lauxlib.h>
#include <string.h>

#include "aqlua.h"
#include "bind/base/place.h"
#include "bind/task/task.h"
#include "waiting.h"

static const uint64_t LONG_NS = 100000000;

/* Warns with the string on top, and pops it. */
static void warn(lua_State *L) {
  lua_warning(L, lua_tostring(L, -1), 0);
  lua_pop(L, 1);
}

/* Pushes where the task goes on: a line, for a new one that of its function. */
static void push_start(lua_State *L, struct aq_task *t) {
  lua_Debug ar;
  if (t->has_started) {
    aq_push_line(L, t->is_suspended ? t->innermost : t->co, 0);
    return;
  }
  if (!lua_isfunction(t->co, AQ_TASK_FUNCTION)) {
    lua_pushliteral(L, "?");
    return;
  }
  lua_pushvalue(t->co, AQ_TASK_FUNCTION);
  lua_getinfo(t->co, ">S", &ar);
  if (ar.linedefined > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  else
    lua_pushliteral(L, "its start");
}

/* Stack: the Task; leaves the line. */
static int begin(lua_State *L) {
  push_start(L, lua_touserdata(L, 1));
  return 1;
}

static struct aq_watched begin_step(struct aq_runtime *rt, struct aq_task *t) {
  lua_State *L = rt->L;
  struct aq_watched w = {.swallowed = t->swallowed, .top = lua_gettop(L)};
  if (!lua_checkstack(L, LUA_MINSTACK)) return w;
  aq_task_push(L, t);
  lua_pushcfunction(L, begin);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) lua_settop(L, w.top);
  w.began_ns = uv_hrtime();
  return w;
}

static void warn_of_length(lua_State *L, const struct aq_task *t, uint64_t ns) {
  aq_task_push_name(L, 1);
  if (t->is_suspended && !t->has_ended)
    aq_push_line(L, t->innermost, 0);
  else
    lua_pushliteral(L, "its end");
  lua_pushfstring(L, "task '%s' ran for %f s without waiting, from %s to %s", lua_tostring(L, -2),
                  (lua_Number)(ns / 1000000) / 1e3, lua_tostring(L, 2), lua_tostring(L, -1));
  warn(L);
}

static void warn_of_cancel(lua_State *L, const struct aq_task *t) {
  aq_task_push_name(L, 1);
  lua_pushfstring(L, "task '%s' swallowed its cancellation and ", lua_tostring(L, -1));
  if (t->has_ended) {
    lua_pushliteral(L, "returned");
  } else {
    aq_push_line(L, t->innermost, 0);
    lua_pushfstring(L, "waits again, at %s", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  lua_concat(L, 2);
  warn(L);
}

/* True if the task has been told of a cancel, did not take it back and ended as if nothing were. */
static bool has_returned_cancelled(const struct aq_task *t) {
  return t->has_ended && t->future.state == AQ_RETURNED && t->requests > 0 && t->was_delivered;
}

/* Stack: the Task, the line where the step began, what was known then (light). */
static int end(lua_State *L) {
  const struct aq_task *t = lua_touserdata(L, 1);
  const struct aq_watched *w = lua_touserdata(L, 3);
  uint64_t ns = uv_hrtime() - w->began_ns;
  if (ns >= LONG_NS) warn_of_length(L, t, ns);
  if ((w->swallowed == 0 && t->swallowed > 0) || has_returned_cancelled(t)) warn_of_cancel(L, t);
  return 0;
}

static void end_step(struct aq_runtime *rt, struct aq_watched w) {
  lua_State *L = rt->L;
  if (lua_gettop(L) == w.top + 2) {
    lua_pushcfunction(L, end);
    lua_insert(L, -3);
    lua_pushlightuserdata(L, &w);
    (void)lua_pcall(L, 3, 0, 0); /* out of memory: there is no warning */
  }
  lua_settop(L, w.top);
}

/* Stack: the runtime (light). */
static int warn_of_leftovers(lua_State *L) {
  aq_runtime_push_uv(L, lua_touserdata(L, 1), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "all_tasks");
  lua_call(L, 0, 1);
  int list = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    aq_push_waiting(L, lua_gettop(L));
    lua_pushfstring(L, "a task was left behind, and is cancelled: %s", lua_tostring(L, -1));
    warn(L);
    lua_settop(L, list);
  }
  return 0;
}

void aq_watch_leftovers(lua_State *L, struct aq_runtime *rt) {
  lua_pushcfunction(L, warn_of_leftovers);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static const struct aq_step_watch WATCH = {begin_step, end_step};

void aq_set_debug(lua_State *L, int on) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt != NULL) rt->watch = on ? &WATCH : NULL;
}
