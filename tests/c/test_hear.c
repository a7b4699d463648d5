/* SPDX-License-Identifier: Apache-2.0 */
/* Of what happens to routes and neighbours, what others do to ours comes through to the monitor; what we do ourselves does not. */
#include "ear.h"

/* The datagrams about routes and neighbours that have come through, by type of their first message; "" for none. Those about links and
 * addresses are counted: IPv6 addresses come when they like. */
static int links_heard, addresses_heard;

static const char *come_through(struct ear *ear)
{
	static const struct {
		int type;
		const char *name;
	} names[] = { { RTM_NEWROUTE, "newroute" },
		      { RTM_DELROUTE, "delroute" },
		      { RTM_NEWNEIGH, "newneigh" },
		      { RTM_DELNEIGH, "delneigh" } };
	static char text[4096];
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[65536];
	const struct nlmsghdr *head = (const struct nlmsghdr *)(void *)buf;
	size_t n = 0;

	text[0] = 0;
	links_heard = addresses_heard = 0;
	while (recv(ear->mon.fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0) {
		links_heard += head->nlmsg_type == RTM_NEWLINK;
		addresses_heard += head->nlmsg_type == RTM_NEWADDR;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && n < sizeof(text) - 16; i++)
			if (head->nlmsg_type == names[i].type)
				n += (size_t)sprintf(text + n, "%s%s", n ? " " : "", names[i].name);
	}
	return text;
}
/* Of every sort of change one, by this socket. */
static void change_all(struct ear *ear, struct nsp_socket *sock)
{
	static const char *const ips[][2] = { { "10.0.0.0", "192.0.2.9" }, { "fd00::", "2001:db8::9" } };
	struct nsp_batch batch;
	uint32_t buf[1024];

	for (int v6 = 0; v6 < 2; v6++) {
		struct nsp_route route = our_route(ear, ips[v6][0], 16, NULL);
		struct nsp_neigh neigh = neigh_of(ear, ips[v6][1], 9, 110);

		nsp_batch_init(&batch, buf, sizeof(buf));
		nsp_route_put(&batch, &route, NSP_PUT_NEW);
		route.fields |= NSP_ROUTE_GATEWAY;
		inet_pton(route.family, ips[v6][1], route.gateway);
		nsp_route_put(&batch, &route, NSP_PUT_REPLACE);
		nsp_route_delete(&batch, &route);
		nsp_neigh_put(&batch, &neigh, NSP_PUT_NEW);
		neigh.mac[5] = 8;
		nsp_neigh_put(&batch, &neigh, NSP_PUT_REPLACE);
		nsp_neigh_delete(&batch, &neigh);
		CHECK_EQ(nsp_batch_send(sock, &batch, outcome_failed, NULL, &(struct outcome){ 0 }, NULL), 0);
	}
}
static void test_own_echo_is_dropped(void)
{
	struct ear ear = ear_new();
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_GROUP, .index = ear.rig->link, .group = 5 };
	struct nsp_addr addr = addr_of(ear.rig->link, "198.51.100.1", 24);
	struct nsp_socket own;
	struct nsp_batch batch;
	uint32_t buf[256];

	come_through(&ear); /* the core has no socket there yet */
	CHECK_EQ(nsp_socket_open_as(&own, ear.rig->world->netns, ear.mon.portid, NULL), 0);
	CHECK_EQ(own.portid, ear.mon.portid);
	CHECK(own.portid >= 0x40000000 && own.portid < 0x80000000);
	change_all(&ear, &own);
	CHECK_STR(come_through(&ear), "");

	/* Links and addresses are another monitor's. */
	nsp_batch_init(&batch, buf, sizeof(buf));
	nsp_link_change(&batch, &link);
	nsp_addr_add(&batch, &addr);
	CHECK_EQ(nsp_batch_send(&own, &batch, NULL, NULL, NULL, NULL), 0);
	CHECK_STR(come_through(&ear), "");
	CHECK(!links_heard && !addresses_heard);
	nsp_socket_close(&own);
	ear_free(&ear);
}
/* Puts a datagram of its own making onto the multicast group. It is addressed to a socket, or the kernel would carry it out. */
static void shout(struct ear *ear, const void *data, size_t len)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE };
	struct nsp_socket sock;

	NEED(nsp_socket_open(&sock, ear->rig->world->netns, NULL));
	group.nl_pid = sock.portid;
	CHECK_EQ(sendto(sock.fd, data, len, 0, (struct sockaddr *)&group, sizeof(group)), (ssize_t)len);
	nsp_socket_close(&sock);
}
static void test_what_others_do_comes_through(void)
{
	struct ear ear = ear_new();
	struct nsp_route route = our_route(&ear, "10.0.0.0", 16, NULL);

	listen_in(&ear);
	/* A neighbour that is deleted is told as one that has failed, by whom; that it is gone is the kernel's word then. */
	change_all(&ear, &ear.rig->world->sock);
	CHECK_STR(come_through(&ear), "newroute delroute newneigh newneigh newneigh newroute delroute newneigh newneigh newneigh");
	route.proto = RTPROT_STATIC;
	nsp_route_put(&ear.rig->world->batch, &route, NSP_PUT_NEW);
	send_all(&ear);
	nsp_route_delete(&ear.rig->world->batch, &route);
	send_all(&ear);
	CHECK_STR(come_through(&ear), "");
	ear_free(&ear);
}
/* The filter knows a datagram's first message only: one of several passes, whoever made the first, and each is judged when it is read.
 * (The kernel makes none; they come from a process here, which is not believed.) */
static void test_several_messages(void)
{
	struct ear ear = ear_new();
	struct nsp_batch *batch = &ear.rig->world->batch;
	struct nsp_route route = our_route(&ear, "10.0.0.0", 16, NULL);
	struct nlmsghdr *first = (struct nlmsghdr *)(void *)batch->buf;

	listen_in(&ear);
	nsp_route_put(batch, &route, NSP_PUT_REPLACE);
	first->nlmsg_pid = ear.mon.portid;
	shout(&ear, batch->buf, batch->len);
	CHECK_STR(come_through(&ear), "");
	uint32_t one = batch->len;
	nsp_route_delete(batch, &route);
	shout(&ear, batch->buf, batch->len);
	CHECK_STR(come_through(&ear), "newroute");
	shout(&ear, batch->buf, one + NLMSG_HDRLEN); /* room for a header is room for a message */
	CHECK_STR(come_through(&ear), "newroute");
	shout(&ear, batch->buf, one + NLMSG_HDRLEN - 1);
	CHECK_STR(come_through(&ear), "");
	first->nlmsg_len = 0x20000000; /* longer than any: no harm */
	shout(&ear, batch->buf, one);
	CHECK_STR(come_through(&ear), "newroute");
	nsp_batch_reset(batch);

	/* Each by itself. */
	nsp_route_put(batch, &route, NSP_PUT_REPLACE);
	CHECK(nsp_heard_matters(first, 5));
	first->nlmsg_pid = 5;
	CHECK(!nsp_heard_matters(first, 5));
	nsp_batch_reset(batch);
	nsp_route_put(batch, &route, NSP_PUT_NEW);
	CHECK(!nsp_heard_matters(first, 5));
	first->nlmsg_flags |= NLM_F_REPLACE;
	CHECK(nsp_heard_matters(first, 5));
	first->nlmsg_len = 20;
	CHECK(!nsp_heard_matters(first, 5));
	nsp_batch_reset(batch);
	nsp_route_delete(batch, &route);
	CHECK(nsp_heard_matters(first, 5));
	route.proto = 4;
	nsp_batch_reset(batch);
	nsp_route_delete(batch, &route);
	CHECK(!nsp_heard_matters(first, 5));
	for (int i = 0; i < 8; i++) {
		struct nsp_neigh neigh = neigh_of(&ear, "192.0.2.9", 9, i & 1 ? 110 : 0);
		nsp_batch_reset(batch);
		nsp_neigh_put(batch, &neigh, NSP_PUT_NEW);
		first->nlmsg_type = i & 2 ? RTM_DELNEIGH : RTM_NEWNEIGH;
		first->nlmsg_pid = i & 4 ? 17 : 0;
		CHECK_EQ(nsp_heard_matters(first, 5), i & 4 || i & 1);
	}
	((struct ndmsg *)NLMSG_DATA(first))->ndm_state = NUD_FAILED;
	CHECK(!nsp_heard_matters(first, 5));
	first->nlmsg_type = RTM_NEWNEIGH;
	CHECK(nsp_heard_matters(first, 5));
	nsp_batch_reset(batch);
	ear_free(&ear);
}

/* What the kernel does to neighbours by itself is not heard; what is done by ioctl(2) looks like that, and is. */
static void test_nobody_s_neighbours(void)
{
	struct ear ear = ear_new();
	struct arpreq ours = arp_of("192.0.2.9", 9), other = arp_of("192.0.2.10", 10);

	replace_neigh(&ear, "192.0.2.9", 9, 110, NUD_PERMANENT);
	replace_neigh(&ear, "192.0.2.10", 10, 0, NUD_PERMANENT);
	replace_neigh(&ear, "192.0.2.11", 11, 0, NUD_REACHABLE);
	replace_neigh(&ear, "192.0.2.12", 12, 0, NUD_PROBE); /* fails after three seconds, if not sooner */
	send_all(&ear);
	come_through(&ear);
	CHECK_EQ(by_ioctl(&ear, SIOCDARP, &other), 0);
	CHECK_STR(come_through(&ear), "");
	CHECK_EQ(by_ioctl(&ear, SIOCDARP, &ours), 0);
	CHECK_STR(come_through(&ear), "newneigh");
	replace_neigh(&ear, "192.0.2.9", 9, 110, NUD_PERMANENT);
	send_all(&ear);
	come_through(&ear);
	ours.arp_ha.sa_data[5] = 7;
	CHECK_EQ(by_ioctl(&ear, SIOCSARP, &ours), 0);
	CHECK_STR(come_through(&ear), "newneigh");

	/* All go with another MAC of the link, and one is ours. */
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_MAC, .index = ear.rig->link, .mac = { 2, 0, 0, 0, 0, 1 } };
	NEED(nsp_link_change(&ear.rig->world->batch, &link));
	send_all(&ear);
	CHECK_STR(come_through(&ear), "delneigh");
	ear_free(&ear);
}

int main(void)
{
	test_needs_root();
	test_own_echo_is_dropped();
	test_what_others_do_comes_through();
	test_several_messages();
	test_nobody_s_neighbours();
	return test_end();
}
