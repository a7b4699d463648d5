/* SPDX-License-Identifier: Apache-2.0 */
/* A deletion takes the row's own object and no other, whatever else goes to the same destination. */
#include "back.h"

#define P "10.0.0.0/8"
#define P6 "fd00::/16"
/* A link-local address ends its duplicate detection when it likes, and has its own route then. */
#define OF_ALL_TABLES " table all | grep -v fe80"

/* The route of metric 0 has gone, and nobody has heard of it: the one of another metric stays, or is there again at once. */
static void test_own_sibling(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: " P ", gateway: 192.0.2.9},"
		     " {kind: route, interface: web0, dst: " P ", gateway: 192.0.2.9, metric: 100, prefsrc: 192.0.2.1}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	by_ip(rig, "route del " P " metric 0");
	CHECK_STR(by_ip_shown(rig, "route show " P " metric 0"), "");
	rig_delete(rig, "[route/web0/" P "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show " P), P " via 192.0.2.9 dev v0 proto 110 src 192.0.2.1 metric 100 \n");
	CHECK_HAS(rig_row(rig, "route/web0/" P ";metric=100"), "state: configured");
	rig_delete(rig, "['route/web0/" P ";metric=100']");
	CHECK_STR(by_ip_shown(rig, "route show " P), "");
	rig_free(rig);
}

/* Both are deleted at once, in either order, or put anew and deleted: nothing is left over, and nothing missing. */
static void test_siblings_of_one_batch(void)
{
	static const char *const orders[] = { "[route/web0/" P ", 'route/web0/" P ";metric=100']",
					      "['route/web0/" P ";metric=100', route/web0/" P "]" };
	struct rig *rig = rig_new_ready();

	for (int i = 0; i < 2; i++) {
		rig_put(rig,
			"[{kind: route, interface: web0, dst: " P "}, {kind: route, interface: web0, dst: " P ", metric: 100}]");
		by_ip(rig, "route del " P " metric 0");
		rig_delete(rig, orders[i]);
		CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
		rig_quiet(rig);
		CHECK_STR(by_ip_shown(rig, "route show " P), "");
	}
	for (int i = 0; i < 2; i++) {
		rig_put(rig,
			"[{kind: route, interface: web0, dst: " P "}, {kind: route, interface: web0, dst: " P ", metric: 100}]");
		by_ip(rig, "route del " P " metric 0");
		nsp_core_pause(rig->core, 1);
		uint32_t put = 0, gone = i ? rig_start_delete(rig, "lab", "[route/web0/" P "]", 0) : 0;
		put = rig_start(rig, "[{kind: route, interface: web0, dst: " P ", metric: 100, prefsrc: 192.0.2.1}]");
		if (!gone)
			gone = rig_start_delete(rig, "lab", "[route/web0/" P "]", 0);
		nsp_core_pause(rig->core, 0);
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_EQ(rig_result(rig, put) + rig_result(rig, gone), 0);
		CHECK_STR(by_ip_shown(rig, "route show " P), P " dev v0 proto 110 scope link src 192.0.2.1 metric 100 \n");
		rig_delete(rig, "['route/web0/" P ";metric=100']");
		CHECK_STR(by_ip_shown(rig, "route show " P), "");
	}
	rig_free(rig);
}

/* Rows that are withdrawn, since their slot is lost and the link is not. */
static void test_withdrawn(void)
{
	struct rig *rig = rig_new_ready();

	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "v0@name:red"), rig->netns, rig->link);
	rig_put(rig, "[{kind: route, interface: web0, dst: " P "}, {kind: route, interface: web0, dst: " P ", metric: 50},"
		     " {kind: route, interface: v0, namespace: {type: name, name: red}, dst: " P ", metric: 100}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 3);
	by_ip(rig, "route del " P " metric 0");
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show " P), P " dev v0 proto 110 scope link metric 100 \n");
	rig_free(rig);
}

/* Of an earlier life, or another agent's: no row knows it, and it is put back as it was. */
static void test_of_no_row(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: " P "}]");
	by_ip(rig, "route add " P " via 192.0.2.9 dev v0 proto 110 metric 7 mtu 1300 src 192.0.2.1");
	read_back(rig);
	by_ip(rig, "route del " P " metric 0");
	rig_delete(rig, "[route/web0/" P "]");
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show " P), P " via 192.0.2.9 dev v0 proto 110 src 192.0.2.1 metric 7 mtu 1300 \n");

	/* Stale, all of it: nothing is put back. */
	by_ip(rig, "route add " P " dev v0 proto 110");
	struct nsp_op *op = reading(rig);
	nsp_op_sweep(op, rig->link, "web0");
	carry_out(rig, op);
	check_found(rig, 0, 0, 2);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show " P), "");
	rig_free(rig);
}

/* Somebody else's routes, each differing from ours in one thing. */
static void test_among_others(void)
{
	static const char *const others[] = {
		"route append " P " dev v0 proto static metric 100",
		"route append " P " via 192.0.2.9 dev v0 proto static metric 100",
		"route append " P " dev v0 proto bgp",
		"route append " P " via 192.0.2.9 dev v0 proto bgp metric 100",
		"route add " P " dev v0 proto static tos 0x10",
		"route add " P " dev v0 proto 110 tos 0x10 metric 8",
		"route add " P " dev v0 proto static scope host metric 3",
		"route add " P " proto static metric 4 nexthop via 192.0.2.9 dev v0 nexthop via 192.0.2.10 dev v0",
		"route add blackhole " P " proto static metric 5",
		"route add unreachable " P " proto 110 metric 6",
		"route add " P " dev v0 proto static table 77",
		"route add " P " dev v0 proto 110 table 77 metric 8",
		"route add 10.0.0.0/9 dev v0 proto static",
		"route add 10.0.0.0/7 dev v0 proto 110",
		"route add 10.0.0.0/32 dev v0 proto static",
		"-6 route append " P6 " via 2001:db8::77 dev v0 proto static metric 2048",
		"-6 route append " P6 " dev v0 proto static metric 1023",
		"-6 route add blackhole " P6 " proto static metric 5",
		"-6 route add unreachable " P6 " proto 110 metric 6",
		"-6 route add " P6 " dev v0 proto static table 77",
		"-6 route add fd00::/17 dev v0 proto static",
		"-6 route add fd00::/128 dev v0 proto static",
		"-6 route add " P6 " proto static metric 7 nexthop via 2001:db8::9 dev v0 nexthop via 2001:db8::10 dev v0",
	};
	static const char *const ours[] = {
		"[{kind: route, interface: web0, dst: " P "}, {kind: route, interface: web0, dst: " P6 "}]",
		"[{kind: route, interface: web0, dst: " P ", gateway: 192.0.2.9},"
		" {kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8::9}]",
	};
	struct rig *rig = rig_new_ready();
	char before[4096];

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		by_ip(rig, others[i]);
	by_ip(rig, "route del " P " proto bgp metric 0"); /* it would be in the way: back when ours is there */
	snprintf(before, sizeof(before), "%s", by_ip_shown(rig, "route show" OF_ALL_TABLES));
	for (int i = 0; i < 2; i++) {
		rig_put(rig, ours[i]);
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
		by_ip(rig, others[2]);
		rig_delete(rig, "[route/web0/" P ", route/web0/" P6 "]");
		CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
		by_ip(rig, "route del " P " proto bgp metric 0");
		CHECK_STR(by_ip_shown(rig, "route show" OF_ALL_TABLES), before);
	}
	snprintf(before, sizeof(before), "%s", by_ip_shown(rig, "-6 route show" OF_ALL_TABLES));
	for (int i = 0; i < 2; i++) {
		rig_put(rig, ours[i]);
		rig_delete(rig, "[route/web0/" P ", route/web0/" P6 "]");
		CHECK_STR(by_ip_shown(rig, "-6 route show" OF_ALL_TABLES), before);
	}
	rig_free(rig);
}

/* A next hop that somebody has appended to ours stays; and ours goes by whatever gateway it was written with. */
static void test_next_hops(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8::9}]");
	by_ip(rig, "-6 route append " P6 " via 2001:db8::77 dev v0 proto static");
	CHECK_HAS(by_ip_shown(rig, "-6 route show " P6), "nexthop via 2001:db8::9");
	rig_delete(rig, "[route/web0/" P6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_STR(by_ip_shown(rig, "-6 route show " P6), P6 " via 2001:db8::77 dev v0 proto static metric 1024 pref medium\n");
	by_ip(rig, "-6 route del " P6);

	/* The newer gateway is refused, or has not been written: what is deleted has the older one. */
	rig_put(rig, "[{kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8::9}]");
	rig_put(rig, "[{kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8:77::9}]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 1);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "-6 route show " P6), "");
	rig_put(rig, "[{kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8::9}]");
	nsp_core_pause(rig->core, 1);
	uint32_t put = rig_start(rig, "[{kind: route, interface: web0, dst: " P6 ", gateway: 2001:db8::8}]");
	uint32_t gone = rig_start_delete(rig, "lab", "[route/web0/" P6 "]", 0);
	nsp_core_pause(rig->core, 0);
	rig_end(rig, gone);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	rig_result(rig, put);
	CHECK_EQ(rig->counts[NSP_STATE_SUPERSEDED], 1);
	CHECK_STR(by_ip_shown(rig, "-6 route show " P6), "");
	rig_free(rig);
}

/* Ten thousand at once, half of them gone already and each with a sibling. */
static void test_many(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 10000, ""), *siblings = routes(0, 10000, ", metric: 9");

	rig_put(rig, items);
	rig_put(rig, siblings);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10000);
	for (uint32_t i = 0; i < 10000; i += 2) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = 110,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_delete(&rig->world->batch, &route));
		if (i % 1000 == 998)
			change(rig);
	}
	struct mp_out keys = { 0 };
	char key[64];
	mp_put_byte(&keys, '[');
	for (uint32_t i = 0; i < 10000; i++)
		mp_put_raw(&keys, key, (size_t)snprintf(key, sizeof(key), "route/web0/20.0.%u.%u/32, ", i >> 8, i & 255));
	mp_put_raw(&keys, "]", 2);
	rig_delete(rig, (char *)keys.data);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 10000);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 10000);
	mp_free(&keys);
	free(items);
	free(siblings);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_own_sibling();
	test_siblings_of_one_batch();
	test_withdrawn();
	test_of_no_row();
	test_among_others();
	test_next_hops();
	test_many();
	return test_end();
}
