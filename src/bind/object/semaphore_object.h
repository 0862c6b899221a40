/*
** semaphore_object.h - the userdata behind Lock, Semaphore and BoundedSemaphore, and acquiring, for
** the leaves that work on them.
*/
#ifndef AQ_SEMAPHORE_OBJECT_H
#define AQ_SEMAPHORE_OBJECT_H

#include <lauxlib.h>
#include <lua.h>

#include "bind/base/runtime.h"
#include "core/sync.h"

extern const char aq_semaphore_class[]; /* its address is the class of all three */

enum aq_semaphore_kind { AQ_LOCK, AQ_SEMAPHORE, AQ_BOUNDED };

struct aq_semaphore_object {
  const void *class; /* aq_semaphore_class */
  struct aq_semaphore semaphore;
  size_t bound; /* AQ_BOUNDED: the permits there are in all */
  enum aq_semaphore_kind kind;
};

/* The Lock or Semaphore at `idx`, or NULL. */
static inline struct aq_semaphore_object *aq_test_semaphore(lua_State *L, int idx) {
  return aq_test_object(L, idx, aq_semaphore_class, sizeof(struct aq_semaphore_object));
}

/* The call acquire([timeout]): the object at 1 has the semaphore, or keeps it. */
int aq_acquire(lua_State *L, struct aq_semaphore *s);

/* The call release() of a lock: raises if it is not held. */
int aq_release_lock(lua_State *L, struct aq_semaphore *lock);

/* acquire and wait return true, as asyncio's do. */
static inline int aq_push_success(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

#endif
