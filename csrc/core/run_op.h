/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_RUN_OP_H
#define NSP_RUN_OP_H

#include "core/op.h"

/* Carries the operation out, without the lock. */
void op_run(struct nsp_core *core, struct nsp_op *op);

#endif
