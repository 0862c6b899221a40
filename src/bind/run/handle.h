/*
** handle.h - how other threads reach a runtime: its inbox (core/inbox.h), made with the first handle.
*/
#ifndef AQ_HANDLE_H
#define AQ_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bind/base/runtime.h"

/* For a runtime that has had handles: as aq_loop_poll, but sees posts also where libuv does not poll. */
bool aq_poll_posts(struct aq_runtime *rt, uint64_t block_ns);

/* What comes before each turn. As aq_loop_poll. */
static inline bool aq_poll(struct aq_runtime *rt, uint64_t block_ns) {
  return rt->gate == NULL ? aq_loop_poll(rt->loop, block_ns) : aq_poll_posts(rt, block_ns);
}

/* True if something was posted and has not run. */
bool aq_have_posts(struct aq_runtime *rt);

/* Runs what was posted before; to be called if rt->has_posts. */
void aq_run_posts(struct aq_runtime *rt);

/* No handle reaches the runtime any more; what was posted is dropped. */
void aq_handles_close(struct aq_runtime *rt);

#endif
