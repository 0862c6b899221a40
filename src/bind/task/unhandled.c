/*
** unhandled.c - watching failed tasks, and reporting.
**
** A program whose tasks all fail in the same way is not to bury its log: of a run of reports that tell
** of the same error, thrown at the same place, within a second, all but the first are counted, and the
** count is told when the run is over. Handlers set with aq.on_error see each.
*/
#include "unhandled.h"

#include <lauxlib.h>
#include <stdio.h>

#include "bind/base/error.h"
#include "bind/base/place.h"
#include "task.h"

/* The sentinel {task} of a failed task is collected with the task: report it, if need be. */
static int sentinel_gc(lua_State *L) {
  lua_rawgeti(L, 1, 1);
  lua_pushnil(L);
  lua_rawseti(L, 1, 1); /* once, also if it is called by hand */
  struct aq_future *f = aq_test_future(L, -1);
  if (f == NULL || f->is_retrieved) return 0;
  aq_runtime_push_uv(L, f->rt, AQ_UV_REPORTS);
  lua_insert(L, -2);
  lua_rawseti(L, -2, f->rt->nreports + 1);
  f->rt->nreports++;
  return 0;
}

static void push_sentinel(lua_State *L, int task) {
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, task);
  lua_rawseti(L, -2, 1);
  if (luaL_newmetatable(L, "aq.Sentinel")) {
    lua_pushcfunction(L, sentinel_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
}

void aq_unhandled_watch(lua_State *L, int idx) {
  struct aq_future *f = lua_touserdata(L, idx);
  idx = lua_absindex(L, idx);
  push_sentinel(L, idx);
  aq_set_extra(L, idx, AQ_X_SENTINEL);
  aq_runtime_push_uv(L, f->rt, AQ_UV_FAILED);
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, (lua_Integer)++f->rt->failures);
  lua_pop(L, 1);
}

/* ---- telling, and a run of the same ---------------------------------------------------------- */

enum { TOLD_OF_RUN = 10 };

static const uint64_t RUN_NS = 1000000000;

static void tell(struct aq_runtime *rt, const char *text) {
  if (rt->report != NULL) {
    rt->report(rt->report_ud, text);
  } else {
    fputs(text, stderr);
    fflush(stderr);
  }
}

/* Tells how many of a run were only counted. */
static void end_run(struct aq_runtime *rt) {
  char text[64];
  uint64_t length = rt->run_length;
  rt->run_length = 0;
  if (length <= TOLD_OF_RUN) return;
  snprintf(text, sizeof text, "aqlua: the same error, %llu times more\n",
           (unsigned long long)(length - TOLD_OF_RUN));
  tell(rt, text);
}

static bool is_run_over(const struct aq_runtime *rt) {
  return rt->loop->agenda.now_ns - rt->run_since_ns >= RUN_NS;
}

/* True if the report of the error and place on top goes on with a run, and is one too many. [-1, +0, m] */
static bool is_counted_only(lua_State *L, struct aq_runtime *rt) {
  aq_runtime_push_uv(L, rt, AQ_UV_REPORTED);
  bool goes_on = rt->run_length > 0 && !is_run_over(rt) && lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (!goes_on) {
    end_run(rt);
    rt->run_since_ns = rt->loop->agenda.now_ns;
    aq_runtime_push(L, rt);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, AQ_UV_REPORTED);
  }
  lua_pop(L, 1);
  return ++rt->run_length > TOLD_OF_RUN;
}

void aq_unhandled_text(struct aq_runtime *rt, const char *text) {
  end_run(rt);
  rt->unhandled++;
  tell(rt, text);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Pushes an error in words, whatever its __tostring does. */
static void push_error_text(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lua_pushcfunction(L, aq_error_text);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushliteral(L, "(error object whose __tostring fails)");
}

/* Stack: runtime (light), Task or Future, error, traceback. */
static int default_report(lua_State *L) {
  struct aq_runtime *rt = lua_touserdata(L, 1);
  const struct aq_future *f = lua_touserdata(L, 2);
  if (f->class == aq_task_class)
    aq_task_push_name(L, 2);
  else
    lua_pushliteral(L, "a future");
  push_error_text(L, 3);
  rt->unhandled++;
  lua_pushfstring(L, "%s\n%s", lua_tostring(L, 6), lua_isstring(L, 4) ? lua_tostring(L, 4) : "");
  if (is_counted_only(L, rt)) return 0;
  lua_pushfstring(L, "aqlua: error in %s, which nobody retrieved: %s\n", lua_tostring(L, 5),
                  lua_tostring(L, 6));
  if (lua_isstring(L, 4)) {
    lua_pushfstring(L, "%s\n", lua_tostring(L, 4));
    lua_concat(L, 2);
  }
  tell(rt, lua_tostring(L, -1));
  return 0;
}

/* A message handler: the error in words, and where it was thrown. */
static int describe(lua_State *L) {
  if (aq_error_is_exit(L, aq_runtime_of(L), 1)) return 1;
  push_error_text(L, 1);
  if (!aq_push_stack(L, L, 1))
    lua_pop(L, 1);
  else
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
  return 1;
}

/* Stack: as default_report. An error of the handler does not hide the one that it was given. */
static int report(lua_State *L) {
  struct aq_runtime *rt = lua_touserdata(L, 1);
  lua_pushcfunction(L, describe);
  aq_runtime_push_uv(L, rt, AQ_UV_ON_ERROR);
  if (lua_isnil(L, -1)) {
    lua_settop(L, 4);
    return default_report(L);
  }
  for (int i = 2; i <= 4; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, 3, 0, 5) == LUA_OK) return 0;
  if (aq_error_is_exit(L, rt, -1)) return lua_error(L);
  lua_pushfstring(L, "aqlua: error in the handler set with aq.on_error: %s\n", lua_tostring(L, -1));
  lua_replace(L, 5);
  lua_pushcfunction(L, default_report);
  for (int i = 1; i <= 4; i++) lua_pushvalue(L, i);
  lua_call(L, 4, 0);
  aq_unhandled_text(rt, lua_tostring(L, 5));
  return 0;
}

/* A report that fails itself (out of memory) still counts, and says so in a fixed text. */
bool aq_unhandled_now(lua_State *L, struct aq_runtime *rt) {
  if (aq_error_is_exit(L, rt, -2)) {
    lua_pop(L, 3);
    return true;
  }
  lua_pushlightuserdata(L, rt);
  lua_insert(L, -4);
  lua_pushcfunction(L, report);
  lua_insert(L, -5);
  if (lua_pcall(L, 4, 0, 0) == LUA_OK) return true;
  bool has_left = aq_error_is_exit(L, rt, -1);
  lua_pop(L, 1);
  if (!has_left)
    aq_unhandled_text(rt, "aqlua: an error could not be reported: not enough memory\n");
  return !has_left;
}

/* Upvalue 1: the traceback. */
static int keep_traceback(lua_State *L) {
  luaL_traceback(L, L, NULL, 1);
  lua_replace(L, lua_upvalueindex(1));
  return 1;
}

void aq_unhandled_push_handler(lua_State *L) {
  lua_pushnil(L);
  lua_pushcclosure(L, keep_traceback, 1);
}

void aq_unhandled_caught(lua_State *L, struct aq_runtime *rt, int idx, int handler) {
  lua_pushvalue(L, idx);
  lua_insert(L, -2);
  lua_getupvalue(L, handler, 1);
  aq_unhandled_now(L, rt);
}

/* Reports the failed Task on top and pops it. */
static void report_task(lua_State *L, struct aq_runtime *rt) {
  struct aq_future *f = lua_touserdata(L, -1);
  f->is_retrieved = true;
  lua_getiuservalue(L, -1, AQ_UV_VALUE);
  aq_push_extra(L, -2, AQ_X_TRACEBACK);
  aq_unhandled_now(L, rt);
}

void aq_unhandled_report(lua_State *L, struct aq_runtime *rt) {
  for (uint32_t i = 1; i <= rt->nreports; i++) {
    aq_runtime_push_uv(L, rt, AQ_UV_REPORTS);
    lua_rawgeti(L, -1, i);
    lua_pushnil(L);
    lua_rawseti(L, -3, i);
    lua_remove(L, -2);
    report_task(L, rt);
  }
  rt->nreports = 0;
}

/* Reports the failures up to number `last`. */
static void flush(lua_State *L, struct aq_runtime *rt, uint64_t last) {
  while (rt->flushed < last) {
    aq_runtime_push_uv(L, rt, AQ_UV_FAILED);
    lua_rawgeti(L, -1, (lua_Integer)++rt->flushed);
    lua_remove(L, -2);
    const struct aq_future *f = aq_test_future(L, -1);
    if (f != NULL && !f->is_retrieved)
      report_task(L, rt);
    else
      lua_pop(L, 1);
  }
}

void aq_unhandled_flush(lua_State *L, struct aq_runtime *rt) {
  aq_unhandled_report(L, rt);
  flush(L, rt, rt->failures);
  end_run(rt);
}

void aq_unhandled_early(lua_State *L, struct aq_runtime *rt) {
  if (rt->run_length > TOLD_OF_RUN && is_run_over(rt)) end_run(rt);
  flush(L, rt, rt->failed_before);
  rt->failed_before = rt->failures;
  if (rt->flushed < rt->failures)
    aq_loop_hurry(rt->loop); /* or the next turn may be long in coming */
}

/* Stack: what has raised it (light), the error. */
static int describe_callback(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (aq_error_is_exit(L, rt, 2)) return 0;
  lua_pushcfunction(L, aq_error_text);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  lua_pushfstring(L, "aqlua: error in %s: %s\n", (const char *)lua_touserdata(L, 1),
                  lua_tostring(L, -1));
  aq_unhandled_text(rt, lua_tostring(L, -1));
  return 0;
}

void aq_unhandled_callback(lua_State *L, struct aq_runtime *rt, const char *what) {
  lua_pushlightuserdata(L, (void *)what);
  lua_insert(L, -2);
  lua_pushcfunction(L, describe_callback);
  lua_insert(L, -3);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  lua_pop(L, 1);
  aq_unhandled_text(rt, "aqlua: error in a callback, not to be told in words\n");
}
