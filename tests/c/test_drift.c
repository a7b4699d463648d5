/* SPDX-License-Identifier: Apache-2.0 */
/* What others do to our routes and neighbours is heard, told and put right. */
#include "listener.h"

static void test_deleted(void)
{
	struct listener listener = listener_with_all();
	long count;

	delete_route(&listener, "10.0.0.0", 8);
	delete_route(&listener, "10.1.0.0", 16);
	delete_route(&listener, "fd00::", 16);
	delete_route(&listener, "fd01::", 16);
	delete_neigh(&listener, "192.0.2.9");
	delete_neigh(&listener, "2001:db8::9");
	send_all(&listener);
	listen_in(&listener);
	check_all(listener.rig);
	const char *text = rig_changes(listener.rig, &count);
	CHECK_EQ(count, 6);
	CHECK_HAS(text, "drift/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: configured");
	CHECK_HAS(text, "drift/route/web0/fd01::/16: {");
	CHECK_HAS(text, "item: {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}, found: missing}");
	CHECK_EQ(totals(&listener).missing, 6);
	CHECK_EQ(totals(&listener).altered, 0);
	listener_free(&listener);
}
static void test_changed(void)
{
	struct listener listener = listener_with_all();
	long count;

	replace_route(&listener, "10.0.0.0", 8, "192.0.2.77", 110);
	replace_route(&listener, "10.1.0.0", 16, NULL, 110);
	replace_route(&listener, "fd00::", 16, "2001:db8::77", 110);
	replace_route(&listener, "fd01::", 16, "2001:db8::77", 110);
	replace_neigh(&listener, "192.0.2.9", 0x77, 110, 0);
	replace_neigh(&listener, "2001:db8::9", 9, 110, NUD_STALE);
	send_all(&listener);
	listen_in(&listener);
	check_all(listener.rig);
	const char *text = rig_changes(listener.rig, &count);
	CHECK_EQ(count, 6);
	CHECK_HAS(text, "drift/route/web0/10.1.0.0/16: {");
	CHECK_HAS(text, "found: altered}");
	CHECK_EQ(totals(&listener).altered, 6);
	CHECK_EQ(totals(&listener).missing, 0);

	/* Replaced by the same: nothing is wrong. */
	uint64_t before = totals(&listener).written;
	replace_route(&listener, "10.0.0.0", 8, NULL, 110);
	replace_route(&listener, "fd01::", 16, "2001:db8::9", 110);
	replace_neigh(&listener, "192.0.2.9", 9, 110, 0);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 6);
	CHECK_EQ(totals(&listener).written, before);
	listener_free(&listener);
}
/* Of several gateways, and ours by its protocol: it is written over. */
static void test_made_of_several(void)
{
	static const char *const hops[] = { "192.0.2.9", "192.0.2.77" };
	struct listener listener = listener_with_all();
	struct nsp_msg msg;
	struct rtmsg *rtm =
		nsp_msg_begin(&msg, &listener.rig->world->batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rtm));

	*rtm = (struct rtmsg){
		.rtm_family = AF_INET, .rtm_dst_len = 16, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = 110, .rtm_type = RTN_UNICAST
	};
	nsp_attr_put(&msg, RTA_DST, (uint8_t[]){ 10, 1, 0, 0 }, 4);
	struct nlattr *nest = nsp_attr_nest(&msg, RTA_MULTIPATH);
	for (int i = 0; i < 2; i++) {
		struct rtnexthop *hop = nsp_msg_take(&msg, sizeof(*hop));
		struct in_addr via;

		inet_pton(AF_INET, hops[i], &via);
		*hop = (struct rtnexthop){ .rtnh_len = sizeof(*hop) + 8, .rtnh_ifindex = listener.rig->link };
		nsp_attr_put(&msg, RTA_GATEWAY, &via, 4);
	}
	nsp_attr_nest_end(&msg, nest);
	nsp_msg_end(&msg, &listener.rig->world->batch);
	send_all(&listener);
	listen_in(&listener);
	check_all(listener.rig);
	CHECK_EQ(totals(&listener).altered, 1);
	listener_free(&listener);
}

/* Somebody else's is in the place: as it would be with a new one. */
static void test_foreign_in_its_place(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	int32_t other = world_veth(rig->world, "v1"), here = rig->link;
	long count;

	rig_addr(rig, other, "198.51.100.1", 24);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8, override: "
		     "true}, {kind: route, interface: web0, dst: 12.0.0.0/8}, {kind: route, interface: web0, dst: fd00::/16},"
		     " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"
		     " {kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a, override: true}]");
	listen_in(&listener);
	nsp_core_watch(rig->core, 1);
	replace_route(&listener, "10.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	replace_route(&listener, "11.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	rig->link = other;
	replace_route(&listener, "12.0.0.0", 8, "198.51.100.77", RTPROT_STATIC);
	rig->link = here;
	replace_route(&listener, "fd00::", 16, "2001:db8::77", RTPROT_STATIC);
	replace_neigh(&listener, "192.0.2.9", 0x77, RTPROT_STATIC, 0);
	replace_neigh(&listener, "192.0.2.10", 0x77, RTPROT_STATIC, 0);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 6);
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
	listener_free(&listener);
}
static void test_own_changes_are_no_drift(void)
{
	struct listener listener = listener_with_all();
	char *items = routes(0, 5000, ""), *others = routes(0, 5000, ", gateway: 192.0.2.9");
	long count;

	rig_put(listener.rig, items);
	rig_put(listener.rig, others);
	rig_put(listener.rig, items);
	rig_put(listener.rig, "[{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:0a}]");
	rig_delete(listener.rig, "[arp/web0/192.0.2.9, route/web0/10.0.0.0/8, route/web0/fd00::/16]");
	rig_lost(listener.rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_ready(listener.rig);
	listen_in(&listener);
	CHECK(!strstr(rig_changes(listener.rig, &count), "drift/"));
	CHECK_EQ(totals(&listener).missing + totals(&listener).altered, 0);
	free(items);
	free(others);
	listener_free(&listener);
}
/* Somebody else has the port id in the namespace: another is taken, and its echo is known by that. */
static void test_port_taken(void)
{
	struct rig *rig = rig_new();
	struct listener listener = { .rig = rig };
	struct nsp_socket taken;

	CHECK_EQ(nsp_socket_open_as(&taken, rig->world->netns, rig->core->portid, NULL), 0);
	NEED(nsp_monitor_open(&listener.mon, NULL));
	NEED(nsp_core_listen(rig->core, &listener.mon, NULL));
	nsp_core_netns_nsid(rig->core, rig->netns, nsp_monitor_watch(&listener.mon, rig->world->netns, NULL));
	rig_ready(rig);
	rig_put(rig, ALL);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 6);
	CHECK(rig->core->netns[rig->netns]->sock.portid != rig->core->portid);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}]");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing + totals(&listener).altered, 0);
	delete_route(&listener, "10.0.0.0", 8);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 1);
	check_all(rig);
	nsp_socket_close(&taken);
	listener_free(&listener);
}
/* The slot is not ready, the namespace is not known any more, or what goes is not wanted anyway: nothing happens. */
static void test_nothing_to_do(void)
{
	struct listener listener = listener_with_all();
	uint64_t before;

	nsp_core_pause(listener.rig->core, 1);
	uint32_t serial = rig_start_as(listener.rig, "lab", 0, "[{kind: route, interface: web0, dst: 13.0.0.0/8}]", true);
	rig_end(listener.rig, serial);
	serial = rig_start_delete(listener.rig, "lab", "[route/web0/13.0.0.0/8]", 0);
	delete_route(&listener, "13.0.0.0", 8);
	send_all(&listener);
	before = totals(&listener).written;
	while (nsp_monitor_read(&listener.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
		;
	rig_end(listener.rig, serial); /* it has gone: the deletion that is held is not waited for */
	CHECK_EQ(listener.rig->counts[NSP_STATE_REMOVED], 1);
	nsp_core_pause(listener.rig->core, 0);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).written, before + 2); /* the gateways that may have been behind it */

	rig_lost(listener.rig, "[interface/web0]", 0);
	delete_route(&listener, "10.0.0.0", 8);
	replace_route(&listener, "fd00::", 16, "2001:db8::77", 4);
	send_all(&listener);
	listen_in(&listener);
	rig_ready(listener.rig);
	rig_quiet(listener.rig);
	rig_quiet(listener.rig);
	nsp_core_netns_nsid(listener.rig->core, listener.rig->netns, 99);
	delete_route(&listener, "10.0.0.0", 8);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing + totals(&listener).altered, 0);
	CHECK_STR(in_kernel(listener.rig, "10.0.0.0/8"), "");
	nsp_core_netns_nsid(listener.rig->core, listener.rig->netns, 4711); /* there is room for any */
	listener_free(&listener);
}
/* By ioctl(2) nobody is named. IPv4 routes are told of all the same; IPv6 routes may have been dropped by the kernel, and are put again where
 * their slot is ready still. */
static void test_by_ioctl(void)
{
	struct listener listener = listener_with_all();
	struct rtentry entry = { .rt_flags = RTF_UP, .rt_dev = (char[]){ "v0" } };
	struct sockaddr_in *dst = (struct sockaddr_in *)(void *)&entry.rt_dst,
			   *mask = (struct sockaddr_in *)(void *)&entry.rt_genmask;
	struct arpreq arp = arp_of("192.0.2.9", 0);
	long count;

	dst->sin_family = mask->sin_family = AF_INET;
	inet_pton(AF_INET, "10.0.0.0", &dst->sin_addr);
	inet_pton(AF_INET, "255.0.0.0", &mask->sin_addr);
	CHECK_EQ(by_ioctl(&listener, SIOCDELRT, &entry), 0);
	CHECK_EQ(by_ioctl(&listener, SIOCDARP, &arp), 0);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 2);
	CHECK_HAS(rig_changes(listener.rig, &count), "drift/route/web0/10.0.0.0/8: {");
	CHECK_EQ(count, 2);
	check_all(listener.rig);
	listener_free(&listener);
}
/* The kernel drops IPv6 routes with its link, or with IPv6 on it. */
static void test_dropped_by_the_kernel(void)
{
	struct listener listener = listener_with_all();
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_MTU, .index = listener.rig->link, .mtu = 1200 };
	struct nsp_event events[64];
	long count;

	/* An MTU too low for IPv6, for a moment. Nobody says that the slot was lost. */
	NEED(nsp_link_change(&listener.rig->world->batch, &link));
	link.mtu = 1500;
	NEED(nsp_link_change(&listener.rig->world->batch, &link));
	send_all(&listener);
	rig_addr(listener.rig, listener.rig->link, "2001:db8::1", 64);
	CHECK_STR(in_kernel(listener.rig, "fd00::/16"), "");
	while (nsp_monitor_read(&listener.mon, events, 64, NULL) > 0)
		;
	rig_quiet(listener.rig);
	CHECK_STR(in_kernel(listener.rig, "fd00::/16"), ""); /* not before it is known what else went */
	listen_in(&listener);
	CHECK_HAS(in_kernel(listener.rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(listener.rig, "fd01::/16"), "via 2001:db8::9");
	CHECK_HAS(neigh_in_kernel(listener.rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	CHECK(!strstr(rig_changes(listener.rig, &count), "drift/"));
	CHECK_EQ(totals(&listener).missing, 0);

	/* The link goes down, and the slot is lost: nothing is written in vain. */
	uint64_t before = totals(&listener).written;
	link.fields = NSP_LINK_INDEX | NSP_LINK_UP;
	link.up = 0;
	NEED(nsp_link_change(&listener.rig->world->batch, &link));
	send_all(&listener);
	while (nsp_monitor_read(&listener.mon, events, 64, NULL) > 0)
		;
	rig_lost(listener.rig, "[interface/web0]", 0);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).written, before);
	listener_free(&listener);
}
/* Twenty thousand at once: whether all of it is heard or the buffer overflows, which is told, none is missed. */
static void test_flush(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	char *items = routes(0, 20000, "");

	rig_put(rig, items);
	listen_in(&listener);
	for (uint32_t i = 0; i < 20000; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = 110,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_delete(&rig->world->batch, &route));
		if (i % 1000 == 999) {
			send_all(&listener);
			while (nsp_monitor_read(&listener.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
				;
		}
	}
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 20000);
	CHECK_EQ(ours_in_kernel(rig), 20000);
	free(items);
	listener_free(&listener);
}
/* More slots than are looked at one by one: on the link itself it is found in any case. */
static void test_many_slots(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	char key[32];

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "other%d", i);
		nsp_slot_ready(rig->core, nsp_slot_find(rig->core, key), rig->netns, 1000 + i);
	}
	listen_in(&listener);
	delete_route(&listener, "10.0.0.0", 8);
	replace_route(&listener, "11.0.0.0", 8, "192.0.2.9", RTPROT_STATIC);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 1);
	CHECK_EQ(totals(&listener).altered, 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	listener_free(&listener);
}

int main(void)
{
	test_needs_root();
	test_deleted();
	test_changed();
	test_made_of_several();
	test_foreign_in_its_place();
	test_own_changes_are_no_drift();
	test_port_taken();
	test_nothing_to_do();
	test_by_ioctl();
	test_dropped_by_the_kernel();
	test_flush();
	test_many_slots();
	return test_end();
}
