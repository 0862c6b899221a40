/*
** op.h - a wait of a C function that is not the library's: what aqlua.h says, for the rest of the
** binding.
**
**             aq_op_begin          aq_op_wait             aq_op_complete         the task's step
**     (no op) -----------> BEGUN ------------> WAITING ------------------> DONE ----------------> k
**                            \____________________________________________/ ^
**                                          aq_op_complete                   | at once if aq_op_wait
**                                                                           | finds it DONE
**     WAITING --- deadline, cancel, deadlock: abort says "gone" -----> GONE ---- the task's step --> k
**             --- abort says "not yet" -----> WAITING, and is not asked again
**
** Where k cannot run any more, because the task was closed by force or the state is, abort is asked
** if it was not before; what is DONE or GONE then is discarded. What is WAITING still becomes an
** ORPHAN: whoever completes it learns that it is his alone.
*/
#ifndef AQ_OP_H
#define AQ_OP_H

#include <stdbool.h>
#include <stddef.h>

#include "task.h"

/* Before the memory of a runtime goes: none of its operations is known to it afterwards. */
void aq_ops_close(struct aq_runtime *rt);

/* What a suspended task waits in, for reports: "get", or the name of its operation. */
const char *aq_task_waits_in(const struct aq_task *t);

/* What the operation of a suspended task says it is on; false if it says nothing. */
bool aq_op_describe(const struct aq_task *t, char *text, size_t size);

#endif
