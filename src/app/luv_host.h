/*
** luv_host.h - luv on our loop: `require "luv"` in a script.
**
** Nothing links to luv. It is opened when it is asked for, with our loop in place of one of its
** own, and with errors in its callbacks going where all unhandled errors go. A callback runs on the
** loop, in no task: it may settle something (q:put_nowait, future:set_result), not wait.
*/
#ifndef AQ_LUV_HOST_H
#define AQ_LUV_HOST_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

struct luv_host {
  uv_prepare_t guard; /* looks after our signal handlers, once a script has had one of luv's */
  bool has_guard;
};

/* Adds luv to package.preload. [-0, +0, m] */
void luv_host_open(lua_State *L, struct luv_host *luv);

/*
** Before lua_close, when all tasks have ended: closes luv's handles and lets the loop finish with
** them. False: a request is still being worked on by another thread, so the state, whose memory it
** may be using, must not be closed.
*/
bool luv_host_close(lua_State *L, struct luv_host *luv);

#endif
