/*
** prompt.c - reading lines on the loop, and the functions that the Lua side has for it.
**
**     read(prompt, done) --> the poll watches stdin --> a line is complete --> done(line)
**
** With an editor the poll hands each key to it; without one a line is read byte by byte, so that
** io.read finds what comes after it. What cannot be watched (a file) is read at once.
*/
#include "prompt.h"

#include <fcntl.h>
#include <langinfo.h>
#include <lauxlib.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#include "aqlua.h"
#include "editor.h"
#include "files.h"
#include "line.h"

struct prompt {
  struct host *h;
  lua_State *L; /* where callbacks run */
  struct editor editor;
  uv_poll_t poll;       /* watches stdin while a line is being read */
  uv_prepare_t prepare; /* shows the line again before the next wait */
  uv_async_t resumed;   /* the process was stopped and continued */
  bool is_terminal;
  bool can_poll;
  bool is_reading;  /* between read and done */
  bool is_hidden;   /* the line was taken off the screen */
  bool ends_line;   /* what was written since then ended in a newline */
  char *text;       /* the prompt shown */
  struct line line; /* what has been read of a line without an editor */
  int done;         /* reference to the function to call with the line */
  int completer;    /* ... with a line and a place in it, for a list of strings */
};

/* ---- a line is complete ---------------------------------------------------------------------- */

/* Calls done(line), or done() at the end of the input. */
static void deliver(struct prompt *p, lua_State *L, const char *line) {
  p->is_reading = false;
  if (p->can_poll) uv_poll_stop(&p->poll);
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->done);
  luaL_unref(L, LUA_REGISTRYINDEX, p->done);
  p->done = LUA_NOREF;
  lua_pushstring(L, line);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void on_line(void *owner, char *line) {
  struct prompt *p = owner;
  deliver(p, p->L, line);
  free(line);
}

static void deliver_plain(struct prompt *p, lua_State *L, enum line_status status) {
  deliver(p, L, status == LINE_COMPLETE ? p->line.text : NULL);
}

/* ---- watching stdin -------------------------------------------------------------------------- */

enum { KEYS_AT_ONCE = 256 };

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct prompt *p = poll->data;
  (void)status, (void)events;
  if (p->editor.rl == NULL) {
    enum line_status how = line_read(&p->line, true);
    if (how != LINE_PARTIAL) deliver_plain(p, p->L, how);
    return;
  }
  for (int i = 0; i < KEYS_AT_ONCE && p->is_reading; i++) {
    editor_read_key(&p->editor);
    if (!line_has_input()) break;
  }
}

/* libuv makes what it watches non-blocking, for all that share it: our standard output too. */
static bool watch_stdin(struct prompt *p, uv_loop_t *loop) {
  int flags = fcntl(STDIN_FILENO, F_GETFL);
  if (flags == -1 || uv_poll_init(loop, &p->poll, STDIN_FILENO) != 0) return false;
  fcntl(STDIN_FILENO, F_SETFL, flags);
  p->poll.data = p;
  return true;
}

/* ---- the line and what else is on the screen ------------------------------------------------- */

static void show_prompt(struct prompt *p) {
  fputs(p->text, stdout);
  fflush(stdout);
}

static void on_prepare(uv_prepare_t *prepare) {
  struct prompt *p = prepare->data;
  uv_prepare_stop(prepare);
  p->is_hidden = false;
  fflush(stdout);
  if (!p->ends_line) fputc('\n', stdout);
  if (!p->is_reading) return;
  if (p->editor.rl != NULL)
    editor_show(&p->editor);
  else
    show_prompt(p);
}

void prompt_hide(struct prompt *p) {
  if (p == NULL || !p->is_terminal || !p->is_reading || p->is_hidden) return;
  p->is_hidden = true;
  p->ends_line = true;
  if (p->editor.rl != NULL)
    editor_hide(&p->editor);
  else
    fputc('\n', stdout);
  uv_prepare_start(&p->prepare, on_prepare);
}

void prompt_wrote(struct prompt *p, bool ends_line) {
  if (p != NULL) p->ends_line = ends_line;
}

static void on_resumed(uv_async_t *async) {
  struct prompt *p = async->data;
  if (p->is_reading && p->editor.rl != NULL) editor_resume(&p->editor);
}

/* In a signal handler. */
static void on_continue(void) {
  struct editor *e = signals_owner();
  if (e != NULL) uv_async_send(&((struct prompt *)e->owner)->resumed);
}

/* ---- for Lua --------------------------------------------------------------------------------- */

/* read(prompt, done): calls done with a line, or with nil when there will be none. */
static int term_read(lua_State *L) {
  struct prompt *p = host_of(L)->prompt;
  const char *text = luaL_checkstring(L, 1);
  lua_settop(L, 2);
  if (p->is_reading) return luaL_error(L, "a line is being read already");
  p->done = luaL_ref(L, LUA_REGISTRYINDEX);
  free(p->text);
  p->text = strdup(text);
  p->is_reading = true;
  fflush(stdout);
  if (p->can_poll) uv_poll_start(&p->poll, UV_READABLE, on_readable);
  if (p->editor.rl != NULL) {
    editor_start(&p->editor, p->text);
    return 0;
  }
  show_prompt(p);
  if (!p->can_poll) deliver_plain(p, L, line_read(&p->line, false));
  return 0;
}

/* abort([mark]): drops the line that is being read, and marks it so; its `done` is forgotten. */
static int term_abort(lua_State *L) {
  struct prompt *p = host_of(L)->prompt;
  const char *mark = luaL_optstring(L, 1, "");
  if (!p->is_reading) return 0;
  if (p->is_hidden) on_prepare(&p->prepare);
  p->is_reading = false;
  if (p->can_poll) uv_poll_stop(&p->poll);
  luaL_unref(L, LUA_REGISTRYINDEX, p->done);
  p->done = LUA_NOREF;
  if (p->editor.rl != NULL)
    editor_abort(&p->editor, mark);
  else
    putchar('\n'); /* the terminal itself has shown ^C */
  line_drop(&p->line);
  return 0;
}

/* add_history(text) */
static int term_add_history(lua_State *L) {
  struct prompt *p = host_of(L)->prompt;
  if (p->editor.rl != NULL) editor_add_history(&p->editor, luaL_checkstring(L, 1));
  return 0;
}

/* set_completer(fn): fn(line, start) returns a list of what the word from start on may become. */
static int term_set_completer(lua_State *L) {
  struct prompt *p = host_of(L)->prompt;
  lua_settop(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, p->completer);
  p->completer = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* The strings of the list on top, copied; NULL if there are none. */
static char **copy_list(lua_State *L) {
  size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  char **list = n > 0 ? calloc(n + 1, sizeof *list) : NULL;
  if (list == NULL) return NULL;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    const char *text = lua_tostring(L, -1);
    list[i] = strdup(text != NULL ? text : "");
    lua_pop(L, 1);
  }
  return list;
}

static char **complete(void *owner, const char *text, int point, int start) {
  struct prompt *p = owner;
  lua_State *L = p->L;
  char **list = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->completer);
  lua_pushlstring(L, text, (size_t)point);
  lua_pushinteger(L, start + 1);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) list = copy_list(L);
  lua_pop(L, 1);
  return list;
}

/* complain(text): what is wrong, on stderr. */
static int term_complain(lua_State *L) {
  const struct host *h = host_of(L);
  prompt_hide(h->prompt);
  style_complain(&h->style, luaL_checkstring(L, 1));
  return 0;
}

/* has_input(): whether more has been typed already. */
static int term_has_input(lua_State *L) {
  lua_pushboolean(L, line_has_input());
  return 1;
}

/* width(): of the terminal, in columns. */
static int term_width(lua_State *L) {
  struct winsize size;
  bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, is_known ? size.ws_col : 80);
  return 1;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void push_terminal(lua_State *L, struct prompt *p) {
  static const struct luaL_Reg FUNCTIONS[] = {{"read", term_read},
                                              {"abort", term_abort},
                                              {"add_history", term_add_history},
                                              {"set_completer", term_set_completer},
                                              {"complain", term_complain},
                                              {"has_input", term_has_input},
                                              {"width", term_width},
                                              {"list", files_list},
                                              {"make_private", files_make_private},
                                              {NULL, NULL}};
  struct style style = style_for(STDOUT_FILENO);
  luaL_newlibtable(L, FUNCTIONS);
  lua_pushlightuserdata(L, p->h);
  luaL_setfuncs(L, FUNCTIONS, 1);
  lua_pushboolean(L, p->is_terminal);
  lua_setfield(L, -2, "is_terminal");
  lua_pushboolean(L, p->editor.rl != NULL);
  lua_setfield(L, -2, "has_editor");
  lua_pushstring(L, style.dim);
  lua_setfield(L, -2, "dim");
  lua_pushstring(L, style.end);
  lua_setfield(L, -2, "plain");
  lua_pushstring(L, uv_version_string());
  lua_setfield(L, -2, "uv_version");
}

/* So that the editor knows characters from bytes. Without any setting, UTF-8 is assumed. */
static void set_locale(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static void open_terminal(struct prompt *p) {
  set_locale();
  signals_guard_terminal(&p->h->signals);
  p->editor = (struct editor){.on_line = on_line, .complete = complete, .owner = p};
  p->h->signals.owner = &p->editor;
  p->h->signals.on_continue = on_continue;
  const char *term = getenv("TERM");
  if (term != NULL && strcmp(term, "dumb") != 0) editor_open(&p->editor);
}

static void open_handles(struct prompt *p, uv_loop_t *loop) {
  p->can_poll = watch_stdin(p, loop);
  uv_prepare_init(loop, &p->prepare);
  uv_async_init(loop, &p->resumed, on_resumed);
  uv_unref((uv_handle_t *)&p->prepare);
  uv_unref((uv_handle_t *)&p->resumed);
  p->prepare.data = p->resumed.data = p;
}

static struct prompt *open_prompt(lua_State *L, struct host *h) {
  struct prompt *p = calloc(1, sizeof *p);
  if (p == NULL) luaL_error(L, "not enough memory");
  p->h = h;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  p->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  p->done = p->completer = LUA_NOREF;
  p->is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  open_handles(p, aq_uv_loop(L));
  if (p->is_terminal) open_terminal(p);
  setvbuf(stdin, NULL, _IONBF, 0); /* io.read takes no more than it needs */
  h->prompt = p;
  return p;
}

void prompt_push(lua_State *L, struct host *h) {
  struct prompt *p = open_prompt(L, h);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "aqlua.repl.loop");
  lua_call(L, 1, 1);
  push_terminal(L, p);
  lua_call(L, 1, 1);
}

void prompt_close(struct host *h) {
  struct prompt *p = h->prompt;
  if (p == NULL) return;
  h->signals.owner = NULL;
  editor_close(&p->editor);
  if (p->can_poll) uv_close((uv_handle_t *)&p->poll, NULL);
  uv_close((uv_handle_t *)&p->prepare, NULL);
  uv_close((uv_handle_t *)&p->resumed, NULL);
}

void prompt_free(struct host *h) {
  struct prompt *p = h->prompt;
  if (p == NULL) return;
  h->prompt = NULL;
  free(p->text);
  line_free(&p->line);
  free(p);
}
