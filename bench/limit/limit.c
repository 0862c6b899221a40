/*
 * limit: the least a runtime for Lua 5.4 can do, as a yardstick.
 *
 *   limit [--tickets] SCRIPT [ARGS]
 *                            SCRIPT may `require "aqlua"`: Queue, create_task, now
 *
 * A ring of coroutines that hand values over through C methods. No error handling, no
 * cancelling, no timeouts, no event loop, no checks of what `self` is: what is left is
 * Lua's own price of a method call, a switch and a table slot. A real runtime is measured
 * in multiples of this.
 *
 *   ready ring     coroutines to be resumed, linked through Lua's extra space (8 bytes
 *                  before each lua_State: exactly one pointer)
 *   queue          a chain of slots in one table that all queues share, and getters and
 *                  putters waiting, linked like the ring
 *   handing over   put gives its value straight to a waiting getter (lua_xmove onto its
 *                  stack); a waiting putter keeps its value on top of its own stack
 *   tickets        with --tickets nothing is handed over: a wake is worth one item or one
 *                  slot, used at the woken one's own step, and whoever comes meanwhile
 *                  waits behind. Events have aqlua's order (order.lua prints some)
 *   anchoring      `live` holds every coroutine; its place there lies at the bottom of
 *                  the coroutine's stack
 *   reuse          a coroutine that has ended stays in `live` and takes the next task
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

struct room {
  lua_State *first;
  lua_State *last;
};

struct queue {
  lua_Integer maxsize; /* 0: unbounded */
  lua_Integer count;
  int first; /* slots of the oldest and the newest item; undefined when count is 0 */
  int last;
  struct room getters;
  struct room putters;  /* each with its item on top of its stack */
  lua_Integer claimed;  /* tickets: items that belong to woken getters */
  lua_Integer promised; /* tickets: slots that belong to woken putters */
};

static struct room ready;
static struct room finished; /* coroutines free for the next task */
static lua_State *main_task;
static int nhanded = 1; /* values that a waiting coroutine is resumed with; tickets: 0 */

static lua_State **next_of(lua_State *co) { return (lua_State **)lua_getextraspace(co); }

static void append(struct room *room, lua_State *co) {
  *next_of(co) = NULL;
  if (room->first)
    *next_of(room->last) = co;
  else
    room->first = co;
  room->last = co;
}

static lua_State *take(struct room *room) {
  lua_State *co = room->first;
  if (co) room->first = *next_of(co);
  return co;
}

/* Resumed with one value, get's item or put's nil; with tickets, in `go_on`. */

static int wait_in(lua_State *L, struct room *room, lua_KFunction go_on) {
  append(room, L);
  return lua_yieldk(L, 0, 0, go_on);
}

/* ---- items ---- */

/* The shelf: upvalue 1 of put and get is a table of items, next_slot links its slots. */
static int *next_slot;
static int slots, free_slot;

static int new_slot(void) {
  if (!free_slot) {
    int more = slots ? slots * 2 : 64;
    next_slot = realloc(next_slot, sizeof *next_slot * (size_t)(more + 1));
    for (int i = more; i > slots; i--) {
      next_slot[i] = free_slot;
      free_slot = i;
    }
    slots = more;
  }
  int slot = free_slot;
  free_slot = next_slot[slot];
  return slot;
}

/* Stores the value on top of L's stack; pops it. */
static void store(lua_State *L, struct queue *q) {
  int slot = new_slot();
  lua_rawseti(L, lua_upvalueindex(1), slot);
  if (q->count++)
    next_slot[q->last] = slot;
  else
    q->first = slot;
  q->last = slot;
}

/* A slot is not cleared: the works hold numbers, and the next item overwrites it. */
static void fetch(lua_State *L, struct queue *q) {
  int slot = q->first;
  lua_rawgeti(L, lua_upvalueindex(1), slot);
  q->first = next_slot[slot];
  next_slot[slot] = free_slot;
  free_slot = slot;
  q->count--;
}

/* ---- handing over ---- */

static int take_over(lua_State *L, struct queue *q) {
  fetch(L, q);
  lua_State *putter = take(&q->putters);
  if (putter) {
    lua_xmove(putter, L, 1);
    store(L, q);
    lua_pushnil(putter);
    append(&ready, putter);
  }
  return 1;
}

static int queue_put(lua_State *L) {
  struct queue *q = lua_touserdata(L, 1);
  lua_State *getter = take(&q->getters);
  if (getter) {
    lua_xmove(L, getter, 1);
    append(&ready, getter);
    return 0;
  }
  if (q->maxsize && q->count == q->maxsize) return wait_in(L, &q->putters, NULL);
  store(L, q);
  return 0;
}

static int queue_get(lua_State *L) {
  struct queue *q = lua_touserdata(L, 1);
  return q->count ? take_over(L, q) : wait_in(L, &q->getters, NULL);
}

/* ---- tickets ---- */

/* Stores the item on top; the longest waiting getter owns one from now on. */
static int store_and_offer(lua_State *L, struct queue *q) {
  store(L, q);
  lua_State *getter = take(&q->getters);
  if (getter) {
    q->claimed++;
    append(&ready, getter);
  }
  return 0;
}

/* Takes an item; the longest waiting putter owns its slot from now on. */
static int fetch_and_offer(lua_State *L, struct queue *q) {
  fetch(L, q);
  lua_State *putter = take(&q->putters);
  if (putter) {
    q->promised++;
    append(&ready, putter);
  }
  return 1;
}

static int use_promise(lua_State *L, int status, lua_KContext ctx) {
  struct queue *q = lua_touserdata(L, 1);
  (void)status, (void)ctx;
  q->promised--;
  return store_and_offer(L, q);
}

static int use_claim(lua_State *L, int status, lua_KContext ctx) {
  struct queue *q = lua_touserdata(L, 1);
  (void)status, (void)ctx;
  q->claimed--;
  return fetch_and_offer(L, q);
}

static int ticket_put(lua_State *L) {
  struct queue *q = lua_touserdata(L, 1);
  if (q->maxsize && q->count + q->promised == q->maxsize)
    return wait_in(L, &q->putters, use_promise);
  return store_and_offer(L, q);
}

static int ticket_get(lua_State *L) {
  struct queue *q = lua_touserdata(L, 1);
  if (q->count == q->claimed) return wait_in(L, &q->getters, use_claim);
  return fetch_and_offer(L, q);
}

/* ---- the class ---- */

static int new_queue(lua_State *L) {
  lua_Integer maxsize = luaL_optinteger(L, 1, 0);
  struct queue *q = lua_newuserdatauv(L, sizeof *q, 0);
  *q = (struct queue){.maxsize = maxsize};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

/* ---- tasks ---- */

static int create_task(lua_State *L) {
  int nargs = lua_gettop(L);
  lua_State *co = take(&finished);
  if (!co) {
    co = lua_newthread(L);
    lua_pushinteger(co, luaL_ref(L, lua_upvalueindex(1)));
  }
  lua_xmove(L, co, nargs);
  append(&ready, co);
  return 0;
}

static int now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

static int run(lua_State *L) {
  lua_State *co;
  int nresults;
  while ((co = take(&ready)) != NULL) {
    int fresh = lua_status(co) == LUA_OK; /* stack: its place in live, function, arguments */
    int status = lua_resume(co, L, fresh ? lua_gettop(co) - 2 : nhanded, &nresults);
    if (status == LUA_YIELD) continue;
    if (status != LUA_OK) {
      fprintf(stderr, "limit: %s\n", lua_tostring(co, -1));
      return 1;
    }
    if (co == main_task) return 0;
    lua_settop(co, 1);
    append(&finished, co);
  }
  fprintf(stderr, "limit: all tasks wait\n");
  return 1;
}

/* ---- the program ---- */

static int open_module(lua_State *L) {
  lua_CFunction put = nhanded ? queue_put : ticket_put;
  lua_CFunction get = nhanded ? queue_get : ticket_get;
  const luaL_Reg methods[] = {
    {"put", put}, {"get", get}, {"put_nowait", put}, {"get_nowait", get}, {NULL, NULL}};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  luaL_newlibtable(L, methods);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcclosure(L, new_queue, 1);
  lua_setfield(L, -2, "Queue");
  lua_newtable(L);
  lua_pushcclosure(L, create_task, 1);
  lua_setfield(L, -2, "create_task");
  lua_pushcfunction(L, now);
  lua_setfield(L, -2, "now");
  return 1;
}

int main(int argc, char **argv) {
  int script = argc > 1 && strcmp(argv[1], "--tickets") == 0 ? 2 : 1;
  if (argc <= script) return fprintf(stderr, "usage: limit [--tickets] SCRIPT [ARGS]\n"), 2;
  nhanded = script == 1;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", open_module, 0);
  main_task = lua_newthread(L);
  lua_pushinteger(main_task, 0); /* every task has its place at the bottom; this one needs none */
  if (luaL_loadfile(main_task, argv[script]) != LUA_OK)
    return fprintf(stderr, "limit: %s\n", lua_tostring(main_task, -1)), 1;
  for (int i = script + 1; i < argc; i++) lua_pushstring(main_task, argv[i]);
  append(&ready, main_task);
  int status = run(L);
  lua_close(L);
  return status;
}
