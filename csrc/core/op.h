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
	bool reads_back, looks, confirms, begun;
	bool unasked;	       /* the core's own: it is given back to nobody */
	struct nsp_addr *lost; /* addresses whose networks had no route any more */
	uint32_t lost_count, lost_cap;
	char *restored;		/* key of the row that had replaced what it puts back */
	uint32_t restores;	/* that row's slot */
	struct messages astray; /* what it has deleted by mistake, in its first stage's namespace */
};

typedef struct nsp_socket *(*op_socket_fn)(struct nsp_core *core, uint32_t netns, struct nsp_error *err);

/* One of the core's own. */
struct nsp_op *op_new_unasked(void);

/* Queues one, which holds its namespaces from here on; and lets go of them, when it has been carried out. */
void queue_push_op(struct nsp_core *core, struct queue *queue, struct nsp_op *op);
void op_release(struct nsp_core *core, struct nsp_op *op);

/* Room for a message of this length in the current stage. */
struct nsp_batch *op_room(struct nsp_op *op, uint32_t bytes);

/* Carries the operation out, without the lock. */
void op_run(struct nsp_core *core, struct nsp_op *op, op_socket_fn open_socket);

/* ---- readback.c ---- */
/* Does some of what else there is to do. Called and returns with the lock held. */
typedef void (*give_way_fn)(void *writer);

/* Reads back what the operation's namespace has of ours. Called and returns with the lock held; lets go of it while the kernel works. */
void readback_run(struct nsp_core *core, struct op *op, op_socket_fn open_socket, give_way_fn give_way, void *writer);

/* ---- replaced.c ---- */
/* An operation that put something back has ended. */
void replaced_ended(struct nsp_core *core, const struct op *op);

/* ---- connected.c ---- */
/* Puts back what a namespace has lost of the routes to what is on its links. Called without the lock. */
int connected_check(struct op *op, struct nsp_socket *sock, struct nsp_error *err);

#endif
