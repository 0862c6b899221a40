/*
** lqueue.c - the Lua classes Queue, LifoQueue and PriorityQueue, over the kernel's queue.
**
** A put that has to wait keeps its item on the stack of the suspended call: the value at 2, in a
** priority queue its key at 3, and on top the bits of the packed item if it was shelved.
*/
#include <lauxlib.h>
#include <string.h>

#include "core/queue.h"
#include "error.h"
#include "items.h"
#include "leaves.h"
#include "task.h"

enum { UV_NAME = 2 }; /* beside AQ_UV_SHELF */

static const char QUEUE_CLASS[] = "Queue"; /* its address is the class */

struct lqueue {
  const void *class; /* QUEUE_CLASS, until collected */
  struct aq_queue queue;
  struct aq_items items;
};

static struct lqueue *check_queue(lua_State *L) {
  struct lqueue *lq = lua_touserdata(L, 1);
  if (lq == NULL || lua_rawlen(L, 1) < sizeof *lq || lq->class != QUEUE_CLASS)
    luaL_typeerror(L, 1, "Queue");
  return lq;
}

static int push_item(lua_State *L, struct lqueue *lq, struct aq_item item) {
  return aq_items_push(L, &lq->items, item);
}

/* ---- put ------------------------------------------------------------------------------------- */

/* Checks the value at 2 and drops what is above it but the key, which is pushed. */
static void prepare_put(lua_State *L, struct lqueue *lq) {
  if (lua_isnone(L, 2)) luaL_argerror(L, 2, "value expected (nil is one)");
  lua_settop(L, 2);
  if (lq->items.has_keys) aq_items_push_key(L);
  aq_items_make_room(L, &lq->items);
}

/* In a priority queue, finds where the item goes; runs __lt. */
static void find_place(lua_State *L, struct lqueue *lq) {
  if (!lq->items.has_keys) return;
  const char *problem = aq_items_find_place(L, &lq->items, &lq->queue.order);
  if (problem != NULL) luaL_error(L, "put: %s", problem);
}

/* Puts the prepared value if a slot is free. */
static enum aq_status put_now(lua_State *L, struct lqueue *lq) {
  struct aq_queue *q = &lq->queue;
  if (q->is_shutdown) return AQ_SHUTDOWN;
  if (aq_queue_is_full(q)) return AQ_FULL;
  find_place(L, lq);
  if (q->is_shutdown) return AQ_SHUTDOWN; /* by a comparison, and the next */
  if (aq_queue_is_full(q)) return AQ_FULL;
  if (aq_queue_reserve(q) != AQ_OK) return AQ_NOMEM;
  return aq_queue_put_now(q, aq_items_pack(L, &lq->items));
}

/* Stack: the queue, the value, the key. Returns what is wrong, or nothing. */
static int find_place_protected(lua_State *L) {
  struct lqueue *lq = lua_touserdata(L, 1);
  const char *problem = aq_items_find_place(L, &lq->items, &lq->queue.order);
  if (problem == NULL && aq_queue_reserve(&lq->queue) != AQ_OK) problem = "not enough memory";
  if (problem == NULL) return 0;
  lua_pushstring(L, problem);
  return 1;
}

/*
** A woken put of a priority queue has its place still to be found. If that fails, the slot goes to
** the next, and the error is on top.
*/
static bool place_fails(lua_State *L) {
  lua_pushcfunction(L, find_place_protected);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) return true;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  luaL_where(L, 1);
  lua_pushfstring(L, "%sput: %s", lua_tostring(L, -1), lua_tostring(L, -2));
  return true;
}

/* What was packed before the wait: its bits are on top if it was shelved. */
static struct aq_item packed_item(lua_State *L, struct lqueue *lq) {
  bool is_shelved = lua_gettop(L) > (lq->items.has_keys ? 3 : 2);
  if (!is_shelved) return aq_items_pack(L, &lq->items);
  return aq_items_shelved(L, &lq->items, (uint64_t)lua_tointeger(L, -1));
}

static int put_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct lqueue *lq = lua_touserdata(L, 1);
  struct aq_item item = packed_item(L, lq);
  bool has_slot = t->waiter.status == AQ_OK && !cancelled && !lq->queue.is_shutdown;
  bool has_failed = has_slot && lq->items.has_keys && place_fails(L);
  enum aq_status status = aq_queue_put_end(&lq->queue, &t->waiter, cancelled || has_failed, item);
  if (status == AQ_OK) return 0;
  if (aq_items_is_shelved(item)) {
    push_item(L, lq, item);
    lua_pop(L, 1);
  }
  return has_failed ? lua_error(L) : aq_task_raise(L, t, status);
}

static const struct aq_wait PUT = {"put", put_finish};

static int queue_put(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  aq_task_running(L);
  uint64_t timeout_ns = aq_check_timeout(L, 3);
  prepare_put(L, lq);
  enum aq_status status = put_now(L, lq);
  if (status == AQ_OK) return 0;
  if (status != AQ_FULL) return aq_error_raise(L, status);
  if (timeout_ns == 0) return aq_error_raise(L, AQ_TIMEDOUT);
  struct aq_task *t = aq_task_to_wait(L);
  struct aq_item item = aq_items_pack(L, &lq->items);
  if (aq_items_is_shelved(item)) lua_pushinteger(L, (lua_Integer)item.bits);
  aq_queue_put_wait(&lq->queue, &t->waiter, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &PUT);
}

static int queue_put_nowait(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  prepare_put(L, lq);
  enum aq_status status = put_now(L, lq);
  return status == AQ_OK ? 0 : aq_error_raise(L, status);
}

/* ---- get ------------------------------------------------------------------------------------- */

static int get_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct lqueue *lq = lua_touserdata(L, 1);
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&lq->queue, &t->waiter, cancelled, &item);
  return status == AQ_OK ? push_item(L, lq, item) : aq_task_raise(L, t, status);
}

static const struct aq_wait GET = {"get", get_finish};

static int queue_get(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  struct aq_item item;
  aq_task_running(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  enum aq_status status = aq_queue_get_now(&lq->queue, &item);
  if (status == AQ_OK) return push_item(L, lq, item);
  if (status != AQ_EMPTY) return aq_error_raise(L, status);
  if (timeout_ns == 0) return aq_error_raise(L, AQ_TIMEDOUT);
  struct aq_task *t = aq_task_to_wait(L);
  aq_queue_get_wait(&lq->queue, &t->waiter, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &GET);
}

static int queue_get_nowait(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  struct aq_item item;
  enum aq_status status = aq_queue_get_now(&lq->queue, &item);
  return status == AQ_OK ? push_item(L, lq, item) : aq_error_raise(L, status);
}

/* ---- iteration ------------------------------------------------------------------------------- */

static int checked_item(lua_State *L) {
  if (lua_isnil(L, -1)) return luaL_error(L, "items: a nil item cannot be iterated, use get");
  return 1;
}

static int next_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct lqueue *lq = lua_touserdata(L, 1);
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&lq->queue, &t->waiter, cancelled, &item);
  if (status == AQ_SHUTDOWN) return 0;
  if (status != AQ_OK) return aq_task_raise(L, t, status);
  push_item(L, lq, item);
  return checked_item(L);
}

static const struct aq_wait NEXT = {"items", next_finish};

/* The iterator of a generic for: the queue at 1, the item before at 2. */
static int items_next(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  struct aq_item item;
  aq_task_running(L);
  enum aq_status status = aq_queue_get_now(&lq->queue, &item);
  if (status == AQ_SHUTDOWN) return 0;
  if (status == AQ_OK) {
    push_item(L, lq, item);
    return checked_item(L);
  }
  struct aq_task *t = aq_task_to_wait(L);
  aq_queue_get_wait(&lq->queue, &t->waiter, AQ_NEVER);
  return aq_task_wait(L, t, &NEXT);
}

static int queue_items(lua_State *L) {
  check_queue(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, items_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* ---- done, join, shutdown -------------------------------------------------------------------- */

static int queue_task_done(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  if (aq_queue_done(&lq->queue) == AQ_OK) return 0;
  return luaL_error(L, "task_done called too many times");
}

static int join_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = cancelled ? AQ_CANCELLED : t->waiter.status;
  return status == AQ_OK ? 0 : aq_task_raise(L, t, status);
}

static const struct aq_wait JOIN = {"join", join_finish};

static int queue_join(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  aq_task_running(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  if (lq->queue.unfinished == 0) return 0;
  if (timeout_ns == 0) return aq_error_raise(L, AQ_TIMEDOUT);
  struct aq_task *t = aq_task_to_wait(L);
  aq_queue_join_wait(&lq->queue, &t->waiter, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &JOIN);
}

/* Moves all stored items to a new list, made before the first is touched. */
static void push_discarded(lua_State *L, struct lqueue *lq) {
  size_t count = aq_queue_size(&lq->queue);
  struct aq_item item;
  lua_Integer n = 0;
  lua_createtable(L, (int)count, 1);
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, "n");
  while ((size_t)n < count && aq_queue_discard(&lq->queue, &item)) {
    push_item(L, lq, item);
    lua_rawseti(L, -2, ++n);
  }
}

static int queue_shutdown(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  if (!lua_toboolean(L, 2)) {
    aq_queue_shutdown(&lq->queue);
    return 0;
  }
  push_discarded(L, lq);
  aq_queue_shutdown_now(&lq->queue);
  return 1;
}

/* ---- looking --------------------------------------------------------------------------------- */

static int queue_qsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aq_queue_size(&check_queue(L)->queue));
  return 1;
}

static int queue_empty(lua_State *L) {
  lua_pushboolean(L, aq_queue_is_empty(&check_queue(L)->queue));
  return 1;
}

static int queue_full(lua_State *L) {
  lua_pushboolean(L, aq_queue_is_full(&check_queue(L)->queue));
  return 1;
}

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_queue(L)->queue.maxsize);
  return 1;
}

static int queue_is_shutdown(lua_State *L) {
  lua_pushboolean(L, check_queue(L)->queue.is_shutdown);
  return 1;
}

static int queue_name(lua_State *L) {
  check_queue(L);
  lua_getiuservalue(L, 1, UV_NAME);
  return 1;
}

static const char *class_name(const struct lqueue *lq) {
  static const char *const NAMES[] = {"Queue", "LifoQueue", "PriorityQueue"};
  return NAMES[lq->queue.order.kind];
}

/* E.g. "Queue 'jobs' (size 2 of 10, 0 getting, 0 putting, 2 unfinished)". */
static int queue_tostring(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  const struct aq_queue *q = &lq->queue;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, UV_NAME) != LUA_TNIL)
    lua_pushfstring(L, "%s '%s'", class_name(lq), lua_tostring(L, 2));
  else
    lua_pushfstring(L, "%s %p", class_name(lq), (void *)lq);
  lua_pushfstring(L, q->maxsize > 0 ? "%I of %I" : "%I", (LUAI_UACINT)q->order.count,
                  (LUAI_UACINT)q->maxsize);
  lua_pushfstring(L, "%s (size %s, %I getting, %I putting, %I unfinished%s)", lua_tostring(L, 3),
                  lua_tostring(L, 4), (LUAI_UACINT)aq_room_count(&q->getters),
                  (LUAI_UACINT)aq_room_count(&q->putters), (LUAI_UACINT)q->unfinished,
                  q->is_shutdown ? ", shut down" : "");
  return 1;
}

static int queue_gc(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  lq->class = NULL;
  aq_queue_free(&lq->queue);
  aq_shelf_free(L, &lq->items.shelf);
  return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* The integer at `idx` as a bound; 0 for nil and for what is not positive. `what` names it. */
static size_t check_maxsize(lua_State *L, int idx, const char *what) {
  int is_integer;
  lua_Integer n = lua_tointegerx(L, idx, &is_integer);
  if (lua_isnoneornil(L, idx)) return 0;
  if (lua_type(L, idx) != LUA_TNUMBER || !is_integer)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "%s: integer expected, got %s", what,
                                  lua_type(L, idx) == LUA_TNUMBER ? "a number without integer value"
                                                                  : luaL_typename(L, idx)));
  return n > 0 ? (size_t)n : 0;
}

/* Reads the options table at 1: its name stays on the stack. Unknown keys are refused. */
static size_t check_options(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(key, "maxsize") != 0 && strcmp(key, "name") != 0)
      luaL_argerror(L, 1, lua_pushfstring(L, "unknown option '%s'", key));
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "maxsize");
  size_t maxsize = check_maxsize(L, -1, "maxsize");
  int type = lua_getfield(L, 1, "name");
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_argerror(L, 1, lua_pushfstring(L, "name: string expected, got %s", luaL_typename(L, -1)));
  return maxsize;
}

/* aq.Queue([maxsize | options]) and its kin. Upvalues: the runtime, the metatable. */
static int new_queue(lua_State *L, enum aq_order_kind kind) {
  size_t maxsize;
  lua_settop(L, 1);
  if (lua_istable(L, 1)) {
    maxsize = check_options(L);
  } else {
    maxsize = check_maxsize(L, 1, "maxsize");
    lua_pushnil(L);
  }
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  struct lqueue *lq = lua_newuserdatauv(L, sizeof *lq, 2);
  lq->class = QUEUE_CLASS;
  aq_queue_init(&lq->queue, maxsize, kind, (struct aq_alloc){alloc, ud});
  lq->items = (struct aq_items){.has_keys = kind == AQ_PRIORITY};
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, UV_NAME);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

static int queue_new(lua_State *L) { return new_queue(L, AQ_FIFO); }

static int lifo_new(lua_State *L) { return new_queue(L, AQ_LIFO); }

static int priority_new(lua_State *L) { return new_queue(L, AQ_PRIORITY); }

static const luaL_Reg METHODS[] = {{"put", queue_put},
                                   {"get", queue_get},
                                   {"put_nowait", queue_put_nowait},
                                   {"get_nowait", queue_get_nowait},
                                   {"qsize", queue_qsize},
                                   {"empty", queue_empty},
                                   {"full", queue_full},
                                   {"maxsize", queue_maxsize},
                                   {"name", queue_name},
                                   {"task_done", queue_task_done},
                                   {"join", queue_join},
                                   {"shutdown", queue_shutdown},
                                   {"is_shutdown", queue_is_shutdown},
                                   {"items", queue_items},
                                   {NULL, NULL}};

static const luaL_Reg META[] = {
  {"__len", queue_qsize}, {"__tostring", queue_tostring}, {"__gc", queue_gc}, {NULL, NULL}};

void aq_open_queue(lua_State *L) {
  static const luaL_Reg CLASSES[] = {
    {"Queue", queue_new}, {"LifoQueue", lifo_new}, {"PriorityQueue", priority_new}, {NULL, NULL}};
  for (const luaL_Reg *class = CLASSES; class->name != NULL; class ++)
    aq_set_class(L, class, METHODS, META);
}
