/* Errors, a class and a name of the module that C adds. */
#include <aqlua.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static const char SCRIPT[] = "local aq = require 'aqlua'\n"
                             "local door = aq.open_door()\n"
                             "print(pcall(door.knock, door))\n"
                             "local _, wrong = pcall(function() door.knock(aq.Queue()) end)\n"
                             "print(wrong:match 'bad argument.*')\n"
                             "local ok, err = pcall(door.enter, door)\n"
                             "print(err == aq.OSError, err.code, err)\n";

struct door {
  int knocks;
};

static int door_knock(lua_State *L) {
  struct door *door = aq_check_object(L, 1, "Door");
  if (++door->knocks > 1) return 0;
  aq_push_error(L, "DoorError", "nobody answers");
  return lua_error(L);
}

static int door_enter(lua_State *L) {
  aq_check_object(L, 1, "Door");
  aq_push_os_error(L, EACCES, "enter", "the house");
  return lua_error(L);
}

static int open_door(lua_State *L) {
  aq_new_object(L, "Door", sizeof(struct door), 0);
  return 1;
}

/* Called when aq.open_door is first touched. */
static int open_doors(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"knock", door_knock}, {"enter", door_enter}, {NULL, NULL}};
  if (aq_define_class(L, "Door", METHODS, NULL) != AQ_OK ||
      aq_define_error(L, "DoorError", NULL, "the door is shut") != AQ_OK)
    return luaL_error(L, "doors cannot be opened");
  lua_pushcfunction(L, open_door);
  return 1;
}

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
  if (aq_add_opener(L, "open_door", open_doors) != AQ_OK) return luaL_error(L, "no door");
  if (luaL_loadstring(L, SCRIPT) != LUA_OK) return lua_error(L);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  lua_pushcfunction(L, open_all);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) return 1;
  int status = aq_call(L, 0, 0);
  lua_close(L);
  return status;
}
/* --> false	DoorError: nobody answers */
/* --> bad argument #1 to 'knock' (Door expected, got Queue) */
/* --> true	EACCES	PermissionError: enter the house: permission denied */
