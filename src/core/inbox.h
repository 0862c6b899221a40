/*
** inbox.h - how any thread hands work to a loop.
**
**     any thread            under the lock              the loop's thread
**
**     aq_inbox_post ---->  posted, was_rung  ---->  aq_inbox_drain ----> post->fn
**          |                                              ^
**          +---- the bell, if not yet rung ----> on_ring -+
**
** A post is memory of who posts it: nothing is allocated. Posting rings the bell (a uv_async_t) at
** most once until the loop drains, so many posts cost few wake-ups.
**
** The inbox is a counted block that outlives its loop: whoever holds it on another thread may post
** at any time, and is told AQ_CLOSED after the loop's end. Each post goes one way: its function is
** called exactly once, or posting it has answered AQ_CLOSED.
**
** Not for signal handlers. After a fork, only exec.
*/
#ifndef AQ_INBOX_H
#define AQ_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "status.h"

/* Part of a struct of its poster's; from the post until fn is called, it belongs to the inbox. */
struct aq_mail {
  struct aq_mail *next; /* in `posted` or `taken` */
  /*
  ** On the loop's thread, with no lock held: AQ_OK, or AQ_CLOSED if the loop ends first; `ud` is
  ** the inbox's. It may free the post or post it again, and may close and release the inbox.
  */
  void (*fn)(struct aq_mail *post, enum aq_status status, void *ud);
};

/* First come, first out. */
struct aq_mails {
  struct aq_mail *head; /* NULL: none */
  struct aq_mail *tail; /* of no meaning if there is none */
};

struct aq_inbox {
  atomic_int clock_holds; /* how many want the virtual clock to stand still */
  atomic_size_t holds;    /* who may still use the block: its maker, other threads, the bell */
  uv_async_t bell;        /* rung only under the lock while not closed, so never after uv_close */
  void (*on_ring)(void *ud);
  void *ud;              /* passed to on_ring and to the functions of posts */
  struct aq_mails taken; /* of the loop's thread alone: drained, and not yet run */

  uv_mutex_t lock; /* of what follows; nothing is called while it is held, but for the bell */
  struct aq_mails posted; /* not yet drained */
  size_t rings;           /* how often the bell was rung */
  int kept;               /* the sum of the changes told to aq_inbox_keep */
  bool was_rung;          /* since the last drain: the loop will come */
  bool is_closed;         /* set by the loop's thread, which reads it without the lock */
};

/*
** A new inbox of `uv`, held once by the caller; on the loop's thread. `on_ring` is called there,
** inside a poll, when the bell was rung: it sees to it that aq_inbox_drain is called soon, and
** runs no post itself. AQ_OK, or AQ_NOMEM (also when the system refuses a lock or the bell), with
** nothing made. The caller closes the inbox before the uv loop is closed.
*/
enum aq_status aq_inbox_new(struct aq_inbox **inbox, uv_loop_t *uv, void (*on_ring)(void *ud),
                            void *ud);

/* One more holder; by any thread that holds it. */
void aq_inbox_hold(struct aq_inbox *inbox);

/* One less; any thread. The last frees the block: that is after the inbox was closed. */
void aq_inbox_release(struct aq_inbox *inbox);

/*
** Hands `post` to the loop; any thread that holds the inbox. Posts of one thread run in order.
** AQ_OK, or AQ_CLOSED: then the post is still the caller's, and its function is never called.
*/
enum aq_status aq_inbox_post(struct aq_inbox *inbox, struct aq_mail *post);

/*
** Runs what was posted before the call, up to `limit` posts; on the loop's thread, outside libuv's
** callbacks. True if some are left: no bell is rung for these, the caller comes again at the next
** turn. A limit of 0 tells whether there are any. What was told to aq_inbox_keep is in force
** afterwards. libuv polls no loop that is not alive, so there the bell is not heard: who drives one
** looks here before it gives up, and from time to time.
*/
bool aq_inbox_drain(struct aq_inbox *inbox, size_t limit);

/*
** Adds `change`, 1 or -1, to what keeps the loop alive: while the sum is not 0, the loop waits for
** posts as for I/O. Any thread that holds the inbox. If the sum becomes 0 or is 0 no more, the bell
** is rung: in force with the next drain.
*/
void aq_inbox_keep(struct aq_inbox *inbox, int change);

/* Adds `change`, 1 or -1, to those who hold the virtual clock; any thread. The bell is rung, so that a loop
** that waits for real events looks again. */
void aq_inbox_hold_clock(struct aq_inbox *inbox, int change);

/* True if what is alive in `uv` keeps the virtual clock from jumping: it is more than the bell, or somebody
** holds the clock. On the loop's thread. */
bool aq_inbox_holds_clock(struct aq_inbox *inbox, const uv_loop_t *uv);

/*
** Ends the inbox; on the loop's thread, also from inside a post's function. Posts that are left
** are run with AQ_CLOSED, in order. Later calls do nothing. The bell holds the block until the loop
** has called its close callback.
*/
void aq_inbox_close(struct aq_inbox *inbox);

#endif
