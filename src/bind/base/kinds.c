/*
** kinds.c - finding a kind by its name, and the errors that C makes.
**
** AQ_UV_ERRORS has the bare values of the library's own kinds by number, and of those made later by name;
** and the memory of those defined by guests, by its address. So a kind lives as long as the runtime.
*/
#include "kinds.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>
#include <uv.h>

#include "aqlua.h"
#include "layer.h"
#include "os_error.h"

/* Stack that is made sure of before anything is pushed. */
enum { ROOM = 8 };

/* ---- by name --------------------------------------------------------------------------------- */

/* A new bare value, kept under the name of its kind; stays on top. */
static void push_new_bare(lua_State *L, struct aq_runtime *rt, const struct aq_kind *kind) {
  aq_runtime_push_uv(L, rt, AQ_UV_ERRORS);
  aq_error_push_new(L, kind, true);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, kind->name);
  lua_remove(L, -2);
}

const struct aq_kind *aq_kind_push(lua_State *L, struct aq_runtime *rt, const char *name) {
  aq_runtime_push_uv(L, rt, AQ_UV_ERRORS);
  const struct aq_kind *kind = aq_error_own_kind(L, name);
  if (kind == NULL) lua_getfield(L, -1, name);
  lua_remove(L, -2);
  if (kind == NULL) kind = aq_error_kind_of(L, -1);
  if (kind != NULL) return kind;
  for (kind = aq_os_kinds; kind->name != NULL; kind++) {
    if (strcmp(kind->name, name) != 0) continue;
    lua_pop(L, 1);
    push_new_bare(L, rt, kind);
    return kind;
  }
  return NULL;
}

void aq_kinds_set_all(lua_State *L, struct aq_runtime *rt) {
  for (const struct aq_kind *kind = aq_os_kinds; kind->name != NULL; kind++) {
    aq_kind_push(L, rt, kind->name);
    lua_setfield(L, -2, kind->name);
  }
}

/* ---- defining -------------------------------------------------------------------------------- */

/* What a call is about; `status` is how it ends, unless it raises for lack of memory. */
struct request {
  struct aq_runtime *rt;
  const char *name, *parent, *text;
  int number;
  enum aq_status status;
};

static bool is_identifier(const char *name) {
  if (!isalpha((unsigned char)*name) && *name != '_') return false;
  while (isalnum((unsigned char)*name) || *name == '_') name++;
  return *name == 0;
}

/* Makes a kind with copies of the texts. */
static const struct aq_kind *new_kind(lua_State *L, const struct request *r,
                                      const struct aq_kind *parent) {
  size_t name_size = strlen(r->name) + 1, text_size = strlen(r->text) + 1;
  aq_runtime_push_uv(L, r->rt, AQ_UV_ERRORS);
  struct aq_kind *kind = lua_newuserdatauv(L, sizeof *kind + name_size + text_size, 0);
  char *texts = (char *)(kind + 1);
  memcpy(texts, r->name, name_size);
  memcpy(texts + name_size, r->text, text_size);
  *kind = (struct aq_kind){texts, texts + name_size, parent};
  lua_rawsetp(L, -2, kind);
  lua_pop(L, 1);
  return kind;
}

/* Stack: the request (light). */
static int define(lua_State *L) {
  struct request *r = lua_touserdata(L, 1);
  const struct aq_kind *parent = r->parent != NULL ? aq_kind_push(L, r->rt, r->parent) : NULL;
  if (r->parent != NULL && parent == NULL) return 0;
  const struct aq_kind *known = aq_kind_push(L, r->rt, r->name);
  if (known != NULL && known->parent == parent) r->status = AQ_OK;
  if (known != NULL) return 0;
  aq_runtime_push_uv(L, r->rt, AQ_UV_MODULE);
  lua_pushstring(L, r->name);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) != LUA_TNIL || aq_layer_has_opener(L, r->name)) return 0;
  lua_pop(L, 1);
  push_new_bare(L, r->rt, new_kind(L, r, parent));
  lua_rawset(L, -3);
  r->status = AQ_OK;
  return 0;
}

int aq_define_error(lua_State *L, const char *name, const char *parent, const char *text) {
  struct request r = {.name = name, .parent = parent, .text = text, .status = AQ_INVALID};
  if (name == NULL || text == NULL || !is_identifier(name)) return AQ_INVALID;
  enum aq_status status = aq_runtime_enter(L, &r.rt);
  if (status != AQ_OK) return status;
  if (!lua_checkstack(L, ROOM)) return AQ_NOMEM;
  lua_pushcfunction(L, define);
  lua_pushlightuserdata(L, &r);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return r.status;
  lua_pop(L, 1);
  return AQ_NOMEM;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int push_status_text(lua_State *L) {
  lua_pushstring(L, aq_status_text((enum aq_status)lua_tointeger(L, 1)));
  return 1;
}

/* Pushes a sentence in the place of an error that cannot be made. */
static int push_refusal(lua_State *L, enum aq_status status) {
  lua_pushcfunction(L, push_status_text);
  lua_pushinteger(L, status);
  (void)lua_pcall(L, 1, 1, 0);
  return status;
}

/* Pushes what `make` makes, or why it cannot: one value in each case. */
static int push_made(lua_State *L, lua_CFunction make, struct request *r) {
  enum aq_status status = aq_runtime_enter(L, &r->rt);
  if (status == AQ_WRONG_THREAD || L == NULL || !lua_checkstack(L, ROOM))
    return status == AQ_OK ? AQ_NOMEM : status;
  if (status != AQ_OK) return push_refusal(L, status);
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, r);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return AQ_NOMEM; /* its message is what was pushed */
  if (r->status == AQ_OK) return AQ_OK;
  lua_pop(L, 1);
  return push_refusal(L, r->status);
}

/* Stack: the request (light). */
static int make_error(lua_State *L) {
  struct request *r = lua_touserdata(L, 1);
  const struct aq_kind *kind = aq_kind_push(L, r->rt, r->name);
  r->status = kind != NULL ? AQ_OK : AQ_INVALID;
  if (kind == NULL) return 0;
  aq_error_push_new(L, kind, false);
  lua_pushstring(L, r->text != NULL ? r->text : kind->message);
  aq_error_set_message(L, -2);
  return 1;
}

int aq_push_error(lua_State *L, const char *name, const char *message) {
  struct request r = {.name = name != NULL ? name : "", .text = message};
  return push_made(L, make_error, &r);
}

static void set_field(lua_State *L, const char *key, const char *text) {
  lua_pushstring(L, text);
  aq_error_set_field(L, -2, key);
}

/* Stack: the request (light). "connect 127.0.0.1:80: connection refused" */
static int make_os_error(lua_State *L) {
  struct request *r = lua_touserdata(L, 1);
  char name[40], reason[100];
  uv_err_name_r(r->number, name, sizeof name);
  uv_strerror_r(r->number, reason, sizeof reason);
  aq_error_push_new(L, aq_os_kind_of(r->number), false);
  set_field(L, "code", name);
  if (r->number > UV_EAI_ADDRFAMILY) { /* one of the system's, and not libuv's own */
    lua_pushinteger(L, -r->number);
    aq_error_set_field(L, -2, "errno");
  }
  if (r->name != NULL) set_field(L, "syscall", r->name);
  lua_pushfstring(L, "%s%s%s%s%s", r->name != NULL ? r->name : "",
                  r->name != NULL && r->text != NULL ? " " : "", r->text != NULL ? r->text : "",
                  r->name != NULL || r->text != NULL ? ": " : "", reason);
  aq_error_set_message(L, -2);
  return 1;
}

int aq_push_os_error(lua_State *L, int error, const char *syscall, const char *what) {
  struct request r = {.name = syscall, .text = what, .number = uv_translate_sys_error(error)};
  return push_made(L, make_os_error, &r);
}

/* Stack: the error value, the field's value, the key (light). */
static int set_given_field(lua_State *L) {
  const char *key = lua_touserdata(L, 3);
  lua_settop(L, 2);
  aq_error_set_field(L, 1, key);
  return 0;
}

int aq_set_error_field(lua_State *L, int idx, const char *key) {
  struct aq_runtime *rt;
  if (L == NULL || lua_gettop(L) == 0) return AQ_INVALID;
  enum aq_status status = aq_runtime_enter(L, &rt);
  if (status == AQ_WRONG_THREAD) return status;
  if (status == AQ_OK && !lua_checkstack(L, ROOM)) status = AQ_NOMEM;
  if (status == AQ_OK && (key == NULL || !aq_error_is_own(L, idx))) status = AQ_INVALID;
  if (status == AQ_OK) {
    idx = lua_absindex(L, idx);
    lua_pushcfunction(L, set_given_field);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, -3);
    lua_pushlightuserdata(L, (void *)key);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1), status = AQ_NOMEM;
  }
  lua_pop(L, 1);
  return status;
}
