/* The tasks run on the program's own loop, beside its timer, which feeds a queue. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "ticks = aq.Queue { name = 'ticks' }\n"
                             "aq.create_task(function() error('lost', 0) end)\n"
                             "for _ = 1, 2 do print('tick ' .. ticks:get()) end\n";

static int ticks = 0;

/* Protected: ticks:put_nowait(n). */
static int put_tick(lua_State *L) {
  if (lua_getglobal(L, "ticks") == LUA_TNIL) return 0;
  lua_getfield(L, -1, "put_nowait");
  lua_insert(L, -2);
  lua_pushinteger(L, ++ticks);
  lua_call(L, 2, 0);
  return 0;
}

static void on_timer(uv_timer_t *timer) {
  lua_State *L = timer->data;
  lua_pushcfunction(L, put_tick);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void report(void *ud, const char *text) {
  (void)text; /* "aqlua: error in Task-2, which nobody retrieved: lost\n..." */
  ++*(int *)ud;
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  uv_loop_t loop;
  uv_timer_t timer;
  int reports = 0;
  lua_State *L = luaL_newstate();
  if (L == NULL || uv_loop_init(&loop) != 0) return 1;
  aq_use_loop(L, &loop);
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;
  aq_set_report(L, report, &reports);

  uv_timer_init(&loop, &timer);
  timer.data = L;
  uv_timer_start(&timer, on_timer, 10, 10);
  int status = aq_call(L, 0, 0);
  uv_close((uv_handle_t *)&timer, NULL);

  lua_close(L);
  uv_run(&loop, UV_RUN_DEFAULT); /* lets all handles finish closing */
  printf("status %d, reports %d, loop %d\n", status, reports, uv_loop_close(&loop));
  return 0;
}
/* --> tick 1 */
/* --> tick 2 */
/* --> status 0, reports 1, loop 0 */
