/*
** error.c - the error values.
*/
#include "error.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

#include "place.h"

struct error {
  const struct aq_kind *kind;
  bool is_bare;
};

#define ERROR_TYPE "aq.Error"

enum { UV_MESSAGE = 1, UV_FIELDS = 2, UV_COUNT = 2 }; /* nil: the kind's; nil: none */

static const struct aq_kind KINDS[AQ_E_COUNT] = {
  [AQ_E_CANCELLED] = {"CancelledError", "the task was cancelled", NULL},
  [AQ_E_TIMEOUT] = {"TimeoutError", "the time is up", NULL},
  [AQ_E_QUEUE_EMPTY] = {"QueueEmpty", "no item is free in the queue", NULL},
  [AQ_E_QUEUE_FULL] = {"QueueFull", "no slot is free in the queue", NULL},
  [AQ_E_QUEUE_SHUTDOWN] = {"QueueShutDown", "the queue has been shut down", NULL},
  [AQ_E_INVALID_STATE] = {"InvalidStateError", "the result is not there yet, or already", NULL},
  [AQ_E_BROKEN_BARRIER] = {"BrokenBarrierError", "the barrier was broken", NULL},
  [AQ_E_DEADLOCK] = {"DeadlockError", "nothing can ever wake the waiting tasks", NULL},
};

void aq_error_push_new(lua_State *L, const struct aq_kind *kind, bool is_bare) {
  struct error *e = lua_newuserdatauv(L, sizeof *e, UV_COUNT);
  *e = (struct error){kind, is_bare};
  luaL_setmetatable(L, ERROR_TYPE);
}

void aq_error_set_message(lua_State *L, int idx) { lua_setiuservalue(L, idx, UV_MESSAGE); }

void aq_error_set_field(lua_State *L, int idx, const char *key) {
  idx = lua_absindex(L, idx);
  if (lua_getiuservalue(L, idx, UV_FIELDS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, UV_FIELDS);
  }
  lua_insert(L, -2);
  lua_setfield(L, -2, key);
  lua_pop(L, 1);
}

const struct aq_kind *aq_error_kind_of(lua_State *L, int idx) {
  const struct error *e = luaL_testudata(L, idx, ERROR_TYPE);
  return e != NULL ? e->kind : NULL;
}

bool aq_error_is_own(lua_State *L, int idx) {
  const struct error *e = luaL_testudata(L, idx, ERROR_TYPE);
  return e != NULL && !e->is_bare;
}

const struct aq_kind *aq_error_own_kind(lua_State *L, const char *name) {
  for (int kind = 0; kind < AQ_E_COUNT; kind++) {
    if (strcmp(KINDS[kind].name, name) != 0) continue;
    lua_rawgeti(L, -1, kind + 1);
    return &KINDS[kind];
  }
  return NULL;
}

static bool is_kind_of(const struct aq_kind *kind, const struct aq_kind *ancestor) {
  while (kind != NULL && kind != ancestor) kind = kind->parent;
  return kind != NULL;
}

void aq_error_push_of(lua_State *L, struct aq_runtime *rt, enum aq_error_kind kind) {
  aq_runtime_push_uv(L, rt, AQ_UV_ERRORS);
  lua_rawgeti(L, -1, (lua_Integer)kind + 1);
  lua_remove(L, -2);
}

void aq_error_push(lua_State *L, enum aq_error_kind kind) {
  aq_error_push_of(L, aq_runtime_of(L), kind);
}

void aq_error_push_with(lua_State *L, enum aq_error_kind kind) {
  aq_error_push_new(L, &KINDS[kind], false);
  lua_insert(L, -2);
  aq_error_set_message(L, -2);
}

bool aq_error_is(lua_State *L, int idx, enum aq_error_kind kind) {
  const struct error *e = luaL_testudata(L, idx, ERROR_TYPE);
  return e != NULL && is_kind_of(e->kind, &KINDS[kind]);
}

bool aq_error_is_exit(lua_State *L, const struct aq_runtime *rt, int idx) {
  return rt->is_leaving && aq_error_is(L, idx, AQ_E_CANCELLED);
}

static enum aq_error_kind kind_of(enum aq_status status) {
  switch (status) {
    case AQ_CANCELLED: return AQ_E_CANCELLED;
    case AQ_TIMEDOUT: return AQ_E_TIMEOUT;
    case AQ_EMPTY: return AQ_E_QUEUE_EMPTY;
    case AQ_FULL: return AQ_E_QUEUE_FULL;
    case AQ_SHUTDOWN: return AQ_E_QUEUE_SHUTDOWN;
    case AQ_DEADLOCK: return AQ_E_DEADLOCK;
    default: return AQ_E_COUNT;
  }
}

void aq_error_push_status(lua_State *L, enum aq_status status) {
  enum aq_error_kind kind = kind_of(status);
  if (kind == AQ_E_COUNT)
    lua_pushstring(L, aq_status_text(status));
  else
    aq_error_push(L, kind);
}

int aq_error_raise(lua_State *L, enum aq_status status) {
  enum aq_error_kind kind = kind_of(status);
  if (kind == AQ_E_COUNT) return luaL_error(L, "%s", aq_status_text(status));
  aq_error_push(L, kind);
  return lua_error(L);
}

int aq_error_invalid_state(lua_State *L, const char *message) {
  lua_pushstring(L, message);
  aq_error_push_with(L, AQ_E_INVALID_STATE);
  return lua_error(L);
}

/* Pushes "chunk:line: " of who called into the library, or "". */
static void push_where(lua_State *L) {
  bool is_known = aq_push_line(L, L, 1);
  lua_pushfstring(L, is_known ? "%s: " : "", lua_tostring(L, -1));
  lua_remove(L, -2);
}

int aq_error_misuse(lua_State *L, const char *format, ...) {
  va_list args;
  push_where(L);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

const char *aq_error_push_type(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  int type = luaL_getmetafield(L, idx, "__name");
  bool is_finalized = aq_test_object(L, idx, aq_finalized_class, sizeof(void *)) != NULL;
  if (type == LUA_TSTRING && is_finalized)
    return lua_pushfstring(L, "a finalized %s", lua_tostring(L, -1));
  if (type == LUA_TSTRING) return lua_tostring(L, -1);
  if (type != LUA_TNIL) lua_pop(L, 1);
  return lua_pushstring(L, luaL_typename(L, idx));
}

int aq_error_type(lua_State *L, int idx, const char *expected) {
  const char *got = aq_error_push_type(L, idx);
  return luaL_argerror(L, idx, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

int aq_error_text(lua_State *L) {
  if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL);
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return 1;
}

static const struct error *check_error(lua_State *L, int idx) {
  return luaL_checkudata(L, idx, ERROR_TYPE);
}

/* Pushes the message: the value's own or the fixed sentence of its kind. */
static void push_message(lua_State *L, int idx, const struct error *e) {
  if (lua_getiuservalue(L, idx, UV_MESSAGE) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_pushstring(L, e->kind->message);
}

static int error_tostring(lua_State *L) {
  const struct error *e = check_error(L, 1);
  push_message(L, 1, e);
  lua_pushfstring(L, "%s: %s", e->kind->name, luaL_tolstring(L, -1, NULL));
  return 1;
}

/* The bare value of a kind equals all errors of the kinds below it, too. */
static bool is_covered(const struct error *e, const struct error *other) {
  return e->kind == other->kind || (other->is_bare && is_kind_of(e->kind, other->kind));
}

static int error_eq(lua_State *L) {
  const struct error *a = luaL_testudata(L, 1, ERROR_TYPE);
  const struct error *b = luaL_testudata(L, 2, ERROR_TYPE);
  lua_pushboolean(L, a != NULL && b != NULL && (is_covered(a, b) || is_covered(b, a)));
  return 1;
}

static bool is_plain_function(lua_State *L, int idx) {
  if (!lua_iscfunction(L, idx)) return false;
  return lua_getupvalue(L, idx, 1) == NULL;
}

static int method_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/*
** A string's method, called on an error value: upvalue 1 is the method. One in C runs in the place of
** this function, so that what it complains of is located at the caller.
*/
static int call_on_text(lua_State *L) {
  if (luaL_testudata(L, 1, ERROR_TYPE) != NULL) {
    luaL_tolstring(L, 1, NULL);
    lua_replace(L, 1);
  }
  if (is_plain_function(L, lua_upvalueindex(1))) return lua_tocfunction(L, lua_upvalueindex(1))(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, method_end);
  return method_end(L, LUA_OK, 0);
}

/* Pushes the method that strings have under the key at 2, for the text of an error value; or nil. */
static void push_string_method(lua_State *L) {
  lua_pushliteral(L, "");
  bool has_methods = luaL_getmetafield(L, -1, "__index") == LUA_TTABLE;
  if (has_methods) lua_getfield(L, -1, lua_tostring(L, 2));
  if (has_methods && lua_isfunction(L, -1))
    lua_pushcclosure(L, call_on_text, 1);
  else
    lua_pushnil(L);
}

/* The operand at `idx` becomes its text, if it is an error value. Refuses what no string can be joined
** with. */
static void prepare_operand(lua_State *L, int idx) {
  if (luaL_testudata(L, idx, ERROR_TYPE) != NULL) {
    luaL_tolstring(L, idx, NULL);
    lua_replace(L, idx);
  } else if (!lua_isstring(L, idx)) {
    if (luaL_getmetafield(L, idx, "__concat") == LUA_TNIL)
      luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, idx));
    lua_pop(L, 1);
  }
}

static int error_concat(lua_State *L) {
  prepare_operand(L, 1);
  prepare_operand(L, 2);
  lua_concat(L, 2);
  return 1;
}

/* Pushes the field under the key at 2; false, and nothing pushed, if there is none. */
static bool push_field(lua_State *L) {
  int top = lua_gettop(L);
  if (lua_getiuservalue(L, 1, UV_FIELDS) == LUA_TTABLE) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return true;
  }
  lua_settop(L, top);
  return false;
}

static int error_index(lua_State *L) {
  const struct error *e = check_error(L, 1);
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *key = lua_tostring(L, 2);
  if (strcmp(key, "name") == 0)
    lua_pushstring(L, e->kind->name);
  else if (strcmp(key, "message") == 0)
    push_message(L, 1, e);
  else if (!push_field(L))
    push_string_method(L);
  return 1;
}

/* internal: what the value is, for a message */
static int type_name(lua_State *L) {
  aq_error_push_type(L, 1);
  return 1;
}

/* internal.with_stored(err, n): the error value again, with a field `stored` */
static int with_stored(lua_State *L) {
  const struct error *e = check_error(L, 1);
  aq_error_push_new(L, e->kind, false);
  lua_getiuservalue(L, 1, UV_MESSAGE);
  aq_error_set_message(L, -2);
  lua_pushvalue(L, 2);
  aq_error_set_field(L, -2, "stored");
  return 1;
}

void aq_error_open(lua_State *L, struct aq_runtime *rt) {
  static const luaL_Reg META[] = {{"__tostring", error_tostring},
                                  {"__eq", error_eq},
                                  {"__index", error_index},
                                  {"__concat", error_concat},
                                  {NULL, NULL}};
  static const luaL_Reg INTERNAL[] = {
    {"with_stored", with_stored}, {"type_name", type_name}, {NULL, NULL}};
  int module = lua_gettop(L);
  lua_getiuservalue(L, module - 1, AQ_UV_INTERNAL);
  luaL_setfuncs(L, INTERNAL, 0);
  lua_pop(L, 1);
  if (luaL_newmetatable(L, ERROR_TYPE)) luaL_setfuncs(L, META, 0);
  lua_pop(L, 1);
  lua_createtable(L, AQ_E_COUNT, 0);
  for (int kind = 0; kind < AQ_E_COUNT; kind++) {
    aq_error_push_new(L, &KINDS[kind], true);
    lua_pushvalue(L, -1);
    lua_setfield(L, module, KINDS[kind].name);
    lua_rawseti(L, -2, kind + 1);
  }
  aq_runtime_push(L, rt);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, AQ_UV_ERRORS);
  lua_settop(L, module);
}
