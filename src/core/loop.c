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

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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

/* libuv aborts the process if it does not get its first descriptors: so many are tried before. */
static int try_descriptors(void) {
  int a[2], b[2], error = 0;
  if (pipe(a) != 0) return uv_translate_sys_error(errno);
  if (pipe(b) != 0)
    error = uv_translate_sys_error(errno);
  else
    close(b[0]), close(b[1]);
  close(a[0]), close(a[1]);
  return error;
}

/* The uv part, on `uv` or a loop of its own. */
static int make_part(struct aq_uv_part **out, uv_loop_t *uv) {
  struct aq_uv_part *part = malloc(sizeof *part);
  if (part == NULL) return UV_ENOMEM;
  int error = uv != NULL ? 0 : try_descriptors();
  if (error == 0 && uv == NULL) error = uv_loop_init(&part->own);
  if (error != 0) {
    free(part);
    return error;
  }
  if (uv == NULL) uv = &part->own;
  uv_timer_init(uv, &part->timer); /* this and the next are documented never to fail */
  uv_prepare_init(uv, &part->prepare);
  uv_prepare_start(&part->prepare, on_prepare);
  uv_unref((uv_handle_t *)&part->prepare);
  part->nopen = 2;
  *out = part;
  return 0;
}

int aq_loop_new(struct aq_loop **out, uv_loop_t *uv, struct aq_alloc alloc) {
  struct aq_uv_part *part;
  struct aq_loop *loop = aq_realloc(&alloc, NULL, 0, sizeof *loop);
  if (loop == NULL) return UV_ENOMEM;
  int error = make_part(&part, uv);
  if (error != 0) {
    aq_free(&alloc, loop, sizeof *loop);
    return error;
  }
  *loop = (struct aq_loop){.alloc = alloc, .part = part, .uv = uv != NULL ? uv : &part->own};
  aq_agenda_init(&loop->agenda, alloc);
  loop->agenda.now_ns = aq_loop_now(loop);
  part->prepare.data = loop;
  *out = loop;
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  struct aq_uv_part *part = handle->data;
  if (--part->nopen == 0) free(part);
}

void aq_loop_free(struct aq_loop *loop) {
  struct aq_uv_part *part = loop->part;
  bool owns = loop->uv == &part->own;
  aq_agenda_free(&loop->agenda);
  aq_free(&loop->alloc, loop, sizeof *loop);
  /* On the embedder's loop the rest goes when that turns, be it after the Lua state. */
  part->timer.data = part->prepare.data = part;
  uv_close((uv_handle_t *)&part->timer, owns ? NULL : on_closed);
  uv_close((uv_handle_t *)&part->prepare, owns ? NULL : on_closed);
  if (!owns) return;
  uv_run(&part->own, UV_RUN_NOWAIT);
  if (uv_loop_close(&part->own) == 0) free(part);
}

uint64_t aq_loop_now(const struct aq_loop *loop) {
  return loop->is_virtual ? loop->virtual_ns : uv_hrtime();
}

uint64_t aq_loop_from_now(const struct aq_loop *loop, uint64_t timeout_ns) {
  return aq_later(aq_loop_now(loop), timeout_ns);
}

void aq_loop_use_virtual(struct aq_loop *loop, bool on) {
  loop->virtual_ns = aq_loop_now(loop);
  loop->is_virtual = on;
  loop->agenda.now_ns = aq_loop_now(loop);
}

void aq_loop_look(struct aq_loop *loop) {
  loop->polled_at_ns = uv_hrtime();
  loop->agenda.now_ns = loop->is_virtual ? loop->virtual_ns : loop->polled_at_ns;
  loop->polled_at_woken = loop->agenda.woken;
  loop->look_at_woken = loop->agenda.woken + LOOK_WAKES;
}

static void poll(struct aq_loop *loop, uv_run_mode mode) {
  loop->is_blocking = mode != UV_RUN_NOWAIT;
  uv_run(loop->uv, mode);
  loop->is_blocking = false;
  aq_loop_look(loop);
}

/* Ends the poll: the turn looks at the clock. On a slow machine it fires before libuv has blocked, which then
** must not happen. */
static void on_timer(uv_timer_t *timer) { uv_stop(timer->loop); }

/* libuv counts in whole milliseconds, from when it last looked at the clock. */
void aq_loop_start_timer(uv_timer_t *timer, uv_timer_cb fire, uint64_t deadline_ns) {
  uint64_t now_ns = uv_hrtime();
  uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
  uv_update_time(timer->loop);
  uv_timer_start(timer, fire, left_ns / NS_PER_MS + (left_ns % NS_PER_MS > 0), 0);
}

/*
** Blocks until `deadline_ns` or until libuv has had something to do. libuv counts in cut-off
** milliseconds, so it may come back a little early; the turn then fires nothing and the next step
** blocks for the rest. Nothing ever fires before its time.
*/
static void poll_until(struct aq_loop *loop, uint64_t deadline_ns) {
  if (deadline_ns <= uv_hrtime()) {
    poll(loop, UV_RUN_NOWAIT);
    return;
  }
  aq_loop_start_timer(&loop->part->timer, on_timer, deadline_ns);
  poll(loop, UV_RUN_ONCE);
  uv_timer_stop(&loop->part->timer);
}

/* Whether the virtual clock stands still, for something that takes real time. */
static bool is_clock_held(const struct aq_loop *loop) {
  if (loop->inbox != NULL) return aq_inbox_holds_clock(loop->inbox, loop->uv);
  return uv_loop_alive(loop->uv);
}

/* Lets I/O happen, which takes real time, or else jumps to the next deadline. Without one to jump to, it
** waits for what keeps the loop alive. */
static void poll_virtually(struct aq_loop *loop, uint64_t deadline_ns, uint64_t block_ns) {
  if (is_clock_held(loop) || deadline_ns >= AQ_FAR) {
    if (block_ns == AQ_NEVER)
      poll(loop, UV_RUN_ONCE);
    else
      poll_until(loop, aq_later(uv_hrtime(), block_ns));
  } else {
    loop->virtual_ns = deadline_ns > loop->virtual_ns ? deadline_ns : loop->virtual_ns;
    loop->agenda.now_ns = loop->virtual_ns;
  }
}

/* The sooner of the deadline and the end of what the caller lets the poll block. */
static uint64_t until(const struct aq_loop *loop, uint64_t deadline_ns, uint64_t block_ns) {
  uint64_t end_ns = aq_loop_deadline(loop, block_ns);
  return deadline_ns < end_ns ? deadline_ns : end_ns;
}

/* Nothing is ready: waits until something may be, or for `block_ns`. False if nothing ever can. */
static bool wait_for_work(struct aq_loop *loop, uint64_t block_ns) {
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
    poll_virtually(loop, deadline_ns, block_ns);
  else if (block_ns == 0)
    poll(loop, UV_RUN_NOWAIT);
  else if (deadline_ns == AQ_NEVER && block_ns == AQ_NEVER)
    poll(loop, UV_RUN_ONCE);
  else
    poll_until(loop, until(loop, deadline_ns, block_ns));
  return true;
}

void aq_loop_hurry(struct aq_loop *loop) {
  loop->is_hurried = true;
  aq_agenda_tell(&loop->agenda);
}

/* Parties are ready, and it is time to look: is a poll due? */
static bool is_poll_due(struct aq_loop *loop) {
  uint64_t deadline_ns = aq_agenda_next_deadline(&loop->agenda);
  loop->look_at_woken = loop->agenda.woken + LOOK_WAKES;
  if (loop->is_virtual || (deadline_ns == AQ_NEVER && !uv_loop_alive(loop->uv)))
    return loop->agenda.woken - loop->polled_at_woken >= POLL_WAKES;
  uint64_t now_ns = uv_hrtime();
  return now_ns >= deadline_ns || now_ns - loop->polled_at_ns >= POLL_NS;
}

bool aq_loop_poll(struct aq_loop *loop, uint64_t block_ns) {
  if (!aq_agenda_has_ready(&loop->agenda)) return wait_for_work(loop, block_ns);
  if (loop->agenda.woken >= loop->look_at_woken && is_poll_due(loop)) poll(loop, UV_RUN_NOWAIT);
  return true;
}

/* How long libuv would block, or AQ_NEVER if nothing of it is alive or only a callback can come. */
static uint64_t next_of_uv(uv_loop_t *uv) {
  if (!uv_loop_alive(uv)) return AQ_NEVER;
  uv_update_time(uv);
  int ms = uv_backend_timeout(uv);
  return ms < 0 ? AQ_NEVER : (uint64_t)ms * NS_PER_MS;
}

uint64_t aq_loop_next(const struct aq_loop *loop) {
  if (loop->is_hurried || aq_agenda_has_ready(&loop->agenda)) return 0;
  uint64_t deadline_ns = aq_agenda_next_deadline(&loop->agenda);
  uint64_t uv_ns = next_of_uv(loop->uv);
  if (loop->is_virtual && !is_clock_held(loop) && deadline_ns < AQ_FAR) return 0;
  if (loop->is_virtual || deadline_ns == AQ_NEVER) return uv_ns;
  uint64_t now_ns = uv_hrtime();
  uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
  return left_ns < uv_ns ? left_ns : uv_ns;
}

bool aq_loop_step(struct aq_loop *loop) {
  if (!aq_loop_poll(loop, AQ_NEVER)) return false;
  aq_agenda_turn(&loop->agenda);
  return true;
}
