/* SPDX-License-Identifier: Apache-2.0 */
/* Whole tables are read, filtered by family, link and table, and again from the start where they changed meanwhile. */
#include "test.h"

#include <linux/neighbour.h>
#include <pthread.h>
#include <stdatomic.h>

struct counts {
	int rows;
	int v4;
	int v6;
	int wrong; /* rows that another link's or table's filter should have kept away */
	int ifindex;
	uint32_t table;
	int restarts;
};

static void count(void *arg, uint32_t index, const void *msg)
{
	struct counts *counts = arg;
	const struct nlmsghdr *head = msg;
	struct nsp_route route = { 0 };
	struct nsp_neigh neigh;
	struct nsp_addr addr;
	struct nsp_link link;
	int family = 0, ifindex = 0;

	(void)index;
	if (!msg) {
		*counts = (struct counts){ .ifindex = counts->ifindex, .table = counts->table, .restarts = counts->restarts + 1 };
		return;
	}
	switch (head->nlmsg_type) {
	case RTM_NEWLINK:
		CHECK_EQ(nsp_link_read(msg, &link), 0);
		ifindex = link.index;
		break;
	case RTM_NEWADDR:
		CHECK_EQ(nsp_addr_read(msg, &addr), 0);
		family = addr.family;
		ifindex = addr.index;
		break;
	case RTM_NEWROUTE:
		if (nsp_route_read(msg, &route) < 0 || route.proto != 110)
			return;
		family = route.family;
		ifindex = route.oif;
		break;
	case RTM_NEWNEIGH:
		/* The kernel's own for multicast are not permanent. */
		if (nsp_neigh_read(msg, &neigh) < 0 || neigh.state != NUD_PERMANENT)
			return;
		family = neigh.family;
		ifindex = neigh.index;
		break;
	default:
		counts->wrong++;
	}
	counts->rows++;
	counts->v4 += family == AF_INET;
	counts->v6 += family == AF_INET6;
	counts->wrong += (counts->ifindex && ifindex != counts->ifindex) || (counts->table && route.table != counts->table);
}

static struct counts dump(struct world *world, int what, int family, int ifindex, uint32_t table)
{
	struct counts counts = { .ifindex = ifindex, .table = table };
	struct nsp_error err = { 0 };

	if (nsp_dump(&world->sock, what, family, ifindex, table, count, &counts, &err) < 0) {
		printf("%s\n", err.text);
		CHECK_EQ(err.code, 0);
	}
	return counts;
}

static void fill(struct world *world, int index, uint8_t net, uint32_t table, int many)
{
	for (int i = 0; i < many; i++) {
		struct nsp_route v4 = route_of(index, "10.0.0.0", 32, NULL), v6 = route_of(index, "fd00::", 128, NULL);
		struct nsp_neigh neigh = { .index = index, .family = AF_INET, .mac_len = 6, .mac = { 2 } };

		v4.dst[1] = v6.dst[2] = net;
		v4.dst[2] = v6.dst[14] = (uint8_t)(i >> 8);
		v4.dst[3] = v6.dst[15] = (uint8_t)i;
		v4.table = v6.table = table;
		memcpy(neigh.dst, v4.dst, 4);
		NEED(nsp_route_put(&world->batch, &v4, NSP_PUT_NEW));
		NEED(nsp_route_put(&world->batch, &v6, NSP_PUT_NEW));
		NEED(nsp_neigh_put(&world->batch, &neigh, NSP_PUT_NEW));
		neigh.family = AF_INET6;
		memcpy(neigh.dst, v6.dst, 16);
		NEED(nsp_neigh_put(&world->batch, &neigh, NSP_PUT_NEW));
	}
	CHECK_EQ(world_send(world, NULL), 0);
}

static void test_filters(void)
{
	struct world *world = world_new();
	int a = world_veth(world, "a"), b = world_veth(world, "b");
	struct nsp_addr addrs[] = { addr_of(a, "192.0.2.1", 24), addr_of(a, "2001:db8::1", 64), addr_of(b, "198.51.100.1", 24) };
	struct counts counts;

	addrs[1].flags = 0x02; /* IFA_F_NODAD */
	for (int i = 0; i < 3; i++)
		NEED(nsp_addr_add(&world->batch, &addrs[i]));
	CHECK_EQ(world_send(world, NULL), 0);

	CHECK_EQ(dump(world, NSP_DUMP_LINKS, 0, 0, 0).rows, 5); /* lo and two pairs */
	counts = dump(world, NSP_DUMP_LINKS, 0, a, 0);
	CHECK_EQ(counts.rows, 1);
	CHECK_EQ(counts.wrong, 0);

	counts = dump(world, NSP_DUMP_ADDRS, 0, 0, 0);
	CHECK_EQ(counts.v4, 3);		/* with lo's */
	CHECK_EQ(counts.v6, 1 + 1 + 4); /* lo, ours, and a link-local one on each end */
	counts = dump(world, NSP_DUMP_ADDRS, 0, a, 0);
	CHECK_EQ(counts.v4, 1);
	CHECK_EQ(counts.v6, 2);
	CHECK_EQ(counts.wrong, 0);
	CHECK_EQ(dump(world, NSP_DUMP_ADDRS, AF_INET, 0, 0).rows, 3);
	CHECK_EQ(dump(world, NSP_DUMP_ADDRS, AF_INET6, a, 0).rows, 2);

	fill(world, a, 1, RT_TABLE_MAIN, 300);
	fill(world, b, 2, 5000, 200);
	counts = dump(world, NSP_DUMP_ROUTES, 0, 0, 0);
	CHECK_EQ(counts.v4, 500);
	CHECK_EQ(counts.v6, 500);
	counts = dump(world, NSP_DUMP_ROUTES, 0, 0, 5000);
	CHECK_EQ(counts.v4, 200);
	CHECK_EQ(counts.v6, 200);
	CHECK_EQ(counts.wrong, 0);
	counts = dump(world, NSP_DUMP_ROUTES, AF_INET6, a, 0);
	CHECK_EQ(counts.v6, 300);
	CHECK_EQ(counts.rows, 300);
	CHECK_EQ(counts.wrong, 0);
	CHECK_EQ(dump(world, NSP_DUMP_ROUTES, AF_INET, a, 5000).rows, 0);
	CHECK_EQ(dump(world, NSP_DUMP_ROUTES, 0, 0, 4711).rows, 0); /* a table that nobody has used */

	counts = dump(world, NSP_DUMP_NEIGHS, 0, 0, 0);
	CHECK_EQ(counts.v4, 500);
	CHECK_EQ(counts.v6, 500);
	counts = dump(world, NSP_DUMP_NEIGHS, 0, b, 0);
	CHECK_EQ(counts.rows, 400);
	CHECK_EQ(counts.wrong, 0);
	CHECK_EQ(dump(world, NSP_DUMP_NEIGHS, AF_INET6, b, 0).rows, 200);
	world_free(world);
}

struct of_protocol {
	int ours;
	int others; /* what the kernel should have kept away */
	int marked; /* the kernel says that it has filtered */
};

static void count_protocol(void *arg, uint32_t index, const void *msg)
{
	struct of_protocol *counts = arg;
	const struct nlmsghdr *head = msg;
	const struct rtmsg *rtm = NLMSG_DATA(head);

	(void)index;
	CHECK_EQ(head->nlmsg_type, RTM_NEWROUTE);
	counts->ours += rtm->rtm_protocol == 110;
	counts->others += rtm->rtm_protocol != 110;
	counts->marked += (head->nlmsg_flags & NLM_F_DUMP_FILTERED) != 0;
}

/* Of a namespace full of others' routes the kernel answers with ours alone, whatever table they are in. */
static void test_by_protocol(void)
{
	struct world *world = world_new();
	int a = world_veth(world, "a"), b = world_veth(world, "b");
	struct nsp_error err = { 0 };
	struct of_protocol counts = { 0 };

	fill(world, a, 1, RT_TABLE_MAIN, 30);
	fill(world, b, 2, 5000, 20);
	for (int i = 0; i < 200; i++) {
		struct nsp_route v4 = route_of(a, "20.0.0.0", 32, NULL), v6 = route_of(a, "fd77::", 128, NULL);

		v4.dst[3] = v6.dst[15] = (uint8_t)i;
		v4.proto = v6.proto = i & 1 ? RTPROT_STATIC : RTPROT_BOOT;
		v4.table = v6.table = i & 2 ? RT_TABLE_MAIN : 5000;
		NEED(nsp_route_put(&world->batch, &v4, NSP_PUT_NEW));
		NEED(nsp_route_put(&world->batch, &v6, NSP_PUT_NEW));
	}
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(nsp_dump_protocol(&world->sock, AF_INET, 110, count_protocol, &counts, &err), 0);
	CHECK_EQ(counts.ours, 50);
	CHECK_EQ(counts.others, 0);
	CHECK_EQ(counts.marked, 50);
	CHECK_EQ(nsp_dump_protocol(&world->sock, AF_INET6, 110, count_protocol, &counts, &err), 0);
	CHECK_EQ(counts.ours, 100);
	CHECK_EQ(counts.others, 0);
	CHECK_EQ(counts.marked, 100);
	CHECK_EQ(nsp_dump_protocol(&world->sock, 0, 110, count_protocol, &counts, &err), 0);
	CHECK_EQ(counts.ours, 200);
	CHECK_EQ(counts.others, 0);
	CHECK_EQ(nsp_dump_protocol(&world->sock, AF_BRIDGE, 110, count_protocol, &counts, &err), -EINVAL);
	CHECK_STR(err.text, "7 is neither of the address families that can be dumped");
	world_free(world);
}

static void count_bridged(void *arg, uint32_t index, const void *msg)
{
	const struct ndmsg *ndm = msg ? NLMSG_DATA((const struct nlmsghdr *)msg) : NULL;

	(void)index;
	*(uint32_t *)arg = ndm ? *(uint32_t *)arg + (ndm->ndm_family == AF_BRIDGE) : 0;
}

/* The entry of its own MAC, which every port of a bridge has in the forwarding table. */
static void test_forwarding_tables(void)
{
	struct world *world = world_new();
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "br0", .kind = "bridge" };
	struct nsp_link port = { .fields = NSP_LINK_INDEX | NSP_LINK_MASTER, .index = world_veth(world, "v0") };
	uint32_t of_bridges = 0, of_all = 0;

	NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	NEED(-abs(world_send(world, NULL)));
	port.master = world_link(world, "br0", &bridge);
	NEED(nsp_link_change(&world->batch, &port));
	NEED(-abs(world_send(world, NULL)));
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_NEIGHS, AF_BRIDGE, 0, 0, count_bridged, &of_bridges, NULL), 0);
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_NEIGHS, 0, 0, 0, count_bridged, &of_all, NULL), 0);
	CHECK(of_bridges > 0);
	CHECK_EQ(of_all, 0);
	world_free(world);
}

static void test_refused(void)
{
	struct world *world = world_new();
	struct nsp_error err = { 0 };

	CHECK_EQ(nsp_dump(&world->sock, 0, 0, 0, 0, count, NULL, &err), -EINVAL);
	CHECK_STR(err.text, "0 is not a table that can be dumped");
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_ROUTES, AF_BRIDGE, 0, 0, count, NULL, &err), -EINVAL);
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_ROUTES, 0, -1, 0, count, NULL, &err), -EINVAL);
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_LINKS, 0, 1000, 0, count, NULL, &err), -ENODEV);
	CHECK_STR(err.text, "dump links: No such device");
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_ADDRS, 0, 1000, 0, count, NULL, &err), -ENODEV);
	CHECK_EQ(nsp_dump(&world->sock, NSP_DUMP_ROUTES, 0, 1000, 0, count, NULL, &err), -ENODEV);
	/* And the socket is fit for the next. */
	CHECK_EQ(dump(world, NSP_DUMP_LINKS, 0, 0, 0).rows, 1);
	world_free(world);
}

struct changer {
	struct world *world;
	atomic_bool stop;
};

static void *change(void *arg)
{
	struct changer *changer = arg;
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "x", .kind = "bridge" };
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint32_t buf[256];

	if (nsp_socket_open(&sock, changer->world->netns, NULL) < 0)
		return NULL;
	while (!atomic_load(&changer->stop)) {
		nsp_batch_init(&batch, buf, sizeof(buf));
		nsp_link_create(&batch, &link, NULL, NSP_NETNS_CURRENT);
		nsp_link_delete(&batch, &link);
		nsp_batch_send(&sock, &batch, NULL, NULL, NULL, NULL);
	}
	nsp_socket_close(&sock);
	return NULL;
}

/* Links that come and go all the while: a dump that met this is told to be forgotten, and what is kept in the end is whole. */
static void test_changes_meanwhile(void)
{
	struct world *world = world_new();
	struct changer changer = { .world = world };
	int restarts = 0, wrong = 0;
	pthread_t thread;

	for (int i = 0; i < 100; i++) {
		struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .kind = "veth" };
		struct nsp_link peer = { .fields = NSP_LINK_NAME };

		snprintf(link.name, sizeof(link.name), "a%d", i);
		snprintf(peer.name, sizeof(peer.name), "b%d", i);
		NEED(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT));
	}
	CHECK_EQ(world_send(world, NULL), 0);
	pthread_create(&thread, NULL, change, &changer);
	for (int i = 0; i < 300; i++) {
		struct counts counts = { 0 };
		int ret = nsp_dump(&world->sock, NSP_DUMP_LINKS, 0, 0, 0, count, &counts, NULL);

		restarts += counts.restarts;
		if (ret == -EINTR)
			continue;
		wrong += ret != 0 || counts.rows < 201 || counts.rows > 202;
	}
	atomic_store(&changer.stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(wrong, 0);
	CHECK(restarts > 0);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_filters();
	test_by_protocol();
	test_forwarding_tables();
	test_refused();
	test_changes_meanwhile();
	return test_end();
}
