/*
** attach.h - turns taken by somebody else's uv_run.
**
**     a waiter is ready          ---> an idle handle runs: the next iteration takes a turn
**     a deadline is armed        ---> a timer runs until then: likewise
**     neither                    ---> nothing of ours keeps the uv loop alive
**
** The idle handle is started the moment somebody becomes ready, whoever made it so: uv_run would return
** before a turn if that had to wait for a handle that is not alive.
**
** All calls on the loop's own thread, also from inside a turn.
*/
#ifndef AQ_ATTACH_H
#define AQ_ATTACH_H

#include "loop.h"

struct aq_attachment;

/*
** From now on `turn(ud)` is called inside uv_run whenever a turn is to be taken: it takes one, and may end
** the attachment. The first comes with the next iteration. AQ_OK, or AQ_NOMEM with nothing changed. The
** virtual clock is not in force.
*/
enum aq_status aq_attachment_new(struct aq_attachment **a, struct aq_loop *loop,
                                 void (*turn)(void *ud), void *ud);

/* A turn is to be taken, though nobody need be ready: a deadline was armed outside of one. */
void aq_attachment_look(struct aq_attachment *a);

/* No turn is taken any more. Its memory goes when the uv loop has closed the handles. */
void aq_attachment_end(struct aq_attachment *a);

#endif
