/* The tasks run on the program's own loop, beside its timer, which feeds a queue. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local ticks = ...\n"
                             "aq.create_task(function() error('lost', 0) end)\n"
                             "for _ = 1, 2 do print('tick ' .. ticks:get()) end\n";

static struct aq_cqueue *ticks;

/* Outside of tasks: it cannot wait, and need not. */
static void on_timer(uv_timer_t *timer) {
  struct aq_value v = {.kind = AQ_V_INTEGER, .as.integer = ++*(int *)timer->data};
  aq_cqueue_put(ticks, &v);
}

static void report(void *ud, const char *text) {
  (void)text; /* "aqlua: error in Task-2, which nobody retrieved: lost\n..." */
  ++*(int *)ud;
}

/* Leaves the script's function and its argument. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  if (aq_cqueue_new(L, &ticks, 0, "ticks") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, ticks) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  return 2;
}

int main(void) {
  uv_loop_t loop;
  uv_timer_t timer;
  int reports = 0, count = 0;
  lua_State *L = luaL_newstate();
  if (L == NULL || uv_loop_init(&loop) != 0) return 1;
  aq_use_loop(L, &loop);
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK) return 1;
  aq_set_report(L, report, &reports);

  uv_timer_init(&loop, &timer);
  timer.data = &count;
  uv_timer_start(&timer, on_timer, 10, 10);
  int status = aq_call(L, 1, 0);
  uv_close((uv_handle_t *)&timer, NULL);

  aq_cqueue_drop(ticks);
  lua_close(L);
  uv_run(&loop, UV_RUN_DEFAULT); /* lets all handles finish closing */
  printf("status %d, reports %d, loop %d\n", status, reports, uv_loop_close(&loop));
  return 0;
}
/* --> tick 1 */
/* --> tick 2 */
/* --> status 0, reports 1, loop 0 */
