/*
** signals.h - what the process does on signals.
**
** SIGINT, SIGTERM and SIGHUP end the program in order, a second one at once; either way the process
** dies by the signal. They are ignored if the process was started so (nohup, `&` in a script).
** SIGQUIT has all tasks listed. SIGPIPE is caught by a handler that does next to nothing: ignored, it
** would be ignored in the children too.
*/
#ifndef AQ_SIGNALS_H
#define AQ_SIGNALS_H

#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct signals {
  struct aq_interrupt *interrupt;
  pthread_t thread;            /* the one that runs Lua */
  volatile sig_atomic_t signo; /* what the program was asked to end by, latest; or 0 */
  volatile sig_atomic_t lost;  /* writes to a standard output that nobody reads */
  volatile uint64_t at_ns;     /* when it was asked */
  struct termios cooked;       /* what the terminal was like at the start, */
  bool has_terminal;           /* if there is one to be restored */
  void (*on_continue)(void);   /* async-signal-safe: stopped and continued; or NULL */
  void *owner;                 /* for callbacks without an argument; see signals_owner */
};

/* Installs the handlers; `s` must stay until signals_stop. */
void signals_start(struct signals *s, lua_State *L);

/* From now on a signal does what it does by default. */
void signals_stop(struct signals *s);

/* Remembers what the terminal on stdin is like: whatever ends the process restores that. Also
** restores it around a stop by Ctrl-Z. */
void signals_guard_terminal(struct signals *s);

/* Puts back those of our handlers that somebody has replaced by the default (libuv does). */
void signals_repair(void);

/* s->owner of the one that is started, or NULL: some libraries' callbacks have no argument. */
void *signals_owner(void);

/* In words, e.g. "interrupted by SIGINT"; NULL for a signal that needs no word. */
const char *signals_reason(int signo);

/* Ends the process by this signal. */
_Noreturn void signals_die(int signo);

#endif
