/*
** kinds.c - errors, classes and openers from C: each call with what it must not be given, and memory that
** runs out at each request in turn. The rest is checked by the Lua code below.
**
**     kinds STRIDE      prints what went wrong; memory fails at each STRIDEth request only
*/
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aqlua.h"
#include "memory.h"

static int failures;

#define CHECK(what)                                                                                \
  do {                                                                                             \
    if (!(what)) failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #what);                     \
  } while (0)

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size) { return is_refused() ? NULL : __real_malloc(size); }

static lua_State *open_state(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_setglobal(L, "aq");
  return L;
}

static void run(lua_State *L, const char *chunk) {
  if (luaL_loadstring(L, chunk) == LUA_OK && lua_pcall(L, 0, 0, 0) == LUA_OK) return;
  failures++;
  printf("%s\n", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
}

/* Leaves the error in a global. */
static void set(lua_State *L, const char *name) { lua_setglobal(L, name); }

static void test_errors(void) {
  lua_State *L = open_state();
  CHECK(aq_define_error(L, "StreamError", NULL, "the stream failed") == AQ_OK);
  CHECK(aq_define_error(L, "IncompleteReadError", "StreamError", "the end came early") == AQ_OK);
  CHECK(aq_define_error(L, "StreamError", NULL, "again") == AQ_OK);
  CHECK(aq_define_error(L, "StreamError", "OSError", "another parent") == AQ_INVALID);
  CHECK(aq_define_error(L, "Aborted", "CancelledError", "aborted") == AQ_OK);
  CHECK(aq_define_error(L, "X", "nobody", "x") == AQ_INVALID);
  CHECK(aq_define_error(L, "Queue", NULL, "x") == AQ_INVALID);
  CHECK(aq_define_error(L, "TimeoutError", "OSError", "x") == AQ_INVALID);
  CHECK(aq_define_error(L, "no name", NULL, "x") == AQ_INVALID);
  CHECK(aq_define_error(L, NULL, NULL, "x") == AQ_INVALID);
  CHECK(aq_define_error(L, "X", NULL, NULL) == AQ_INVALID);
  CHECK(aq_push_error(L, "IncompleteReadError", "3 of 5 bytes") == AQ_OK);
  lua_pushliteral(L, "abc");
  CHECK(aq_set_error_field(L, 1, "partial") == AQ_OK);
  CHECK(lua_gettop(L) == 1);
  set(L, "incomplete");
  CHECK(aq_push_error(L, "TimeoutError", NULL) == AQ_OK);
  set(L, "timeout");
  CHECK(aq_push_error(L, "Aborted", NULL) == AQ_OK);
  set(L, "aborted");
  run(L, "assert(incomplete == aq.IncompleteReadError and aq.StreamError == incomplete)\n"
         "assert(incomplete ~= aq.OSError and incomplete ~= aq.CancelledError)\n"
         "assert(incomplete.name == 'IncompleteReadError' and incomplete.partial == 'abc')\n"
         "assert(aq.IncompleteReadError.partial == nil and incomplete:match '3 of 5' == '3 of 5')\n"
         "assert('x ' .. incomplete == 'x IncompleteReadError: 3 of 5 bytes')\n"
         "assert(tostring(aq.StreamError) == 'StreamError: the stream failed')\n"
         "assert(timeout == aq.TimeoutError and timeout.message == aq.TimeoutError.message)\n"
         "assert(aborted == aq.CancelledError and timeout ~= aq.CancelledError)");
  CHECK(aq_push_error(L, "nobody", NULL) == AQ_INVALID && lua_isstring(L, -1));
  CHECK(aq_push_error(L, NULL, NULL) == AQ_INVALID && lua_isstring(L, -1));
  lua_settop(L, 0);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 2);
  CHECK(aq_set_error_field(L, 1, "x") == AQ_INVALID && lua_gettop(L) == 1);
  lua_getglobal(L, "aq");
  lua_getfield(L, -1, "OSError");
  lua_pushinteger(L, 2);
  CHECK(aq_set_error_field(L, -2, "x") == AQ_INVALID); /* everybody has this one */
  lua_close(L);
}

static void test_os_errors(void) {
  lua_State *L = open_state();
  CHECK(aq_push_os_error(L, -ENOENT, "open", "/tmp/x") == AQ_OK);
  set(L, "missing");
  CHECK(aq_push_os_error(L, ECONNRESET, "read", NULL) == AQ_OK);
  set(L, "reset");
  CHECK(aq_push_os_error(L, -ETIMEDOUT, NULL, NULL) == AQ_OK);
  set(L, "late");
  CHECK(aq_push_os_error(L, -EMFILE, NULL, "x") == AQ_OK);
  set(L, "many");
  CHECK(aq_push_os_error(L, -4095, NULL, NULL) == AQ_OK);
  set(L, "eof");
  lua_pushinteger(L, ENOENT);
  set(L, "ENOENT");
  run(L,
      "assert(missing == aq.OSError and missing == aq.FileNotFoundError)\n"
      "assert(missing ~= aq.ConnectionError and missing ~= aq.PermissionError)\n"
      "assert(missing.code == 'ENOENT' and missing.errno == ENOENT and missing.syscall == 'open')\n"
      "assert(missing.message == 'open /tmp/x: no such file or directory')\n"
      "assert(tostring(missing) == 'FileNotFoundError: ' .. missing.message)\n"
      "assert(reset == aq.ConnectionResetError and reset == aq.ConnectionError and reset == "
      "aq.OSError)\n"
      "assert(reset ~= aq.BrokenPipeError and reset ~= missing and many ~= missing)\n"
      "assert(reset.message == 'read: connection reset by peer')\n"
      "assert(late.name == 'ConnectionError' and late == aq.OSError and late.syscall == nil)\n"
      "assert(many.name == 'OSError' and many.message == 'x: too many open files')\n"
      "assert(eof.code == 'EOF' and eof.errno == nil and eof.name == 'OSError')\n");
  lua_close(L);
}

struct stream {
  int opened;
};

static int collected;

static int stream_read(lua_State *L) {
  struct stream *s = aq_check_object(L, 1, "Stream");
  lua_pushinteger(L, s->opened++);
  return 1;
}

static int stream_gc(lua_State *L) {
  if (aq_to_object(L, 1, "Stream") != NULL) collected++;
  return 0;
}

static int new_stream(lua_State *L) {
  const struct stream *s = aq_new_object(L, "Stream", sizeof *s, 1);
  CHECK(s->opened == 0);
  return 1;
}

static const luaL_Reg METHODS[] = {{"read", stream_read}, {NULL, NULL}};
static const luaL_Reg META[] = {{"__gc", stream_gc}, {NULL, NULL}};

static int new_nothing(lua_State *L) {
  aq_new_object(L, "Nothing", 1, 0);
  return 1;
}

static void test_classes(void) {
  lua_State *L = open_state();
  collected = 0;
  CHECK(aq_define_class(L, "Stream", METHODS, META) == AQ_OK);
  CHECK(aq_define_class(L, "Stream", METHODS, META) == AQ_OK);
  CHECK(aq_define_class(L, "Stream", META, NULL) == AQ_INVALID);
  CHECK(aq_define_class(L, NULL, METHODS, META) == AQ_INVALID);
  CHECK(aq_define_class(L, "Bare", NULL, NULL) == AQ_OK);
  lua_register(L, "new_stream", new_stream);
  lua_register(L, "new_nothing", new_nothing);
  run(L, "local s = new_stream()\n"
         "assert(s:read() == 0 and s:read() == 1)\n"
         "assert(tostring(s):find '^Stream: ')\n"
         "local function fails(text, ...)\n"
         "  local ok, err = pcall(...)\n"
         "  assert(not ok and err:find(text, 1, true), err)\n"
         "end\n"
         "fails(\"bad argument #1 to 'read' (Stream expected, got Queue)\", function()\n"
         "  local read = s.read\n"
         "  read(aq.Queue())\n"
         "end)\n"
         "fails('Stream expected, got no value', s.read)\n"
         "fails('Queue expected, got Stream', aq.Queue().get, s)\n"
         "fails(\"no class 'Nothing'\", new_nothing)");
  CHECK(aq_to_object(L, 1, "Stream") == NULL);
  CHECK(aq_to_object(L, 1, NULL) == NULL);
  lua_close(L);
  CHECK(collected == 1);
}

static int opened;

static int open_door(lua_State *L) {
  CHECK(strcmp(lua_tostring(L, 1), "door") == 0 && lua_istable(L, 2) && lua_gettop(L) == 2);
  if (opened++ == 0) return luaL_error(L, "locked");
  lua_pushliteral(L, "window");
  lua_setfield(L, 2, "window");
  lua_pushliteral(L, "open");
  return 1;
}

static void test_openers(void) {
  lua_State *L = open_state();
  opened = 0;
  CHECK(aq_add_opener(L, "door", open_door) == AQ_OK);
  CHECK(aq_add_opener(L, "door", open_door) == AQ_INVALID);
  CHECK(aq_add_opener(L, "Queue", open_door) == AQ_INVALID);
  CHECK(aq_add_opener(L, "OSError", open_door) == AQ_INVALID);
  CHECK(aq_add_opener(L, NULL, open_door) == AQ_INVALID);
  CHECK(aq_add_opener(L, "x", NULL) == AQ_INVALID);
  CHECK(aq_define_error(L, "door", NULL, "x") == AQ_INVALID);
  CHECK(opened == 0);
  run(L, "local ok, err = pcall(function() return aq.door end)\n"
         "assert(not ok and err == 'locked', err)\n"
         "assert(aq.door == 'open' and aq.door == 'open' and aq.window == 'window')\n"
         "assert(aq.windows == nil)");
  CHECK(opened == 2);
  opened = 0;
  CHECK(aq_add_opener(L, "door", open_door) == AQ_INVALID); /* it is open */
  lua_close(L);
  L = open_state();
  aq_add_opener(L, "door", open_door);
  run(L, "local names = {}\n"
         "for name in pairs(aq) do names[name] = true end\n"
         "assert(names.OSError and names.BrokenPipeError and names.gather and not names.door)\n"
         "for name in pairs(aq) do names[name] = true end\n"
         "assert(names.door)");
  lua_close(L);
}

/* Each call on a state that has no runtime, or none any more. */
static int at_the_end(lua_State *L) {
  CHECK(aq_define_error(L, "X", NULL, "x") == AQ_CLOSED);
  CHECK(aq_define_class(L, "X", NULL, NULL) == AQ_CLOSED);
  CHECK(aq_add_opener(L, "x", at_the_end) == AQ_CLOSED);
  lua_settop(L, 0);
  CHECK(aq_push_error(L, "TimeoutError", NULL) == AQ_CLOSED && lua_isstring(L, 1));
  CHECK(aq_push_os_error(L, ENOENT, NULL, NULL) == AQ_CLOSED && lua_isstring(L, 2));
  CHECK(aq_set_error_field(L, 1, "x") == AQ_CLOSED && lua_gettop(L) == 1);
  return 0;
}

static void test_closed(void) {
  lua_State *L = luaL_newstate();
  at_the_end(L);
  lua_newuserdatauv(L, 0, 0); /* finalized after the runtime, which is made later */
  lua_newtable(L);
  lua_pushcfunction(L, at_the_end);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setglobal(L, "last");
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_close(L);
  CHECK(aq_define_error(NULL, "X", NULL, "x") == AQ_INVALID);
  CHECK(aq_define_class(NULL, "X", NULL, NULL) == AQ_INVALID);
  CHECK(aq_add_opener(NULL, "x", at_the_end) == AQ_INVALID);
  CHECK(aq_push_error(NULL, "X", NULL) == AQ_INVALID);
  CHECK(aq_push_os_error(NULL, ENOENT, NULL, NULL) == AQ_INVALID);
  CHECK(aq_set_error_field(NULL, 1, "x") == AQ_INVALID);
}

static bool is_in_order(int status) { return status == AQ_OK || status == AQ_NOMEM; }

static void starve_once(long first) {
  lua_State *L = open_state();
  starve(first, 1);
  CHECK(is_in_order(aq_define_class(L, "Stream", METHODS, META)));
  CHECK(is_in_order(aq_add_opener(L, "door", open_door)));
  int status = aq_define_error(L, "LostError", "ConnectionResetError", "lost");
  CHECK(is_in_order(status));
  int made = aq_push_error(L, "LostError", "a message of its own");
  CHECK(is_in_order(made) || status == AQ_NOMEM);
  CHECK(lua_gettop(L) == 1 && lua_isuserdata(L, 1) == (made == AQ_OK));
  lua_pushinteger(L, 1);
  CHECK(is_in_order(aq_set_error_field(L, 1, "field")) || made != AQ_OK);
  made = aq_push_os_error(L, ECONNREFUSED, "connect", "somewhere");
  CHECK(is_in_order(made) && lua_gettop(L) == 2 && lua_isuserdata(L, 2) == (made == AQ_OK));
  memory.counts = false;
  lua_close(L);
}

static void test_starving(long stride) {
  long first = 0;
  do starve_once(first += stride);
  while (memory.failed > 0);
  CHECK(first > 10);
}

int main(int argc, char **argv) {
  test_errors();
  test_os_errors();
  test_classes();
  test_openers();
  test_closed();
  test_starving(argc > 1 && strtol(argv[1], NULL, 10) > 10 ? 5 : 1);
  if (failures == 0) printf("all is well\n");
  return failures > 0;
}
