/* A game: one step per frame, never blocking; between two frames it feeds a queue. */
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static const char SCRIPT[] = "function play(keys)\n"
                             "  for key in keys:items() do\n"
                             "    print('the hero: ' .. key)\n"
                             "  end\n"
                             "  return 'over'\n"
                             "end\n";

enum { BUDGET_NS = 2000000 }; /* of a frame's 16 ms, what scripts may have */

/* What the player pressed, by frame. */
static const char *const KEYS[] = {"left", NULL, "jump", NULL};
enum { FRAMES = sizeof KEYS / sizeof KEYS[0] };

static struct aq_cqueue *keys;

static void press(const char *key, size_t length) {
  struct aq_value v = {.kind = AQ_V_BYTES, .as.bytes = {key, length}};
  if (aq_cqueue_put(keys, &v) != AQ_OK) printf("the key is lost\n"); /* copied, or still ours */
}

/* What the scripts did in a frame. STUCK is no error: they wait for a key, and the next may come. */
static const char *step(lua_State *L) {
  switch (aq_step(L, 0, BUDGET_NS)) {
    case AQ_STEP_RAN: return "ran";
    case AQ_STEP_IDLE:
    case AQ_STEP_STUCK: return "waits";
    case AQ_STEP_DONE: return "done";
    default: return "refused";
  }
}

/* Leaves play and its argument. */
static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (luaL_dostring(L, SCRIPT) != LUA_OK) return lua_error(L);
  lua_getglobal(L, "play");
  if (aq_cqueue_new(L, &keys, 0, "keys") != AQ_OK) return aq_raise(L, AQ_NOMEM);
  if (aq_cqueue_push(L, keys) != AQ_OK) return aq_raise(L, AQ_NOMEM);
  return 2;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK) return 1;
  if (aq_start(L, 1) != AQ_OK) return 1;

  step(L); /* up to its first wait */
  for (int frame = 0; frame < FRAMES; frame++) {
    if (KEYS[frame] != NULL) press(KEYS[frame], strlen(KEYS[frame]));
    printf("frame %d: %s\n", frame, step(L)); /* and then draws */
  }
  aq_cqueue_shutdown(keys, 0);
  while (aq_step(L, 0, BUDGET_NS) == AQ_STEP_RAN) continue;
  if (aq_outcome(L, 1) == LUA_OK) printf("%s\n", lua_tostring(L, -1));
  aq_cqueue_drop(keys);
  lua_close(L);
  return 0;
}
/* --> the hero: left */
/* --> frame 0: ran */
/* --> frame 1: waits */
/* --> the hero: jump */
/* --> frame 2: ran */
/* --> frame 3: waits */
/* --> over */
