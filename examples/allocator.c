/*
** An allocator that counts, and has a limit. A script that wants more gets Lua's memory error, and
** the queue keeps what it had: nothing is lost, and the script goes on.
*/
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static const char SCRIPT[] =
  "local aq = require 'aqlua'\n"
  "local q = aq.Queue()\n"
  "local function fill() for i = 1, math.huge do q:put(('x'):rep(1000 + i)) end end\n"
  "print(pcall(fill))\n"
  "print('holds more than 100 items', q:qsize() > 100)\n"
  "for i = 1, q:qsize() do assert(#q:get() == 1000 + i) end\n"
  "collectgarbage()\n"
  "q:put('fits again')\n"
  "print(q:get())\n";

struct budget {
  size_t used;
  size_t most; /* that was ever used */
  size_t limit;
};

/* A lua_Alloc. `old` is a size only if there is a block. */
static void *allocate(void *ud, void *block, size_t old, size_t size) {
  struct budget *budget = ud;
  if (block == NULL) old = 0;
  if (size > old && size - old > budget->limit - budget->used) return NULL;
  void *result = NULL;
  if (size == 0) {
    free(block);
  } else if ((result = realloc(block, size)) == NULL) {
    return NULL;
  }
  budget->used += size - old;
  if (budget->used > budget->most) budget->most = budget->used;
  return result;
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  struct budget budget = {.limit = 2 * 1024 * 1024};
  lua_State *L = lua_newstate(allocate, &budget);
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  int status = lua_pcall(L, 0, 1, 0);
  if (status == LUA_OK) status = aq_call(L, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, 1, NULL));
  lua_close(L);
  printf("within the limit: %d, left: %d bytes\n", budget.most <= budget.limit, (int)budget.used);
  return status;
}
/* --> false	not enough memory */
/* --> holds more than 100 items	true */
/* --> fits again */
/* --> within the limit: 1, left: 0 bytes */
