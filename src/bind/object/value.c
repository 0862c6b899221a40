/*
** value.c - Lua values without a stack.
*/
#include "value.h"

#include <string.h>

#include "bind/base/runtime.h"
#include "payload.h"

enum { PRIVATE_KEEP, PRIVATE_SLOT };

static struct aq_keep *keep_of(const struct aq_value *v) { return v->aq_private[PRIVATE_KEEP]; }

static uint32_t slot_of(const struct aq_value *v) {
  return (uint32_t)(uintptr_t)v->aq_private[PRIVATE_SLOT];
}

/* Lets go of what Lua holds for it; it is nil then. */
static void clear(struct aq_value *v) {
  struct aq_keep *k = keep_of(v);
  if (k != NULL) {
    aq_keep_free(k, slot_of(v));
    aq_keep_drop(k);
  }
  *v = (struct aq_value){.kind = AQ_V_NIL};
}

void aq_value_free(struct aq_value *v) {
  if (v == NULL) return;
  struct aq_value old = *v;
  clear(v);
  if (old.kind == AQ_V_PAYLOAD && old.as.payload.kind->destroy != NULL)
    old.as.payload.kind->destroy(old.as.payload.data);
}

bool aq_value_fits(const struct aq_value *v, const struct aq_runtime *rt) {
  const struct aq_keep *k = keep_of(v);
  switch (v->kind) {
    case AQ_V_NIL:
    case AQ_V_BOOLEAN:
    case AQ_V_INTEGER:
    case AQ_V_NUMBER: return true;
    case AQ_V_BYTES:
      if (k != NULL && k->rt == NULL) return false; /* they went with their state */
      return v->as.bytes.data != NULL || v->as.bytes.length == 0;
    case AQ_V_PAYLOAD: return v->as.payload.kind != NULL;
    case AQ_V_LUA: return k != NULL && k->rt == rt;
  }
  return false;
}

void aq_value_to_lua(lua_State *L, const struct aq_value *v) {
  switch (v->kind) {
    case AQ_V_BOOLEAN: lua_pushboolean(L, v->as.boolean); break;
    case AQ_V_INTEGER: lua_pushinteger(L, (lua_Integer)v->as.integer); break;
    case AQ_V_NUMBER: lua_pushnumber(L, v->as.number); break;
    case AQ_V_BYTES: lua_pushlstring(L, v->as.bytes.data, v->as.bytes.length); break;
    case AQ_V_PAYLOAD: aq_box_push(L); break;
    case AQ_V_LUA: aq_keep_push(L, keep_of(v), slot_of(v)); break;
    default: lua_pushnil(L);
  }
}

void aq_value_move(lua_State *L, struct aq_value *v, int idx) {
  if (v->kind == AQ_V_PAYLOAD) {
    struct aq_box *box = lua_touserdata(L, idx);
    box->data = v->as.payload.data;
    box->kind = v->as.payload.kind;
  }
  clear(v);
}

/* Lua goes on holding what is on top, for the value. */
static void anchor(lua_State *L, struct aq_keep *k, uint32_t slot, struct aq_value *v) {
  v->aq_private[PRIVATE_KEEP] = aq_keep_hold(k);
  v->aq_private[PRIVATE_SLOT] = (void *)(uintptr_t)slot;
  aq_keep_set(L, k, slot);
}

static void read_number(lua_State *L, struct aq_value *v) {
  v->kind = lua_isinteger(L, -1) ? AQ_V_INTEGER : AQ_V_NUMBER;
  if (v->kind == AQ_V_INTEGER)
    v->as.integer = lua_tointeger(L, -1);
  else
    v->as.number = lua_tonumber(L, -1);
}

/* Whether it was a full box, which is empty now. */
static bool take_payload(lua_State *L, struct aq_value *v) {
  struct aq_box *box = aq_box_test(L, -1);
  if (box == NULL || box->kind == NULL) return false;
  v->kind = AQ_V_PAYLOAD;
  v->as.payload.data = box->data;
  v->as.payload.kind = box->kind;
  box->kind = NULL;
  return true;
}

void aq_value_from_lua(lua_State *L, struct aq_keep *k, uint32_t slot, struct aq_value *v) {
  int type = lua_type(L, -1);
  *v = (struct aq_value){.kind = AQ_V_NIL};
  if (type == LUA_TSTRING) {
    v->kind = AQ_V_BYTES;
    v->as.bytes.data = lua_tolstring(L, -1, &v->as.bytes.length);
    anchor(L, k, slot, v);
    return;
  }
  if (type == LUA_TNUMBER) {
    read_number(L, v);
  } else if (type == LUA_TBOOLEAN) {
    v->kind = AQ_V_BOOLEAN;
    v->as.boolean = lua_toboolean(L, -1);
  } else if (type != LUA_TNIL && !take_payload(L, v)) {
    v->kind = AQ_V_LUA;
    anchor(L, k, slot, v);
    return;
  }
  lua_pop(L, 1);
  aq_keep_free(k, slot);
}

/* Stack: the value, light. */
static int push_protected(lua_State *L) {
  aq_value_to_lua(L, lua_touserdata(L, 1));
  return 1;
}

int aq_value_push(lua_State *L, struct aq_value *v) {
  struct aq_runtime *rt;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status != AQ_OK) return status;
  if (v == NULL || !aq_value_fits(v, rt)) return AQ_INVALID;
  if (!lua_checkstack(L, 2)) return AQ_NOMEM;
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, v);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    return AQ_NOMEM;
  }
  aq_value_move(L, v, lua_gettop(L));
  return AQ_OK;
}
