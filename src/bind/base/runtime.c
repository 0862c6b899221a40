/*
** runtime.c - making the runtime, finding it, and closing it.
*/
#include "runtime.h"

#include <lauxlib.h>
#include <math.h>

#include "aqlua.h"

/* Never read: its address is the runtime's key in the registry; the next, the embedder's loop's. */
static const char RUNTIME_KEY, LOOP_KEY;

const char aq_finalized_class[] = "finalized";

void aq_use_loop(lua_State *L, struct uv_loop_s *loop) {
  lua_pushlightuserdata(L, loop);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &LOOP_KEY);
}

struct uv_loop_s *aq_uv_loop(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && rt->loop != NULL ? rt->loop->uv : NULL;
}

void aq_runtime_free(lua_State *L, struct aq_runtime *rt) {
  if (rt->loop != NULL) aq_loop_free(rt->loop);
  rt->loop = NULL;
  aq_shelf_free(L, &rt->live);
  aq_shelf_free(L, &rt->results);
  aq_pool_free(L, &rt->pool);
}

static void push_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static void make_tables(lua_State *L) {
  static const int PLAIN[] = {AQ_UV_LIVE, AQ_UV_ERRORS, AQ_UV_REPORTS, AQ_UV_INTERNAL,
                              AQ_UV_RESULTS};
  for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
    lua_newtable(L);
    lua_setiuservalue(L, -2, PLAIN[i]);
  }
  push_weak_table(L, "v");
  lua_setiuservalue(L, -2, AQ_UV_FAILED);
  push_weak_table(L, "k");
  lua_setiuservalue(L, -2, AQ_UV_WAITING);
  push_weak_table(L, "k");
  lua_setiuservalue(L, -2, AQ_UV_TRACEBACKS);
}

static void make_loop(lua_State *L, struct aq_runtime *rt) {
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &LOOP_KEY);
  uv_loop_t *uv = lua_touserdata(L, -1);
  lua_pop(L, 1);
  int error = aq_loop_new(&rt->loop, uv, (struct aq_alloc){alloc, ud});
  if (error == UV_ENOMEM) luaL_error(L, "not enough memory");
  if (error != 0) luaL_error(L, "the system refuses an event loop: %s", uv_strerror(error));
}

struct aq_runtime *aq_runtime_open(lua_State *L, lua_CFunction close) {
  struct aq_runtime *rt = lua_newuserdatauv(L, sizeof *rt, AQ_UV_COUNT);
  *rt = (struct aq_runtime){.next_task_id = 1, .next_scope = 1};
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  rt->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  rt->thread = uv_thread_self();
  aq_shelf_init(&rt->live);
  aq_shelf_init(&rt->results);
  aq_list_init(&rt->ops);
  aq_list_init(&rt->ctasks);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  make_loop(L, rt);
  make_tables(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, rt);
  return rt;
}

void aq_runtime_publish(lua_State *L, struct aq_runtime *rt) {
  lua_pushlightuserdata(L, rt);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &RUNTIME_KEY);
}

struct aq_runtime *aq_runtime_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &RUNTIME_KEY);
  struct aq_runtime *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

enum aq_status aq_runtime_enter(lua_State *L, struct aq_runtime **rt) {
  if (L == NULL) return AQ_INVALID;
  *rt = aq_runtime_of(L);
  if (*rt == NULL || (*rt)->loop == NULL) return AQ_CLOSED;
  return aq_runtime_check_thread(*rt);
}

enum aq_status aq_runtime_check_thread(const struct aq_runtime *rt) {
  uv_thread_t self = uv_thread_self();
  return uv_thread_equal(&self, &rt->thread) ? AQ_OK : AQ_WRONG_THREAD;
}

void aq_runtime_push(lua_State *L, struct aq_runtime *rt) { lua_rawgetp(L, LUA_REGISTRYINDEX, rt); }

void aq_runtime_push_uv(lua_State *L, struct aq_runtime *rt, int uv) {
  aq_runtime_push(L, rt);
  lua_getiuservalue(L, -1, uv);
  lua_remove(L, -2);
}

void aq_setfuncs(lua_State *L, const luaL_Reg *functions) {
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, functions, 1);
}

uint64_t aq_check_given_timeout(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return AQ_NEVER;
  if (lua_type(L, idx) != LUA_TNUMBER) luaL_typeerror(L, idx, "number of seconds");
  lua_Number seconds = lua_tonumber(L, idx);
  if (isnan(seconds)) luaL_argerror(L, idx, "number of seconds expected, got NaN");
  if (seconds <= 0) return 0;
  lua_Number ns = ceil(seconds * 1e9);
  return ns < (lua_Number)AQ_FAR ? (uint64_t)ns : AQ_FAR;
}

void aq_check_no_more(lua_State *L, int last, const char *hint) {
  if (lua_isnoneornil(L, last + 1)) return;
  luaL_argerror(L, last + 1, lua_pushfstring(L, "no value expected: %s", hint));
}
