/*
** loop.h - an agenda driven by a uv_loop_t.
**
** One step polls libuv if that is due, and runs one turn. libuv's callbacks run inside the poll
** and may only make waiters ready; parties run in the turn, outside libuv. So no error of a party
** ever crosses libuv's frames.
**
** Two clocks: the real one, and a virtual one for tests, which stands still while anything is
** ready and then jumps to the next deadline.
**
** All calls on the loop's own thread.
*/
#ifndef AQ_LOOP_H
#define AQ_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "inbox.h"
#include "waiter.h"

/* What libuv may touch after the end: memory of its own, from malloc. */
struct aq_uv_part {
  uv_loop_t own;        /* used unless the embedder brought a loop */
  uv_timer_t timer;     /* ends a blocking poll at the next deadline; active only then */
  uv_prepare_t prepare; /* runs before libuv blocks; never keeps the loop alive */
  int nopen;            /* of these two, how many libuv has not closed yet */
};

struct aq_loop {
  struct aq_agenda agenda;
  struct aq_alloc alloc; /* of this struct and the agenda */
  struct aq_uv_part *part;
  uv_loop_t *uv;                    /* the loop driven: part->own or the embedder's */
  struct aq_inbox *inbox;           /* whose bell does not hold the virtual clock; or NULL */
  struct aq_attachment *attachment; /* by which somebody else's uv_run takes the turns, or NULL */
  uint64_t polled_at_woken;         /* agenda.woken at the last poll */
  uint64_t look_at_woken;           /* agenda.woken at which to see whether a poll is due */
  uint64_t polled_at_ns;            /* the real clock at the last poll */
  uint64_t virtual_ns;              /* the virtual clock's time */
  bool is_virtual;                  /* which clock is in force */
  bool is_hurried;                  /* the next poll does not block */
  bool is_blocking;                 /* inside a poll that may block */
};

/*
** A new loop over `uv`, or over one of its own if `uv` is NULL. 0, or an error number of libuv's:
** UV_ENOMEM, or UV_EMFILE and the like if the system refuses the descriptors. `uv` stays the caller's and
** must outlive the loop.
*/
int aq_loop_new(struct aq_loop **loop, uv_loop_t *uv, struct aq_alloc alloc);

/*
** Closes the loop's handles and frees it. Waiters on its agenda are forgotten. If somebody else still has
** handles or requests on its own uv loop, that one stays, with its memory.
*/
void aq_loop_free(struct aq_loop *loop);

/* Starts a timer of the uv loop that fires at the deadline, or a little before or after. */
void aq_loop_start_timer(uv_timer_t *timer, uv_timer_cb fire, uint64_t deadline_ns);

/* The clock in nanoseconds, read afresh: monotonic, from an arbitrary start. */
uint64_t aq_loop_now(const struct aq_loop *loop);

/* The moment `ns` after another, or AQ_FAR if the clock cannot reach it. */
static inline uint64_t aq_later(uint64_t then_ns, uint64_t ns) {
  return ns < AQ_FAR - then_ns ? then_ns + ns : AQ_FAR;
}

/* The moment `timeout_ns` from now, or AQ_FAR if the clock cannot reach it. */
uint64_t aq_loop_from_now(const struct aq_loop *loop, uint64_t timeout_ns);

/* The deadline for a timeout; AQ_NEVER for AQ_NEVER, without looking at the clock. */
static inline uint64_t aq_loop_deadline(const struct aq_loop *loop, uint64_t timeout_ns) {
  return timeout_ns == AQ_NEVER ? AQ_NEVER : aq_loop_from_now(loop, timeout_ns);
}

/*
** Polls when nothing is ready (it blocks until something may be, or for `block_ns`) or when a poll is
** due: what comes before each turn. False if nothing is ready and nothing ever can be: no deadline, and no
** live handle in the uv loop. AQ_FAR is a deadline, but the virtual clock cannot jump to it.
*/
bool aq_loop_poll(struct aq_loop *loop, uint64_t block_ns);

/* How long a driver may sleep: 0 if there is something to do now, AQ_NEVER if nothing is known to come. Looks
** at the agenda and at libuv. */
uint64_t aq_loop_next(const struct aq_loop *loop);

/* For whoever polled the uv loop by other means: the clock is looked at, for the next turn. */
void aq_loop_look(struct aq_loop *loop);

/* Sees to it that the next poll, or the one under way, does not block, though nothing is ready. */
void aq_loop_hurry(struct aq_loop *loop);

/* A poll and one turn. False, with no turn, as aq_loop_poll. */
bool aq_loop_step(struct aq_loop *loop);

/* Puts the virtual clock in force, starting at the present time, or the real one back. */
void aq_loop_use_virtual(struct aq_loop *loop, bool on);

#endif
