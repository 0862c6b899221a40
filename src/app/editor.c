/*
** editor.c - the few functions and variables of readline that are needed.
**
** Readline's callbacks have no argument of their own, so they ask signals_owner for the editor.
*/
#include "editor.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signals.h"

/* What is taken from the library; in the order of NAMES. A name that ends in ? may be missing. */
struct readline {
  void (*callback_handler_install)(const char *prompt, void (*handler)(char *line));
  void (*callback_handler_remove)(void);
  void (*callback_read_char)(void);
  int (*forced_update_display)(void);
  int (*on_new_line)(void);
  void (*replace_line)(const char *text, int clears_undo);
  void (*redisplay)(void);
  int (*variable_bind)(const char *name, const char *value);
  void (*prep_terminal)(int meta);
  void (*deprep_terminal)(void);
  void (*add_history)(const char *line);
  int (*clear_visible_line)(void);
  void (*callback_sigcleanup)(void);
  char **(**attempted_completion)(const char *text, int start, int end);
  int *attempted_completion_over;
  int *completion_append_character;
  int *catch_signals;
  int *point;
  int *end;
  const char **word_break_characters;
  const char **readline_name;
  char **line_buffer;
};

static const char *const NAMES[] = {
  "rl_callback_handler_install",
  "rl_callback_handler_remove",
  "rl_callback_read_char",
  "rl_forced_update_display",
  "rl_on_new_line",
  "rl_replace_line",
  "rl_redisplay",
  "rl_variable_bind",
  "rl_prep_terminal",
  "rl_deprep_terminal",
  "add_history",
  "rl_clear_visible_line?",
  "rl_callback_sigcleanup?",
  "rl_attempted_completion_function",
  "rl_attempted_completion_over",
  "rl_completion_append_character",
  "rl_catch_signals",
  "rl_point",
  "rl_end",
  "rl_completer_word_break_characters",
  "rl_readline_name",
  "rl_line_buffer",
};

enum { NAME_COUNT = sizeof NAMES / sizeof *NAMES };

_Static_assert(sizeof(struct readline) == NAME_COUNT * sizeof(void *), "one pointer for each name");

/* ---- opening --------------------------------------------------------------------------------- */

static void *open_library(void) {
  static const char *const FILES[] = {"libreadline.so.8", "libreadline.so.7", "libreadline.so",
                                      "libreadline.8.dylib", "libreadline.dylib"};
  for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
    void *library = dlopen(FILES[i], RTLD_NOW | RTLD_LOCAL);
    if (library != NULL) return library;
  }
  return NULL;
}

/* Finds all of the names; false if one that is needed is missing. */
static bool find_names(void *library, void **found) {
  for (int i = 0; i < NAME_COUNT; i++) {
    char name[64];
    size_t length = strcspn(NAMES[i], "?");
    snprintf(name, sizeof name, "%.*s", (int)length, NAMES[i]);
    found[i] = dlsym(library, name);
    if (found[i] == NULL && NAMES[i][length] == '\0') return false;
  }
  return true;
}

static struct editor *the_editor(void) { return signals_owner(); }

/* ---- completion ------------------------------------------------------------------------------ */

/* How many bytes all of the strings begin with. */
static size_t common_length(char **list) {
  size_t length = strlen(list[0]);
  for (char **s = list + 1; *s != NULL; s++) {
    size_t same = 0;
    while (same < length && (*s)[same] == list[0][same]) same++;
    length = same;
  }
  return length;
}

/* Readline wants what all have in common first, and one match only once. Takes over `list`. */
static char **with_common_part(char **list) {
  size_t count = 0;
  while (list[count] != NULL) count++;
  if (count == 1) return list;
  char **all = malloc((count + 2) * sizeof *all);
  if (all != NULL) {
    all[0] = strndup(list[0], common_length(list));
    memcpy(all + 1, list, (count + 1) * sizeof *all);
  }
  free(list);
  return all;
}

static char **attempt_completion(const char *text, int start, int end) {
  struct editor *e = the_editor();
  (void)text;
  *e->rl->attempted_completion_over = 1; /* no file names if there is nothing */
  *e->rl->completion_append_character = '\0';
  char **list = e->complete(e->owner, *e->rl->line_buffer, end, start);
  return list != NULL ? with_common_part(list) : NULL;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void turn_off(struct editor *e) {
  if (!e->is_on) return;
  e->is_on = false;
  e->rl->callback_handler_remove();
}

static void take_line(char *line) {
  struct editor *e = the_editor();
  turn_off(e);
  e->on_line(e->owner, line);
}

bool editor_open(struct editor *e) {
  void *library = open_library(), *found[NAME_COUNT];
  if (library == NULL || !find_names(library, found)) return false;
  e->rl = malloc(sizeof *e->rl);
  if (e->rl == NULL) return false;
  memcpy(e->rl, found, sizeof *e->rl);
  *e->rl->catch_signals = 0;
  *e->rl->readline_name = "aqlua";
  *e->rl->word_break_characters = " \t\n\"\\'`@$><=;|&{}()[]+-*/%^~#,.:";
  *e->rl->attempted_completion = attempt_completion;
  e->rl->variable_bind("enable-bracketed-paste", "on");
  return true;
}

void editor_close(struct editor *e) {
  if (e->rl != NULL) editor_abort(e, "");
  free(e->rl);
  e->rl = NULL;
}

void editor_start(struct editor *e, const char *prompt) {
  e->is_on = true;
  e->rl->callback_handler_install(prompt, take_line);
}

void editor_read_key(struct editor *e) { e->rl->callback_read_char(); }

void editor_abort(struct editor *e, const char *mark) {
  if (!e->is_on) return;
  if (e->rl->callback_sigcleanup != NULL) e->rl->callback_sigcleanup();
  *e->rl->point = *e->rl->end; /* below the last of several lines */
  e->rl->redisplay();
  fprintf(stdout, "%s\n", mark); /* before the terminal is given back: that moves the cursor */
  turn_off(e);
  e->rl->replace_line("", 1);
}

void editor_hide(struct editor *e) {
  if (!e->is_on) return;
  if (e->rl->clear_visible_line != NULL)
    e->rl->clear_visible_line();
  else
    fputs("\r\033[K", stdout);
  fflush(stdout);
}

void editor_show(struct editor *e) {
  if (!e->is_on) return;
  e->rl->on_new_line();
  e->rl->forced_update_display();
}

void editor_resume(struct editor *e) {
  if (!e->is_on) return;
  e->rl->deprep_terminal();
  e->rl->prep_terminal(1);
  editor_show(e);
}

void editor_add_history(struct editor *e, const char *text) { e->rl->add_history(text); }
