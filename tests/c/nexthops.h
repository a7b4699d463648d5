/* SPDX-License-Identifier: Apache-2.0 */
/* nexthops.h - a rig, what hears it, and a read back of its namespace, for tests of next hops. */
#ifndef TEST_NEXTHOPS_H
#define TEST_NEXTHOPS_H

#include "listener.h"

/* What it found is in rig->op; what follows from it has been done. */
static inline void read_back(struct rig *rig)
{
	struct nsp_op *op = nsp_op_new(1);

	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, false);
	while (rig_next(rig))
		;
	CHECK_EQ(rig->op->failed, 0);
	struct nsp_op found = *rig->op;
	rig_quiet(rig);
	rig_quiet(rig);
	*rig->op = found;
}

#endif
