/* Two runtimes in two threads. They share nothing: each has a state and a loop of its own. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local first, last = ...\n"
                             "local q, sum = aq.Queue(3), 0\n"
                             "aq.create_task(function()\n"
                             "  for i = first, last do q:put(i) aq.sleep(0) end\n"
                             "  q:shutdown()\n"
                             "end)\n"
                             "for i in q:items() do sum = sum + i end\n"
                             "return sum\n";

struct part {
  int first, last;
  long long sum;
  int status;
};

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

/* Sums up a part with a runtime that lives and dies on this thread. */
static void *run(void *arg) {
  struct part *part = arg;
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  lua_pushcfunction(L, open_all);
  part->status = lua_pcall(L, 0, 1, 0);
  if (part->status == LUA_OK) {
    lua_pushinteger(L, part->first);
    lua_pushinteger(L, part->last);
    part->status = aq_call(L, 2, 1);
    part->sum = lua_tointeger(L, -1);
  }
  lua_close(L);
  return NULL;
}

int main(void) {
  struct part parts[2] = {{1, 500, 0, LUA_ERRMEM}, {501, 1000, 0, LUA_ERRMEM}};
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, &parts[0]) != 0) return 1;
  run(&parts[1]);
  pthread_join(thread, NULL);
  for (int i = 0; i < 2; i++) printf("status %d, sum %lld\n", parts[i].status, parts[i].sum);
  return 0;
}
/* --> status 0, sum 125250 */
/* --> status 0, sum 375250 */
