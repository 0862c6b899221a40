/*
** circle.c - would waiting for a future close a circle of tasks that wait for each other?
**
** The walk follows what a task awaits and what a gather or shield waits for. Only a task that
** somebody waits for can close a circle, so most calls end at once. Futures seen are marked, so
** that each is looked at once per walk.
*/
#include "bind/base/error.h"
#include "task.h"

enum { DEPTH = 150 }; /* nested gathers followed; beyond, a circle shows as a deadlock */

static bool leads_to(lua_State *L, const struct aq_task *t, int depth);

static bool child_leads_to(lua_State *L, const struct aq_task *t, int depth) {
  bool found = false;
  aq_push_extra(L, -1, AQ_X_CHILDREN);
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= n && !found; i++) {
    lua_rawgeti(L, -1, i);
    found = leads_to(L, t, depth + 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/* Replaces the Task on top by the future it awaits. */
static void step_on(lua_State *L, const struct aq_task *t) {
  lua_pop(L, 1);
  lua_pushvalue(t->innermost, 1);
  lua_xmove(t->innermost, L, 1);
}

/* The future is on top, and is there afterwards, or another in its place. */
static bool leads_to(lua_State *L, const struct aq_task *t, int depth) {
  uint32_t epoch = t->future.rt->walk_epoch;
  if (depth > DEPTH || !lua_checkstack(L, 4)) return false;
  for (;;) {
    struct aq_future *f = lua_touserdata(L, -1);
    if (f == &t->future) return true;
    if (f->walk_epoch == epoch || f->state != AQ_PENDING) return false;
    f->walk_epoch = epoch;
    if (f->class != aq_task_class) return f->has_children && child_leads_to(L, t, depth);
    const struct aq_task *task = (const struct aq_task *)f;
    if (task->awaiting == NULL) return false;
    step_on(L, task);
  }
}

bool aq_future_leads_to(lua_State *L, int idx, const struct aq_task *t) {
  const struct aq_future *f = lua_touserdata(L, idx);
  if (f == &t->future) return true;
  if (aq_list_alone(&t->future.joiners)) return false;
  t->future.rt->walk_epoch++;
  lua_pushvalue(L, idx);
  bool found = leads_to(L, t, 0);
  lua_pop(L, 1);
  return found;
}

int aq_future_refuse_circle(lua_State *L, const char *call) {
  return aq_error_misuse(L, "%s: the tasks would wait for each other for ever", call);
}
