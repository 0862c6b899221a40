/*
** status.c - a sentence for each outcome.
*/
#include "status.h"

const char *aq_status_text(enum aq_status status) {
  switch (status) {
    case AQ_OK: return "success";
    case AQ_EMPTY: return "no item is free in the queue";
    case AQ_FULL: return "no slot is free in the queue";
    case AQ_SHUTDOWN: return "the queue has been shut down";
    case AQ_TIMEDOUT: return "the time is up";
    case AQ_CANCELLED: return "the task was cancelled";
    case AQ_DEADLOCK: return "nothing can ever wake the waiting tasks";
    case AQ_OVERDONE: return "task_done called too many times";
    case AQ_NOMEM: return "not enough memory";
    case AQ_CLOSED: return "the runtime has ended";
    case AQ_BUSY: return "something of the kind is under way";
    case AQ_INVALID: return "invalid argument";
    case AQ_WRONG_THREAD: return "called on another thread than that of the runtime";
    case AQ_ERROR: return "an error was raised";
  }
  return "unknown status";
}
