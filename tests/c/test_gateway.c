/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is the judge of gateways: a route whose gateway cannot be reached is pending, in whatever order things come and go. */
#include "rig.h"

#define FAR "{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 198.51.100.1}"
#define WAY "{kind: route, interface: web0, dst: 198.51.100.0/24}"
#define FAR6 "{kind: route, interface: web0, dst: fd00::/8, gateway: 2001:db8:1::1}"
#define WAY6 "{kind: route, interface: web0, dst: 2001:db8:1::/64}"

static void test_waits_for_its_gateway(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[" FAR ", " FAR6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig->entries,
		  "{key: route/web0/10.0.0.0/8, state: pending, source: lab, missing: [gateway/198.51.100.1], errno: ENETUNREACH,"
		  " message: Nexthop has invalid gateway,");
	CHECK_HAS(rig->entries,
		  "{key: route/web0/fd00::/8, state: pending, source: lab, missing: [gateway/2001:db8:1::1], errno: EHOSTUNREACH,");

	/* The way there is put later. */
	rig_put(rig, "[" WAY ", " WAY6 "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "missing: [], errno: nil, message: ,");
	CHECK_HAS(rig_await(rig, "route/web0/fd00::/8", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 198.51.100.1");
	CHECK_HAS(in_kernel(rig, "fd00::/8"), "via 2001:db8:1::1");

	/* And taken away: the kernel would keep the gateway's route, and refuse it when it is put again. */
	rig_delete(rig, "[route/web0/198.51.100.0/24]");
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: pending"), "missing: [gateway/198.51.100.1]");
	rig_quiet(rig);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/8"), "state: configured");

	rig_put(rig, "[" WAY "]");
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 198.51.100.1");
	rig_free(rig);
}

/* The way there gets a gateway itself, and is no way any more. */
static void test_way_changes(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[" WAY ", " FAR "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	rig_put(rig, "[{kind: route, interface: web0, dst: 198.51.100.0/24, gateway: 192.0.2.9}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: pending"), "missing: [gateway/198.51.100.1]");
	rig_quiet(rig);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	rig_put(rig, "[" WAY "]");
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "state: configured");
	rig_free(rig);
}

/* In one request in the wrong order, and when both have waited for their interface. */
static void test_order_does_not_matter(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig,
		"[{kind: arp, interface: web0, ip: 198.51.100.1, mac: 02:00:00:00:00:01}, " FAR6 ", " FAR ", " WAY6 ", " WAY "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 5);
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 0);
	rig_ready(rig);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/8"), "state: configured");
	CHECK_EQ(ours_in_kernel(rig), 4);
	rig_free(rig);
}

/* Addresses are not the core's: whoever changes them has the routes judged again. */
static void test_address_goes(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_addr addr = addr_of(rig->link, "203.0.113.1", 24), keeper = addr_of(rig->link, "192.0.2.1", 24);
	char text[256];

	rig_addr(rig, rig->link, "203.0.113.1", 24);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 203.0.113.9}, {kind: route, interface: web0, dst: "
		     "11.0.0.0/8},"
		     " {kind: route, interface: web0, dst: 12.0.0.0/8, gateway: 192.0.2.9, prefsrc: 203.0.113.1}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 3);
	nsp_addr_delete(&rig->world->batch, &addr);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_GATEWAYS | NSP_RECHECK_SOURCES);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "missing: [gateway/203.0.113.9], errno: ENETUNREACH");
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_HAS(rig_row(rig, "route/web0/12.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/12.0.0.0/8"), "message: Invalid prefsrc address");
	CHECK_STR(in_kernel(rig, "12.0.0.0/8"), "");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: configured");

	rig_addr(rig, rig->link, "203.0.113.1", 24);
	nsp_core_recheck(rig->core, rig->netns, 0, NSP_RECHECK_REFUSED);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(rig_await(rig, "route/web0/12.0.0.0/8", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 203.0.113.9");

	/* The last address takes all IPv4 routes with it, in silence. */
	snprintf(text, sizeof(text),
		 "[{kind: route, interface: web0, dst: fd00::/8}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: "
		 "02:00:00:00:00:09}]");
	rig_put(rig, text);
	nsp_addr_delete(&rig->world->batch, &addr);
	nsp_addr_delete(&rig->world->batch, &keeper);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");
	rig_addr(rig, rig->link, "192.0.2.1", 24);
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_ROUTES4);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: configured");
	rig_free(rig);
}

static void link_up(struct rig *rig, uint32_t up)
{
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_UP, .index = rig->link, .up = up };

	nsp_link_change(&rig->world->batch, &link);
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

static void test_link_goes_down_and_up(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}, {kind: route, interface: web0, dst: "
		     "11.0.0.0/8},"
		     " {kind: route, interface: web0, dst: fd00::/8}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: "
		     "02:00:00:00:00:09}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 4);
	link_up(rig, 0);
	CHECK_EQ(ours_in_kernel(rig), 0);
	CHECK_STR(neigh_in_kernel(rig, "192.0.2.9"), "");

	/* Written while it is down: ENETDOWN, and pending. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 12.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 1);
	CHECK_HAS(rig->entries, "state: pending, source: lab, missing: [], errno: ENETDOWN, message: Device for nexthop is not up");

	link_up(rig, 1);
	rig_addr(rig, rig->link, "2001:db8::1", 64);
	nsp_core_recheck(rig->core, rig->netns, rig->link,
			 NSP_RECHECK_REFUSED | NSP_RECHECK_ROUTES4 | NSP_RECHECK_ROUTES6 | NSP_RECHECK_NEIGHS);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 4);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "state 0x80");
	struct nsp_totals totals;
	nsp_core_totals(rig->core, &totals);
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 4);
	CHECK_EQ(totals.rows[1][NSP_STATE_CONFIGURED], 1);
	rig_free(rig);
}

/* Five thousand routes hang on one: with it they go and come. */
static void test_many_behind_one(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 5000, ", gateway: 198.51.100.1");

	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 5000);
	for (int round = 0; round < 2; round++) {
		rig_put(rig, "[" WAY "]");
		rig_await(rig, "route/web0/20.0.19.135/32", "state: configured");
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_EQ(ours_in_kernel(rig), 5001);
		rig_delete(rig, "[route/web0/198.51.100.0/24]");
		rig_await(rig, "route/web0/20.0.19.135/32", "state: pending");
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_EQ(ours_in_kernel(rig), 0);
	}
	free(items);
	rig_free(rig);
}

/* Somebody else makes a way to the gateway, which nothing tells us of: looked at again after a second, by one row of each gateway. */
static void test_way_of_somebody_else(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 3000, ", gateway: 198.51.100.1");
	struct nsp_totals before, after;

	rig_put(rig, items);
	rig_put(rig, "[" FAR6 ", {kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 203.0.113.1}]");
	nsp_core_totals(rig->core, &before);
	int waited = 0;
	do {
		nsp_slot_retry(rig->core, rig->slot);
		nap();
		rig_quiet(rig);
		nsp_core_totals(rig->core, &after);
	} while (after.written == before.written && (waited += 2) < WAIT_MS);
	CHECK_HAS(rig_row(rig, "route/web0/20.0.0.7/32"), "missing: [gateway/198.51.100.1]");
	CHECK(nsp_slot_retry(rig->core, rig->slot) > 250);
	CHECK(after.written - before.written <= 3);

	foreign_route(rig, "198.51.100.0", 24, NULL);
	foreign_route(rig, "2001:db8:1::", 64, NULL);
	while ((!strstr(rig_row(rig, "route/web0/20.0.11.183/32"), "state: configured") ||
		!strstr(rig_row(rig, "route/web0/fd00::/8"), "state: configured")) &&
	       (waited += 2) < WAIT_MS) {
		nsp_slot_retry(rig->core, rig->slot);
		nap();
		rig_quiet(rig);
	}
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 3001);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "missing: [gateway/203.0.113.1]");
	free(items);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_waits_for_its_gateway();
	test_way_changes();
	test_order_does_not_matter();
	test_address_goes();
	test_link_goes_down_and_up();
	test_many_behind_one();
	test_way_of_somebody_else();
	return test_end();
}
