-- The module for a stock Lua 5.4: `luarocks --lua-version=5.4 make` in the source tree.

rockspec_format = "3.0"
package = "aqlua"
version = "dev-1"
source = { url = "." }

description = {
  summary = "asyncio's queues, tasks and locks for Lua 5.4 on libuv",
  license = "MIT",
}

supported_platforms = { "unix" }
dependencies = { "lua ~> 5.4" }
external_dependencies = { LIBUV = { header = "uv.h", library = "uv" } }

build = {
  type = "make",
  build_target = "module",
  install_target = "install-module",
  variables = { -- of both passes: what differs would be built anew
    VARIANT = "rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    LUA_LIBS = "", -- the interpreter has it
    UV_CFLAGS = "-I$(LIBUV_INCDIR)",
    UV_LIBS = "-L$(LIBUV_LIBDIR) -luv",
  },
  install_variables = {
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
}
