/*
** call.c - running a main task to its end, and what else a host asks of its runtime.
*/
#include "aqlua.h"
#include "bind/task/unhandled.h"
#include "handle.h"
#include "run.h"

static int refuse(lua_State *L, int nargs, const char *why) {
  lua_settop(L, lua_gettop(L) - 1 - nargs);
  return aq_run_refuse(L, why);
}

int aq_call(lua_State *L, int nargs, int nresults) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return refuse(L, nargs, "aq_call: luaopen_aqlua was not called");
  if (rt->loop == NULL) return refuse(L, nargs, "aq_call: the state is being closed");
  if (rt->is_driven) return refuse(L, nargs, "aq.run: this state is running tasks already");
  if (rt->phase != AQ_NO_RUN || rt->loop->attachment != NULL)
    return refuse(L, nargs, "aq_call: a run is under way, by aq_start or aq_attach");
  int status = aq_run_start(L, rt, nargs);
  if (status != LUA_OK) return status;
  struct aq_driving driving = aq_driving_begin(L, rt);
  while (rt->phase != AQ_RUN_OVER) {
    if (aq_poll(rt, AQ_FOREVER))
      aq_run_turn(L, rt);
    else
      aq_run_break(L, rt);
  }
  aq_driving_end(rt, driving);
  return aq_run_outcome(L, rt, nresults);
}

int aq_in_task(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL && rt->current != NULL;
}

size_t aq_unhandled(lua_State *L) {
  const struct aq_runtime *rt = aq_runtime_of(L);
  return rt != NULL ? rt->unhandled : 0;
}

void aq_report(lua_State *L, const char *text) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt != NULL) aq_unhandled_text(rt, text);
}

void aq_set_report(lua_State *L, void (*report)(void *ud, const char *text), void *ud) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL) return;
  rt->report = report;
  rt->report_ud = ud;
}
