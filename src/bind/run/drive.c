/*
** drive.c - a run that its host drives: step by step, or by the host's own uv_run.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "core/attach.h"
#include "handle.h"
#include "bind/base/keep.h"
#include "run.h"

/* ---- start and outcome ----------------------------------------------------------------------- */

int aq_start(lua_State *L, int nargs) {
  struct aq_runtime *rt;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status == AQ_OK && (nargs < 0 || lua_gettop(L) <= nargs)) return AQ_INVALID;
  if (status == AQ_OK && rt->phase != AQ_NO_RUN) status = AQ_BUSY;
  if (status == AQ_OK) {
    int error = aq_run_start(L, rt, nargs);
    if (error != LUA_OK) lua_pop(L, 2); /* there is no memory, or it is no function */
    return error == LUA_OK ? AQ_OK : error == LUA_ERRMEM ? AQ_NOMEM : AQ_INVALID;
  }
  if (status != AQ_INVALID) lua_pop(L, nargs + 1);
  return status;
}

int aq_outcome(lua_State *L, int nresults) {
  struct aq_runtime *rt;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status == AQ_INVALID) return LUA_ERRRUN;
  if (status != AQ_OK) return aq_run_refuse(L, aq_status_text(status));
  if (rt->phase != AQ_RUN_OVER) return aq_run_refuse(L, "aq_outcome: no run is over");
  return aq_run_outcome(L, rt, nresults);
}

/* ---- stepping -------------------------------------------------------------------------------- */

/* AQ_OK if the caller may drive: nobody else does. */
static enum aq_status may_drive(lua_State *L, struct aq_runtime **rt) {
  enum aq_status status = aq_runtime_enter(L, rt);
  if (status == AQ_WRONG_THREAD && !(*rt)->is_driven && (*rt)->loop->attachment == NULL)
    status = AQ_OK; /* it moves to this thread */
  if (status != AQ_OK) return status;
  return (*rt)->is_driven || (*rt)->current != NULL ? AQ_BUSY : AQ_OK;
}

/* Nothing is left to be driven: no run, and without one neither a task nor a wait of C's. */
static bool is_done(const struct aq_runtime *rt) {
  if (rt->has_posts || aq_agenda_has_ready(&rt->loop->agenda)) return false;
  if (rt->phase != AQ_NO_RUN) return rt->phase == AQ_RUN_OVER;
  return aq_run_is_idle(rt) && (rt->keep == NULL || aq_list_alone(&rt->keep->waits));
}

/* Turns until nobody is ready, the time is up, or all is done. */
static void take_turns(lua_State *L, struct aq_runtime *rt, uint64_t budget_ns) {
  uint64_t end_ns = aq_later(uv_hrtime(), budget_ns);
  aq_run_turn(L, rt);
  while (budget_ns > 0 && !is_done(rt) && aq_agenda_has_ready(&rt->loop->agenda) &&
         uv_hrtime() < end_ns) {
    aq_poll(rt, 0);
    aq_run_turn(L, rt);
  }
}

enum aq_step aq_step(lua_State *L, uint64_t block_ns, uint64_t budget_ns) {
  struct aq_runtime *rt;
  if (may_drive(L, &rt) != AQ_OK || rt->loop->attachment != NULL) return AQ_STEP_REFUSED;
  bool had_posts = aq_have_posts(rt);
  if (is_done(rt)) return AQ_STEP_DONE;
  struct aq_driving driving = aq_driving_begin(L, rt);
  uint64_t woken = rt->loop->agenda.woken;
  bool is_stuck = !aq_poll(rt, block_ns) && !rt->wants;
  if (!is_stuck) take_turns(L, rt, budget_ns);
  aq_driving_end(rt, driving);
  if (is_done(rt)) return AQ_STEP_DONE;
  if (is_stuck) return AQ_STEP_STUCK;
  bool has_run = had_posts || rt->loop->agenda.woken != woken;
  return has_run || aq_agenda_has_ready(&rt->loop->agenda) ? AQ_STEP_RAN : AQ_STEP_IDLE;
}

uint64_t aq_next_ns(lua_State *L) {
  struct aq_runtime *rt;
  if (aq_runtime_enter(L, &rt) != AQ_OK) return AQ_FOREVER;
  return aq_have_posts(rt) ? 0 : aq_loop_next(rt->loop);
}

int aq_break_deadlock(lua_State *L) {
  struct aq_runtime *rt;
  enum aq_status status = may_drive(L, &rt);
  if (status != AQ_OK) return status;
  if (rt->awaited == NULL || aq_have_posts(rt) || aq_loop_next(rt->loop) != AQ_FOREVER ||
      uv_loop_alive(rt->loop->uv))
    return AQ_INVALID;
  struct aq_driving driving = aq_driving_begin(L, rt);
  aq_run_break(L, rt);
  aq_driving_end(rt, driving);
  return AQ_OK;
}

/* ---- attached -------------------------------------------------------------------------------- */

void aq_run_detach(struct aq_runtime *rt) {
  if (rt->loop->attachment != NULL) aq_attachment_end(rt->loop->attachment);
}

/* Called inside the host's uv_run. */
static void take_turn(void *ud) {
  struct aq_runtime *rt = ud;
  lua_State *L = rt->L;
  if (rt->is_driven) return; /* a task is running the host's loop itself */
  struct aq_driving driving = aq_driving_begin(L, rt);
  aq_run_turn(L, rt);
  aq_driving_end(rt, driving);
  if (rt->phase != AQ_RUN_OVER) return;
  aq_run_detach(rt);
  if (rt->on_ended != NULL) rt->on_ended(rt->ended_ud);
}

int aq_attach(lua_State *L, void (*ended)(void *ud), void *ud) {
  struct aq_runtime *rt;
  struct aq_attachment *attachment;
  enum aq_status status = may_drive(L, &rt);
  if (status != AQ_OK) return status;
  if (rt->loop->is_virtual) return AQ_INVALID;
  if (rt->loop->attachment != NULL || rt->phase == AQ_RUN_OVER) return AQ_BUSY;
  rt->on_ended = ended;
  rt->ended_ud = ud;
  rt->thread = uv_thread_self();
  return aq_attachment_new(&attachment, rt->loop, take_turn, rt);
}

int aq_detach(lua_State *L) {
  struct aq_runtime *rt;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status == AQ_OK) aq_run_detach(rt);
  return status;
}
