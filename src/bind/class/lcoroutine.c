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
** At the bottom of a coroutine made here is `body`, which makes one protected call. So an error that leaves
** the user's function runs the <close> variables there, inside, where they may wait; then the coroutine
** dies of it as any other. Its stack is gone by then: the text of it is kept for debug.traceback.
**
** A coroutine that is a task's, or is suspended in a wait, may be resumed by the scheduler only. It
** notices itself if somebody else does: it yields at once, as it was, and says so in
** rt->met_stranger.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/base/error.h"
#include "bind/base/place.h"
#include "bind/task/task.h"
#include "leaves.h"

/* ---- the body -------------------------------------------------------------------------------- */

/*
** The message handler: the stack of the coroutine, which is L, is kept as text while it is there. When
** a <close> variable puts another error in the place of the first, it is gone: as in traceback.c.
*/
static int keep_traceback(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  bool notes_cancel = rt->current != NULL && rt->current->notes_cancel;
  if (!notes_cancel && aq_error_is(L, 1, AQ_E_CANCELLED)) return 1;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  aq_runtime_push_uv(L, rt, AQ_UV_TRACEBACKS);
  lua_pushthread(L);
  if (lua_rawget(L, 2) != LUA_TNIL && !aq_push_line(L, L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  lua_settop(L, 2);
  lua_pushthread(L);
  aq_push_stack(L, L, 1);
  lua_rawset(L, -3);
  lua_settop(L, 1);
  return 1;
}

static int body_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - 1;
}

/* Upvalue 1: the user's function. */
static int body(lua_State *L) {
  int nargs = lua_gettop(L);
  lua_pushcfunction(L, keep_traceback);
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 2);
  return body_end(L, lua_pcallk(L, nargs, LUA_MULTRET, 1, 0, body_end), 0);
}

/* Pushes a coroutine that will run the function at 1. */
static void push_coroutine(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, body, 1);
  lua_xmove(L, co, 1);
}

/*
** A body takes as much of Lua's C stack as a resume, and that is for some 195 of them. So a coroutine
** that is started inside many others, as by a recursive generator, runs without: nearly as deep as
** under a stock Lua, but an error that leaves it closes it from outside.
*/
enum { BODIES = 40 };

static void spare_body(lua_State *co, int nargs) {
  lua_Debug ar;
  if (lua_status(co) != LUA_OK || lua_gettop(co) != nargs + 1 || lua_getstack(co, 0, &ar)) return;
  if (lua_tocfunction(co, 1) != body || !lua_checkstack(co, 1)) return;
  lua_getupvalue(co, 1, 1);
  lua_replace(co, 1);
}

/* ---- resuming -------------------------------------------------------------------------------- */

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
  struct aq_level level = {L, co, rt->level, rt->level != NULL ? rt->level->depth + 1 : 1};
  if (aq_task_is_loaded(co)) {
    lua_pop(co, nargs);
    lua_pushliteral(co, "the coroutine is a task's");
    return FAILED;
  }
  if (level.depth > BODIES) spare_body(co, nargs);
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
  push_coroutine(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, -2);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

static int co_create(lua_State *L) {
  push_coroutine(L);
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

/* Calls the stock function, upvalue 2, with the arguments on the stack. */
static int call_stock(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* True for one that runs, or has resumed one that does. */
static bool is_active(lua_State *L, lua_State *co) {
  lua_Debug ar;
  return co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar));
}

static int co_close(lua_State *L) {
  struct aq_runtime *rt = aq_runtime(L);
  lua_State *co = check_coroutine(L), *outer = rt->closing;
  if (is_active(L, co)) return call_stock(L); /* it refuses */
  if (aq_task_owns(co)) return luaL_error(L, "close: the coroutine is a task's (use task:cancel)");
  if (is_waiting(L)) return luaL_error(L, "close: the coroutine is waiting in the scheduler");
  rt->closing = co;
  int nresults = call_stock(L);
  rt->closing = outer;
  return nresults;
}

/* ---- debug.traceback ------------------------------------------------------------------------- */

/* Pushes the text that was kept of a coroutine that an error has left; or nil. */
static void push_kept(lua_State *L, lua_State *co) {
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_TRACEBACKS);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_rawget(L, -2);
}

/* Cuts the frame of `body` off the traceback of `co` on top. */
static void hide_body(lua_State *L, lua_State *co) {
  static const char OURS[] = "\n\t[C]: in ?";
  size_t length, ours = sizeof OURS - 1;
  const char *text = lua_tolstring(L, -1, &length);
  if (aq_bottom_function(co) == body && length >= ours &&
      memcmp(text + length - ours, OURS, ours) == 0)
    lua_pushlstring(L, text, length - ours);
}

/* debug.traceback([co,] [message [, level]]), as the stock function but for what `body` changes. */
static int traceback(lua_State *L) {
  int arg = lua_isthread(L, 1) ? 1 : 0;
  lua_State *co = arg == 1 ? lua_tothread(L, 1) : L;
  const char *message = lua_tostring(L, arg + 1);
  lua_Integer level = luaL_optinteger(L, arg + 2, co == L ? 1 : 0);
  lua_settop(L, arg + 1);
  if (message == NULL && !lua_isnil(L, arg + 1)) return 1; /* no text: given back as it is */
  if (co != L) push_kept(L, co);
  if (co != L && level == 0 && !lua_isnil(L, -1)) {
    if (message != NULL) lua_pushfstring(L, "%s\n%s", message, lua_tostring(L, -1));
    return 1;
  }
  luaL_traceback(L, co, message, (int)level);
  hide_body(L, co);
  return 1;
}

/* Pushes a library that is loaded; false, and something else, if it is not. */
static bool push_library(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool is_there = lua_getfield(L, -1, name) == LUA_TTABLE;
  lua_remove(L, -2);
  return is_there;
}

/* Replaces the functions of coroutine; close keeps the stock one. The runtime is below the library, on
** top. [-0, +0, m] */
static void patch_coroutine(lua_State *L) {
  static const luaL_Reg REPLACED[] = {{"create", co_create},
                                      {"resume", co_resume},
                                      {"wrap", co_wrap},
                                      {"yield", co_yield },
                                      {NULL, NULL}};
  aq_setfuncs(L, REPLACED);
  lua_pushvalue(L, -2);
  lua_getfield(L, -2, "close");
  lua_pushcclosure(L, co_close, 2);
  lua_setfield(L, -2, "close");
}

static void patch_debug(lua_State *L) {
  static const luaL_Reg REPLACED[] = {{"traceback", traceback}, {NULL, NULL}};
  aq_setfuncs(L, REPLACED);
}

/* Replaces functions of two libraries, if they are loaded. The runtime is at 1. [-0, +n, m] */
static void patch_libraries(lua_State *L) {
  lua_pushvalue(L, 1);
  if (push_library(L, LUA_COLIBNAME)) patch_coroutine(L);
  lua_pushvalue(L, 1);
  if (push_library(L, LUA_DBLIBNAME)) patch_debug(L);
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

/* aq.patch(): replaces functions of coroutine, debug.traceback, and require. */
static int patch(lua_State *L) {
  struct aq_runtime *rt = aq_runtime(L);
  if (rt->is_patched) return 0;
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  patch_libraries(L);
  rt->is_patched = true;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, co_require, 1);
  lua_setglobal(L, "require");
  return 0;
}

void aq_open_coroutine(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"patch", patch}, {NULL, NULL}};
  aq_setfuncs(L, FUNCTIONS);
}
