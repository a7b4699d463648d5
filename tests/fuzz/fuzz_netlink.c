/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever bytes the kernel answers with, nothing is read outside of them: the readers of single messages, and the reader of a
 * datagram of answers to a batch.
 *
 *   | what to do with it, 1 byte | a datagram: nlmsghdr, payload, nlmsghdr ... |
 */
#include "kernel/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
	uint32_t count;
	size_t text;
};

/* Whatever is in them, and wherever they are. */
static void read_attributes(const struct nsp_attrs *attrs)
{
	const struct nlattr *attr;
	char text[16];

	NSP_ATTR_EACH_OF(attr, attrs->data, attrs->len)
	{
		nsp_attr_get_str(attr, text, sizeof(text));
		if (strnlen(text, sizeof(text)) == sizeof(text))
			abort();
	}
}

static void read_link(struct nsp_link *link, uint32_t cap)
{
	struct nsp_room room = { .buf = malloc(cap + 1), .cap = cap };

	if (!room.buf)
		return;
	for (int i = 0; i < 2; i++) {
		read_attributes(&link->data);
		read_attributes(&link->slave_data);
		read_attributes(&link->altnames);
		nsp_link_keep(link, &room);
	}
	free(room.buf);
}

static void read_message(const void *msg)
{
	struct nsp_link link;
	struct nsp_addr addr;
	struct nsp_route route;
	struct nsp_neigh neigh;
	struct nsp_hop hops[4];
	struct nsp_nexthop nexthop;
	struct nsp_nexthop_member members[4];
	uint32_t id;

	if (nsp_link_read(msg, &link) == 0 &&
	    (strnlen(link.name, sizeof(link.name)) == sizeof(link.name) ||
	     strnlen(link.kind, sizeof(link.kind)) == sizeof(link.kind) ||
	     strnlen(link.slave_kind, sizeof(link.slave_kind)) == sizeof(link.slave_kind) ||
	     strnlen(link.alias, sizeof(link.alias)) == sizeof(link.alias) || link.mac_len > sizeof(link.mac)))
		abort();
	if (nsp_link_read(msg, &link) == 0)
		read_link(&link, ((const struct nlmsghdr *)msg)->nlmsg_seq & 255);
	if (nsp_addr_read(msg, &addr) == 0 && addr.family != AF_INET && addr.family != AF_INET6)
		abort();
	if (nsp_route_read(msg, &route) == 0 && route.dst_len > (route.family == AF_INET ? 32 : 128))
		abort();
	if (nsp_route_read_hops(msg, &route, hops, 4) > 4 || (nsp_route_read_by(msg, &route, &id) == 0 && !id))
		abort();
	if (nsp_nexthop_read(msg, &nexthop, members, 4) > 4)
		abort();
	if (nsp_neigh_read(msg, &neigh) == 0 && neigh.mac_len != 0 && neigh.mac_len != sizeof(neigh.mac))
		abort();
}

static void copy_message(const void *msg)
{
	const struct nlmsghdr *head = msg;
	struct nsp_batch batch;
	uint32_t buf[64];

	nsp_batch_init(&batch, buf, sizeof(buf));
	nsp_batch_copy(&batch, msg, RTM_NEWROUTE, NLM_F_CREATE);
	nsp_batch_copy(&batch, msg, head->nlmsg_type, 0);
	if (batch.len > batch.cap)
		abort();
}

static void failed(void *arg, uint32_t index, int error, const char *text)
{
	struct tally *tally = arg;

	if (error <= 0 || index < 10 || index >= 14)
		abort();
	tally->count++;
	tally->text += strlen(text);
}

static void reply(void *arg, uint32_t index, const void *msg)
{
	struct tally *tally = arg;

	if (index < 10 || index >= 14)
		abort();
	tally->count++;
	read_message(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nlmsghdr *head;
	struct tally tally = { 0 };
	struct nsp_verdicts verdicts = { .failed = failed, .reply = reply, .arg = &tally, .seq = 1, .first = 10, .count = 4 };
	void *buf;

	if (size < 1)
		return 0;
	/* A copy of exactly this length, so that the sanitizer sees one byte too many. */
	buf = malloc(size - 1 ? size - 1 : 1);
	if (!buf)
		return 0;
	memcpy(buf, data + 1, size - 1);
	if (data[0] & 1)
		verdicts.seq = UINT32_MAX - 1; /* the numbers wrap around within the chunk */
	nsp_verdicts_parse(&verdicts, buf, size - 1);
	NSP_MSG_EACH(head, buf, size - 1) {
		read_message(head);
		copy_message(head);
	}
	free(buf);
	return 0;
}
