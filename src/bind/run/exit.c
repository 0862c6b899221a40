/*
** exit.c - leaving aq_call from inside.
**
** A task that leaves is closed by the scheduler as soon as it suspends, like one whose patience has
** been used up: no pcall in it can go on.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"

void aq_stop(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt != NULL) rt->is_stopping = true;
}

static const struct aq_wait EXIT = {"exit", NULL, NULL}; /* never goes on */

int aq_exit(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return luaL_error(L, "aq_exit: luaopen_aqlua was not called");
  rt->is_stopping = true;
  struct aq_task *t = rt->current;
  if (t == NULL) {
    aq_runtime_push_uv(L, rt, AQ_UV_ERRORS);
    lua_rawgeti(L, -1, AQ_E_CANCELLED + 1);
    return lua_error(L);
  }
  aq_task_check_wait(L, t);
  aq_waiter_enter(&t->waiter, NULL, NULL, AQ_NEVER);
  return aq_task_leave(L, t, &EXIT);
}
