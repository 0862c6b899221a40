/*
** luv_host.c - opening luv, its callbacks, and the end.
*/
#include "luv_host.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <unistd.h>
#include <uv.h>

#include "aqlua.h"
#include "signals.h"

/* Never read: its address is the key of the function that closes all handles, in the registry. */
static const char CLOSE_KEY;

/* luv's type of a function that calls the function and arguments on top of the stack: returns the
** number of results, or a negative status with nothing left. */
typedef int (*luv_pcall)(lua_State *L, int nargs, int nresults, int flags);

/* What is used of luv. */
struct luv {
  void (*set_loop)(lua_State *L, uv_loop_t *loop);
  void (*set_callback)(lua_State *L, luv_pcall fn);
  lua_CFunction open;
};

/* ---- callbacks ------------------------------------------------------------------------------- */

/* A message handler: the error in words, with a traceback. */
static int describe(lua_State *L) {
  if (aq_is_exit(L, 1)) return 1;
  if (!lua_isstring(L, 1) && !luaL_callmeta(L, 1, "__tostring"))
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

static int push_text(lua_State *L) {
  lua_pushfstring(L, "aqlua: error in a luv callback: %s\n", lua_tostring(L, 1));
  return 1;
}

static void report(lua_State *L) {
  lua_pushcfunction(L, push_text);
  lua_pushvalue(L, -2);
  bool has_text = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isstring(L, -1);
  aq_report(L, has_text ? lua_tostring(L, -1) : "aqlua: error in a luv callback\n");
  lua_pop(L, 1);
}

/* As luv's own, but an error is reported and does not end the process. */
static int call_callback(lua_State *L, int nargs, int nresults, int flags) {
  int handler = lua_gettop(L) - nargs;
  (void)flags;
  lua_pushcfunction(L, describe);
  lua_insert(L, handler);
  int status = lua_pcall(L, nargs, nresults, handler);
  lua_remove(L, handler);
  if (status == LUA_OK) return lua_gettop(L) - handler + 1;
  if (!aq_is_exit(L, -1)) report(L);
  lua_pop(L, 1);
  return -status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int on_signal(lua_State *L);

/* Finds the module's file; raises the same error as require would. */
static const char *find_file(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchpath");
  lua_pushliteral(L, "luv");
  lua_getfield(L, -3, "cpath");
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) {
    lua_pushfstring(L, "module 'luv' not found:\n\t%s", lua_tostring(L, -1));
    lua_error(L);
  }
  lua_pop(L, 1);
  return lua_tostring(L, -1);
}

static struct luv find_functions(lua_State *L, const char *file) {
  static const char *const NAMES[] = {"luv_set_loop", "luv_set_callback", "luaopen_luv"};
  struct luv luv;
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL), *found[3];
  if (library == NULL) luaL_error(L, "luv: %s", dlerror());
  for (int i = 0; i < 3; i++) {
    found[i] = dlsym(library, NAMES[i]);
    if (found[i] == NULL) luaL_error(L, "luv: %s is too old: it has no %s", file, NAMES[i]);
  }
  *(void **)&luv.set_loop = found[0];
  *(void **)&luv.set_callback = found[1];
  *(void **)&luv.open = found[2];
  return luv;
}

static lua_State *main_state(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

/* The loader in package.preload. Returns the module. */
static int load(lua_State *L) {
  struct luv luv = find_functions(L, find_file(L));
  luv.set_loop(main_state(L), aq_uv_loop(L)); /* luv keeps the state, and calls back in it */
  luv.set_callback(L, call_callback);
  lua_pushcfunction(L, luv.open);
  lua_call(L, 0, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "aqlua.luv_host");
  lua_call(L, 1, 1);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, on_signal, 1);
  lua_call(L, 2, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CLOSE_KEY);
  return 1;
}

void luv_host_open(lua_State *L, struct luv_host *luv) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushlightuserdata(L, luv);
  lua_pushcclosure(L, load, 1);
  lua_setfield(L, -2, "luv");
  lua_pop(L, 1);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_prepare(uv_prepare_t *prepare) {
  (void)prepare;
  signals_repair();
}

/*
** A signal handle is being made. When libuv is through with one it restores the default, whatever
** was there before: so from now on our own handlers are looked after before each poll.
*/
static int on_signal(lua_State *L) {
  struct luv_host *luv = lua_touserdata(L, lua_upvalueindex(1));
  if (luv->has_guard) return 0;
  luv->has_guard = true;
  uv_prepare_init(aq_uv_loop(L), &luv->guard);
  uv_prepare_start(&luv->guard, on_prepare);
  uv_unref((uv_handle_t *)&luv->guard);
  return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

enum { PATIENCE_MS = 500 };

static void count_closing(uv_handle_t *handle, void *count) {
  if (uv_is_closing(handle)) ++*(int *)count;
}

static bool is_busy(uv_loop_t *loop) {
  int closing = 0;
  uv_walk(loop, count_closing, &closing);
  return closing > 0 || uv_loop_alive(loop);
}

/* Lets what is closing close, and requests end. Callbacks may still run. */
static bool run_dry(uv_loop_t *loop) {
  for (int ms = 0; ms < PATIENCE_MS && is_busy(loop); ms++) {
    uv_run(loop, UV_RUN_NOWAIT);
    if (is_busy(loop)) usleep(1000);
  }
  return !is_busy(loop);
}

bool luv_host_close(lua_State *L, struct luv_host *luv) {
  if (luv->has_guard) uv_close((uv_handle_t *)&luv->guard, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &CLOSE_KEY) == LUA_TNIL) {
    lua_pop(L, 1);
    return true;
  }
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  return run_dry(aq_uv_loop(L));
}
