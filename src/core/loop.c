/*
** loop.c - when to poll, how long to block, and the two clocks.
**
** A poll costs as much as several switches between tasks, and looking at the clock a good part of
** one, so while parties are ready neither is done every turn. Every LOOK_WAKES wakes it is seen
** whether anything can have happened: with a deadline armed or a handle of libuv's alive, a poll is
** made when the last is POLL_NS ago or a deadline has come; with neither, only another thread or a
** signal can have done something, and one poll in POLL_WAKES wakes is enough.
*/
#include "loop.h"

enum { LOOK_WAKES = 8, POLL_WAKES = 1024 };

static const uint64_t POLL_NS = 50000;
static const uint64_t NS_PER_MS = 1000000;

/*
** libuv is about to block, but may have called back before that, for timers of the embedder's that
** were due: what they have made ready must not wait for the next event.
*/
static void on_prepare(uv_prepare_t *prepare) {
  struct aq_loop *loop = prepare->data;
  if (loop->is_blocking && (loop->is_hurried || aq_agenda_has_ready(&loop->agenda)))
    uv_stop(loop->uv);
}

static void start_prepare(struct aq_loop *loop) {
  uv_prepare_init(loop->uv, &loop->prepare);
  uv_prepare_start(&loop->prepare, on_prepare); /* neither can fail */
  uv_unref((uv_handle_t *)&loop->prepare);
  loop->prepare.data = loop;
}

enum aq_status aq_loop_new(struct aq_loop **out, uv_loop_t *uv, struct aq_alloc alloc) {
  struct aq_loop *loop = aq_realloc(&alloc, NULL, 0, sizeof *loop);
  if (loop == NULL) return AQ_NOMEM;
  loop->alloc = alloc;
  loop->uv = uv != NULL ? uv : &loop->own;
  if (uv == NULL && uv_loop_init(&loop->own) != 0) {
    aq_free(&alloc, loop, sizeof *loop);
    return AQ_NOMEM;
  }
  aq_agenda_init(&loop->agenda, alloc);
  uv_timer_init(loop->uv, &loop->timer); /* documented never to fail */
  loop->timer.data = loop;
  start_prepare(loop);
  loop->polled_at_woken = loop->look_at_woken = 0;
  loop->polled_at_ns = 0;
  loop->is_virtual = loop->is_hurried = loop->is_blocking = false;
  loop->agenda.now_ns = aq_loop_now(loop);
  *out = loop;
  return AQ_OK;
}

/* libuv is done with one of the handles; with the second, nothing refers to the loop any more. */
static void on_closed(uv_handle_t *handle) {
  struct aq_loop *loop = handle->data;
  struct aq_alloc alloc = loop->alloc;
  const uv_handle_t *prepare = (uv_handle_t *)&loop->prepare, *timer = (uv_handle_t *)&loop->timer;
  handle->data = NULL;
  if (prepare->data != NULL || timer->data != NULL) return;
  if (loop->uv != &loop->own) aq_free(&alloc, loop, sizeof *loop);
}

void aq_loop_free(struct aq_loop *loop) {
  struct aq_alloc alloc = loop->alloc;
  bool owns = loop->uv == &loop->own;
  aq_agenda_free(&loop->agenda);
  uv_close((uv_handle_t *)&loop->prepare, on_closed);
  uv_close((uv_handle_t *)&loop->timer, on_closed);
  if (!owns) return; /* freed by the callbacks, when the embedder's loop turns */
  uv_run(&loop->own, UV_RUN_NOWAIT);
  uv_loop_close(&loop->own);
  aq_free(&alloc, loop, sizeof *loop);
}

uint64_t aq_loop_now(const struct aq_loop *loop) {
  return loop->is_virtual ? loop->virtual_ns : uv_hrtime();
}

uint64_t aq_loop_from_now(const struct aq_loop *loop, uint64_t timeout_ns) {
  uint64_t now_ns = aq_loop_now(loop);
  return timeout_ns < AQ_FAR - now_ns ? now_ns + timeout_ns : AQ_FAR;
}

void aq_loop_use_virtual(struct aq_loop *loop, bool on) {
  loop->virtual_ns = aq_loop_now(loop);
  loop->is_virtual = on;
  loop->agenda.now_ns = aq_loop_now(loop);
}

static void poll(struct aq_loop *loop, uv_run_mode mode) {
  loop->is_blocking = mode != UV_RUN_NOWAIT;
  uv_run(loop->uv, mode);
  loop->is_blocking = false;
  loop->polled_at_ns = uv_hrtime();
  loop->agenda.now_ns = loop->is_virtual ? loop->virtual_ns : loop->polled_at_ns;
  loop->polled_at_woken = loop->agenda.woken;
  loop->look_at_woken = loop->agenda.woken + LOOK_WAKES;
}

/* The timer has done its work by ending the poll: the turn looks at the clock. */
static void on_timer(uv_timer_t *timer) { (void)timer; }

/*
** Blocks until `deadline_ns` or until libuv has had something to do. libuv counts in cut-off
** milliseconds, so it may come back a little early; the turn then fires nothing and the next step
** blocks for the rest. Nothing ever fires before its time.
*/
static void poll_until(struct aq_loop *loop, uint64_t deadline_ns) {
  uint64_t now_ns = uv_hrtime();
  if (deadline_ns <= now_ns) {
    poll(loop, UV_RUN_NOWAIT);
    return;
  }
  uv_update_time(loop->uv);
  uv_timer_start(&loop->timer, on_timer, (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
  poll(loop, UV_RUN_ONCE);
  uv_timer_stop(&loop->timer);
}

/* Lets I/O happen, or else jumps to the next deadline. */
static void poll_virtually(struct aq_loop *loop, uint64_t deadline_ns) {
  if (uv_loop_alive(loop->uv)) {
    poll(loop, UV_RUN_ONCE);
  } else {
    loop->virtual_ns = deadline_ns > loop->virtual_ns ? deadline_ns : loop->virtual_ns;
    loop->agenda.now_ns = loop->virtual_ns;
  }
}

/* Nothing is ready: waits until something may be. False if nothing ever can. */
static bool wait_for_work(struct aq_loop *loop) {
  uint64_t deadline_ns = aq_agenda_next_deadline(&loop->agenda);
  bool is_hurried = loop->is_hurried;
  loop->is_hurried = false;
  if (is_hurried) {
    poll(loop, UV_RUN_NOWAIT);
    return true;
  }
  uint64_t none_from_ns = loop->is_virtual ? AQ_FAR : AQ_NEVER;
  if (deadline_ns >= none_from_ns && !uv_loop_alive(loop->uv)) return false;
  if (loop->is_virtual)
    poll_virtually(loop, deadline_ns);
  else if (deadline_ns == AQ_NEVER)
    poll(loop, UV_RUN_ONCE);
  else
    poll_until(loop, deadline_ns);
  return true;
}

void aq_loop_hurry(struct aq_loop *loop) { loop->is_hurried = true; }

/* Parties are ready, and it is time to look: is a poll due? */
static bool is_poll_due(struct aq_loop *loop) {
  uint64_t deadline_ns = aq_agenda_next_deadline(&loop->agenda);
  loop->look_at_woken = loop->agenda.woken + LOOK_WAKES;
  if (loop->is_virtual || (deadline_ns == AQ_NEVER && !uv_loop_alive(loop->uv)))
    return loop->agenda.woken - loop->polled_at_woken >= POLL_WAKES;
  uint64_t now_ns = uv_hrtime();
  return now_ns >= deadline_ns || now_ns - loop->polled_at_ns >= POLL_NS;
}

bool aq_loop_poll(struct aq_loop *loop) {
  if (!aq_agenda_has_ready(&loop->agenda)) return wait_for_work(loop);
  if (loop->agenda.woken >= loop->look_at_woken && is_poll_due(loop)) poll(loop, UV_RUN_NOWAIT);
  return true;
}

bool aq_loop_step(struct aq_loop *loop) {
  if (!aq_loop_poll(loop)) return false;
  aq_agenda_turn(&loop->agenda);
  return true;
}
