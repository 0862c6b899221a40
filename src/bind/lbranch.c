/*
** lbranch.c - the branches of a select on queues: getting, putting, joining.
*/
#include "branch.h"
#include "error.h"
#include "leaves.h"
#include "queue_object.h"

/* ---- getting --------------------------------------------------------------------------------- */

static enum aq_status get_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  struct aq_item item;
  (void)b;
  enum aq_status status = aq_queue_get_now(&qo->queue, &item);
  if (status == AQ_OK) aq_queue_push_item(L, qo, item);
  return status;
}

static enum aq_status get_enter(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  if (!aq_queue_is_empty(&qo->queue) || qo->queue.is_shutdown) return AQ_EMPTY;
  aq_queue_get_wait(&qo->queue, &b->branch.waiter, AQ_NEVER);
  return AQ_OK;
}

static enum aq_status get_finish(lua_State *L, struct aq_branch_object *b, bool cancelled) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&qo->queue, &b->branch.waiter, cancelled, &item);
  if (status == AQ_OK) aq_queue_push_item(L, qo, item);
  return status;
}

static int queue_getting(lua_State *L) {
  static const struct aq_branch_kind GETTING = {"getting from ", get_attempt, get_enter, get_finish,
                                                NULL};
  aq_check_queue(L);
  lua_settop(L, 1);
  aq_branch_push(L, &GETTING, 1);
  return 1;
}

/* ---- putting --------------------------------------------------------------------------------- */

static enum aq_status put_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  struct aq_item item;
  if (qo->items.has_keys && b->nvalues < 3) aq_items_push_key(L);
  aq_items_prepare(L, &qo->items, &item);
  enum aq_status status = aq_queue_try_put(L, qo, &item);
  lua_pushnil(L);
  return status == AQ_FULL ? AQ_EMPTY : status;
}

/* The bits that enter_put leaves on top, if the item was shelved, are kept in the branch. */
static enum aq_status put_enter(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  struct aq_item item;
  aq_items_prepare(L, &qo->items, &item);
  if (!aq_queue_is_full(&qo->queue) || qo->queue.is_shutdown) return AQ_EMPTY;
  int top = lua_gettop(L);
  aq_queue_enter_put(L, qo, &item, &b->branch.waiter, AQ_NEVER);
  b->is_shelved = lua_gettop(L) > top;
  if (b->is_shelved) b->bits = (uint64_t)lua_tointeger(L, -1);
  return AQ_OK;
}

/* The stack as it was when the put began to wait. */
static struct aq_queue_object *restore_put(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  if (b->is_shelved) lua_pushinteger(L, (lua_Integer)b->bits);
  return qo;
}

static enum aq_status put_finish(lua_State *L, struct aq_branch_object *b, bool cancelled) {
  struct aq_queue_object *qo = restore_put(L, b);
  enum aq_status status = aq_queue_finish_put(L, qo, &b->branch.waiter, cancelled);
  lua_pushnil(L);
  return status;
}

static void put_forget(lua_State *L, struct aq_branch_object *b) {
  aq_queue_forget_put(L, restore_put(L, b));
}

static int queue_putting(lua_State *L) {
  static const struct aq_branch_kind PUTTING = {"putting into ", put_attempt, put_enter, put_finish,
                                                put_forget};
  const struct aq_queue_object *qo = aq_check_queue(L);
  if (lua_gettop(L) < 2) return luaL_argerror(L, 2, "value expected (nil is one)");
  lua_settop(L, 2);
  if (qo->items.has_keys) aq_items_try_key(L); /* fixed now; without one the attempt raises */
  aq_branch_push(L, &PUTTING, lua_gettop(L));
  return 1;
}

/* ---- joining --------------------------------------------------------------------------------- */

static enum aq_status join_attempt(lua_State *L, struct aq_branch_object *b) {
  const struct aq_queue_object *qo = lua_touserdata(L, 1);
  (void)b;
  lua_pushnil(L);
  return qo->queue.unfinished == 0 ? AQ_OK : AQ_EMPTY;
}

static enum aq_status join_enter(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  if (qo->queue.unfinished == 0) return AQ_EMPTY;
  aq_queue_join_wait(&qo->queue, &b->branch.waiter, AQ_NEVER);
  return AQ_OK;
}

static enum aq_status join_finish(lua_State *L, struct aq_branch_object *b, bool cancelled) {
  (void)b;
  lua_pushnil(L);
  return cancelled ? AQ_CANCELLED : AQ_OK;
}

static int queue_joining(lua_State *L) {
  static const struct aq_branch_kind JOINING = {"joining ", join_attempt, join_enter, join_finish,
                                                NULL};
  aq_check_queue(L);
  lua_settop(L, 1);
  aq_branch_push(L, &JOINING, 1);
  return 1;
}

/* internal: to be added to the methods of the queues */
void aq_open_branch(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {{"getting", queue_getting},
                                      {"putting", queue_putting},
                                      {"joining", queue_joining},
                                      {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
}
