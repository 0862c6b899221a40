/*
** keep.c - slots for what C holds, in a block that outlives the state.
*/
#include "keep.h"

#include <stdlib.h>

#include "runtime.h"

struct aq_keep *aq_keep_of(struct aq_runtime *rt) {
  if (rt->keep != NULL) return rt->keep;
  struct aq_keep *k = malloc(sizeof *k);
  if (k == NULL) return NULL;
  *k = (struct aq_keep){.rt = rt, .refs = 1};
  aq_shelf_init(&k->shelf);
  aq_list_init(&k->waits);
  return rt->keep = k;
}

struct aq_keep *aq_keep_hold(struct aq_keep *k) {
  k->refs++;
  return k;
}

void aq_keep_drop(struct aq_keep *k) {
  if (--k->refs == 0) free(k);
}

uint32_t aq_keep_slot(lua_State *L, struct aq_keep *k) {
  aq_runtime_push(L, k->rt);
  aq_shelf_reserve(L, &k->shelf, 1, -1, AQ_UV_KEPT);
  lua_pop(L, 1);
  return aq_shelf_slot(&k->shelf);
}

void aq_keep_set(lua_State *L, struct aq_keep *k, uint32_t slot) {
  aq_runtime_push_uv(L, k->rt, AQ_UV_KEPT);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}

void aq_keep_push(lua_State *L, struct aq_keep *k, uint32_t slot) {
  aq_runtime_push_uv(L, k->rt, AQ_UV_KEPT);
  lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
}

void aq_keep_free(struct aq_keep *k, uint32_t slot) {
  if (k->rt == NULL || slot == 0) return;
  lua_State *L = k->rt->L;
  (void)lua_checkstack(L, 3); /* without memory, Lua's own reserve is used */
  aq_runtime_push_uv(L, k->rt, AQ_UV_KEPT);
  aq_shelf_drop(L, &k->shelf, -1, slot);
  lua_pop(L, 1);
}

void aq_keep_close(lua_State *L, struct aq_runtime *rt) {
  struct aq_keep *k = rt->keep;
  if (k == NULL) return;
  rt->keep = NULL;
  k->rt = NULL;
  aq_shelf_free(L, &k->shelf);
  aq_keep_drop(k);
}
