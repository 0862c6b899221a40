/*
** editor.h - line editing by GNU readline, which is opened at run time.
**
** Nothing links to it: where it is not installed there is no editor, and the rest works as well. It
** is used through its callback interface: the owner calls editor_read_key when something was typed,
** and gets `on_line` when a line is complete. The terminal is in raw mode only between editor_start
** and that, so Ctrl-C is a signal while an input is being evaluated.
*/
#ifndef AQ_EDITOR_H
#define AQ_EDITOR_H

#include <stdbool.h>

struct editor {
  struct readline *rl; /* what is used of the library; NULL: there is no editor */
  bool is_on;          /* between editor_start and the line's end */

  /* A line, which the callee frees; NULL at the end of the input. The editor is off by then. */
  void (*on_line)(void *owner, char *line);

  /* Returns what the word from `start` to `point` of `text` can be completed to: a list, ended by
  ** NULL, that the caller frees with its strings; or NULL. */
  char **(*complete)(void *owner, const char *text, int point, int start);

  void *owner;
};

/* Opens the library and sets it up. False: it is not there. The other fields are set by then. It
** stays loaded: it cannot be unloaded safely. */
bool editor_open(struct editor *e);

/* Frees what editor_open has allocated. */
void editor_close(struct editor *e);

/* Shows the prompt and takes over the terminal. */
void editor_start(struct editor *e, const char *prompt);

/* Something was typed. May call on_line or complete. */
void editor_read_key(struct editor *e);

/* Drops the line, shows `mark` and a newline after it, and gives the terminal back. */
void editor_abort(struct editor *e, const char *mark);

/* Takes the line off the screen, to be shown again by editor_show. */
void editor_hide(struct editor *e);

void editor_show(struct editor *e);

/* After the program was stopped and continued: the terminal is not what it was. */
void editor_resume(struct editor *e);

void editor_add_history(struct editor *e, const char *text);

#endif
