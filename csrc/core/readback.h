/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_READBACK_H
#define NSP_READBACK_H

#include "core/op.h"

/* Does some of what else there is to do. Called and returns with the lock held. */
typedef void (*give_way_fn)(void *writer);

/* Reads back what the operation's namespace has of ours. Called and returns with the lock held; lets go of it while the kernel works. */
void readback_run(struct nsp_core *core, struct op *op, give_way_fn give_way, void *writer);

#endif
