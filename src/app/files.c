/*
** files.c - listing a directory, making a file that nobody else can read.
*/
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int files_list(lua_State *L) {
  DIR *dir = opendir(luaL_checkstring(L, 1));
  if (dir == NULL) return luaL_fileresult(L, 0, lua_tostring(L, 1));
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++n);
  }
  closedir(dir);
  return 1;
}

/* Makes each directory that the path goes through, if it is not there. */
static void make_directories(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, S_IRWXU);
    *slash = '/';
  }
}

int files_make_private(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length > 0, 1, "path expected");
  memcpy(lua_newuserdatauv(L, length + 1, 0), path, length + 1);
  make_directories(lua_touserdata(L, -1));
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd == -1) return luaL_fileresult(L, 0, path);
  bool is_well = fchmod(fd, S_IRUSR | S_IWUSR) == 0;
  close(fd);
  return luaL_fileresult(L, is_well, path);
}
