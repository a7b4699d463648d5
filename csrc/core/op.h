/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_OP_H
#define NSP_OP_H

#include "core/core.h"

#include <stdio.h>

struct stage {
	uint32_t netns;
	uint32_t flags;
	struct nsp_batch batch;
};

struct op {
	struct nsp_op head; /* first: what the planner sees */
	struct stage *stages;
	uint32_t stage_count, stage_cap;
};

/* Room for a message of this length in the current stage. */
struct nsp_batch *op_room(struct nsp_op *op, uint32_t bytes);

/* Carries the operation out, without the lock. */
void op_run(struct nsp_core *core, struct nsp_op *op,
	    struct nsp_socket *(*open_socket)(struct nsp_core *, uint32_t, struct nsp_error *));

#endif
