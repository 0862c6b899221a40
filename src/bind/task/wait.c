/*
** wait.c - a task suspends itself, and goes on.
**
** Everything that can fail is checked before anything is entered; after that a wait only yields.
** The waiter of a cancelled task enters like any other and is taken out again at once, so that what
** it waits for sees the same as with a cancel that comes a moment later.
*/
#include "wait.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "bind/base/error.h"
#include "bind/base/items.h"
#include "cancel.h"
#include "task.h"

enum { PATIENCE = 100 }; /* cancels a task may swallow when the program is over */

/* ---- may it wait here? ----------------------------------------------------------------------- */

static const char *why_none(const struct aq_runtime *rt) {
  if (rt->is_driven)
    return "cannot wait in a callback: no task is running here; create one, or call what never "
           "waits: put_nowait, set, set_result";
  return "no task is running: wrap your program in aq.run, or start it with aqlua";
}

bool aq_task_push_why_none(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt->is_leaving && rt->closing != NULL) {
    aq_error_push_of(L, rt, AQ_E_CANCELLED);
    return false;
  }
  lua_pushstring(L, why_none(rt));
  return true;
}

void aq_task_refuse(lua_State *L) {
  if (!aq_task_push_why_none(L)) lua_error(L);
  aq_error_misuse(L, "%s", lua_tostring(L, -1));
}

/* Pushes "module.name" if the function below the module's table on top is in it; pops the table. */
static bool push_name_in(lua_State *L, const char *module) {
  int table = lua_gettop(L);
  if (lua_istable(L, table)) {
    lua_pushnil(L);
    while (lua_next(L, table)) {
      if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, table - 1)) {
        lua_pushfstring(L, "%s.%s", module, lua_tostring(L, -2));
        return true;
      }
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return false;
}

/* Pushes "module.name" of the function on top, if a standard library has it. */
static bool push_library_name(lua_State *L) {
  static const char *const LIBRARIES[] = {LUA_TABLIBNAME, LUA_STRLIBNAME, LUA_COLIBNAME, LUA_GNAME,
                                          LUA_IOLIBNAME};
  for (size_t i = 0; i < sizeof LIBRARIES / sizeof *LIBRARIES; i++) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, LIBRARIES[i]);
    lua_remove(L, -2);
    if (push_name_in(L, LIBRARIES[i])) return true;
  }
  return false;
}

/* Whether the C function at this level is comparing items: a put of a priority queue. */
static bool is_comparing(lua_State *co, const lua_Debug *ar) {
  bool found = false;
  for (int i = 1; !found && lua_getlocal(co, ar, i) != NULL; i++) {
    found = lua_touserdata(co, -1) == (void *)&aq_items_comparing;
    lua_pop(co, 1);
  }
  return found;
}

/* Pushes the name of the C function in coroutine `co` that cannot be suspended, or nil. */
static void push_obstacle(lua_State *L, lua_State *co) {
  lua_Debug ar;
  for (int level = co == L ? 1 : 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Snf", &ar);
    lua_CFunction fn = lua_tocfunction(co, -1);
    lua_xmove(co, L, 1);
    if (*ar.what != 'C' || aq_task_is_body(fn)) {
      lua_pop(L, 1);
    } else if (is_comparing(co, &ar)) {
      lua_pushfstring(L, "the comparison of items in %s", ar.name != NULL ? ar.name : "put");
      return;
    } else if (push_library_name(L)) {
      if (strncmp(lua_tostring(L, -1), "_G.", 3) == 0) lua_pushstring(L, lua_tostring(L, -1) + 3);
      if (strcmp(lua_tostring(L, -1), "pcall") != 0 && strcmp(lua_tostring(L, -1), "xpcall") != 0)
        return;
    } else if (ar.name != NULL && strcmp(ar.name, "pcall") != 0 && strcmp(ar.name, "xpcall") != 0) {
      /* Of the iterators in C, it is that of ipairs which runs metamethods. */
      bool is_ipairs = strcmp(ar.name, "for iterator") == 0;
      lua_pushstring(L, is_ipairs ? "ipairs" : ar.name);
      return;
    }
  }
  lua_pushnil(L);
}

static void refuse_to_wait(lua_State *L, lua_State *co) {
  if (co == aq_runtime_of(L)->closing)
    lua_pushliteral(L, "coroutine.close");
  else
    push_obstacle(L, co);
  const char *name = lua_isnil(L, -1) ? "a function of C" : lua_tostring(L, -1);
  aq_error_misuse(L, "cannot wait here: inside %s, which cannot be suspended", name);
}

/* Each level from this coroutine down to the task's must be one that can be suspended: the first that
** cannot, or that nobody saw resumed; NULL if there is none. */
static lua_State *find_stuck(lua_State *L, const struct aq_task *t) {
  lua_State *co = L;
  const struct aq_level *level = t->future.rt->level;
  for (;; co = level->resumer, level = level->outer) {
    if (!lua_isyieldable(co)) return co;
    if (co == t->co) return NULL;
    if (level == NULL || level->resumed != co) return co;
  }
}

bool aq_task_may_wait(lua_State *L, const struct aq_task *t) { return find_stuck(L, t) == NULL; }

static void check_levels(lua_State *L, const struct aq_task *t) {
  lua_State *co = find_stuck(L, t);
  if (co == NULL) return;
  if (!lua_isyieldable(co)) refuse_to_wait(L, co);
  aq_error_misuse(L, "cannot wait here: inside a coroutine that aqlua did not see resumed "
                     "(aq.patch() lets waits pass through coroutine.wrap and resume)");
}

/* For a wait inside a coroutine of the user's, which somebody might close with the stock function: the
** task keeps that one and the object at 1, so that the waiter does not outlive the thing it waits for. */
static void keep_nested(lua_State *L, struct aq_task *t) {
  if (lua_gettop(L) == 0) return;
  aq_task_push(L, t);
  lua_pushthread(L);
  aq_set_extra(L, -2, AQ_X_INNERMOST);
  lua_pushvalue(L, 1);
  aq_set_extra(L, -2, AQ_X_THING);
  lua_pop(L, 1);
}

/* The wait is over. */
static void let_nested_go(lua_State *L, struct aq_task *t) {
  aq_task_push(L, t);
  lua_pushnil(L);
  aq_set_extra(L, -2, AQ_X_INNERMOST);
  lua_pushnil(L);
  aq_set_extra(L, -2, AQ_X_THING);
  lua_pop(L, 1);
}

void aq_task_check_closely(lua_State *L, struct aq_task *t) {
  if (L != t->co || !lua_isyieldable(L)) check_levels(L, t);
  if (L != t->co) keep_nested(L, t);
  if (aq_agenda_reserve(t->waiter.agenda) != AQ_OK) luaL_error(L, "not enough memory");
}

/*
** Goes on after a wait. Whoever else resumes the coroutine, even when the task is no more, finds it
** waiting as before: `ctx` says whose wait it is, by number, and how high the stack was.
*/
enum { TOP_BITS = 20 };

static inline int go_on(lua_State *L, struct aq_runtime *rt, lua_KContext ctx, lua_KFunction k) {
  struct aq_task *t = rt->current;
  if (t == NULL || t->id != (uint64_t)ctx >> TOP_BITS) {
    rt->met_stranger = true;
    lua_settop(L, (int)((uint64_t)ctx & ((1u << TOP_BITS) - 1)));
    return lua_yieldk(L, 0, ctx, k);
  }
  if (L != t->co) let_nested_go(L, t);
  t->is_finishing = true;
  t->waits_through = false;
  bool cancelled = t->must_cancel;
  if (cancelled) t->was_delivered = true;
  t->must_cancel = false;
  t->awaiting = NULL;
  return t->wait->finish(L, t, cancelled);
}

static int wait_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, aq_runtime(L), ctx, wait_end);
}

/* In a function that is not the library's, whose upvalues are its own. */
static int guest_wait_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, aq_runtime_of(L), ctx, guest_wait_end);
}

/* The context of a wait: whose it is, and how high the stack is. */
static lua_KContext context(lua_State *L, const struct aq_task *t) {
  return (lua_KContext)(t->id << TOP_BITS | (uint64_t)lua_gettop(L));
}

static int suspend(lua_State *L, struct aq_task *t, const struct aq_wait *wait, lua_KFunction k) {
  t->wait = wait;
  t->nat_once = 0;
  t->is_suspended = true;
  t->is_finishing = false;
  t->since_ns = t->waiter.agenda->now_ns;
  return lua_yieldk(L, 0, context(L, t), k);
}

/* A cancelled task may not wait: it leaves what it has just entered. If that does not let it go yet, the
** cancel is still to come. */
static void interrupt(struct aq_task *t) {
  if (!t->must_cancel && ++t->swallowed > PATIENCE && t->is_ending) t->is_stubborn = true;
  t->must_cancel = false;
  t->was_delivered = true;
  if (aq_waiter_abort(&t->waiter, AQ_CANCELLED)) return;
  if (t->waiter.state == AQ_WAITING)
    t->must_cancel = true;
  else
    t->waiter.status = AQ_CANCELLED;
}

int aq_task_wait(lua_State *L, struct aq_task *t, const struct aq_wait *wait) {
  t->innermost = L;
  if (t->requests > 0) interrupt(t);
  return suspend(L, t, wait, wait_end);
}

int aq_task_wait_as_guest(lua_State *L, struct aq_task *t, const struct aq_wait *wait) {
  t->innermost = L;
  if (L != t->co) keep_nested(L, t); /* again, if it waits again */
  if (t->requests > 0) interrupt(t);
  return suspend(L, t, wait, guest_wait_end);
}

/* The turn is over: the call is made that the task was about to make. */
static int make_call(lua_State *L, struct aq_task *t, bool cancelled) {
  lua_Debug ar;
  aq_task_check_outcome(L, t, cancelled);
  t->nat_once = 0;
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_CFunction fn = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return fn(L);
}

static int wait_a_turn(lua_State *L, struct aq_task *t, const struct aq_wait *wait) {
  aq_task_check_wait(L, t);
  aq_waiter_ready(&t->waiter, AQ_OK);
  return aq_task_wait(L, t, wait);
}

int aq_task_pause(lua_State *L, struct aq_task *t) {
  static const struct aq_wait PAUSE = {"pause", make_call, NULL};
  return wait_a_turn(L, t, &PAUSE);
}

static int make_call_again(lua_State *L, struct aq_task *t, bool cancelled) {
  t->was_sent_back = aq_task_outcome(t, cancelled) == AQ_OK;
  return make_call(L, t, cancelled);
}

int aq_task_look_again(lua_State *L, struct aq_task *t) {
  static const struct aq_wait LOOK = {"pause", make_call_again, NULL};
  return wait_a_turn(L, t, &LOOK);
}

int aq_task_time_out(lua_State *L, struct aq_task *t) {
  return t->looks_again ? aq_error_raise(L, AQ_TIMEDOUT) : aq_task_look_again(L, t);
}

int aq_task_wait_through(lua_State *L, struct aq_task *t, const struct aq_wait *wait) {
  t->innermost = L;
  if (L != t->co) keep_nested(L, t); /* again: it waits again */
  t->waits_through = true;
  return suspend(L, t, wait, wait_end);
}

/* Somebody resumed a task that has left. */
static int left_for_good(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return lua_yieldk(L, 0, ctx, left_for_good);
}

int aq_task_leave(lua_State *L, struct aq_task *t) {
  static const struct aq_wait EXIT = {"exit", NULL, NULL}; /* never goes on */
  aq_task_check_wait(L, t);
  aq_waiter_enter(&t->waiter, NULL, NULL, AQ_NEVER);
  t->innermost = L;
  t->is_stubborn = t->has_left = true;
  return suspend(L, t, &EXIT, left_for_good);
}

int aq_task_await(lua_State *L, struct aq_task *t, struct aq_future *f,
                  const struct aq_wait *wait) {
  t->innermost = L;
  if (t->was_delivered) return aq_task_wait(L, t, wait);
  t->awaiting = f;
  if (t->must_cancel) aq_task_pass_on(L, t);
  return suspend(L, t, wait, wait_end);
}

void aq_task_check_outcome(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = aq_task_outcome(t, cancelled);
  if (status != AQ_OK) aq_task_raise(L, t, status);
}

int aq_task_raise(lua_State *L, struct aq_task *t, enum aq_status status) {
  if (status == AQ_DEADLOCK) {
    aq_runtime_push_uv(L, t->future.rt, AQ_UV_DEADLOCK);
    aq_error_push_with(L, AQ_E_DEADLOCK);
    return lua_error(L);
  }
  if (status == AQ_CANCELLED) {
    aq_task_push_cancelled(L, t);
    return lua_error(L);
  }
  return aq_error_raise(L, status);
}
