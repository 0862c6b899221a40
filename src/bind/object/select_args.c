/*
** select_args.c - reading the arguments of a select.
**
** The keys and values are sorted on the stack, where lua_next leaves them.
*/
#include "select_args.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/base/error.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"

/* ---- a task or future as a branch ------------------------------------------------------------ */

static bool done_is_ready(const struct aq_branch_object *b) {
  const struct aq_future *f = b->object;
  return f->state != AQ_PENDING;
}

/* The future is on top: it is the value. */
static enum aq_status done_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_future *f = b->object;
  (void)L;
  f->is_retrieved = true;
  return AQ_OK;
}

static void done_enter(struct aq_branch_object *b) {
  struct aq_future *f = b->object;
  aq_waiter_enter(&b->branch.waiter, &f->joiners, NULL, AQ_NEVER);
}

static const struct aq_branch_kind DONE = {.name = "",
                                           .is_ready = done_is_ready,
                                           .attempt = done_attempt,
                                           .enter = done_enter,
                                           .finish = done_attempt};

/* ---- what is refused ------------------------------------------------------------------------- */

/* What is wrong with the branch whose key is at `key`. */
static void refuse(lua_State *L, int key, const char *problem) {
  const char *name = luaL_tolstring(L, key, NULL);
  luaL_argerror(L, 1, lua_pushfstring(L, "branch '%s': %s", name, problem));
}

static void refuse_value(lua_State *L, int key) {
  refuse(L, key,
         lua_pushfstring(L, "Task, Future, or a branch such as q:getting() expected, got %s",
                         aq_error_push_type(L, key + 1)));
}

/* ---- options --------------------------------------------------------------------------------- */

static bool is_string(lua_State *L, int idx, const char *s) {
  return lua_type(L, idx) == LUA_TSTRING && strcmp(lua_tostring(L, idx), s) == 0;
}

/* Whether the options at 2 ask for a random order. [-0, +0|1, v] */
static bool check_options(lua_State *L) {
  if (lua_isnoneornil(L, 2)) return false;
  if (!lua_istable(L, 2)) luaL_typeerror(L, 2, "table");
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    if (is_string(L, -1, "fair")) continue;
    luaL_argerror(L, 2, lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL)));
  }
  lua_getfield(L, 2, "fair");
  return lua_toboolean(L, -1);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Replaces a table at 1 with __pairs by a copy of what that goes through. */
static void copy_pairs(lua_State *L) {
  if (luaL_getmetafield(L, 1, "__pairs") == LUA_TNIL) return;
  lua_newtable(L);
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 3);
  int next = lua_gettop(L) - 2;
  for (;;) {
    for (int i = 0; i < 3; i++) lua_pushvalue(L, next + i);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) break;
    lua_copy(L, -1, next + 2);
    lua_pushvalue(L, -1);
    lua_gettable(L, 1);
    lua_rawset(L, next - 1);
  }
  lua_settop(L, next - 1);
  lua_replace(L, 1);
}

/* Nanoseconds of the timeout on top, whose key is below it. */
static uint64_t check_timeout(lua_State *L) {
  lua_Number seconds = lua_tonumber(L, -1);
  bool is_number = lua_type(L, -1) == LUA_TNUMBER && seconds == seconds;
  if (!is_number) refuse(L, lua_gettop(L) - 1, "number of seconds expected");
  return aq_check_given_timeout(L, -1);
}

struct entries {
  bool are_sorted;  /* their keys are integers in order, as an array's are */
  bool has_timeout; /* beside them there was a timeout: */
  uint64_t timeout_ns;
};

/* Takes the timeout, if it is on top, its key below it. */
static bool take_timeout(lua_State *L, struct entries *entries) {
  if (!is_string(L, -2, "timeout")) return false;
  if (!lua_toboolean(L, -1)) return true;
  entries->has_timeout = true;
  entries->timeout_ns = check_timeout(L);
  return true;
}

/*
** Pushes the keys and values of the table at 1 that are enabled. Makes nothing, so that no
** finalizer runs that could change the table. [-0, +2n, v]
*/
static struct entries push_entries(lua_State *L) {
  struct entries entries = {true, false, AQ_NEVER};
  lua_Integer last = LUA_MININTEGER;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    luaL_checkstack(L, LUA_MINSTACK, "too many branches");
    if (take_timeout(L, &entries) || !lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : LUA_MININTEGER;
    if (key <= last) entries.are_sorted = false;
    last = key;
    lua_pushvalue(L, -2);
  }
  return entries;
}

/* ---- their order ----------------------------------------------------------------------------- */

/* Whether the key at `a` comes first: integers in order; then the other keys, sorted as strings. */
static bool is_before(lua_State *L, int a, int b) {
  bool are_strings = lua_type(L, a) == LUA_TSTRING && lua_type(L, b) == LUA_TSTRING;
  if (are_strings) return lua_compare(L, a, b, LUA_OPLT);
  bool is_a_integer = lua_isinteger(L, a), is_b_integer = lua_isinteger(L, b);
  if (is_a_integer && is_b_integer) return lua_tointeger(L, a) < lua_tointeger(L, b);
  if (is_a_integer || is_b_integer) return is_a_integer;
  luaL_tolstring(L, a, NULL);
  luaL_tolstring(L, b, NULL);
  bool before = lua_compare(L, -2, -1, LUA_OPLT);
  lua_pop(L, 2);
  return before;
}

static void copy_entry(lua_State *L, int from, int to) {
  lua_copy(L, from, to);
  lua_copy(L, from + 1, to + 1);
}

/* Merges two sorted runs of entries, from `a` up to `b` and from there up to `end`. */
static void merge(lua_State *L, int a, int b, int end) {
  int top = lua_gettop(L), first = top + 1, second = b;
  luaL_checkstack(L, b - a + LUA_MINSTACK, "too many branches");
  for (int i = a; i < b; i++) lua_pushvalue(L, i);
  int first_end = lua_gettop(L) + 1;
  for (int to = a; first < first_end; to += 2) {
    int *from = second < end && is_before(L, second, first) ? &second : &first;
    copy_entry(L, *from, to);
    *from += 2;
  }
  lua_settop(L, top);
}

/* Sorts `n` entries from `a` on. */
static void sort(lua_State *L, int a, int n) {
  int b = a + 2 * (n / 2);
  if (n < 2) return;
  sort(L, a, n / 2);
  sort(L, b, n - n / 2);
  if (is_before(L, b, b - 2)) merge(L, a, b, a + 2 * n);
}

static void swap_entries(lua_State *L, int a, int b) {
  lua_pushvalue(L, a);
  lua_pushvalue(L, a + 1);
  copy_entry(L, b, a);
  lua_replace(L, b + 1);
  lua_replace(L, b);
}

/* Shuffles, by math.random: what the program seeds it with holds here as well. */
static void shuffle(lua_State *L, int n) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "math");
  lua_getfield(L, -1, "random");
  for (int i = n; i >= 2; i--) {
    lua_pushvalue(L, -1);
    lua_pushinteger(L, i);
    lua_call(L, 1, 1);
    lua_Unsigned j = (lua_Unsigned)lua_tointeger(L, -1) - 1;
    lua_pop(L, 1);
    swap_entries(L, aq_select_key(i - 1), aq_select_key((int)(j % (lua_Unsigned)i)));
  }
  lua_pop(L, 3);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void refuse_circle(lua_State *L) { aq_future_refuse_circle(L, "select"); }

/* A Task or Future above the key becomes a branch. */
static void make_branch(lua_State *L, int key) {
  const struct aq_task *t = aq_runtime(L)->current;
  struct aq_future *f = aq_test_future(L, key + 1);
  if (f == NULL) refuse_value(L, key);
  if (t != NULL && f == &t->future) refuse_circle(L);
  aq_branch_push(L, &DONE, f, key + 1, 1);
  lua_replace(L, key + 1);
}

/* Whether it can end by nothing but tasks that wait for `t`: then it is an await of them. */
static bool is_circle(lua_State *L, const struct aq_select_args *args, const struct aq_task *t) {
  bool is_one = args->n > 0 && args->timeout_ns == AQ_NEVER && !aq_list_alone(&t->future.joiners);
  for (int i = 0; i < args->n && is_one; i++) {
    int branch = aq_select_key(i) + 1;
    lua_getiuservalue(L, branch, AQ_UV_OBJECT);
    is_one = aq_test_branch(L, branch)->kind == &DONE && aq_future_leads_to(L, -1, t);
    lua_pop(L, 1);
  }
  return is_one;
}

/* The keys and branches of the table at 1, in order. */
static struct aq_select_args read_table(lua_State *L) {
  struct entries entries = push_entries(L);
  int n = (lua_gettop(L) - AQ_SELECT_AT) / 2;
  if (n == 0 && !entries.has_timeout)
    luaL_argerror(L, 1, "no branch is enabled, and there is no timeout");
  if (!entries.are_sorted) sort(L, aq_select_key(0), n);
  for (int i = 0; i < n; i++)
    if (aq_test_branch(L, aq_select_key(i) + 1) == NULL) make_branch(L, aq_select_key(i));
  return (struct aq_select_args){n, entries.timeout_ns};
}

struct aq_select_args aq_select_read(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  bool is_fair = check_options(L);
  lua_settop(L, AQ_SELECT_AT);
  copy_pairs(L);
  struct aq_select_args args = read_table(L);
  if (is_fair) shuffle(L, args.n);
  if (is_circle(L, &args, aq_task_running(L, aq_runtime(L)))) refuse_circle(L);
  return args;
}
