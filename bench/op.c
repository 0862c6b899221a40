/*
 * op: what a wait of a C function costs beside one for a Future.
 *
 *   op operation|future N
 *
 * One task waits N times, and a callback on the loop, an idle handle's, ends each wait: it completes the
 * operation, or calls Lua to settle the Future. Prints the nanoseconds of one.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local kind, n = ...\n"
                             "local future\n"
                             "function settle() future:set_result(1) end\n"
                             "for i = 1, n do\n"
                             "  if kind == 'operation' then\n"
                             "    wait()\n"
                             "  else\n"
                             "    future = aq.Future()\n"
                             "    expect()\n"
                             "    future:await()\n"
                             "  end\n"
                             "end\n";

static struct aq_op op;
static bool is_waiting, is_operation;

static const struct aq_op_kind KIND = {"wait", NULL, NULL, NULL};

static int finish(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return status == AQ_OK ? 0 : aq_raise(L, status);
}

static int wait_here(lua_State *L) {
  aq_op_begin(L, &op, &KIND, AQ_FOREVER);
  is_waiting = true;
  return aq_op_wait(L, &op, 0, finish);
}

static int expect(lua_State *L) {
  (void)L;
  is_waiting = true;
  return 0;
}

static void on_idle(uv_idle_t *idle) {
  lua_State *L = idle->data;
  if (!is_waiting) return;
  is_waiting = false;
  if (is_operation) {
    aq_op_complete(&op);
  } else {
    lua_getglobal(L, "settle");
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc != 3 || L == NULL) return EXIT_FAILURE;
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "wait", wait_here);
  lua_register(L, "expect", expect);
  is_operation = strcmp(argv[1], "operation") == 0;
  uv_idle_t idle;
  uv_idle_init(aq_uv_loop(L), &idle);
  idle.data = L;
  uv_idle_start(&idle, on_idle);
  uint64_t start_ns = uv_hrtime();
  lua_Integer n = atol(argv[2]);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return EXIT_FAILURE;
  lua_pushstring(L, argv[1]);
  lua_pushinteger(L, n);
  if (aq_call(L, 2, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -2, NULL));
    return EXIT_FAILURE;
  }
  printf("%.0f\n", (double)(uv_hrtime() - start_ns) / (double)n);
  uv_close((uv_handle_t *)&idle, NULL);
  lua_close(L);
  return EXIT_SUCCESS;
}
