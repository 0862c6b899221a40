/*
** op.c - operations: a C function of somebody else's waits, and somebody completes it.
**
** An operation is the thing that its task's waiter waits for. Its results, if it is completed with
** any, rest on a shelf of the runtime whose slot it owns from the start of the wait, so that
** completing needs no memory of its own. They are handed to the runtime when the continuation is
** called, which may then release the operation before it takes them.
*/
#include "op.h"

#include <lauxlib.h>
#include <string.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/base/values.h"
#include "wait.h"

enum state { BEGUN, WAITING, DONE, GONE, ORPHAN };

enum { REFUSED = -1, IS_OWNERS = 0, IS_TASKS = 1 }; /* who releases what was completed */

/* What this file makes of a struct aq_op. */
struct op {
  const struct aq_op_kind *kind;
  struct aq_runtime *rt;
  struct aq_task *task;
  struct aq_list link; /* in rt->ops, from the wait until k or discard; else alone */
  uint64_t timeout_ns;
  lua_KFunction k;
  lua_KContext ctx;
  struct aq_results results;
  uint8_t state;      /* enum state */
  bool was_asked;     /* abort was called */
  bool was_delivered; /* of the task, when the wait began */
};

_Static_assert(sizeof(struct op) <= sizeof(struct aq_op), "an operation must fit its struct");

static struct op *op_of(struct aq_op *p) { return (struct op *)p; }

static struct aq_op *public_of(struct op *o) { return (struct aq_op *)o; }

/* Free when an operation has begun: one for itself, and one for whoever begins and ends before it waits. */
enum { SLOTS = 2 };

/* ---- results --------------------------------------------------------------------------------- */

struct push {
  lua_CFunction function;
  void *arg;
  struct op *op;
};

/* Puts the value on top in the slot of the results, and pops it. Needs no memory. */
static void keep(lua_State *L, struct op *o, int count) {
  aq_runtime_push_uv(L, o->rt, AQ_UV_RESULTS);
  lua_insert(L, -2);
  lua_rawseti(L, -2, o->results.slot);
  lua_pop(L, 1);
  o->results.count = count;
}

/* Stack: the push (light). */
static int push_protected(lua_State *L) {
  const struct push *p = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_pushcfunction(L, p->function);
  lua_pushlightuserdata(L, p->arg);
  lua_call(L, 1, LUA_MULTRET);
  int n = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (n > 1) aq_values_pack(L, 1);
  if (n == 0) lua_pushnil(L);
  keep(L, p->op, n);
  return 0;
}

/* The results of `p`, or its error, rest on the shelf. */
static void make_results(struct op *o, struct push p) {
  lua_State *L = o->rt->L;
  o->results.count = AQ_FAILED_RESULTS;
  if (o->results.slot == 0 && o->rt->results.nfree < SLOTS) return; /* the last is another's */
  if (o->results.slot == 0) o->results.slot = aq_shelf_slot(&o->rt->results);
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    aq_shelf_return(&o->rt->results, o->results.slot);
    o->results.slot = 0;
    return;
  }
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, &p);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) keep(L, o, AQ_FAILED_RESULTS);
}

/* Pushes what was kept, and forgets it. */
static void take(lua_State *L, struct aq_runtime *rt, struct aq_results *r) {
  aq_runtime_push_uv(L, rt, AQ_UV_RESULTS);
  if (r->slot != 0)
    aq_shelf_take(L, &rt->results, -1, r->slot);
  else
    lua_pushnil(L);
  lua_remove(L, -2);
  *r = (struct aq_results){0, AQ_NO_RESULTS};
}

static void forget(lua_State *L, struct aq_runtime *rt, struct aq_results *r) {
  if (r->slot == 0) {
    r->count = AQ_NO_RESULTS;
    return;
  }
  if (r->count == AQ_NO_RESULTS)
    aq_shelf_return(&rt->results, r->slot);
  else
    take(L, rt, r), lua_pop(L, 1);
  *r = (struct aq_results){0, AQ_NO_RESULTS};
}

int aq_op_results(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  int n = rt != NULL ? rt->ended.count : AQ_NO_RESULTS;
  if (rt == NULL || n == AQ_NO_RESULTS) return 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  bool was_kept = rt->ended.slot != 0;
  take(L, rt, &rt->ended);
  if (n == AQ_FAILED_RESULTS && !was_kept) return aq_error_raise(L, AQ_NOMEM);
  if (n == AQ_FAILED_RESULTS) return lua_error(L);
  return n > 1 ? aq_values_unpack(L, n) : n;
}

/* ---- breaking off ---------------------------------------------------------------------------- */

/* Asks the operation to end, once. False: not yet, or it is done by now. */
static bool ask(struct op *o, enum aq_status why) {
  o->was_asked = true;
  bool is_gone = o->kind->abort == NULL || o->kind->abort(public_of(o), (int)why);
  if (is_gone && o->state == WAITING) o->state = GONE;
  return o->state == GONE;
}

/* The waiter's leave. */
static bool leave(struct aq_waiter *w, enum aq_status why) {
  struct op *o = w->thing;
  return !o->was_asked && ask(o, why);
}

/* The continuation will not run. */
static void discard(struct op *o, enum aq_status why) {
  if (o->state == WAITING && !o->was_asked) ask(o, why);
  if (o->state == WAITING)
    o->state = ORPHAN;
  else if (o->kind->discard != NULL)
    o->kind->discard(public_of(o));
}

/* The task is closed by force. */
static void give_up(lua_State *L, struct aq_task *t) {
  struct op *o = t->waiter.thing;
  aq_list_unlink(&o->link);
  forget(L, o->rt, &o->results);
  discard(o, AQ_CANCELLED);
}

void aq_ops_close(struct aq_runtime *rt) {
  while (!aq_list_alone(&rt->ops)) {
    struct op *o = AQ_CONTAINER(rt->ops.next, struct op, link);
    aq_list_unlink(&o->link);
    discard(o, AQ_CLOSED);
  }
}

/* ---- going on -------------------------------------------------------------------------------- */

static int finish(lua_State *L, struct aq_task *t, bool cancelled);

static const struct aq_wait OPERATION = {"operation", finish, give_up};

/* The last there is to do with an operation: its continuation may release it. */
static int call_back(lua_State *L, struct op *o, enum aq_status status) {
  struct aq_runtime *rt = o->rt;
  aq_list_unlink(&o->link);
  forget(L, rt, &rt->ended); /* an earlier continuation did not take them */
  if (status == AQ_OK && o->results.count != AQ_NO_RESULTS) {
    rt->ended = o->results;
    if (o->results.count == AQ_FAILED_RESULTS) status = AQ_ERROR;
  } else {
    forget(L, rt, &o->results);
  }
  return o->k(L, (int)status, o->ctx);
}

/* A cancel that did not break the wait off is outstanding as it was before. */
static void put_cancel_back(struct op *o) {
  o->task->must_cancel = true;
  o->task->was_delivered = o->was_delivered;
}

/* It was to be tried only, and was not done a turn later; or is cancelled, as the task may not wait. */
static bool ends_try(struct op *o, enum aq_status status) {
  return !o->was_asked && ask(o, status == AQ_OK ? AQ_TIMEDOUT : status);
}

static int finish(lua_State *L, struct aq_task *t, bool cancelled) {
  struct op *o = t->waiter.thing;
  enum aq_status status = aq_task_outcome(t, cancelled);
  if (o->state == WAITING && ends_try(o, status) && status == AQ_OK) status = AQ_TIMEDOUT;
  if (o->state != GONE && o->was_asked) {
    if (status == AQ_CANCELLED) put_cancel_back(o);
    status = AQ_OK;
  }
  if (o->state != WAITING) return call_back(L, o, status);
  aq_waiter_enter(&t->waiter, NULL, leave, AQ_NEVER);
  return aq_task_wait_as_guest(L, t, &OPERATION);
}

/* ---- the calls of the function that waits ---------------------------------------------------- */

static struct aq_runtime *check_runtime(lua_State *L) {
  struct aq_runtime *rt = aq_runtime_of(L);
  if (rt == NULL || rt->loop == NULL) luaL_error(L, "%s", aq_status_text(AQ_CLOSED));
  return rt;
}

static void reserve_slots(lua_State *L, struct aq_runtime *rt) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  aq_runtime_push(L, rt);
  aq_shelf_reserve(L, &rt->results, SLOTS, -1, AQ_UV_RESULTS);
  lua_pop(L, 1);
}

void aq_op_begin(lua_State *L, struct aq_op *p, const struct aq_op_kind *kind,
                 uint64_t timeout_ns) {
  struct aq_runtime *rt = check_runtime(L);
  if (rt->current == NULL) aq_task_refuse(L);
  aq_task_check_wait(L, rt->current);
  if (rt->results.nfree < SLOTS) reserve_slots(L, rt);
  struct op *o = op_of(p);
  *o = (struct op){.kind = kind, .rt = rt, .task = rt->current, .timeout_ns = timeout_ns};
  o->results.count = AQ_NO_RESULTS;
}

/* Whether a call that is done at once is to let the others run before it goes on (Q20). */
static bool is_spent(struct op *o) { return o->timeout_ns > 0 && aq_task_is_spent(o->rt, o->task); }

int aq_op_wait(lua_State *L, struct aq_op *p, lua_KContext ctx, lua_KFunction k) {
  struct op *o = op_of(p);
  struct aq_runtime *rt = o->rt;
  struct aq_task *t = o->task;
  o->k = k;
  o->ctx = ctx;
  aq_list_init(&o->link); /* the struct may have been moved since it was begun */
  if (o->state == DONE && !is_spent(o)) return call_back(L, o, AQ_OK);
  if (o->state == BEGUN) o->state = WAITING;
  if (o->results.slot == 0) o->results.slot = aq_shelf_slot(&rt->results);
  o->was_delivered = t->was_delivered;
  aq_list_append(&rt->ops, &o->link);
  t->waiter.thing = o;
  if (o->state == DONE || o->timeout_ns == 0)
    aq_waiter_ready(&t->waiter, AQ_OK);
  else
    aq_waiter_enter(&t->waiter, NULL, leave, aq_loop_deadline(rt->loop, o->timeout_ns));
  return aq_task_wait_as_guest(L, t, &OPERATION);
}

int aq_raise(lua_State *L, int status) {
  struct aq_runtime *rt = check_runtime(L);
  if (status == AQ_ERROR && rt->ended.count == AQ_FAILED_RESULTS) return aq_op_results(L);
  if (rt->current != NULL) return aq_task_raise(L, rt->current, (enum aq_status)status);
  return aq_error_raise(L, (enum aq_status)status);
}

uint64_t aq_check_seconds(lua_State *L, int idx) { return aq_check_timeout(L, idx); }

/* ---- the calls of the one who completes ------------------------------------------------------ */

/* Who is to release the operation when it is completed now; REFUSED: nothing is to happen. */
static int begin_completion(struct op *o) {
  if (o == NULL) return REFUSED;
  if (o->state == ORPHAN) return IS_OWNERS;
  uv_thread_t self = uv_thread_self();
  if (!uv_thread_equal(&self, &o->rt->thread)) return REFUSED;
  if (o->state == BEGUN || o->state == WAITING) return IS_TASKS;
  if (o->rt->watch != NULL) {
    lua_warning(o->rt->L, "an operation was completed twice, or after it was aborted: ", 1);
    lua_warning(o->rt->L, o->kind->name, 0);
  }
  return REFUSED;
}

static void settle(struct op *o) {
  bool waits = o->state == WAITING;
  if (!waits && o->state != BEGUN) return; /* what makes its results has cancelled it */
  o->state = DONE;
  if (waits) aq_waiter_settle(&o->task->waiter, AQ_OK);
}

int aq_op_complete(struct aq_op *p) {
  int answer = begin_completion(op_of(p));
  if (answer == IS_TASKS) settle(op_of(p));
  return answer;
}

int aq_op_complete_with(struct aq_op *p, lua_CFunction push, void *arg) {
  int answer = begin_completion(op_of(p));
  if (answer != IS_TASKS) return answer;
  make_results(op_of(p), (struct push){push, arg, op_of(p)});
  settle(op_of(p));
  return answer;
}

/* ---- reports --------------------------------------------------------------------------------- */

const char *aq_task_waits_in(const struct aq_task *t) {
  if (t->wait != &OPERATION) return t->wait->name;
  return ((const struct op *)t->waiter.thing)->kind->name;
}

bool aq_op_describe(const struct aq_task *t, char *text, size_t size) {
  if (t->wait != &OPERATION) return false;
  struct op *o = t->waiter.thing;
  if (o->kind->describe == NULL) return false;
  text[0] = '\0';
  o->kind->describe(public_of(o), text, size);
  return true;
}
