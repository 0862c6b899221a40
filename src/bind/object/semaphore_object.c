/*
** semaphore_object.c - acquiring a permit, or a lock.
*/
#include "semaphore_object.h"

#include "bind/base/error.h"
#include "bind/task/task.h"
#include "bind/task/wait.h"

const char aq_semaphore_class[] = "Semaphore";

static int acquire_finish(lua_State *L, struct aq_task *t, bool cancelled) {
  enum aq_status status = aq_semaphore_acquire_end(t->waiter.thing, &t->waiter, cancelled);
  return status == AQ_OK ? aq_push_success(L) : aq_task_raise(L, t, status);
}

static void acquire_give_up(lua_State *L, struct aq_task *t) {
  (void)L;
  aq_semaphore_acquire_end(t->waiter.thing, &t->waiter, true);
}

static const struct aq_wait ACQUIRE = {"acquire", acquire_finish, acquire_give_up};

int aq_acquire(lua_State *L, struct aq_semaphore *s) {
  uint64_t timeout_ns = aq_check_timeout(L, 2);
  struct aq_task *t = aq_task_begin(L, aq_runtime(L), timeout_ns);
  if (aq_semaphore_acquire_now(s)) return aq_push_success(L);
  if (timeout_ns == 0) return aq_task_time_out(L, t);
  aq_task_check_wait(L, t);
  aq_semaphore_acquire_wait(s, &t->waiter, aq_loop_deadline(t->future.rt->loop, timeout_ns));
  return aq_task_wait(L, t, &ACQUIRE);
}

int aq_release_lock(lua_State *L, struct aq_semaphore *lock) {
  struct aq_runtime *rt = aq_runtime(L);
  if (rt->let_go == lock) { /* by a <close> variable, which takes the lock for its task's */
    rt->let_go = NULL;
    return 0;
  }
  if (!aq_lock_is_held(lock)) return luaL_error(L, "release: the lock is not held");
  aq_semaphore_release(lock);
  return 0;
}
