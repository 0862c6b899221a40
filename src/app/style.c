/*
** style.c - whether there are colours, and putting them around an error.
*/
#include "style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0';
}

static bool has_colours(int fd) {
  const char *term = getenv("TERM");
  return isatty(fd) && !is_set("NO_COLOR") && term != NULL && strcmp(term, "dumb") != 0;
}

struct style style_for(int fd) {
  if (has_colours(fd)) return (struct style){"\033[31m", "\033[2m", "\033[0m"};
  return (struct style){"", "", ""};
}

void style_complain(const struct style *style, const char *text) {
  size_t length = strcspn(text, "\n");
  const char *rest = text[length] == '\0' ? "" : text + length + 1;
  fflush(stdout);
  fprintf(stderr, "%s%.*s%s\n", style->error, (int)length, text, style->end);
  length = strlen(rest);
  while (length > 0 && rest[length - 1] == '\n') length--;
  if (length > 0) fprintf(stderr, "%s%.*s%s\n", style->dim, (int)length, rest, style->end);
  fflush(stderr);
}
