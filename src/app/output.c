/*
** output.c - the functions, written anew: called through a wrapper, the stock ones could not name
** themselves in their error messages.
*/
#include "output.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "prompt.h"

/* Something is about to be written to the terminal, perhaps in the middle of a line. */
static void before(const struct host *h, FILE *file) {
  if (file == stdout || file == stderr) prompt_hide(h->prompt);
  if (file == stderr) fflush(stdout);
}

static void after(const struct host *h, FILE *file, const char *text, size_t length) {
  if ((file == stdout || file == stderr) && length > 0)
    prompt_wrote(h->prompt, text[length - 1] == '\n');
}

/* print(...) */
static int print(lua_State *L) {
  const struct host *h = host_of(L);
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) luaL_tolstring(L, i, NULL);
  before(h, stdout);
  for (int i = 1; i <= n; i++) {
    size_t length;
    const char *text = lua_tolstring(L, n + i, &length);
    if (i > 1) fputc('\t', stdout);
    fwrite(text, 1, length, stdout);
  }
  fputc('\n', stdout);
  fflush(stdout);
  return 0;
}

/* Writes the arguments from `first` on; the file's userdata is on top, and the result. */
static int write_all(lua_State *L, FILE *file, int first) {
  const struct host *h = host_of(L);
  int n = lua_gettop(L) - 1;
  bool is_well = true;
  before(h, file);
  for (int i = first; i <= n; i++) {
    size_t length;
    const char *text = luaL_checklstring(L, i, &length);
    is_well = is_well && fwrite(text, 1, length, file) == length;
    after(h, file, text, length);
  }
  return is_well ? 1 : luaL_fileresult(L, 0, NULL);
}

/* file:write(...) */
static int file_write(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (stream->closef == NULL) return luaL_error(L, "attempt to use a closed file");
  lua_pushvalue(L, 1);
  return write_all(L, stream->f, 2);
}

/* io.write(...) */
static int io_write(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");
  luaL_Stream *stream = lua_touserdata(L, -1);
  if (stream->closef == NULL) return luaL_error(L, "default output file is closed");
  return write_all(L, stream->f, 1);
}

/* os.execute([command]): what the command writes, we do not see. */
static int execute(lua_State *L) {
  const char *command = luaL_optstring(L, 1, NULL);
  if (command != NULL) prompt_hide(host_of(L)->prompt);
  fflush(NULL);
  int status = system(command);
  if (command != NULL) return luaL_execresult(L, status);
  lua_pushboolean(L, status);
  return 1;
}

static void set(lua_State *L, struct host *h, const char *name, lua_CFunction fn) {
  host_push_function(L, h, fn);
  lua_setfield(L, -2, name);
}

void output_install(lua_State *L, struct host *h) {
  lua_pushglobaltable(L);
  set(L, h, "print", print);
  lua_getfield(L, -1, LUA_IOLIBNAME);
  set(L, h, "write", io_write);
  lua_getfield(L, -2, LUA_OSLIBNAME);
  set(L, h, "execute", execute);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  set(L, h, "write", file_write);
  lua_pop(L, 5);
}

/* ---- warnings -------------------------------------------------------------------------------- */

void output_warn(void *ud, const char *message, int continues) {
  struct host *h = ud;
  if (!h->is_warning && !continues && message[0] == '@') {
    if (strcmp(message, "@on") == 0) h->warns = true;
    if (strcmp(message, "@off") == 0) h->warns = false;
    return;
  }
  if (h->warns) {
    if (!h->is_warning) {
      prompt_hide(h->prompt);
      fflush(stdout);
      fputs("Lua warning: ", stderr);
    }
    fputs(message, stderr);
    if (!continues) fputs("\n", stderr);
  }
  h->is_warning = continues;
}
