/* A signal handler of the program's stops a script that does not wait. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>

static const char SCRIPT[] = "local ok, err = pcall(function()\n"
                             "  hang_up()\n"
                             "  while true do end\n"
                             "end)\n"
                             "print(err.name, err.message:match '^hung up')\n";

static struct aq_interrupt *interrupt;

static void on_signal(int signo) {
  (void)signo;
  aq_interrupt(interrupt, "hung up");
}

static int hang_up(lua_State *L) { /* stands for somebody else */
  (void)L;
  raise(SIGHUP);
  return 0;
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "hang_up", hang_up);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;
  interrupt = aq_accept_interrupts(L);
  signal(SIGHUP, on_signal);
  int status = aq_call(L, 0, 0);
  printf("status %d, interrupted %d\n", status, aq_interrupted(L));
  signal(SIGHUP, SIG_DFL);
  lua_close(L);
  return 0;
}
/* --> CancelledError	hung up */
/* --> status 0, interrupted 1 */
