/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of several next hops: put, shown, changed, damaged, found again, deleted, in both families. */
#include "nexthops.h"

#define TWO                                                                                                                        \
	"{kind: route, interface: web0, dst: 10.0.0.0/8, nexthops: "                                                               \
	"[{gateway: 192.0.2.10, weight: 3}, {gateway: 192.0.2.9}]}"
#define TWO6                                                                                                                       \
	"{kind: route, interface: web0, dst: fd00::/8, nexthops: "                                                                 \
	"[{gateway: 2001:db8::9, weight: 2}, {gateway: 2001:db8::10}]}"
#define KEY "route/web0/10.0.0.0/8"
#define KEY6 "route/web0/fd00::/8"

static void check_both(struct rig *rig)
{
	const char *text = by_ip_shown(rig, "route show 10.0.0.0/8");

	CHECK_HAS(text, "nexthop via 192.0.2.9 dev v0 weight 1");
	CHECK_HAS(text, "nexthop via 192.0.2.10 dev v0 weight 3");
	text = by_ip_shown(rig, "-6 route show fd00::/8");
	CHECK_HAS(text, "nexthop via 2001:db8::9 dev v0 weight 2");
	CHECK_HAS(text, "nexthop via 2001:db8::10 dev v0 weight 1");
}

static void test_life(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[" TWO ", " TWO6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_both(rig);
	/* In the order of their addresses. */
	CHECK_HAS(rig_row(rig, KEY),
		  "item: {kind: route, interface: web0, dst: 10.0.0.0/8, nexthops: [{gateway: 192.0.2.9}, {gateway: 192.0.2.10,"
		  " weight: 3}]}");
	CHECK_HAS(rig_row(rig, KEY6), "nexthops: [{gateway: 2001:db8::9, weight: 2}, {gateway: 2001:db8::10}]");

	/* In another order it is the same. */
	uint32_t before = rig->core->written;
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, nexthops: "
		     "[{gateway: 192.0.2.9, weight: 1}, {weight: 3, gateway: 192.0.2.10}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_EQ(rig->core->written, before);

	/* One instead, and several again. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9},"
		     " {kind: route, interface: web0, dst: fd00::/8, gateway: 2001:db8::9}]");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	CHECK_HAS(in_kernel(rig, "fd00::/8"), "via 2001:db8::9");
	rig_put(rig, "[" TWO ", " TWO6 "]");
	check_both(rig);

	rig_delete(rig, "[" KEY ", " KEY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_STR(by_ip_shown(rig, "route show 10.0.0.0/8"), "");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd00::/8"), "");
	CHECK_EQ(rig->core->table.sets.live, 0);
	rig_free(rig);
}

/* A set is kept once, whatever has it. */
static void test_shared(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 1000, ", gateway: 192.0.2.9");

	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1000);
	CHECK_EQ(rig->core->table.sets.live, 1);
	rig_put(rig, "[" TWO "]");
	CHECK_EQ(rig->core->table.sets.live, 2);
	rig_put_as(rig, "other", "[" TWO "]"); /* refused: it leaves nothing */
	CHECK_EQ(rig->counts[NSP_STATE_CONFLICT], 1);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}]");
	CHECK_EQ(rig->core->table.sets.live, 1);
	free(items);
	rig_free(rig);
}

static void test_one_is_not_there(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, nexthops: [{gateway: 192.0.2.9}, {gateway: 198.51.100.1}]},"
		     " {kind: route, interface: web0, dst: fd00::/8, nexthops: [{gateway: 2001:db8::9}, {gateway: 2001:db8:1::1}]},"
		     " {kind: route, interface: web0, dst: 11.0.0.0/8, nexthops: [{gateway: 192.0.2.9}, {gateway: 198.51.100.1,"
		     " onlink: true}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig_row(rig, KEY), "missing: [gateway/192.0.2.9, gateway/198.51.100.1]");
	CHECK_HAS(rig_row(rig, KEY6), "missing: [gateway/2001:db8::9, gateway/2001:db8:1::1]");
	CHECK_HAS(by_ip_shown(rig, "route show 11.0.0.0/8"), "198.51.100.1 dev v0 weight 1 onlink");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "{gateway: 198.51.100.1, onlink: true}");
	rig_put(rig,
		"[{kind: route, interface: web0, dst: 198.51.100.0/24}, {kind: route, interface: web0, dst: 2001:db8:1::/64}]");
	CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	rig_free(rig);
}

/* Somebody else deletes them, takes a hop out, replaces them. */
static void test_drift(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;

	rig_put(rig, "[" TWO ", " TWO6 "]");
	listen_in(&listener);
	by_ip(rig, "route del 10.0.0.0/8 && ip -6 route del fd00::/8");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 2);
	check_both(rig);
	by_ip(rig, "-6 route del fd00::/8 via 2001:db8::9 dev v0");
	listen_in(&listener);
	check_both(rig);
	uint64_t altered = totals(&listener).altered;
	by_ip(rig, "route replace 10.0.0.0/8 proto 110 nexthop via 192.0.2.9 dev v0 nexthop via 192.0.2.10 dev v0 weight 4"
		   " && ip -6 route append fd00::/8 proto static via 2001:db8::11 dev v0");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, altered + 2);
	check_both(rig);
	CHECK(!strstr(by_ip_shown(rig, "-6 route show fd00::/8"), "2001:db8::11"));

	/* The same in another order is no drift. */
	by_ip(rig, "route replace 10.0.0.0/8 proto 110 nexthop via 192.0.2.10 dev v0 weight 3 nexthop via 192.0.2.9 dev v0");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, altered + 2);
	listener_free(&listener);
}

/* In a later life they are known as they are; of what nobody wants any more it is said what it was. */
static void test_earlier_life(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_error err = { 0 };
	long count;

	rig_put(rig, "[" TWO ", " TWO6 ", {kind: route, interface: web0, dst: fd01::/16, nexthops: [{gateway: 2001:db8::9},"
		     " {gateway: 2001:db8::10}, {gateway: 2001:db8::11}]}]");
	nsp_core_free(rig->core);
	rig->core = nsp_core_new(&err);
	NEED(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err));
	rig->slot = nsp_slot_find(rig->core, "web0");
	nsp_core_pause(rig->core, 1);
	rig_ready(rig);
	uint32_t serial = rig_start(rig, "[" TWO ", " TWO6 "]");
	nsp_core_watch(rig->core, 1);
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, true);
	rig_end(rig, serial);
	while (!rig->op)
		rig_next(rig);
	nsp_core_pause(rig->core, 0);
	CHECK_EQ(rig->op->stale, 1);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	CHECK_EQ(rig->core->written, 0);
	CHECK_HAS(rig_changes(rig, &count),
		  "nexthops: [{gateway: 2001:db8::9}, {gateway: 2001:db8::10}, {gateway: 2001:db8::11}]}, found: stale");
	CHECK_STR(by_ip_shown(rig, "-6 route show fd01::/16"), "");
	check_both(rig);

	by_ip(rig, "route replace 10.0.0.0/8 proto 110 nexthop via 192.0.2.9 dev v0 nexthop via 192.0.2.11 dev v0");
	read_back(rig);
	CHECK_EQ(rig->op->altered, 1);
	check_both(rig);
	read_back(rig);
	CHECK_EQ(rig->op->altered, 0);
	rig_free(rig);
}

static void test_override(void)
{
	struct rig *rig = rig_new_ready();

	by_ip(rig, "route add 10.0.0.0/8 proto static via 192.0.2.77 dev v0 && ip -6 route add fd00::/8 proto static"
		   " nexthop via 2001:db8::77 dev v0 nexthop via 2001:db8::78 dev v0");
	rig_put(rig, "[" TWO ", " TWO6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, override: true, nexthops: "
		     "[{gateway: 192.0.2.10, weight: 3}, {gateway: 192.0.2.9}]},"
		     " {kind: route, interface: web0, dst: fd00::/8, override: true, nexthops: "
		     "[{gateway: 2001:db8::9, weight: 2}, {gateway: 2001:db8::10}]}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_both(rig);
	rig_delete(rig, "[" KEY ", " KEY6 "]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00::/8"), "2001:db8::78");
	rig_free(rig);
}

#define MANY 300

/* Messages so long that a batch of rows does not fit into one; withdrawn, and put again. */
static void test_many_hops(void)
{
	struct rig *rig = rig_new_ready();
	size_t cap = MANY * 3000, n = 0;
	char *items = malloc(cap);

	n += (size_t)snprintf(items + n, cap - n, "[");
	for (int i = 0; i < MANY; i++) {
		n += (size_t)snprintf(items + n, cap - n, "{kind: route, interface: web0, dst: fd00:%x::/32, nexthops: [", i);
		for (int k = 0; k < HOPS_MAX; k++)
			n += (size_t)snprintf(items + n, cap - n, "{gateway: 2001:db8::1:%x}, ", HOPS_MAX - k);
		n += (size_t)snprintf(items + n, cap - n, "]}, ");
	}
	snprintf(items + n, cap - n, "]");
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], MANY);
	CHECK_EQ(rig->core->table.sets.live, 1);
	CHECK_HAS(by_ip_shown(rig, "-6 route show fd00:12b::/32"), "2001:db8::1:40 dev v0");
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	rig_lost(rig, "[]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "-6 route show proto 110"), "");
	free(items);
	rig_free(rig);
}

int main(void)
{
	test_life();
	test_shared();
	test_one_is_not_there();
	test_drift();
	test_earlier_life();
	test_override();
	test_many_hops();
	return test_end();
}
