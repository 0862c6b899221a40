/*
** guest.h - operations for specs: Lua functions that wait in one, complete one, and tell what became
** of it.
**
**     guest.wait(name[, seconds[, mode]])     waits; returns its results. mode is what abort does:
**         "gone"; "not yet"; "completes": completes it itself; "NAME": completes that other one; or
**         when it is completed: "now", "now with": before the wait; "again": waits thrice
**     guest.complete(name[, what])            the answer; with `what` see push_results
**     guest.after(name, milliseconds[, what]) the same by a timer of libuv's, which abort stops
**     guest.bell(), ringing(bell), ring(bell)  an object for select: it rings once for each call of ring
**     guest.run(script)                       runs a script in a state of its own
**     guest.log()                             what happened since, "name event, ..."
**     guest.live()                            how many have not been released
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"

struct guest {
  struct aq_op op; /* first */
  char name[16], mode[16], what[16];
  int rounds;        /* waits still to come */
  uv_timer_t *timer; /* completes it; or NULL */
  struct guest *next;
};

static struct guest *guests;
static char guest_log[4096];

static void note(const char *name, const char *event) {
  size_t length = strlen(guest_log);
  snprintf(guest_log + length, sizeof guest_log - length, "%s%s %s", length > 0 ? ", " : "", name,
           event);
}

static const char *status_name(int status) {
  switch (status) {
    case AQ_OK: return "ok";
    case AQ_TIMEDOUT: return "timeout";
    case AQ_CANCELLED: return "cancel";
    case AQ_DEADLOCK: return "deadlock";
    case AQ_CLOSED: return "closed";
    case AQ_ERROR: return "error";
    default: return "?";
  }
}

static struct guest *find(const char *name) {
  struct guest *g = guests;
  while (g != NULL && strcmp(g->name, name) != 0) g = g->next;
  return g;
}

static void free_timer(uv_handle_t *timer) { free(timer); }

static void stop_timer(struct guest *g) {
  if (g->timer != NULL) uv_close((uv_handle_t *)g->timer, free_timer);
  g->timer = NULL;
}

static void release(struct guest *g) {
  struct guest **link = &guests;
  while (*link != g) link = &(*link)->next;
  *link = g->next;
  stop_timer(g);
  free(g);
}

/* ---- completing ------------------------------------------------------------------------------ */

static int push_results(lua_State *L) {
  const char *what = lua_touserdata(L, 1);
  if (strcmp(what, "none") == 0) return 0;
  if (strcmp(what, "error") == 0) return luaL_error(L, "no results");
  if (strcmp(what, "nil error") == 0) return lua_pushnil(L), lua_error(L);
  if (strcmp(what, "many") == 0) {
    for (int i = 1; i <= 200; i++) {
      luaL_checkstack(L, 1, NULL);
      lua_pushinteger(L, i);
    }
    return 200;
  }
  if (strcmp(what, "nils") == 0) return lua_pushnil(L), lua_pushinteger(L, 2), lua_pushnil(L), 3;
  lua_pushstring(L, what);
  return 1;
}

static int complete(struct guest *g, const char *what) {
  bool is_plain = what == NULL || *what == '\0';
  int answer =
    is_plain ? aq_op_complete(&g->op) : aq_op_complete_with(&g->op, push_results, (void *)what);
  if (answer == 0) {
    note(g->name, "is mine");
    release(g);
  }
  return answer;
}

static int guest_complete(lua_State *L) {
  struct guest *g = find(luaL_checkstring(L, 1));
  if (g == NULL) return luaL_error(L, "no such operation");
  lua_pushinteger(L, complete(g, lua_tostring(L, 2)));
  return 1;
}

static void on_timer(uv_timer_t *timer) {
  struct guest *g = timer->data;
  char what[16];
  strcpy(what, g->what);
  stop_timer(g);
  complete(g, what);
}

static int guest_after(lua_State *L) {
  struct guest *g = find(luaL_checkstring(L, 1));
  lua_Integer ms = luaL_checkinteger(L, 2);
  const char *what = luaL_optstring(L, 3, "");
  g->timer = malloc(sizeof *g->timer);
  g->timer->data = g;
  snprintf(g->what, sizeof g->what, "%s", what);
  uv_timer_init(aq_uv_loop(L), g->timer);
  uv_timer_start(g->timer, on_timer, (uint64_t)ms, 0);
  return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void describe(const struct aq_op *op, char *text, size_t size) {
  snprintf(text, size, "guest %s", ((const struct guest *)op)->name);
}

static int abort_guest(struct aq_op *op, int why) {
  struct guest *g = (struct guest *)op;
  char event[32];
  snprintf(event, sizeof event, "abort: %s", status_name(why));
  note(g->name, event);
  if (strcmp(g->mode, "not yet") == 0) return 0;
  stop_timer(g);
  struct guest *other = strcmp(g->mode, "completes") == 0 ? g : find(g->mode);
  if (other != NULL) complete(other, NULL);
  return other != g;
}

static void discard_guest(struct aq_op *op) {
  note(((struct guest *)op)->name, "discarded");
  release((struct guest *)op);
}

static const struct aq_op_kind GUEST = {"visit", describe, abort_guest, discard_guest};

static int goes_on(lua_State *L, int status, lua_KContext ctx) {
  struct guest *g = (struct guest *)ctx;
  note(g->name, status_name(status));
  if (status == AQ_OK && --g->rounds > 0) {
    aq_op_begin(L, &g->op, &GUEST, AQ_FOREVER);
    return aq_op_wait(L, &g->op, ctx, goes_on);
  }
  release(g);
  return status == AQ_OK ? aq_op_results(L) : aq_raise(L, status);
}

static int guest_wait(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 3, "gone");
  struct aq_op checked;
  aq_op_begin(L, &checked, &GUEST, aq_check_seconds(L, 2)); /* raises before there is a guest */
  struct guest *g = calloc(1, sizeof *g);
  g->op = checked;
  snprintf(g->name, sizeof g->name, "%s", name);
  snprintf(g->mode, sizeof g->mode, "%s", mode);
  g->rounds = strcmp(mode, "again") == 0 ? 3 : 1;
  g->next = guests;
  guests = g;
  if (strcmp(mode, "now") == 0) complete(g, NULL);
  if (strcmp(mode, "now with") == 0) complete(g, "now");
  return aq_op_wait(L, &g->op, (lua_KContext)g, goes_on);
}

/* ---- a branch -------------------------------------------------------------------------------- */

struct bell {
  int rings; /* not heard yet */
  struct aq_branch_wait *wait;
};

static int bell_is_ready(void *object) { return ((struct bell *)object)->rings > 0; }

static int bell_attempt(lua_State *L, void *object) {
  struct bell *b = object;
  b->rings--;
  if (lua_touserdata(L, 1) != object) return AQ_INVALID;
  if (b->rings >= 9) return luaL_error(L, "too loud");
  lua_pushinteger(L, b->rings);
  return AQ_OK;
}

static void bell_enter(void *object, struct aq_branch_wait *w) {
  note("bell", "enter");
  ((struct bell *)object)->wait = w;
}

static void bell_leave(void *object, struct aq_branch_wait *w) {
  struct bell *b = object;
  note("bell", b->wait == w ? "leave" : "?");
  b->wait = NULL;
}

static void bell_give_up(void *object) {
  (void)object;
  note("bell", "not heard");
}

static const struct aq_branch_def RINGING = {"ringing of ", bell_is_ready, bell_attempt,
                                             bell_enter,    bell_leave,    bell_give_up};

static int guest_bell(lua_State *L) {
  struct bell *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (struct bell){0, NULL};
  return 1;
}

static int guest_ringing(lua_State *L) {
  return aq_push_branch(L, 1, &RINGING, lua_touserdata(L, 1));
}

static int guest_ring(lua_State *L) {
  struct bell *b = lua_touserdata(L, 1);
  struct aq_branch_wait *w = b->wait;
  b->rings += (int)luaL_optinteger(L, 2, 1);
  b->wait = NULL;
  lua_pushinteger(L, aq_branch_notify(w));
  return 1;
}

/* ---- the module ------------------------------------------------------------------------------ */

static int take_log(lua_State *L) {
  lua_pushstring(L, guest_log);
  guest_log[0] = '\0';
  return 1;
}

static int count_live(lua_State *L) {
  int n = 0;
  for (struct guest *g = guests; g != NULL; g = g->next) n++;
  lua_pushinteger(L, n);
  return 1;
}

static int guest_run(lua_State *L);

static void open_guest(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {{"wait", guest_wait},       {"complete", guest_complete},
                                       {"after", guest_after},     {"log", take_log},
                                       {"live", count_live},       {"bell", guest_bell},
                                       {"ringing", guest_ringing}, {"ring", guest_ring},
                                       {"run", guest_run},         {NULL, NULL}};
  luaL_newlib(L, FUNCTIONS);
  lua_setglobal(L, "guest");
}

/* Everything a script needs; leaves its function. */
static bool open_state(lua_State *L, const char *script) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_pop(L, 1);
  open_guest(L);
  return luaL_loadstring(L, script) == LUA_OK;
}

static int guest_run(lua_State *L) {
  const char *script = luaL_checkstring(L, 1);
  lua_State *other = luaL_newstate();
  if (!open_state(other, script) || aq_call(other, 0, 0) != LUA_OK)
    fprintf(stderr, "%s\n", luaL_tolstring(other, -2, NULL));
  lua_close(other);
  return 0;
}
