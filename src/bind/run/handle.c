/*
** handle.c - handles that any thread holds, and what is posted by them.
**
** A handle and its copies are one counted block, which holds the runtime's inbox: a counted block too, that
** outlives the runtime. The Lua state is touched on the loop's thread only.
*/
#include "handle.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "aqlua.h"
#include "bind/base/error.h"
#include "bind/task/unhandled.h"
#include "core/attach.h"
#include "core/inbox.h"

enum { CALLS_MAX = 65536 };       /* made with aq_post_call and not yet run */
enum { POSTS_PER_TURN = 100000 }; /* more wait for the next turn, or tasks would starve */

/* What all handles of a runtime share. */
struct aq_gate {
  struct aq_inbox *inbox;
  atomic_size_t holds; /* the runtime and the handles */
  atomic_size_t calls; /* under way */
};

struct aq_handle {
  struct aq_gate *gate;
  atomic_size_t copies;
  int flags;
};

/* ---- the gate -------------------------------------------------------------------------------- */

static void release_gate(struct aq_gate *gate) {
  if (atomic_fetch_sub(&gate->holds, 1) > 1) return;
  aq_inbox_release(gate->inbox);
  free(gate);
}

/* Inside a poll: the bell was rung. */
static void on_ring(void *ud) {
  struct aq_runtime *rt = ud;
  rt->has_posts = true;
  if (rt->loop->attachment != NULL) aq_attachment_look(rt->loop->attachment);
}

static enum aq_status open_gate(struct aq_runtime *rt) {
  if (rt->gate != NULL) return AQ_OK;
  struct aq_gate *gate = calloc(1, sizeof *gate);
  if (gate == NULL) return AQ_NOMEM;
  if (aq_inbox_new(&gate->inbox, rt->loop->uv, on_ring, rt) != AQ_OK) {
    free(gate);
    return AQ_NOMEM;
  }
  atomic_init(&gate->holds, 1);
  rt->gate = gate;
  rt->loop->inbox = gate->inbox;
  return AQ_OK;
}

void aq_handles_close(struct aq_runtime *rt) {
  if (rt->gate == NULL) return;
  rt->loop->inbox = NULL;
  aq_inbox_close(rt->gate->inbox);
  release_gate(rt->gate);
  rt->gate = NULL;
}

/* ---- handles --------------------------------------------------------------------------------- */

int aq_handle_new(lua_State *L, struct aq_handle **out, int flags) {
  struct aq_runtime *rt;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (out == NULL || (flags & ~(AQ_KEEP_ALIVE | AQ_HOLD_CLOCK)) != 0) status = AQ_INVALID;
  if (status == AQ_OK) status = open_gate(rt);
  if (status != AQ_OK) return status;
  struct aq_handle *h = malloc(sizeof *h);
  if (h == NULL) return AQ_NOMEM;
  *h = (struct aq_handle){.gate = rt->gate, .flags = flags};
  atomic_init(&h->copies, 1);
  atomic_fetch_add(&rt->gate->holds, 1);
  if (flags & AQ_HOLD_CLOCK) aq_inbox_hold_clock(rt->gate->inbox, 1);
  if (flags != 0) aq_inbox_keep(rt->gate->inbox, 1);
  if (flags != 0) aq_have_posts(rt); /* in force from now on */
  *out = h;
  return AQ_OK;
}

struct aq_handle *aq_handle_copy(struct aq_handle *h) {
  if (h != NULL) atomic_fetch_add(&h->copies, 1);
  return h;
}

void aq_handle_drop(struct aq_handle *h) {
  if (h == NULL || atomic_fetch_sub(&h->copies, 1) > 1) return;
  if (h->flags & AQ_HOLD_CLOCK) aq_inbox_hold_clock(h->gate->inbox, -1);
  if (h->flags != 0) aq_inbox_keep(h->gate->inbox, -1);
  release_gate(h->gate);
  free(h);
}

/* ---- posts ----------------------------------------------------------------------------------- */

/* One that is about to run: whether it was entered tells whether it is to be dropped instead. */
struct entry {
  struct aq_post *post;
  bool was_entered;
};

static int enter(lua_State *L) {
  struct entry *e = lua_touserdata(L, 1);
  lua_settop(L, 0);
  e->was_entered = true;
  e->post->run(L, e->post);
  return 0;
}

static void drop(struct aq_post *post) {
  if (post->drop != NULL) post->drop(post);
}

static void run(struct aq_mail *mail, enum aq_status status, void *ud) {
  struct aq_runtime *rt = ud;
  struct entry e = {AQ_CONTAINER(mail, struct aq_post, aq_private), false};
  lua_State *L = rt->L;
  if (status != AQ_OK || !lua_checkstack(L, LUA_MINSTACK)) {
    drop(e.post);
    return;
  }
  lua_pushcfunction(L, enter);
  lua_pushlightuserdata(L, &e);
  bool has_failed = lua_pcall(L, 1, 0, 0) != LUA_OK;
  if (!e.was_entered) drop(e.post);
  if (!has_failed) return;
  if (e.was_entered)
    aq_unhandled_callback(L, rt, "a function that was posted");
  else
    lua_pop(L, 1);
}

void aq_run_posts(struct aq_runtime *rt) {
  rt->has_posts = aq_inbox_drain(rt->gate->inbox, POSTS_PER_TURN);
  if (rt->has_posts) aq_loop_hurry(rt->loop);
}

bool aq_have_posts(struct aq_runtime *rt) {
  if (rt->gate != NULL) rt->has_posts |= aq_inbox_drain(rt->gate->inbox, 0);
  return rt->has_posts;
}

bool aq_poll_posts(struct aq_runtime *rt, uint64_t block_ns) {
  if (rt->loop->is_virtual && aq_have_posts(rt))
    return true; /* the clock does not jump over them */
  uint64_t polled_at = rt->loop->polled_at_woken;
  bool may_go_on = aq_loop_poll(rt->loop, rt->has_posts ? 0 : block_ns);
  if (!may_go_on || polled_at != rt->loop->polled_at_woken) may_go_on |= aq_have_posts(rt);
  return may_go_on;
}

int aq_post(struct aq_handle *h, struct aq_post *post) {
  _Static_assert(sizeof post->aq_private >= sizeof(struct aq_mail), "a post holds a mail");
  if (h == NULL || post == NULL || post->run == NULL) return AQ_INVALID;
  struct aq_mail *mail = (struct aq_mail *)post->aq_private;
  mail->fn = run;
  return aq_inbox_post(h->gate->inbox, mail);
}

/* ---- posts that are allocated ---------------------------------------------------------------- */

struct call {
  struct aq_post post;
  struct aq_gate *gate; /* held */
  void (*run)(lua_State *L, void *arg);
  void (*drop)(void *arg);
  void *arg;
};

static void free_call(struct call *c) {
  atomic_fetch_sub(&c->gate->calls, 1);
  release_gate(c->gate);
  free(c);
}

static void run_call(lua_State *L, struct aq_post *post) {
  struct call c = *AQ_CONTAINER(post, struct call, post);
  free_call(AQ_CONTAINER(post, struct call, post)); /* before it may raise an error */
  c.run(L, c.arg);
}

static void drop_call(struct aq_post *post) {
  struct call *c = AQ_CONTAINER(post, struct call, post);
  if (c->drop != NULL) c->drop(c->arg);
  free_call(c);
}

int aq_post_call(struct aq_handle *h, void (*run_arg)(lua_State *L, void *arg),
                 void (*drop_arg)(void *arg), void *arg) {
  if (h == NULL || run_arg == NULL) return AQ_INVALID;
  if (atomic_fetch_add(&h->gate->calls, 1) >= CALLS_MAX) {
    atomic_fetch_sub(&h->gate->calls, 1);
    return AQ_FULL;
  }
  struct call *c = malloc(sizeof *c);
  if (c == NULL) {
    atomic_fetch_sub(&h->gate->calls, 1);
    return AQ_NOMEM;
  }
  *c = (struct call){{run_call, drop_call, {NULL}}, h->gate, run_arg, drop_arg, arg};
  atomic_fetch_add(&h->gate->holds, 1);
  int status = aq_post(h, &c->post);
  if (status != AQ_OK) free_call(c);
  return status;
}
