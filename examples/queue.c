/* Queues between Lua and C: strings one way, and payloads, pointers of C, the other. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "for i = 1, 3 do jobs:put('job ' .. i) end\n"
                             "print(amount(crates:get()))\n"
                             "jobs:shutdown()\n"
                             "aq.sleep(0.01)\n";

struct crate {
  int amount;
};
static const struct aq_payload_kind CRATE = {"crate", free};

static struct aq_cqueue *jobs, *crates;

/* Called by Lua: what is in the crate. */
static int amount(lua_State *L) {
  struct crate *crate = aq_check_payload(L, 1, &CRATE);
  lua_pushinteger(L, crate->amount);
  return 1;
}

/* A job has come: prints it, and waits for the next with the same struct. */
static void on_job(struct aq_cwait *w, int status, struct aq_value *v) {
  if (status != AQ_OK) {
    printf("%s\n", aq_status_text((enum aq_status)status));
    return;
  }
  printf("%.*s\n", (int)v->as.bytes.length, v->as.bytes.data);
  aq_value_free(v);
  aq_cqueue_get_wait(jobs, w, AQ_FOREVER);
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "amount", amount);
  if (aq_cqueue_new(L, &jobs, 1, "jobs") != AQ_OK) return luaL_error(L, "no queue");
  if (aq_cqueue_new(L, &crates, 0, "crates") != AQ_OK) return luaL_error(L, "no queue");
  if (aq_cqueue_push(L, jobs) == AQ_OK) lua_setglobal(L, "jobs");
  if (aq_cqueue_push(L, crates) == AQ_OK) lua_setglobal(L, "crates");
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;

  struct aq_cwait wait = {.done = on_job};
  aq_cqueue_get_wait(jobs, &wait, AQ_FOREVER);

  struct crate *crate = malloc(sizeof *crate);
  crate->amount = 12;
  struct aq_value v = {.kind = AQ_V_PAYLOAD, .as.payload = {crate, &CRATE}};
  if (aq_cqueue_put(crates, &v) != AQ_OK) aq_value_free(&v);

  int status = aq_call(L, 0, 0);
  aq_cqueue_drop(jobs);
  aq_cqueue_drop(crates);
  lua_close(L);
  return status;
}
/* --> job 1 */
/* --> job 2 */
/* --> 12 */
/* --> job 3 */
/* --> the queue has been shut down */
