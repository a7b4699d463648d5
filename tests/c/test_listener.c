/* SPDX-License-Identifier: Apache-2.0 */
/* Of what happens to routes and neighbours, what others do to ours comes through to the monitor; what we do ourselves does not. */
#include "listener.h"

#include "kinds/filter.h"

/* The datagrams about routes and neighbours that have come through, by type of their first message; "" for none. Those about links and
 * addresses are counted: IPv6 addresses come when they like. */
static int links_heard, addresses_heard;

static const char *come_through(struct listener *listener)
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
	while (recv(listener->mon.fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0) {
		links_heard += head->nlmsg_type == RTM_NEWLINK;
		addresses_heard += head->nlmsg_type == RTM_NEWADDR;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && n < sizeof(text) - 16; i++)
			if (head->nlmsg_type == names[i].type)
				n += (size_t)sprintf(text + n, "%s%s", n ? " " : "", names[i].name);
	}
	return text;
}
/* Of every sort of change one, by this socket. */
static void change_all(struct listener *listener, struct nsp_socket *sock)
{
	static const char *const ips[][2] = { { "10.0.0.0", "192.0.2.9" }, { "fd00::", "2001:db8::9" } };
	struct nsp_batch batch;
	uint32_t buf[1024];

	for (int v6 = 0; v6 < 2; v6++) {
		struct nsp_route route = our_route(listener, ips[v6][0], 16, NULL);
		struct nsp_neigh neigh = neigh_of(listener, ips[v6][1], 9, 110);

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
	struct listener listener = listener_new();
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_GROUP, .index = listener.rig->link, .group = 5 };
	struct nsp_addr addr = addr_of(listener.rig->link, "198.51.100.1", 24);
	struct nsp_socket own;
	struct nsp_batch batch;
	uint32_t buf[256];

	come_through(&listener); /* the core has no socket there yet */
	CHECK_EQ(nsp_socket_open_as(&own, listener.rig->world->netns, listener.mon.portid, NULL), 0);
	CHECK_EQ(own.portid, listener.mon.portid);
	CHECK(own.portid >= 0x40000000 && own.portid < 0x80000000);
	change_all(&listener, &own);
	CHECK_STR(come_through(&listener), "");

	/* Links and addresses are another monitor's. */
	nsp_batch_init(&batch, buf, sizeof(buf));
	nsp_link_change(&batch, &link);
	nsp_addr_add(&batch, &addr);
	CHECK_EQ(nsp_batch_send(&own, &batch, NULL, NULL, NULL, NULL), 0);
	CHECK_STR(come_through(&listener), "");
	CHECK(!links_heard && !addresses_heard);
	nsp_socket_close(&own);
	listener_free(&listener);
}
/* Puts a datagram of its own making onto the multicast group. It is addressed to a socket, or the kernel would carry it out. */
static void shout(struct listener *listener, const void *data, size_t len)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE };
	struct nsp_socket sock;

	NEED(nsp_socket_open(&sock, listener->rig->world->netns, NULL));
	group.nl_pid = sock.portid;
	CHECK_EQ(sendto(sock.fd, data, len, 0, (struct sockaddr *)&group, sizeof(group)), (ssize_t)len);
	nsp_socket_close(&sock);
}
static void test_what_others_do_comes_through(void)
{
	struct listener listener = listener_new();
	struct nsp_route route = our_route(&listener, "10.0.0.0", 16, NULL);

	listen_in(&listener);
	/* A neighbour that is deleted is told as one that has failed, by whom; that it is gone is the kernel's word then. */
	change_all(&listener, &listener.rig->world->sock);
	CHECK_STR(come_through(&listener),
		  "newroute delroute newneigh newneigh newneigh newroute delroute newneigh newneigh newneigh");
	route.proto = RTPROT_STATIC;
	nsp_route_put(&listener.rig->world->batch, &route, NSP_PUT_NEW);
	send_all(&listener);
	nsp_route_delete(&listener.rig->world->batch, &route);
	send_all(&listener);
	CHECK_STR(come_through(&listener), "");
	listener_free(&listener);
}
/* The filter knows a datagram's first message only: one of several passes, whoever made the first, and each is judged when it is read.
 * (The kernel makes none; they come from a process here, which is not believed.) */
static void test_several_messages(void)
{
	struct listener listener = listener_new();
	struct nsp_batch *batch = &listener.rig->world->batch;
	struct nsp_route route = our_route(&listener, "10.0.0.0", 16, NULL);
	struct nlmsghdr *first = (struct nlmsghdr *)(void *)batch->buf;

	listen_in(&listener);
	nsp_route_put(batch, &route, NSP_PUT_REPLACE);
	first->nlmsg_pid = listener.mon.portid;
	shout(&listener, batch->buf, batch->len);
	CHECK_STR(come_through(&listener), "");
	uint32_t one = batch->len;
	nsp_route_delete(batch, &route);
	shout(&listener, batch->buf, batch->len);
	CHECK_STR(come_through(&listener), "newroute");
	shout(&listener, batch->buf, one + NLMSG_HDRLEN); /* room for a header is room for a message */
	CHECK_STR(come_through(&listener), "newroute");
	shout(&listener, batch->buf, one + NLMSG_HDRLEN - 1);
	CHECK_STR(come_through(&listener), "");
	first->nlmsg_len = 0x20000000; /* longer than any: no harm */
	shout(&listener, batch->buf, one);
	CHECK_STR(come_through(&listener), "newroute");
	nsp_batch_reset(batch);

	/* Each by itself. */
	nsp_route_put(batch, &route, NSP_PUT_REPLACE);
	CHECK(filter_passes(first, 5));
	first->nlmsg_pid = 5;
	CHECK(!filter_passes(first, 5));
	nsp_batch_reset(batch);
	nsp_route_put(batch, &route, NSP_PUT_NEW);
	CHECK(!filter_passes(first, 5));
	first->nlmsg_flags |= NLM_F_REPLACE;
	CHECK(filter_passes(first, 5));
	first->nlmsg_len = 20;
	CHECK(!filter_passes(first, 5));
	nsp_batch_reset(batch);
	nsp_route_delete(batch, &route);
	CHECK(filter_passes(first, 5));
	route.proto = 4;
	nsp_batch_reset(batch);
	nsp_route_delete(batch, &route);
	CHECK(!filter_passes(first, 5));
	for (int i = 0; i < 8; i++) {
		struct nsp_neigh neigh = neigh_of(&listener, "192.0.2.9", 9, i & 1 ? 110 : 0);
		nsp_batch_reset(batch);
		nsp_neigh_put(batch, &neigh, NSP_PUT_NEW);
		first->nlmsg_type = i & 2 ? RTM_DELNEIGH : RTM_NEWNEIGH;
		first->nlmsg_pid = i & 4 ? 17 : 0;
		CHECK_EQ(filter_passes(first, 5), i & 4 || i & 1);
	}
	((struct ndmsg *)NLMSG_DATA(first))->ndm_state = NUD_FAILED;
	CHECK(!filter_passes(first, 5));
	first->nlmsg_type = RTM_NEWNEIGH;
	CHECK(filter_passes(first, 5));
	nsp_batch_reset(batch);
	listener_free(&listener);
}

/* What the kernel does to neighbours by itself is not heard; what is done by ioctl(2) looks like that, and is. */
static void test_nobody_s_neighbours(void)
{
	struct listener listener = listener_new();
	struct arpreq ours = arp_of("192.0.2.9", 9), other = arp_of("192.0.2.10", 10);

	replace_neigh(&listener, "192.0.2.9", 9, 110, NUD_PERMANENT);
	replace_neigh(&listener, "192.0.2.10", 10, 0, NUD_PERMANENT);
	replace_neigh(&listener, "192.0.2.11", 11, 0, NUD_REACHABLE);
	replace_neigh(&listener, "192.0.2.12", 12, 0, NUD_PROBE); /* fails after three seconds, if not sooner */
	send_all(&listener);
	come_through(&listener);
	CHECK_EQ(by_ioctl(&listener, SIOCDARP, &other), 0);
	CHECK_STR(come_through(&listener), "");
	CHECK_EQ(by_ioctl(&listener, SIOCDARP, &ours), 0);
	CHECK_STR(come_through(&listener), "newneigh");
	replace_neigh(&listener, "192.0.2.9", 9, 110, NUD_PERMANENT);
	send_all(&listener);
	come_through(&listener);
	ours.arp_ha.sa_data[5] = 7;
	CHECK_EQ(by_ioctl(&listener, SIOCSARP, &ours), 0);
	CHECK_STR(come_through(&listener), "newneigh");

	/* All go with another MAC of the link, and one is ours. */
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_MAC,
				 .index = listener.rig->link,
				 .mac = { 2, 0, 0, 0, 0, 1 } };
	NEED(nsp_link_change(&listener.rig->world->batch, &link));
	send_all(&listener);
	CHECK_STR(come_through(&listener), "delneigh");
	listener_free(&listener);
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
