/*
** lselect.c - waiting for the first of several branches.
**
** First each branch is tried, in the order given. If none can be done at once, the waiter of each
** enters its room and the task waits. Whoever settles one of them elects it in that very call (see
** elect): the others leave, and the task is made ready.
**
** Entering may run a finalizer, and so any code: a branch that finds it need not wait any more sends
** the whole select back to trying, and an election may come before the task itself waits.
*/
#include <lauxlib.h>

#include "branch.h"
#include "error.h"
#include "leaves.h"
#include "task.h"

const char aq_branch_class[] = "Branch";

struct aq_select {
  struct aq_task *task;
  struct aq_branch *chosen; /* the one elected, or NULL */
  int nentered;             /* branches whose waiters wait */
  int n;
  struct aq_branch *branches[]; /* kept by the list, user value 1 */
};

/* ---- branches -------------------------------------------------------------------------------- */

static void elect(struct aq_waiter *w);

void aq_branch_push(lua_State *L, const struct aq_branch_kind *kind, int nvalues) {
  struct aq_runtime *rt = aq_runtime(L);
  struct aq_branch *b = lua_newuserdatauv(L, sizeof *b, AQ_UV_BRANCH_COUNT);
  *b = (struct aq_branch){.class = aq_branch_class, .kind = kind, .nvalues = nvalues};
  aq_waiter_init(&b->waiter, &rt->loop->agenda, elect);
  b->waiter.is_branch = true;
  luaL_newmetatable(L, "Branch");
  lua_setmetatable(L, -2);
  for (int i = 1; i <= nvalues; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, -2, i);
  }
}

static struct aq_branch *test_branch(lua_State *L, int idx) {
  struct aq_branch *b = lua_touserdata(L, idx);
  bool is_branch = b != NULL && lua_rawlen(L, idx) >= sizeof *b && b->class == aq_branch_class;
  return is_branch ? b : NULL;
}

/* ---- calling a branch's functions ------------------------------------------------------------ */

enum what { ATTEMPT, ENTER, FINISH, FINISH_CANCELLED, FORGET };

/* Stack: the branch's values; then the branch and what to do, light. Returns status and value. */
static int call_protected(lua_State *L) {
  struct aq_branch *b = lua_touserdata(L, -2);
  enum what what = (enum what)lua_tointeger(L, -1);
  enum aq_status status = AQ_OK;
  lua_pop(L, 2);
  switch (what) {
    case ATTEMPT: status = b->kind->attempt(L, b); break;
    case ENTER: status = b->kind->enter(L, b); break;
    case FINISH: status = b->kind->finish(L, b, false); break;
    case FINISH_CANCELLED: status = b->kind->finish(L, b, true); break;
    case FORGET:
      if (b->kind->forget != NULL) b->kind->forget(L, b);
      break;
  }
  lua_pushinteger(L, (lua_Integer)status);
  lua_insert(L, -2);
  return 2;
}

/*
** Calls one of the functions of branch `i` of the list at 1. Leaves the value, or the error: a
** raised one makes *raised true.
*/
static enum aq_status call_branch(lua_State *L, int i, struct aq_branch *b, enum what what,
                                  bool *raised) {
  lua_pushcfunction(L, call_protected);
  lua_rawgeti(L, 1, i);
  int branch = lua_gettop(L);
  for (int uv = 1; uv <= b->nvalues; uv++) lua_getiuservalue(L, branch, uv);
  lua_remove(L, branch);
  lua_pushlightuserdata(L, b);
  lua_pushinteger(L, what);
  *raised = lua_pcall(L, b->nvalues + 2, 2, 0) != LUA_OK;
  if (*raised) return AQ_OK;
  enum aq_status status = (enum aq_status)lua_tointeger(L, -2);
  lua_remove(L, -2);
  return status;
}

/* ---- electing -------------------------------------------------------------------------------- */

/* Takes the waiters of all branches out of their rooms. */
static void leave_all(struct aq_select *s) {
  for (int i = 0; i < s->n; i++) {
    aq_waiter_drop(&s->branches[i]->waiter);
    s->branches[i]->select = NULL;
  }
}

/* A branch is settled: it is the one, and its task is ready in its stead. */
static void elect(struct aq_waiter *w) {
  struct aq_branch *b = AQ_CONTAINER(w, struct aq_branch, waiter);
  struct aq_select *s = b->select;
  s->chosen = b;
  leave_all(s);
  aq_waiter_settle(&s->task->waiter, w->status);
}

/* The task's wait is broken off, by cancel or deadline: no branch happens. */
static void leave(struct aq_waiter *w) { leave_all(w->thing); }

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

static void forget_others(lua_State *L, struct aq_select *s) {
  bool raised;
  for (int i = 0; i < s->nentered; i++) {
    if (s->branches[i] == s->chosen) continue;
    call_branch(L, i + 1, s->branches[i], FORGET, &raised);
    lua_pop(L, 1);
  }
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int index_of_chosen(const struct aq_select *s) {
  int i = 0;
  while (s->branches[i] != s->chosen) i++;
  return i + 1;
}

/* Goes on after the wait. Stack: the list, the timeout, the select. */
static int select_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct aq_select *s = t->waiter.thing;
  bool raised = false;
  forget_others(L, s);
  if (s->chosen == NULL) {
    if (t->waiter.status != AQ_TIMEDOUT || cancelled)
      return aq_task_raise(L, t, cancelled ? AQ_CANCELLED : t->waiter.status);
    lua_pushinteger(L, 0);
    return 1;
  }
  int i = index_of_chosen(s);
  enum aq_status status =
    call_branch(L, i, s->chosen, cancelled ? FINISH_CANCELLED : FINISH, &raised);
  if (cancelled) return aq_task_raise(L, t, AQ_CANCELLED);
  return push_outcome(L, i, status, raised);
}

/* Stack: the list, the select (light). */
static int give_up_protected(lua_State *L) {
  struct aq_select *s = lua_touserdata(L, 2);
  bool raised;
  forget_others(L, s);
  if (s->chosen != NULL) call_branch(L, index_of_chosen(s), s->chosen, FINISH_CANCELLED, &raised);
  return 0;
}

static void select_give_up(lua_State *L, struct aq_task *t) {
  lua_pushcfunction(L, give_up_protected);
  lua_pushvalue(t->innermost, 1);
  lua_xmove(t->innermost, L, 1);
  lua_pushlightuserdata(L, t->waiter.thing);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static const struct aq_wait SELECT = {"select", select_finish, select_give_up};

/* Lets the waiters of all branches wait. False: one need not, or raised, and none waits. */
static bool enter_all(lua_State *L, struct aq_select *s) {
  for (int i = 0; i < s->n; i++) {
    struct aq_branch *b = s->branches[i];
    bool raised;
    b->select = s;
    enum aq_status status = call_branch(L, i + 1, b, ENTER, &raised);
    if (raised || status != AQ_OK) {
      leave_all(s);
      forget_others(L, s);
      s->nentered = 0;
      if (raised) lua_error(L);
      lua_pop(L, 1);
      return false;
    }
    lua_pop(L, 1);
    s->nentered = i + 1;
    if (s->chosen != NULL) { /* elected while this one entered: it leaves again */
      aq_waiter_drop(&b->waiter);
      b->select = NULL;
      break;
    }
  }
  return true;
}

/* Tries each branch once; the results of the first that can be done, or 0. */
static int try_all(lua_State *L, struct aq_select *s) {
  for (int i = 1; i <= s->n; i++) {
    bool raised;
    enum aq_status status = call_branch(L, i, s->branches[i - 1], ATTEMPT, &raised);
    if (raised || status != AQ_EMPTY) return push_outcome(L, i, status, raised);
    lua_pop(L, 1);
  }
  return 0;
}

/* Whether a branch is in this select twice, or in another that waits. Marks each to find out. */
static bool is_one_taken(struct aq_select *s) {
  int i = 0;
  for (; i < s->n && s->branches[i]->select == NULL; i++) s->branches[i]->select = s;
  for (int j = 0; j < i; j++) s->branches[j]->select = NULL;
  return i < s->n;
}

/* Pushes a select over the list of branches at 1. The task keeps it, in case that somebody closes
** its coroutine with the stock function while the branches wait. */
static struct aq_select *push_select(lua_State *L, struct aq_task *t) {
  int n = (int)lua_rawlen(L, 1);
  struct aq_select *s = lua_newuserdatauv(L, sizeof *s + (size_t)n * sizeof *s->branches, 1);
  s->task = t;
  s->chosen = NULL;
  s->nentered = 0;
  s->n = n;
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    s->branches[i] = test_branch(L, -1);
    if (s->branches[i] == NULL) luaL_argerror(L, 1, "branches expected");
    lua_pop(L, 1);
  }
  if (is_one_taken(s))
    aq_error_misuse(L, "select: a branch waits in another select, or is given twice");
  return s;
}

/* No memory for the deadline: no branch waits any more. */
static int give_back(lua_State *L, struct aq_select *s) {
  leave_all(s);
  forget_others(L, s);
  return luaL_error(L, "not enough memory");
}

/*
** Lets the task wait for the election, unless there was one while the branches entered. They may
** have run any code: the room for the deadline is made only now.
*/
static bool enter_task(struct aq_select *s, struct aq_task *t, uint64_t timeout_ns) {
  t->waiter.thing = s;
  if (s->chosen != NULL) {
    aq_waiter_ready(&t->waiter, s->chosen->waiter.status);
    return true;
  }
  if (aq_agenda_reserve(t->waiter.agenda) != AQ_OK) return false;
  aq_waiter_enter(&t->waiter, NULL, leave, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return true;
}

/* internal.select(list, timeout): index, value or nil, error; or 0 when the time is up */
static int select_branches(lua_State *L) {
  struct aq_task *t = aq_task_running(L, aq_runtime(L));
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  struct aq_select *s = push_select(L, t);
  for (;;) {
    int nresults = try_all(L, s);
    if (nresults > 0) return nresults;
    if (timeout_ns == 0) break;
    aq_task_check_wait(L, t);
    if (!enter_all(L, s)) continue;
    if (!enter_task(s, t, timeout_ns)) return give_back(L, s);
    return aq_task_wait(L, t, &SELECT);
  }
  lua_pushinteger(L, 0);
  return 1;
}

/* ---- a task or future as a branch ------------------------------------------------------------ */

static enum aq_status done_attempt(lua_State *L, struct aq_branch *b) {
  struct aq_future *f = lua_touserdata(L, 1);
  (void)b;
  if (f->state == AQ_PENDING) return AQ_EMPTY;
  f->is_retrieved = true;
  return AQ_OK; /* the future is on top: it is the value */
}

static enum aq_status done_enter(lua_State *L, struct aq_branch *b) {
  struct aq_future *f = lua_touserdata(L, 1);
  if (f->state != AQ_PENDING) return AQ_EMPTY;
  aq_waiter_enter(&b->waiter, &f->joiners, NULL, AQ_NEVER);
  return AQ_OK;
}

static enum aq_status done_finish(lua_State *L, struct aq_branch *b, bool cancelled) {
  return cancelled ? AQ_CANCELLED : done_attempt(L, b);
}

/* internal.when_done(future): a branch */
static int when_done(lua_State *L) {
  static const struct aq_branch_kind DONE = {done_attempt, done_enter, done_finish, NULL};
  if (aq_test_future(L, 1) == NULL) return luaL_typeerror(L, 1, "Task or Future");
  lua_settop(L, 1);
  aq_branch_push(L, &DONE, 1);
  return 1;
}

/* internal: whether the value is a branch */
static int is_branch(lua_State *L) {
  lua_pushboolean(L, test_branch(L, 1) != NULL);
  return 1;
}

void aq_open_select(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {
    {"select", select_branches}, {"when_done", when_done}, {"is_branch", is_branch}, {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
}
