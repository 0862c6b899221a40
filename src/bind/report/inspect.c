/*
** inspect.c - the text on every task, and its parts for the prompt.
*/
#include "inspect.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "bind/base/class.h"
#include "bind/base/lua_sources.h"
#include "bind/base/place.h"
#include "bind/task/op.h"
#include "bind/task/wait.h"
#include "waiting.h"

/* ---- stacks ---------------------------------------------------------------------------------- */

/* Pushes the stack of a task after a newline, that of a coroutine it has resumed first; or "". */
static void push_stacks(lua_State *L, const struct aq_task *t, lua_State *inner, int level) {
  lua_pushliteral(L, "\n");
  bool tells = aq_push_stack(L, inner, level);
  if (inner != t->co) {
    lua_pushliteral(L, "\nin a coroutine resumed here: ");
    aq_push_stack(L, t->co, 0);
    lua_concat(L, 4);
  } else if (tells) {
    lua_concat(L, 2);
  } else {
    lua_pop(L, 2);
    lua_pushliteral(L, "");
  }
}

/* ---- the text -------------------------------------------------------------------------------- */

/* Pushes two lines and more on the Task at `idx`. `running` is the coroutine that runs, or NULL. */
static void push_entry(lua_State *L, int idx, lua_State *running) {
  const struct aq_task *t = lua_touserdata(L, idx);
  bool runs = t->future.rt->current == t && running != NULL;
  lua_State *inner = runs ? running : t->is_suspended ? t->innermost : t->co;
  if (runs) {
    aq_task_push_name(L, idx);
    aq_push_line(L, running, 0);
    lua_pushfstring(L, "%s: running, at %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  } else {
    aq_push_waiting(L, idx);
  }
  push_stacks(L, t, inner, runs && inner == L ? 1 : 0);
  lua_concat(L, 2);
  luaL_gsub(L, lua_tostring(L, -1), "\n", "\n  ");
  lua_remove(L, -2);
}

/* Stack: runtime (light), the coroutine that runs (light). Leaves the text on top. */
static int push_report(lua_State *L) {
  struct aq_runtime *rt = lua_touserdata(L, 1);
  lua_State *running = lua_touserdata(L, 2);
  lua_settop(L, 0);
  aq_runtime_push_uv(L, rt, AQ_UV_INTERNAL);
  lua_getfield(L, 1, "all_tasks");
  lua_call(L, 0, 1);
  lua_Integer n = luaL_len(L, 2);
  lua_pushfstring(L, "aqlua: %I task%s\n", (LUAI_UACINT)n, n == 1 ? "" : "s");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    push_entry(L, 4, running);
    lua_remove(L, 4);
    lua_pushliteral(L, "\n");
    lua_concat(L, 3);
  }
  return 1;
}

void aq_inspect_report(lua_State *L, struct aq_runtime *rt) {
  lua_pushcfunction(L, push_report);
  lua_pushlightuserdata(L, rt);
  lua_pushlightuserdata(L, rt->current != NULL ? L : NULL);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushliteral(L, "aqlua: the tasks could not be listed: not enough memory\n");
  }
  if (rt->report != NULL)
    rt->report(rt->report_ud, lua_tostring(L, -1));
  else
    fputs(lua_tostring(L, -1), stderr);
  lua_pop(L, 1);
}

/* ---- for the prompt -------------------------------------------------------------------------- */

/* internal: of a task that waits: the call, what for (aq_push_waited_for), seconds, line. */
static int waits_in(lua_State *L) {
  const struct aq_task *t = aq_check_task(L, 1);
  if (!t->is_suspended || t->future.state != AQ_PENDING) return 0;
  lua_settop(L, 1);
  lua_pushstring(L, aq_task_waits_in(t));
  aq_push_waited_for(L, t->innermost);
  uint64_t now_ns = aq_loop_now(t->future.rt->loop);
  lua_pushnumber(L, now_ns > t->since_ns ? (lua_Number)(now_ns - t->since_ns) / 1e9 : 0);
  aq_push_line(L, t->innermost, 0);
  return 4;
}

/* internal: the living queues as keys, with the order of their making; noted from now on. */
static int living_queues(lua_State *L) {
  if (lua_getiuservalue(L, lua_upvalueindex(1), AQ_UV_QUEUES) == LUA_TTABLE) return 1;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, lua_upvalueindex(1), AQ_UV_QUEUES);
  return 1;
}

/* internal: who is asked first when the program is to stop; see interrupt.h. nil: nobody. */
static int on_interrupt(lua_State *L) {
  lua_settop(L, 1);
  lua_setiuservalue(L, lua_upvalueindex(1), AQ_UV_ON_INTERRUPT);
  return 0;
}

/* internal: the task whose wait a deadlock breaks, in place of the main one; nil: that again. */
static int set_foreground(lua_State *L) {
  aq_runtime(L)->foreground = lua_isnoneornil(L, 1) ? NULL : aq_check_task(L, 1);
  return 0;
}

/* internal: from now on, an error that nobody retrieved is reported in the next turn. */
static int report_early(lua_State *L) {
  aq_runtime(L)->reports_early = lua_toboolean(L, 1);
  return 0;
}

/* internal: whether os.exit has been called, with tasks to wait for. */
static int is_leaving(lua_State *L) {
  lua_pushboolean(L, aq_runtime(L)->is_leaving);
  return 1;
}

/* internal: the text of one of the library's Lua files. */
static int source(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct aq_lua_source *s = aq_lua_sources; s->name != NULL; s++) {
    if (strcmp(s->name, name) != 0) continue;
    lua_pushlstring(L, s->text, s->size);
    return 1;
  }
  return 0;
}

void aq_open_inspect(lua_State *L) {
  static const luaL_Reg INTERNAL[] = {{"waits_in", waits_in},
                                      {"living_queues", living_queues},
                                      {"on_interrupt", on_interrupt},
                                      {"set_foreground", set_foreground},
                                      {"source", source},
                                      {"report_early", report_early},
                                      {"is_leaving", is_leaving},
                                      {NULL, NULL}};
  aq_set_internal(L, INTERNAL);
}
