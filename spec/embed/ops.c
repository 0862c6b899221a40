/*
** ops.c - runs scripts that have operations of guest.h, each in a state of its own; what happens to the
** operations after that is printed. Status 1 if one is not released by then.
**
**     ops SCRIPT ...
*/
#include "guest.h"

static bool is_starving;

static void *allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  size_t held = block != NULL ? old_size : 0;
  (void)ud;
  if (new_size > held && is_starving) return NULL;
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

/* leave(): memory is out until the state has been closed, so that aq_call cannot end the tasks that
** still wait. */
static int leave(lua_State *L) {
  (void)L;
  guest_log[0] = '\0';
  is_starving = true;
  return 0;
}

static void warn(void *ud, const char *text, int to_be_continued) {
  (void)ud;
  fprintf(stderr, "%s%s", text, to_be_continued ? "" : "\n");
}

static int debug(lua_State *L) {
  lua_setwarnf(L, warn, NULL);
  aq_set_debug(L, true);
  return 0;
}

static void complete_late(void) {
  while (guests != NULL) {
    struct guest *g = guests;
    guest_log[0] = '\0';
    if (complete(g, NULL) != 0) break;
    printf("late: %s\n", guest_log);
  }
}

static bool run_script(const char *path) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (!open_state(L, "") || luaL_loadfile(L, path) != LUA_OK) return false;
  lua_register(L, "leave", leave);
  lua_register(L, "debug_on", debug);
  bool is_ok = aq_call(L, 0, 0) == LUA_OK;
  if (!is_ok) fprintf(stderr, "%s\n%s\n", luaL_tolstring(L, -2, NULL), lua_tostring(L, -2));
  if (!is_starving) guest_log[0] = '\0';
  lua_close(L);
  is_starving = false;
  if (guest_log[0] != '\0') printf("closed: %s\n", guest_log);
  complete_late();
  return is_ok && guests == NULL;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (!run_script(argv[i])) return EXIT_FAILURE;
  return EXIT_SUCCESS;
}
