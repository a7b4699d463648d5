/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of both families are put as new or in place of our own, read back as they were put, and deleted if they are ours. */
#include "test.h"

struct found {
	const struct nsp_route *wanted;
	struct nsp_route routes[8];
	int count;
};

static void find(void *arg, uint32_t index, const void *msg)
{
	struct found *found = arg;
	struct nsp_route route;

	(void)index;
	if (!msg) {
		found->count = 0;
		return;
	}
	if (nsp_route_read(msg, &route) < 0 || route.dst_len != found->wanted->dst_len ||
	    memcmp(route.dst, found->wanted->dst, 16) != 0 || found->count == 8)
		return;
	found->routes[found->count++] = route;
}

static int look(struct world *world, const struct nsp_route *wanted, struct found *found)
{
	*found = (struct found){ .wanted = wanted };
	NEED(nsp_dump(&world->sock, NSP_DUMP_ROUTES, wanted->family, 0, wanted->table, find, found, NULL));
	return found->count;
}

static int put(struct world *world, const struct nsp_route *route, int mode)
{
	NEED(nsp_route_put(&world->batch, route, mode));
	return world_send(world, NULL);
}

static int del(struct world *world, const struct nsp_route *route)
{
	NEED(nsp_route_delete(&world->batch, route));
	return world_send(world, NULL);
}

/* A link with an address of each family. */
static int net(struct world *world)
{
	int index = world_veth(world, "v0");
	struct nsp_addr v4 = addr_of(index, "192.0.2.1", 24), v6 = addr_of(index, "2001:db8::1", 64);

	v6.flags = 0x02; /* IFA_F_NODAD */
	NEED(nsp_addr_add(&world->batch, &v4));
	NEED(nsp_addr_add(&world->batch, &v6));
	CHECK_EQ(world_send(world, NULL), 0);
	return index;
}

static bool alike(const struct nsp_route *a, const struct nsp_route *b)
{
	return a->family == b->family && a->dst_len == b->dst_len && a->proto == b->proto && a->fields == b->fields &&
	       a->table == b->table && a->metric == b->metric && a->oif == b->oif && memcmp(a->dst, b->dst, 16) == 0 &&
	       memcmp(a->gateway, b->gateway, 16) == 0 && memcmp(a->source, b->source, 16) == 0;
}

static void test_reads_back(void)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_route cases[] = {
		route_of(oif, "10.0.0.0", 8, NULL),
		route_of(oif, "10.1.2.3", 32, "192.0.2.9"),
		route_of(oif, "0.0.0.0", 0, "192.0.2.9"),
		route_of(oif, "10.2.0.0", 16, "192.0.2.9"),
		route_of(oif, "10.3.0.0", 16, "198.51.100.1"),
		route_of(oif, "10.4.0.0", 16, NULL),
		route_of(oif, "fd00::", 16, NULL),
		route_of(oif, "fd01::1", 128, "2001:db8::9"),
		route_of(oif, "::", 0, "2001:db8::9"),
		route_of(oif, "fd02::", 32, "2001:db8::9"),
	};
	struct found found;

	cases[3].table = 1000;
	cases[3].metric = 77;
	cases[3].fields |= NSP_ROUTE_SOURCE;
	inet_pton(AF_INET, "192.0.2.1", cases[3].source);
	cases[4].fields |= NSP_ROUTE_ONLINK;
	cases[5].fields |= NSP_ROUTE_SCOPE;
	cases[5].scope = RT_SCOPE_UNIVERSE;
	cases[9].table = 4000000000;
	cases[9].metric = 5;
	cases[9].fields |= NSP_ROUTE_SOURCE;
	inet_pton(AF_INET6, "2001:db8::1", cases[9].source);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_EQ(put(world, &cases[i], NSP_PUT_NEW), 0);
		CHECK_EQ(look(world, &cases[i], &found), 1);
		if (cases[i].family == AF_INET6 && !cases[i].metric)
			cases[i].metric = 1024;
		CHECK(alike(&found.routes[0], &cases[i]));
		CHECK_EQ(put(world, &cases[i], NSP_PUT_NEW), EEXIST);
		CHECK_EQ(put(world, &cases[i], NSP_PUT_REPLACE), 0);
		CHECK_EQ(look(world, &cases[i], &found), 1);
		CHECK(alike(&found.routes[0], &cases[i]));
		CHECK_EQ(del(world, &cases[i]), 0);
		CHECK_EQ(look(world, &cases[i], &found), 0);
		CHECK_EQ(del(world, &cases[i]), ESRCH);
	}
	world_free(world);
}

static void test_replace(const char *dst, uint8_t dst_len, const char *first, const char *second)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_route route = route_of(oif, dst, dst_len, first), other = route_of(oif, dst, dst_len, second);
	struct found found;

	CHECK_EQ(put(world, &route, NSP_PUT_REPLACE), 0);
	CHECK_EQ(put(world, &other, NSP_PUT_NEW), EEXIST);
	CHECK_EQ(put(world, &other, NSP_PUT_REPLACE), 0);
	CHECK_EQ(look(world, &route, &found), 1);
	CHECK(memcmp(found.routes[0].gateway, other.gateway, 16) == 0);

	/* Another metric is another route; deleting one leaves the other. */
	other.metric = 2000;
	CHECK_EQ(put(world, &other, NSP_PUT_NEW), 0);
	CHECK_EQ(look(world, &route, &found), 2);
	route.fields = 0; /* whatever gateway it has */
	CHECK_EQ(del(world, &route), 0);
	CHECK_EQ(look(world, &route, &found), 1);
	CHECK_EQ(found.routes[0].metric, 2000);
	world_free(world);
}

static void test_only_ours(const char *dst, uint8_t dst_len, const char *gateway)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_route ours = route_of(oif, dst, dst_len, gateway), theirs = ours;
	struct found found;

	theirs.proto = RTPROT_STATIC;
	CHECK_EQ(put(world, &theirs, NSP_PUT_NEW), 0);
	CHECK_EQ(put(world, &ours, NSP_PUT_NEW), EEXIST);
	CHECK_EQ(del(world, &ours), ESRCH);
	CHECK_EQ(look(world, &ours, &found), 1);
	CHECK_EQ(found.routes[0].proto, RTPROT_STATIC);
	/* Without a protocol, whose it is does not matter. */
	ours.proto = 0;
	CHECK_EQ(del(world, &ours), 0);
	world_free(world);
}

/* With IPv6 a metric of 0 is 1024, and no other route of that destination goes in its place. */
static void test_metric_of_ipv6(void)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_route route = route_of(oif, "fd00::", 16, NULL);
	struct found found;

	route.metric = 10;
	CHECK_EQ(put(world, &route, NSP_PUT_NEW), 0);
	route.metric = 0;
	CHECK_EQ(del(world, &route), ESRCH);
	CHECK_EQ(look(world, &route, &found), 1);
	world_free(world);
}

static void test_refused(void)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_route route = route_of(oif, "10.0.0.0", 8, "198.51.100.1"), read;

	CHECK_EQ(put(world, &route, NSP_PUT_NEW), ENETUNREACH);
	route = route_of(oif, "10.0.0.0", 8, "192.0.2.255"); /* the broadcast address */
	CHECK_EQ(put(world, &route, NSP_PUT_NEW), EINVAL);
	route.family = 0;
	CHECK_EQ(nsp_route_put(&world->batch, &route, NSP_PUT_NEW), -EINVAL);
	CHECK_EQ(nsp_route_delete(&world->batch, &route), -EINVAL);

	struct {
		struct nlmsghdr head;
		struct rtmsg rtm;
	} msg = { .head = { .nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWROUTE },
		  .rtm = { .rtm_family = AF_INET, .rtm_type = RTN_UNICAST } };

	CHECK_EQ(nsp_route_read(&msg, &read), 0);
	msg.rtm.rtm_type = RTN_BLACKHOLE;
	CHECK_EQ(nsp_route_read(&msg, &read), -EOPNOTSUPP);
	msg.rtm.rtm_type = RTN_UNICAST;
	msg.rtm.rtm_flags = RTM_F_CLONED;
	CHECK_EQ(nsp_route_read(&msg, &read), -EOPNOTSUPP);
	msg.rtm.rtm_flags = 0;
	msg.rtm.rtm_family = 129; /* RTNL_FAMILY_IPMR */
	CHECK_EQ(nsp_route_read(&msg, &read), -EOPNOTSUPP);
	msg.rtm.rtm_family = AF_INET;
	msg.rtm.rtm_dst_len = 33;
	CHECK_EQ(nsp_route_read(&msg, &read), -EINVAL);
	msg.head.nlmsg_type = RTM_NEWADDR;
	CHECK_EQ(nsp_route_read(&msg, &read), -EINVAL);
	world_free(world);
}

struct kept {
	uint8_t msg[512];
	const struct nsp_route *wanted;
};

static void keep(void *arg, uint32_t index, const void *msg)
{
	struct kept *kept = arg;
	struct nsp_route route;

	(void)index;
	if (msg && nsp_route_read(msg, &route) == 0 && memcmp(route.dst, kept->wanted->dst, 16) == 0 && route.dst_len == 8)
		memcpy(kept->msg, msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
}

/* What was remembered from a dump is put again as it was, even if its link had no carrier when it was dumped. */
static void test_copy_restores(void)
{
	struct world *world = world_new();
	int oif = net(world);
	struct nsp_link peer = { .fields = NSP_LINK_NAME | NSP_LINK_UP, .name = "v0-p", .up = 0 };
	struct nsp_route route = route_of(oif, "10.0.0.0", 8, "192.0.2.9");
	struct kept kept = { .wanted = &route };
	struct found found;

	route.metric = 33;
	route.proto = RTPROT_STATIC;
	CHECK_EQ(put(world, &route, NSP_PUT_NEW), 0);
	NEED(nsp_link_change(&world->batch, &peer));
	CHECK_EQ(world_send(world, NULL), 0);
	/* The carrier's loss comes to the routes a little later. */
	const struct rtmsg *rtm = (struct rtmsg *)(void *)(kept.msg + 16);
	for (int waited = 0; waited < 2000 && !(rtm->rtm_flags & RTNH_F_LINKDOWN); waited += 10) {
		NEED(nsp_dump(&world->sock, NSP_DUMP_ROUTES, AF_INET, oif, 0, keep, &kept, NULL));
		usleep(10000);
	}
	CHECK_EQ(((struct nlmsghdr *)(void *)kept.msg)->nlmsg_type, RTM_NEWROUTE);
	CHECK(rtm->rtm_flags & RTNH_F_LINKDOWN);
	CHECK_EQ(nsp_batch_copy(&world->batch, kept.msg, RTM_DELROUTE, 0), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &route, &found), 0);
	CHECK_EQ(nsp_batch_copy(&world->batch, kept.msg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &route, &found), 1);
	CHECK(alike(&found.routes[0], &route));
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_reads_back();
	test_replace("10.0.0.0", 8, "192.0.2.8", "192.0.2.9");
	test_replace("fd00::", 16, "2001:db8::8", "2001:db8::9");
	test_only_ours("0.0.0.0", 0, "192.0.2.9");
	test_only_ours("::", 0, "2001:db8::9");
	test_metric_of_ipv6();
	test_refused();
	test_copy_restores();
	return test_end();
}
