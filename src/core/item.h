/*
** item.h - what a queue holds, as the kernel sees it: 16 bytes that are moved and never looked at.
*/
#ifndef AQ_ITEM_H
#define AQ_ITEM_H

#include <stdint.h>

struct aq_item {
  uint64_t bits; /* a number, a pointer, a slot: the owner's business */
  uint64_t tag;  /* says what bits is: the owner's business too */
};

#endif
