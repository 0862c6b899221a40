/*
** os_error.c - the names are Python's, where it has one.
*/
#include "os_error.h"

#include <errno.h>
#include <uv.h>

enum {
  OS,
  FILE_NOT_FOUND,
  FILE_EXISTS,
  PERMISSION,
  IS_A_DIRECTORY,
  NOT_A_DIRECTORY,
  PROCESS_LOOKUP,
  CHILD_PROCESS,
  ADDRESS_IN_USE,
  CONNECTION,
  CONNECTION_REFUSED,
  CONNECTION_RESET,
  CONNECTION_ABORTED,
  BROKEN_PIPE,
  COUNT
};

#define KIND(parent) (&aq_os_kinds[parent])

const struct aq_kind aq_os_kinds[COUNT + 1] = {
  [OS] = {"OSError", "the system refused", NULL},
  [FILE_NOT_FOUND] = {"FileNotFoundError", "no such file or directory", KIND(OS)},
  [FILE_EXISTS] = {"FileExistsError", "the file is there already", KIND(OS)},
  [PERMISSION] = {"PermissionError", "that is not permitted", KIND(OS)},
  [IS_A_DIRECTORY] = {"IsADirectoryError", "that is a directory", KIND(OS)},
  [NOT_A_DIRECTORY] = {"NotADirectoryError", "that is no directory", KIND(OS)},
  [PROCESS_LOOKUP] = {"ProcessLookupError", "there is no such process", KIND(OS)},
  [CHILD_PROCESS] = {"ChildProcessError", "there is no such child process", KIND(OS)},
  [ADDRESS_IN_USE] = {"AddressInUseError", "the address is in use", KIND(OS)},
  [CONNECTION] = {"ConnectionError", "the connection failed", KIND(OS)},
  [CONNECTION_REFUSED] = {"ConnectionRefusedError", "nobody listens there", KIND(CONNECTION)},
  [CONNECTION_RESET] = {"ConnectionResetError", "the peer reset the connection", KIND(CONNECTION)},
  [CONNECTION_ABORTED] = {"ConnectionAbortedError", "the connection was aborted", KIND(CONNECTION)},
  [BROKEN_PIPE] = {"BrokenPipeError", "nobody reads at the other end", KIND(CONNECTION)},
};

/* What is not here is an OSError. */
static const struct {
  int number, kind;
} NUMBERS[] = {
  {UV_ENOENT, FILE_NOT_FOUND},       {UV_EEXIST, FILE_EXISTS},
  {UV_EACCES, PERMISSION},           {UV_EPERM, PERMISSION},
  {UV_EISDIR, IS_A_DIRECTORY},       {UV_ENOTDIR, NOT_A_DIRECTORY},
  {UV_ESRCH, PROCESS_LOOKUP},        {-ECHILD, CHILD_PROCESS},
  {UV_EADDRINUSE, ADDRESS_IN_USE},   {UV_ECONNREFUSED, CONNECTION_REFUSED},
  {UV_ECONNRESET, CONNECTION_RESET}, {UV_ECONNABORTED, CONNECTION_ABORTED},
  {UV_EPIPE, BROKEN_PIPE},           {UV_ESHUTDOWN, BROKEN_PIPE},
  {UV_ETIMEDOUT, CONNECTION},        {UV_ENOTCONN, CONNECTION},
  {UV_EHOSTUNREACH, CONNECTION},     {UV_ENETUNREACH, CONNECTION},
  {UV_ENETDOWN, CONNECTION},
};

const struct aq_kind *aq_os_kind_of(int uv_errno) {
  for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
    if (NUMBERS[i].number == uv_errno) return &aq_os_kinds[NUMBERS[i].kind];
  return &aq_os_kinds[OS];
}
