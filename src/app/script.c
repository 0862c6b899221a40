/*
** script.c - LUA_INIT, the options in their order, the script, the prompt.
**
** All of it is one C function of the main task that calls Lua again and again. Since each call may
** wait, what comes next is the continuation's context: START, a place in argv, or AFTER_SCRIPT.
*/
#include "script.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aqlua.h"
#include "host.h"
#include "prompt.h"

enum { START = 0, OPTIONS = 1 };

static int after_script(const struct host *h) { return h->cli.argc + 1; }

static int at_end(const struct host *h) { return h->cli.argc + 2; }

/* ---- loading --------------------------------------------------------------------------------- */

static const char *chunk_mode(const struct host *h) { return h->cli.allows_bytecode ? "bt" : "t"; }

/* Raises the message on top, which needs no traceback. */
static int load_failed(lua_State *L, struct host *h, const char *name) {
  static const char BINARY[] = "attempt to load a binary chunk";
  const char *message = lua_tostring(L, -1);
  h->load_failed = true;
  if (message != NULL && strncmp(message, BINARY, sizeof BINARY - 1) == 0)
    lua_pushfstring(L, "%s: %s, which could crash the interpreter (--allow-bytecode permits it)",
                    name, BINARY);
  return lua_error(L);
}

static void load_text(lua_State *L, struct host *h, const char *text, const char *name) {
  if (luaL_loadbufferx(L, text, strlen(text), name, chunk_mode(h)) != LUA_OK)
    load_failed(L, h, name + 1);
}

/* `name`: NULL for standard input. */
static void load_file(lua_State *L, struct host *h, const char *name) {
  if (luaL_loadfilex(L, name, chunk_mode(h)) != LUA_OK)
    load_failed(L, h, name != NULL ? name : "stdin");
}

/* ---- the environment ------------------------------------------------------------------------- */

/* Pushes what LUA_INIT asks for; false if it asks for nothing. */
static bool push_init(lua_State *L, struct host *h) {
  static const char *const NAMES[] = {"=LUA_INIT_5_4", "=LUA_INIT"};
  if (h->cli.ignores_environment) return false;
  for (int i = 0; i < 2; i++) {
    const char *text = getenv(NAMES[i] + 1);
    if (text == NULL) continue;
    if (text[0] == '@')
      load_file(L, h, text + 1);
    else
      load_text(L, h, text, NAMES[i]);
    return true;
  }
  return false;
}

/* ---- options --------------------------------------------------------------------------------- */

static int library_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_setglobal(L, lua_tostring(L, 1));
  return 0;
}

/* Stack: the name of the global, the name of the module. */
static int library(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushvalue(L, 2);
  lua_callk(L, 1, 1, 0, library_end);
  return library_end(L, LUA_OK, 0);
}

/* Pushes a function and two arguments for `-l mod` or `-l g=mod`. */
static void push_library(lua_State *L, const char *text) {
  const char *equals = strchr(text, '=');
  lua_pushcfunction(L, library);
  lua_pushlstring(L, text, equals != NULL ? (size_t)(equals - text) : strlen(text));
  lua_pushstring(L, equals != NULL ? equals + 1 : text);
}

/* Pushes what the option asks for and returns how many arguments that has; -1: nothing to call. */
static int push_action(lua_State *L, struct host *h, struct cli_action action) {
  switch (action.kind) {
    case CLI_CHUNK: load_text(L, h, action.text, "=(command line)"); return 0;
    case CLI_LIBRARY: push_library(L, action.text); return 2;
    case CLI_WARN: lua_warning(L, "@on", 0); return -1;
    default: return -1;
  }
}

/* ---- the script ------------------------------------------------------------------------------ */

static bool has_script(const struct host *h) { return h->cli.script < h->cli.argc; }

/* True if standard input is to be run or to be typed at: nothing else was asked for. */
static bool reads_stdin(const struct host *h) {
  const struct cli *cli = &h->cli;
  return !has_script(h) && !cli->has_chunks && !cli->wants_version && !cli->wants_prompt;
}

bool script_wants_prompt(const struct host *h) {
  return h->cli.wants_prompt || (reads_stdin(h) && isatty(STDIN_FILENO));
}

/* Pushes the script and its arguments; returns how many. */
static int push_script(lua_State *L, struct host *h) {
  const struct cli *cli = &h->cli;
  const char *name = has_script(h) ? cli->argv[cli->script] : "-";
  bool is_stdin = strcmp(name, "-") == 0 && !(has_script(h) && cli->is_after_dashes);
  load_file(L, h, is_stdin ? NULL : name);
  int nargs = 0;
  for (int i = cli->script + 1; i < cli->argc; i++, nargs++) {
    luaL_checkstack(L, 1, "too many arguments");
    lua_pushstring(L, cli->argv[i]);
  }
  return nargs;
}

void script_set_arg(lua_State *L, const struct cli *cli) {
  int script = cli->script < cli->argc ? cli->script : 0;
  lua_createtable(L, cli->argc - script, script + 1);
  for (int i = 0; i < cli->argc; i++) {
    lua_pushstring(L, cli->argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

/* ---- one after the other --------------------------------------------------------------------- */

static int run_from(lua_State *L, int status, lua_KContext at) {
  struct host *h = host_of(L);
  struct cli_action action;
  int i = (int)at;
  (void)status;
  if (i == START) {
    i = OPTIONS;
    if (push_init(L, h)) lua_callk(L, 0, 0, i, run_from);
  }
  while ((action = cli_next(&h->cli, &i)).kind != CLI_END) {
    int nargs = push_action(L, h, action);
    if (nargs >= 0) lua_callk(L, nargs, 0, i, run_from);
  }
  if (i < after_script(h) && (has_script(h) || (reads_stdin(h) && !script_wants_prompt(h)))) {
    int nargs = push_script(L, h);
    lua_callk(L, nargs, 0, after_script(h), run_from);
  }
  if (i < at_end(h) && script_wants_prompt(h)) {
    prompt_push(L, h);
    lua_callk(L, 0, 0, at_end(h), run_from);
  }
  return 0;
}

int script_main(lua_State *L) { return run_from(L, LUA_OK, START); }
