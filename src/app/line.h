/*
** line.h - a line read from standard input without an editor, and without reading any further: what
** comes after it is for io.read.
*/
#ifndef AQ_LINE_H
#define AQ_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line {
  char *text; /* what has been read so far, ended by NUL */
  size_t length, capacity;
};

enum line_status { LINE_PARTIAL, LINE_COMPLETE, LINE_END };

/*
** Goes on reading: until the line is complete (`text` is valid until the next call), or until
** nothing is there to be read if `may_stop`; else it waits. A last line may lack its newline.
** LINE_END: there are no more.
*/
enum line_status line_read(struct line *l, bool may_stop);

/* Forgets what was read of a line. */
void line_drop(struct line *l);

void line_free(struct line *l);

/* Whether more has been typed than has been read. */
bool line_has_input(void);

#endif
