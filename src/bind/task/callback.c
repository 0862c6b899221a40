/*
** callback.c - callback records: a userdata each, kept in the future's extras.
**
** All that a record needs is made with it: calling it asks for no memory until the function itself
** is called. So a callback is never lost, and never put off, for lack of memory.
*/
#include "callback.h"

#include <lauxlib.h>

#include "future.h"
#include "unhandled.h"

struct callback {
  struct aq_waiter waiter;  /* in the future's joiners, or ready */
  struct aq_future *future; /* kept by the runtime until the callback has run */
};

enum { UV_FUNCTION = 1, UV_TRACEBACK = 2 }; /* the second: the handler, where it leaves its text */

/* The record will not run any more: forgets it. The future, at `idx`, may be let go. */
static void forget(lua_State *L, int idx, struct callback *c) {
  struct aq_future *f = c->future;
  aq_push_extra(L, idx, AQ_X_CALLBACKS);
  lua_pushnil(L);
  lua_rawsetp(L, -2, c);
  lua_pop(L, 1);
  if (--f->ncallbacks > 0) return;
  aq_runtime_push_uv(L, f->rt, AQ_UV_LIVE);
  aq_shelf_take(L, &f->rt->live, -1, f->live_slot);
  f->live_slot = 0;
  lua_pop(L, 2);
}

/* Stack: the record (light). Calls its function with the future; reports its error. */
static int run_protected(lua_State *L) {
  struct callback *c = lua_touserdata(L, 1);
  struct aq_runtime *rt = c->future->rt;
  aq_runtime_push_uv(L, rt, AQ_UV_LIVE);
  lua_rawgeti(L, -1, c->future->live_slot); /* [3] the future */
  aq_push_extra(L, 3, AQ_X_CALLBACKS);
  lua_rawgetp(L, 4, c);                  /* [5] the record, kept alive while it runs */
  lua_getiuservalue(L, 5, UV_TRACEBACK); /* [6] */
  forget(L, 3, c);
  lua_getiuservalue(L, 5, UV_FUNCTION);
  lua_pushvalue(L, 3);
  if (lua_pcall(L, 1, 0, 6) == LUA_OK) return 0;
  aq_unhandled_caught(L, rt, 3, 6);
  return 0;
}

static void run(struct aq_waiter *w) {
  struct callback *c = AQ_CONTAINER(w, struct callback, waiter);
  lua_State *L = c->future->rt->L;
  lua_pushcfunction(L, run_protected);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  lua_pop(L, 1);
  aq_waiter_ready(&c->waiter, AQ_OK); /* out of memory before it was called: once more */
}

static struct callback *push_record(lua_State *L, struct aq_future *f) {
  struct callback *c = lua_newuserdatauv(L, sizeof *c, 2);
  aq_waiter_init(&c->waiter, &f->rt->loop->agenda, run);
  c->future = f;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, UV_FUNCTION);
  aq_unhandled_push_handler(L);
  lua_setiuservalue(L, -2, UV_TRACEBACK);
  return c;
}

/* Pushes the table of the future's records, made if need be. */
static void push_records(lua_State *L) {
  aq_push_extra(L, 1, AQ_X_CALLBACKS);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  aq_set_extra(L, 1, AQ_X_CALLBACKS);
}

void aq_callback_add(lua_State *L) {
  struct aq_future *f = lua_touserdata(L, 1);
  struct aq_runtime *rt = f->rt;
  if (rt->loop == NULL) luaL_error(L, "add_done_callback: the state is being closed");
  push_records(L);
  struct callback *c = push_record(L, f);
  aq_runtime_push(L, rt);
  aq_shelf_reserve(L, &rt->live, 1, -1, AQ_UV_LIVE);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -4, c);
  if (f->live_slot == 0) {
    lua_getiuservalue(L, -1, AQ_UV_LIVE);
    f->live_slot = aq_shelf_put(L, &rt->live, -1, 1);
  }
  f->ncallbacks++;
  if (f->state == AQ_PENDING)
    aq_waiter_enter(&c->waiter, &f->joiners, NULL, AQ_NEVER);
  else
    aq_waiter_ready(&c->waiter, AQ_OK);
  lua_settop(L, 2);
}

int aq_callback_remove(lua_State *L) {
  struct aq_future *f = lua_touserdata(L, 1);
  int removed = 0;
  aq_push_extra(L, 1, AQ_X_CALLBACKS);
  if (f->ncallbacks == 0) return 0;
  int records = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, records)) {
    struct callback *c = lua_touserdata(L, -1);
    lua_getiuservalue(L, -1, UV_FUNCTION);
    bool same = lua_rawequal(L, -1, 2);
    lua_pop(L, 2);
    if (!same) continue;
    aq_waiter_drop(&c->waiter);
    forget(L, 1, c);
    removed++;
  }
  return removed;
}
