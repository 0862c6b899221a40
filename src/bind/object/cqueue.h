/*
** cqueue.h - a Lua queue that C holds.
*/
#ifndef AQ_CQUEUE_H
#define AQ_CQUEUE_H

#include <lua.h>

#include "aqlua.h"
#include "bind/base/keep.h"
#include "queue_object.h"

struct aq_cqueue {
  size_t refs;
  struct aq_keep *keep;       /* counted */
  struct aq_queue_object *qo; /* valid while the keep is open */
  uint32_t slot;              /* where the keep has it */
};

/* AQ_OK: it can be used. AQ_INVALID, AQ_CLOSED, AQ_WRONG_THREAD. */
enum aq_status aq_cqueue_enter(const struct aq_cqueue *q);

/* Pushes the queue, which can be used. [-0, +1, -] */
static inline void aq_cqueue_push_object(lua_State *L, const struct aq_cqueue *q) {
  aq_keep_push(L, q->keep, q->slot);
}

/* Calls `function`, protected and on the state that drives, with `arg` as light userdata. AQ_OK; or
** AQ_NOMEM, AQ_ERROR: what it raised. */
enum aq_status aq_cqueue_call(const struct aq_cqueue *q, lua_CFunction function, void *arg);

/* Pops the error of a protected call that ended with this status of Lua's: AQ_NOMEM or AQ_ERROR. */
enum aq_status aq_cqueue_pop_error(lua_State *L, int lua_status);

/* The end of a runtime: what C holds of it is closed, and its waits are over without a word. */
void aq_cqueues_close(struct aq_runtime *rt);

#endif
