/*
** main.c - the executable: a Lua state, the main task in it, and the exit status. Uses the library
** as any embedder would, through aqlua.h.
*/
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "aqlua.h"
#include "host.h"
#include "output.h"
#include "pages.h"
#include "prompt.h"
#include "script.h"

/* ---- printing -------------------------------------------------------------------------------- */

void host_complain(const struct host *h, const char *text) {
  fflush(stdout);
  fprintf(stderr, "%s%s: %s", h->style.error, h->cli.program, h->style.end);
  style_complain(&h->style, text);
}

static void print_versions(void) {
  printf("%s\n", "aqlua " AQ_VERSION_TEXT);
  printf("%s\n", LUA_COPYRIGHT);
  printf("libuv %s\n", uv_version_string());
}

/* True if nobody reads standard output any more: nobody wants to hear of it either. */
static bool is_broken_pipe(void) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/* Writes out standard output. If that fails or has failed, success becomes failure; who has failed
** anyway has said why. */
static int final_status(const struct host *h, int status) {
  errno = 0;
  bool is_well = fflush(stdout) == 0 && !ferror(stdout);
  if (is_well || status != EXIT_SUCCESS) return status;
  const char *why = errno != 0 ? strerror(errno) : NULL;
  if (!is_broken_pipe())
    fprintf(stderr, "%s: cannot write to standard output%s%s\n", h->cli.program,
            why != NULL ? ": " : "", why != NULL ? why : "");
  return EXIT_FAILURE;
}

/* What the library reports: errors that nobody retrieved, and lists of tasks. */
static void on_report(void *ud, const char *text) {
  const struct host *h = ud;
  prompt_hide(h->prompt);
  style_complain(&h->style, text);
}

/* The error at 1, in the words of the stock interpreter. Runs its __tostring. */
static int error_text(lua_State *L) {
  if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL);
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return 1;
}

/* True if the error at 1 is the CancelledError of a program that was interrupted. */
static int is_cancel(lua_State *L) {
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_getfield(L, -1, "CancelledError");
  lua_pushboolean(L, lua_compare(L, 1, -1, LUA_OPEQ));
  return 1;
}

/* Pushes what `fn` makes of the error at `error`. False, and nothing pushed, if that fails. */
static bool push_of_error(lua_State *L, lua_CFunction fn, int error) {
  lua_pushcfunction(L, fn);
  lua_pushvalue(L, error);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* The program was told to end by a signal, and did: that is no error. */
static bool is_interrupt(lua_State *L, int error) {
  if (!aq_interrupted(L) || !push_of_error(L, is_cancel, error)) return false;
  return lua_toboolean(L, -1);
}

/* The message says where it was, but may have been lost on the way: not every cancel has one. */
static void print_interrupt(lua_State *L, struct host *h, int error) {
  const char *reason = signals_reason(h->signals.signo);
  if (reason == NULL) return;
  lua_getfield(L, error, "message");
  const char *message = lua_tostring(L, -1);
  bool is_ours = message != NULL && strncmp(message, reason, strlen(reason)) == 0;
  host_complain(h, is_ours ? message : reason);
}

/* The error at -2 and its traceback at -1. */
static void print_error(lua_State *L, struct host *h) {
  int error = lua_gettop(L) - 1;
  if (is_interrupt(L, error)) {
    print_interrupt(L, h, error);
    return;
  }
  if (!push_of_error(L, error_text, error))
    lua_pushliteral(L, "(error object whose __tostring fails)");
  const char *traceback = lua_tostring(L, error + 1);
  if (*traceback != '\0' && !h->load_failed)
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -1), traceback);
  host_complain(h, lua_tostring(L, -1));
}

/* ---- os.exit --------------------------------------------------------------------------------- */

static int exit_status(lua_State *L) {
  if (lua_isboolean(L, 1)) return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/*
** os.exit([status [, close]]). With close, all tasks are cancelled and waited for first: the state
** cannot be closed from inside the loop, so that is done by main. Neither returns.
*/
static int host_exit(lua_State *L) {
  struct host *h = host_of(L);
  int status = exit_status(L);
  if (lua_toboolean(L, 2)) {
    h->is_exiting = true;
    h->status = status;
    return aq_exit(L);
  }
  status = final_status(h, status);
  signals_stop(&h->signals);
  exit(status);
}

/* ---- the state ------------------------------------------------------------------------------- */

static void replace_exit(lua_State *L, struct host *h) {
  lua_getglobal(L, LUA_OSLIBNAME);
  host_push_function(L, h, host_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}

static bool wants_debug(const struct host *h) {
  const char *value = getenv("AQLUA_DEBUG");
  if (h->cli.ignores_environment || value == NULL) return false;
  return value[0] != '\0' && strcmp(value, "0") != 0;
}

/* Protected: opens everything and leaves the main task's function on the stack. */
static int open_state(lua_State *L) {
  struct host *h = lua_touserdata(L, 1);
  if (h->cli.ignores_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_getfield(L, -1, "patch");
  lua_call(L, 0, 0);
  if (h->cli.has_chunks) lua_setglobal(L, "aq");
  script_set_arg(L, &h->cli);
  replace_exit(L, h);
  luv_host_open(L, &h->luv);
  aq_set_report(L, on_report, h);
  if (script_wants_prompt(h)) output_install(L, h);
  if (wants_debug(h)) lua_warning(L, "@on", 0);
  if (wants_debug(h) || h->cli.warns) aq_set_debug(L, 1);
  host_push_function(L, h, script_main);
  return 1;
}

/* ---- the process ----------------------------------------------------------------------------- */

static int run(lua_State *L, struct host *h) {
  lua_pushcfunction(L, open_state);
  lua_pushlightuserdata(L, h);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    host_complain(h, lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  int status = EXIT_SUCCESS;
  signals_start(&h->signals, L);
  if (aq_call(L, 0, 0) != LUA_OK) {
    print_error(L, h);
    status = EXIT_FAILURE;
  }
  if (aq_unhandled(L) > 0 && h->prompt == NULL) status = EXIT_FAILURE;
  if (aq_interrupted(L)) h->dies_by = h->signals.signo;
  return status;
}

/*
** A stream that is closed gets a file in its place, or the loop's own descriptors would be there:
** one that cannot be used in the stream's direction, so that using it fails as it should.
*/
static void hold_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
      (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Only what is not run protected comes here: nothing does. */
static int panic(lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not a string";
  fprintf(stderr, "aqlua: unprotected error: %s\n", text);
  return 0; /* and Lua aborts */
}

/* In debug builds each block is the C library's own, so that the checkers of memory see it. */
static struct pages *make_pages(void) {
#ifdef AQ_DEBUG
  return NULL;
#else
  return pages_new();
#endif
}

static int run_program(struct host *h) {
  struct pages *pages = make_pages();
  lua_State *L = lua_newstate(pages_alloc, pages);
  if (L == NULL) {
    host_complain(h, "not enough memory");
    return EXIT_FAILURE;
  }
  lua_atpanic(L, panic);
  lua_setwarnf(L, output_warn, h);
  int status = run(L, h);
  prompt_close(h);
  h->is_stuck = aq_uv_loop(L) != NULL && !luv_host_close(L, &h->luv);
  if (h->is_stuck) return status;
  signals_stop(&h->signals);
  lua_close(L);
  pages_free(pages);
  prompt_free(h);
  return status;
}

int main(int argc, char **argv) {
  hold_streams();
  struct host h = {.cli = cli_parse(argc, argv), .style = style_for(STDERR_FILENO)};
  if (h.cli.bad != NULL) {
    cli_complain(&h.cli);
    return EXIT_FAILURE;
  }
  int status = EXIT_SUCCESS;
  if (h.cli.wants_help) {
    cli_help(&h.cli);
  } else {
    if (h.cli.wants_version) print_versions();
    status = run_program(&h);
  }
  status = final_status(&h, h.is_exiting ? h.status : status);
  if (h.dies_by != 0 && !h.is_exiting) signals_die(h.dies_by);
  if (h.is_stuck) {
    fflush(NULL);
    _exit(status); /* what runs at exit would not wait for that thread */
  }
  return status;
}
