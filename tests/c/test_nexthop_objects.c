/* SPDX-License-Identifier: Apache-2.0 */
/* Routes by nexthop objects: made when enough rows share their next hops, found again, repaired, and deleted with their last route. */
#include "nexthops.h"

static struct rig *rig_by_objects(void)
{
	struct rig *rig = rig_new_ready();

	nsp_core_nexthop_objects(rig->core, 1);
	return rig;
}

static struct listener listener_by_objects(void)
{
	struct listener listener = listener_new();

	nsp_core_nexthop_objects(listener.rig->core, 1);
	return listener;
}

/* Ten routes of this set of next hops. */
static void put_ten(struct rig *rig, uint32_t first, const char *rest)
{
	char *items = routes(first, 10, rest);

	rig_put(rig, items);
	free(items);
}

static void put_ten6(struct rig *rig, const char *rest)
{
	char items[4096] = "[";
	size_t n = 1;

	for (int i = 0; i < 10; i++)
		n += (size_t)snprintf(items + n, sizeof(items) - n, "{kind: route, interface: web0, dst: fd00:a%d::/32%s}, ", i,
				      rest);
	snprintf(items + n, sizeof(items) - n, "]");
	rig_put(rig, items);
}

/* How many lines of what ip(8) shows have this part. */
static int lines(struct rig *rig, const char *what, const char *part)
{
	int count = 0;

	for (const char *at = by_ip_shown(rig, what); (at = strstr(at, part)); at++)
		count++;
	return count;
}

static uint32_t first_id(struct rig *rig)
{
	return (uint32_t)strtoul(strstr(by_ip_shown(rig, "nexthop show"), "id ") + 3, NULL, 10);
}

static void by_ip_id(struct rig *rig, const char *format, uint32_t id)
{
	char command[256];

	snprintf(command, sizeof(command), format, id);
	by_ip(rig, command);
}

static char *ten_keys(const char *form)
{
	static char keys[1024];
	size_t n = (size_t)snprintf(keys, sizeof(keys), "[");

	for (int i = 0; i < 10; i++) {
		n += (size_t)snprintf(keys + n, sizeof(keys) - n, form, i);
		n += (size_t)snprintf(keys + n, sizeof(keys) - n, ", ");
	}
	snprintf(keys + n, sizeof(keys) - n, "]");
	return keys;
}

static void test_life(void)
{
	struct rig *rig = rig_by_objects();

	put_ten(rig, 0, ", gateway: 192.0.2.9");
	put_ten6(rig, ", gateway: 2001:db8::9");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(lines(rig, "route show", "nhid"), 10);
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 10);
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 2);
	CHECK_EQ(first_id(rig) >> 24, 110);
	CHECK_HAS(rig_row(rig, "route/web0/20.0.0.3/32"), "gateway: 192.0.2.9}");

	/* The same again is not written, and found as it is, whatever the kernel tells of it. */
	uint64_t before = rig->core->written;
	put_ten(rig, 0, ", gateway: 192.0.2.9");
	CHECK_EQ(rig->core->written, before);
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing + rig->op->stale, 0);
	NEED(nsp_netns_sysctl(rig->world->netns, "ipv4/nexthop_compat_mode", "0", NULL));
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing + rig->op->stale, 0);

	/* Few go without. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.10}]");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.10");

	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 10);
	CHECK_EQ(lines(rig, "route show", "nhid"), 0);
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 2);
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 1);
	rig_delete(rig, ten_keys("route/web0/fd00:a%d::/32"));
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 0);
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 0);
	CHECK_EQ(rig->core->nexthops.live, 0);
	rig_free(rig);
}

/* Several are a group, and it goes in front of its members. */
static void test_groups(void)
{
	struct rig *rig = rig_by_objects();

	put_ten(rig, 0, ", nexthops: [{gateway: 192.0.2.9, weight: 3}, {gateway: 192.0.2.10}]");
	put_ten(rig, 10, ", nexthops: [{gateway: 192.0.2.9}, {gateway: 192.0.2.11, weight: 256}]");
	put_ten6(rig, ", nexthops: [{gateway: 2001:db8::9}, {gateway: 2001:db8::10, weight: 2}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(lines(rig, "nexthop show", "group"), 3);
	CHECK_EQ(lines(rig, "nexthop show", "via 192.0.2."), 3);
	CHECK_EQ(lines(rig, "route show", "nhid"), 20);
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 10);
	CHECK_HAS(by_ip_shown(rig, "route show 20.0.0.10"), "nexthop via 192.0.2.11 dev v0 weight 256");
	CHECK_HAS(rig_row(rig, "route/web0/20.0.0.3/32"), "nexthops: [{gateway: 192.0.2.9, weight: 3}, {gateway: 192.0.2.10}]");
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing + rig->op->stale, 0);
	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "group"), 2);
	CHECK_EQ(lines(rig, "nexthop show", "via 192.0.2."), 2);
	put_ten(rig, 10, ", gateway: 192.0.2.11");
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "group"), 1);
	CHECK_EQ(lines(rig, "nexthop show", "via 192.0.2."), 1);
	rig_free(rig);
}

/* A number that somebody has is left to him. */
static void test_foreign_numbers(void)
{
	struct rig *rig = rig_by_objects();

	rig->core->nexthops.last_id = 0x6e00000f;
	by_ip(rig, "nexthop add id 1845493776 via 192.0.2.77 dev v0 && ip nexthop add id 1845493777 via 192.0.2.78 dev v0 proto 110"
		   " && ip route add 10.9.0.0/16 nhid 1845493777 proto static");
	put_ten(rig, 0, ", gateway: 192.0.2.9");
	CHECK_HAS(by_ip_shown(rig, "nexthop show"), "id 1845493778 via 192.0.2.9 dev v0");
	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	read_back(rig);
	/* One with somebody's route stays, whoever made it. */
	CHECK_EQ(lines(rig, "nexthop show", "via"), 2);
	CHECK_HAS(by_ip_shown(rig, "route show 10.9.0.0/16"), "nhid 1845493777");
	rig_free(rig);
}

static void test_life_after(void)
{
	struct rig *rig = rig_by_objects();
	struct nsp_error err = { 0 };

	put_ten(rig, 0, ", gateway: 192.0.2.9");
	put_ten(rig, 10, ", nexthops: [{gateway: 192.0.2.9}, {gateway: 192.0.2.10}]");
	put_ten(rig, 20, ", gateway: 192.0.2.11");
	nsp_core_free(rig->core);
	CHECK_EQ(lines(rig, "route show", "nhid"), 30);
	rig->core = nsp_core_new(&err);
	nsp_core_nexthop_objects(rig->core, 1);
	NEED(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err));
	rig->slot = nsp_slot_find(rig->core, "web0");
	nsp_core_pause(rig->core, 1);
	rig_ready(rig);
	char *one = routes(0, 10, ", gateway: 192.0.2.9"),
	     *two = routes(10, 10, ", nexthops: [{gateway: 192.0.2.10}, {gateway: 192.0.2.9}]");
	uint32_t first = rig_start(rig, one), second = rig_start(rig, two);
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, true);
	while (!rig->op)
		rig_next(rig);
	CHECK_EQ(rig_result(rig, first), 0);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(rig_result(rig, second), 0);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	nsp_core_pause(rig->core, 0);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	CHECK_EQ(rig->op->stale, 10);
	CHECK_EQ(rig->core->written, 0);
	CHECK_EQ(lines(rig, "route show", "nhid"), 20);
	CHECK_EQ(lines(rig, "nexthop show", "via"), 2);
	CHECK_EQ(lines(rig, "nexthop show", "group"), 1);
	free(one);
	free(two);
	rig_free(rig);
}

/* Somebody deletes or replaces the object: nobody tells of its routes. */
static void test_drift(void)
{
	struct listener listener = listener_by_objects();
	struct rig *rig = listener.rig;

	put_ten(rig, 0, ", gateway: 192.0.2.9");
	put_ten6(rig, ", gateway: 2001:db8::9");
	listen_in(&listener);
	by_ip_id(rig, "nexthop del id %u", first_id(rig));
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 10);
	CHECK_EQ(lines(rig, "route show", "nhid"), 10);
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 10);
	by_ip(rig, "nexthop flush proto 110 >/dev/null 2>&1");
	listen_in(&listener);
	CHECK_EQ(lines(rig, "route show", "nhid"), 10);
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 10);

	uint32_t id = (uint32_t)strtoul(strstr(by_ip_shown(rig, "route show 20.0.0.1"), "nhid ") + 5, NULL, 10);
	by_ip_id(rig, "nexthop replace id %u via 192.0.2.66 dev v0", id);
	listen_in(&listener);
	CHECK_HAS(by_ip_shown(rig, "route show 20.0.0.1"), "via 192.0.2.9 dev v0");
	CHECK_EQ(totals(&listener).altered, 1);
	/* One route is given to another object, and one is deleted. */
	by_ip(rig, "nexthop add id 5 via 192.0.2.66 dev v0 && ip route replace 20.0.0.2 nhid 5 proto 110 && ip route del 20.0.0.3");
	listen_in(&listener);
	CHECK_EQ(lines(rig, "route show", "via 192.0.2.9 "), 10);
	CHECK_EQ(totals(&listener).altered, 2);

	/* By reading back. */
	by_ip_id(rig, "nexthop replace id %u via 192.0.2.66 dev v0", id);
	read_back(rig);
	rig_quiet(rig);
	CHECK_EQ(lines(rig, "route show", "via 192.0.2.9 "), 10);
	by_ip_id(rig, "nexthop del id %u", id);
	read_back(rig);
	rig_quiet(rig);
	CHECK_EQ(rig->op->failed, 0);
	CHECK_EQ(lines(rig, "route show", "via 192.0.2.9 "), 10);
	listener_free(&listener);
}

static void test_group_drift(void)
{
	struct listener listener = listener_by_objects();
	struct rig *rig = listener.rig;

	put_ten(rig, 0, ", nexthops: [{gateway: 192.0.2.9}, {gateway: 192.0.2.10}]");
	listen_in(&listener);
	by_ip_id(rig, "nexthop del id %u", first_id(rig)); /* a member: the group has one less */
	listen_in(&listener);
	CHECK_EQ(lines(rig, "route show", "nexthop via 192.0.2.9 "), 10);
	CHECK_EQ(lines(rig, "route show", "nexthop via 192.0.2.10 "), 10);
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "group"), 1);
	listener_free(&listener);
}

/* Without carrier the kernel drops the objects and their routes; those without an object it keeps. */
static void test_no_carrier(void)
{
	struct rig *rig = rig_by_objects();

	put_ten(rig, 0, ", gateway: 192.0.2.9");
	put_ten6(rig, ", nexthops: [{gateway: 2001:db8::9}, {gateway: 2001:db8::10}]");
	by_ip(rig, "link set v0-p down");
	while (lines(rig, "route show", "20.0.0."))
		nap();
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_NEXTHOPS);
	rig_quiet(rig);
	CHECK_EQ(lines(rig, "route show", "via 192.0.2.9 dev v0"), 10);
	CHECK_EQ(lines(rig, "-6 route show", "nexthop via 2001:db8::9 dev v0"), 10);
	CHECK_EQ(rig->core->missing, 0);
	by_ip(rig, "link set v0-p up");
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	rig_free(rig);
}

/* As without objects, in the words of the kernel. */
static void test_gateways_come_and_go(void)
{
	struct rig *rig = rig_by_objects();

	put_ten(rig, 0, ", gateway: 198.51.100.1");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 10);
	CHECK_HAS(rig_row(rig, "route/web0/20.0.0.1/32"),
		  "missing: [gateway/198.51.100.1], errno: ENETUNREACH, message: Nexthop has invalid gateway,");
	rig_put(rig, "[{kind: route, interface: web0, dst: 198.51.100.0/24}]");
	for (int i = 0; i < 10; i++) {
		char key[64];
		snprintf(key, sizeof(key), "route/web0/20.0.0.%d/32", i);
		CHECK_HAS(rig_await(rig, key, "state: configured"), "state: configured");
	}
	CHECK_EQ(lines(rig, "route show", "nhid"), 10);
	rig_delete(rig, "[route/web0/198.51.100.0/24]");
	CHECK_HAS(rig_await(rig, "route/web0/20.0.0.1/32", "state: pending"), "missing: [gateway/198.51.100.1]");
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_EQ(lines(rig, "route show", "20.0.0."), 0);
	read_back(rig);
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 0);
	rig_free(rig);
}

static void test_others_in_the_way(void)
{
	struct rig *rig = rig_by_objects();

	by_ip(rig, "route add 20.0.0.3 via 192.0.2.77 dev v0 proto static && ip -6 route add fd00:a3::/32 via 2001:db8::77 dev v0"
		   " proto static && ip -6 route append fd00:a4::/32 dev v0 proto static");
	put_ten(rig, 0, ", gateway: 192.0.2.9");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "exists: a route of protocol static, gateway 192.0.2.77, link v0");
	put_ten(rig, 0, ", gateway: 192.0.2.9, override: true");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	put_ten6(rig, ", gateway: 2001:db8::9, override: true");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(lines(rig, "-6 route show", "nhid"), 10);
	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	rig_delete(rig, ten_keys("route/web0/fd00:a%d::/32"));
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "20.0.0.3/32"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "fd00:a3::/32"), "via 2001:db8::77");
	CHECK_HAS(in_kernel(rig, "fd00:a4::/32"), "direct");

	by_ip(rig, "route del 20.0.0.3");

	/* What an object cannot do goes without: a scope, and what the kernel refuses is refused in the same words. */
	put_ten(rig, 0, ", gateway: 192.0.2.9, scope: link");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 10);
	put_ten(rig, 0, ", gateway: 192.0.2.9, prefsrc: 192.0.2.200");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 10);
	CHECK_HAS(rig->entries, "Invalid prefsrc address");
	put_ten(rig, 0, ", gateway: 192.0.2.9, prefsrc: 192.0.2.1");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(lines(rig, "route show proto 110", "src 192.0.2.1"), 10);
	CHECK_EQ(lines(rig, "route show proto 110", "nhid"), 10);
	put_ten(rig, 0, ", gateway: 203.0.113.1, onlink: true");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 10);
	CHECK_EQ(lines(rig, "route show proto 110", "nhid"), 10);
	CHECK_HAS(rig_row(rig, "route/web0/20.0.0.1/32"), "gateway: 203.0.113.1, onlink: true}");
	read_back(rig);
	CHECK_EQ(rig->op->altered + rig->op->missing, 0);
	/* From an object to none, and deleted. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 20.0.0.1/32},"
		     " {kind: route, interface: web0, dst: 20.0.0.2/32, gateway: 192.0.2.9}]");
	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	CHECK_EQ(lines(rig, "route show proto 110", "20.0"), 0);
	rig_free(rig);
}

static void test_lost_and_closed(void)
{
	struct rig *rig = rig_by_objects();

	put_ten(rig, 0, ", gateway: 192.0.2.9");
	rig_lost(rig, "[]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	CHECK_EQ(lines(rig, "route show", "20.0.0."), 0);
	rig_ready(rig);
	CHECK_HAS(rig_await(rig, "route/web0/20.0.0.1/32", "state: configured"), "state: configured");
	rig_delete(rig, ten_keys("route/web0/20.0.0.%d/32"));
	nsp_slot_free(rig->core, rig->slot);
	nsp_core_netns_drop(rig->core, rig->netns);
	nsp_core_free(rig->core); /* nobody wants anything in the namespace: nothing is left there */
	rig->core = NULL;
	CHECK_EQ(lines(rig, "nexthop show", "proto 110"), 0);
	rig_free(rig);
}

int main(void)
{
	test_life();
	test_groups();
	test_foreign_numbers();
	test_life_after();
	test_drift();
	test_group_drift();
	test_no_carrier();
	test_gateways_come_and_go();
	test_others_in_the_way();
	test_lost_and_closed();
	return test_end();
}
