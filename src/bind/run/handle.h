/*
** handle.h - how other threads reach a runtime: its inbox (core/inbox.h), made with the first handle.
*/
#ifndef AQ_HANDLE_H
#define AQ_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bind/base/runtime.h"

/* As aq_loop_poll; sees posts also where libuv does not poll, for nothing of it is alive. */
bool aq_poll(struct aq_runtime *rt, uint64_t block_ns);

/* True if something was posted and has not run. */
bool aq_have_posts(struct aq_runtime *rt);

/* Runs what was posted before, if the bell was heard. */
void aq_run_posts(struct aq_runtime *rt);

/* No handle reaches the runtime any more; what was posted is dropped. */
void aq_handles_close(struct aq_runtime *rt);

#endif
