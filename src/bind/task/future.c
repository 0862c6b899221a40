/*
** future.c - storing an outcome and handing it out.
*/
#include "future.h"

#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/base/values.h"
#include "task.h"

/* Never read: their addresses are the classes. */
const char aq_task_class[] = "Task", aq_future_class[] = "Future";

void aq_future_init(struct aq_future *f, struct aq_runtime *rt, const void *class) {
  *f = (struct aq_future){.class = class, .rt = rt};
  aq_list_init(&f->joiners);
}

struct aq_future *aq_test_future(lua_State *L, int idx) {
  struct aq_future *f = aq_test_object(L, idx, aq_task_class, sizeof *f);
  return f != NULL ? f : aq_test_object(L, idx, aq_future_class, sizeof *f);
}

void aq_push_extras(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  if (lua_getiuservalue(L, idx, AQ_UV_EXTRAS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, AQ_UV_EXTRAS);
}

void aq_push_extra(lua_State *L, int idx, int key) {
  if (lua_getiuservalue(L, idx, AQ_UV_EXTRAS) != LUA_TTABLE) return; /* the nil it pushed */
  lua_rawgeti(L, -1, key);
  lua_remove(L, -2);
}

void aq_set_extra(lua_State *L, int idx, int key) {
  aq_push_extras(L, idx);
  lua_insert(L, -2);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
}

void aq_future_store(lua_State *L, int idx, int first) {
  struct aq_future *f = lua_touserdata(L, idx);
  int n = lua_gettop(L) - first + 1;
  idx = lua_absindex(L, idx);
  if (n > 1) aq_values_pack(L, first);
  if (n == 0) lua_pushnil(L);
  lua_setiuservalue(L, idx, AQ_UV_VALUE);
  f->nresults = n;
}

void aq_future_store_error(lua_State *L, int idx) { lua_setiuservalue(L, idx, AQ_UV_VALUE); }

void aq_future_settle(struct aq_future *f, enum aq_future_state state) {
  f->state = state;
  aq_room_wake_all(&f->joiners, AQ_OK);
}

static int push_results(lua_State *L, int idx, int n) {
  if (n == 0) return 0;
  lua_getiuservalue(L, idx, AQ_UV_VALUE);
  return n > 1 ? aq_values_unpack(L, n) : 1;
}

/*
** So that the traceback of whoever is handed the error can show where it came from: from the task
** at `idx`, or from the task that the future at `idx` got it from.
*/
static void remember_origin(lua_State *L, int idx) {
  struct aq_runtime *rt = aq_runtime(L);
  struct aq_future *f = lua_touserdata(L, idx);
  if (rt->current == NULL || f->state != AQ_RAISED) return;
  idx = lua_absindex(L, idx);
  aq_task_push(L, rt->current);
  if (f->class == aq_task_class)
    lua_pushvalue(L, idx);
  else
    aq_push_extra(L, idx, AQ_X_ORIGIN);
  aq_set_extra(L, -2, AQ_X_ORIGIN);
  rt->current->has_origin = true;
  lua_pop(L, 1);
}

void aq_future_push_error(lua_State *L, int idx) {
  const struct aq_future *f = lua_touserdata(L, idx);
  if (lua_getiuservalue(L, idx, AQ_UV_VALUE) != LUA_TNIL) return;
  lua_pop(L, 1); /* a Future that was cancelled */
  aq_error_push_of(L, f->rt, AQ_E_CANCELLED);
}

int aq_future_unwrap(lua_State *L, int idx) {
  struct aq_future *f = lua_touserdata(L, idx);
  f->is_retrieved = true;
  if (f->state == AQ_RETURNED) return push_results(L, idx, f->nresults);
  remember_origin(L, idx);
  aq_future_push_error(L, idx);
  return lua_error(L);
}
