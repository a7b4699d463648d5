/* SPDX-License-Identifier: Apache-2.0 */
/* What others do to our routes and neighbours is heard, told and put right; what we do ourselves does not come as far as the socket. */
#include "rig.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/route.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

/* Its steps by themselves: for what happens between two of them. */
#define queue_push queue_push_by_steps
#define writer_run writer_run_by_steps
#include "core/writer.c"
#undef queue_push
#undef writer_run

/* A rig and what hears it. */
struct ear {
	struct rig *rig;
	struct nsp_monitor mon;
};

static struct ear ear_new(void)
{
	struct ear ear = { .rig = rig_new_ready() };
	struct nsp_error err = { 0 };

	NEED(nsp_monitor_open(&ear.mon, &err));
	NEED(nsp_core_hear(ear.rig->core, &ear.mon, &err));
	int nsid = nsp_monitor_watch(&ear.mon, ear.rig->world->netns, &err);
	NEED(nsid);
	nsp_core_netns_heard(ear.rig->core, ear.rig->netns, nsid);
	return ear;
}

static void ear_free(struct ear *ear)
{
	rig_free(ear->rig);
	nsp_monitor_close(&ear->mon);
}

/* Takes in what has come, until nothing more does and the writer has done what follows from it. */
static void listen_in(struct ear *ear)
{
	static struct nsp_event events[64];
	struct pollfd fd = { .fd = ear->mon.fd, .events = POLLIN };

	do {
		while (nsp_monitor_read(&ear->mon, events, 64, NULL) > 0)
			;
		nsp_core_repair(ear->rig->core);
		rig_quiet(ear->rig);
		rig_quiet(ear->rig);
	} while (poll(&fd, 1, 50) > 0);
}

static void send_all(struct ear *ear)
{
	CHECK_EQ(world_send(ear->rig->world, NULL), 0);
}

static struct nsp_totals totals(struct ear *ear)
{
	struct nsp_totals totals;

	nsp_core_totals(ear->rig->core, &totals);
	return totals;
}

static struct nsp_route our_route(struct ear *ear, const char *dst, uint8_t len, const char *gateway)
{
	struct nsp_route route = route_of(ear->rig->link, dst, len, gateway);

	route.metric = route.family == AF_INET6 ? 1024 : 0;
	return route;
}

static void delete_route(struct ear *ear, const char *dst, uint8_t len)
{
	struct nsp_route route = our_route(ear, dst, len, NULL);

	NEED(nsp_route_delete(&ear->rig->world->batch, &route));
}

static void replace_route(struct ear *ear, const char *dst, uint8_t len, const char *gateway, uint8_t proto)
{
	struct nsp_route route = our_route(ear, dst, len, gateway);

	route.proto = proto;
	NEED(nsp_route_put(&ear->rig->world->batch, &route, NSP_PUT_REPLACE));
}

static struct nsp_neigh neigh_of(struct ear *ear, const char *ip, uint8_t last, uint8_t proto)
{
	struct nsp_neigh neigh = { .index = ear->rig->link, .proto = proto, .mac_len = 6, .mac = { 2, 0, 0, 0, 0, last } };

	neigh.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	inet_pton(neigh.family, ip, neigh.dst);
	return neigh;
}

static void delete_neigh(struct ear *ear, const char *ip)
{
	struct nsp_neigh neigh = neigh_of(ear, ip, 0, 0);

	NEED(nsp_neigh_delete(&ear->rig->world->batch, &neigh));
}

static void replace_neigh(struct ear *ear, const char *ip, uint8_t last, uint8_t proto, uint16_t state)
{
	struct nsp_neigh neigh = neigh_of(ear, ip, last, proto);

	neigh.state = state;
	NEED(nsp_neigh_put(&ear->rig->world->batch, &neigh, NSP_PUT_REPLACE));
}

/* ---- the filter ---- */

/* The datagrams that have come through, by type of their first message; "" for none. */
static const char *come_through(struct ear *ear)
{
	static const struct {
		int type;
		const char *name;
	} names[] = { { RTM_NEWROUTE, "newroute" }, { RTM_DELROUTE, "delroute" }, { RTM_NEWNEIGH, "newneigh" },
		      { RTM_DELNEIGH, "delneigh" }, { RTM_NEWLINK, "newlink" },	  { RTM_DELLINK, "dellink" },
		      { RTM_NEWADDR, "newaddr" },   { RTM_DELADDR, "deladdr" } };
	static char text[4096];
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[65536];
	ssize_t len;
	size_t n = 0;

	text[0] = 0;
	while ((len = recv(ear->mon.fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && n < sizeof(text) - 16; i++)
			if (((struct nlmsghdr *)(void *)buf)->nlmsg_type == names[i].type)
				n += (size_t)sprintf(text + n, "%s%s", n ? " " : "", names[i].name);
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

	/* Links and addresses are heard, whoever changes them. */
	nsp_batch_init(&batch, buf, sizeof(buf));
	nsp_link_change(&batch, &link);
	nsp_addr_add(&batch, &addr);
	CHECK_EQ(nsp_batch_send(&own, &batch, NULL, NULL, NULL, NULL), 0);
	CHECK_STR(come_through(&ear), "newlink newaddr");
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
static int by_ioctl(struct ear *ear, unsigned long request, void *arg)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), rc;

	NEED(nsp_netns_enter(ear->rig->world->netns, NULL));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = ioctl(fd, request, arg);
	close(fd);
	NEED(nsp_netns_enter(own, NULL));
	close(own);
	return rc;
}

static struct arpreq arp_of(const char *ip, uint8_t last)
{
	struct arpreq arp = { .arp_flags = ATF_PERM | ATF_COM, .arp_dev = "v0" };
	struct sockaddr_in *address = (struct sockaddr_in *)(void *)&arp.arp_pa;

	address->sin_family = AF_INET;
	inet_pton(AF_INET, ip, &address->sin_addr);
	arp.arp_ha.sa_family = ARPHRD_ETHER;
	arp.arp_ha.sa_data[0] = 2;
	arp.arp_ha.sa_data[5] = (char)last;
	return arp;
}

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
	CHECK_STR(come_through(&ear), "newlink delneigh");
	ear_free(&ear);
}

/* ---- what the core makes of it ---- */

#define ALL                                                                                                                        \
	"[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.1.0.0/16, gateway: 192.0.2.9},"  \
	" {kind: route, interface: web0, dst: fd00::/16}, {kind: route, interface: web0, dst: fd01::/16, gateway: 2001:db8::9},"   \
	" {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"                                                    \
	" {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]"

static struct ear ear_with_all(void)
{
	struct ear ear = ear_new();

	rig_put(ear.rig, ALL);
	CHECK_EQ(ear.rig->counts[NSP_STATE_CONFIGURED], 6);
	listen_in(&ear);
	nsp_core_watch(ear.rig->core, 1);
	return ear;
}

static void check_all(struct rig *rig)
{
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "10.1.0.0/16"), "via 192.0.2.9");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(rig, "fd01::/16"), "via 2001:db8::9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "state 0x80");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	CHECK_EQ(ours_in_kernel(rig), 4);
}

static void test_deleted(void)
{
	struct ear ear = ear_with_all();
	long count;

	delete_route(&ear, "10.0.0.0", 8);
	delete_route(&ear, "10.1.0.0", 16);
	delete_route(&ear, "fd00::", 16);
	delete_route(&ear, "fd01::", 16);
	delete_neigh(&ear, "192.0.2.9");
	delete_neigh(&ear, "2001:db8::9");
	send_all(&ear);
	listen_in(&ear);
	check_all(ear.rig);
	const char *text = rig_changes(ear.rig, &count);
	CHECK_EQ(count, 6);
	CHECK_HAS(text, "drift/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: configured");
	CHECK_HAS(text, "drift/route/web0/fd01::/16: {");
	CHECK_HAS(text, "item: {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}, found: missing}");
	CHECK_EQ(totals(&ear).missing, 6);
	CHECK_EQ(totals(&ear).altered, 0);
	ear_free(&ear);
}

static void test_changed(void)
{
	struct ear ear = ear_with_all();
	long count;

	replace_route(&ear, "10.0.0.0", 8, "192.0.2.77", 110);
	replace_route(&ear, "10.1.0.0", 16, NULL, 110);
	replace_route(&ear, "fd00::", 16, "2001:db8::77", 110);
	replace_route(&ear, "fd01::", 16, "2001:db8::77", 110);
	replace_neigh(&ear, "192.0.2.9", 0x77, 110, 0);
	replace_neigh(&ear, "2001:db8::9", 9, 110, NUD_STALE);
	send_all(&ear);
	listen_in(&ear);
	check_all(ear.rig);
	const char *text = rig_changes(ear.rig, &count);
	CHECK_EQ(count, 6);
	CHECK_HAS(text, "drift/route/web0/10.1.0.0/16: {");
	CHECK_HAS(text, "found: altered}");
	CHECK_EQ(totals(&ear).altered, 6);
	CHECK_EQ(totals(&ear).missing, 0);

	/* Replaced by the same: nothing is wrong. */
	uint64_t before = totals(&ear).written;
	replace_route(&ear, "10.0.0.0", 8, NULL, 110);
	replace_route(&ear, "fd01::", 16, "2001:db8::9", 110);
	replace_neigh(&ear, "192.0.2.9", 9, 110, 0);
	send_all(&ear);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).altered, 6);
	CHECK_EQ(totals(&ear).written, before);
	ear_free(&ear);
}

/* Somebody else's is in the place: as it would be with a new one. */
static void test_foreign_in_its_place(void)
{
	struct ear ear = ear_new();
	struct rig *rig = ear.rig;
	int32_t other = world_veth(rig->world, "v1"), here = rig->link;
	long count;

	rig_addr(rig, other, "198.51.100.1", 24);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8, override: "
		     "true}, {kind: route, interface: web0, dst: 12.0.0.0/8}, {kind: route, interface: web0, dst: fd00::/16},"
		     " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"
		     " {kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a, override: true}]");
	listen_in(&ear);
	nsp_core_watch(rig->core, 1);
	replace_route(&ear, "10.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	replace_route(&ear, "11.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	rig->link = other;
	replace_route(&ear, "12.0.0.0", 8, "198.51.100.77", RTPROT_STATIC);
	rig->link = here;
	replace_route(&ear, "fd00::", 16, "2001:db8::77", RTPROT_STATIC);
	replace_neigh(&ear, "192.0.2.9", 0x77, RTPROT_STATIC, 0);
	replace_neigh(&ear, "192.0.2.10", 0x77, RTPROT_STATIC, 0);
	send_all(&ear);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).altered, 6);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "exists: a route of protocol static, gateway 192.0.2.77");
	CHECK_HAS(rig_row(rig, "route/web0/12.0.0.0/8"), "exists: a route of protocol static, gateway 198.51.100.77");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/16"), "exists: a route of protocol static");
	CHECK_HAS(rig_row(rig, "arp/web0/192.0.2.9"), "exists: a permanent entry of protocol static");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "arp/web0/192.0.2.10"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:0a");
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 6 + 4);
	CHECK_HAS(text, "drift/route/web0/12.0.0.0/8: {");
	CHECK_HAS(text, "previous: configured}");
	rig_delete(rig, "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8, arp/web0/192.0.2.9, arp/web0/192.0.2.10]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:77");
	ear_free(&ear);
}

static void test_own_changes_are_no_drift(void)
{
	struct ear ear = ear_with_all();
	char *items = routes(0, 5000, ""), *others = routes(0, 5000, ", gateway: 192.0.2.9");
	long count;

	rig_put(ear.rig, items);
	rig_put(ear.rig, others);
	rig_put(ear.rig, items);
	rig_put(ear.rig, "[{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:0a}]");
	rig_delete(ear.rig, "[arp/web0/192.0.2.9, route/web0/10.0.0.0/8, route/web0/fd00::/16]");
	rig_lost(ear.rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_ready(ear.rig);
	listen_in(&ear);
	CHECK(!strstr(rig_changes(ear.rig, &count), "drift/"));
	CHECK_EQ(totals(&ear).missing + totals(&ear).altered, 0);
	free(items);
	free(others);
	ear_free(&ear);
}

/* Somebody else has the port id in the namespace: another is taken, and its echo is known by that. */
static void test_port_taken(void)
{
	struct rig *rig = rig_new();
	struct ear ear = { .rig = rig };
	struct nsp_socket taken;

	CHECK_EQ(nsp_socket_open_as(&taken, rig->world->netns, rig->core->portid, NULL), 0);
	NEED(nsp_monitor_open(&ear.mon, NULL));
	NEED(nsp_core_hear(rig->core, &ear.mon, NULL));
	nsp_core_netns_heard(rig->core, rig->netns, nsp_monitor_watch(&ear.mon, rig->world->netns, NULL));
	rig_ready(rig);
	rig_put(rig, ALL);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 6);
	CHECK(rig->core->netns[rig->netns]->sock.portid != rig->core->portid);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}]");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing + totals(&ear).altered, 0);
	delete_route(&ear, "10.0.0.0", 8);
	send_all(&ear);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing, 1);
	check_all(rig);
	nsp_socket_close(&taken);
	ear_free(&ear);
}

/* The slot is not ready, the namespace is not known any more, or what goes is not wanted anyway: nothing happens. */
static void test_nothing_to_do(void)
{
	struct ear ear = ear_with_all();
	uint64_t before;

	nsp_core_hold(ear.rig->core, 1);
	uint32_t serial = rig_start_as(ear.rig, "lab", 0, "[{kind: route, interface: web0, dst: 13.0.0.0/8}]", true);
	rig_end(ear.rig, serial);
	serial = rig_start_delete(ear.rig, "lab", "[route/web0/13.0.0.0/8]", 0);
	delete_route(&ear, "13.0.0.0", 8);
	send_all(&ear);
	before = totals(&ear).written;
	while (nsp_monitor_read(&ear.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
		;
	rig_end(ear.rig, serial); /* it has gone: the deletion that is held is not waited for */
	CHECK_EQ(ear.rig->counts[NSP_STATE_REMOVED], 1);
	nsp_core_hold(ear.rig->core, 0);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).written, before + 2); /* the gateways that may have been behind it */

	rig_lost(ear.rig, "[interface/web0]", 0);
	delete_route(&ear, "10.0.0.0", 8);
	replace_route(&ear, "fd00::", 16, "2001:db8::77", 4);
	send_all(&ear);
	listen_in(&ear);
	rig_ready(ear.rig);
	rig_quiet(ear.rig);
	rig_quiet(ear.rig);
	nsp_core_netns_heard(ear.rig->core, ear.rig->netns, 99);
	delete_route(&ear, "10.0.0.0", 8);
	send_all(&ear);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing + totals(&ear).altered, 0);
	CHECK_STR(in_kernel(ear.rig, "10.0.0.0/8"), "");
	nsp_core_netns_heard(ear.rig->core, ear.rig->netns, 4711); /* there is room for any */
	ear_free(&ear);
}

/* By ioctl(2) nobody is named. IPv4 routes are told of all the same; IPv6 routes may have been dropped by the kernel, and are put again where
 * their slot is ready still. */
static void test_by_ioctl(void)
{
	struct ear ear = ear_with_all();
	struct rtentry entry = { .rt_flags = RTF_UP, .rt_dev = (char[]){ "v0" } };
	struct sockaddr_in *dst = (struct sockaddr_in *)(void *)&entry.rt_dst,
			   *mask = (struct sockaddr_in *)(void *)&entry.rt_genmask;
	struct arpreq arp = arp_of("192.0.2.9", 0);
	long count;

	dst->sin_family = mask->sin_family = AF_INET;
	inet_pton(AF_INET, "10.0.0.0", &dst->sin_addr);
	inet_pton(AF_INET, "255.0.0.0", &mask->sin_addr);
	CHECK_EQ(by_ioctl(&ear, SIOCDELRT, &entry), 0);
	CHECK_EQ(by_ioctl(&ear, SIOCDARP, &arp), 0);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing, 2);
	CHECK_HAS(rig_changes(ear.rig, &count), "drift/route/web0/10.0.0.0/8: {");
	CHECK_EQ(count, 2);
	check_all(ear.rig);
	ear_free(&ear);
}

/* The kernel drops IPv6 routes with its link, or with IPv6 on it. */
static void test_dropped_by_the_kernel(void)
{
	struct ear ear = ear_with_all();
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_MTU, .index = ear.rig->link, .mtu = 1200 };
	struct nsp_event events[64];
	long count;

	/* An MTU too low for IPv6, for a moment. Nobody says that the slot was lost. */
	NEED(nsp_link_change(&ear.rig->world->batch, &link));
	link.mtu = 1500;
	NEED(nsp_link_change(&ear.rig->world->batch, &link));
	send_all(&ear);
	rig_addr(ear.rig, ear.rig->link, "2001:db8::1", 64);
	CHECK_STR(in_kernel(ear.rig, "fd00::/16"), "");
	while (nsp_monitor_read(&ear.mon, events, 64, NULL) > 0)
		;
	rig_quiet(ear.rig);
	CHECK_STR(in_kernel(ear.rig, "fd00::/16"), ""); /* not before it is known what else went */
	listen_in(&ear);
	CHECK_HAS(in_kernel(ear.rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(ear.rig, "fd01::/16"), "via 2001:db8::9");
	CHECK_HAS(neigh_in_kernel(ear.rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	CHECK(!strstr(rig_changes(ear.rig, &count), "drift/"));
	CHECK_EQ(totals(&ear).missing, 0);

	/* The link goes down, and the slot is lost: nothing is written in vain. */
	uint64_t before = totals(&ear).written;
	link.fields = NSP_LINK_INDEX | NSP_LINK_UP;
	link.up = 0;
	NEED(nsp_link_change(&ear.rig->world->batch, &link));
	send_all(&ear);
	while (nsp_monitor_read(&ear.mon, events, 64, NULL) > 0)
		;
	rig_lost(ear.rig, "[interface/web0]", 0);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).written, before);
	ear_free(&ear);
}

/* Deleted while it is in flight: was that before it was put or after? It is put as new, which is right in both cases. */
static void test_in_flight(void)
{
	struct ear ear = ear_with_all();
	struct nsp_core *core = ear.rig->core;
	long count;

	for (int before = 0; before < 2; before++) {
		uint32_t id = table_find(&core->table, ear.rig->slot, WISH_ROUTE4, (uint8_t[16]){ 10 }, 8, 0, 254);
		struct row *row = table_row(&core->table, id);
		struct flight flight = {
			.row = id, .netns = ear.rig->netns, .ifindex = ear.rig->link, .replaces = true, .on_link = true
		};

		flight.generation = core->slots[row->slot]->generation;
		row->flags |= ROW_INFLIGHT; /* the writer sleeps */
		delete_route(&ear, "10.0.0.0", 8);
		if (before)
			replace_route(&ear, "10.0.0.0", 8, NULL, 110);
		send_all(&ear);
		while (nsp_monitor_read(&ear.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
			;
		CHECK_EQ(row->flags & (ROW_HELD | ROW_INFLIGHT | ROW_SHAKEN), ROW_HELD | ROW_INFLIGHT | ROW_SHAKEN);
		uint64_t written = totals(&ear).written;
		pthread_mutex_lock(&core->lock);
		CHECK(!land(core, &flight));
		CHECK_EQ(row->flags & (ROW_HELD | ROW_INFLIGHT | ROW_SHAKEN | ROW_QUEUED), ROW_SHAKEN | ROW_QUEUED);
		pthread_mutex_unlock(&core->lock);
		listen_in(&ear);
		check_all(ear.rig);
		CHECK_EQ(totals(&ear).written, written + 1 + (uint64_t)before);
	}
	rig_changes(ear.rig, &count);
	CHECK_EQ(count, 0);
	ear_free(&ear);
}

/* Deleted and put back before it was heard: what is not wanted any more by then, or withdrawn, is deleted all the same. */
static void test_heard_late(void)
{
	struct ear ear = ear_with_all();

	for (int withdrawn = 0; withdrawn < 2; withdrawn++) {
		nsp_core_hold(ear.rig->core, 1);
		delete_route(&ear, "10.0.0.0", 8);
		replace_route(&ear, "10.0.0.0", 8, NULL, 110);
		send_all(&ear);
		while (nsp_monitor_read(&ear.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
			;
		if (withdrawn) {
			rig_lost(ear.rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
			nsp_core_hold(ear.rig->core, 0);
			rig_quiet(ear.rig);
			CHECK_EQ(ours_in_kernel(ear.rig), 0);
			continue;
		}
		uint32_t serial = rig_start_delete(ear.rig, "lab", "[route/web0/10.0.0.0/8]", 0);
		nsp_core_hold(ear.rig->core, 0);
		rig_end(ear.rig, serial);
		CHECK_EQ(ear.rig->counts[NSP_STATE_REMOVED], 1);
		CHECK_STR(in_kernel(ear.rig, "10.0.0.0/8"), "");
		rig_put(ear.rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	}
	ear_free(&ear);
}

/* ---- a fight ---- */

static void test_fight(void)
{
	struct ear ear = ear_new();
	struct rig *rig = ear.rig;
	struct row *row;
	long count;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	listen_in(&ear);
	nsp_core_watch(rig->core, 1);
	row = table_row(&rig->core->table, table_find(&rig->core->table, rig->slot, WISH_ROUTE4, (uint8_t[16]){ 10 }, 8, 0, 254));
	for (int i = 0; i < 5; i++) {
		delete_route(&ear, "10.0.0.0", 8);
		send_all(&ear);
		listen_in(&ear);
		CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	}
	delete_route(&ear, "10.0.0.0", 8);
	send_all(&ear);
	uint64_t before = totals(&ear).written;
	listen_in(&ear);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_EQ(totals(&ear).written, before);
	CHECK_EQ(totals(&ear).rows[0][NSP_STATE_RETRYING], 1);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"),
		  "state: retrying, source: lab, missing: [], errno: nil, message: somebody else deletes it,");
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "tries: 1, item:");
	CHECK_EQ(row->list, LIST_OPEN);
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 6 + 1);
	CHECK_HAS(text, "item/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: retrying");
	CHECK_HAS(text, "tries: 1, item: {kind: route, interface: web0, dst: 10.0.0.0/8}, previous: configured}");

	/* Nothing that is judged again takes it along: it waits for its time. */
	delete_route(&ear, "11.0.0.0", 8);
	send_all(&ear);
	listen_in(&ear);
	nsp_core_rejudge(rig->core, rig->netns, 0, NSP_JUDGE_REFUSED);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");

	/* Tried again, and undone again: refused at once, and counted. */
	for (uint32_t tries = 2; tries < 5; tries++) {
		pthread_mutex_lock(&rig->core->lock);
		row_queue(rig->core, table_find(&rig->core->table, rig->slot, WISH_ROUTE4, row->dst, 8, 0, 254), row, false);
		pthread_mutex_unlock(&rig->core->lock);
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
		delete_route(&ear, "10.0.0.0", 8);
		send_all(&ear);
		listen_in(&ear);
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: retrying");
		CHECK_EQ(table_extra(&rig->core->table, row)->tries, tries);
	}

	/* There was calm for a while: it begins anew. (Its time is set back in place of waiting.) */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	pthread_mutex_lock(&rig->core->lock);
	row->since -= 11000;
	table_extra(&rig->core->table, row)->repaired -= 11000;
	pthread_mutex_unlock(&rig->core->lock);
	replace_route(&ear, "10.0.0.0", 8, "192.0.2.9", 110);
	send_all(&ear);
	listen_in(&ear);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_EQ(table_extra(&rig->core->table, row)->repairs, 1);

	/* Five times in ten seconds, not five times in a day. */
	for (int i = 0; i < 12; i++) {
		pthread_mutex_lock(&rig->core->lock);
		table_extra(&rig->core->table, row)->fight -= 3000;
		pthread_mutex_unlock(&rig->core->lock);
		replace_route(&ear, "10.0.0.0", 8, "192.0.2.9", 110);
		send_all(&ear);
		listen_in(&ear);
		CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	}

	/* One that is changed again and again. */
	for (int i = 0; i < 6; i++) {
		replace_route(&ear, "11.0.0.0", 8, "192.0.2.9", 110);
		send_all(&ear);
		listen_in(&ear);
	}
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "message: somebody else changes it,");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via 192.0.2.9");
	rig_delete(rig, "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_EQ(ours_in_kernel(rig), 0);
	ear_free(&ear);
}

struct enemy {
	struct rig *rig;
	atomic_bool ready, stop;
	atomic_uint deleted;
};

/* Deletes every route of ours as soon as it comes. */
static void *undo(void *arg)
{
	struct enemy *enemy = arg;
	struct nsp_socket sock;
	struct nsp_batch batch;
	int group = RTNLGRP_IPV4_ROUTE;
	uint32_t buf[64];
	uint8_t msg[4096];

	if (nsp_socket_open(&sock, enemy->rig->world->netns, NULL) < 0)
		return NULL;
	struct nsp_socket news;
	if (nsp_socket_open(&news, enemy->rig->world->netns, NULL) < 0 ||
	    setsockopt(news.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return NULL;
	atomic_store(&enemy->ready, true);
	while (!atomic_load(&enemy->stop)) {
		struct nsp_route route;
		struct pollfd fd = { .fd = news.fd, .events = POLLIN };
		if (poll(&fd, 1, 10) <= 0 || nsp_socket_receive(&news, msg, sizeof(msg)) < 0)
			continue;
		if (((struct nlmsghdr *)(void *)msg)->nlmsg_type != RTM_NEWROUTE || nsp_route_read(msg, &route) < 0 ||
		    route.proto != 110)
			continue;
		nsp_batch_init(&batch, buf, sizeof(buf));
		nsp_route_delete(&batch, &route);
		nsp_batch_send(&sock, &batch, NULL, NULL, NULL, NULL);
		atomic_fetch_add(&enemy->deleted, 1);
	}
	nsp_socket_close(&sock);
	nsp_socket_close(&news);
	return NULL;
}

/* An enemy that is as fast as the kernel: every row is given up for a while after a few tries, in flight or not, and when there is peace all
 * are there. */
static void test_fast_enemy(void)
{
	struct ear ear = ear_new();
	struct rig *rig = ear.rig;
	struct enemy enemy = { .rig = rig };
	char *items = routes(0, 500, "");
	pthread_t thread;

	pthread_create(&thread, NULL, undo, &enemy);
	while (!atomic_load(&enemy.ready))
		nap();
	rig_put(rig, items);
	for (int waited = 0; waited < WAIT_MS && totals(&ear).rows[0][NSP_STATE_RETRYING] < 500; waited += 50)
		listen_in(&ear);
	CHECK_EQ(totals(&ear).rows[0][NSP_STATE_RETRYING], 500);
	CHECK_EQ(ours_in_kernel(rig), 0);
	uint64_t before = totals(&ear).written;
	listen_in(&ear);
	CHECK_EQ(totals(&ear).written, before);
	CHECK(before <= 500 * 20);
	atomic_store(&enemy.stop, true);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&enemy.deleted) >= 500 * 6);
	rig_put(rig, items);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).rows[0][NSP_STATE_CONFIGURED], 500);
	CHECK_EQ(ours_in_kernel(rig), 500);
	free(items);
	ear_free(&ear);
}

/* Twenty thousand at once: whether all of it is heard or the buffer overflows, which is told, none is missed. */
static void test_flush(void)
{
	struct ear ear = ear_new();
	struct rig *rig = ear.rig;
	char *items = routes(0, 20000, "");

	rig_put(rig, items);
	listen_in(&ear);
	for (uint32_t i = 0; i < 20000; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = 110,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_delete(&rig->world->batch, &route));
		if (i % 1000 == 999) {
			send_all(&ear);
			while (nsp_monitor_read(&ear.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
				;
		}
	}
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing, 20000);
	CHECK_EQ(ours_in_kernel(rig), 20000);
	free(items);
	ear_free(&ear);
}

/* More slots than are looked at one by one: on the link itself it is found in any case. */
static void test_many_slots(void)
{
	struct ear ear = ear_new();
	struct rig *rig = ear.rig;
	char key[32];

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "other%d", i);
		nsp_slot_ready(rig->core, nsp_slot_find(rig->core, key), rig->netns, 1000 + i);
	}
	listen_in(&ear);
	rig->core->last_heard = NIL;
	delete_route(&ear, "10.0.0.0", 8);
	replace_route(&ear, "11.0.0.0", 8, "192.0.2.9", RTPROT_STATIC);
	send_all(&ear);
	listen_in(&ear);
	CHECK_EQ(totals(&ear).missing, 1);
	CHECK_EQ(totals(&ear).altered, 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	ear_free(&ear);
}

int main(void)
{
	test_needs_root();
	test_own_echo_is_dropped();
	test_what_others_do_comes_through();
	test_several_messages();
	test_nobody_s_neighbours();
	test_deleted();
	test_changed();
	test_foreign_in_its_place();
	test_own_changes_are_no_drift();
	test_port_taken();
	test_nothing_to_do();
	test_by_ioctl();
	test_dropped_by_the_kernel();
	test_in_flight();
	test_heard_late();
	test_fight();
	test_fast_enemy();
	test_flush();
	test_many_slots();
	return test_end();
}
