/*
** cwait.c - waits of C's in a queue: the same rooms and tickets as those of tasks.
**
** All that the end of a wait needs is taken when it begins: the slot for what comes out, the packed
** item of a put. So nothing fails at the end for want of memory, and a ticket is never lost.
*/
#include <assert.h>
#include <lauxlib.h>

#include "bind/base/error.h"
#include "bind/task/unhandled.h"
#include "cqueue.h"
#include "value.h"

enum phase {
  NONE,   /* the struct is the caller's */
  BEGINS, /* is being prepared, which may run code of the user's */
  GETS,   /* waits for an item, or is ready */
  PUTS,   /* waits for a slot, or is ready */
  STORED, /* the item of a put is in the queue already: ready to say so */
  ENDS    /* a comparison of items is running */
};

/* The private part of struct aq_cwait. */
struct wait {
  struct aq_waiter waiter;
  struct aq_list link; /* in keep->waits */
  struct aq_cqueue *q; /* counted */
  struct aq_item item; /* of a put; the queue's shelf has its value */
  uint32_t slot;       /* of the keep: for what comes out */
  uint8_t phase;       /* enum phase */
};

static_assert(sizeof(struct wait) <= sizeof((struct aq_cwait *)NULL)->aq_private,
              "aq_private is too small");

static struct wait *wait_of(struct aq_cwait *w) { return (struct wait *)(void *)w->aq_private; }

static struct aq_cwait *public_of(struct wait *w) {
  return AQ_CONTAINER(w, struct aq_cwait, aq_private);
}

/* The struct is the caller's again. */
static void release(struct wait *w) {
  struct aq_cqueue *q = w->q;
  aq_list_unlink(&w->link);
  aq_keep_free(q->keep, w->slot);
  w->phase = NONE;
  w->q = NULL;
  aq_cqueue_drop(q);
}

/* Takes the item of a put out of the shelf again. The queue is at `queue`. */
static void take_back(lua_State *L, int queue, struct wait *w, struct aq_value *v) {
  aq_items_push_from(L, queue, &w->q->qo->items, w->item);
  aq_value_from_lua(L, w->q->keep, w->slot, v);
  w->slot = 0;
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* These two have the queue at 1. */
static enum aq_status end_get(lua_State *L, struct wait *w, struct aq_value *v) {
  struct aq_queue_object *qo = w->q->qo;
  struct aq_item item;
  enum aq_status status = aq_queue_get_end(&qo->queue, &w->waiter, false, &item);
  if (status != AQ_OK) return status;
  aq_queue_push_item(L, qo, item);
  aq_value_from_lua(L, w->q->keep, w->slot, v);
  w->slot = 0;
  return AQ_OK;
}

/* Finds the place of a woken put in a priority queue. */
static enum aq_status place(lua_State *L, struct wait *w) {
  aq_items_peek(L, w->item);
  aq_items_peek_key(L, w->item);
  w->phase = ENDS;
  int status = aq_queue_place_put(L);
  w->phase = PUTS;
  return status == LUA_OK ? AQ_OK : aq_cqueue_pop_error(L, status);
}

static enum aq_status end_put(lua_State *L, struct wait *w, struct aq_value *v) {
  struct aq_queue_object *qo = w->q->qo;
  bool has_slot = w->waiter.status == AQ_OK && !qo->queue.is_shutdown;
  enum aq_status placed = has_slot && qo->items.has_keys ? place(L, w) : AQ_OK;
  enum aq_status status = aq_queue_put_end(&qo->queue, &w->waiter, placed != AQ_OK, w->item);
  if (placed != AQ_OK) status = placed;
  if (status != AQ_OK) take_back(L, 1, w, v);
  return status;
}

struct ending {
  struct wait *wait;
  bool is_over; /* the wait is, and `done` called */
};

/* Stack: the ending, light. */
static int end_protected(lua_State *L) {
  struct ending *e = lua_touserdata(L, 1);
  struct wait *w = e->wait;
  struct aq_value v = {.kind = AQ_V_NIL};
  enum aq_status status = AQ_OK;
  lua_settop(L, 0);
  aq_cqueue_push_object(L, w->q);
  if (w->q->qo->class != aq_queue_class)
    status = AQ_CLOSED; /* was finalized by hand */
  else if (w->phase == GETS)
    status = end_get(L, w, &v);
  else if (w->phase == PUTS)
    status = end_put(L, w, &v);
  release(w);
  e->is_over = true;
  public_of(w)->done(public_of(w), status, &v);
  return 0;
}

static void wake(struct aq_waiter *waiter) {
  struct ending e = {AQ_CONTAINER(waiter, struct wait, waiter), false};
  struct aq_runtime *rt = e.wait->q->keep->rt;
  lua_State *L = rt->L;
  lua_pushcfunction(L, end_protected);
  lua_pushlightuserdata(L, &e);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  if (e.is_over) {
    aq_unhandled_callback(L, rt, "a callback of a queue");
  } else { /* no memory for the call itself: once more, the ticket is kept */
    lua_pop(L, 1);
    aq_waiter_ready(waiter, waiter->status);
  }
}

/* ---- the beginning ---------------------------------------------------------------------------- */

struct beginning {
  struct aq_cqueue *q;
  struct wait *wait;
  struct aq_value *v;
  uint64_t timeout_ns;
  uint32_t slot; /* taken, and not yet the wait's */
  enum aq_status status;
};

static uint64_t deadline_of(const struct beginning *b) {
  struct aq_loop *loop = b->q->qo->rt->loop;
  if (b->timeout_ns != AQ_FOREVER) aq_agenda_tell(&loop->agenda);
  return aq_loop_deadline(loop, b->timeout_ns);
}

/* The last that can fail. */
static enum aq_status reserve_deadline(const struct beginning *b) {
  if (b->timeout_ns == AQ_FOREVER) return AQ_OK;
  return aq_agenda_reserve(&b->q->qo->rt->loop->agenda);
}

static struct wait *begin(struct beginning *b, enum phase phase) {
  struct wait *w = b->wait;
  aq_waiter_init(&w->waiter, &b->q->qo->rt->loop->agenda, wake);
  aq_list_init(&w->link);
  aq_list_append(&b->q->keep->waits, &w->link);
  w->q = aq_cqueue_hold(b->q);
  w->slot = b->slot;
  w->phase = phase;
  b->slot = 0;
  return w;
}

/* Stack: the beginning, light. The slot comes first: see aq_cqueue_get. */
static int get_protected(lua_State *L) {
  struct beginning *b = lua_touserdata(L, 1);
  b->slot = aq_keep_slot(L, b->q->keep);
  b->status = reserve_deadline(b);
  if (b->status != AQ_OK) return 0;
  struct wait *w = begin(b, GETS);
  aq_queue_get_later(&b->q->qo->queue, &w->waiter, deadline_of(b));
  return 0;
}

/* The put was tried, with `status`, and has an end to wait for or to be told. Queue, value and key
** are on the stack. */
static void begin_put(lua_State *L, struct beginning *b, enum aq_status status,
                      struct aq_item *item) {
  struct aq_queue_object *qo = b->q->qo;
  struct wait *w = begin(b, status == AQ_OK ? STORED : PUTS);
  if (status != AQ_OK) aq_items_shelve(L, &qo->items, item);
  w->item = *item;
  if (status == AQ_FULL)
    aq_queue_put_wait(&qo->queue, &w->waiter, deadline_of(b));
  else
    aq_waiter_ready(&w->waiter, status);
  aq_value_move(L, b->v, 2);
}

static int put_protected(lua_State *L) {
  struct beginning *b = lua_touserdata(L, 1);
  struct aq_queue_object *qo = b->q->qo;
  struct aq_item item;
  lua_settop(L, 0);
  aq_cqueue_push_object(L, b->q);
  aq_value_to_lua(L, b->v);
  b->slot = aq_keep_slot(L, b->q->keep);
  aq_queue_prepare_put(L, qo, 2, &item);
  enum aq_status status = aq_queue_put_or_drop(L, qo, &item);
  b->status = status == AQ_FULL ? reserve_deadline(b) : status == AQ_NOMEM ? AQ_NOMEM : AQ_OK;
  if (b->status == AQ_OK) begin_put(L, b, status, &item);
  return 0;
}

static enum aq_status run(struct beginning *b, lua_CFunction function) {
  if (b->wait->phase != NONE) return AQ_BUSY;
  b->wait->phase = BEGINS;
  enum aq_status status = aq_cqueue_call(b->q, function, b);
  if (b->wait->phase == BEGINS) b->wait->phase = NONE; /* it failed */
  aq_keep_free(b->q->keep, b->slot);
  return status == AQ_OK ? b->status : status;
}

int aq_cqueue_put_wait(struct aq_cqueue *q, struct aq_cwait *w, struct aq_value *v,
                       uint64_t timeout_ns) {
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  if (w == NULL || w->done == NULL || v == NULL || !aq_value_fits(v, q->keep->rt))
    return AQ_INVALID;
  struct beginning b = {.q = q, .wait = wait_of(w), .v = v, .timeout_ns = timeout_ns};
  return run(&b, put_protected);
}

int aq_cqueue_get_wait(struct aq_cqueue *q, struct aq_cwait *w, uint64_t timeout_ns) {
  enum aq_status status = aq_cqueue_enter(q);
  if (status != AQ_OK) return status;
  if (w == NULL || w->done == NULL) return AQ_INVALID;
  struct beginning b = {.q = q, .wait = wait_of(w), .timeout_ns = timeout_ns};
  return run(&b, get_protected);
}

/* ---- cancelling and closing ------------------------------------------------------------------- */

/* Hands on the ticket that a woken waiter may own. */
static void give_up(struct wait *w) {
  struct aq_queue *queue = &w->q->qo->queue;
  struct aq_item item;
  if (w->phase == GETS)
    aq_queue_get_end(queue, &w->waiter, true, &item);
  else
    aq_queue_put_end(queue, &w->waiter, true, w->item);
}

/* Frees the item of a put. */
static void drop_item(struct wait *w) {
  struct aq_value v;
  lua_State *L = w->q->keep->rt->L;
  (void)lua_checkstack(L, 5); /* without memory, Lua's own reserve is used */
  aq_cqueue_push_object(L, w->q);
  take_back(L, -1, w, &v);
  lua_pop(L, 1);
  aq_value_free(&v);
}

int aq_cwait_cancel(struct aq_cwait *public) {
  struct wait *w = public != NULL ? wait_of(public) : NULL;
  if (w == NULL || w->phase == NONE) return AQ_INVALID;
  if (w->phase == ENDS || w->phase == BEGINS) return AQ_BUSY;
  enum aq_status status = aq_cqueue_enter(w->q);
  if (status == AQ_WRONG_THREAD) return status;
  bool is_open = status == AQ_OK; /* else the queue has been finalized: lua_close is under way */
  if (is_open && w->phase != STORED && w->waiter.state == AQ_READY) give_up(w);
  aq_waiter_drop(&w->waiter);
  status = w->phase == STORED ? AQ_INVALID : AQ_OK;
  if (is_open && w->phase == PUTS) drop_item(w);
  release(w);
  return status;
}

void aq_cqueues_close(struct aq_runtime *rt) {
  struct aq_keep *keep = rt->keep;
  if (keep == NULL) return;
  while (!aq_list_alone(&keep->waits)) {
    struct wait *w = AQ_CONTAINER(keep->waits.next, struct wait, link);
    aq_waiter_drop(&w->waiter);
    w->slot = 0;
    release(w);
  }
  aq_keep_close(rt->L, rt);
}
