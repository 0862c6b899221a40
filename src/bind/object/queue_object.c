/*
** queue_object.c - putting a Lua value: the part that has something to prepare and to forget.
*/
#include "queue_object.h"

#include "bind/base/error.h"

const char aq_queue_class[] = "Queue";
const char *const aq_queue_names[] = {"Queue", "LifoQueue", "PriorityQueue"};
const char *const aq_overflow_names[] = {"", "drop_oldest", "drop_newest"};

void aq_queue_prepare_put(lua_State *L, struct aq_queue_object *qo, int top, struct aq_item *item) {
  if (top < 2) luaL_argerror(L, 2, "value expected (nil is one)");
  if (top > 2) lua_settop(L, 2);
  if (qo->items.has_keys) aq_items_push_key(L);
  aq_items_prepare(L, &qo->items, item);
}

/* In a priority queue, finds where the item goes; runs __lt. */
static void find_place(lua_State *L, struct aq_queue_object *qo) {
  const char *problem = aq_items_find_place(L, &qo->items, &qo->queue.order);
  if (problem != NULL) aq_error_misuse(L, "put: %s", problem);
}

enum aq_status aq_queue_try_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item) {
  struct aq_queue *q = &qo->queue;
  if (q->is_shutdown) return AQ_SHUTDOWN;
  if (aq_queue_is_full(q)) return AQ_FULL;
  if (qo->items.has_keys) {
    find_place(L, qo);
    if (q->is_shutdown) return AQ_SHUTDOWN; /* by a comparison, and the next */
    if (aq_queue_is_full(q)) return AQ_FULL;
  }
  if (aq_queue_reserve(q) != AQ_OK) return AQ_NOMEM;
  aq_items_shelve(L, &qo->items, item);
  return aq_queue_put_now(q, *item);
}

int aq_queue_drop_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item) {
  aq_items_shelve(L, &qo->items, item);
  return aq_queue_push_item(L, qo, aq_queue_put_dropping(&qo->queue, *item));
}

enum aq_status aq_queue_put_or_drop(lua_State *L, struct aq_queue_object *qo,
                                    struct aq_item *item) {
  enum aq_status status = aq_queue_try_put(L, qo, item);
  if (status != AQ_FULL || !aq_queue_drops(&qo->queue)) return status;
  aq_queue_drop_put(L, qo, item);
  lua_pop(L, 1);
  return AQ_OK;
}

void aq_queue_enter_put(lua_State *L, struct aq_queue_object *qo, struct aq_item *item,
                        struct aq_waiter *w, uint64_t deadline_ns) {
  aq_items_shelve(L, &qo->items, item);
  if (aq_items_is_shelved(*item)) lua_pushinteger(L, (lua_Integer)item->bits);
  aq_queue_put_wait(&qo->queue, w, deadline_ns);
}

/* What was packed before the wait: its bits are on top if it was shelved. */
static struct aq_item packed_item(lua_State *L, struct aq_queue_object *qo) {
  bool is_shelved = lua_gettop(L) > (qo->items.has_keys ? 3 : 2);
  uint64_t bits = is_shelved ? (uint64_t)lua_tointeger(L, -1) : 0;
  return aq_items_restore(L, &qo->items, is_shelved, bits);
}

static void forget(lua_State *L, struct aq_queue_object *qo, struct aq_item item) {
  if (!aq_items_is_shelved(item)) return;
  aq_queue_push_item(L, qo, item);
  lua_pop(L, 1);
}

void aq_queue_forget_put(lua_State *L, struct aq_queue_object *qo) {
  forget(L, qo, packed_item(L, qo));
}

/* Stack: the queue, the value, the key. Returns what is wrong, or nothing. */
static int find_place_protected(lua_State *L) {
  struct aq_queue_object *qo = lua_touserdata(L, 1);
  find_place(L, qo);
  if (aq_queue_reserve(&qo->queue) != AQ_OK) return luaL_error(L, "not enough memory");
  return 0;
}

int aq_queue_place_put(lua_State *L) {
  lua_pushcfunction(L, find_place_protected);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  return lua_pcall(L, 3, 0, 0);
}

enum aq_status aq_queue_finish_put(lua_State *L, struct aq_queue_object *qo, struct aq_waiter *w,
                                   bool cancelled) {
  struct aq_item item = packed_item(L, qo);
  bool has_slot = w->status == AQ_OK && !cancelled && !qo->queue.is_shutdown;
  bool has_failed = has_slot && qo->items.has_keys && aq_queue_place_put(L) != LUA_OK;
  enum aq_status status = aq_queue_put_end(&qo->queue, w, cancelled || has_failed, item);
  if (status != AQ_OK) forget(L, qo, item);
  if (has_failed) lua_error(L);
  return status;
}

void aq_note_queue(lua_State *L) {
  if (lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_QUEUES) == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_pushinteger(L, (lua_Integer)++aq_runtime(L)->nqueues);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
}
