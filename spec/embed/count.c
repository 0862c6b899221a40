/*
** count.c - how often the allocator is asked while a script runs one of its functions.
**
**     count SCRIPT      the script calls begin() and stop(); prints the requests between them
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "aqlua.h"

static long requests, begun_at, counted;

static void *count(void *ud, void *block, size_t old_size, size_t new_size) {
  (void)ud, (void)old_size;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  requests++;
  return realloc(block, new_size);
}

static int begin(lua_State *L) {
  (void)L;
  begun_at = requests;
  return 0;
}

static int stop(lua_State *L) {
  (void)L;
  counted = requests - begun_at;
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = lua_newstate(count, NULL);
  if (argc != 2 || L == NULL) return EXIT_FAILURE;
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  lua_register(L, "begin", begin);
  lua_register(L, "stop", stop);
  if (luaL_loadfile(L, argv[1]) != LUA_OK || aq_call(L, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, argc == 2 ? -2 : -1, NULL));
    return EXIT_FAILURE;
  }
  printf("%ld\n", counted);
  lua_close(L);
  return EXIT_SUCCESS;
}
