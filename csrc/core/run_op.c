/* SPDX-License-Identifier: Apache-2.0 */
/* An operation is carried out. */
#include "core/run_op.h"

#include <stdio.h>

#include "core/misdeleted.h"
#include "core/lock.h"
#include "core/netns.h"

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
	case RTM_DELNEXTHOP:
		return error == ENOENT;
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

/* The types of these are the numbers of families. */
static void generic_failed(void *arg, uint32_t index, int error, const char *text)
{
	failed(arg, index, error, text);
}

static void message_answered(void *arg, uint32_t index, const void *msg)
{
	struct running *running = arg;
	struct nsp_link link;

	(void)index;
	misdeleted_note(&running->op->misdeleted, msg);
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

/* The tun or tap that a stage begins with. One that is made is `made`: it goes with this descriptor. */
static int begin_tun(struct nsp_core *core, const struct stage *stage, int *made, struct nsp_error *err)
{
	int fd = netns_fd(core, stage->netns);

	if (!stage->makes_tun)
		return nsp_tun_change(fd, stage->tun, err);
	*made = nsp_tun_create(fd, stage->tun, err);
	return *made < 0 ? *made : 0;
}

static int stage_send(struct nsp_core *core, struct running *running, struct nsp_error *err)
{
	struct stage *stage = running->stage;

	if (stage->flags & NSP_STAGE_GENERIC) {
		struct nsp_socket generic;
		int rc = netns_open_generic(core, stage->netns, &generic, err);

		if (rc >= 0)
			rc = nsp_batch_send(&generic, &stage->batch, generic_failed, NULL, running, err);
		nsp_socket_close(&generic);
		return rc;
	}
	struct nsp_socket *sock = netns_socket(core, stage->netns, err);
	name_link(&stage->batch, running->asked);
	if (running->op->told) {
		core_lock(core);
		netns_note_inexact(core->netns[stage->netns]);
		core_unlock(core);
	}
	return sock ? nsp_batch_send(sock, &stage->batch, message_failed, message_answered, running, err) : -err->code;
}

static void run_stage(struct nsp_core *core, struct running *running)
{
	uint32_t before = running->op->head.failed;
	const struct stage *stage = running->stage;
	struct nsp_error err = { 0 };
	int tun = -1, rc = stage->tun ? begin_tun(core, stage, &tun, &err) : 0;

	if (rc >= 0 && (stage->batch.count || !stage->tun))
		rc = stage_send(core, running, &err);
	if (rc >= 0 && tun >= 0 && running->op->head.failed == before)
		rc = nsp_tun_persist(tun, &err);
	if (tun >= 0)
		close(tun);
	if (rc < 0)
		failed(running, 0, -rc, err.text);
}

void op_run(struct nsp_core *core, struct nsp_op *head)
{
	struct running running = { .op = (struct op *)head };

	for (uint32_t i = 0; i < running.op->stage_count; i++) {
		struct stage *stage = running.stage = &running.op->stages[i];

		running.before = head->count;
		running.msg = (const struct nlmsghdr *)(const void *)stage->batch.buf;
		running.number = 0;
		head->count += stage->batch.count;
		if (running.failed && !(stage->flags & NSP_STAGE_ALWAYS))
			continue;
		run_stage(core, &running);
	}
}
