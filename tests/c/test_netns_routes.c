/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of a whole namespace: put, shown, changed, damaged, found again, in the way of others, deleted, in both families. */
#include "nexthops.h"

#define OF(type) ", namespace: {type: name, name: red}, type: " type "}"
#define BLACKHOLE "{kind: route, dst: 10.0.0.0/8" OF("blackhole")
#define THROW6 "{kind: route, dst: fd00::/8" OF("throw")
#define KEY "route/@name:red/10.0.0.0/8"
#define KEY6 "route/@name:red/fd00::/8"

/* A rig whose namespace is ready, as `red`. */
static uint32_t netns_slot(struct rig *rig)
{
	uint32_t slot = nsp_slot_find(rig->core, "@name:red");

	nsp_slot_ready(rig->core, slot, rig->netns, 0);
	return slot;
}

static void check_both(struct rig *rig)
{
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "blackhole 10.0.0.0/8 proto 110");
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00::/8"), "throw fd00::/8 dev lo proto 110");
}

static void check_none(struct rig *rig)
{
	CHECK_STR(by_ip_shown(rig, "route show 10.0.0.0/8"), "");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd00::/8"), "");
}

static void test_life(void)
{
	struct rig *rig = rig_new();

	netns_slot(rig);
	rig_put(rig, "[" BLACKHOLE ", " THROW6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_both(rig);
	CHECK_HAS(rig_row(rig, KEY), "item: {kind: route, namespace: {type: name, name: red}, dst: 10.0.0.0/8, type: blackhole}");
	CHECK_HAS(rig_row(rig, KEY6), "item: {kind: route, namespace: {type: name, name: red}, dst: fd00::/8, type: throw}");

	/* The same again is not written; another type takes its place. */
	uint64_t before = rig->core->written;
	rig_put(rig, "[" BLACKHOLE ", " THROW6 "]");
	CHECK_EQ(rig->core->written, before);
	rig_put(rig, "[{kind: route, dst: 10.0.0.0/8" OF("prohibit") ", {kind: route, dst: fd00::/8" OF("unreachable") "]");
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "prohibit 10.0.0.0/8 proto 110");
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00::/8"), "unreachable fd00::/8 dev lo proto 110");

	rig_delete(rig, "[" KEY ", " KEY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	check_none(rig);
	CHECK_EQ(rig->core->table.sets.live, 0);
	rig_free(rig);
}

static void test_keys_and_values(void)
{
	struct rig *rig = rig_new();

	netns_slot(rig);
	rig_put(rig, "[{kind: route, dst: 10.0.0.0/8, metric: 7, table: 300, prefsrc: 192.0.2.1" OF("throw") "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(by_ip_shown(rig, "route show table 300"), "throw 10.0.0.0/8 proto 110 src 192.0.2.1 metric 7");
	CHECK_HAS(rig_row(rig, "route/@name:red/10.0.0.0/8;metric=7;table=300"), "state: configured");
	rig_delete(rig, "['route/@name:red/10.0.0.0/8;metric=7;table=300']");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_STR(by_ip_shown(rig, "route show table 300 2>/dev/null"), "");

	/* In a block, which a key of its own deletes. */
	rig_put(rig, "[{kind: route, namespace: {type: name, name: red}, type: blackhole, block: {dst: 0x0a0100000a020000,"
		     " dst_len: 16}}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(by_ip_shown(rig, "route show 10.2.0.0/16"), "blackhole");
	rig_delete(rig, "[{kind: route, namespace: {type: name, name: red}, block: {dst: 0x0a0100000a020000, dst_len: 16}}]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_STR(by_ip_shown(rig, "route show 10.2.0.0/16"), "");
	rig_free(rig);
}

/* The namespace comes, goes to another, and is lost. */
static void test_slot(void)
{
	struct rig *rig = rig_new();
	uint32_t slot = nsp_slot_find(rig->core, "@name:red");

	nsp_slot_lost(rig->core, slot, NSP_STATE_PENDING, (const uint8_t *)"\x91\xa1n", 3, 0, NULL, 0);
	rig_put(rig, "[" BLACKHOLE ", " THROW6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig_row(rig, KEY), "missing: [n]");
	netns_slot(rig);
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	check_both(rig);

	/* What happens to links does not concern them. */
	uint64_t before = rig->core->written;
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_REFUSED | NSP_RECHECK_ROUTES4 | NSP_RECHECK_ROUTES6);
	rig_quiet(rig);
	CHECK_EQ(rig->core->written, before);

	nsp_slot_lost(rig->core, slot, NSP_STATE_PENDING, NULL, 0, 0, NULL, NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, KEY), "state: pending");
	check_none(rig);
	rig_free(rig);
}

/* Somebody else deletes them, makes others of them, replaces them. */
static void test_drift(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;

	netns_slot(rig);
	rig_put(rig, "[" BLACKHOLE ", " THROW6 "]");
	listen_in(&listener);
	by_ip(rig, "route del blackhole 10.0.0.0/8 && ip -6 route del throw fd00::/8");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 2);
	check_both(rig);
	by_ip(rig, "route replace unreachable 10.0.0.0/8 proto 110 && ip -6 route replace blackhole fd00::/8 proto 110");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 2);
	check_both(rig);
	by_ip(rig, "route replace 10.0.0.0/8 proto 110 via 192.0.2.9 && ip -6 route replace fd00::/8 proto 110 via 2001:db8::9");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 4);
	check_both(rig);
	/* By others, who hold it then. */
	by_ip(rig, "route replace 10.0.0.0/8 proto static via 192.0.2.9");
	listen_in(&listener);
	CHECK_HAS(rig_row(rig, KEY), "exists: a route of protocol static");
	by_ip(rig, "route del 10.0.0.0/8");
	nsp_core_recheck(rig->core, rig->netns, 0, NSP_RECHECK_REFUSED);
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	check_both(rig);
	/* The kernel keeps those of IPv6 on lo, and drops them with it. */
	by_ip(rig, "link set lo up && ip link set lo down");
	listen_in(&listener);
	check_both(rig);
	listener_free(&listener);
}

/* What is there in a later life: taken as it is, put right, or deleted where nobody wants it any more. */
static void test_earlier_life(void)
{
	struct rig *rig = rig_new();
	struct nsp_error err = { 0 };

	netns_slot(rig);
	rig_put(rig, "[" BLACKHOLE ", " THROW6
		     ", {kind: route, dst: 11.0.0.0/8" OF("blackhole") ", {kind: route, dst: fd01::/16" OF("blackhole") "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 4);
	by_ip(rig, "-6 route replace prohibit fd00::/8 proto 110");
	nsp_core_free(rig->core);
	rig->core = nsp_core_new(&err);
	NEED(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err));
	nsp_core_pause(rig->core, 1);
	netns_slot(rig);
	uint32_t serial = rig_start(rig, "[" BLACKHOLE ", " THROW6 "]");
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, 0, "@name:red");
	nsp_core_submit(rig->core, op, true);
	nsp_core_pause(rig->core, 0);
	rig_end(rig, serial);
	while (!rig->op)
		rig_next(rig);
	CHECK_EQ(rig->op->stale, 2);
	CHECK_EQ(rig->op->altered, 1);
	CHECK_EQ(rig->op->missing, 0);
	check_both(rig);
	CHECK_STR(by_ip_shown(rig, "route show 11.0.0.0/8"), "");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd01::/16"), "");

	by_ip(rig, "route del blackhole 10.0.0.0/8");
	read_back(rig);
	CHECK_EQ(rig->op->missing, 1);
	rig_quiet(rig);
	check_both(rig);
	rig_free(rig);
}

/* A route on a link is the same kernel object, and so is one that names the namespace otherwise. */
static void test_conflicts(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t slot = nsp_slot_find(rig->core, "@microservice:web");

	netns_slot(rig);
	nsp_slot_ready(rig->core, slot, rig->netns, 0);
	rig_put(rig, "[" BLACKHOLE ", " THROW6 "]");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: fd00::/8},"
		     " {kind: route, namespace: {type: microservice, microservice: web}, dst: 10.0.0.0/8, type: throw}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 3);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "held by " KEY);
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/8"), "held by " KEY6);
	CHECK_HAS(rig_row(rig, "route/@microservice:web/10.0.0.0/8"), "held by " KEY);
	rig_delete(rig, "[" KEY6 "]");
	CHECK_HAS(rig_await(rig, "route/web0/fd00::/8", "state: configured"), "state: configured");
	rig_put(rig, "[" THROW6 "]");
	CHECK_HAS(rig_row(rig, KEY6), "held by route/web0/fd00::/8");
	rig_free(rig);
}

static void test_override(void)
{
	struct rig *rig = rig_new_ready();

	netns_slot(rig);
	by_ip(rig, "route add 10.0.0.0/8 proto static via 192.0.2.77 && ip -6 route add blackhole fd00::/8 proto static");
	rig_put(rig, "[" BLACKHOLE ", {kind: route, interface: web0, dst: fd00::/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	CHECK_HAS(rig_row(rig, KEY), "exists: a route of protocol static, gateway 192.0.2.77");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/8"), "exists: a blackhole route of protocol static");
	rig_put(rig, "[{kind: route, dst: 10.0.0.0/8, override: true" OF(
			     "blackhole") ","
					  " {kind: route, interface: web0, dst: fd00::/8, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "blackhole");
	rig_delete(rig, "[" KEY ", route/web0/fd00::/8]");
	rig_quiet(rig);
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00::/8"), "blackhole fd00::/8 dev lo proto static");
	rig_free(rig);
}

/* Nexthop objects are of links, and none of these. */
static void test_many_beside_nexthop_objects(void)
{
	struct rig *rig = rig_new_ready();
	char items[4096] = "[";
	size_t n = 1;

	nsp_core_nexthop_objects(rig->core, 1);
	uint32_t slot = netns_slot(rig);
	char *by_gateway = routes(0, 20, ", gateway: 192.0.2.9");
	rig_put(rig, by_gateway);
	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(items + n, sizeof(items) - n, "{kind: route, dst: 30.%d.0.0/16" OF("blackhole") ", ", i);
	snprintf(items + n, sizeof(items) - n, "]");
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 20);
	nsp_slot_lost(rig->core, slot, NSP_STATE_PENDING, NULL, 0, 0, NULL, 0);
	uint64_t before = rig->core->written;
	free(by_gateway);
	by_gateway = routes(20, 1, ", gateway: 192.0.2.9");
	rig_put(rig, by_gateway);
	CHECK_EQ(rig->core->written, before + 1); /* the object is there still */
	CHECK_HAS(by_ip_shown(rig, "route show 20.0.0.20"), "nhid");
	free(by_gateway);
	rig_free(rig);
}

int main(void)
{
	test_life();
	test_keys_and_values();
	test_slot();
	test_drift();
	test_earlier_life();
	test_conflicts();
	test_override();
	test_many_beside_nexthop_objects();
	return test_end();
}
