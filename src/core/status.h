/*
** status.h - how an operation or a wait ended: what the kernel and aqlua.h have in common. Only the
** binding turns one into a Lua error. `make install` writes it into aqlua.h.
*/
#ifndef AQ_STATUS_H
#define AQ_STATUS_H

#define AQ_API __attribute__((visibility("default"))) /* part of the public C API */

/* How a call or a wait ended. */
enum aq_status {
  AQ_OK = 0,       /* done, or a waiter was woken with what it waited for */
  AQ_EMPTY,        /* nothing free to take (QueueEmpty) */
  AQ_FULL,         /* no free slot (QueueFull) */
  AQ_SHUTDOWN,     /* the queue was shut down (QueueShutDown) */
  AQ_TIMEDOUT,     /* the deadline came first (TimeoutError) */
  AQ_CANCELLED,    /* the party was cancelled (CancelledError) */
  AQ_DEADLOCK,     /* nothing could ever have woken the party (DeadlockError) */
  AQ_OVERDONE,     /* task_done called more often than items were put */
  AQ_NOMEM,        /* out of memory; nothing has changed */
  AQ_CLOSED,       /* the runtime has ended */
  AQ_BUSY,         /* not now: something of the kind is under way */
  AQ_INVALID,      /* an argument that cannot be meant */
  AQ_WRONG_THREAD, /* not the thread that uses the runtime */
  AQ_ERROR,        /* a Lua error */
};

/* A fixed sentence for each status. Any thread. */
AQ_API const char *aq_status_text(enum aq_status status);

#endif
