/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: messages about interfaces, in stages of one namespace each. */
#include "core/op.h"

#include "core/lock.h"
#include "core/netns.h"
#include "core/queue.h"

#define STAGE_ROOM 1024

struct nsp_op *nsp_op_new(uint64_t cookie)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		abort();
	op->head.cookie = cookie;
	return &op->head;
}

struct nsp_op *op_new_unasked(void)
{
	struct nsp_op *op = nsp_op_new(0);

	((struct op *)op)->unasked = true;
	return op;
}

static void stage_free(struct stage *stage)
{
	free(stage->batch.buf);
	free(stage->tun);
}

void nsp_op_free(struct nsp_op *head)
{
	struct op *op = (struct op *)head;

	if (!op)
		return;
	for (uint32_t i = 0; i < op->stage_count; i++)
		stage_free(&op->stages[i]);
	free(op->stages);
	for (uint32_t i = 0; i < op->sweep_count; i++)
		free(op->sweeps[i].key);
	free(op->sweeps);
	free(op->lost);
	free(op->restored);
	for (uint32_t i = 0; i < op->misdeleted.count; i++)
		free(op->misdeleted.list[i]);
	free(op->misdeleted.list);
	free(op);
}

struct nsp_batch *nsp_op_stage(struct nsp_op *head, uint32_t netns, uint32_t flags)
{
	struct op *op = (struct op *)head;

	ARRAY_GROW(op->stages, op->stage_count, op->stage_cap);
	op->stages[op->stage_count++] = (struct stage){ .netns = netns, .flags = flags };
	return nsp_op_room(head);
}

struct nsp_batch *op_room(struct nsp_op *head, uint32_t bytes)
{
	struct op *op = (struct op *)head;
	struct nsp_batch *batch = &op->stages[op->stage_count - 1].batch;

	if (batch->cap - batch->len < bytes) {
		batch->cap = batch->cap * 2 + bytes;
		batch->buf = realloc(batch->buf, batch->cap);
		if (!batch->buf)
			abort();
	}
	return batch;
}

struct nsp_batch *nsp_op_room(struct nsp_op *head)
{
	return op_room(head, STAGE_ROOM);
}

struct nsp_batch *nsp_op_reserve(struct nsp_op *head, uint32_t bytes)
{
	return op_room(head, bytes);
}

void nsp_op_tun(struct nsp_op *head, const struct nsp_tun *tun, uint32_t create)
{
	struct op *op = (struct op *)head;
	struct stage *stage = &op->stages[op->stage_count - 1];

	free(stage->tun);
	stage->tun = malloc(sizeof(*tun));
	if (!stage->tun)
		abort();
	*stage->tun = *tun;
	stage->makes_tun = create;
}

void nsp_op_readback(struct nsp_op *head)
{
	((struct op *)head)->reads_back = true;
}

void nsp_op_inspect(struct nsp_op *head)
{
	((struct op *)head)->inspects = true;
}

void nsp_op_confirm(struct nsp_op *head)
{
	((struct op *)head)->confirms = true;
}

int nsp_op_lost(const struct nsp_op *head, uint32_t i, struct nsp_addr *addr)
{
	const struct op *op = (const struct op *)head;

	if (i >= op->lost_count)
		return -ENOENT;
	*addr = op->lost[i];
	return 0;
}

void nsp_op_sweep(struct nsp_op *head, int32_t ifindex, const char *key)
{
	struct op *op = (struct op *)head;
	char *copy = text_copy(key);

	ARRAY_GROW(op->sweeps, op->sweep_count, op->sweep_cap);
	op->sweeps[op->sweep_count++] = (struct sweep){ ifindex, copy };
}

void queue_push_op(struct nsp_core *core, struct queue *queue, struct nsp_op *op)
{
	for (uint32_t i = 0; i < ((struct op *)op)->stage_count; i++)
		netns_hold(core, ((struct op *)op)->stages[i].netns);
	queue_push(queue, ENTRY_OP(op));
}

void op_release(struct nsp_core *core, struct nsp_op *op)
{
	for (uint32_t i = 0; i < ((struct op *)op)->stage_count; i++)
		netns_release(core, ((struct op *)op)->stages[i].netns);
}

void nsp_core_submit(struct nsp_core *core, struct nsp_op *op, uint32_t express)
{
	core_lock(core);
	queue_push_op(core, express ? &core->express : &core->queue, op);
	core_unlock(core);
}

int nsp_core_has_begun(struct nsp_core *core, const struct nsp_op *op)
{
	core_lock(core);
	bool begun = ((const struct op *)op)->begun;
	core_unlock(core);
	return begun;
}
