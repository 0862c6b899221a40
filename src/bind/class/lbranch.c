/*
** lbranch.c - the branches of a select on queues: getting, putting, joining.
*/
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/object/branch.h"
#include "bind/object/queue_object.h"
#include "leaves.h"

static const char TIMEOUT_IS_OF_SELECT[] = "the timeout is that of the select";

/* ---- getting --------------------------------------------------------------------------------- */

static bool get_is_ready(const struct aq_branch_object *b) {
  const struct aq_queue_object *qo = b->object;
  return !aq_queue_is_empty(&qo->queue) || qo->queue.is_shutdown;
}

static enum aq_status get_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  struct aq_item item;
  enum aq_status status = aq_queue_get_now(&qo->queue, &item);
  if (status == AQ_OK) aq_queue_push_item(L, qo, item);
  return status;
}

static void get_enter(struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  aq_queue_get_wait(&qo->queue, &b->branch.waiter, AQ_NEVER);
}

static enum aq_status get_finish(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&qo->queue, &b->branch.waiter, false, &item);
  if (status == AQ_OK) aq_queue_push_item(L, qo, item);
  return status;
}

static enum aq_status get_give_up(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  struct aq_item item;
  (void)L;
  return aq_queue_get_end(&qo->queue, &b->branch.waiter, true, &item);
}

static int queue_getting(lua_State *L) {
  static const struct aq_branch_kind GETTING = {.name = "getting from ",
                                                .is_ready = get_is_ready,
                                                .attempt = get_attempt,
                                                .enter = get_enter,
                                                .finish = get_finish,
                                                .give_up = get_give_up};
  aq_check_no_more(L, 1, TIMEOUT_IS_OF_SELECT);
  aq_branch_push(L, &GETTING, aq_check_queue(L), 1, 1);
  return 1;
}

/* ---- putting --------------------------------------------------------------------------------- */

/* Without a key, the attempt raises. */
static bool lacks_key(const struct aq_branch_object *b) {
  const struct aq_queue_object *qo = b->object;
  return qo->items.has_keys && b->nvalues < 3;
}

static bool put_is_ready(const struct aq_branch_object *b) {
  const struct aq_queue_object *qo = b->object;
  const struct aq_queue *q = &qo->queue;
  return !aq_queue_is_full(q) || aq_queue_drops(q) || q->is_shutdown || lacks_key(b);
}

static enum aq_status put_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  struct aq_item item;
  if (lacks_key(b)) aq_items_push_key(L);
  if (qo->queue.is_shutdown) { /* or finalized by hand: nobody would free what is prepared */
    lua_pushnil(L);
    return AQ_SHUTDOWN;
  }
  aq_items_prepare(L, &qo->items, &item);
  enum aq_status status = aq_queue_try_put(L, qo, &item);
  if (status == AQ_FULL && aq_queue_drops(&qo->queue)) {
    aq_queue_drop_put(L, qo, &item);
    status = AQ_OK;
  }
  lua_pushnil(L);
  return status == AQ_FULL ? AQ_EMPTY : status;
}

/* Shelves the item, if need be, and keeps its bits. */
static enum aq_status put_prepare(lua_State *L, struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  struct aq_item item;
  aq_items_prepare(L, &qo->items, &item);
  if (put_is_ready(b)) return AQ_EMPTY;
  aq_items_shelve(L, &qo->items, &item);
  b->is_shelved = aq_items_is_shelved(item);
  b->bits = item.bits;
  return AQ_OK;
}

static void put_enter(struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  aq_queue_put_wait(&qo->queue, &b->branch.waiter, AQ_NEVER);
}

/* The stack as it is when a put has waited. */
static void restore_put(lua_State *L, struct aq_branch_object *b) {
  if (b->is_shelved) lua_pushinteger(L, (lua_Integer)b->bits);
}

static enum aq_status put_finish(lua_State *L, struct aq_branch_object *b) {
  restore_put(L, b);
  enum aq_status status = aq_queue_finish_put(L, b->object, &b->branch.waiter, false);
  lua_pushnil(L);
  return status;
}

static enum aq_status put_give_up(lua_State *L, struct aq_branch_object *b) {
  restore_put(L, b);
  return aq_queue_finish_put(L, b->object, &b->branch.waiter, true);
}

static enum aq_status put_forget(lua_State *L, struct aq_branch_object *b) {
  restore_put(L, b);
  aq_queue_forget_put(L, b->object);
  return AQ_OK;
}

static int queue_putting(lua_State *L) {
  static const struct aq_branch_kind PUTTING = {.name = "putting into ",
                                                .is_ready = put_is_ready,
                                                .attempt = put_attempt,
                                                .prepare = put_prepare,
                                                .enter = put_enter,
                                                .finish = put_finish,
                                                .give_up = put_give_up,
                                                .forget = put_forget};
  struct aq_queue_object *qo = aq_check_queue(L);
  if (lua_gettop(L) < 2) return luaL_argerror(L, 2, "value expected (nil is one)");
  aq_check_no_more(L, 2, TIMEOUT_IS_OF_SELECT);
  lua_settop(L, 2);
  if (qo->items.has_keys) aq_items_try_key(L); /* fixed now; without one the attempt raises */
  aq_branch_push(L, &PUTTING, qo, 1, lua_gettop(L));
  return 1;
}

/* ---- joining --------------------------------------------------------------------------------- */

static bool join_is_ready(const struct aq_branch_object *b) {
  const struct aq_queue_object *qo = b->object;
  return qo->queue.unfinished == 0;
}

static enum aq_status join_attempt(lua_State *L, struct aq_branch_object *b) {
  (void)b;
  lua_pushnil(L);
  return AQ_OK;
}

static void join_enter(struct aq_branch_object *b) {
  struct aq_queue_object *qo = b->object;
  aq_queue_join_wait(&qo->queue, &b->branch.waiter, AQ_NEVER);
}

static int queue_joining(lua_State *L) {
  static const struct aq_branch_kind JOINING = {.name = "joining ",
                                                .is_ready = join_is_ready,
                                                .attempt = join_attempt,
                                                .enter = join_enter,
                                                .finish = join_attempt};
  aq_check_no_more(L, 1, TIMEOUT_IS_OF_SELECT);
  aq_branch_push(L, &JOINING, aq_check_queue(L), 1, 1);
  return 1;
}

void aq_open_branch(lua_State *L) {
  static const char *const CLASSES[] = {"Queue", "LifoQueue", "PriorityQueue"};
  static const luaL_Reg METHODS[] = {{"getting", queue_getting},
                                     {"putting", queue_putting},
                                     {"joining", queue_joining},
                                     {NULL, NULL}};
  for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++)
    aq_add_methods(L, CLASSES[i], METHODS);
}
