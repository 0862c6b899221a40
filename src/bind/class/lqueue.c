/*
** lqueue.c - the Lua classes Queue, LifoQueue and PriorityQueue, over the kernel's queue.
*/
#include "bind/base/class.h"
#include "bind/base/error.h"
#include "bind/object/queue_object.h"
#include "bind/object/queue_options.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

/* ---- put ------------------------------------------------------------------------------------- */

static int put_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = aq_queue_finish_put(L, t->waiter.thing, &t->waiter, cancelled);
  return status == AQ_OK ? 0 : aq_task_raise(L, t, status);
}

/* The slot goes on; the item stays on the shelf until the queue is collected. */
static void put_give_up(lua_State *L, struct aq_task *t) {
  struct aq_queue_object *qo = t->waiter.thing;
  (void)L;
  aq_queue_put_end(&qo->queue, &t->waiter, true, (struct aq_item){0, LUA_TNIL});
}

static const struct aq_wait PUT = {"put", put_finish, put_give_up};

/* Lays the stack out as it was given. */
static int put_time_out(lua_State *L, struct aq_task *t) {
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  return aq_task_time_out(L, t);
}

static int queue_put(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  int top = lua_gettop(L);
  uint64_t timeout_ns = top > 2 ? aq_check_given_timeout(L, 3) : AQ_NEVER;
  struct aq_task *t = aq_task_begin(L, qo->rt, timeout_ns);
  struct aq_item item;
  aq_queue_prepare_put(L, qo, top, &item);
  enum aq_status status = aq_queue_try_put(L, qo, &item);
  if (status == AQ_OK) return 0;
  if (status != AQ_FULL) return aq_error_raise(L, status);
  if (aq_queue_drops(&qo->queue)) {
    aq_queue_drop_put(L, qo, &item);
    return 0;
  }
  if (timeout_ns == 0) return put_time_out(L, t);
  aq_task_check_wait(L, t);
  t->waiter.thing = qo;
  aq_queue_enter_put(L, qo, &item, &t->waiter, aq_loop_deadline(qo->rt->loop, timeout_ns));
  return aq_task_wait(L, t, &PUT);
}

/* In a queue that drops: whether an item was dropped, and which. */
static int answer_dropped(lua_State *L, struct aq_queue_object *qo, struct aq_item *item,
                          enum aq_status status) {
  if (status != AQ_OK && status != AQ_FULL) return aq_error_raise(L, status);
  lua_pushboolean(L, status == AQ_FULL);
  return status == AQ_FULL ? 1 + aq_queue_drop_put(L, qo, item) : 1;
}

static int queue_put_nowait(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  struct aq_item item;
  int top = lua_gettop(L);
  if (top > 2) aq_check_no_more(L, 2, "this call never waits");
  aq_queue_prepare_put(L, qo, top, &item);
  enum aq_status status = aq_queue_try_put(L, qo, &item);
  if (aq_queue_drops(&qo->queue)) return answer_dropped(L, qo, &item, status);
  return status == AQ_OK ? 0 : aq_error_raise(L, status);
}

/* ---- get ------------------------------------------------------------------------------------- */

static int get_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct aq_queue_object *qo = t->waiter.thing;
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&qo->queue, &t->waiter, cancelled, &item);
  return status == AQ_OK ? aq_queue_push_item(L, qo, item) : aq_task_raise(L, t, status);
}

static void get_give_up(lua_State *L, struct aq_task *t) {
  struct aq_queue_object *qo = t->waiter.thing;
  struct aq_item item;
  (void)L;
  aq_queue_get_end(&qo->queue, &t->waiter, true, &item);
}

static const struct aq_wait GET = {"get", get_finish, get_give_up};

static int queue_get(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  struct aq_item item;
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, qo->rt, timeout_ns);
  enum aq_status status = aq_queue_get_now(&qo->queue, &item);
  if (status == AQ_OK) return aq_queue_push_item(L, qo, item);
  if (status != AQ_EMPTY) return aq_error_raise(L, status);
  if (timeout_ns == 0) return aq_task_time_out(L, t);
  aq_task_check_wait(L, t);
  t->waiter.thing = qo;
  aq_queue_get_wait(&qo->queue, &t->waiter, aq_loop_deadline(qo->rt->loop, timeout_ns));
  return aq_task_wait(L, t, &GET);
}

static int queue_get_nowait(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  struct aq_item item;
  enum aq_status status = aq_queue_get_now(&qo->queue, &item);
  return status == AQ_OK ? aq_queue_push_item(L, qo, item) : aq_error_raise(L, status);
}

/* ---- iteration ------------------------------------------------------------------------------- */

/* A nil item would end the loop as if the queue were empty: it is left where it is. */
static bool is_nil_next(const struct aq_queue_object *qo) {
  return !aq_queue_is_empty(&qo->queue) && aq_items_is_nil(aq_order_peek(&qo->queue.order));
}

static int refuse_nil(lua_State *L) {
  return aq_error_misuse(L, "items: a nil item cannot be iterated, use get");
}

static int next_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct aq_queue_object *qo = t->waiter.thing;
  struct aq_item item;
  bool has_ticket = t->waiter.status == AQ_OK && !cancelled && qo->queue.order.count > 0;
  bool is_nil = has_ticket && aq_items_is_nil(aq_order_peek(&qo->queue.order));
  enum aq_status status = aq_queue_get_end(&qo->queue, &t->waiter, cancelled || is_nil, &item);
  if (is_nil) return refuse_nil(L);
  if (status == AQ_SHUTDOWN) return 0;
  return status == AQ_OK ? aq_queue_push_item(L, qo, item) : aq_task_raise(L, t, status);
}

static const struct aq_wait NEXT = {"items", next_finish, get_give_up};

/* The stack of a call that was not given the queue: it has it alone. */
static struct aq_queue_object *take_own_queue(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return aq_check_queue(L);
}

/* The iterator. A generic for calls it with the queue at 1 and the item before at 2; others as a function
** of nothing. Upvalues: the runtime, the queue. */
static int items_next(lua_State *L) {
  struct aq_queue_object *qo = aq_test_queue(L, 1);
  if (qo == NULL) qo = take_own_queue(L);
  struct aq_item item;
  struct aq_task *t = aq_task_begin(L, qo->rt, AQ_NEVER);
  if (is_nil_next(qo)) return refuse_nil(L);
  enum aq_status status = aq_queue_get_now(&qo->queue, &item);
  if (status == AQ_SHUTDOWN) return 0;
  if (status == AQ_OK) return aq_queue_push_item(L, qo, item);
  aq_task_check_wait(L, t);
  t->waiter.thing = qo;
  aq_queue_get_wait(&qo->queue, &t->waiter, AQ_NEVER);
  return aq_task_wait(L, t, &NEXT);
}

static int queue_items(lua_State *L) {
  aq_check_queue(L);
  aq_check_no_more(L, 1, "the wait for an item has no timeout; q:get(timeout) has one");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, items_next, 2);
  lua_pushvalue(L, 1);
  return 2;
}

/* ---- done, join, shutdown -------------------------------------------------------------------- */

static int queue_task_done(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  aq_check_no_more(L, 1, "each call is for one item");
  if (aq_queue_done(&qo->queue) == AQ_OK) return 0;
  return luaL_error(L, "task_done called too many times");
}

static int join_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  aq_task_check_outcome(L, t, cancelled);
  return 0;
}

static const struct aq_wait JOIN = {"join", join_finish, NULL};

static int queue_join(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, qo->rt, timeout_ns);
  if (qo->queue.unfinished == 0) return 0;
  if (timeout_ns == 0) return aq_task_time_out(L, t);
  aq_task_check_wait(L, t);
  aq_queue_join_wait(&qo->queue, &t->waiter, aq_loop_deadline(qo->rt->loop, timeout_ns));
  return aq_task_wait(L, t, &JOIN);
}

/* Moves all stored items to a new list, made before the first is touched. */
static void push_discarded(lua_State *L, struct aq_queue_object *qo) {
  size_t count;
  struct aq_item item;
  lua_Integer n = 0;
  int top = lua_gettop(L);
  do {
    lua_settop(L, top);
    count = aq_queue_size(&qo->queue);
    lua_createtable(L, (int)count, 1);
  } while (count != aq_queue_size(&qo->queue));
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, "n");
  while ((size_t)n < count && aq_queue_discard(&qo->queue, &item)) {
    aq_queue_push_item(L, qo, item);
    lua_rawseti(L, -2, ++n);
  }
}

static int queue_shutdown(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  if (!lua_toboolean(L, 2)) {
    aq_queue_shutdown(&qo->queue);
    return 0;
  }
  push_discarded(L, qo);
  aq_queue_shutdown_now(&qo->queue);
  return 1;
}

/* ---- looking --------------------------------------------------------------------------------- */

static int queue_qsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aq_queue_size(&aq_check_queue(L)->queue));
  return 1;
}

static int queue_empty(lua_State *L) {
  lua_pushboolean(L, aq_queue_is_empty(&aq_check_queue(L)->queue));
  return 1;
}

static int queue_full(lua_State *L) {
  lua_pushboolean(L, aq_queue_is_full(&aq_check_queue(L)->queue));
  return 1;
}

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)aq_check_queue(L)->queue.maxsize);
  return 1;
}

static int queue_is_shutdown(lua_State *L) {
  lua_pushboolean(L, aq_check_queue(L)->queue.is_shutdown);
  return 1;
}

static int queue_name(lua_State *L) {
  aq_check_queue(L);
  lua_getiuservalue(L, 1, AQ_UV_QUEUE_NAME);
  return 1;
}

static int queue_peek(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  if (aq_queue_is_empty(&qo->queue))
    return aq_error_raise(L, qo->queue.is_shutdown ? AQ_SHUTDOWN : AQ_EMPTY);
  return aq_items_peek(L, aq_order_peek(&qo->queue.order));
}

static void set_count(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static int queue_stats(lua_State *L) {
  const struct aq_queue *q = &aq_check_queue(L)->queue;
  uint64_t stored = q->order.count;
  lua_createtable(L, 0, 11);
  set_count(L, "size", stored);
  set_count(L, "maxsize", q->maxsize);
  set_count(L, "peak", q->peak);
  set_count(L, "getters", aq_room_count(&q->getters) + q->claimed);
  set_count(L, "putters", aq_room_count(&q->putters) + q->promised);
  set_count(L, "unfinished", q->unfinished);
  set_count(L, "put", q->total_put);
  set_count(L, "got", q->total_put - stored - q->total_dropped);
  set_count(L, "done", q->total_done);
  set_count(L, "dropped", q->total_dropped);
  if (aq_queue_drops(q)) {
    lua_pushstring(L, aq_overflow_names[q->overflow]);
    lua_setfield(L, -2, "overflow");
  }
  return 1;
}

/* E.g. "Queue 'jobs' (size 2 of 10, 0 getting, 0 putting, 2 unfinished)"; "2 of 10, drop_oldest". */
static int queue_tostring(lua_State *L) {
  struct aq_queue_object *qo = aq_check_queue(L);
  const struct aq_queue *q = &qo->queue;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, AQ_UV_QUEUE_NAME) != LUA_TNIL)
    lua_pushfstring(L, "%s '%s'", aq_queue_names[q->order.kind], lua_tostring(L, 2));
  else
    lua_pushfstring(L, "%s %p", aq_queue_names[q->order.kind], (void *)qo);
  lua_pushfstring(L, q->maxsize > 0 ? "%I of %I" : "%I", (LUAI_UACINT)q->order.count,
                  (LUAI_UACINT)q->maxsize);
  if (aq_queue_drops(q)) {
    lua_pushfstring(L, "%s, %s", lua_tostring(L, 4), aq_overflow_names[q->overflow]);
    lua_replace(L, 4);
  }
  lua_pushfstring(L, "%s (size %s, %I getting, %I putting, %I unfinished%s)", lua_tostring(L, 3),
                  lua_tostring(L, 4), (LUAI_UACINT)aq_room_count(&q->getters),
                  (LUAI_UACINT)aq_room_count(&q->putters), (LUAI_UACINT)q->unfinished,
                  q->is_shutdown ? ", shut down" : "");
  return 1;
}

/* The collector never finalizes a queue that is waited for; a state that is closed may. */
static int queue_gc(lua_State *L) {
  struct aq_queue_object *qo = aq_test_queue(L, 1);
  if (qo == NULL) return 0; /* was finalized by hand */
  if (qo->rt->is_driven && aq_queue_is_waited_for(&qo->queue))
    return luaL_error(L, "a queue that is waited for cannot be finalized");
  qo->class = aq_finalized_class;
  qo->queue.is_shutdown = true; /* for the branches there may be */
  aq_queue_free(&qo->queue);
  aq_shelf_free(L, &qo->items.shelf);
  return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* aq.Queue([maxsize | options]) and its kin. Upvalues: the runtime, the metatable. */
static int new_queue(lua_State *L, enum aq_order_kind kind) {
  aq_check_no_more(L, 1, "options are one table, {maxsize = n, name = s}");
  struct aq_queue_options options = aq_queue_read_options(L, kind);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  struct aq_queue_object *qo = lua_newuserdatauv(L, sizeof *qo, AQ_UV_QUEUE_COUNT);
  qo->class = aq_queue_class;
  qo->rt = aq_runtime(L);
  aq_queue_init(&qo->queue, options.maxsize, kind, (struct aq_alloc){alloc, ud});
  if (options.overflow != AQ_PUT_WAITS) aq_queue_set_overflow(&qo->queue, options.overflow);
  qo->items = (struct aq_items){.has_keys = kind == AQ_PRIORITY};
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, AQ_UV_QUEUE_NAME);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  aq_note_queue(L);
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
                                   {"peek", queue_peek},
                                   {"stats", queue_stats},
                                   {NULL, NULL}};

static const luaL_Reg META[] = {
  {"__len", queue_qsize}, {"__tostring", queue_tostring}, {"__gc", queue_gc}, {NULL, NULL}};

/* internal: whether the value is a queue */
static int is_queue(lua_State *L) {
  lua_pushboolean(L, aq_test_queue(L, 1) != NULL);
  return 1;
}

/* aq.set_budget(n): 0 or nil for none */
static int set_budget(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "number of operations expected");
  aq_runtime(L)->budget = (uint32_t)n;
  return 0;
}

void aq_open_queue(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {{"is_queue", is_queue}, {NULL, NULL}};
  static const luaL_Reg FUNCTIONS[] = {{"set_budget", set_budget}, {NULL, NULL}};
  aq_setfuncs(L, FUNCTIONS);
  aq_set_internal(L, INTERNAL);
  static const luaL_Reg CLASSES[] = {
    {"Queue", queue_new}, {"LifoQueue", lifo_new}, {"PriorityQueue", priority_new}, {NULL, NULL}};
  for (const luaL_Reg *class = CLASSES; class->name != NULL; class ++)
    aq_set_class(L, class, METHODS, META);
  lua_getiuservalue(L, -2, AQ_UV_INTERNAL);
  lua_getfield(L, -2, "Queue"); /* for C, whatever a script makes of the name */
  lua_setfield(L, -2, "new_queue");
  lua_pop(L, 1);
}
