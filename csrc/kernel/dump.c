/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c - reading whole tables.
 *
 * The socket has NETLINK_GET_STRICT_CHK, so the kernel filters by link, table and protocol, and refuses what it cannot filter by.
 */
#include "kernel/internal.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>

#define ATTEMPTS 100

struct dump {
	int what;
	int ifindex;
	uint32_t table;
	uint8_t protocol;
	nsp_reply_fn reply;
	void *arg;
	nsp_between_fn between;
	const char *name;
};

static void request_put(struct nsp_batch *batch, const struct dump *dump, uint8_t family)
{
	struct nsp_msg msg;

	switch (dump->what) {
	case NSP_DUMP_LINKS:
		/* Statistics are the larger half of a link's message. */
		if (nsp_msg_begin(&msg, batch, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg)))
			nsp_attr_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		break;
	case NSP_DUMP_VLANS: {
		struct ifinfomsg *ifi = nsp_msg_begin(&msg, batch, RTM_GETLINK, NLM_F_DUMP, sizeof(*ifi));

		if (!ifi)
			return;
		ifi->ifi_family = family;
		nsp_attr_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
		break;
	}
	case NSP_DUMP_NEXTHOPS:
		nsp_msg_begin(&msg, batch, RTM_GETNEXTHOP, NLM_F_DUMP, sizeof(struct nhmsg));
		break;
	case NSP_DUMP_ADDRS: {
		struct ifaddrmsg *ifa = nsp_msg_begin(&msg, batch, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));

		if (!ifa)
			return;
		ifa->ifa_family = family;
		ifa->ifa_index = (uint32_t)dump->ifindex;
		break;
	}
	case NSP_DUMP_ROUTES: {
		struct rtmsg *rtm = nsp_msg_begin(&msg, batch, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));

		if (!rtm)
			return;
		rtm->rtm_family = family;
		rtm->rtm_protocol = dump->protocol;
		if (dump->table)
			nsp_attr_put_u32(&msg, RTA_TABLE, dump->table);
		if (dump->ifindex)
			nsp_attr_put_s32(&msg, RTA_OIF, dump->ifindex);
		break;
	}
	default: {
		struct ndmsg *ndm = nsp_msg_begin(&msg, batch, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*ndm));

		if (!ndm)
			return;
		ndm->ndm_family = family;
		if (dump->ifindex)
			nsp_attr_put_s32(&msg, NDA_IFINDEX, dump->ifindex);
		break;
	}
	}
	nsp_msg_end(&msg, batch);
}

/* The error with which a NLMSG_DONE or NLMSG_ERROR ends a dump: zero or a negative errno. Both begin with an int. */
static int end_read(const struct dump *dump, const struct nlmsghdr *head, struct nsp_error *err)
{
	const int *code = nsp_msg_body(head, sizeof(*code));
	size_t fixed = head->nlmsg_type == NLMSG_ERROR ? sizeof(struct nlmsgerr) : sizeof(*code);
	const char *text;
	int error;

	if (!code || *code >= 0)
		return 0;
	error = nsp_answer_errno(*code);
	/* A table that nobody has put a route into does not exist: it is empty. */
	if (error == ENOENT && dump->what == NSP_DUMP_ROUTES && dump->table)
		return 0;
	text = nsp_ext_ack_text(head, fixed);
	if (text[0])
		return nsp_fail(err, error, "dump %s: %s", dump->name, text);
	return nsp_fail(err, error, "dump %s", dump->name);
}

/* All four bodies begin with the family. A kernel without IPv6 answers its dump with the tables of what it does have. */
static bool is_of_family(const struct nlmsghdr *head, uint8_t family)
{
	const uint8_t *body = nsp_msg_body(head, sizeof(*body));

	return body && (family == AF_UNSPEC || *body == family);
}

/* The answers to one request. Returns 1 where the table changed meanwhile: what came is not to be relied on. */
static int answers_read(const struct nsp_socket *sock, const struct dump *dump, uint8_t family, struct nsp_error *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[NSP_DATAGRAM_MAX];
	bool changed = false;

	for (;;) {
		const struct nlmsghdr *head;
		ssize_t len = nsp_socket_receive(sock, buf, sizeof(buf));

		if (len < 0) {
			nsp_socket_drain(sock);
			return nsp_fail(err, len == -EAGAIN ? ENOBUFS : (int)-len, "dump %s: receive", dump->name);
		}
		NSP_MSG_EACH(head, buf, (size_t)len) {
			if (head->nlmsg_seq != sock->seq)
				continue;
			if (head->nlmsg_flags & NLM_F_DUMP_INTR)
				changed = true;
			if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR) {
				int ret = end_read(dump, head, err);

				return ret < 0 ? ret : changed;
			}
			if (head->nlmsg_type >= NLMSG_MIN_TYPE && !changed && dump->reply && is_of_family(head, family))
				dump->reply(dump->arg, 0, head);
		}
		if (dump->between && !dump->between(dump->arg))
			return nsp_refuse(err, ECANCELED, "dump %s: ended", dump->name);
	}
}

static int request_send(struct nsp_socket *sock, const struct dump *dump, const struct nsp_batch *batch, uint8_t family,
			struct nsp_error *err)
{
	((struct nlmsghdr *)(void *)batch->buf)->nlmsg_seq = ++sock->seq;
	while (send(sock->fd, batch->buf, batch->len, 0) < 0)
		if (errno != EINTR)
			return nsp_fail(err, errno, "dump %s: send", dump->name);
	return answers_read(sock, dump, family, err);
}

static int family_dump(struct nsp_socket *sock, const struct dump *dump, uint8_t family, struct nsp_error *err)
{
	uint32_t buf[16];
	struct nsp_batch batch;

	nsp_batch_init(&batch, buf, sizeof(buf));
	request_put(&batch, dump, family);
	return request_send(sock, dump, &batch, family, err);
}

struct one_link {
	const struct dump *dump;
	int error;
};

static void one_link_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct one_link *one = arg;

	(void)index;
	(void)text;
	one->error = error;
}

static void one_link_reply(void *arg, uint32_t index, const void *msg)
{
	const struct one_link *one = arg;

	if (one->dump->reply)
		one->dump->reply(one->dump->arg, index, msg);
}

/* A dump of links cannot be filtered by index, but one link can be asked for. */
static int one_link_dump(struct nsp_socket *sock, const struct dump *dump, struct nsp_error *err)
{
	const struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = dump->ifindex };
	struct one_link one = { .dump = dump };
	struct nsp_batch batch;
	uint32_t buf[16];
	int ret;

	nsp_batch_init(&batch, buf, sizeof(buf));
	ret = nsp_link_get(&batch, &link);
	if (ret < 0)
		return nsp_fail(err, -ret, "dump %s", dump->name);
	ret = nsp_batch_send(sock, &batch, one_link_failed, one_link_reply, &one, err);
	if (ret < 0)
		return ret;
	return one.error ? nsp_fail(err, one.error, "dump %s", dump->name) : 0;
}

/* Until the table holds still. With `request`, that is what is sent. */
static int dump_all(struct nsp_socket *sock, const struct dump *dump, int family, const struct nsp_batch *request,
		    struct nsp_error *err)
{
	static const uint8_t families[] = { AF_INET, AF_INET6, AF_BRIDGE };

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int ret = 0;

		if (request) {
			ret = request_send(sock, dump, request, AF_UNSPEC, err);
		} else if (dump->what == NSP_DUMP_LINKS || dump->what == NSP_DUMP_NEXTHOPS) {
			ret = family_dump(sock, dump, AF_UNSPEC, err);
		} else if (dump->what == NSP_DUMP_VLANS) {
			ret = family_dump(sock, dump, AF_BRIDGE, err);
		} else {
			for (size_t i = 0; i < sizeof(families) && ret == 0; i++)
				if (family == families[i] || (family == 0 && families[i] != AF_BRIDGE))
					ret = family_dump(sock, dump, families[i], err);
		}
		if (ret <= 0)
			return ret;
		if (dump->reply)
			dump->reply(dump->arg, 0, NULL);
	}
	return nsp_refuse(err, EINTR, "dump %s: the table changed under each of %d attempts", dump->name, ATTEMPTS);
}

int nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
	     struct nsp_error *err)
{
	static const char *const names[] = { NULL, "links", "addresses", "routes", "neighbours", "nexthops", "VLANs" };
	struct dump dump = { .what = what, .ifindex = ifindex, .table = table, .reply = reply, .arg = arg };

	if (what < NSP_DUMP_LINKS || what > NSP_DUMP_VLANS)
		return nsp_refuse(err, EINVAL, "%d is not a table that can be dumped", what);
	if (family != 0 && family != AF_INET && family != AF_INET6 && !(family == AF_BRIDGE && what == NSP_DUMP_NEIGHS))
		return nsp_refuse(err, EINVAL, "%d is neither of the address families that can be dumped", family);
	if (ifindex < 0)
		return nsp_refuse(err, EINVAL, "%d is not the index of a link", ifindex);
	dump.name = names[what];
	if (what == NSP_DUMP_LINKS && ifindex)
		return one_link_dump(sock, &dump, err);

	return dump_all(sock, &dump, family, NULL, err);
}

int nsp_dump_protocol(struct nsp_socket *sock, int family, uint8_t protocol, nsp_reply_fn reply, void *arg, struct nsp_error *err)
{
	const struct dump dump = { .what = NSP_DUMP_ROUTES, .protocol = protocol, .reply = reply, .arg = arg, .name = "routes" };

	if (family != 0 && family != AF_INET && family != AF_INET6)
		return nsp_refuse(err, EINVAL, "%d is neither of the address families that can be dumped", family);
	return dump_all(sock, &dump, family, NULL, err);
}

int nsp_dump_paced(struct nsp_socket *sock, int what, int family, uint8_t protocol, nsp_reply_fn reply, void *arg,
		   nsp_between_fn between, struct nsp_error *err)
{
	const struct dump dump = { .what = what,
				   .protocol = protocol,
				   .reply = reply,
				   .arg = arg,
				   .between = between,
				   .name = what == NSP_DUMP_ROUTES ? "routes" : "neighbours" };

	return dump_all(sock, &dump, family, NULL, err);
}

int nsp_dump_request(struct nsp_socket *sock, const struct nsp_batch *request, const char *name, nsp_reply_fn reply, void *arg,
		     struct nsp_error *err)
{
	const struct dump dump = { .reply = reply, .arg = arg, .name = name };

	return dump_all(sock, &dump, AF_UNSPEC, request, err);
}
