/*
** payload.h - a C pointer as a Lua value: the box.
**
** Whoever takes the pointer out of a box leaves it empty; a box that is collected with a payload in
** it destroys that. So a payload is destroyed exactly once, or belongs to C.
*/
#ifndef AQ_PAYLOAD_H
#define AQ_PAYLOAD_H

#include <lua.h>

#include "aqlua.h"

struct aq_box {
  const void *class;                  /* of all boxes the same */
  const struct aq_payload_kind *kind; /* NULL: empty */
  void *data;
};

/* Pushes an empty box. [-0, +1, m] */
struct aq_box *aq_box_push(lua_State *L);

/* The box at `idx`, or NULL. */
struct aq_box *aq_box_test(lua_State *L, int idx);

#endif
