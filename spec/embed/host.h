/*
** host.h - what the tests of hosts have in common: a state with its reports, and steps.
*/
#ifndef AQ_SPEC_HOST_H
#define AQ_SPEC_HOST_H

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"
#include "check.h"

enum { MS = 1000000 };

static char reported[4096];

static void on_report(void *ud, const char *text) {
  (void)ud;
  strncat(reported, text, sizeof reported - strlen(reported) - 1);
}

static inline lua_State *open_state(uv_loop_t *uv) {
  lua_State *L = luaL_newstate();
  reported[0] = '\0';
  luaL_openlibs(L);
  if (uv != NULL) aq_use_loop(L, uv);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_setglobal(L, "aq");
  aq_set_report(L, on_report, NULL);
  return L;
}

static inline void run_text(lua_State *L, const char *text) {
  if (!CHECK_EQ(luaL_dostring(L, text), LUA_OK)) fprintf(stderr, "%s\n", lua_tostring(L, -1));
}

/* Starts a run of the chunk `text`. */
static inline void start(lua_State *L, const char *text) {
  CHECK_EQ(luaL_loadstring(L, text), LUA_OK);
  CHECK_EQ(aq_start(L, 0), AQ_OK);
  CHECK_EQ(lua_gettop(L), 0);
}

/* Steps until the answer is another than RAN and, if it may block, IDLE. */
static inline enum aq_step run(lua_State *L, uint64_t block_ns) {
  enum aq_step step;
  int n = 0;
  do step = aq_step(L, block_ns, 0);
  while ((step == AQ_STEP_RAN || (block_ns > 0 && step == AQ_STEP_IDLE)) && CHECK(n++ < 100000));
  CHECK_EQ(lua_gettop(L), 0);
  return step;
}

static inline void check_outcome(lua_State *L, int status, const char *text) {
  int top = lua_gettop(L);
  CHECK_EQ(aq_outcome(L, 1), status);
  if (!CHECK(strstr(luaL_tolstring(L, top + 1, NULL), text) != NULL))
    fprintf(stderr, "  got: %s\n", lua_tostring(L, -1));
  lua_settop(L, top);
}

#endif
