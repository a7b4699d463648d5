/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: messages about interfaces, in stages of one namespace each, carried out in the order of the writer's queue. */
#include "core/op.h"

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

void nsp_op_free(struct nsp_op *head)
{
	struct op *op = (struct op *)head;

	if (!op)
		return;
	for (uint32_t i = 0; i < op->stage_count; i++)
		free(op->stages[i].batch.buf);
	free(op->stages);
	for (uint32_t i = 0; i < op->sweep_count; i++)
		free(op->sweeps[i].key);
	free(op->sweeps);
	free(op->lost);
	free(op->restored);
	for (uint32_t i = 0; i < op->astray.count; i++)
		free(op->astray.list[i]);
	free(op->astray.list);
	free(op);
}

struct nsp_batch *nsp_op_stage(struct nsp_op *head, uint32_t netns, uint32_t flags)
{
	struct op *op = (struct op *)head;

	CORE_GROW(op->stages, op->stage_count, op->stage_cap);
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

void nsp_op_readback(struct nsp_op *head)
{
	((struct op *)head)->reads_back = true;
}

void nsp_op_look(struct nsp_op *head)
{
	((struct op *)head)->looks = true;
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
	char *copy = core_copy(key);

	CORE_GROW(op->sweeps, op->sweep_count, op->sweep_cap);
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

void nsp_core_gather(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->gathers = on;
	core_unlock(core);
}

int nsp_core_has_begun(struct nsp_core *core, const struct nsp_op *op)
{
	core_lock(core);
	bool begun = ((const struct op *)op)->begun;
	core_unlock(core);
	return begun;
}

void nsp_core_hold(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->held = on;
	core_unlock(core);
}

/* What is already so needs no error: a deletion of what is not there, an address that somebody else has put there. */
static bool is_done_already(const struct nlmsghdr *msg, int error)
{
	switch (msg->nlmsg_type) {
	case RTM_DELLINK:
		return error == ENODEV;
	case RTM_NEWADDR:
		return error == EEXIST;
	case RTM_DELADDR:
		return error == EADDRNOTAVAIL || error == ENODEV;
	case RTM_DELNEIGH:
		return error == ENOENT || error == ENODEV;
	case RTM_DELROUTE:
		return error == ESRCH || error == ENODEV;
	default:
		return false;
	}
}

struct running {
	struct op *op;
	struct stage *stage;
	uint32_t before;	    /* messages of earlier stages */
	const struct nlmsghdr *msg; /* of the stage that failed last, and its number: they fail in their order */
	uint32_t number;
	int32_t asked; /* ifindex of the link that was last asked for, 0 for none */
	bool failed;
};

static void failed(struct running *running, uint32_t index, int error, const char *text)
{
	struct nsp_op *op = &running->op->head;

	op->failed++;
	if (running->stage->flags & NSP_STAGE_TRY)
		return;
	running->failed = true;
	if (op->error)
		return;
	op->error = error;
	op->index = running->before + index;
	snprintf(op->text, sizeof(op->text), "%s", *text ? text : strerror(error));
}

static const struct nlmsghdr *find_message(struct running *running, uint32_t index)
{
	for (; running->number < index; running->number++)
		running->msg = nsp_msg_next(running->msg);
	return running->msg;
}

static void message_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct running *running = arg;

	if (!is_done_already(find_message(running, index), error))
		failed(running, index, error, text);
}

static void message_answered(void *arg, uint32_t index, const void *msg)
{
	struct running *running = arg;
	struct nsp_link link;

	(void)index;
	astray_note(&running->op->astray, msg);
	if (nsp_link_read(msg, &link) == 0)
		running->asked = link.index;
}

/* Addresses that name no link are for the one that was asked for. */
static void name_link(struct nsp_batch *batch, int32_t ifindex)
{
	uint8_t *at = batch->buf;

	for (uint32_t i = 0; i < batch->count; i++) {
		struct nlmsghdr *head = (struct nlmsghdr *)(void *)at;
		struct ifaddrmsg *ifa = NLMSG_DATA(head);

		if (head->nlmsg_type == RTM_NEWADDR && !ifa->ifa_index)
			ifa->ifa_index = (uint32_t)ifindex;
		at += NSP_ALIGN(head->nlmsg_len);
	}
}

void op_run(struct nsp_core *core, struct nsp_op *head, op_socket_fn open_socket)
{
	struct running running = { .op = (struct op *)head };

	for (uint32_t i = 0; i < running.op->stage_count; i++) {
		struct stage *stage = running.stage = &running.op->stages[i];
		struct nsp_error err = { 0 };

		running.before = head->count;
		running.msg = (const struct nlmsghdr *)(const void *)stage->batch.buf;
		running.number = 0;
		head->count += stage->batch.count;
		if (running.failed && !(stage->flags & NSP_STAGE_ALWAYS))
			continue;
		struct nsp_socket *sock = open_socket(core, stage->netns, &err);
		name_link(&stage->batch, running.asked);
		int rc = sock ? nsp_batch_send(sock, &stage->batch, message_failed, message_answered, &running, &err) : -err.code;
		if (rc < 0)
			failed(&running, 0, -rc, err.text);
	}
}
