/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_OP_H
#define NSP_OP_H

#include "core/core.h"

/* Copies of messages of the kernel. */
struct messages {
	struct nlmsghdr **list;
	uint32_t count, cap;
};

struct stage {
	uint32_t netns;
	uint32_t flags;
	struct nsp_tun *tun; /* that it begins with, or NULL */
	bool makes_tun;	     /* or changes one that is there */
	struct nsp_batch batch;
};

/* A link on which objects of ours that nobody wants are deleted; `key` is its interface in keys. */
struct sweep {
	int32_t ifindex;
	char *key;
};

struct op {
	struct nsp_op head; /* first: what the planner sees */
	struct stage *stages;
	uint32_t stage_count, stage_cap;
	struct sweep *sweeps;
	uint32_t sweep_count, sweep_cap;
	bool reads_back, inspects, confirms, begun;
	bool unasked;	       /* the core's own: it is given back to nobody */
	struct nsp_addr *lost; /* addresses whose networks had no route any more */
	uint32_t lost_count, lost_cap;
	bool told;		    /* it is to be told what its deletions have hit */
	char *restored;		    /* key of the row that had replaced what it puts back */
	uint32_t restores;	    /* that row's slot */
	struct messages misdeleted; /* what it has deleted by mistake, in its first stage's namespace */
};
/* One of the core's own. */
struct nsp_op *op_new_unasked(void);

/* Queues one, which holds its namespaces from here on; and lets go of them, when it has been carried out. */
void queue_push_op(struct nsp_core *core, struct queue *queue, struct nsp_op *op);
void op_release(struct nsp_core *core, struct nsp_op *op);

/* Room for a message of this length in the current stage. */
struct nsp_batch *op_room(struct nsp_op *op, uint32_t bytes);

#endif
