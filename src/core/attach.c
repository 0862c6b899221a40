/*
** attach.c - an idle handle and a timer, for an agenda.
*/
#include "attach.h"

#include <stdlib.h>

struct aq_attachment {
  struct aq_loop *loop; /* NULL: ended */
  void (*turn)(void *ud);
  void *ud;
  uv_idle_t idle;   /* active while a turn is to be taken */
  uv_timer_t timer; /* active until the next deadline */
  int nopen;        /* handles that libuv has not closed yet */
};

static void take_turn(struct aq_attachment *a);

static void on_idle(uv_idle_t *idle) { take_turn(idle->data); }

static void on_timer(uv_timer_t *timer) { take_turn(timer->data); }

void aq_attachment_look(struct aq_attachment *a) {
  uv_idle_start(&a->idle, on_idle); /* nothing if it is active */
}

static void on_ready(struct aq_agenda *agenda) {
  const struct aq_loop *loop = AQ_CONTAINER(agenda, struct aq_loop, agenda);
  aq_attachment_look(loop->attachment);
}

/* The handles are set for what is to come. */
static void settle(struct aq_attachment *a) {
  const struct aq_agenda *agenda = &a->loop->agenda;
  uint64_t deadline_ns = aq_agenda_next_deadline(agenda);
  if (a->loop->is_hurried || aq_agenda_has_ready(agenda))
    aq_attachment_look(a);
  else
    uv_idle_stop(&a->idle);
  a->loop->is_hurried = false;
  if (deadline_ns == AQ_NEVER)
    uv_timer_stop(&a->timer);
  else
    aq_loop_start_timer(&a->timer, on_timer, deadline_ns);
}

static void take_turn(struct aq_attachment *a) {
  aq_loop_look(a->loop);
  a->turn(a->ud);
  if (a->loop != NULL) settle(a);
}

enum aq_status aq_attachment_new(struct aq_attachment **out, struct aq_loop *loop,
                                 void (*turn)(void *ud), void *ud) {
  struct aq_attachment *a = malloc(sizeof *a);
  if (a == NULL) return AQ_NOMEM;
  *a = (struct aq_attachment){.loop = loop, .turn = turn, .ud = ud, .nopen = 2};
  uv_idle_init(loop->uv, &a->idle); /* this and the next are documented never to fail */
  uv_timer_init(loop->uv, &a->timer);
  a->idle.data = a->timer.data = a;
  loop->attachment = a;
  loop->agenda.on_ready = on_ready;
  aq_attachment_look(a);
  *out = a;
  return AQ_OK;
}

static void on_closed(uv_handle_t *handle) {
  struct aq_attachment *a = handle->data;
  if (--a->nopen == 0) free(a);
}

void aq_attachment_end(struct aq_attachment *a) {
  a->loop->agenda.on_ready = NULL;
  a->loop->attachment = NULL;
  a->loop = NULL;
  uv_close((uv_handle_t *)&a->idle, on_closed);
  uv_close((uv_handle_t *)&a->timer, on_closed);
}
