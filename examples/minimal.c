/* The smallest host: it calls a function of a script, which may wait. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "function greet(name)\n"
                             "  aq.sleep(0.01)\n"
                             "  return 'hello, ' .. name\n"
                             "end\n";

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_dostring(L, SCRIPT) != LUA_OK) return 1;

  lua_getglobal(L, "greet");
  lua_pushstring(L, "world");
  if (aq_call(L, 1, 1) != LUA_OK) return 1;
  printf("%s\n", lua_tostring(L, -1)); /* --> hello, world */
  lua_close(L);
  return 0;
}
