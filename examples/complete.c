/* Makes a state, runs a chunk as the main task, prints its error or its result. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local q = aq.Queue(1)\n"
                             "aq.create_task(function()\n"
                             "  for i = 1, 3 do q:put(i) end\n"
                             "  q:shutdown()\n"
                             "end)\n"
                             "local sum = 0\n"
                             "for item in q:items() do sum = sum + item end\n"
                             "return sum\n";

/* Called protected: all of this may raise Lua errors. Leaves the script's function. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  int status = 0;
  if (aq_call(L, 0, 1) == LUA_OK) {
    printf("sum %d\n", (int)lua_tointeger(L, -1)); /* --> sum 6 */
  } else {
    fprintf(stderr, "%s\n%s\n", luaL_tolstring(L, -2, NULL), lua_tostring(L, -2));
    status = 1;
  }
  if (aq_unhandled(L) > 0) status = 1;
  lua_close(L);
  return status;
}
