/*
** queue_options.h - the argument of aq.Queue and its kin: a maxsize, or a table of options.
*/
#ifndef AQ_QUEUE_OPTIONS_H
#define AQ_QUEUE_OPTIONS_H

#include <lua.h>
#include <stddef.h>

#include "core/queue.h"

struct aq_queue_options {
  size_t maxsize; /* 0: no bound */
  enum aq_overflow overflow;
};

/* Reads the argument at 1, for a queue of this kind. Pushes the name, or nil. [-0, +1, v] */
struct aq_queue_options aq_queue_read_options(lua_State *L, enum aq_order_kind kind);

#endif
