/* A C function that resolves a name: for scripts it is an ordinary function, with a timeout. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local here = aq.create_task(resolve, 'localhost', 10)\n"
                             "local there = aq.create_task(resolve, '127.0.0.2')\n"
                             "local nowhere = aq.create_task(resolve, 'localhost')\n"
                             "aq.create_task(function() nowhere:cancel('not needed') end)\n"
                             "print(here:await(), there:await())\n"
                             "print(pcall(nowhere.await, nowhere))\n";

/*
** Two have it, the wait and libuv, and who leaves last frees it: a lookup that a thread is at work on
** cannot be stopped, so a task that does not want it any more goes on without it.
*/
struct lookup {
  struct aq_op op; /* first, so that one is the other */
  uv_getaddrinfo_t request;
  int holders;
  int is_gone;      /* the wait has ended, or is about to: there is nothing to complete */
  int status;       /* libuv's */
  char address[64]; /* if that is 0 */
};

static void leave(struct aq_op *op) {
  struct lookup *lookup = (struct lookup *)op;
  if (--lookup->holders == 0) free(lookup);
}

static int abort_lookup(struct aq_op *op, int why) {
  (void)why;
  struct lookup *lookup = (struct lookup *)op;
  lookup->is_gone = 1;
  uv_cancel((uv_req_t *)&lookup->request); /* if no thread has begun with it */
  return 1;
}

static const struct aq_op_kind RESOLVE = {"resolve", NULL, abort_lookup, leave};

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *info) {
  struct lookup *lookup = request->data;
  lookup->status = status;
  if (status == 0)
    uv_ip4_name((struct sockaddr_in *)info->ai_addr, lookup->address, sizeof lookup->address);
  uv_freeaddrinfo(info);
  if (!lookup->is_gone) aq_op_complete(&lookup->op);
  leave(&lookup->op);
}

static int resolved(lua_State *L, int status, lua_KContext ctx) {
  struct lookup *lookup = (struct lookup *)ctx;
  int problem = lookup->status;
  lua_settop(L, 1);
  lua_pushstring(L, lookup->address);
  leave(&lookup->op);
  if (status != AQ_OK) return aq_raise(L, status);
  if (problem != 0) return luaL_error(L, "%s: %s", lua_tostring(L, 1), uv_strerror(problem));
  return 1;
}

/* resolve(name[, timeout]) returns an address, or raises an error */
static int resolve(lua_State *L) {
  const struct addrinfo hints = {.ai_family = AF_INET};
  const char *name = luaL_checkstring(L, 1);
  struct aq_op op;
  aq_op_begin(L, &op, &RESOLVE, aq_check_seconds(L, 2)); /* may raise: nothing to release yet */
  struct lookup *lookup = calloc(1, sizeof *lookup);
  if (lookup == NULL) return aq_raise(L, AQ_NOMEM);
  lookup->op = op; /* from here on it stays where it is */
  lookup->holders = 2;
  lookup->request.data = lookup;
  int problem = uv_getaddrinfo(aq_uv_loop(L), &lookup->request, on_resolved, name, NULL, &hints);
  if (problem != 0) {
    free(lookup);
    return luaL_error(L, "%s: %s", name, uv_strerror(problem));
  }
  return aq_op_wait(L, &lookup->op, (lua_KContext)lookup, resolved);
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "resolve", resolve);
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

/* The loop is the program's: it may run on until libuv has let go of all lookups. */
int main(void) {
  uv_loop_t loop;
  lua_State *L = luaL_newstate();
  if (L == NULL || uv_loop_init(&loop) != 0) return 1;
  aq_use_loop(L, &loop);
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;
  if (aq_call(L, 0, 0) != LUA_OK) printf("%s\n", luaL_tolstring(L, -2, NULL));
  lua_close(L);
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop) != 0;
}
/* --> 127.0.0.1	127.0.0.2 */
/* --> false	CancelledError: not needed */
