/*
** starve.c - a script run again and again, each time with less luck: memory runs out at its first
** request, at its second, and so on, until a run is over before it does.
**
**     starve SCRIPT BURST      requests that fail in a row; 0: all from then on, until the end
**
** The script calls begin() where requests begin to count. However a run ends, the state must close
** and have given everything back, and each operation (guest.h) must have been released. Prints how many runs there were.
*/
#include "guest.h"
#include "memory.h"

static int begin(lua_State *L) {
  (void)L;
  memory.counts = true;
  return 0;
}

/* Reports may fail too: what matters is only that nobody dies of them. */
static void ignore(void *ud, const char *text) { (void)ud, (void)text; }

static bool run_once(const char *script) {
  memory.live = memory.requests = memory.failed = 0;
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL) return false;
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  aq_set_report(L, ignore, NULL);
  lua_register(L, "begin", begin);
  open_guest(L);
  if (luaL_loadfile(L, script) != LUA_OK) return false;
  int status = aq_call(L, 0, 0);
  memory.counts = false;
  if (status != LUA_OK && memory.failed == 0) fprintf(stderr, "%s\n", lua_tostring(L, -2));
  lua_close(L);
  if (memory.live != 0) fprintf(stderr, "at %ld: %ld bytes left\n", memory.first, memory.live);
  if (guests != NULL) fprintf(stderr, "at %ld: an operation left\n", memory.first);
  return memory.live == 0 && guests == NULL && (status == LUA_OK || memory.failed > 0);
}

int main(int argc, char **argv) {
  if (argc != 3) return EXIT_FAILURE;
  memory.burst = strtol(argv[2], NULL, 10);
  do {
    memory.first++;
    if (!run_once(argv[1])) return EXIT_FAILURE;
  } while (memory.failed > 0);
  printf("%ld runs\n", memory.first);
  return EXIT_SUCCESS;
}
