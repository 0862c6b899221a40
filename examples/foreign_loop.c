/* A loop that is not libuv's: poll(2) watches a pipe of the program's, and the runtime's loop. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local letters = ...\n"
                             "print('letter ' .. letters:get())\n"
                             "aq.sleep(0.01)\n"
                             "say('b')\n"
                             "print('letter ' .. letters:get())\n";

static struct aq_cqueue *letters;
static int ends[2];

/* Called by Lua: writes into the pipe. */
static int say(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  if (write(ends[1], text, length) < 0) return luaL_error(L, "cannot write");
  return 0;
}

/* Something is in the pipe. */
static void read_letter(void) {
  char letter;
  if (read(ends[0], &letter, 1) != 1) return;
  struct aq_value v = {.kind = AQ_V_BYTES, .as.bytes = {&letter, 1}};
  aq_cqueue_put(letters, &v);
}

/* How long poll may sleep: milliseconds, rounded up, or -1 for ever. */
static int poll_ms(uint64_t ns) {
  if (ns == AQ_FOREVER) return -1;
  return ns / 1000000 > 60000 ? 60000 : (int)((ns + 999999) / 1000000);
}

/* Leaves the script's function and its argument. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "say", say);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  if (aq_cqueue_new(L, &letters, 0, "letters") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, letters) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  return 2;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL || pipe(ends) != 0) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK) return 1;
  if (aq_start(L, 1) != AQ_OK || write(ends[1], "a", 1) != 1) return 1;

  struct pollfd fds[] = {{.fd = ends[0], .events = POLLIN},
                         {.fd = uv_backend_fd(aq_uv_loop(L)), .events = POLLIN}};
  while (aq_step(L, 0, 0) != AQ_STEP_DONE) {
    poll(fds, 2, poll_ms(aq_next_ns(L)));
    if (fds[0].revents & POLLIN) read_letter();
  }

  if (aq_outcome(L, 0) != LUA_OK) printf("%s\n", luaL_tolstring(L, -2, NULL));
  aq_cqueue_drop(letters);
  lua_close(L);
  close(ends[0]);
  close(ends[1]);
  return 0;
}
/* --> letter a */
/* --> letter b */
