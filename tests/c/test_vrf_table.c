/* SPDX-License-Identifier: Apache-2.0 */
/* Routes on a link in a VRF go to its table where they name none: put, shown, damaged, found again, in the way of others, deleted. (This
 * needs no VRF: to the core its table is a number.) */
#include "nexthops.h"

#define ITEM "{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9"
#define ITEM6 "{kind: route, interface: web0, dst: fd00::/8, gateway: '2001:db8::9'"
#define KEY "route/web0/10.0.0.0/8"
#define KEY6 "route/web0/fd00::/8"
#define IN_100 ";table=100"

static void ready_in(struct rig *rig, uint32_t table)
{
	nsp_slot_ready_in_vrf(rig->core, rig->slot, rig->netns, rig->link, table);
}

static void check_in(struct rig *rig, const char *table)
{
	char show[64];

	snprintf(show, sizeof(show), "route show table %s 10.0.0.0/8", table);
	CHECK_HAS(by_ip_shown(rig, show), "via 192.0.2.9 dev v0 proto 110");
	snprintf(show, sizeof(show), "-6 route show table %s fd00::/8", table);
	CHECK_HAS(by_ip_shown(rig, show), "via 2001:db8::9 dev v0 proto 110");
}

static void check_not_in(struct rig *rig, const char *table)
{
	char show[64];

	snprintf(show, sizeof(show), "route show table %s 10.0.0.0/8 2>/dev/null", table);
	CHECK_STR(by_ip_shown(rig, show), "");
	snprintf(show, sizeof(show), "-6 route show table %s fd00::/8 2>/dev/null", table);
	CHECK_STR(by_ip_shown(rig, show), "");
}

static struct rig *rig_in_vrf(void)
{
	struct rig *rig = rig_new();

	ready_in(rig, 100);
	return rig;
}

static void test_life(void)
{
	struct rig *rig = rig_in_vrf();

	rig_put(rig, "[" ITEM "}, " ITEM6 "}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_in(rig, "100");
	check_not_in(rig, "main");
	CHECK_HAS(rig_row(rig, KEY), "item: " ITEM "}");

	/* Of the same key is what names main. */
	uint64_t before = rig->core->written;
	rig_put(rig, "[" ITEM ", table: 254}, " ITEM6 "}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_EQ(rig->core->written, before);

	/* What names another table is in that. */
	rig_put(rig, "[" ITEM ", table: 200}, " ITEM6 ", table: 200}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	check_in(rig, "100");
	check_in(rig, "200");

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.10}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(by_ip_shown(rig, "route show table 100 10.0.0.0/8"), "via 192.0.2.10 dev v0 proto 110");
	rig_delete(rig, "[" KEY ", " KEY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	check_not_in(rig, "100");
	check_in(rig, "200");
	rig_free(rig);
}

/* The link comes into a VRF, goes to another, and leaves that. */
static void test_slot(void)
{
	static const uint32_t tables[] = { 0, 100, 200, 0 };
	static const char *const names[] = { "main", "100", "200", "main" };
	struct rig *rig = rig_new();

	rig_put(rig, "[" ITEM "}, " ITEM6 "}]");
	for (unsigned i = 0; i < 4; i++) {
		ready_in(rig, tables[i]);
		rig_quiet(rig);
		CHECK_HAS(rig_await(rig, KEY, "state: configured"), "state: configured");
		CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
		check_in(rig, names[i]);
		if (i && tables[i] != tables[i - 1])
			check_not_in(rig, names[i - 1]);
	}
	rig_lost(rig, "[]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	check_not_in(rig, "main");
	rig_free(rig);
}

/* The link goes to another VRF while its routes are being written: none is left in the first one's table. */
static void test_written_meanwhile(void)
{
	struct rig *rig = rig_in_vrf();
	uint32_t serial = rig_ballast(rig, 20000);

	rig_lost(rig, "[]", NSP_SLOT_WITHDRAW);
	ready_in(rig, 200);
	rig_end(rig, serial);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show table 100 2>/dev/null"), "");
	CHECK_EQ(ours_in_kernel(rig), 20000);
	rig_free(rig);
}

static void test_drift(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;

	rig_lost(rig, "[]", 0);
	ready_in(rig, 100);
	rig_put(rig, "[" ITEM "}, " ITEM6 "}]");
	listen_in(&listener);
	by_ip(rig, "route del table 100 10.0.0.0/8 && ip -6 route del table 100 fd00::/8");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 2);
	check_in(rig, "100");
	by_ip(rig, "route replace table 100 10.0.0.0/8 proto 110 via 192.0.2.7"
		   " && ip -6 route replace table 100 fd00::/8 proto 110 via 2001:db8::7");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).altered, 2);
	check_in(rig, "100");
	/* In main there is nothing of ours. */
	by_ip(rig, "route add 10.0.0.0/8 proto 110 via 192.0.2.7 && ip route del 10.0.0.0/8");
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 2);
	listener_free(&listener);
}

static void test_read_back(void)
{
	struct rig *rig = rig_in_vrf();

	rig_put(rig, "[" ITEM "}, " ITEM6 "}]");
	read_back(rig);
	CHECK_EQ(rig->op->missing + rig->op->altered + rig->op->stale, 0);
	by_ip(rig, "route del table 100 10.0.0.0/8 && ip -6 route replace table 100 fd00::/8 proto 110 via 2001:db8::7");
	read_back(rig);
	CHECK_EQ(rig->op->missing, 1);
	CHECK_EQ(rig->op->altered, 1);
	rig_quiet(rig);
	check_in(rig, "100");
	rig_free(rig);
}

/* In a later life: what is wanted is taken as it is in the VRF's table, and not in main. */
static void test_earlier_life(void)
{
	struct rig *rig = rig_in_vrf();
	struct nsp_error err = { 0 };

	rig_put(rig, "[" ITEM "}, " ITEM6 "}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 3);
	by_ip(rig, "route add 10.0.0.0/8 proto 110 via 192.0.2.9");
	nsp_core_free(rig->core);
	rig->core = nsp_core_new(&err);
	NEED(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err));
	rig->slot = nsp_slot_find(rig->core, "web0");
	nsp_core_pause(rig->core, 1);
	ready_in(rig, 100);
	uint32_t serial = rig_start(rig, "[" ITEM "}, " ITEM6 "}]");
	uint64_t before = rig->core->written;
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, true);
	nsp_core_pause(rig->core, 0);
	rig_end(rig, serial);
	while (!rig->op)
		rig_next(rig);
	CHECK_EQ(rig->op->stale, 2);
	CHECK_EQ(rig->op->missing + rig->op->altered, 0);
	CHECK_EQ(rig->core->written, before);
	check_in(rig, "100");
	check_not_in(rig, "main");
	CHECK_STR(by_ip_shown(rig, "route show table 100 11.0.0.0/8"), "");
	rig_free(rig);
}

/* Two items may be the same route: one that names the VRF's table, one that does not, one of a slot that names the link otherwise. */
static void test_conflicts(void)
{
	struct rig *rig = rig_in_vrf();
	uint32_t other = nsp_slot_find(rig->core, "v0@name:red");

	nsp_slot_ready_in_vrf(rig->core, other, rig->netns, rig->link, 100);
	rig_put(rig, "[" ITEM "}, " ITEM6 ", table: 100}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	rig_put(rig, "[" ITEM ", table: 100}, " ITEM6 "},"
		     " {kind: route, interface: v0, namespace: {type: name, name: red}, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 3);
	CHECK_HAS(rig_row(rig, KEY IN_100), "held by " KEY);
	CHECK_HAS(rig_row(rig, KEY6), "held by " KEY6 IN_100);
	CHECK_HAS(rig_row(rig, "route/v0@name:red/10.0.0.0/8"), "held by " KEY);
	rig_delete(rig, "[route/v0@name:red/10.0.0.0/8]");
	rig_delete(rig, "[" KEY ", '" KEY6 IN_100 "']");
	CHECK_HAS(rig_await(rig, KEY IN_100, "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, KEY6, "state: configured"), "state: configured");
	check_in(rig, "100");
	rig_free(rig);
}

static void test_others(void)
{
	struct rig *rig = rig_in_vrf();

	by_ip(rig, "route add table 100 10.0.0.0/8 proto static via 192.0.2.77 && ip -6 route add fd00::/8 proto static dev v0");
	rig_put(rig, "[" ITEM "}, " ITEM6 "}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1); /* that in main is in nobody's way */
	CHECK_HAS(rig_row(rig, KEY), "exists: a route of protocol static, gateway 192.0.2.77");
	rig_put(rig, "[" ITEM ", override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	check_in(rig, "100");
	rig_delete(rig, "[" KEY "]");
	rig_quiet(rig);
	CHECK_HAS(by_ip_shown(rig, "route show table 100 10.0.0.0/8"), "via 192.0.2.77 dev v0 proto static");
	rig_free(rig);
}

/* Of metric 0 the kernel deletes any: what it hits by mistake is put back where it was. */
static void test_misdeleted(void)
{
	struct rig *rig = rig_in_vrf();

	rig_put(rig, "[" ITEM "}, " ITEM ", metric: 7}]");
	by_ip(rig, "route del table 100 10.0.0.0/8 metric 0 && ip route show table 100");
	rig_delete(rig, "[" KEY "]");
	CHECK_HAS(rig_await(rig, KEY ";metric=7", "state: configured"), "state: configured");
	rig_quiet(rig);
	CHECK_HAS(by_ip_shown(rig, "route show table 100 10.0.0.0/8"), "via 192.0.2.9 dev v0 proto 110 metric 7");
	rig_free(rig);
}

static void test_by_nexthop_objects(void)
{
	struct rig *rig = rig_in_vrf();
	char *items = routes(0, 20, ", gateway: 192.0.2.9");

	nsp_core_nexthop_objects(rig->core, 1);
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 20);
	CHECK_HAS(by_ip_shown(rig, "route show table 100"), "nhid");
	read_back(rig);
	CHECK_EQ(rig->op->missing + rig->op->altered + rig->op->stale, 0);
	CHECK_STR(by_ip_shown(rig, "route show proto 110"), "");
	free(items);
	rig_free(rig);
}

int main(void)
{
	test_life();
	test_slot();
	test_written_meanwhile();
	test_drift();
	test_read_back();
	test_earlier_life();
	test_conflicts();
	test_others();
	test_misdeleted();
	test_by_nexthop_objects();
	return test_end();
}
