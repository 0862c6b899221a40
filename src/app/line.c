/*
** line.c - byte after byte.
*/
#include "line.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool line_has_input(void) {
  int n = 0;
  return ioctl(STDIN_FILENO, FIONREAD, &n) == 0 && n > 0;
}

static bool add_byte(struct line *l, char c) {
  if (l->length + 1 >= l->capacity) {
    size_t capacity = l->capacity > 0 ? 2 * l->capacity : 128;
    char *text = realloc(l->text, capacity);
    if (text == NULL) return false;
    l->text = text;
    l->capacity = capacity;
  }
  l->text[l->length++] = c;
  l->text[l->length] = '\0';
  return true;
}

/* The line is whole, or the input is at its end. */
static enum line_status end(struct line *l) {
  if (l->length == 0) return LINE_END;
  if (l->text[l->length - 1] == '\n') l->text[l->length - 1] = '\0';
  l->length = 0;
  return LINE_COMPLETE;
}

enum line_status line_read(struct line *l, bool may_stop) {
  char c;
  for (;;) {
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return LINE_PARTIAL;
    if (n <= 0 || !add_byte(l, c) || c == '\n') return end(l);
    if (may_stop && !line_has_input()) return LINE_PARTIAL;
  }
}

void line_drop(struct line *l) { l->length = 0; }

void line_free(struct line *l) {
  free(l->text);
  l->text = NULL;
}
