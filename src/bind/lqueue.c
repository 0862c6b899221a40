/*
** lqueue.c - the Lua class Queue: put, get and the rest, over the kernel's queue.
**
** Items. Integers, floats, booleans, nil and light userdata travel inside the kernel's 16 bytes;
** any other value rests on the queue's own shelf and its slot number travels. The shelf is a user
** value of the queue, so a queue that holds itself can be collected. A put that has to wait keeps
** its item where it is: on the stack of the suspended call.
*/
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "core/queue.h"
#include "error.h"
#include "leaves.h"
#include "shelf.h"
#include "task.h"

enum { UV_SHELF = 1, UV_NAME = 2 };

enum { SHELF_KEEP = 1024 }; /* slots an empty shelf may keep */

static const char QUEUE_CLASS[] = "Queue"; /* its address is the class */

struct lqueue {
  const void *class; /* QUEUE_CLASS, until collected */
  struct aq_queue queue;
  struct aq_shelf shelf; /* slots for the items the kernel cannot hold */
};

static struct lqueue *check_queue(lua_State *L) {
  struct lqueue *lq = lua_touserdata(L, 1);
  if (lq == NULL || lua_rawlen(L, 1) < sizeof *lq || lq->class != QUEUE_CLASS)
    luaL_typeerror(L, 1, "Queue");
  return lq;
}

/* ---- items ----------------------------------------------------------------------------------- */

enum { TAG_SHELVED = LUA_NUMTYPES, TAG_FLOAT };

static uint64_t float_bits(lua_Number n) {
  uint64_t bits = 0;
  memcpy(&bits, &n, sizeof n);
  return bits;
}

static lua_Number bits_float(uint64_t bits) {
  lua_Number n;
  memcpy(&n, &bits, sizeof n);
  return n;
}

static bool must_shelve(int type) {
  return type != LUA_TNUMBER && type != LUA_TNIL && type != LUA_TBOOLEAN &&
         type != LUA_TLIGHTUSERDATA;
}

/*
** Makes sure that the value at 2 can be shelved, if it has to be. Comes before anything is looked
** at: it may run a finalizer, and that may use this very queue.
*/
static void make_room(lua_State *L, struct lqueue *lq) {
  if (lua_isnone(L, 2)) luaL_argerror(L, 2, "value expected (nil is one)");
  if (must_shelve(lua_type(L, 2))) aq_shelf_reserve(L, &lq->shelf, 1, UV_SHELF);
}

static struct aq_item shelve(lua_State *L, struct lqueue *lq) {
  lua_getiuservalue(L, 1, UV_SHELF);
  uint32_t slot = aq_shelf_put(L, &lq->shelf, -1, 2);
  lua_pop(L, 1);
  return (struct aq_item){slot, TAG_SHELVED};
}

/* The value at 2 as an item, shelved if it has to be. Nothing here allocates after make_room. */
static struct aq_item to_item(lua_State *L, struct lqueue *lq) {
  int type = lua_type(L, 2);
  if (must_shelve(type)) return shelve(L, lq);
  uint64_t bits = 0;
  if (type == LUA_TNUMBER) {
    if (!lua_isinteger(L, 2)) return (struct aq_item){float_bits(lua_tonumber(L, 2)), TAG_FLOAT};
    bits = (uint64_t)lua_tointeger(L, 2);
  } else if (type == LUA_TBOOLEAN) {
    bits = (uint64_t)lua_toboolean(L, 2);
  } else if (type == LUA_TLIGHTUSERDATA) {
    bits = (uint64_t)(uintptr_t)lua_touserdata(L, 2);
  }
  return (struct aq_item){bits, (uint64_t)type};
}

/* Takes a value back from the shelf; a large shelf that is empty is given up. */
static void push_shelved(lua_State *L, struct lqueue *lq, uint32_t slot) {
  lua_getiuservalue(L, 1, UV_SHELF);
  aq_shelf_take(L, &lq->shelf, -1, slot);
  lua_remove(L, -2);
  if (lq->shelf.capacity <= SHELF_KEEP || !aq_shelf_is_empty(&lq->shelf)) return;
  aq_shelf_free(L, &lq->shelf);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, UV_SHELF);
}

/* Pushes an item that has left the queue. */
static int push_item(lua_State *L, struct lqueue *lq, struct aq_item item) {
  switch (item.tag) {
    case LUA_TNIL: lua_pushnil(L); break;
    case LUA_TBOOLEAN: lua_pushboolean(L, (int)item.bits); break;
    case LUA_TLIGHTUSERDATA: lua_pushlightuserdata(L, (void *)(uintptr_t)item.bits); break;
    case LUA_TNUMBER: lua_pushinteger(L, (lua_Integer)item.bits); break;
    case TAG_FLOAT: lua_pushnumber(L, bits_float(item.bits)); break;
    default: push_shelved(L, lq, (uint32_t)item.bits);
  }
  return 1;
}

/* ---- put ------------------------------------------------------------------------------------- */

/* Puts the value at 2, for which there is room on the shelf, if a slot is free. */
static enum aq_status put_now(lua_State *L, struct lqueue *lq) {
  struct aq_queue *q = &lq->queue;
  if (q->is_shutdown) return AQ_SHUTDOWN;
  if (aq_queue_is_full(q)) return AQ_FULL;
  if (aq_queue_reserve(q) != AQ_OK) return AQ_NOMEM;
  return aq_queue_put_now(q, to_item(L, lq));
}

/* A put that waits keeps its item at 2; if it had to be shelved, it was, and its slot is at 3. */
static int put_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct lqueue *lq = lua_touserdata(L, 1);
  bool is_shelved = lua_gettop(L) == 3;
  uint32_t slot = is_shelved ? (uint32_t)lua_tointeger(L, 3) : 0;
  struct aq_item item = is_shelved ? (struct aq_item){slot, TAG_SHELVED} : to_item(L, lq);
  enum aq_status status = aq_queue_put_end(&lq->queue, &t->waiter, cancelled, item);
  if (status == AQ_OK) return 0;
  if (is_shelved) push_shelved(L, lq, slot);
  return aq_task_raise(L, t, status);
}

static const struct aq_wait PUT = {"put", put_finish};

static int queue_put(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  aq_task_running(L);
  uint64_t timeout_ns = aq_check_timeout(L, 3);
  make_room(L, lq);
  enum aq_status status = put_now(L, lq);
  if (status == AQ_OK) return 0;
  if (status != AQ_FULL) return aq_error_raise(L, status);
  if (timeout_ns == 0) return aq_error_raise(L, AQ_TIMEDOUT);
  struct aq_task *t = aq_task_to_wait(L);
  lua_settop(L, 2);
  if (must_shelve(lua_type(L, 2))) lua_pushinteger(L, (lua_Integer)shelve(L, lq).bits);
  if (!aq_task_is_interrupted(t))
    aq_queue_put_wait(&lq->queue, &t->waiter, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &PUT);
}

static int queue_put_nowait(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  make_room(L, lq);
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
  if (!aq_task_is_interrupted(t))
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
  if (!aq_task_is_interrupted(t)) aq_queue_get_wait(&lq->queue, &t->waiter, AQ_NEVER);
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
  if (!aq_task_is_interrupted(t))
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

static lua_Integer count_room(const struct aq_list *room) {
  lua_Integer n = 0;
  for (const struct aq_list *node = room->next; node != room; node = node->next) n++;
  return n;
}

static int queue_tostring(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  const struct aq_queue *q = &lq->queue;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  lua_getiuservalue(L, 1, UV_NAME);
  if (lua_isnil(L, -1)) {
    lua_pushfstring(L, "%p", (void *)lq);
  } else {
    lua_pushfstring(L, "'%s'", lua_tostring(L, -1));
  }
  lua_remove(L, -2);
  lua_pushfstring(L, "Queue %s (size %I", lua_tostring(L, -1), (LUAI_UACINT)q->order.count);
  lua_remove(L, -2);
  luaL_addvalue(&b);
  lua_pushfstring(L, q->maxsize > 0 ? " of %I" : "", (LUAI_UACINT)q->maxsize);
  luaL_addvalue(&b);
  lua_pushfstring(L, ", %I getting, %I putting, %I unfinished%s)",
                  (LUAI_UACINT)count_room(&q->getters), (LUAI_UACINT)count_room(&q->putters),
                  (LUAI_UACINT)q->unfinished, q->is_shutdown ? ", shut down" : "");
  luaL_addvalue(&b);
  luaL_pushresult(&b);
  return 1;
}

static int queue_gc(lua_State *L) {
  struct lqueue *lq = check_queue(L);
  lq->class = NULL;
  aq_queue_free(&lq->queue);
  aq_shelf_free(L, &lq->shelf);
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

/* aq.Queue([maxsize | options]). Upvalues: the runtime, the metatable. */
static int queue_new(lua_State *L) {
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
  aq_queue_init(&lq->queue, maxsize, AQ_FIFO, (struct aq_alloc){alloc, ud});
  aq_shelf_init(&lq->shelf);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, UV_NAME);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  return 1;
}

void aq_open_queue(lua_State *L) {
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
  aq_push_class(L, "Queue", METHODS, META);
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_pushcclosure(L, queue_new, 2);
  lua_setfield(L, -2, "Queue");
}
