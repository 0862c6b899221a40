/*
** from_c.c - queues from C for specs written in Lua: a module that calls the functions of aqlua.h one
** by one. Statuses are strings. A table {payload = n} stands for a payload, when it is given.
*/
#include <lauxlib.h>
#include <stdlib.h>

#include "aqlua.h"

static const char HANDLE[] = "from_c.Handle", WAIT[] = "from_c.Wait";

/* ---- payloads --------------------------------------------------------------------------------- */

static long made, destroyed;

static void destroy(void *p) {
  destroyed++;
  free(p);
}

static const struct aq_payload_kind CRATE = {"crate", destroy}, BARREL = {"barrel", destroy};

static int payload_count(lua_State *L) {
  lua_pushinteger(L, made);
  lua_pushinteger(L, destroyed);
  return 2;
}

static int open_crate(lua_State *L) {
  lua_pushinteger(L, *(int *)aq_check_payload(L, 1, &CRATE));
  return 1;
}

static int open_barrel(lua_State *L) {
  lua_pushinteger(L, *(int *)aq_check_payload(L, 1, &BARREL));
  return 1;
}

/* ---- statuses and values ----------------------------------------------------------------------- */

static int push_status(lua_State *L, int status) {
  static const char *const NAMES[] = {"ok",     "empty",   "full",  "shutdown", "timedout",
                                      "cancel", "dead",    "over",  "nomem",    "closed",
                                      "busy",   "invalid", "wrong", "error"};
  lua_pushstring(L, NAMES[status]);
  return 1;
}

static struct aq_value value_at(lua_State *L, int idx) {
  struct aq_value v = {.kind = AQ_V_NIL};
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN:
      v.kind = AQ_V_BOOLEAN;
      v.as.boolean = lua_toboolean(L, idx);
      break;
    case LUA_TNUMBER:
      v.kind = lua_isinteger(L, idx) ? AQ_V_INTEGER : AQ_V_NUMBER;
      if (v.kind == AQ_V_INTEGER)
        v.as.integer = lua_tointeger(L, idx);
      else
        v.as.number = lua_tonumber(L, idx);
      break;
    case LUA_TSTRING:
      v.kind = AQ_V_BYTES;
      v.as.bytes.data = lua_tolstring(L, idx, &v.as.bytes.length);
      break;
    case LUA_TTABLE:
      lua_getfield(L, idx, "payload");
      v.kind = AQ_V_PAYLOAD;
      v.as.payload.kind = &CRATE;
      v.as.payload.data = malloc(sizeof(int));
      *(int *)v.as.payload.data = (int)lua_tointeger(L, -1);
      lua_pop(L, 1);
      made++;
  }
  return v;
}

static const char *kind_name(const struct aq_value *v) {
  static const char *const NAMES[] = {"nil",   "boolean", "integer", "number",
                                      "bytes", "payload", "lua"};
  return NAMES[v->kind];
}

/* Pushes status, kind, value. */
static int push_outcome(lua_State *L, int status, struct aq_value *v) {
  push_status(L, status);
  lua_pushstring(L, kind_name(v));
  if (aq_value_push(L, v) != AQ_OK) luaL_error(L, "no value");
  return 3;
}

/* ---- queues ------------------------------------------------------------------------------------ */

static struct aq_cqueue *queue_at(lua_State *L, int idx) {
  return *(struct aq_cqueue **)luaL_checkudata(L, idx, HANDLE);
}

static struct aq_cqueue **new_handle(lua_State *L) {
  struct aq_cqueue **q = lua_newuserdatauv(L, sizeof *q, 0);
  *q = NULL;
  luaL_setmetatable(L, HANDLE);
  return q;
}

static int hold(lua_State *L) {
  int status = aq_cqueue_at(L, 1, new_handle(L));
  return status == AQ_OK ? 1 : push_status(L, status);
}

static int new_queue(lua_State *L) {
  size_t maxsize = (size_t)luaL_optinteger(L, 1, 0);
  int status = aq_cqueue_new(L, new_handle(L), maxsize, luaL_optstring(L, 2, NULL));
  return status == AQ_OK ? 1 : push_status(L, status);
}

static int to_lua(lua_State *L) {
  int status = aq_cqueue_push(L, queue_at(L, 1));
  return status == AQ_OK ? 1 : push_status(L, status);
}

static int drop(lua_State *L) {
  struct aq_cqueue **q = luaL_checkudata(L, 1, HANDLE);
  aq_cqueue_drop(*q);
  *q = NULL;
  return 0;
}

static int put(lua_State *L) {
  struct aq_value v = value_at(L, 2);
  push_status(L, aq_cqueue_put(queue_at(L, 1), &v));
  lua_pushstring(L, kind_name(&v));
  aq_value_free(&v);
  return 2;
}

static int put_at(lua_State *L) {
  int status = aq_cqueue_put_at(L, 2, queue_at(L, 1));
  return lua_gettop(L) == 2 ? push_status(L, status) : 0;
}

static int get(lua_State *L) {
  struct aq_value v;
  int status = aq_cqueue_get(queue_at(L, 1), &v);
  return push_outcome(L, status, &v);
}

/* From one queue to another, without Lua. */
static int pass(lua_State *L) {
  struct aq_value v;
  int status = aq_cqueue_get(queue_at(L, 1), &v);
  if (status == AQ_OK) status = aq_cqueue_put(queue_at(L, 2), &v);
  aq_value_free(&v);
  return push_status(L, status);
}

static int done(lua_State *L) { return push_status(L, aq_cqueue_done(queue_at(L, 1))); }

static int shut_down(lua_State *L) {
  return push_status(L, aq_cqueue_shutdown(queue_at(L, 1), lua_toboolean(L, 2)));
}

static int look(lua_State *L) {
  const struct aq_cqueue *q = queue_at(L, 1);
  lua_pushinteger(L, (lua_Integer)aq_cqueue_size(q));
  lua_pushinteger(L, (lua_Integer)aq_cqueue_maxsize(q));
  lua_pushboolean(L, aq_cqueue_is_full(q));
  lua_pushboolean(L, aq_cqueue_is_empty(q));
  lua_pushboolean(L, aq_cqueue_is_shutdown(q));
  return 5;
}

/* ---- waits ------------------------------------------------------------------------------------- */

struct wait {
  struct aq_cwait wait;
  lua_State *L;
  int self; /* references of the registry's */
  int function;
};

static void forget(struct wait *w) {
  luaL_unref(w->L, LUA_REGISTRYINDEX, w->self);
  luaL_unref(w->L, LUA_REGISTRYINDEX, w->function);
  w->self = w->function = LUA_NOREF;
}

static void on_done(struct aq_cwait *wait, int status, struct aq_value *v) {
  struct wait *w = wait->ud;
  lua_State *L = w->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, w->function);
  forget(w);
  lua_call(L, push_outcome(L, status, v), 0);
}

static struct wait *new_wait(lua_State *L, int function) {
  luaL_checktype(L, function, LUA_TFUNCTION);
  lua_settop(L, function);
  struct wait *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (struct wait){.wait = {.done = on_done, .ud = w}};
  luaL_setmetatable(L, WAIT);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  w->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  w->self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, function);
  w->function = luaL_ref(L, LUA_REGISTRYINDEX);
  return w;
}

static uint64_t timeout_at(lua_State *L, int idx) {
  return lua_isnil(L, idx) ? AQ_FOREVER : (uint64_t)(luaL_checknumber(L, idx) * 1e9);
}

static int began(lua_State *L, struct wait *w, int status) {
  if (status == AQ_OK) return 1;
  forget(w);
  return push_status(L, status);
}

static int put_wait(lua_State *L) {
  struct aq_cqueue *q = queue_at(L, 1);
  struct wait *w = new_wait(L, 4);
  struct aq_value v = value_at(L, 2);
  int status = aq_cqueue_put_wait(q, &w->wait, &v, timeout_at(L, 3));
  aq_value_free(&v);
  return began(L, w, status);
}

static int get_wait(lua_State *L) {
  struct aq_cqueue *q = queue_at(L, 1);
  struct wait *w = new_wait(L, 3);
  return began(L, w, aq_cqueue_get_wait(q, &w->wait, timeout_at(L, 2)));
}

static int cancel(lua_State *L) {
  struct wait *w = luaL_checkudata(L, 1, WAIT);
  forget(w);
  return push_status(L, aq_cwait_cancel(&w->wait));
}

/* A second wait with the struct of one that waits. */
static int again(lua_State *L) {
  struct wait *w = luaL_checkudata(L, 2, WAIT);
  return push_status(L, aq_cqueue_get_wait(queue_at(L, 1), &w->wait, AQ_FOREVER));
}

__attribute__((visibility("default"))) int luaopen_from_c(lua_State *L);

int luaopen_from_c(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"payload_count", payload_count},
                                       {"open_crate", open_crate},
                                       {"open_barrel", open_barrel},
                                       {"hold", hold},
                                       {"new", new_queue},
                                       {"to_lua", to_lua},
                                       {"drop", drop},
                                       {"put", put},
                                       {"put_at", put_at},
                                       {"get", get},
                                       {"pass", pass},
                                       {"done", done},
                                       {"shutdown", shut_down},
                                       {"look", look},
                                       {"put_wait", put_wait},
                                       {"get_wait", get_wait},
                                       {"cancel", cancel},
                                       {"again", again},
                                       {NULL, NULL}};
  luaL_newmetatable(L, WAIT);
  luaL_newmetatable(L, HANDLE);
  lua_pushcfunction(L, drop);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, FUNCTIONS);
  return 1;
}
