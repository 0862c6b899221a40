/*
** guest_branch.c - a branch of a select on an object that is not the library's.
**
** There is no room for its waiter to be in: the guest keeps it, and settles it by aq_branch_notify.
*/
#include <lauxlib.h>

#include "aqlua.h"
#include "branch.h"

static bool is_ready(const struct aq_branch_object *b) { return b->def->is_ready(b->object); }

static enum aq_status attempt(lua_State *L, struct aq_branch_object *b) {
  return (enum aq_status)b->def->attempt(L, b->object);
}

static struct aq_branch_wait *wait_of(struct aq_waiter *w) { return (struct aq_branch_wait *)w; }

static bool leave(struct aq_waiter *w, enum aq_status why) {
  struct aq_branch_object *b = AQ_CONTAINER(w, struct aq_branch_object, branch.waiter);
  (void)why;
  b->def->leave(b->object, wait_of(w));
  return true;
}

static void enter(struct aq_branch_object *b) {
  struct aq_waiter *w = &b->branch.waiter;
  aq_waiter_enter(w, NULL, leave, AQ_NEVER);
  b->def->enter(b->object, wait_of(w));
}

static enum aq_status give_up(lua_State *L, struct aq_branch_object *b) {
  (void)L;
  if (b->def->give_up != NULL) b->def->give_up(b->object);
  return AQ_OK;
}

int aq_push_branch(lua_State *L, int idx, const struct aq_branch_def *def, void *object) {
  static const struct aq_branch_kind GUEST = {.is_ready = is_ready,
                                              .attempt = attempt,
                                              .enter = enter,
                                              .finish = attempt,
                                              .give_up = give_up};
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL || rt->loop == NULL) return luaL_error(L, "%s", aq_status_text(AQ_CLOSED));
  aq_branch_push_of(L, rt, &GUEST, object, idx)->def = def;
  return 1;
}

int aq_branch_notify(struct aq_branch_wait *w) {
  return w != NULL && aq_waiter_settle((struct aq_waiter *)w, AQ_OK);
}
