/*
** inbox.c - posts under a lock, and a bell that is rung once until somebody comes.
**
** No wake is lost: a drain takes the posts and forgets the ring in one critical section, before it
** runs anything. So who posts later finds the bell not rung and rings it, and libuv remembers a
** ring until it has polled; who posts earlier is among those taken. (Forgetting it after the posts
** have run would lose those posted meanwhile.) That the bell is rung inside the critical section
** keeps it from being rung after it was closed. spec/core/inbox_explore_test.c tries all orders.
*/
#include "inbox.h"

#include <stdlib.h>

/* --- lists of posts --------------------------------------------------------------------------- */

static void append(struct aq_mails *list, struct aq_mail *first, struct aq_mail *last) {
  if (list->head == NULL)
    list->head = first;
  else
    list->tail->next = first;
  list->tail = last;
}

/* Moves all posts of `from` behind those of `to`. */
static void move(struct aq_mails *from, struct aq_mails *to) {
  if (from->head == NULL) return;
  append(to, from->head, from->tail);
  from->head = NULL;
}

/* Calls the first post's function, which may free the post. */
static void run_first(struct aq_inbox *inbox, enum aq_status status) {
  struct aq_mail *post = inbox->taken.head;
  inbox->taken.head = post->next;
  post->fn(post, status, inbox->ud);
}

/* --- the block -------------------------------------------------------------------------------- */

static void on_bell(uv_async_t *bell) {
  struct aq_inbox *inbox = bell->data;
  inbox->on_ring(inbox->ud);
}

enum aq_status aq_inbox_new(struct aq_inbox **out, uv_loop_t *uv, void (*on_ring)(void *ud),
                            void *ud) {
  /* Not with the allocator of a Lua state: the last to release it may be on any thread. */
  struct aq_inbox *inbox = calloc(1, sizeof *inbox);
  if (inbox == NULL) return AQ_NOMEM;
  if (uv_mutex_init(&inbox->lock) != 0) goto no_lock;
  if (uv_async_init(uv, &inbox->bell, on_bell) != 0) goto no_bell;
  uv_unref((uv_handle_t *)&inbox->bell);
  inbox->bell.data = inbox;
  inbox->on_ring = on_ring;
  inbox->ud = ud;
  atomic_init(&inbox->holds, 2); /* the caller and the bell */
  *out = inbox;
  return AQ_OK;

no_bell:
  uv_mutex_destroy(&inbox->lock);
no_lock:
  free(inbox);
  return AQ_NOMEM;
}

void aq_inbox_hold(struct aq_inbox *inbox) { atomic_fetch_add(&inbox->holds, 1); }

void aq_inbox_release(struct aq_inbox *inbox) {
  if (atomic_fetch_sub(&inbox->holds, 1) > 1) return;
  uv_mutex_destroy(&inbox->lock);
  free(inbox);
}

/* --- any thread ------------------------------------------------------------------------------- */

/* With the lock held, and not closed. */
static void ring(struct aq_inbox *inbox) {
  if (inbox->was_rung) return;
  inbox->was_rung = true;
  inbox->rings++;
  uv_async_send(&inbox->bell);
}

enum aq_status aq_inbox_post(struct aq_inbox *inbox, struct aq_mail *post) {
  uv_mutex_lock(&inbox->lock);
  bool is_closed = inbox->is_closed;
  if (!is_closed) {
    post->next = NULL;
    append(&inbox->posted, post, post);
    ring(inbox);
  }
  uv_mutex_unlock(&inbox->lock);
  return is_closed ? AQ_CLOSED : AQ_OK;
}

void aq_inbox_keep(struct aq_inbox *inbox, int change) {
  uv_mutex_lock(&inbox->lock);
  bool did_keep = inbox->kept != 0;
  inbox->kept += change;
  if (did_keep != (inbox->kept != 0) && !inbox->is_closed) ring(inbox);
  uv_mutex_unlock(&inbox->lock);
}

void aq_inbox_hold_clock(struct aq_inbox *inbox, int change) {
  atomic_fetch_add(&inbox->clock_holds, change);
  uv_mutex_lock(&inbox->lock);
  if (!inbox->is_closed) ring(inbox);
  uv_mutex_unlock(&inbox->lock);
}

/* --- the loop's thread ------------------------------------------------------------------------ */

/* Takes what was posted, and learns whether to keep the loop alive. */
static void hear(struct aq_inbox *inbox) {
  uv_mutex_lock(&inbox->lock);
  move(&inbox->posted, &inbox->taken);
  bool keeps = inbox->kept != 0;
  inbox->was_rung = false;
  uv_mutex_unlock(&inbox->lock);
  if (keeps)
    uv_ref((uv_handle_t *)&inbox->bell);
  else
    uv_unref((uv_handle_t *)&inbox->bell);
}

bool aq_inbox_drain(struct aq_inbox *inbox, size_t limit) {
  if (inbox->is_closed) return false;
  aq_inbox_hold(inbox); /* a post may close and release it */
  hear(inbox);
  for (; limit > 0 && inbox->taken.head != NULL; limit--) run_first(inbox, AQ_OK);
  bool is_left = inbox->taken.head != NULL;
  aq_inbox_release(inbox);
  return is_left;
}

bool aq_inbox_holds_clock(struct aq_inbox *inbox, const uv_loop_t *uv) {
  uv_handle_t *bell = (uv_handle_t *)&inbox->bell;
  if (atomic_load(&inbox->clock_holds) > 0) return true;
  if (!uv_has_ref(bell)) return uv_loop_alive(uv);
  uv_unref(bell);
  bool is_alive = uv_loop_alive(uv);
  uv_ref(bell);
  return is_alive;
}

static void on_bell_closed(uv_handle_t *bell) { aq_inbox_release(bell->data); }

void aq_inbox_close(struct aq_inbox *inbox) {
  if (inbox->is_closed) return;
  aq_inbox_hold(inbox); /* a post may release it */
  uv_mutex_lock(&inbox->lock);
  inbox->is_closed = true;
  move(&inbox->posted, &inbox->taken);
  uv_mutex_unlock(&inbox->lock);
  uv_close((uv_handle_t *)&inbox->bell, on_bell_closed);
  while (inbox->taken.head != NULL) run_first(inbox, AQ_CLOSED);
  aq_inbox_release(inbox);
}
