/* A C function that waits: an operation, completed by a timer of libuv's. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local task = aq.create_task(rest, 60)\n"
                             "print(rest(0.01))\n"
                             "task:cancel()\n"
                             "aq.wait { task }\n"
                             "print(task:cancelled(), select(2, pcall(rest, 60, 0.01)))\n";

struct rest {
  struct aq_op op; /* first, so that one is the other */
  uv_timer_t timer;
};

static void on_closed(uv_handle_t *timer) { free(timer->data); }

/* Once the operation is over: libuv still has the timer, until it is closed. */
static void release(struct aq_op *op) {
  uv_close((uv_handle_t *)&((struct rest *)op)->timer, on_closed);
}

static int abort_rest(struct aq_op *op, int why) {
  (void)why;
  uv_timer_stop(&((struct rest *)op)->timer);
  return 1; /* gone: on_timer will not be called */
}

static const struct aq_op_kind REST = {"rest", NULL, abort_rest, release};

static void on_timer(uv_timer_t *timer) { aq_op_complete(&((struct rest *)timer->data)->op); }

static int rested(lua_State *L, int status, lua_KContext ctx) {
  release((struct aq_op *)ctx);
  if (status != AQ_OK) return aq_raise(L, status);
  lua_pushliteral(L, "rested");
  return 1;
}

/* rest(seconds[, timeout]) */
static int rest(lua_State *L) {
  uint64_t ns = aq_check_seconds(L, 1), timeout_ns = aq_check_seconds(L, 2);
  struct aq_op op;
  aq_op_begin(L, &op, &REST, timeout_ns); /* may raise: there is nothing to release yet */
  struct rest *r = malloc(sizeof *r);
  if (r == NULL) return aq_raise(L, AQ_NOMEM);
  r->op = op; /* from here on it stays where it is */
  uv_timer_init(aq_uv_loop(L), &r->timer);
  r->timer.data = r;
  uv_timer_start(&r->timer, on_timer, ns / 1000000, 0);
  return aq_op_wait(L, &r->op, (lua_KContext)r, rested);
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "rest", rest);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;
  if (aq_call(L, 0, 0) != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -2, NULL));
  lua_close(L);
  return 0;
}
/* --> rested */
/* --> true	TimeoutError: the time is up */
