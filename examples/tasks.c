/* Tasks that C spawns, and what it is told at their end. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static const char SCRIPT[] = "aq = require 'aqlua'\n"
                             "function double(x) aq.sleep(0.01) return 2 * x end\n"
                             "function hang() aq.sleep(math.huge) end\n"
                             "return function() aq.sleep(0.1) end\n";

static void on_end(lua_State *L, int status, void *ud) {
  if (status == AQ_OK)
    printf("%s: %d\n", (char *)ud, (int)lua_tointeger(L, -1));
  else if (L != NULL) /* AQ_CLOSED: there is no stack any more */
    printf("%s: %s\n", (char *)ud, luaL_tolstring(L, -1, NULL));
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_dostring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  struct aq_ctask *task;
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;

  lua_getglobal(L, "double");
  lua_pushinteger(L, 21);
  if (aq_spawn(L, 1, NULL, on_end, "double") != AQ_OK) return 1;
  lua_getglobal(L, "hang");
  if (aq_spawn(L, 0, &task, on_end, "hang") != AQ_OK) return 1;
  aq_ctask_set_name(task, "hanging");
  aq_ctask_cancel(task, "not needed");
  aq_ctask_drop(task);

  if (aq_call(L, 0, 0) != LUA_OK) return 1;
  lua_close(L);
  return 0;
}
/* --> hang: CancelledError: not needed */
/* --> double: 42 */
