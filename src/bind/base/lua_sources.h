/*
 * The Lua half of the library, compiled in as source text: every file under lua/aqlua. Of meta.lua
 * (types for editors) the prompt's help reads the comments. tools/embed.sh writes the table at build time, which is why there
 * is no lua_sources.c beside this header.
 */
#ifndef AQ_LUA_SOURCES_H
#define AQ_LUA_SOURCES_H

#include <stddef.h>

struct aq_lua_source {
  const char *name; /* the module: "aqlua.gather" for lua/aqlua/gather.lua; NULL ends the table */
  const char *text; /* the file as it is, and a NUL that size does not count */
  size_t size;
};

extern const struct aq_lua_source aq_lua_sources[];

#endif
