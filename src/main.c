/*
** main.c - the executable: a Lua state, the command line's chunks and script as the main task, and
** the exit status. Uses the library as any embedder would, through aqlua.h.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"
#include "cli.h"

struct host {
  struct cli cli;
  bool load_failed; /* a chunk or the script could not be loaded: its message needs no traceback */
  bool is_exiting;  /* os.exit(status, true) was called */
  int status;       /* the process's, if is_exiting */
};

/* The host is upvalue 1 of the C functions here. */
static struct host *host_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* ---- printing -------------------------------------------------------------------------------- */

static void complain(const struct host *h, const char *message) {
  fprintf(stderr, "%s: %s\n", h->cli.program, message);
}

static void print_versions(void) {
  printf("%s\n", "aqlua " AQ_VERSION_TEXT);
  printf("%s\n", LUA_COPYRIGHT);
  printf("libuv %s\n", uv_version_string());
}

/* The error at -2 and its traceback at -1. */
static void print_error(lua_State *L, const struct host *h) {
  const char *traceback = lua_tostring(L, -1);
  const char *message;
  if (luaL_getmetafield(L, -2, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    message = luaL_tolstring(L, -2, NULL);
  } else if (lua_isstring(L, -2)) {
    message = lua_tostring(L, -2);
  } else {
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, -2));
  }
  complain(h, message);
  if (*traceback != '\0' && !h->load_failed) fprintf(stderr, "%s\n", traceback);
}

/* ---- os.exit --------------------------------------------------------------------------------- */

static int exit_status(lua_State *L) {
  if (lua_isboolean(L, 1)) return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/* The task that called os.exit(status, true) goes no further: here it waits to be cancelled. */
static int never(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return luaL_error(L, "os.exit: the program is ending");
}

/*
** os.exit([status [, close]]). With close, all tasks are cancelled and waited for first: the state
** cannot be closed from inside the loop, so the loop is asked to stop and this task waits for ever.
** Upvalues: the host, a function that waits for ever.
*/
static int host_exit(lua_State *L) {
  struct host *h = host_of(L);
  int status = exit_status(L);
  if (!lua_toboolean(L, 2) || !aq_in_task(L)) {
    fflush(NULL);
    exit(status);
  }
  h->is_exiting = true;
  h->status = status;
  aq_stop(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_callk(L, 0, 0, 0, never);
  return never(L, LUA_OK, 0);
}

/* ---- the main task --------------------------------------------------------------------------- */

static int load_failed(lua_State *L) {
  host_of(L)->load_failed = true;
  return lua_error(L);
}

static bool has_script(const struct host *h) {
  if (h->cli.script < h->cli.argc) return true;
  return !h->cli.has_chunks && !h->cli.wants_version;
}

/* Pushes the script and its arguments; returns how many. Bytecode is refused: it could crash. */
static int push_script(lua_State *L, const struct host *h) {
  const struct cli *cli = &h->cli;
  const char *name = cli->script < cli->argc ? cli->argv[cli->script] : "-";
  bool is_stdin = strcmp(name, "-") == 0 && (cli->script == cli->argc || !cli->is_after_dashes);
  if (luaL_loadfilex(L, is_stdin ? NULL : name, "t") != LUA_OK) return load_failed(L);
  int nargs = 0;
  for (int i = cli->script + 1; i < cli->argc; i++, nargs++) {
    luaL_checkstack(L, 1, "too many arguments");
    lua_pushstring(L, cli->argv[i]);
  }
  return nargs;
}

/* Runs each -e, then the script. `at` is where in the arguments to go on, kept over waits. */
static int run_from(lua_State *L, int status, lua_KContext at) {
  const struct host *h = host_of(L);
  int i = (int)at;
  const char *chunk;
  (void)status;
  while ((chunk = cli_next_chunk(&h->cli, &i)) != NULL) {
    if (luaL_loadbufferx(L, chunk, strlen(chunk), "=(command line)", "t") != LUA_OK)
      return load_failed(L);
    lua_callk(L, 0, 0, i, run_from);
  }
  if (i > h->cli.argc || !has_script(h)) return 0;
  int nargs = push_script(L, h);
  lua_callk(L, nargs, 0, h->cli.argc + 1, run_from);
  return 0;
}

static int main_task(lua_State *L) { return run_from(L, LUA_OK, 1); }

/* ---- the state ------------------------------------------------------------------------------- */

/* The table `arg`: the script at 0, its arguments above, what came before it below. */
static void set_arg(lua_State *L, const struct cli *cli) {
  int script = cli->script < cli->argc ? cli->script : 0;
  lua_createtable(L, cli->argc - script, script + 1);
  for (int i = 0; i < cli->argc; i++) {
    lua_pushstring(L, cli->argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static void push_host_function(lua_State *L, struct host *h, lua_CFunction fn) {
  lua_pushlightuserdata(L, h);
  lua_pushcclosure(L, fn, 1);
}

static void replace_exit(lua_State *L, struct host *h) {
  lua_getglobal(L, LUA_OSLIBNAME);
  lua_pushlightuserdata(L, h);
  if (luaL_dostring(L, "local aq = require 'aqlua'\n"
                       "return function() aq.Future():await() end") != LUA_OK)
    lua_error(L);
  lua_pushcclosure(L, host_exit, 2);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}

/* Protected: opens everything and leaves the main task's function on the stack. */
static int open_state(lua_State *L) {
  struct host *h = lua_touserdata(L, 1);
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_getfield(L, -1, "patch");
  lua_call(L, 0, 0);
  if (h->cli.has_chunks) lua_setglobal(L, "aq");
  set_arg(L, &h->cli);
  replace_exit(L, h);
  push_host_function(L, h, main_task);
  return 1;
}

/* Output that could not be written must not end in a success. */
static bool flush_output(const struct host *h) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return true;
  complain(h, "cannot write to standard output");
  return false;
}

static int run(lua_State *L, struct host *h) {
  lua_pushcfunction(L, open_state);
  lua_pushlightuserdata(L, h);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    complain(h, lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  int status = EXIT_SUCCESS;
  if (aq_call(L, 0, 0) != LUA_OK) {
    print_error(L, h);
    status = EXIT_FAILURE;
  }
  if (aq_unhandled(L) > 0) status = EXIT_FAILURE;
  return h->is_exiting ? h->status : status;
}

int main(int argc, char **argv) {
  struct host h = {.cli = cli_parse(argc, argv)};
  if (h.cli.bad != NULL) {
    cli_complain(&h.cli);
    return EXIT_FAILURE;
  }
  if (h.cli.wants_help) {
    cli_help(&h.cli);
    return EXIT_SUCCESS;
  }
  if (h.cli.wants_version) print_versions();
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    complain(&h, "not enough memory");
    return EXIT_FAILURE;
  }
  int status = run(L, &h);
  lua_close(L);
  if (!flush_output(&h) && status == EXIT_SUCCESS) status = EXIT_FAILURE;
  return status;
}
