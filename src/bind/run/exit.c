/*
** exit.c - leaving aq_call from inside.
**
** A task that leaves is closed by the scheduler as soon as it suspends, like one whose patience has
** been used up: no pcall in it can go on. Where nothing can be suspended, CancelledError is raised
** instead, of which nobody hears; whoever catches it is cancelled like the other tasks.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"

/* A poll that is under way, since a callback asks for it, is not to block. */
static void stop(struct aq_runtime *rt) {
  rt->is_stopping = true;
  if (rt->loop != NULL) aq_loop_hurry(rt->loop);
}

void aq_stop(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt != NULL) stop(rt);
}

int aq_exit(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return luaL_error(L, "aq_exit: luaopen_aqlua was not called");
  rt->is_leaving = true;
  stop(rt);
  if (rt->current != NULL && aq_task_may_wait(L, rt->current)) return aq_task_leave(L, rt->current);
  aq_error_push_of(L, rt, AQ_E_CANCELLED);
  return lua_error(L);
}

int aq_is_exit(lua_State *L, int idx) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && aq_error_is_exit(L, rt, idx);
}
