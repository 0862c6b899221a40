/* Four threads feed jobs to a runtime; its tasks work on them. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local jobs = ...\n"
                             "local count, sum = 0, 0\n"
                             "local function work()\n"
                             "  for job in jobs:items() do\n"
                             "    count, sum = count + 1, sum + job\n"
                             "  end\n"
                             "end\n"
                             "aq.gather(work, work, work)\n"
                             "return count, sum\n";

enum { THREADS = 4, JOBS = 1000 };

struct feeder {
  pthread_t thread;
  struct aq_handle *handle; /* its own: keeps the runtime waiting for it */
};

struct job {
  struct aq_post post; /* first, so that one is the other */
  int64_t number;
};

static struct aq_cqueue *jobs; /* only used on the runtime's thread */
static int feeders = THREADS;  /* likewise: how many have not finished */

/* On the runtime's thread. */
static void put_job(lua_State *L, struct aq_post *post) {
  (void)L;
  struct job *job = (struct job *)post;
  struct aq_value v = {.kind = AQ_V_INTEGER, .as.integer = job->number};
  aq_cqueue_put(jobs, &v);
  free(job);
}

/* Instead of put_job, if the runtime has ended. */
static void drop_job(struct aq_post *post) { free(post); }

/* On the runtime's thread, after all jobs of this feeder. */
static void finish(lua_State *L, void *arg) {
  (void)L;
  (void)arg;
  if (--feeders == 0) aq_cqueue_shutdown(jobs, 0);
}

/* A thread that knows nothing of Lua. */
static void *feed(void *arg) {
  struct feeder *f = arg;
  for (int i = 1; i <= JOBS; i++) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) break;
    job->post = (struct aq_post){.run = put_job, .drop = drop_job};
    job->number = i;
    if (aq_post(f->handle, &job->post) != AQ_OK) free(job);
  }
  aq_post_call(f->handle, finish, NULL, NULL);
  aq_handle_drop(f->handle);
  return NULL;
}

/* Leaves the script's function and its argument. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  if (aq_cqueue_new(L, &jobs, 0, "jobs") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, jobs) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  return 2;
}

int main(void) {
  struct feeder feeder[THREADS];
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK) return 1;

  for (int i = 0; i < THREADS; i++) {
    if (aq_handle_new(L, &feeder[i].handle, AQ_KEEP_ALIVE) != AQ_OK) return 1;
    if (pthread_create(&feeder[i].thread, NULL, feed, &feeder[i]) != 0) return 1;
  }
  if (aq_call(L, 1, 2) == LUA_OK)
    printf("%d jobs, sum %d\n", (int)lua_tointeger(L, -2), (int)lua_tointeger(L, -1));

  for (int i = 0; i < THREADS; i++) pthread_join(feeder[i].thread, NULL);
  aq_cqueue_drop(jobs);
  lua_close(L);
  return 0;
}
/* --> 4000 jobs, sum 2002000 */
