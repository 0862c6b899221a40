/*
** host.h - the executable's own state: one per process, on main's stack.
*/
#ifndef AQ_HOST_H
#define AQ_HOST_H

#include <lua.h>
#include <stdbool.h>

#include "cli.h"
#include "luv_host.h"
#include "signals.h"
#include "style.h"

struct host {
  struct cli cli;
  struct signals signals;
  struct luv_host luv;
  struct style style;    /* of what goes to stderr */
  struct prompt *prompt; /* where the user types, or NULL; see prompt.h */
  bool warns;            /* warnings are on: see output_warn */
  bool is_warning;       /* a warning is not complete yet */
  bool load_failed;      /* a chunk or the script could not be loaded: that needs no traceback */
  bool is_exiting;       /* os.exit(status, true) was called */
  int status;            /* the process's, if is_exiting */
  bool is_stuck;         /* another thread is still at work for a script: see luv_host_close */
  int dies_by;           /* the signal to end by, or 0 */
};

/* The host is upvalue 1 of the executable's functions. */
static inline struct host *host_of(lua_State *L) {
  return (struct host *)lua_touserdata(L, lua_upvalueindex(1));
}

/* Pushes a C function with the host as upvalue 1. [-0, +1, m] */
static inline void host_push_function(lua_State *L, struct host *h, lua_CFunction fn) {
  lua_pushlightuserdata(L, h);
  lua_pushcclosure(L, fn, 1);
}

/* Says what is wrong, after the program's name; the text may have several lines. */
void host_complain(const struct host *h, const char *text);

#endif
