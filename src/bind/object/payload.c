/*
** payload.c - the box of a payload, and looking into it.
*/
#include "payload.h"

#include <lauxlib.h>

#include "bind/base/error.h"

static const char BOX[] = "aq.Payload"; /* the metatable's name; its address is the class */

struct aq_box *aq_box_test(lua_State *L, int idx) {
  return aq_test_object(L, idx, BOX, sizeof(struct aq_box));
}

static int box_gc(lua_State *L) {
  struct aq_box *box = aq_box_test(L, 1);
  if (box == NULL || box->kind == NULL) return 0;
  const struct aq_payload_kind *kind = box->kind;
  box->kind = NULL;
  if (kind->destroy != NULL) kind->destroy(box->data);
  return 0;
}

/* Pushes what the box at `idx` has in it. */
static void push_content(lua_State *L, const struct aq_box *box) {
  if (box->kind != NULL)
    lua_pushfstring(L, "%s %p", box->kind->name, box->data);
  else
    lua_pushliteral(L, "a payload that has been taken out");
}

static int box_tostring(lua_State *L) {
  struct aq_box *box = aq_box_test(L, 1);
  if (box == NULL) return luaL_typeerror(L, 1, "payload");
  push_content(L, box);
  return 1;
}

struct aq_box *aq_box_push(lua_State *L) {
  static const luaL_Reg META[] = {{"__gc", box_gc}, {"__tostring", box_tostring}, {NULL, NULL}};
  struct aq_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct aq_box){.class = BOX};
  if (luaL_getmetatable(L, BOX) == LUA_TNIL) {
    lua_pop(L, 1);
    luaL_newlibtable(L, META);
    luaL_setfuncs(L, META, 0);
    lua_pushliteral(L, "payload");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, BOX);
  }
  lua_setmetatable(L, -2);
  return box;
}

void *aq_check_payload(lua_State *L, int idx, const struct aq_payload_kind *kind) {
  struct aq_box *box = aq_box_test(L, idx);
  if (box != NULL && box->kind == kind && kind != NULL) return box->data;
  if (box == NULL)
    aq_error_push_type(L, idx);
  else if (box->kind != NULL)
    lua_pushstring(L, box->kind->name);
  else
    push_content(L, box);
  luaL_argerror(L, idx,
                lua_pushfstring(L, "%s expected, got %s", kind != NULL ? kind->name : "payload",
                                lua_tostring(L, -1)));
  return NULL;
}
