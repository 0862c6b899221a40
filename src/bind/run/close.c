/*
** close.c - the end of a runtime: what libuv has of it is closed, then what is its own is freed.
*/
#include "close.h"

#include "bind/object/cqueue.h"
#include "bind/task/op.h"
#include "ctask.h"
#include "handle.h"
#include "interrupt.h"
#include "run.h"

int aq_close(lua_State *L) {
  struct aq_runtime *rt = lua_touserdata(L, 1);
  if (rt->loop != NULL) aq_run_detach(rt);
  aq_ctasks_close(rt);
  aq_handles_close(rt);
  aq_interrupt_close(rt);
  aq_ops_close(rt);
  aq_cqueues_close(rt);
  aq_runtime_free(L, rt);
  return 0;
}
