/*
** output.h - print, io.write and their kin for a program that has a prompt.
**
** While the user types, what background tasks write must not end up in the middle of the line.
** These functions are the stock ones, but take the line off the screen first.
*/
#ifndef AQ_OUTPUT_H
#define AQ_OUTPUT_H

#include "host.h"

/* Puts them in the place of the stock ones. [-0, +0, m] */
void output_install(lua_State *L, struct host *h);

/* A function for lua_setwarnf, whose ud is the host: as the stock one, on and off by `h->warns`. */
void output_warn(void *ud, const char *message, int continues);

#endif
