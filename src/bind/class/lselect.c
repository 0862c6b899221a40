/*
** lselect.c - waiting for the first of several branches.
**
** First the branches are looked at, in their order, and the first that can be done is. If none can,
** the waiter of each enters its room and the task waits for the election (core/select.h).
**
** Preparing for that may run a finalizer, and so any code: a branch that is found ready then sends
** the whole select back to trying, and an election may come before the task itself waits.
*/
#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/object/select_args.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"
#include "leaves.h"

/* ---- the results ----------------------------------------------------------------------------- */

/*
** Pushes the results of the branch whose key is at `key` and whose value, or raised error, is on
** top: the key, the value, nil; or the key, nil, the error.
*/
static int push_outcome(lua_State *L, int key, enum aq_status status, bool raised) {
  bool fails = raised || status != AQ_OK;
  if (fails && !raised) aq_error_push_status(L, status);
  lua_pushvalue(L, key);
  lua_insert(L, -2);
  lua_pushnil(L);
  if (fails) lua_insert(L, -2);
  return 3;
}

static int push_timeout(lua_State *L) {
  lua_pushliteral(L, "timeout");
  return 1;
}

/* ---- keeping it ------------------------------------------------------------------------------ */

enum { UV_LIST = 1 }; /* user value of a select: the list of its branches, while they wait */

static struct aq_branch_object *branch(lua_State *L, int i) {
  return lua_touserdata(L, aq_select_key(i) + 1);
}

/* Puts a list of the `n` branches at 1 and in the select at 2. */
static void make_list(lua_State *L, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushvalue(L, aq_select_key(i) + 1);
    lua_rawseti(L, -2, i + 1);
  }
  lua_copy(L, -1, 1);
  lua_setiuservalue(L, AQ_SELECT_AT, UV_LIST);
}

/* Puts a select at 2. While the branches wait the task keeps it, and that the list of them. The
** stack does not, if somebody closes the coroutine with the stock function. */
static struct aq_select *make_select(lua_State *L, struct aq_task *t, int n) {
  struct aq_select *s = lua_newuserdatauv(L, sizeof *s, 1);
  aq_select_init(s, &t->waiter);
  lua_replace(L, AQ_SELECT_AT);
  make_list(L, n);
  lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_LIVE);
  lua_rawgeti(L, -1, t->slot); /* the Task */
  aq_push_extras(L, -1);
  lua_pushvalue(L, AQ_SELECT_AT);
  lua_rawseti(L, -2, AQ_X_SELECT);
  lua_pop(L, 3);
  return s;
}

/* Empties the select; it lets the list go. */
static void let_go(lua_State *L, struct aq_select *s) {
  aq_select_end(s);
  lua_pushnil(L);
  lua_setiuservalue(L, AQ_SELECT_AT, UV_LIST);
}

/* ---- after the wait -------------------------------------------------------------------------- */

/* Calls a function of the branch at `i`, from 0, in the list at 1; leaves its value or error. */
static enum aq_status call_listed(lua_State *L, int i, aq_branch_function *function, bool *raised) {
  lua_rawgeti(L, 1, i + 1);
  return aq_branch_call(L, function, raised);
}

static struct aq_branch_object *object_of(struct aq_branch *b) {
  return AQ_CONTAINER(b, struct aq_branch_object, branch);
}

/* Those that entered and were not elected forget what they had prepared. The list is at 1. */
static void forget_others(lua_State *L, const struct aq_select *s) {
  int i = 0;
  for (struct aq_branch *b = s->first; b != NULL; b = b->next, i++) {
    bool raised;
    if (b == s->chosen || !object_of(b)->is_shelved) continue;
    call_listed(L, i, object_of(b)->kind->forget, &raised);
    lua_pop(L, 1);
  }
}

static int index_of_chosen(const struct aq_select *s) {
  int i = 0;
  for (const struct aq_branch *b = s->first; b != s->chosen; b = b->next) i++;
  return i;
}

/* Ends a select that was broken off. An elected branch hands its ticket on. The list is at 1. */
static void give_up(lua_State *L, struct aq_select *s) {
  aq_branch_function *function = s->chosen != NULL ? object_of(s->chosen)->kind->give_up : NULL;
  bool raised;
  forget_others(L, s);
  if (function != NULL) {
    call_listed(L, index_of_chosen(s), function, &raised);
    lua_pop(L, 1);
  }
  let_go(L, s);
}

/* Ends a select after an election: finishes the branch and pushes its results. */
static int finish_chosen(lua_State *L, struct aq_select *s) {
  int i = index_of_chosen(s);
  bool raised;
  forget_others(L, s);
  enum aq_status status = call_listed(L, i, object_of(s->chosen)->kind->finish, &raised);
  let_go(L, s);
  return push_outcome(L, aq_select_key(i), status, raised);
}

/* Goes on after the wait. */
static int select_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct aq_select *s = lua_touserdata(L, AQ_SELECT_AT);
  enum aq_status status = t->waiter.status;
  cancelled = cancelled || status == AQ_CANCELLED; /* elected, and then not let wait (T13) */
  if (!cancelled && s->chosen != NULL) return finish_chosen(L, s);
  give_up(L, s);
  if (cancelled) return aq_task_raise(L, t, AQ_CANCELLED);
  return status == AQ_TIMEDOUT ? push_timeout(L) : aq_task_raise(L, t, status);
}

/* Stack: the task (light). The stack on which it waited may be no more. */
static int give_up_protected(lua_State *L) {
  aq_task_push(L, lua_touserdata(L, 1));
  aq_push_extra(L, -1, AQ_X_SELECT);
  lua_replace(L, AQ_SELECT_AT);
  lua_getiuservalue(L, AQ_SELECT_AT, UV_LIST);
  lua_replace(L, 1);
  give_up(L, lua_touserdata(L, AQ_SELECT_AT));
  return 0;
}

static void select_give_up(lua_State *L, struct aq_task *t) {
  lua_pushcfunction(L, give_up_protected);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static const struct aq_wait SELECT = {"select", select_finish, select_give_up};

/* ---- before the wait ------------------------------------------------------------------------- */

/* Does the first that can be done at once, and pushes its results; or 0. */
static int try_all(lua_State *L, int n) {
  for (int i = 0; i < n; i++) {
    const struct aq_branch_object *b = branch(L, i);
    bool raised;
    if (!b->kind->is_ready(b)) continue;
    lua_pushvalue(L, aq_select_key(i) + 1);
    enum aq_status status = aq_branch_call(L, b->kind->attempt, &raised);
    if (raised || status != AQ_EMPTY) return push_outcome(L, aq_select_key(i), status, raised);
    lua_pop(L, 1);
  }
  return 0;
}

/* Raises if not all can be in one select now. Adds each to one, to find out. */
static void check_unused(lua_State *L, struct aq_task *t, int n) {
  struct aq_select s;
  int i = 0;
  aq_select_init(&s, &t->waiter);
  while (i < n && aq_select_add(&s, &branch(L, i)->branch)) i++;
  aq_select_end(&s);
  if (i < n) aq_error_misuse(L, "select: a branch waits in another select, or is given twice");
}

/* None is to wait after all: the select is empty again. */
static void take_back(lua_State *L, struct aq_select *s) {
  aq_select_leave(s);
  give_up(L, s);
}

/* Prepares the i-th branch. False: that raised, and the error is on top. */
static bool prepare(lua_State *L, const struct aq_branch_object *b, int i) {
  bool raised;
  lua_pushvalue(L, aq_select_key(i) + 1);
  aq_branch_call(L, b->kind->prepare, &raised);
  if (!raised) lua_pop(L, 1);
  return !raised;
}

/* Lets the waiter of the i-th branch wait. False: it need not, or cannot, and so none waits. If it
** cannot, that is raised. One that was elected meanwhile settles the matter. */
static bool enter(lua_State *L, struct aq_select *s, int i) {
  struct aq_branch_object *b = branch(L, i);
  bool raised = b->kind->prepare != NULL && !prepare(L, b, i);
  bool enters = !raised && !b->kind->is_ready(b);
  if (enters) {
    aq_select_add(s, &b->branch); /* it is in none: check_unused */
    b->kind->enter(b);
  }
  if (enters || s->chosen != NULL) return true;
  take_back(L, s);
  return raised ? lua_error(L) : false;
}

/* Lets the waiters of all branches wait, up to an election. False: none waits, try again. */
static bool enter_all(lua_State *L, struct aq_select *s, int n) {
  for (int i = 0; i < n; i++) {
    if (!enter(L, s, i)) return false;
    if (!aq_select_go_on(s)) break;
  }
  return true;
}

/*
** Lets the task wait for the election, if there was none while the branches entered. They may have
** run any code: room for the deadline is made only now.
*/
static bool enter_task(struct aq_select *s, struct aq_task *t, uint64_t timeout_ns) {
  if (s->chosen == NULL && aq_agenda_reserve(t->waiter.agenda) != AQ_OK) return false;
  aq_select_wait(s, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return true;
}

/* The budget (Q20) is looked at while the arguments are as they were given. */
static bool is_spent(lua_State *L, struct aq_task *t) {
  if (t == NULL || t->future.rt->budget == 0 || !lua_istable(L, 1)) return false;
  lua_pushliteral(L, "timeout");
  bool tries_once = lua_rawget(L, 1) == LUA_TNUMBER && lua_tonumber(L, -1) <= 0;
  lua_pop(L, 1);
  return !tries_once && aq_task_is_spent(t->future.rt, t);
}

/* There was no time to wait: looks again, with the arguments as they were given, or returns (X10). */
static int time_out(lua_State *L, struct aq_task *t) {
  if (t->looks_again) return push_timeout(L);
  lua_settop(L, AQ_SELECT_AT);
  return aq_task_look_again(L, t);
}

/* aq.select(branches[, options]) */
static int select_branches(lua_State *L) {
  struct aq_task *t = aq_runtime(L)->current;
  if (is_spent(L, t)) return aq_task_pause(L, t);
  struct aq_select_args args = aq_select_read(L);
  if (args.timeout_ns == 0) aq_task_begin_look(t);
  check_unused(L, t, args.n);
  for (;;) {
    int nresults = try_all(L, args.n);
    if (nresults > 0) return nresults;
    if (args.timeout_ns == 0) return time_out(L, t);
    aq_task_check_wait(L, t);
    struct aq_select *s = make_select(L, t, args.n);
    if (!enter_all(L, s, args.n)) continue;
    if (enter_task(s, t, args.timeout_ns)) return aq_task_wait(L, t, &SELECT);
    take_back(L, s);
    return luaL_error(L, "not enough memory");
  }
}

void aq_open_select(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"select", select_branches}, {NULL, NULL}};
  aq_setfuncs(L, FUNCTIONS);
  aq_branch_open(L);
}
