/*
** style.h - colours, where they are wanted.
*/
#ifndef AQ_STYLE_H
#define AQ_STYLE_H

#include <stdbool.h>
#include <stdio.h>

/* Escape sequences, or empty strings. */
struct style {
  const char *error; /* before the line that says what is wrong */
  const char *dim;   /* before what explains it: a traceback */
  const char *end;   /* after either */
};

/* For what is written to `fd`: colours only on a terminal that has them, and not with NO_COLOR. */
struct style style_for(int fd);

/* Writes a text of one or more lines to stderr, the first as what is wrong. */
void style_complain(const struct style *style, const char *text);

#endif
