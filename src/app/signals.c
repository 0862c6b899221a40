/*
** signals.c - the handlers.
**
** A handler may run on any thread: it passes the signal on to the one that runs Lua. There it only
** leaves a note with aq_interrupt, which the loop or the running code finds.
*/
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "aqlua.h"

static const uint64_t ECHO_NS = 50000000; /* the same request, not a second one */

enum { LOST_WRITES = 100000 };

/* All that is global in the program: a handler has no other way to get at anything. */
static struct signals *signals;

/* ---- ending ---------------------------------------------------------------------------------- */

static void restore_terminal(const struct signals *s) {
  if (s != NULL && s->has_terminal) tcsetattr(STDIN_FILENO, TCSANOW, &s->cooked);
}

static void set_default(int signo) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(signo, &action, NULL);
}

/* Async-signal-safe. */
_Noreturn void signals_die(int signo) {
  sigset_t only;
  restore_terminal(signals);
  set_default(signo);
  sigemptyset(&only);
  sigaddset(&only, signo);
  pthread_sigmask(SIG_UNBLOCK, &only, NULL);
  raise(signo);
  _exit(128 + signo);
}

const char *signals_reason(int signo) {
  switch (signo) {
    case SIGINT: return "interrupted by SIGINT";
    case SIGTERM: return "terminated by SIGTERM";
    case SIGHUP: return "hung up by SIGHUP";
    default: return NULL;
  }
}

static void ask_to_end(struct signals *s, int signo, const char *why) {
  uint64_t now_ns = uv_hrtime();
  if (aq_interrupt(s->interrupt, why)) {
    s->signo = signo;
    s->at_ns = now_ns;
  } else if (now_ns - s->at_ns >= ECHO_NS) {
    signals_die(signo);
  }
}

/* ---- the handlers ---------------------------------------------------------------------------- */

/* True on the thread that runs Lua; else the signal is sent there. */
static bool is_ours(int signo) {
  if (pthread_equal(pthread_self(), signals->thread)) return true;
  pthread_kill(signals->thread, signo);
  return false;
}

static void on_end(int signo) {
  int saved = errno;
  if (is_ours(signo)) ask_to_end(signals, signo, signals_reason(signo));
  errno = saved;
}

static void on_quit(int signo) {
  int saved = errno;
  if (is_ours(signo)) aq_report_tasks(signals->interrupt);
  errno = saved;
}

/* A program that prints for ever to `head` should not run for ever. */
static void on_pipe(int signo) {
  int saved = errno;
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  if (is_ours(signo) && poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0 &&
      ++signals->lost == LOST_WRITES)
    ask_to_end(signals, SIGPIPE, "nobody reads standard output");
  errno = saved;
}

/* Ctrl-Z: the terminal is the shell's while we are stopped. */
static void on_stop(int signo) {
  int saved = errno;
  struct termios raw;
  bool has_raw = tcgetattr(STDIN_FILENO, &raw) == 0;
  (void)signo;
  restore_terminal(signals);
  raise(SIGSTOP);
  if (has_raw) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  if (signals->on_continue != NULL) signals->on_continue();
  errno = saved;
}

/* At the very end: a failed write is seen where it is made. */
static void ignore(int signo) { (void)signo; }

/* The process is lost; the terminal need not be. */
static void on_crash(int signo) { signals_die(signo); }

/* ---- installing ------------------------------------------------------------------------------ */

static const struct {
  int signo;
  void (*handler)(int signo);
  int flags;
} HANDLERS[] = {
  {SIGINT, on_end, 0}, /* without SA_RESTART: a read that blocks is broken off */
  {SIGTERM, on_end, 0},
  {SIGHUP, on_end, 0},
  {SIGQUIT, on_quit, SA_RESTART},
  {SIGPIPE, on_pipe, SA_RESTART},
};

enum { HANDLER_COUNT = sizeof HANDLERS / sizeof *HANDLERS };

static void install(int signo, void (*handler)(int signo), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signo, &action, NULL);
}

/* Only where the default is: not if our parent ignores it or somebody else has taken it. */
static void install_if_free(int signo, void (*handler)(int signo), int flags) {
  struct sigaction old;
  if (sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
    install(signo, handler, flags);
}

static void install_all(void) {
  for (int i = 0; i < HANDLER_COUNT; i++)
    install_if_free(HANDLERS[i].signo, HANDLERS[i].handler, HANDLERS[i].flags);
}

/* A shell ignores it in what it starts with `&`: it ends nothing here, and is sent on purpose. */
static void unignore(int signo) {
  struct sigaction old;
  if (sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_IGN) set_default(signo);
}

void signals_start(struct signals *s, lua_State *L) {
  s->interrupt = aq_accept_interrupts(L);
  if (s->interrupt == NULL) return;
  s->thread = pthread_self();
  signals = s;
  unignore(SIGQUIT);
  install_all();
}

void signals_repair(void) {
  if (signals != NULL) install_all();
}

void signals_stop(struct signals *s) {
  if (signals != s) return;
  for (int i = 0; i < HANDLER_COUNT; i++) {
    struct sigaction old;
    int signo = HANDLERS[i].signo;
    if (sigaction(signo, NULL, &old) != 0 || old.sa_handler != HANDLERS[i].handler) continue;
    if (signo == SIGPIPE)
      install(signo, ignore, SA_RESTART);
    else
      set_default(signo);
  }
  restore_terminal(s);
  signals = NULL;
}

void signals_guard_terminal(struct signals *s) {
  static const int CRASHES[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  if (signals != s || tcgetattr(STDIN_FILENO, &s->cooked) != 0) return;
  s->has_terminal = true;
  install_if_free(SIGTSTP, on_stop, SA_RESTART);
  for (size_t i = 0; i < sizeof CRASHES / sizeof *CRASHES; i++)
    install_if_free(CRASHES[i], on_crash, 0);
}

void *signals_owner(void) { return signals != NULL ? signals->owner : NULL; }
