/*
** cqueue.c - queues from C: holding them, and what does not wait.
**
** All that may raise runs in a protected call on the state that drives, since there is no other
** stack; one that is inside a task's step is not disturbed by that.
*/
#include "cqueue.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

enum aq_status aq_cqueue_enter(const struct aq_cqueue *q) {
  if (q == NULL) return AQ_INVALID;
  if (q->keep->rt == NULL || q->qo->class != aq_queue_class) return AQ_CLOSED;
  return aq_runtime_check_thread(q->keep->rt);
}

/* Arrays of ours that do not grow raise a text. */
enum aq_status aq_cqueue_pop_error(lua_State *L, int lua_status) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool is_memory = lua_status == LUA_ERRMEM || strcmp(text, "not enough memory") == 0;
  lua_pop(L, 1);
  return is_memory ? AQ_NOMEM : AQ_ERROR;
}

enum aq_status aq_cqueue_call(const struct aq_cqueue *q, lua_CFunction function, void *arg) {
  lua_State *L = q->keep->rt->L;
  if (!lua_checkstack(L, 2)) return AQ_NOMEM;
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, arg);
  int status = lua_pcall(L, 1, 0, 0);
  return status == LUA_OK ? AQ_OK : aq_cqueue_pop_error(L, status);
}

/* ---- holding --------------------------------------------------------------------------------- */

/* A block that holds nothing yet, or NULL. */
static struct aq_cqueue *new_block(struct aq_runtime *rt) {
  struct aq_keep *keep = aq_keep_of(rt);
  struct aq_cqueue *q = keep != NULL ? malloc(sizeof *q) : NULL;
  if (q != NULL) *q = (struct aq_cqueue){.refs = 1, .keep = aq_keep_hold(keep)};
  return q;
}

struct aq_cqueue *aq_cqueue_hold(struct aq_cqueue *q) {
  if (q != NULL) q->refs++;
  return q;
}

void aq_cqueue_drop(struct aq_cqueue *q) {
  if (q == NULL || --q->refs > 0) return;
  aq_keep_free(q->keep, q->slot);
  aq_keep_drop(q->keep);
  free(q);
}

/* Stack: the block, light; above it the queue. */
static int hold_protected(lua_State *L) {
  struct aq_cqueue *q = lua_touserdata(L, 1);
  q->qo = lua_touserdata(L, 2);
  q->slot = aq_keep_slot(L, q->keep);
  aq_keep_set(L, q->keep, q->slot);
  return 0;
}

int aq_cqueue_at(lua_State *L, int idx, struct aq_cqueue **q) {
  struct aq_runtime *rt;
  if (q == NULL) return AQ_INVALID;
  *q = NULL;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  struct aq_queue_object *qo = aq_test_queue(L, idx);
  if (qo == NULL || qo->rt != rt) return AQ_INVALID;
  idx = lua_absindex(L, idx);
  struct aq_cqueue *block = lua_checkstack(L, 3) ? new_block(rt) : NULL;
  if (block == NULL) return AQ_NOMEM;
  lua_pushcfunction(L, hold_protected);
  lua_pushlightuserdata(L, block);
  lua_pushvalue(L, idx);
  int lua_status = lua_pcall(L, 2, 0, 0);
  if (lua_status == LUA_OK) {
    *q = block;
    return AQ_OK;
  }
  aq_cqueue_drop(block);
  return aq_cqueue_pop_error(L, lua_status);
}

/* Stack: maxsize, name or nil. Returns the queue. */
static int new_protected(lua_State *L) {
  aq_runtime_push_uv(L, aq_runtime_of(L), AQ_UV_INTERNAL);
  lua_getfield(L, 3, "new_queue");
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "maxsize");
  if (!lua_isnil(L, 2))
    lua_pushstring(L, lua_touserdata(L, 2));
  else
    lua_pushnil(L);
  lua_setfield(L, -2, "name");
  lua_call(L, 1, 1);
  return 1;
}

int aq_cqueue_new(lua_State *L, struct aq_cqueue **q, size_t maxsize, const char *name) {
  struct aq_runtime *rt;
  if (q == NULL) return AQ_INVALID;
  *q = NULL;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  if (maxsize > (size_t)LUA_MAXINTEGER) return AQ_INVALID;
  if (!lua_checkstack(L, 3)) return AQ_NOMEM;
  lua_pushcfunction(L, new_protected);
  lua_pushinteger(L, (lua_Integer)maxsize);
  if (name != NULL)
    lua_pushlightuserdata(L, (void *)name);
  else
    lua_pushnil(L);
  int lua_status = lua_pcall(L, 2, 1, 0);
  if (lua_status != LUA_OK) return aq_cqueue_pop_error(L, lua_status);
  status = aq_cqueue_at(L, -1, q);
  lua_pop(L, 1);
  return status;
}

int aq_cqueue_push(lua_State *L, struct aq_cqueue *q) {
  struct aq_runtime *rt;
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  if (rt != q->keep->rt) return AQ_INVALID;
  if (!lua_checkstack(L, 3)) return AQ_NOMEM;
  aq_cqueue_push_object(L, q);
  return AQ_OK;
}

/* ---- put and get ------------------------------------------------------------------------------ */

struct transfer {
  struct aq_cqueue *q;
  struct aq_value *v;
  enum aq_status status;
};

/* Stack: queue and value. */
static enum aq_status put(lua_State *L, struct aq_queue_object *qo) {
  struct aq_item item;
  aq_queue_prepare_put(L, qo, 2, &item);
  return aq_queue_put_or_drop(L, qo, &item);
}

static int put_protected(lua_State *L) {
  struct transfer *t = lua_touserdata(L, 1);
  lua_settop(L, 0);
  aq_cqueue_push_object(L, t->q);
  aq_value_to_lua(L, t->v);
  t->status = put(L, t->q->qo);
  if (t->status == AQ_OK) aq_value_move(L, t->v, 2);
  return 0;
}

int aq_cqueue_put(struct aq_cqueue *q, struct aq_value *v) {
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  if (v == NULL || !aq_value_fits(v, q->keep->rt)) return AQ_INVALID;
  struct transfer t = {q, v, AQ_OK};
  status = aq_cqueue_call(q, put_protected, &t);
  return status == AQ_OK ? t.status : status;
}

/* Stack: value; the transfer, light. */
static int put_at_protected(lua_State *L) {
  struct transfer *t = lua_touserdata(L, 2);
  lua_settop(L, 1);
  aq_cqueue_push_object(L, t->q);
  lua_insert(L, 1);
  t->status = put(L, t->q->qo);
  return 0;
}

int aq_cqueue_put_at(lua_State *L, int idx, struct aq_cqueue *q) {
  struct aq_runtime *rt;
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  if (rt != q->keep->rt || lua_type(L, idx) == LUA_TNONE) return AQ_INVALID;
  struct transfer t = {.q = q};
  idx = lua_absindex(L, idx);
  if (!lua_checkstack(L, 3)) return AQ_NOMEM;
  lua_pushcfunction(L, put_at_protected);
  lua_pushvalue(L, idx);
  lua_pushlightuserdata(L, &t);
  int lua_status = lua_pcall(L, 2, 0, 0);
  return lua_status == LUA_OK ? t.status : aq_cqueue_pop_error(L, lua_status);
}

/* The slot comes first: making room may run a finalizer, which may take the item. */
static int get_protected(lua_State *L) {
  struct transfer *t = lua_touserdata(L, 1);
  struct aq_queue_object *qo = t->q->qo;
  struct aq_item item;
  uint32_t slot = aq_keep_slot(L, t->q->keep);
  lua_settop(L, 0);
  aq_cqueue_push_object(L, t->q);
  t->status = aq_queue_get_now(&qo->queue, &item);
  if (t->status == AQ_OK) {
    aq_queue_push_item(L, qo, item);
    aq_value_from_lua(L, t->q->keep, slot, t->v);
  } else {
    aq_keep_free(t->q->keep, slot);
  }
  return 0;
}

int aq_cqueue_get(struct aq_cqueue *q, struct aq_value *v) {
  if (v == NULL) return AQ_INVALID;
  *v = (struct aq_value){.kind = AQ_V_NIL};
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  struct transfer t = {q, v, AQ_OK};
  status = aq_cqueue_call(q, get_protected, &t);
  return status == AQ_OK ? t.status : status;
}

/* ---- done, shutdown, looking ------------------------------------------------------------------ */

int aq_cqueue_done(struct aq_cqueue *q) {
  enum aq_status status = aq_cqueue_enter(q);
  return status == AQ_OK ? aq_queue_done(&q->qo->queue) : status;
}

static int discard_protected(lua_State *L) {
  const struct aq_cqueue *q = lua_touserdata(L, 1);
  struct aq_item item;
  lua_settop(L, 0);
  aq_cqueue_push_object(L, q);
  while (aq_queue_discard(&q->qo->queue, &item)) {
    aq_queue_push_item(L, q->qo, item);
    lua_settop(L, 1);
  }
  aq_queue_shutdown_now(&q->qo->queue);
  return 0;
}

int aq_cqueue_shutdown(struct aq_cqueue *q, int immediate) {
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  if (immediate) return aq_cqueue_call(q, discard_protected, q);
  aq_queue_shutdown(&q->qo->queue);
  return AQ_OK;
}

size_t aq_cqueue_size(const struct aq_cqueue *q) {
  return aq_cqueue_enter(q) == AQ_OK ? aq_queue_size(&q->qo->queue) : 0;
}

size_t aq_cqueue_maxsize(const struct aq_cqueue *q) {
  return aq_cqueue_enter(q) == AQ_OK ? q->qo->queue.maxsize : 0;
}

int aq_cqueue_is_full(const struct aq_cqueue *q) {
  return aq_cqueue_enter(q) == AQ_OK && aq_queue_is_full(&q->qo->queue);
}

int aq_cqueue_is_empty(const struct aq_cqueue *q) {
  return aq_cqueue_enter(q) != AQ_OK || aq_queue_is_empty(&q->qo->queue);
}

int aq_cqueue_is_shutdown(const struct aq_cqueue *q) {
  return aq_cqueue_enter(q) != AQ_OK || q->qo->queue.is_shutdown;
}
