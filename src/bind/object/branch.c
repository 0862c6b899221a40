/*
** branch.c - making a branch, and calling its functions.
*/
#include "branch.h"

#include "aqlua.h"

const char aq_branch_class[] = "Branch";

void aq_branch_open(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, aq_branch_class);
  lua_setfield(L, -2, "__name");
  lua_setiuservalue(L, -3, AQ_UV_BRANCH_META);
}

struct aq_branch_object *aq_test_branch(lua_State *L, int idx) {
  return aq_test_object(L, idx, aq_branch_class, sizeof(struct aq_branch_object));
}

/* Pushes one without a metatable, and without its values. */
static inline struct aq_branch_object *push_new(lua_State *L, struct aq_runtime *rt,
                                                const struct aq_branch_kind *kind, void *object,
                                                int nvalues) {
  struct aq_branch_object *b = lua_newuserdatauv(L, sizeof *b, nvalues);
  *b = (struct aq_branch_object){
    .class = aq_branch_class, .kind = kind, .object = object, .nvalues = nvalues};
  aq_branch_init(&b->branch, &rt->loop->agenda);
  return b;
}

void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, void *object, int first,
                    int nvalues) {
  push_new(L, aq_runtime(L), kind, object, nvalues);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_BRANCH_META);
  lua_setmetatable(L, -2);
  for (int i = 0; i < nvalues; i++) {
    lua_pushvalue(L, first + i);
    lua_setiuservalue(L, -2, AQ_UV_OBJECT + i);
  }
}

struct aq_branch_object *aq_branch_push_of(lua_State *L, struct aq_runtime *rt,
                                           const struct aq_branch_kind *kind, void *object,
                                           int idx) {
  idx = lua_absindex(L, idx);
  struct aq_branch_object *b = push_new(L, rt, kind, object, 1);
  aq_runtime_push_uv(L, rt, AQ_UV_BRANCH_META);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, AQ_UV_OBJECT);
  return b;
}

const char *aq_branch_name(const struct aq_branch_object *b) {
  return b->def != NULL ? b->def->name : b->kind->name;
}

struct call {
  aq_branch_function *function;
  struct aq_branch_object *branch;
  enum aq_status status; /* what it returned */
};

/* Stack: the branch's values; then the call, light. */
static int call_protected(lua_State *L) {
  struct call *call = lua_touserdata(L, -1);
  lua_pop(L, 1);
  call->status = call->function(L, call->branch);
  return 1;
}

enum aq_status aq_branch_call(lua_State *L, aq_branch_function *function, bool *raised) {
  int idx = lua_gettop(L);
  struct call call = {function, lua_touserdata(L, idx), AQ_OK};
  lua_pushcfunction(L, call_protected);
  for (int uv = 1; uv <= call.branch->nvalues; uv++) lua_getiuservalue(L, idx, uv);
  lua_pushlightuserdata(L, &call);
  *raised = lua_pcall(L, call.branch->nvalues + 1, 1, 0) != LUA_OK;
  lua_replace(L, idx);
  return call.status;
}
