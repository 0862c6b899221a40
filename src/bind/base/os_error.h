/*
** os_error.h - the kinds of the system's errors, and which error number is of which.
*/
#ifndef AQ_OS_ERROR_H
#define AQ_OS_ERROR_H

#include "error.h"

/* All of them, OSError first; the last has no name. */
extern const struct aq_kind aq_os_kinds[];

/* The kind of libuv's error number. */
const struct aq_kind *aq_os_kind_of(int uv_errno);

#endif
