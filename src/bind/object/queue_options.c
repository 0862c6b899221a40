/*
** queue_options.c - checking the options one by one; what is wrong is an error that names the option.
*/
#include "queue_options.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/base/error.h"
#include "queue_object.h"

/* The integer at `idx` as a bound; 0 for nil and for what is not positive. */
static size_t check_maxsize(lua_State *L, int idx) {
  int is_integer;
  lua_Integer n = lua_tointegerx(L, idx, &is_integer);
  if (lua_isnoneornil(L, idx)) return 0;
  if (lua_type(L, idx) != LUA_TNUMBER || !is_integer)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "maxsize: integer expected, got %s",
                                  lua_type(L, idx) == LUA_TNUMBER ? "a number without integer value"
                                                                  : aq_error_push_type(L, idx)));
  return n > 0 ? (size_t)n : 0;
}

/* Pushes the option `name` of the table at 1: nil or a string. False if it is nil. */
static bool push_string(lua_State *L, const char *name) {
  int type = lua_getfield(L, 1, name);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_argerror(
      L, 1, lua_pushfstring(L, "%s: string expected, got %s", name, aq_error_push_type(L, -1)));
  return type != LUA_TNIL;
}

static enum aq_overflow check_overflow(lua_State *L, enum aq_order_kind kind, size_t maxsize) {
  if (!push_string(L, "overflow")) return AQ_PUT_WAITS;
  const char *name = lua_tostring(L, -1);
  enum aq_overflow overflow = AQ_DROP_OLDEST;
  while (overflow <= AQ_DROP_NEWEST && strcmp(name, aq_overflow_names[overflow]) != 0) overflow++;
  if (overflow > AQ_DROP_NEWEST)
    luaL_argerror(
      L, 1,
      lua_pushfstring(L, "overflow: 'drop_oldest' or 'drop_newest' expected, got '%s'", name));
  if (kind != AQ_FIFO)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "overflow: a %s cannot drop items", aq_queue_names[kind]));
  if (maxsize == 0) luaL_argerror(L, 1, "overflow: a maxsize of 1 or more expected beside it");
  return overflow;
}

static void refuse_unknown(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(key, "maxsize") != 0 && strcmp(key, "name") != 0 && strcmp(key, "overflow") != 0)
      luaL_argerror(L, 1, lua_pushfstring(L, "unknown option '%s'", key));
    lua_pop(L, 1);
  }
}

struct aq_queue_options aq_queue_read_options(lua_State *L, enum aq_order_kind kind) {
  struct aq_queue_options options = {0, AQ_PUT_WAITS};
  lua_settop(L, 1);
  if (!lua_istable(L, 1)) {
    options.maxsize = check_maxsize(L, 1);
    lua_pushnil(L);
    return options;
  }
  refuse_unknown(L);
  lua_getfield(L, 1, "maxsize");
  options.maxsize = check_maxsize(L, -1);
  options.overflow = check_overflow(L, kind, options.maxsize);
  push_string(L, "name");
  return options;
}
