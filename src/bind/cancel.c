/*
** cancel.c - who a cancel reaches.
**
** A cancel walks along what is awaited: from a task to the task it awaits, from a gather to its
** children. The walk is a loop over a list threaded through the tasks, never a recursion, and a
** task that is met a second time in one walk only counts the request: so neither the depth nor a
** circle matters. Children are met in their order, each with all that it awaits before the next.
*/
#include "task.h"

/* Puts `t` first on the list of tasks to visit. */
static void visit_next(struct aq_task **list, struct aq_task *t) {
  t->cancel_next = *list;
  *list = t;
}

/* Counts one request at `level`, the outermost being NULL. True if that is where the task runs. */
static bool request(struct aq_task *t, struct aq_shield *level) {
  if (t->shield == level) {
    t->requests++;
    return true;
  }
  struct aq_shield *frame = t->shield;
  while (frame != NULL && frame->outer != level) frame = frame->outer;
  if (frame == NULL) { /* that level has been left: the present one stands in */
    t->requests++;
    return true;
  }
  frame->requests++;
  frame->must_cancel = true;
  return false;
}

/* The request reaches `t` as part of the walk: counted, and visited unless it was before. */
static void reach(struct aq_task **list, struct aq_task *t, struct aq_shield *level) {
  uint32_t epoch = t->future.rt->cancel_epoch;
  bool was_visited = t->cancel_epoch == epoch;
  t->cancel_epoch = epoch;
  if (request(t, level) && !was_visited) visit_next(list, t);
}

/* Passes a cancel on to one future; true if that was still pending. The future is on top. */
static bool pass_to_child(lua_State *L, struct aq_task **list, struct aq_future *f) {
  if (f->state != AQ_PENDING) return false;
  if (f->class == aq_task_class)
    reach(list, (struct aq_task *)f, NULL);
  else
    aq_future_cancel(L, -1);
  return true;
}

/* Passes a cancel on to the children of the gather on top, last first: the first is visited next. */
static bool pass_to_children(lua_State *L, struct aq_task **list, struct aq_future *f) {
  bool any = false;
  aq_push_extra(L, -1, AQ_X_CHILDREN);
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 1; i--) {
    lua_rawgeti(L, -1, i);
    struct aq_future *child = lua_touserdata(L, -1);
    any = pass_to_child(L, list, child) || any;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (any) f->was_passed_cancel = true;
  return any;
}

/* Passes a cancel on to what `t` awaits: the userdata is what the wait was called on. */
static bool pass_on(lua_State *L, struct aq_task **list, struct aq_task *t) {
  struct aq_future *f = t->awaiting;
  if (f->state != AQ_PENDING) return false;
  lua_pushvalue(t->innermost, 1);
  lua_xmove(t->innermost, L, 1);
  bool passed = f->has_children ? pass_to_children(L, list, f) : pass_to_child(L, list, f);
  lua_pop(L, 1);
  return passed;
}

/* Interrupts `t` where it waits, or leaves the cancel for its next step or suspension. */
static void deliver(lua_State *L, struct aq_task **list, struct aq_task *t) {
  bool delivered;
  if (t->waiter.state == AQ_WAITING && t->awaiting != NULL)
    delivered = pass_on(L, list, t);
  else
    delivered = aq_waiter_abort(&t->waiter, AQ_CANCELLED);
  if (!delivered) t->must_cancel = true;
}

static void deliver_all(lua_State *L, struct aq_task *list) {
  while (list != NULL) {
    struct aq_task *t = list;
    list = t->cancel_next;
    deliver(L, &list, t);
  }
}

bool aq_task_cancel_at(lua_State *L, struct aq_task *t, struct aq_shield *level) {
  if (t->future.state != AQ_PENDING) return false;
  struct aq_task *list = NULL;
  t->future.rt->cancel_epoch++;
  reach(&list, t, level);
  deliver_all(L, list);
  return true;
}

bool aq_task_cancel(lua_State *L, struct aq_task *t) { return aq_task_cancel_at(L, t, NULL); }

void aq_task_enter_future(lua_State *L, struct aq_task *t, struct aq_future *f,
                          uint64_t deadline_ns) {
  aq_waiter_enter(&t->waiter, &f->joiners, NULL, deadline_ns);
  t->awaiting = f;
  t->innermost = L;
  if (!t->must_cancel) return;
  /* The task had been cancelled before it came to wait: as with asyncio, f gets it (T4). */
  t->must_cancel = false;
  t->cancel_epoch = ++t->future.rt->cancel_epoch;
  t->cancel_next = NULL;
  deliver_all(L, t);
}

uint32_t aq_task_cancelling(const struct aq_task *t) {
  uint32_t n = t->requests;
  for (const struct aq_shield *s = t->shield; s != NULL; s = s->outer) n += s->requests;
  return n;
}

/* Takes one request back from a level; a cancel not yet delivered goes with the last one (T7). */
static bool take_back(uint32_t *requests, bool *must_cancel) {
  if (*requests == 0) return false;
  if (--*requests == 0) *must_cancel = false;
  return true;
}

uint32_t aq_task_uncancel(struct aq_task *t) {
  bool must_cancel = t->must_cancel;
  if (take_back(&t->requests, &must_cancel)) {
    t->must_cancel = must_cancel;
  } else {
    struct aq_shield *s = t->shield;
    while (s != NULL && !take_back(&s->requests, &s->must_cancel)) s = s->outer;
  }
  return aq_task_cancelling(t);
}
