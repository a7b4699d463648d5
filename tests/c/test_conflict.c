/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the way: somebody else's object is named and left alone, or remembered and put back; our own is held by one row. */
#include "rig.h"

#define ROUTE "{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}"
#define OVER "{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9, override: true}"
#define ARP "{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}"
#define ARP_OVER "{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09, override: true}"

static void test_foreign_route(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	foreign_route(rig, "fd00::", 8, "2001:db8::77");
	rig_put(rig, "[" ROUTE ", {kind: route, interface: web0, dst: fd00::/8}, {kind: route, interface: web0, dst: 192.0.2.0/24},"
		     " {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 3);
	CHECK_HAS(rig->entries, "errno: EEXIST, message: exists: a route of protocol static, gateway 192.0.2.77, link v0,");
	CHECK_HAS(rig->entries, "message: exists: a route of protocol static, gateway 2001:db8::77, link");
	CHECK_HAS(rig->entries, "key: route/web0/192.0.2.0/24, state: failed, source: lab, missing: [], errno: EEXIST,"
				" message: exists: a route of protocol kernel, gateway none, link");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");

	/* A failed one that is deleted leaves the other alone; when the other has gone it is configured. */
	rig_delete(rig, "[route/web0/fd00::/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_HAS(in_kernel(rig, "fd00::/8"), "via 2001:db8::77");
	foreign_route_gone(rig, "10.0.0.0", 8);
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_REFUSED);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_free(rig);
}

/* What is there is said in the words of ip(8). */
static void test_said_in_words(void)
{
	static const char *const cases[][2] = {
		{ "route add blackhole 10.0.0.0/8", "message: exists: a blackhole route of protocol boot," },
		{ "route add unreachable 10.0.0.0/8 proto static", "message: exists: an unreachable route of protocol static," },
		{ "route add local 10.0.0.0/8 dev lo table main", "message: exists: a local route of protocol boot," },
		{ "route add 10.0.0.0/8 dev v0 proto bgp", "message: exists: a route of protocol bgp, gateway none, link v0," },
		{ "route add 10.0.0.0/8 nexthop via 192.0.2.8 dev v0 nexthop via 192.0.2.7 dev v0",
		  "message: exists: a route of protocol boot with several gateways, link v0," },
		{ "nexthop add id 7 via 192.0.2.8 dev v0 && ip route add 10.0.0.0/8 nhid 7",
		  "message: exists: a route of protocol boot by a nexthop object," },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig *rig = rig_new_ready();
		by_ip(rig, cases[i][0]);
		rig_put(rig, "[" ROUTE ", {kind: route, interface: web0, dst: 192.0.2.0/24}]");
		CHECK_HAS(rig->entries, cases[i][1]);
		CHECK_HAS(rig->entries, "message: exists: a route of protocol kernel, gateway none, link v0,");
		rig_free(rig);
	}
}

/* Beside a foreign route of another metric there is room, and of another table too. */
static void test_beside(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "0.0.0.0", 0, "192.0.2.77");
	rig_put(rig, "[{kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 192.0.2.9, metric: 5},"
		     " {kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 192.0.2.9, table: 7}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	rig_delete(rig, "['route/web0/0.0.0.0/0;metric=5', 'route/web0/0.0.0.0/0;table=7']");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_HAS(in_kernel(rig, "0.0.0.0/0"), "via 192.0.2.77");
	rig_free(rig);
}

static void test_override_puts_back(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	rig_put(rig, "[" OVER "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	CHECK(!strstr(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77"));

	/* Changed, it remembers still. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "proto 4 metric 0");

	/* The default route, which REPLACE would destroy without a word. */
	foreign_route(rig, "0.0.0.0", 0, "192.0.2.77");
	rig_put(rig, "[{kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 192.0.2.9, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	rig_delete(rig, "[route/web0/0.0.0.0/0]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "0.0.0.0/0"), "via 192.0.2.77");
	rig_free(rig);
}

/* The link stays, the slot is lost (its interface item is gone): what was there before is put back. */
static void test_override_of_a_lost_slot(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	foreign_neigh(rig, "192.0.2.9", 0x77, NUD_PERMANENT);
	rig_put(rig, "[" OVER ", " ARP_OVER "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: pending, source: lab, missing: [interface/web0]");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_EQ(ours_in_kernel(rig), 0);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");

	/* And taken again. */
	rig_ready(rig);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	rig_delete(rig, "[route/web0/10.0.0.0/8, arp/web0/192.0.2.9]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");
	rig_free(rig);
}

/* The override leaves by another link than what it had taken the place of: its link goes, and the route is back. */
static void test_override_of_a_lost_link(void)
{
	struct rig *rig = rig_new();
	int32_t other = world_veth(rig->world, "v1");
	struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = other };

	rig_addr(rig, other, "198.51.100.1", 24);
	nsp_slot_ready(rig->core, rig->slot, rig->netns, other);
	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK(!strstr(in_kernel(rig, "10.0.0.0/8"), "proto 4"));
	nsp_link_delete(&rig->world->batch, &link);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	rig_lost(rig, "[interface/web0]", 0);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_free(rig);
}

/* Deleted and put again while the deletion is on its way. */
static void test_override_put_again(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	rig_put(rig, "[" OVER "]");
	for (int i = 0; i < 200; i++) {
		uint32_t gone = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8]", 0);
		if (i & 1) /* now and then the writer is already at it */
			sched_yield();
		rig_put(rig, "[" OVER "]");
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
		CHECK_EQ(rig_result(rig, gone), 0);
		nsp_core_request_close(rig->core, gone);
	}
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_free(rig);
}

/* What an agent that died has left behind is ours. */
static void test_of_an_earlier_life(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_route route = route_of(rig->link, "10.0.0.0", 8, "192.0.2.77");
	char *items = routes(0, 1000, "");
	struct nsp_totals totals;

	nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW);
	for (uint32_t i = 0; i < 1000; i++) {
		struct nsp_route left = { .family = AF_INET,
					  .dst_len = 32,
					  .proto = 110,
					  .table = 254,
					  .oif = rig->link,
					  .dst = { 20, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		nsp_route_put(&rig->world->batch, &left, NSP_PUT_NEW);
	}
	CHECK_EQ(world_send(rig->world, NULL), 0);
	rig_put(rig, "[" ROUTE "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1000);
	CHECK_EQ(ours_in_kernel(rig), 1001);
	nsp_core_totals(rig->core, &totals);
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 1001);
	free(items);
	rig_free(rig);
}

/* ---- one kernel object, two items ---- */

#define BY_LINK "{kind: route, interface: v0, namespace: {type: name, name: red}, dst: 10.0.0.0/8}"

static void test_held_by_another(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t second = nsp_slot_find(rig->core, "v0@name:red");

	nsp_slot_ready(rig->core, second, rig->netns, rig->link);
	rig_put(rig, "[" ROUTE ", " ARP "]");
	rig_put(rig, "[" BY_LINK
		     ", {kind: arp, interface: v0, namespace: {type: name, name: red}, ip: 192.0.2.9, mac: 02:00:00:00:00:0a}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	CHECK_HAS(rig->entries, "{key: route/v0@name:red/10.0.0.0/8, state: failed, source: lab, missing: [], errno: EEXIST,"
				" message: held by route/web0/10.0.0.0/8,");
	CHECK_HAS(rig->entries, "message: held by arp/web0/192.0.2.9,");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");

	/* Nothing tries it in vain. */
	struct nsp_totals before, after;
	nsp_core_totals(rig->core, &before);
	nsp_core_recheck(rig->core, rig->netns, 0, NSP_RECHECK_REFUSED);
	rig_quiet(rig);
	nsp_core_totals(rig->core, &after);
	CHECK_EQ(after.written, before.written);

	/* The first goes, the second takes over. */
	rig_delete(rig, "[route/web0/10.0.0.0/8, arp/web0/192.0.2.9]");
	CHECK_HAS(rig_await(rig, "route/v0@name:red/10.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, "arp/v0@name:red/192.0.2.9", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:0a");
	CHECK_EQ(ours_in_kernel(rig), 1);

	/* And the other way round, by losing the slot: once with its link staying, once as if it had gone. */
	rig_put(rig, "[" ROUTE "]");
	CHECK_HAS(rig->entries, "message: held by route/v0@name:red/10.0.0.0/8,");
	nsp_slot_lost(rig->core, second, NSP_STATE_PENDING, NULL, 0, 0, NULL, NSP_SLOT_WITHDRAW);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "state: configured");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");

	/* The one that is blocked goes: nothing happens to the other. */
	nsp_slot_ready(rig->core, second, rig->netns, rig->link);
	CHECK_HAS(rig_await(rig, "route/v0@name:red/10.0.0.0/8", "state: failed"), "held by route/web0/10.0.0.0/8");
	rig_delete(rig, "[route/v0@name:red/10.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_free(rig);
}

/* A route is one object of its namespace, whatever link it leaves by. */
static void test_held_on_another_link(void)
{
	struct rig *rig = rig_new_ready();
	int32_t other = world_veth(rig->world, "v1");

	rig_addr(rig, other, "198.51.100.1", 24);
	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "db0"), rig->netns, other);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: fd00::/8}]");
	rig_put(rig, "[{kind: route, interface: db0, dst: 10.0.0.0/8}, {kind: route, interface: db0, dst: fd00::/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	CHECK_HAS(rig->entries, "message: held by route/web0/10.0.0.0/8,");
	CHECK_HAS(rig->entries, "message: held by route/web0/fd00::/8,");
	/* A neighbour is one of its link. */
	rig_put(rig, "[" ARP ", {kind: arp, interface: db0, ip: 192.0.2.9, mac: 02:00:00:00:00:0a}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);

	rig_delete(rig, "[route/web0/10.0.0.0/8, route/web0/fd00::/8]");
	CHECK_HAS(rig_await(rig, "route/db0/10.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, "route/db0/fd00::/8", "state: configured"), "state: configured");
	CHECK_EQ(ours_in_kernel(rig), 2);
	rig_free(rig);
}

/* Both in one request, and the first deleted in the batch in which the second meets it. */
static void test_held_in_one_batch(void)
{
	struct rig *rig = rig_new_ready();

	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "v0@name:red"), rig->netns, rig->link);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, " BY_LINK "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "held by route/web0/10.0.0.0/8");
	for (int i = 0; i < 20; i++) {
		uint32_t ballast = rig_ballast(rig, 300);
		uint32_t put = rig_start(rig, "[" BY_LINK "]"), gone = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8]", 0);
		rig_end(rig, gone);
		CHECK_HAS(rig_await(rig, "route/v0@name:red/10.0.0.0/8", "state: configured"), "state: configured");
		rig_result(rig, put);
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED] + rig->counts[NSP_STATE_FAILED], 1);
		nsp_core_request_close(rig->core, put);
		nsp_core_request_close(rig->core, ballast);
		rig_delete(rig, "[route/v0@name:red/10.0.0.0/8]");
		rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	}
	rig_free(rig);
}

/* ---- neighbours ---- */

static void test_neighbours(void)
{
	struct rig *rig = rig_new_ready();

	/* One that the kernel has learned is replaced. */
	foreign_neigh(rig, "192.0.2.9", 0x77, NUD_STALE);
	foreign_neigh(rig, "2001:db8::9", 0x77, NUD_REACHABLE);
	rig_put(rig, "[" ARP ", {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "proto 110 state 0x80");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "proto 110 state 0x80");

	/* One that somebody has put for good is not. */
	foreign_neigh(rig, "192.0.2.10", 0x77, NUD_PERMANENT);
	rig_put(rig, "[{kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "errno: EEXIST, message: exists: a permanent entry of protocol 0 with MAC 02:00:00:00:00:77,");
	rig_delete(rig, "[arp/web0/192.0.2.10]");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:77");

	rig_put(rig, "[{kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:0a");
	rig_delete(rig, "[arp/web0/192.0.2.10]");
	rig_quiet(rig);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "proto 0 state 0x80");
	rig_free(rig);
}

/* A thousand at once, of both kinds. */
static void test_many_conflicts(void)
{
	struct rig *rig = rig_new_ready();
	struct mp_out text = { 0 };
	char item[160];

	mp_put_byte(&text, '[');
	for (uint32_t i = 0; i < 500; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = RTPROT_STATIC,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		struct nsp_neigh neigh = {
			.index = rig->link, .family = AF_INET, .mac_len = 6, .mac = { 2 }, .dst = { 192, 0, 3, (uint8_t)i }
		};
		nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW);
		if (i < 250)
			nsp_neigh_put(&rig->world->batch, &neigh, NSP_PUT_NEW);
		int n = snprintf(item, sizeof(item), "{kind: route, interface: web0, dst: 20.0.%u.%u}, ", i >> 8, i & 255);
		mp_put_raw(&text, item, (size_t)n);
		n = snprintf(item, sizeof(item),
			     "{kind: arp, interface: web0, ip: 192.0.%u.%u, mac: 02:00:00:00:00:01, override: %s}, ", 3 + i / 250,
			     i % 250, i % 2 ? "true" : "false");
		mp_put_raw(&text, item, (size_t)n);
	}
	mp_put_raw(&text, "]", 2);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	rig_put(rig, (char *)text.data);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 500 + 125);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 125 + 250);
	mp_free(&text);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_foreign_route();
	test_said_in_words();
	test_beside();
	test_override_puts_back();
	test_override_of_a_lost_slot();
	test_override_of_a_lost_link();
	test_override_put_again();
	test_of_an_earlier_life();
	test_held_by_another();
	test_held_on_another_link();
	test_held_in_one_batch();
	test_neighbours();
	test_many_conflicts();
	return test_end();
}
