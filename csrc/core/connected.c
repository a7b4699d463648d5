/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's routes to what is on a link. Every address brings two: one of itself, of type local, and one of its network. Somebody may
 * delete the latter alone, and the address shows nothing of that. So both are looked for, and a network's is put back as the kernel made
 * it, with the address's metric, in the table that has the address's own or (local) in the main one. Of an IPv4 address with a peer the
 * network is the peer's.
 */
#include "core/connected.h"

#include <linux/if_addr.h>

#include "kinds/route.h"

#define LOOPBACK 1 /* the ifindex of lo: networks of its addresses are local */

#define METRIC_IPV6 256 /* IP6_RT_PRIO_ADDRCONF */

/* A route that is to be there. */
struct expected {
	struct {
		int32_t ifindex;
		uint32_t metric;
		uint8_t family, local, dst_len;
		uint8_t dst[16];
	} key;
	uint32_t addr; /* in `addrs` */
	uint32_t table;
	bool there;
};

struct address {
	struct nsp_addr addr;
	uint32_t metric; /* of its network's route */
};

struct connected {
	struct address *addrs;
	uint32_t count, cap;
	struct expected *expected; /* two of each address, by key */
	uint8_t family;		   /* of the routes that are being read */
};

static int compare(const void *left, const void *right)
{
	return memcmp(&((const struct expected *)left)->key, &((const struct expected *)right)->key,
		      sizeof(((struct expected *)0)->key));
}

static void addr_seen(void *arg, uint32_t index, const void *msg)
{
	static const uint8_t none[16];
	struct connected *connected = arg;
	struct nsp_addr_details details;
	struct nsp_addr addr;

	(void)index;
	if (!msg) {
		connected->count = 0;
		return;
	}
	/* The other flag of a secondary IPv4 address is that of a temporary IPv6 one. */
	if (nsp_addr_read_details(msg, &addr, &details) < 0 || addr.proto != NSP_PROTOCOL || addr.index == LOOPBACK ||
	    addr.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE) ||
	    (addr.family == AF_INET && addr.prefix_len == 32 && !memcmp(addr.peer, none, sizeof(none))))
		return;
	ARRAY_GROW(connected->addrs, connected->count, connected->cap);
	connected->addrs[connected->count++] = (struct address){
		.addr = addr,
		.metric = details.metric || addr.family == AF_INET ? details.metric : METRIC_IPV6,
	};
}

static struct expected expect(const struct connected *connected, uint32_t i, bool local)
{
	static const uint8_t none[16];
	const struct nsp_addr *addr = &connected->addrs[i].addr;
	const uint8_t *dst = !local && addr->family == AF_INET && memcmp(addr->peer, none, sizeof(none)) ? addr->peer : addr->local;
	struct expected expected = { .addr = i };

	memset(&expected.key, 0, sizeof(expected.key)); /* it is compared as a whole */
	expected.key.ifindex = addr->index;
	expected.key.metric = local ? 0 : connected->addrs[i].metric;
	expected.key.family = addr->family;
	expected.key.local = local;
	expected.key.dst_len = local ? (uint8_t)(nsp_address_len(addr->family) * 8) : addr->prefix_len;
	memcpy(expected.key.dst, dst, nsp_address_len(addr->family));
	for (unsigned bit = expected.key.dst_len; bit < 128; bit++)
		expected.key.dst[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	return expected;
}

static void route_seen(void *arg, uint32_t index, const void *msg)
{
	struct connected *connected = arg;
	uint32_t count = connected->count * 2;
	struct expected seen = { .there = true };
	const struct nlmsghdr *head = msg;
	const struct nlattr *attr;
	struct nsp_route key;

	(void)index;
	if (!msg) {
		for (uint32_t i = 0; i < count; i++)
			connected->expected[i].there &= connected->expected[i].key.family != connected->family;
		return;
	}
	if (!route_read_key(head, &key))
		return;
	const struct rtmsg *rtm = nsp_msg_body(head, sizeof(*rtm));
	memset(&seen.key, 0, sizeof(seen.key));
	seen.key.family = rtm->rtm_family;
	seen.key.local = rtm->rtm_type == RTN_LOCAL;
	seen.key.metric = seen.key.local ? 0 : key.metric;
	seen.key.dst_len = key.dst_len;
	memcpy(seen.key.dst, key.dst, 16);
	NSP_ATTR_EACH(attr, head, sizeof(*rtm))
		if (nsp_attr_type(attr) == RTA_OIF)
			nsp_attr_get(attr, &seen.key.ifindex, sizeof(seen.key.ifindex));
	struct expected *hit = bsearch(&seen, connected->expected, count, sizeof(seen), compare);
	while (hit && hit > connected->expected && !compare(hit - 1, &seen))
		hit--;
	for (; hit && hit < connected->expected + count && !compare(hit, &seen); hit++) {
		hit->there = true;
		hit->table = key.table;
	}
}

static void put_network(struct nsp_batch *batch, const struct nsp_addr *addr, const struct expected *network, uint32_t table)
{
	struct nsp_route route = { .family = addr->family,
				   .dst_len = addr->prefix_len,
				   .proto = RTPROT_KERNEL,
				   .table = table == RT_TABLE_LOCAL ? RT_TABLE_MAIN : table,
				   .metric = network->key.metric,
				   .oif = addr->index };

	memcpy(route.dst, network->key.dst, 16);
	if (addr->family == AF_INET) {
		route.fields = NSP_ROUTE_SOURCE;
		memcpy(route.source, addr->local, 16);
	}
	nsp_route_put(batch, &route, NSP_PUT_NEW);
	/* Other links may have addresses of the same network. */
	struct nlmsghdr *head = (struct nlmsghdr *)(void *)(batch->buf + batch->last);
	head->nlmsg_flags = (uint16_t)((head->nlmsg_flags & ~NLM_F_EXCL) | NLM_F_APPEND);
}

static void put_failed(void *arg, uint32_t index, int error, const char *text)
{
	(void)error; /* the link is down or the address has gone: then it is not to be there */
	(void)text;
	((bool *)arg)[index] = true;
}

#define PUT_AT_ONCE 64

static int put_back(const struct connected *connected, struct op *op, struct nsp_socket *sock, struct nsp_error *err)
{
	uint32_t which[PUT_AT_ONCE];
	uint8_t buf[PUT_AT_ONCE * 128];
	struct nsp_batch batch;
	int rc = 0;

	for (uint32_t i = 0; i < connected->count && rc >= 0;) {
		bool failed[PUT_AT_ONCE] = { false };

		nsp_batch_init(&batch, buf, sizeof(buf));
		for (; i < connected->count && batch.count < PUT_AT_ONCE; i++) {
			struct expected own = expect(connected, i, true), network = expect(connected, i, false);
			const struct expected *has = bsearch(&own, connected->expected, connected->count * 2, sizeof(own), compare),
					      *lacks = bsearch(&network, connected->expected, connected->count * 2, sizeof(own),
							       compare);
			if (!has->there || lacks->there)
				continue;
			which[batch.count] = i;
			put_network(&batch, &connected->addrs[i].addr, &network, has->table);
		}
		rc = batch.count ? nsp_batch_send(sock, &batch, put_failed, NULL, failed, err) : 0;
		for (uint32_t k = 0; k < batch.count && rc >= 0; k++)
			if (!failed[k]) {
				ARRAY_GROW(op->lost, op->lost_count, op->lost_cap);
				op->lost[op->lost_count++] = connected->addrs[which[k]].addr;
				op->head.missing++;
			}
	}
	return rc;
}

int connected_check(struct op *op, struct nsp_socket *sock, struct nsp_error *err)
{
	struct connected connected = { 0 };
	int rc = nsp_dump(sock, NSP_DUMP_ADDRS, 0, 0, 0, addr_seen, &connected, err);

	if (rc >= 0 && connected.count) {
		connected.expected = calloc(connected.count * 2, sizeof(*connected.expected));
		if (!connected.expected)
			abort();
		for (uint32_t i = 0; i < connected.count * 2; i++)
			connected.expected[i] = expect(&connected, i / 2, i & 1);
		qsort(connected.expected, connected.count * 2, sizeof(*connected.expected), compare);
		for (int v6 = 0; v6 < 2 && rc >= 0; v6++) {
			connected.family = v6 ? AF_INET6 : AF_INET;
			rc = nsp_dump_protocol(sock, connected.family, RTPROT_KERNEL, route_seen, &connected, err);
		}
		if (rc >= 0)
			rc = put_back(&connected, op, sock, err);
	}
	free(connected.addrs);
	free(connected.expected);
	return rc;
}
