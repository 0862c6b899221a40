/*
** lcoroutine.c - waiting inside the user's own coroutines.
**
** A wait suspends the innermost coroutine. Stock coroutine.resume and wrap would take that for a
** value yielded to them. These versions look whether the running task has gone into a wait; if so
** they yield as well, level by level down to the scheduler, and when the task is resumed each
** resumes the one above again. Ordinary yields go to their resumer as ever.
**
**     scheduler -> task's coroutine -> resume -> generator -> resume -> q:get()
**
** That works only if every level between can be suspended and was resumed by one of these: the
** chain of resumes under way is a list through the C stack (struct aq_level).
**
** A coroutine that is a task's, or is suspended in a wait, may be resumed by the scheduler only. It
** notices itself if somebody else does: it yields at once, as it was, and says so in
** rt->met_stranger.
*/
#include <lauxlib.h>
#include <lualib.h>

#include "bind/base/error.h"
#include "bind/task/task.h"
#include "leaves.h"

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL) luaL_typeerror(L, 1, "coroutine");
  return co;
}

/* True if the running task has gone into a wait somewhere inside the coroutine just resumed. */
static bool has_gone_into_wait(const struct aq_runtime *rt) {
  return rt->current != NULL && rt->current->is_suspended;
}

enum outcome { YIELDED, FAILED, WAITS };

/*
** Notes whether a wait passed through `co`, so that it must not be closed. The entry is made, as
** false, before the first resume: a wait that has been entered must not fail to be passed on.
*/
static void set_waiting(lua_State *L, lua_State *co, bool waiting) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_WAITING);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushboolean(L, waiting);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Resumes `co` with the `nargs` values on top of its stack; `*nresults` values are left there. */
static enum outcome resume(lua_State *L, lua_State *co, int nargs, int *nresults) {
  struct aq_runtime *rt = aq_runtime(L);
  struct aq_level level = {L, co, rt->level};
  if (aq_task_is_loaded(co)) {
    lua_pop(co, nargs);
    lua_pushliteral(co, "the coroutine is a task's");
    return FAILED;
  }
  rt->level = &level;
  rt->met_stranger = false;
  aq_runtime_moved(rt);
  int status = lua_resume(co, L, nargs, nresults);
  rt->level = level.outer;
  aq_runtime_moved(rt);
  if (status == LUA_YIELD && has_gone_into_wait(rt)) return WAITS;
  if (rt->met_stranger) {
    rt->met_stranger = false;
    lua_pushliteral(co, "the coroutine is waiting in the scheduler for another task");
    return FAILED;
  }
  return status == LUA_OK || status == LUA_YIELD ? YIELDED : FAILED;
}

/* Passes a wait on to the next level, whose continuation is `again`. Does not return. */
static int pass_on(lua_State *L, lua_State *co, lua_KFunction again) {
  set_waiting(L, co, true);
  return lua_yieldk(L, 0, (lua_KContext)aq_runtime(L)->current->id, again);
}

/* True if it is the scheduler that resumes this level; else the level goes on waiting. */
static bool is_scheduler(lua_State *L, lua_KContext task) {
  struct aq_runtime *rt = aq_runtime(L);
  if (rt->current != NULL && rt->current->id == (uint64_t)task) return true;
  rt->met_stranger = true;
  return false;
}

/* Moves `n` values from `co` to L; false if there is no room for them: they are dropped. */
static bool take_over(lua_State *L, lua_State *co, int n) {
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    return false;
  }
  lua_xmove(co, L, n);
  return true;
}

/* Moves the `nargs` values on top to `co`; false if there is no room for them. */
static bool hand_over(lua_State *L, lua_State *co, int nargs) {
  if (!lua_checkstack(co, nargs + 1)) return false;
  lua_xmove(L, co, nargs);
  return true;
}

/* ---- coroutine.resume ------------------------------------------------------------------------ */

static int resume_again(lua_State *L, int status, lua_KContext ctx);

/* The results of coroutine.resume, or a wait passed on. The coroutine is at 1. */
static int resume_finish(lua_State *L, lua_State *co, enum outcome outcome, int nresults) {
  if (outcome == WAITS) return pass_on(L, co, resume_again);
  if (outcome == FAILED) {
    lua_xmove(co, L, 1);
    lua_pushboolean(L, 0);
    lua_insert(L, -2); /* `co` may be L itself: its error is on L's top by then */
    return 2;
  }
  lua_pushboolean(L, 1);
  if (take_over(L, co, nresults)) return nresults + 1;
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "too many results to resume");
  return 2;
}

static int resume_again(lua_State *L, int status, lua_KContext task) {
  lua_State *co = lua_tothread(L, 1);
  int nresults;
  (void)status;
  if (!is_scheduler(L, task)) return lua_yieldk(L, 0, task, resume_again);
  set_waiting(L, co, false);
  enum outcome outcome = resume(L, co, 0, &nresults);
  return resume_finish(L, co, outcome, nresults);
}

static int co_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int nargs = lua_gettop(L) - 1, nresults;
  if (lua_status(co) == LUA_OK && co != L) set_waiting(L, co, false);
  if (!hand_over(L, co, nargs)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "too many arguments to resume");
    return 2;
  }
  enum outcome outcome = resume(L, co, nargs, &nresults);
  return resume_finish(L, co, outcome, nresults);
}

/* ---- coroutine.wrap -------------------------------------------------------------------------- */

static int wrap_again(lua_State *L, int status, lua_KContext ctx);

/* Raises the error that ended `co`, with the position of the call, as the stock function does. */
static int wrap_fail(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) status = lua_resetthread(co);
  lua_xmove(co, L, 1);
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_finish(lua_State *L, lua_State *co, enum outcome outcome, int nresults) {
  if (outcome == WAITS) return pass_on(L, co, wrap_again);
  if (outcome == FAILED) return wrap_fail(L, co);
  if (!take_over(L, co, nresults)) return luaL_error(L, "too many results to resume");
  return nresults;
}

/* The coroutine is upvalue 2 of the function that wrap returns. */
static int wrap_again(lua_State *L, int status, lua_KContext task) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int nresults;
  (void)status;
  if (!is_scheduler(L, task)) return lua_yieldk(L, 0, task, wrap_again);
  set_waiting(L, co, false);
  enum outcome outcome = resume(L, co, 0, &nresults);
  return wrap_finish(L, co, outcome, nresults);
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int nargs = lua_gettop(L), nresults;
  if (lua_status(co) == LUA_OK && co != L) set_waiting(L, co, false);
  if (!hand_over(L, co, nargs)) return luaL_error(L, "too many arguments to resume");
  enum outcome outcome = resume(L, co, nargs, &nresults);
  return wrap_finish(L, co, outcome, nresults);
}

static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* ---- coroutine.yield, close ------------------------------------------------------------------ */

static int co_yield (lua_State *L) {
  const struct aq_runtime *rt = aq_runtime(L);
  if (rt->current != NULL && rt->current->co == L)
    return luaL_error(L, "attempt to yield from a task (aq.sleep(0) lets the others run)");
  return lua_yield(L, lua_gettop(L));
}

static bool is_waiting(lua_State *L) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_WAITING);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  bool waiting = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return waiting;
}

/* Upvalue 2: the stock function. */
static int co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  if (aq_task_owns(co)) return luaL_error(L, "close: the coroutine is a task's (use task:cancel)");
  if (is_waiting(L)) return luaL_error(L, "close: the coroutine is waiting in the scheduler");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Replaces the functions of the coroutine library. The stack is left as it was. [-0, +0, m] */
static void patch_coroutine(lua_State *L) {
  static const luaL_Reg REPLACED[] = {
    {"resume", co_resume}, {"wrap", co_wrap}, {"yield", co_yield }, {NULL, NULL}};
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, 2, LUA_COLIBNAME) != LUA_TTABLE) return;
  lua_remove(L, 2);
  lua_getfield(L, 2, "close");
  if (lua_tocfunction(L, -1) == co_close) return; /* done already */
  lua_pop(L, 1);
  aq_setfuncs(L, REPLACED);
  lua_pushvalue(L, 1);
  lua_getfield(L, 2, "close");
  lua_pushcclosure(L, co_close, 2);
  lua_setfield(L, 2, "close");
}

static int require_finish(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L);
}

/* require: of what is loaded, at once; else by the Lua layer, where a module's body may wait. */
static int co_require(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    if (lua_toboolean(L, -1)) return 1;
    lua_pop(L, 2);
  }
  int nargs = lua_gettop(L);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "require");
  lua_remove(L, -2);
  lua_insert(L, 1);
  lua_callk(L, nargs, LUA_MULTRET, 0, require_finish);
  return require_finish(L, LUA_OK, 0);
}

/* aq.patch(): replaces resume, wrap, yield and close of coroutines, and require. */
static int patch(lua_State *L) {
  patch_coroutine(L);
  aq_runtime(L)->is_patched = true;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, co_require, 1);
  lua_setglobal(L, "require");
  return 0;
}

void aq_open_coroutine(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"patch", patch}, {NULL, NULL}};
  aq_setfuncs(L, FUNCTIONS);
}
