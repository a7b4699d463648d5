/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c - many messages in one sendmsg, and what became of each.
 *
 * The kernel answers every message that fails, asked for or not, and one that succeeds only where it carries NLM_F_ACK. So a batch is
 * sent in chunks of which the last message alone asks for an ACK: one answer a chunk where all is well.
 *
 *   chunk   | seq 41 | seq 42 | seq 43 | seq 44, NLM_F_ACK |
 *   answers          | 42: -EEXIST     | 44: 0 |              41 and 43 have been carried out
 */
#include "kernel/internal.h"

/* In bytes a chunk is bounded so that the default SO_SNDBUF takes it too: of that the kernel wants the plain length. */
#define CHUNK_BYTES (128 * 1024)

/* A link with all its attributes takes as much of the receive buffer as four verdicts. */
#define GET_WEIGHT 4

void nsp_batch_init(struct nsp_batch *batch, void *buf, uint32_t cap)
{
	uint32_t skew = (uint32_t)(-(uintptr_t)buf & (NLMSG_ALIGNTO - 1));

	if (skew > cap)
		skew = cap;
	*batch = (struct nsp_batch){ .buf = (uint8_t *)buf + skew, .cap = cap - skew };
}

void nsp_batch_reset(struct nsp_batch *batch)
{
	batch->len = 0;
	batch->count = 0;
	batch->last = 0;
}

/* A route that was remembered while its link was down says so, and the kernel refuses these flags from outside. */
static void clear_route_flags(uint8_t *payload, size_t len)
{
	struct rtmsg *rtm = (struct rtmsg *)(void *)payload;

	if (len >= sizeof(*rtm))
		rtm->rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
}

int nsp_batch_copy(struct nsp_batch *batch, const void *msg, uint16_t type, uint16_t flags)
{
	const struct nlmsghdr *head = msg;
	struct nsp_msg copy;
	uint32_t len;
	void *body;

	if (head->nlmsg_len < sizeof(*head) || head->nlmsg_len > UINT32_MAX - NLMSG_ALIGNTO)
		return -EINVAL;
	len = head->nlmsg_len - (uint32_t)sizeof(*head);
	body = nsp_msg_begin(&copy, batch, type, flags, len);
	if (!body)
		return -ENOSPC;
	memcpy(body, head + 1, len);
	if (type == RTM_NEWROUTE)
		clear_route_flags(body, len);
	return nsp_msg_end(&copy, batch);
}

/* ---- answers ---- */

const char *nsp_ext_ack_text(const struct nlmsghdr *head, size_t fixed)
{
	const struct nlattr *attr;

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	NSP_ATTR_EACH(attr, head, fixed) {
		if (nsp_attr_type(attr) == NLMSGERR_ATTR_MSG && memchr(attr + 1, '\0', nsp_attr_len(attr)))
			return (const char *)(attr + 1);
	}
	return "";
}

/*
 * NLMSG_ERROR: | nlmsghdr | int error | nlmsghdr of the request | its payload, unless NLM_F_CAPPED | nlattr ... |
 */
static void verdict_read(struct nsp_verdicts *verdicts, const struct nlmsghdr *head, uint32_t nth)
{
	const struct nlmsgerr *answer = nsp_msg_body(head, sizeof(*answer));
	size_t fixed = sizeof(*answer);

	if (!answer)
		return;
	if (nth == verdicts->count - 1)
		verdicts->ended = true;
	if (answer->error == 0 || !verdicts->failed)
		return;
	if (!(head->nlmsg_flags & NLM_F_CAPPED) && answer->msg.nlmsg_len > sizeof(answer->msg))
		fixed += answer->msg.nlmsg_len - sizeof(answer->msg);
	/* A bound that keeps the pointer to the first attribute within the message, whatever the answer says of its request. */
	if (fixed > head->nlmsg_len - sizeof(*head))
		fixed = head->nlmsg_len - sizeof(*head);
	verdicts->failed(verdicts->arg, verdicts->first + nth, nsp_answer_errno(answer->error), nsp_ext_ack_text(head, fixed));
}

void nsp_verdicts_parse(struct nsp_verdicts *verdicts, const void *buf, size_t len)
{
	const struct nlmsghdr *head;

	NSP_MSG_EACH(head, buf, len) {
		uint32_t nth = head->nlmsg_seq - verdicts->seq;

		if (nth >= verdicts->count)
			continue;
		if (head->nlmsg_type == NLMSG_ERROR)
			verdict_read(verdicts, head, nth);
		else if (head->nlmsg_type >= NLMSG_MIN_TYPE && verdicts->reply)
			verdicts->reply(verdicts->arg, verdicts->first + nth, head);
	}
}

/* ---- sending ---- */

struct chunk {
	uint32_t len;
	uint32_t count;
};

/* Numbers as many messages from `offset` on as one sendmsg may carry, and lets the last one ask for an ACK. The batch was built here,
 * but its memory is the caller's: a length that leads outside ends it, with a count of 0. */
static struct chunk chunk_cut(const struct nsp_batch *batch, uint32_t offset, uint32_t seq, uint32_t window, uint32_t bytes)
{
	struct chunk chunk = { 0, 0 };
	struct nlmsghdr *head = NULL;
	uint32_t weight = 0;

	while (chunk.len < batch->len - offset) {
		struct nlmsghdr *next = (struct nlmsghdr *)(void *)(batch->buf + offset + chunk.len);
		uint32_t len;

		if (!nsp_msg_ok(next, batch->len - offset - chunk.len))
			return (struct chunk){ 0, 0 };
		len = NSP_ALIGN(next->nlmsg_len);
		/* Of the four message types of each object the third is GET. */
		weight += (next->nlmsg_type & 3) == 2 ? GET_WEIGHT : 1;
		if (head && (weight > window || chunk.len + len > bytes))
			break;
		head = next;
		head->nlmsg_seq = seq + chunk.count;
		head->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		chunk.len += len;
		chunk.count++;
	}
	if (head)
		head->nlmsg_flags |= NLM_F_ACK;
	return chunk;
}

static int chunk_send(const struct nsp_socket *sock, const void *buf, uint32_t len)
{
	for (;;) {
		if (send(sock->fd, buf, len, 0) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* A loss may have been the fault of a moment without memory: the window is not to stay small for that. */
#define CALM_CHUNKS 1024

static void window_shrink(struct nsp_socket *sock)
{
	if (sock->window_before < sock->window)
		sock->window_before = sock->window;
	if (sock->window > 1)
		sock->window /= 2;
	sock->calm = 0;
}

static void window_grow(struct nsp_socket *sock)
{
	if (sock->window >= sock->window_before || ++sock->calm < CALM_CHUNKS)
		return;
	sock->window = sock->window * 2 < sock->window_before ? sock->window * 2 : sock->window_before;
	sock->calm = 0;
}

/* Reads the answers up to the last message's. */
static int chunk_judge(struct nsp_socket *sock, struct nsp_verdicts *verdicts, struct nsp_error *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[NSP_DATAGRAM_MAX];
	bool lost = false, long_reply = false;

	/* After a loss all that did come is read: the kernel queues nothing more until the queue has been empty. */
	while (!verdicts->ended || lost) {
		ssize_t len = nsp_socket_receive(sock, buf, sizeof(buf));

		if (len >= 0)
			nsp_verdicts_parse(verdicts, buf, (size_t)len);
		else if (len == -EMSGSIZE)
			long_reply = true;
		else if (len == -ENOBUFS)
			lost = true;
		else if (len == -EAGAIN)
			break;
		else
			return nsp_fail(err, (int)-len, "receive from a rtnetlink socket");
	}
	if (lost || !verdicts->ended) {
		window_shrink(sock);
		return nsp_refuse(err, ENOBUFS, "the receive buffer of a rtnetlink socket overflowed: verdicts are lost");
	}
	window_grow(sock);
	if (long_reply)
		return nsp_fail(err, EMSGSIZE, "receive from a rtnetlink socket");
	return 0;
}

int nsp_batch_send(struct nsp_socket *sock, struct nsp_batch *batch, nsp_failed_fn failed, nsp_reply_fn reply, void *arg,
		   struct nsp_error *err)
{
	struct nsp_verdicts verdicts = { .failed = failed, .reply = reply, .arg = arg, .seq = sock->seq + 1 };
	uint32_t bytes = CHUNK_BYTES, offset = 0;
	uint32_t window = sock->window;
	int ret;

	/* Whatever happens, no later answer can be taken for one to the next batch. */
	sock->seq += batch->count;

	while (offset < batch->len) {
		struct chunk chunk = chunk_cut(batch, offset, verdicts.seq, window, bytes);

		if (chunk.count == 0)
			return nsp_refuse(err, EINVAL, "the batch is malformed after message %u", verdicts.first);
		ret = chunk_send(sock, batch->buf + offset, chunk.len);
		if (ret == 0) {
			verdicts.count = chunk.count;
			verdicts.ended = false;
			ret = chunk_judge(sock, &verdicts, err);
			if (ret < 0)
				return ret;
		} else if ((ret == -EMSGSIZE || ret == -ENOBUFS) && chunk.count > 1) {
			/* It did not get as far as the kernel's parser: halves may. */
			bytes = chunk.len / 2;
			continue;
		} else if (ret == -EMSGSIZE) {
			if (failed)
				failed(arg, verdicts.first, EMSGSIZE, "the message is larger than the socket's send buffer");
		} else {
			return nsp_fail(err, -ret, "send to a rtnetlink socket");
		}
		offset += chunk.len;
		verdicts.first += chunk.count;
		verdicts.seq += chunk.count;
	}
	return 0;
}

struct outcome {
	int error;
	char text[160];
};

static void outcome_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct outcome *outcome = arg;

	(void)index;
	if (outcome->error)
		return;
	outcome->error = error;
	strncpy(outcome->text, text, sizeof(outcome->text) - 1);
}

int nsp_batch_do(struct nsp_socket *sock, struct nsp_batch *batch, const char *what, struct nsp_error *err)
{
	struct outcome outcome = { 0 };
	int ret = nsp_batch_send(sock, batch, outcome_failed, NULL, &outcome, err);

	if (ret < 0)
		return ret;
	if (outcome.error && outcome.text[0])
		return nsp_fail(err, outcome.error, "%s: %s", what, outcome.text);
	if (outcome.error)
		return nsp_fail(err, outcome.error, "%s", what);
	return 0;
}
