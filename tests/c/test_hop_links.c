/* SPDX-License-Identifier: Apache-2.0 */
/* Routes over several links of a namespace: each hop waits for its link, and is written again when that has come back. */
#include "nexthops.h"

#define RED ", namespace: {type: name, name: red}"
#define TWO                                                                                                                        \
	"{kind: route, dst: 10.0.0.0/8" RED ", nexthops: "                                                                         \
	"[{interface: v0-p, gateway: 198.51.100.9, weight: 2}, {interface: v0, gateway: 192.0.2.9}]}"
#define TWO6                                                                                                                       \
	"{kind: route, dst: fd00::/8" RED ", nexthops: "                                                                           \
	"[{interface: v0, gateway: fe80::9}, {interface: v0-p, gateway: fe80::9, weight: 3}]}"
#define KEY "route/@name:red/10.0.0.0/8"
#define KEY6 "route/@name:red/fd00::/8"

struct links {
	uint32_t netns, v0, peer;
};

static void make_ready(struct rig *rig, struct links *links)
{
	links->netns = nsp_slot_find(rig->core, "@name:red");
	links->v0 = nsp_slot_find(rig->core, "v0@name:red");
	links->peer = nsp_slot_find(rig->core, "v0-p@name:red");
	nsp_slot_ready(rig->core, links->netns, rig->netns, 0);
	nsp_slot_ready(rig->core, links->v0, rig->netns, rig->link);
	nsp_slot_ready(rig->core, links->peer, rig->netns, rig->peer);
}

/* A rig with addresses on both ends of its pair. */
static struct rig *rig_with_two(struct links *links)
{
	struct rig *rig = rig_new();

	rig_addr(rig, rig->peer, "198.51.100.1", 24);
	make_ready(rig, links);
	return rig;
}

static void check_both(struct rig *rig)
{
	const char *text = by_ip_shown(rig, "route show 10.0.0.0/8");

	CHECK_HAS(text, "nexthop via 192.0.2.9 dev v0 weight 1");
	CHECK_HAS(text, "nexthop via 198.51.100.9 dev v0-p weight 2");
	text = by_ip_shown(rig, "-6 route show fd00::/8");
	CHECK_HAS(text, "nexthop via fe80::9 dev v0 weight 1");
	CHECK_HAS(text, "nexthop via fe80::9 dev v0-p weight 3");
}

static void lose(struct rig *rig, uint32_t slot)
{
	nsp_slot_lost(rig->core, slot, NSP_STATE_PENDING, NULL, 0, 0, NULL, 0);
}

static void test_life(void)
{
	struct links links;
	struct rig *rig = rig_with_two(&links);

	rig_put(rig, "[" TWO ", " TWO6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_both(rig);
	CHECK_HAS(rig_row(rig, KEY), "item: {kind: route, namespace: {type: name, name: red}, dst: 10.0.0.0/8, nexthops: "
				     "[{interface: v0, gateway: 192.0.2.9}, {interface: v0-p, gateway: 198.51.100.9, weight: 2}]}");

	/* In another order it is the same; with other hops another. */
	uint64_t before = rig->core->written;
	rig_put(rig, "[{kind: route, dst: fd00::/8" RED ", nexthops: [{gateway: fe80::9, interface: v0-p, weight: 3}, "
		     "{gateway: fe80::9, interface: v0}]}]");
	CHECK_EQ(rig->core->written, before);
	rig_put(rig, "[{kind: route, dst: 10.0.0.0/8" RED ", nexthops: [{gateway: 192.0.2.9, interface: v0}, "
		     "{gateway: 192.0.2.8, interface: v0}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK(!strstr(by_ip_shown(rig, "route show 10.0.0.0/8"), "v0-p"));
	rig_put(rig, "[{kind: route, dst: 10.0.0.0/8, type: blackhole" RED "}]");
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "blackhole");
	rig_put(rig, "[" TWO "]");
	check_both(rig);

	rig_delete(rig, "[" KEY ", " KEY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_STR(by_ip_shown(rig, "route show 10.0.0.0/8"), "");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd00::/8"), "");
	CHECK_EQ(rig->core->table.sets.live, 0);
	/* Nobody counts on the links any more. */
	CHECK_EQ(rig->core->slots[links.v0]->rows, 0);
	CHECK_EQ(nsp_slot_free(rig->core, links.v0), 0);
	rig_free(rig);
}

static void test_waits(void)
{
	struct links links;
	struct rig *rig = rig_with_two(&links);

	lose(rig, links.peer);
	rig_put(rig, "[" TWO ", " TWO6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig_row(rig, KEY), "missing: [link/v0-p@name:red]");
	CHECK_HAS(rig_row(rig, KEY6), "missing: [link/v0-p@name:red]");
	nsp_slot_ready(rig->core, links.peer, rig->netns, rig->peer);
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	check_both(rig);

	/* What the kernel finds no way to is said as of other routes. */
	rig_put(rig, "[{kind: route, dst: 11.0.0.0/8" RED ", nexthops: [{interface: v0, gateway: 192.0.2.9}, "
		     "{interface: v0-p, gateway: 203.0.113.1}]}]");
	CHECK_HAS(rig_row(rig, "route/@name:red/11.0.0.0/8"), "missing: [gateway/192.0.2.9, gateway/203.0.113.1]");
	rig_put(rig, "[{kind: route, interface: v0-p" RED ", dst: 203.0.113.0/24}]");
	CHECK_HAS(rig_await(rig, "route/@name:red/11.0.0.0/8", "state: configured"), "state: configured");
	rig_free(rig);
}

/* A link goes down and comes back; it is made anew, with another number; it goes for good, and the route is deleted. */
static void test_a_link_goes(void)
{
	struct links links;
	struct rig *rig = rig_with_two(&links);

	rig_put(rig, "[" TWO ", " TWO6 "]");
	by_ip(rig, "link set v0-p down");
	lose(rig, links.peer);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, KEY), "state: pending");
	CHECK_HAS(rig_row(rig, KEY), "missing: [link/v0-p@name:red]");
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "via 192.0.2.9"); /* the other hop is left */
	by_ip(rig, "link set v0-p up");
	nsp_slot_ready(rig->core, links.peer, rig->netns, rig->peer);
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	check_both(rig);

	lose(rig, links.peer);
	by_ip(rig, "link del v0");
	lose(rig, links.v0);
	by_ip(rig, "link add v0 type veth peer name v0-p && ip link set v0 up && ip link set v0-p up"
		   " && ip addr add 192.0.2.1/24 dev v0 && ip addr add 198.51.100.1/24 dev v0-p");
	struct nsp_link link;
	nsp_slot_ready(rig->core, links.v0, rig->netns, world_link(rig->world, "v0", &link));
	CHECK_HAS(rig_row(rig, KEY), "missing: [link/v0-p@name:red]");
	nsp_slot_ready(rig->core, links.peer, rig->netns, world_link(rig->world, "v0-p", &link));
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	check_both(rig);

	lose(rig, links.peer);
	rig_delete(rig, "[" KEY ", " KEY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_STR(by_ip_shown(rig, "route show 10.0.0.0/8"), "");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd00::/8"), "");
	rig_free(rig);
}

static void test_drift(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	struct links links;

	rig_addr(rig, rig->peer, "198.51.100.1", 24);
	make_ready(rig, &links);
	rig_put(rig, "[" TWO ", " TWO6 "]");
	listen_in(&listener);
	by_ip(rig, "route del 10.0.0.0/8 && ip -6 route del fd00::/8");
	listen_in(&listener);
	check_both(rig);
	by_ip(rig, "-6 route del fd00::/8 via fe80::9 dev v0-p");
	listen_in(&listener);
	check_both(rig);
	CHECK_EQ(totals(&listener).missing, 3);
	by_ip(rig, "route replace 10.0.0.0/8 proto 110 nexthop via 192.0.2.9 dev v0 nexthop via 198.51.100.8 dev v0-p"
		   " && ip -6 route replace fd00::/8 proto 110 via fe80::9 dev v0");
	listen_in(&listener);
	check_both(rig);
	CHECK_EQ(totals(&listener).altered, 2);
	/* The same as it is. */
	by_ip(rig, "route replace 10.0.0.0/8 proto 110 nexthop via 198.51.100.9 dev v0-p weight 2 nexthop via 192.0.2.9 dev v0");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 2);
	listener_free(&listener);
}

static void test_earlier_life(void)
{
	struct links links;
	struct rig *rig = rig_with_two(&links);
	struct nsp_error err = { 0 };
	long count;

	rig_put(rig, "[" TWO ", " TWO6 ", {kind: route, dst: fd01::/16" RED ", nexthops: [{interface: v0, gateway: fe80::9},"
		     " {interface: v0-p, gateway: fe80::7}]}, {kind: route, dst: 11.0.0.0/8" RED ", nexthops: "
		     "[{interface: v0, gateway: 192.0.2.9}, {interface: v0-p, gateway: 198.51.100.9}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 4);
	nsp_core_free(rig->core);
	rig->core = nsp_core_new(&err);
	NEED(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err));
	nsp_core_pause(rig->core, 1);
	make_ready(rig, &links);
	uint32_t serial = rig_start(rig, "[" TWO ", " TWO6 "]");
	nsp_core_watch(rig->core, 1);
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, 0, "@name:red");
	nsp_core_submit(rig->core, op, true);
	rig_end(rig, serial);
	while (!rig->op)
		rig_next(rig);
	nsp_core_pause(rig->core, 0);
	CHECK_EQ(rig->op->stale, 2);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	CHECK_EQ(rig->core->written, 0);
	CHECK_HAS(rig_changes(rig, &count), "drift/route/@name:red/11.0.0.0/8");
	check_both(rig);
	CHECK_STR(by_ip_shown(rig, "-6 route show fd01::/16"), "");
	CHECK_STR(by_ip_shown(rig, "route show 11.0.0.0/8"), "");
	rig_free(rig);
}

static void test_conflicts_and_override(void)
{
	struct links links;
	struct rig *rig = rig_with_two(&links);

	rig_put(rig, "[" TWO ", " TWO6 "]");
	rig_put(rig, "[{kind: route, interface: v0" RED ", dst: 10.0.0.0/8}, {kind: route, interface: v0-p" RED ", dst: fd00::/8,"
		     " gateway: fe80::9}]");
	CHECK_HAS(rig_row(rig, "route/v0@name:red/10.0.0.0/8"), "held by " KEY);
	CHECK_HAS(rig_row(rig, "route/v0-p@name:red/fd00::/8"), "held by " KEY6);
	rig_delete(rig, "[" KEY ", " KEY6 ", route/v0@name:red/10.0.0.0/8, route/v0-p@name:red/fd00::/8]");
	rig_quiet(rig);
	by_ip(rig, "route add 10.0.0.0/8 proto static nexthop via 192.0.2.77 dev v0 nexthop via 198.51.100.77 dev v0-p"
		   " && ip -6 route add fd00::/8 proto static via fe80::77 dev v0");
	rig_put(rig, "[" TWO ", " TWO6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	CHECK_HAS(rig_row(rig, KEY), "exists: a route of protocol static with several gateways");
	rig_put(rig, "[{kind: route, override: true, dst: 10.0.0.0/8" RED ", nexthops: "
		     "[{interface: v0-p, gateway: 198.51.100.9, weight: 2}, {interface: v0, gateway: 192.0.2.9}]},"
		     "{kind: route, override: true, dst: fd00::/8" RED ", nexthops: "
		     "[{interface: v0, gateway: fe80::9}, {interface: v0-p, gateway: fe80::9, weight: 3}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_both(rig);
	rig_delete(rig, "[" KEY ", " KEY6 "]");
	rig_quiet(rig);
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "nexthop via 198.51.100.77 dev v0-p");
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00::/8"), "via fe80::77 dev v0");
	rig_free(rig);
}

int main(void)
{
	test_life();
	test_waits();
	test_a_link_goes();
	test_drift();
	test_earlier_life();
	test_conflicts_and_override();
	return test_end();
}
