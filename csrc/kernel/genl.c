/* SPDX-License-Identifier: Apache-2.0 */
/*
 * genl.c - generic netlink: requests to families that have a name, and a number that the kernel gives them.
 *
 *   | nlmsghdr, nlmsg_type: the family's number | genlmsghdr: command, version | nlattr ... |
 */
#include "kernel/internal.h"

#include <linux/genetlink.h>
#include <stdio.h>

int nsp_genl_put(struct nsp_batch *batch, const struct nsp_genl *request, uint16_t flags)
{
	struct genlmsghdr *genl;
	struct nsp_msg msg;
	void *attrs;

	genl = nsp_msg_begin(&msg, batch, request->family, flags, sizeof(*genl));
	if (!genl)
		return -ENOSPC;
	genl->cmd = request->command;
	genl->version = request->version;
	attrs = nsp_msg_take(&msg, request->attrs.len);
	if (attrs && request->attrs.len)
		memcpy(attrs, request->attrs.data, request->attrs.len);
	return nsp_msg_end(&msg, batch);
}

int nsp_genl_read(const void *msg, struct nsp_genl *genl)
{
	const struct nlmsghdr *head = msg;
	const struct genlmsghdr *body = nsp_msg_body(head, sizeof(*body));

	*genl = (struct nsp_genl){ 0 };
	if (!body)
		return -EINVAL;
	genl->family = head->nlmsg_type;
	genl->command = body->cmd;
	genl->version = body->version;
	genl->attrs = (struct nsp_attrs){ .data = body + 1, .len = (uint32_t)(head->nlmsg_len - NLMSG_LENGTH(sizeof(*body))) };
	return 0;
}

/* ---- one request, and its answers ---- */

struct asked {
	int error;
	char text[160];
	nsp_reply_fn reply;
	void *arg;
};

static void asked_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct asked *asked = arg;

	(void)index;
	asked->error = error;
	strncpy(asked->text, text, sizeof(asked->text) - 1);
}

static void asked_reply(void *arg, uint32_t index, const void *msg)
{
	const struct asked *asked = arg;

	asked->reply(asked->arg, index, msg);
}

/* `what` says in errors what is asked for. */
static int ask(struct nsp_socket *sock, const struct nsp_genl *request, uint16_t flags, const char *what, nsp_reply_fn reply,
	       void *arg, struct nsp_error *err)
{
	uint32_t len = (uint32_t)NLMSG_SPACE(GENL_HDRLEN) + NSP_ALIGN(request->attrs.len);
	struct asked asked = { .reply = reply, .arg = arg };
	cleanup_free void *buf = malloc(len);
	struct nsp_batch batch;
	int ret;

	if (!buf)
		return nsp_fail(err, ENOMEM, "%s", what);
	nsp_batch_init(&batch, buf, len);
	ret = nsp_genl_put(&batch, request, flags);
	if (ret < 0)
		return nsp_fail(err, -ret, "%s", what);
	if ((flags & NLM_F_DUMP) == NLM_F_DUMP)
		return nsp_dump_request(sock, &batch, what, reply, arg, err);
	ret = nsp_batch_send(sock, &batch, asked_failed, asked_reply, &asked, err);
	if (ret < 0)
		return ret;
	if (asked.error && asked.text[0])
		return nsp_fail(err, asked.error, "%s: %s", what, asked.text);
	return asked.error ? nsp_fail(err, asked.error, "%s", what) : 0;
}

struct answers {
	struct nsp_room *room;
	long count;
};

static void answer_keep(void *arg, uint32_t index, const void *msg)
{
	struct answers *answers = arg;
	struct nsp_room *room = answers->room;
	const struct nlmsghdr *head = msg;

	(void)index;
	answers->count = msg ? answers->count + 1 : 0;
	if (!room)
		return;
	if (!msg) {
		room->len = 0;
		return;
	}
	/* Once one had no place, none behind it is to have one. */
	if (room->buf && room->len <= room->cap && head->nlmsg_len <= room->cap - room->len)
		memcpy((uint8_t *)room->buf + room->len, msg, head->nlmsg_len);
	room->len += NSP_ALIGN(head->nlmsg_len);
}

long nsp_genl_request(struct nsp_socket *sock, const struct nsp_genl *request, uint16_t flags, struct nsp_room *room,
		      struct nsp_error *err)
{
	struct answers answers = { .room = room };
	char what[64];
	int ret;

	if (room)
		room->len = 0;
	snprintf(what, sizeof(what), "command %u of generic netlink family %u", request->command, request->family);
	ret = ask(sock, request, flags, what, answer_keep, &answers, err);
	return ret < 0 ? ret : answers.count;
}

/* ---- the numbers of families ---- */

static void family_seen(void *arg, uint32_t index, const void *msg)
{
	const struct nlattr *attr;
	uint16_t *number = arg;
	struct nsp_genl genl;

	(void)index;
	if (nsp_genl_read(msg, &genl) < 0)
		return;
	NSP_ATTR_EACH_OF(attr, genl.attrs.data, genl.attrs.len)
	{
		if (nsp_attr_type(attr) == CTRL_ATTR_FAMILY_ID)
			nsp_attr_get(attr, number, sizeof(*number));
	}
}

int nsp_genl_family(struct nsp_socket *sock, const char *name, struct nsp_error *err)
{
	struct nsp_genl request = { .family = GENL_ID_CTRL, .command = CTRL_CMD_GETFAMILY, .version = 1 };
	uint32_t buf[16];
	uint16_t number = 0;
	struct nsp_msg msg;
	char what[64];
	int ret;

	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_str(&msg, CTRL_ATTR_FAMILY_NAME, name);
	snprintf(what, sizeof(what), "generic netlink family %.*s", GENL_NAMSIZ, name);
	if (nsp_attrs_end(&msg, &request.attrs) < 0 || strlen(name) >= GENL_NAMSIZ)
		return nsp_refuse(err, ENOENT, "%s: no family has so long a name", what);
	ret = ask(sock, &request, 0, what, family_seen, &number, err);
	if (ret < 0)
		return ret;
	return number ? number : nsp_refuse(err, EPROTO, "%s: the kernel told no number", what);
}
