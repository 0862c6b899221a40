/*
** lselect.c - waiting for the first of several branches.
**
** First each branch is tried, in the order given. If none can be done at once, the waiter of each
** enters its room and the task waits for the election (core/select.h).
**
** Entering may run a finalizer, and so any code: a branch that finds it need not wait any more
** sends the whole select back to trying, and an election may come before the task itself waits.
*/
#include <lauxlib.h>

#include "branch.h"
#include "error.h"
#include "leaves.h"
#include "task.h"

const char aq_branch_class[] = "Branch";

/* A select of the branches in a list; it is empty until they enter. */
struct select_object {
  struct aq_select select;
  int n;        /* branches in the list */
  int nentered; /* the first of these, which have something to finish or to forget */
};

enum { UV_LIST = 1 }; /* its user value: the list, while it is not empty */

enum { SELECT_AT = 3 }; /* where it is on the stack of the call; the list is at 1 */

/* ---- branches -------------------------------------------------------------------------------- */

void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, int nvalues) {
  struct aq_runtime *rt = aq_runtime(L);
  struct aq_branch_object *b = lua_newuserdatauv(L, sizeof *b, AQ_UV_BRANCH_COUNT);
  *b = (struct aq_branch_object){.class = aq_branch_class, .kind = kind, .nvalues = nvalues};
  aq_branch_init(&b->branch, &rt->loop->agenda);
  luaL_newmetatable(L, "Branch");
  lua_setmetatable(L, -2);
  for (int i = 1; i <= nvalues; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, -2, i);
  }
}

struct aq_branch_object *aq_test_branch(lua_State *L, int idx) {
  struct aq_branch_object *b = lua_touserdata(L, idx);
  bool is_branch = b != NULL && lua_rawlen(L, idx) >= sizeof *b && b->class == aq_branch_class;
  return is_branch ? b : NULL;
}

/* ---- calling a branch's functions ------------------------------------------------------------ */

enum what { ATTEMPT, ENTER, FINISH, FINISH_CANCELLED, FORGET };

/* Stack: the branch's values; then the branch and what to do, light. Returns status and value. */
static int call_protected(lua_State *L) {
  struct aq_branch_object *b = lua_touserdata(L, -2);
  enum what what = (enum what)lua_tointeger(L, -1);
  enum aq_status status = AQ_OK;
  lua_pop(L, 2);
  switch (what) {
    case ATTEMPT: status = b->kind->attempt(L, b); break;
    case ENTER: status = b->kind->enter(L, b); break;
    case FINISH: status = b->kind->finish(L, b, false); break;
    case FINISH_CANCELLED: status = b->kind->finish(L, b, true); break;
    case FORGET: b->kind->forget(L, b); break;
  }
  lua_pushinteger(L, (lua_Integer)status);
  lua_insert(L, -2);
  return 2;
}

/*
** Calls one of the functions of branch `i` of the list at 1. Leaves the value, or the error: a
** raised one makes *raised true.
*/
static enum aq_status call_branch(lua_State *L, int i, enum what what, bool *raised) {
  lua_pushcfunction(L, call_protected);
  lua_rawgeti(L, 1, i);
  int idx = lua_gettop(L);
  struct aq_branch_object *b = lua_touserdata(L, idx);
  for (int uv = 1; uv <= b->nvalues; uv++) lua_getiuservalue(L, idx, uv);
  lua_remove(L, idx);
  lua_pushlightuserdata(L, b);
  lua_pushinteger(L, what);
  *raised = lua_pcall(L, b->nvalues + 2, 2, 0) != LUA_OK;
  if (*raised) return AQ_OK;
  enum aq_status status = (enum aq_status)lua_tointeger(L, -2);
  lua_remove(L, -2);
  return status;
}

/* ---- the results ----------------------------------------------------------------------------- */

/* Which branch it was, and the value on top. */
static int push_winner(lua_State *L, int i) {
  lua_pushinteger(L, i);
  lua_insert(L, -2);
  return 2;
}

/* Which branch it was, nil, and the error on top. */
static int push_loser(lua_State *L, int i) {
  lua_pushinteger(L, i);
  lua_pushnil(L);
  lua_rotate(L, -3, 2);
  return 3;
}

static int push_outcome(lua_State *L, int i, enum aq_status status, bool raised) {
  if (raised) return push_loser(L, i);
  if (status == AQ_OK) return push_winner(L, i);
  aq_error_push_status(L, status);
  return push_loser(L, i);
}

/* ---- keeping it ------------------------------------------------------------------------------ */

/* While the branches wait the task keeps the select at `idx`, and that the list at 1. The stack
** does not, if somebody closes the coroutine with the stock function. */
static void keep(lua_State *L, struct aq_task *t, int idx) {
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, idx, UV_LIST);
  aq_task_push(L, t);
  aq_push_extras(L, -1);
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, AQ_X_SELECT);
  lua_pop(L, 2);
}

/* Empties the select at `idx`; it lets the list go. */
static void let_go(lua_State *L, int idx) {
  struct select_object *so = lua_touserdata(L, idx);
  aq_select_end(&so->select);
  so->nentered = 0;
  lua_pushnil(L);
  lua_setiuservalue(L, idx, UV_LIST);
}

/* ---- after the wait -------------------------------------------------------------------------- */

/* Those that entered and were not elected forget what they had prepared. The list is at 1. */
static void forget_others(lua_State *L, struct select_object *so) {
  const struct aq_branch *b = so->select.first;
  bool raised;
  for (int i = 1; i <= so->nentered; i++, b = b->next) {
    const struct aq_branch_object *bo = AQ_CONTAINER(b, struct aq_branch_object, branch);
    if (b == so->select.chosen || bo->kind->forget == NULL) continue;
    call_branch(L, i, FORGET, &raised);
    lua_pop(L, 1);
  }
}

static int index_of_chosen(const struct aq_select *s) {
  int i = 1;
  for (const struct aq_branch *b = s->first; b != s->chosen; b = b->next) i++;
  return i;
}

/*
** Ends a select whose wait is over. Returns the index of the elected, finished, with its status and
** its value or error on top; or 0. Stack: the list, anything, the select.
*/
static int end(lua_State *L, bool cancelled, enum aq_status *status, bool *raised) {
  struct select_object *so = lua_touserdata(L, SELECT_AT);
  int i = 0;
  forget_others(L, so);
  if (so->select.chosen != NULL) {
    i = index_of_chosen(&so->select);
    *status = call_branch(L, i, cancelled ? FINISH_CANCELLED : FINISH, raised);
  }
  let_go(L, SELECT_AT);
  return i;
}

/* Goes on after the wait. Stack: the list, the timeout, the select. */
static int select_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = t->waiter.status;
  bool raised;
  cancelled = cancelled || status == AQ_CANCELLED; /* elected, and then not let wait (T13) */
  int i = end(L, cancelled, &status, &raised);
  if (cancelled) return aq_task_raise(L, t, AQ_CANCELLED);
  if (i > 0) return push_outcome(L, i, status, raised);
  if (status != AQ_TIMEDOUT) return aq_task_raise(L, t, status);
  lua_pushinteger(L, 0);
  return 1;
}

/* Stack: the task (light). The stack on which it waited may be no more. */
static int give_up_protected(lua_State *L) {
  enum aq_status status;
  bool raised;
  aq_task_push(L, lua_touserdata(L, 1));
  aq_push_extra(L, -1, AQ_X_SELECT);
  lua_getiuservalue(L, SELECT_AT, UV_LIST);
  lua_replace(L, 1);
  end(L, true, &status, &raised);
  return 0;
}

static void select_give_up(lua_State *L, struct aq_task *t) {
  lua_pushcfunction(L, give_up_protected);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static const struct aq_wait SELECT = {"select", select_finish, select_give_up};

/* ---- before the wait ------------------------------------------------------------------------- */

/* Tries each branch once; the results of the first that can be done, or 0. */
static int try_all(lua_State *L, const struct select_object *so) {
  for (int i = 1; i <= so->n; i++) {
    bool raised;
    enum aq_status status = call_branch(L, i, ATTEMPT, &raised);
    if (raised || status != AQ_EMPTY) return push_outcome(L, i, status, raised);
    lua_pop(L, 1);
  }
  return 0;
}

/* Adds the branch at `i` of the list at 1. False: it is none, or is in a select already. */
static bool add(lua_State *L, struct select_object *so, int i) {
  lua_rawgeti(L, 1, i);
  struct aq_branch_object *b = aq_test_branch(L, -1);
  lua_pop(L, 1);
  return b != NULL && aq_select_add(&so->select, &b->branch);
}

/* Raises if not all that is in the list can be in this select. Adds each, to find out. */
static void check_list(lua_State *L, struct select_object *so) {
  int i = 1;
  while (i <= so->n && add(L, so, i)) i++;
  aq_select_end(&so->select);
  if (i > so->n) return;
  lua_rawgeti(L, 1, i);
  if (aq_test_branch(L, -1) == NULL) luaL_argerror(L, 1, "branches expected");
  aq_error_misuse(L, "select: a branch waits in another select, or is given twice");
}

/* Pushes a select of the branches in the list at 1, empty as yet. */
static struct select_object *push_select(lua_State *L, struct aq_task *t) {
  struct select_object *so = lua_newuserdatauv(L, sizeof *so, 1);
  aq_select_init(&so->select, &t->waiter);
  so->n = (int)lua_rawlen(L, 1);
  so->nentered = 0;
  check_list(L, so);
  return so;
}

/* None is to wait after all: the select is empty again. */
static void take_back(lua_State *L, struct select_object *so) {
  aq_select_leave(&so->select);
  forget_others(L, so);
  let_go(L, SELECT_AT);
}

/* Lets the waiter of branch `i` wait. False: it need not, and none waits; likewise if it raises,
** unless one was elected meanwhile. */
static bool enter(lua_State *L, struct select_object *so, int i) {
  bool raised;
  add(L, so, i);
  bool entered = call_branch(L, i, ENTER, &raised) == AQ_OK && !raised;
  if (entered) so->nentered = i;
  bool fails = !entered && so->select.chosen == NULL;
  if (fails) take_back(L, so);
  if (fails && raised) lua_error(L);
  lua_pop(L, 1);
  return !fails;
}

/* Lets the waiters of all branches wait, up to an election. False: none waits, try again. */
static bool enter_all(lua_State *L, struct select_object *so) {
  for (int i = 1; i <= so->n; i++) {
    if (!enter(L, so, i)) return false;
    if (!aq_select_go_on(&so->select)) break;
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

/* internal.select(list, timeout): index, value or nil, error; or 0 when the time is up */
static int select_branches(lua_State *L) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  struct select_object *so = push_select(L, t);
  for (;;) {
    int nresults = try_all(L, so);
    if (nresults > 0) return nresults;
    if (timeout_ns == 0) break;
    aq_task_check_wait(L, t);
    keep(L, t, SELECT_AT);
    if (!enter_all(L, so)) continue;
    if (enter_task(&so->select, t, timeout_ns)) return aq_task_wait(L, t, &SELECT);
    take_back(L, so);
    return luaL_error(L, "not enough memory");
  }
  lua_pushinteger(L, 0);
  return 1;
}

/* ---- a task or future as a branch ------------------------------------------------------------ */

static enum aq_status done_attempt(lua_State *L, struct aq_branch_object *b) {
  struct aq_future *f = lua_touserdata(L, 1);
  (void)b;
  if (f->state == AQ_PENDING) return AQ_EMPTY;
  f->is_retrieved = true;
  return AQ_OK; /* the future is on top: it is the value */
}

static enum aq_status done_enter(lua_State *L, struct aq_branch_object *b) {
  struct aq_future *f = lua_touserdata(L, 1);
  if (f->state != AQ_PENDING) return AQ_EMPTY;
  aq_waiter_enter(&b->branch.waiter, &f->joiners, NULL, AQ_NEVER);
  return AQ_OK;
}

static enum aq_status done_finish(lua_State *L, struct aq_branch_object *b, bool cancelled) {
  return cancelled ? AQ_CANCELLED : done_attempt(L, b);
}

/* internal.when_done(future): a branch */
static int when_done(lua_State *L) {
  static const struct aq_branch_kind DONE = {"", done_attempt, done_enter, done_finish, NULL};
  if (aq_test_future(L, 1) == NULL) return luaL_typeerror(L, 1, "Task or Future");
  lua_settop(L, 1);
  aq_branch_push(L, &DONE, 1);
  return 1;
}

/* internal: whether the value is a branch */
static int is_branch(lua_State *L) {
  lua_pushboolean(L, aq_test_branch(L, 1) != NULL);
  return 1;
}

void aq_open_select(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {
    {"select", select_branches}, {"when_done", when_done}, {"is_branch", is_branch}, {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
}
