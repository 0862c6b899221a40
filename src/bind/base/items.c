/*
** items.c - packing, unpacking and comparing.
*/
#include "items.h"

#include <lauxlib.h>
#include <string.h>

/* Tags of items. Those of the types that fit into the bits are the type's own number. */
enum {
  TAG_FLOAT = LUA_NUMTYPES, /* bits: a float's */
  TAG_MARKED,               /* has still to be shelved */
  TAG_SHELVED,              /* bits: slot of the value */
  TAG_PAIR                  /* bits: slot of the value, and above it the slot of the key */
};

enum { SHELF_KEEP = 1024 }; /* slots an empty shelf may keep */

/* Packs the value at 2 if the kernel can hold it. Integers come first: they are the hot case. */
static bool hold(lua_State *L, struct aq_item *item) {
  if (lua_isinteger(L, 2)) {
    *item = (struct aq_item){(uint64_t)lua_tointeger(L, 2), LUA_TNUMBER};
    return true;
  }
  int type = lua_type(L, 2);
  *item = (struct aq_item){0, (uint64_t)type};
  if (type == LUA_TNUMBER) {
    lua_Number n = lua_tonumber(L, 2);
    item->tag = TAG_FLOAT;
    memcpy(&item->bits, &n, sizeof n);
  } else if (type == LUA_TBOOLEAN) {
    item->bits = (uint64_t)lua_toboolean(L, 2);
  } else if (type == LUA_TLIGHTUSERDATA) {
    item->bits = (uint64_t)(uintptr_t)lua_touserdata(L, 2);
  } else if (type != LUA_TNIL) {
    item->tag = TAG_MARKED;
  }
  return item->tag != TAG_MARKED;
}

void aq_items_prepare(lua_State *L, struct aq_items *items, struct aq_item *item) {
  if (!hold(L, item)) aq_shelf_reserve(L, &items->shelf, 2, 1, AQ_UV_SHELF);
}

static uint32_t put_on_shelf(lua_State *L, struct aq_items *items, int idx) {
  lua_getiuservalue(L, 1, AQ_UV_SHELF);
  uint32_t slot = aq_shelf_put(L, &items->shelf, -1, idx);
  lua_pop(L, 1);
  return slot;
}

/* Whether the value at 2 is ordered by something else than itself. */
static bool has_other_key(lua_State *L, const struct aq_items *items) {
  return items->has_keys && !lua_rawequal(L, 2, 3);
}

void aq_items_shelve(lua_State *L, struct aq_items *items, struct aq_item *item) {
  if (item->tag != TAG_MARKED) return;
  *item = (struct aq_item){put_on_shelf(L, items, 2), TAG_SHELVED};
  if (!has_other_key(L, items)) return;
  item->bits |= (uint64_t)put_on_shelf(L, items, 3) << 32;
  item->tag = TAG_PAIR;
}

struct aq_item aq_items_restore(lua_State *L, struct aq_items *items, bool is_shelved,
                                uint64_t bits) {
  struct aq_item item = {bits, has_other_key(L, items) ? TAG_PAIR : TAG_SHELVED};
  if (!is_shelved) hold(L, &item);
  return item;
}

bool aq_items_is_shelved(struct aq_item item) {
  return item.tag == TAG_SHELVED || item.tag == TAG_PAIR;
}

/* Pushes the value of an item that the kernel holds in full. */
static void push_held(lua_State *L, struct aq_item item) {
  lua_Number n;
  switch (item.tag) {
    case LUA_TNUMBER: lua_pushinteger(L, (lua_Integer)item.bits); break;
    case LUA_TBOOLEAN: lua_pushboolean(L, (int)item.bits); break;
    case LUA_TLIGHTUSERDATA: lua_pushlightuserdata(L, (void *)(uintptr_t)item.bits); break;
    case TAG_FLOAT:
      memcpy(&n, &item.bits, sizeof n);
      lua_pushnumber(L, n);
      break;
    default: lua_pushnil(L);
  }
}

/* A large shelf that has become empty is given up: its table goes to the collector. */
static void trim_shelf(lua_State *L, int queue, struct aq_items *items) {
  if (items->shelf.capacity <= SHELF_KEEP || aq_shelf_count(&items->shelf) > 0) return;
  aq_shelf_free(L, &items->shelf);
  lua_pushnil(L);
  lua_setiuservalue(L, queue, AQ_UV_SHELF);
}

static inline int push_item(lua_State *L, int queue, struct aq_items *items, struct aq_item item) {
  if (!aq_items_is_shelved(item)) {
    push_held(L, item);
    return 1;
  }
  lua_getiuservalue(L, queue, AQ_UV_SHELF);
  aq_shelf_take(L, &items->shelf, -1, (uint32_t)item.bits);
  if (item.tag == TAG_PAIR) {
    aq_shelf_take(L, &items->shelf, -2, (uint32_t)(item.bits >> 32));
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  trim_shelf(L, queue, items);
  return 1;
}

int aq_items_push_other(lua_State *L, struct aq_items *items, struct aq_item item) {
  return push_item(L, 1, items, item);
}

int aq_items_push_from(lua_State *L, int queue, struct aq_items *items, struct aq_item item) {
  return push_item(L, lua_absindex(L, queue), items, item);
}

int aq_items_peek(lua_State *L, struct aq_item item) {
  if (!aq_items_is_shelved(item)) {
    push_held(L, item);
    return 1;
  }
  lua_getiuservalue(L, 1, AQ_UV_SHELF);
  lua_rawgeti(L, -1, (lua_Integer)(uint32_t)item.bits);
  lua_remove(L, -2);
  return 1;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* The kind of the value at `idx` as a key; false if it cannot be one. */
static bool kind_of_key(lua_State *L, int idx, enum aq_key_kind *kind) {
  int type = lua_type(L, idx);
  if (type == LUA_TNUMBER) {
    *kind = AQ_KEY_NUMBER;
    return lua_compare(L, idx, idx, LUA_OPEQ); /* not so for NaN */
  }
  *kind = type == LUA_TSTRING ? AQ_KEY_STRING : AQ_KEY_OBJECT;
  if (type == LUA_TSTRING) return true;
  if (luaL_getmetafield(L, idx, "__lt") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

bool aq_items_try_key(lua_State *L) {
  enum aq_key_kind kind;
  int top = lua_gettop(L);
  lua_pushvalue(L, 2);
  if (kind_of_key(L, top + 1, &kind)) return true;
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_rawgeti(L, 2, 1);
    lua_replace(L, top + 1);
    if (kind_of_key(L, top + 1, &kind)) return true;
  }
  lua_settop(L, top);
  return false;
}

void aq_items_push_key(lua_State *L) {
  if (aq_items_try_key(L)) return;
  luaL_argerror(L, 2,
                "number, string, value with __lt, or table with one of these at [1] expected "
                "(and no NaN)");
}

const char aq_items_comparing;

struct search {
  lua_State *L;    /* key at 3; shelf on its top */
  lua_Integer key; /* the key, if it is an integer */
  bool is_integer;
};

/* Pushes the key of an item in the queue; the shelf is on top. */
static void push_key_of(lua_State *L, struct aq_item item) {
  if (item.tag == TAG_PAIR)
    lua_rawgeti(L, -1, (lua_Integer)(item.bits >> 32));
  else if (item.tag == TAG_SHELVED)
    lua_rawgeti(L, -1, (lua_Integer)item.bits);
  else
    push_held(L, item);
}

void aq_items_peek_key(lua_State *L, struct aq_item item) {
  lua_getiuservalue(L, 1, AQ_UV_SHELF);
  push_key_of(L, item);
  lua_remove(L, -2);
}

static bool is_before(void *ctx, struct aq_item other) {
  struct search *s = ctx;
  if (s->is_integer && other.tag == LUA_TNUMBER) return s->key < (lua_Integer)other.bits;
  push_key_of(s->L, other);
  bool before = lua_compare(s->L, 3, -1, LUA_OPLT);
  lua_pop(s->L, 1);
  return before;
}

const char *aq_items_find_place(lua_State *L, struct aq_items *items, struct aq_order *order) {
  enum aq_key_kind kind;
  kind_of_key(L, 3, &kind);
  if (order->count > 0 && kind != items->key_kind)
    return "the queue's items have keys of another kind";
  int top = lua_gettop(L);
  if (kind == AQ_KEY_OBJECT) lua_pushlightuserdata(L, (void *)&aq_items_comparing);
  lua_getiuservalue(L, 1, AQ_UV_SHELF);
  struct search s = {.L = L, .is_integer = lua_isinteger(L, 3)};
  if (s.is_integer) s.key = lua_tointeger(L, 3);
  bool found = aq_sorted_find(&order->sorted, is_before, &s, &order->place);
  lua_settop(L, top);
  if (!found) return "the queue was changed by a comparison";
  items->key_kind = kind;
  return NULL;
}
