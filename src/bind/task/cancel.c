/*
** cancel.c - who a cancel reaches.
**
** A cancel walks along what is awaited: from a task to the task it awaits, from a gather to its
** children. The walk is a loop over a list threaded through the tasks, never a recursion, and a
** task that is met a second time in one walk only counts the request: so the depth does not matter.
** Circles are refused where they would close. Children are met in their order, each with all that
** it awaits before the next. A message needs memory, so it goes ahead, by the same way.
*/
#include "cancel.h"

#include <lauxlib.h>

#include "task.h"

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

/*
** The request reaches `t` as part of the walk: it is counted and, unless it was met before, `t` is
** put where `*link` is in the list of tasks to visit. Returns the place behind it.
*/
static struct aq_task **reach(struct aq_task **link, struct aq_task *t, struct aq_shield *level) {
  uint32_t epoch = t->future.rt->cancel_epoch;
  bool was_visited = t->cancel_epoch == epoch;
  t->cancel_epoch = epoch;
  if (!request(t, level) || was_visited) return link;
  t->cancel_next = *link;
  *link = t;
  return &t->cancel_next;
}

/* Passes a cancel on to one future, if it is pending; a task is put at `*link`, which moves on. */
static bool pass_to_child(struct aq_task ***link, struct aq_future *f) {
  if (f->state != AQ_PENDING) return false;
  if (f->class == aq_task_class)
    *link = reach(*link, (struct aq_task *)f, NULL);
  else
    aq_future_cancel(f);
  return true;
}

/* Passes a cancel on to the children of the gather on top: they are visited next, in order. */
static bool pass_to_children(lua_State *L, struct aq_task **list, struct aq_future *f) {
  struct aq_task **link = list;
  bool any = false;
  aq_push_extra(L, -1, AQ_X_CHILDREN);
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    any = pass_to_child(&link, lua_touserdata(L, -1)) || any;
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  if (any) f->was_passed_cancel = true;
  return any;
}

/* Pushes what `t` awaits: the userdata that its wait was called on. False if it is not there: somebody
** is closing the coroutine, and <close> variables run in it. */
static bool push_awaited(lua_State *L, struct aq_task *t) {
  if (lua_touserdata(t->innermost, 1) != t->awaiting) return false;
  lua_pushvalue(t->innermost, 1);
  lua_xmove(t->innermost, L, 1);
  return true;
}

/* Passes a cancel on to what `t` awaits. */
static bool pass_on(lua_State *L, struct aq_task **list, struct aq_task *t) {
  struct aq_future *f = t->awaiting;
  if (!f->passes_cancel) return pass_to_child(&list, f);
  if (f->state != AQ_PENDING) return false;
  if (!push_awaited(L, t)) return false;
  bool passed = pass_to_children(L, list, f);
  lua_pop(L, 1);
  return passed;
}

/* Interrupts `t` where it waits, or leaves the cancel for its next step or suspension. */
static void deliver(lua_State *L, struct aq_task **list, struct aq_task *t) {
  bool delivered = false;
  if (t->waiter.state == AQ_WAITING && t->awaiting != NULL)
    delivered = pass_on(L, list, t);
  else if (!t->waits_through)
    delivered = aq_waiter_abort(&t->waiter, AQ_CANCELLED);
  if (delivered)
    t->was_delivered = true;
  else
    t->must_cancel = true;
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

void aq_task_pass_on(lua_State *L, struct aq_task *t) {
  t->must_cancel = false;
  t->cancel_epoch = ++t->future.rt->cancel_epoch;
  t->cancel_next = NULL;
  deliver_all(L, t);
}

/* ---- the message ----------------------------------------------------------------------------- */

enum { DEPTH = 150 }; /* nested gathers followed */

static void spread(lua_State *L, int message, int depth);

/* The gather on top has children: each gets the message at `message`. */
static void spread_to_children(lua_State *L, int message, int depth) {
  aq_push_extra(L, -1, AQ_X_CHILDREN);
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    spread(L, message, depth + 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* A message takes the place of that of an earlier cancel; so does none. The Task is on top. */
static void set_message(lua_State *L, int message) {
  aq_push_extra(L, -1, AQ_X_MESSAGE);
  bool is_same = lua_rawequal(L, -1, message);
  lua_pop(L, 1);
  if (is_same) return;
  lua_pushvalue(L, message);
  aq_set_extra(L, -2, AQ_X_MESSAGE);
}

/* The Task or Future on top gets the message, and what it waits for; another may be there after. */
static void spread(lua_State *L, int message, int depth) {
  struct aq_future *f = lua_touserdata(L, -1);
  uint32_t epoch = f->rt->walk_epoch;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  while (f->state == AQ_PENDING && f->walk_epoch != epoch && depth < DEPTH) {
    struct aq_task *t = (struct aq_task *)f;
    f->walk_epoch = epoch;
    if (f->class != aq_task_class) {
      if (f->passes_cancel) spread_to_children(L, message, depth);
      return;
    }
    set_message(L, message);
    if (t->shield != NULL || t->waiter.state != AQ_WAITING || t->awaiting == NULL) return;
    if (!push_awaited(L, t)) return;
    lua_replace(L, -2);
    f = lua_touserdata(L, -1);
  }
}

void aq_task_set_message(lua_State *L, int idx) {
  struct aq_future *f = lua_touserdata(L, idx);
  int message = lua_gettop(L);
  f->rt->walk_epoch++;
  lua_pushvalue(L, idx);
  spread(L, message, 0);
  lua_settop(L, message - 1);
}

void aq_task_hand_message_on(lua_State *L, struct aq_task *t, int idx) {
  aq_task_push(L, t);
  aq_push_extra(L, -1, AQ_X_MESSAGE);
  lua_remove(L, -2);
  aq_task_set_message(L, idx);
}

void aq_task_forget_message(lua_State *L, struct aq_task *t) {
  aq_task_push(L, t);
  aq_push_extra(L, -1, AQ_X_MESSAGE);
  if (!lua_isnil(L, -1)) {
    lua_pushnil(L);
    aq_set_extra(L, -3, AQ_X_MESSAGE);
  }
  lua_pop(L, 2);
}

/* ---- requests outstanding -------------------------------------------------------------------- */

uint32_t aq_task_cancelling(const struct aq_task *t) {
  uint32_t n = t->requests;
  for (const struct aq_shield *s = t->shield; s != NULL; s = s->outer) n += s->requests;
  return n;
}

/* Takes one request back from the present level; with the last goes what was not delivered (T7). */
static bool take_back_here(struct aq_task *t) {
  if (t->requests == 0) return false;
  if (--t->requests == 0) t->must_cancel = t->was_delivered = false;
  return true;
}

static bool take_back_outside(struct aq_shield *s) {
  if (s->requests == 0) return false;
  if (--s->requests == 0) s->must_cancel = s->was_delivered = false;
  return true;
}

uint32_t aq_task_uncancel(struct aq_task *t) {
  struct aq_shield *s = t->shield;
  if (!take_back_here(t))
    while (s != NULL && !take_back_outside(s)) s = s->outer;
  return aq_task_cancelling(t);
}

void aq_shield_raise(struct aq_shield *s, struct aq_task *t) {
  *s = (struct aq_shield){t->shield, t->requests, t->must_cancel, t->was_delivered};
  t->shield = s;
  t->requests = 0;
  t->must_cancel = t->was_delivered = false;
}

void aq_shield_lower(struct aq_shield *s, struct aq_task *t) {
  if (t->shield != s) {
    struct aq_shield *inner = t->shield;
    while (inner != NULL && inner->outer != s) inner = inner->outer;
    if (inner == NULL) return;
    inner->outer = s->outer;
    inner->requests += s->requests;
    if (s->must_cancel) inner->must_cancel = true;
    if (s->was_delivered) inner->was_delivered = true;
    return;
  }
  t->shield = s->outer;
  t->requests += s->requests;
  if (s->must_cancel) t->must_cancel = true;
  if (s->was_delivered) t->was_delivered = true;
}
