/*
** lawait.c - aq.await: a call with a callback, as a call that waits. An operation like those of any
** embedder.
**
** Stack of the call, once it is under way: [1] the call, [2] the function; later what that returned.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "bind/base/values.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

struct call {
  struct aq_op op; /* first */
  uint64_t timeout_ns;
  int nresults;    /* values that `done` was called with */
  bool was_called; /* `done` was */
  bool is_waiting; /* the operation is to be completed */
  bool is_over;    /* nobody wants results any more */
};

enum { UV_RESULTS = 1 }; /* one value as it is, several as a list */

/* A report names nothing: the function says where it is, and the call has no name. */
static void describe(const struct aq_op *op, char *text, size_t size) {
  (void)op, (void)text, (void)size;
}

static void discard(struct aq_op *op) {
  struct call *c = (struct call *)op;
  c->is_waiting = false;
  c->is_over = true;
}

static const struct aq_op_kind AWAIT = {"await", describe, NULL, discard};

/* ---- done ------------------------------------------------------------------------------------ */

/* Keeps the values of the stack. */
static void store(lua_State *L, struct call *c) {
  int n = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (n > 1) aq_values_pack(L, 2);
  if (n > 0) lua_setiuservalue(L, 1, UV_RESULTS);
  c->nresults = n;
}

/* done(...). Upvalue 1: the call. */
static int done(lua_State *L) {
  struct call *c = lua_touserdata(L, lua_upvalueindex(1));
  if (c->was_called) return luaL_error(L, "done: was called already");
  if (!c->is_over) store(L, c);
  c->was_called = true;
  if (c->is_waiting) aq_op_complete(&c->op);
  return 0;
}

/* ---- after the wait -------------------------------------------------------------------------- */

static void forget_results(lua_State *L) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, UV_RESULTS);
}

static int push_results(lua_State *L, int n) {
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, UV_RESULTS);
  forget_results(L);
  return n > 1 ? aq_values_unpack(L, n) : n;
}

static int closed(lua_State *L, int status, lua_KContext outcome) {
  (void)status;
  return aq_raise(L, (int)outcome);
}

static int finish(lua_State *L, int status, lua_KContext ctx) {
  struct call *c = lua_touserdata(L, 1);
  (void)ctx;
  c->is_waiting = false;
  c->is_over = true;
  if (status == AQ_OK) return push_results(L, c->nresults);
  c->was_called = false; /* a late one is ignored */
  forget_results(L);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_INTERNAL);
  lua_getfield(L, -1, "close_handle");
  lua_pushvalue(L, 2);
  lua_callk(L, 1, 0, status, closed);
  return closed(L, LUA_OK, status);
}

/* ---- the call -------------------------------------------------------------------------------- */

/* The function has returned. If it has waited itself, what was reserved may be used up. */
static int started(lua_State *L, int status, lua_KContext ctx) {
  struct call *c = lua_touserdata(L, 1);
  (void)ctx;
  if (status == LUA_YIELD) aq_op_begin(L, &c->op, &AWAIT, c->timeout_ns);
  if (c->was_called) aq_op_complete(&c->op);
  c->is_waiting = true;
  return aq_op_wait(L, &c->op, 0, finish);
}

/* Puts the call at 1, below the function, and pushes its `done`. */
static struct call *push_call(lua_State *L, uint64_t timeout_ns) {
  struct call *c = lua_newuserdatauv(L, sizeof *c, 1);
  *c = (struct call){.timeout_ns = timeout_ns};
  lua_insert(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, done, 1);
  return c;
}

/* aq.await(start[, timeout]) */
static int await(lua_State *L) {
  lua_settop(L, 2);
  if (!aq_task_can_call(L, 1)) return luaL_typeerror(L, 1, "function");
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  aq_task_running(L, aq_runtime(L));
  struct call *c = push_call(L, timeout_ns);
  aq_op_begin(L, &c->op, &AWAIT, timeout_ns);
  lua_callk(L, 1, 1, 0, started);
  return started(L, LUA_OK, 0);
}

void aq_open_await(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"await", await}, {NULL, NULL}};
  aq_setfuncs(L, FUNCTIONS);
}
