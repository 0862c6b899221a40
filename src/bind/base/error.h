/*
** error.h - the error values, and the one place where a status becomes a Lua error.
**
** An error value is a userdata with a kind and a message, and fields of its own if need be; two of the
** same kind are equal. A kind may have a parent, whose bare value equals them as well. One bare value of
** each of the library's kinds is made when it opens, so raising it allocates nothing. Others: kinds.h.
*/
#ifndef AQ_ERROR_H
#define AQ_ERROR_H

#include <lua.h>
#include <stdbool.h>

#include "core/status.h"
#include "runtime.h"

enum aq_error_kind {
  AQ_E_CANCELLED,
  AQ_E_TIMEOUT,
  AQ_E_QUEUE_EMPTY,
  AQ_E_QUEUE_FULL,
  AQ_E_QUEUE_SHUTDOWN,
  AQ_E_INVALID_STATE,
  AQ_E_BROKEN_BARRIER,
  AQ_E_DEADLOCK,
  AQ_E_COUNT
};

struct aq_kind {
  const char *name;
  const char *message;          /* of the bare value, and of values without one of their own */
  const struct aq_kind *parent; /* or NULL */
};

/* Pushes a new value of a kind, the bare one or one that a message and fields can be given. [-0, +1, m] */
void aq_error_push_new(lua_State *L, const struct aq_kind *kind, bool is_bare);

/* The value on top becomes the message of the error value at `idx`. [-1, +0, -] */
void aq_error_set_message(lua_State *L, int idx);

/* The value on top becomes a field of the error value at `idx`. [-1, +0, m] */
void aq_error_set_field(lua_State *L, int idx, const char *key);

/* The kind of the error value at `idx`; NULL: it is none. [-0, +0, -] */
const struct aq_kind *aq_error_kind_of(lua_State *L, int idx);

/* True when the value at `idx` is an error value that is not the bare one of its kind. [-0, +0, -] */
bool aq_error_is_own(lua_State *L, int idx);

/* The kind of the library's own of this name; pushes its bare value, from the list on top. NULL, and
** nothing is pushed: there is none. [-0, +(0|1), -] */
const struct aq_kind *aq_error_own_kind(lua_State *L, const char *name);

/* Makes the bare values: the list becomes user value AQ_UV_ERRORS of `rt`, the named values fields
** of the module table on top. [-0, +0, m] */
void aq_error_open(lua_State *L, struct aq_runtime *rt);

/* Pushes the bare value of a kind. [-0, +1, -] */
void aq_error_push(lua_State *L, enum aq_error_kind kind);

/* The same where the runtime is at hand. [-0, +1, -] */
void aq_error_push_of(lua_State *L, struct aq_runtime *rt, enum aq_error_kind kind);

/* Pushes a new value of a kind whose message is the value on top. [-1, +1, m] */
void aq_error_push_with(lua_State *L, enum aq_error_kind kind);

/* True when the value at `idx` is an error value of this kind, or of one below it. */
bool aq_error_is(lua_State *L, int idx, enum aq_error_kind kind);

/* True when the value at `idx` is what aq_exit raises, and it was called: nobody is to hear of it. */
bool aq_error_is_exit(lua_State *L, const struct aq_runtime *rt, int idx);

/* Pushes the error that a status stands for. [-0, +1, m] */
void aq_error_push_status(lua_State *L, enum aq_status status);

/* Raises the error that a status stands for; never returns. */
int aq_error_raise(lua_State *L, enum aq_status status);

/* Raises a string, located where the user's code called into the library; never returns. */
int aq_error_misuse(lua_State *L, const char *format, ...);

/* Raises InvalidStateError with a message of its own; never returns. */
int aq_error_invalid_state(lua_State *L, const char *message);

/* Pushes what the value at `idx` is, for "x expected, got y": its class, or its type. Also returns it.
** [-0, +1, m] */
const char *aq_error_push_type(lua_State *L, int idx);

/* Raises that argument `idx` is not what is expected, as luaL_typeerror; says so if it was finalized. */
int aq_error_type(lua_State *L, int idx, const char *expected);

/* A C function: the printable form of the error at 1, in the words of the stock interpreter. Calls
** __tostring, so it may raise. */
int aq_error_text(lua_State *L);

#endif
