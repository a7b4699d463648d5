/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is read back: what differs from the rows is put right and told, what is right is not written, what is others' is left alone. */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* Its steps by themselves: the kernel cannot be made to interrupt a dump. */
#define readback_run readback_run_by_steps
#include "core/readback.c"
#undef readback_run

/* Of every sort of route and neighbour one, and others that the kernel adds fields to. */
#define ALL                                                                                                                        \
	"[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.1.0.0/16, gateway: 192.0.2.9},"  \
	" {kind: route, interface: web0, dst: 10.2.0.0/16, gateway: 192.0.2.9, metric: 5, table: 1000, prefsrc: 192.0.2.1,"        \
	" scope: site}, {kind: route, interface: web0, dst: 10.3.0.0/16, gateway: 198.51.100.1, onlink: true},"                    \
	" {kind: route, interface: web0, dst: 10.4.0.0/16, scope: link}, {kind: route, interface: web0, dst: 10.5.0.0/16, scope: " \
	"host}, {kind: route, interface: web0, dst: 10.6.0.0/16, gateway: 192.0.2.9, scope: global},"                              \
	" {kind: route, interface: web0, dst: 10.7.0.0/16, scope: global}, {kind: route, interface: web0, dst: 10.8.0.1/32, "      \
	"prefsrc: 192.0.2.1, table: 77}, {kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 192.0.2.9},"                      \
	" {kind: route, interface: web0, dst: fd00::/16}, {kind: route, interface: web0, dst: fd01::/16, gateway: 2001:db8::9},"   \
	" {kind: route, interface: web0, dst: fd02::/16, gateway: 2001:db8::9, metric: 5, table: 1000, prefsrc: 2001:db8::1},"     \
	" {kind: route, interface: web0, dst: fd03::/16, gateway: fd99::1, onlink: true},"                                         \
	" {kind: route, interface: web0, dst: fd04::/16, gateway: fe80::9, metric: 7}, {kind: route, interface: web0, dst: ::/0, " \
	"gateway: 2001:db8::9}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"                              \
	" {kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a},"                                                   \
	" {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]"
#define ALL_COUNT 19

static uint64_t written(struct rig *rig)
{
	struct nsp_totals totals;

	nsp_core_totals(rig->core, &totals);
	return totals.written;
}

static struct nsp_op *reading(struct rig *rig)
{
	static uint64_t cookie = 100;
	struct nsp_op *op = nsp_op_new(++cookie);

	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	return op;
}

static void await(struct rig *rig, uint64_t cookie)
{
	do
		rig_next(rig);
	while (!rig->op || rig->op->cookie != cookie);
}

/* Carries one out and waits for its end; its result is in rig->op. */
static void carry_out(struct rig *rig, struct nsp_op *op)
{
	uint64_t cookie = op->cookie;

	nsp_core_submit(rig->core, op, false);
	await(rig, cookie);
	CHECK_EQ(rig->op->error, 0);
	CHECK_STR(rig->op->text, "");
}

static void check_found(struct rig *rig, uint32_t missing, uint32_t altered, uint32_t stale)
{
	CHECK_EQ(rig->op->missing, missing);
	CHECK_EQ(rig->op->altered, altered);
	CHECK_EQ(rig->op->stale, stale);
}

/* Reads back, and waits until everything that follows from it has been done. */
static void read_back(struct rig *rig)
{
	carry_out(rig, reading(rig));
	struct nsp_op found = *rig->op;
	rig_quiet(rig);
	rig_quiet(rig);
	*rig->op = found;
}

static void delete_route(struct rig *rig, const char *dst, uint8_t len, uint32_t table, uint32_t metric)
{
	struct nsp_route route = route_of(rig->link, dst, len, NULL);

	route.table = table;
	route.metric = metric;
	NEED(nsp_route_delete(&rig->world->batch, &route));
}

static void put_route(struct rig *rig, const char *dst, uint8_t len, const char *gateway, uint8_t proto)
{
	struct nsp_route route = route_of(rig->link, dst, len, gateway);

	route.proto = proto;
	route.metric = route.family == AF_INET6 ? 1024 : 0;
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_REPLACE));
}

static struct nsp_neigh neigh_of(struct rig *rig, const char *ip, uint8_t last)
{
	struct nsp_neigh neigh = { .index = rig->link, .mac_len = 6, .mac = { 2, 0, 0, 0, 0, last } };

	neigh.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	inet_pton(neigh.family, ip, neigh.dst);
	return neigh;
}

static void delete_neigh(struct rig *rig, const char *ip)
{
	struct nsp_neigh neigh = neigh_of(rig, ip, 0);

	NEED(nsp_neigh_delete(&rig->world->batch, &neigh));
}

static void put_neigh(struct rig *rig, const char *ip, uint8_t last, uint8_t proto, uint16_t state)
{
	struct nsp_neigh neigh = neigh_of(rig, ip, last);

	neigh.proto = proto;
	neigh.state = state;
	NEED(nsp_neigh_put(&rig->world->batch, &neigh, NSP_PUT_REPLACE));
}

static void change(struct rig *rig)
{
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

static void test_nothing_found(void)
{
	struct rig *rig = rig_new_ready();
	long count;

	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_put(rig, ALL);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], ALL_COUNT);
	foreign_route(rig, "20.0.0.0", 8, "192.0.2.77");
	foreign_neigh(rig, "192.0.2.77", 0x77, NUD_PERMANENT);
	foreign_neigh(rig, "192.0.2.78", 0x78, NUD_REACHABLE);
	rig_quiet(rig);
	rig_quiet(rig);
	nsp_core_watch(rig->core, 1);
	uint64_t before = written(rig);
	read_back(rig);
	check_found(rig, 0, 0, 0);
	CHECK_EQ(written(rig), before);
	rig_changes(rig, &count);
	CHECK_EQ(count, 0);
	rig_free(rig);
}

static void test_missing(void)
{
	struct rig *rig = rig_new_ready();
	long count;

	rig_put(rig, ALL);
	rig_quiet(rig);
	rig_quiet(rig);
	nsp_core_watch(rig->core, 1);
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	delete_route(rig, "10.2.0.0", 16, 1000, 5);
	delete_route(rig, "fd02::", 16, 1000, 5);
	delete_neigh(rig, "192.0.2.9");
	delete_neigh(rig, "2001:db8::9");
	change(rig);
	read_back(rig);
	check_found(rig, 5, 0, 0);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "proto 110 metric 0 table 254 scope 253");
	CHECK_HAS(in_kernel(rig, "10.2.0.0/16"), "proto 110 metric 5 table 1000 scope 200");
	CHECK_HAS(in_kernel(rig, "fd02::/16"), "metric 5 table 1000");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 5); /* none of them came into another state */
	CHECK_HAS(text, "drift/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: configured, source: lab, missing: [], "
			"errno: nil, message: ,");
	CHECK_HAS(text, "item: {kind: route, interface: web0, dst: 10.0.0.0/8}, found: missing}");
	CHECK_HAS(text, "drift/route/web0/fd02::/16;metric=5;table=1000: {");
	CHECK_HAS(text, "drift/arp/web0/192.0.2.9: {");
	read_back(rig);
	check_found(rig, 0, 0, 0);

	/* All at once. */
	char *items = routes(0, 20000, "");
	rig_put(rig, items);
	free(items);
	for (uint32_t i = 0; i < 20000; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = 110,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_delete(&rig->world->batch, &route));
		if (i % 2000 == 1999)
			change(rig);
	}
	read_back(rig);
	check_found(rig, 20000, 0, 0);
	CHECK_EQ(ours_in_kernel(rig), 20016);
	rig_free(rig);
}

static void test_altered(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_route route = route_of(rig->link, "10.4.0.0", 16, NULL);
	long count;

	rig_put(rig, ALL);
	rig_quiet(rig);
	rig_quiet(rig);
	nsp_core_watch(rig->core, 1);
	put_route(rig, "10.0.0.0", 8, "192.0.2.77", 110);
	put_route(rig, "10.1.0.0", 16, "192.0.2.77", 110);
	put_route(rig, "10.3.0.0", 16, "192.0.2.9", 110);
	put_route(rig, "fd00::", 16, "2001:db8::77", 110);
	put_route(rig, "fd01::", 16, NULL, 110);
	route.fields |= NSP_ROUTE_SCOPE;
	route.scope = RT_SCOPE_HOST;
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_REPLACE));
	route = route_of(rig->link, "10.5.0.0", 16, NULL);
	route.fields |= NSP_ROUTE_SCOPE | NSP_ROUTE_SOURCE;
	route.scope = RT_SCOPE_HOST;
	memcpy(route.source, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_REPLACE));
	put_neigh(rig, "192.0.2.9", 0x77, 110, 0);
	put_neigh(rig, "192.0.2.10", 0x0a, 110, NUD_STALE);
	put_neigh(rig, "2001:db8::9", 0x77, 0, 0); /* without a protocol: the kernel keeps the former */
	change(rig);
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "proto 110");
	read_back(rig);
	check_found(rig, 0, 10, 0);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "10.1.0.0/16"), "via 192.0.2.9");
	CHECK_HAS(in_kernel(rig, "10.3.0.0/16"), "via 198.51.100.1");
	CHECK_HAS(in_kernel(rig, "10.4.0.0/16"), "scope 253");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(rig, "fd01::/16"), "via 2001:db8::9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "state 0x80");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 10);
	CHECK_HAS(text, "drift/route/web0/10.1.0.0/16: {key: route/web0/10.1.0.0/16, state: configured");
	CHECK_HAS(text, "found: altered}");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

/* Somebody has added a gateway to a route of ours: it is of two now. */
static void test_made_of_several(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_route route = route_of(rig->link, "fd01::", 16, "2001:db8::77");

	rig_put(rig, "[{kind: route, interface: web0, dst: fd01::/16, gateway: 2001:db8::9}]");
	route.metric = 1024;
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW));
	((struct nlmsghdr *)(void *)(rig->world->batch.buf + rig->world->batch.last))->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE |
												     NLM_F_APPEND;
	change(rig);
	CHECK_STR(in_kernel(rig, "fd01::/16"), ""); /* not one that can be read */
	read_back(rig);
	check_found(rig, 0, 1, 0);
	CHECK_HAS(in_kernel(rig, "fd01::/16"), "via 2001:db8::9");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

/* Somebody else's in its place: missing, and then what it always meets there. */
static void test_foreign_in_its_place(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8, override: "
		     "true}, {kind: route, interface: web0, dst: fd00::/16}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: "
		     "02:00:00:00:00:09}, {kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a, override: true}]");
	put_route(rig, "10.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	put_route(rig, "11.0.0.0", 8, "192.0.2.77", RTPROT_STATIC);
	put_route(rig, "fd00::", 16, "2001:db8::77", RTPROT_STATIC);
	put_neigh(rig, "192.0.2.9", 0x77, RTPROT_STATIC, 0);
	put_neigh(rig, "192.0.2.10", 0x77, RTPROT_STATIC, 0);
	change(rig);
	read_back(rig);
	check_found(rig, 5, 0, 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "exists: a route of protocol static, gateway 192.0.2.77");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/16"), "exists: a route of protocol static, gateway 2001:db8::77");
	CHECK_HAS(rig_row(rig, "arp/web0/192.0.2.9"), "exists: a permanent entry of protocol static");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "arp/web0/192.0.2.10"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:0a");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_delete(rig, "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8, arp/web0/192.0.2.9, arp/web0/192.0.2.10]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via 192.0.2.77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:77");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:77");
	rig_free(rig);
}

/* An override that is given up is written, though the kernel has the route as it is to be. */
static void test_override_given_up(void)
{
	struct rig *rig = rig_new_ready();

	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	nsp_core_hold(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	uint32_t serial = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	nsp_core_hold(rig->core, 0);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_free(rig);
}

/* A life later: what the kernel has is taken as it is, whatever is right of it is not written, and every verdict is paid. */
static void test_another_life(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_error err = { 0 };
	char *items = routes(0, 5000, "");
	uint64_t before;

	rig_put(rig, items);
	rig_put(rig, ALL);
	nsp_core_free(rig->core);
	delete_route(rig, "10.1.0.0", 16, 254, 0);
	put_route(rig, "10.0.0.0", 8, "192.0.2.77", 110);
	put_neigh(rig, "192.0.2.9", 0x77, 110, 0);
	put_route(rig, "20.0.0.7", 32, NULL, RTPROT_STATIC);
	change(rig);
	rig->core = nsp_core_new(&err);
	CHECK_EQ(nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err), 0);
	rig->slot = nsp_slot_find(rig->core, "web0");
	rig_lost(rig, "[interface/web0]", 0);
	uint32_t many = rig_start(rig, items), all = rig_start(rig, ALL);
	CHECK_EQ(rig_result(rig, all), 0);
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], ALL_COUNT);
	CHECK_EQ(rig_result(rig, many), 0);

	struct nsp_op *op = reading(rig);
	uint64_t cookie = op->cookie;
	nsp_core_hold(rig->core, 1);
	nsp_core_submit(rig->core, op, false);
	rig_ready(rig);
	uint32_t again = rig_start_as(rig, "lab", 0, items, false);
	nap();
	before = written(rig);
	CHECK_EQ(before, 0);
	nsp_core_hold(rig->core, 0);
	await(rig, cookie);
	check_found(rig, 0, 2, 0); /* what was never written by this life is not missing, but new */
	rig_quiet(rig);
	CHECK_EQ(rig_result(rig, again), 0);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 4999);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_EQ(written(rig), 4);
	CHECK_HAS(rig_row(rig, "route/web0/10.1.0.0/16"), "state: configured");
	CHECK_HAS(rig_row(rig, "route/web0/10.2.0.0/16;metric=5;table=1000"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "10.1.0.0/16"), "via 192.0.2.9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(in_kernel(rig, "20.0.0.7/32"), "proto 4");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	free(items);
	rig_free(rig);
}

/* Two slots on one link: one object, one holder. */
static void test_two_slots(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t second = nsp_slot_find(rig->core, "v0@name:red");

	put_route(rig, "10.0.0.0", 8, NULL, 110);
	put_route(rig, "11.0.0.0", 8, NULL, 110);
	change(rig);
	nsp_core_hold(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	nsp_slot_ready(rig->core, second, rig->netns, rig->link);
	uint32_t serial = rig_start(
		rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: v0, namespace: {type: name, name: "
		     "red}, dst: 10.0.0.0/8}, {kind: route, interface: v0, namespace: {type: name, name: red}, dst: 11.0.0.0/8}]");
	nsp_core_hold(rig->core, 0);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "message: held by route/");
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	delete_route(rig, "11.0.0.0", 8, 254, 0);
	change(rig);
	read_back(rig);
	check_found(rig, 2, 0, 0);
	CHECK_EQ(ours_in_kernel(rig), 2);
	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

/* What is not wanted any more and has gone already: nothing is left to do, and every verdict is paid. */
static void test_gone_already(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	change(rig);
	uint64_t before = written(rig);
	nsp_core_hold(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	uint32_t serial = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8]", 0);
	nsp_core_hold(rig->core, 0);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_EQ(written(rig), before);
	CHECK_STR(rig_row(rig, "route/web0/10.0.0.0/8"), "none");

	/* Refused, and the former one of it that was to be deleted is gone: it stays refused. */
	nsp_core_hold(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	serial = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.255}]", true);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct"); /* its deletion is held */
	delete_route(rig, "11.0.0.0", 8, 254, 0);
	change(rig);
	before = written(rig);
	nsp_core_hold(rig->core, 0);
	rig_quiet(rig);
	CHECK_EQ(written(rig), before);
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "errno: EINVAL");
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

static void test_stale(void)
{
	struct rig *rig = rig_new_ready();
	int32_t other = world_veth(rig->world, "v1"), here = rig->link;
	long count;

	nsp_core_watch(rig->core, 1);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: "
		     "02:00:00:00:00:09}]");
	rig_quiet(rig);
	rig_changes(rig, &count);
	put_route(rig, "11.0.0.0", 8, "192.0.2.9", 110);
	put_route(rig, "fd00::", 16, NULL, 110);
	put_route(rig, "12.0.0.0", 8, NULL, RTPROT_STATIC);
	put_neigh(rig, "192.0.2.10", 0x0a, 110, 0);
	put_neigh(rig, "2001:db8::10", 0x0a, 110, 0);
	put_neigh(rig, "192.0.2.11", 0x0b, 0, 0);
	put_neigh(rig, "192.0.2.12", 0x0c, 110, NUD_REACHABLE);
	put_neigh(rig, "192.0.2.13", 0x0d, RTPROT_STATIC, 0);
	rig->link = other;
	put_route(rig, "13.0.0.0", 8, NULL, 110);
	put_neigh(rig, "198.51.100.9", 0x0a, 110, 0);
	rig->link = here;
	change(rig);

	/* No link is named: all of this may be another agent's. */
	read_back(rig);
	check_found(rig, 0, 0, 0);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via");

	struct nsp_op *op = reading(rig);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_op_sweep(op, 4711, "gone0");
	carry_out(rig, op);
	check_found(rig, 0, 0, 4);
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");
	CHECK_STR(in_kernel(rig, "fd00::/16"), "");
	CHECK_STR(neigh_in_kernel(rig, "192.0.2.10"), "");
	CHECK_STR(neigh_in_kernel(rig, "2001:db8::10"), "");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "12.0.0.0/8"), "proto 4");
	CHECK_HAS(in_kernel(rig, "13.0.0.0/8"), "direct");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.11"), "proto 0");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.12"), "proto 110");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.13"), "proto 4");
	CHECK_HAS(neigh_in_kernel(rig, "198.51.100.9"), "proto 110");
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 4);
	CHECK_HAS(text,
		  "drift/route/web0/11.0.0.0/8: {key: route/web0/11.0.0.0/8, state: removed, source: nil, missing: [], errno: "
		  "nil, message: nothing wants it, since:");
	CHECK_HAS(text, "tries: 0, item: {kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.9}, found: stale}");
	CHECK_HAS(text, "item: {kind: route, interface: web0, dst: fd00::/16}, found: stale}");
	CHECK_HAS(text, "item: {kind: arp, interface: web0, ip: 2001:db8::10, mac: 02:00:00:00:00:0a}, found: stale}");

	/* A link on which no slot stands, of a kernel interface; thousands of them. */
	for (uint32_t i = 0; i < 3000; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = 110,
					   .table = 254,
					   .oif = other,
					   .dst = { 20, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW));
	}
	change(rig);
	op = reading(rig);
	nsp_op_sweep(op, other, "v1@microservice:web");
	carry_out(rig, op);
	check_found(rig, 0, 0, 3002);
	CHECK_EQ(ours_in_kernel(rig), 1);
	text = rig_changes(rig, &count);
	CHECK_EQ(count, 3002);
	CHECK_HAS(
		text,
		"item: {kind: route, interface: v1, namespace: {type: microservice, microservice: web}, dst: 13.0.0.0/8}, found:");
	rig_free(rig);
}

/* What a slot wants on the link is not stale before the slot is ready. */
static void test_wanted_soon(void)
{
	struct rig *rig = rig_new();

	rig_lost(rig, "[interface/web0]", 0);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	put_route(rig, "10.0.0.0", 8, NULL, 110);
	put_route(rig, "11.0.0.0", 8, NULL, 110);
	change(rig);
	struct nsp_op *op = reading(rig);
	nsp_op_sweep(op, rig->link, "v0@name:red");
	nsp_op_sweep(op, rig->link, "web0");
	carry_out(rig, op);
	check_found(rig, 0, 0, 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	rig_ready(rig);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	rig_free(rig);
}

struct vandal {
	struct rig *rig;
	atomic_bool stop;
};

/* Deletes and replaces routes of ours, and puts some of its own in their places. */
static void *vandalise(void *arg)
{
	struct vandal *vandal = arg;
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint32_t buf[4096], i = 1;

	if (nsp_socket_open(&sock, vandal->rig->world->netns, NULL) < 0)
		return NULL;
	while (!atomic_load(&vandal->stop)) {
		nsp_batch_init(&batch, buf, sizeof(buf));
		for (int k = 0; k < 32; k++) {
			struct nsp_route route = { .family = AF_INET, .dst_len = 32, .proto = 110, .table = 254 };
			i = i * 1103515245 + 12345;
			route.oif = vandal->rig->link;
			memcpy(route.dst, (uint8_t[]){ 20, 0, (uint8_t)(i >> 24 & 15), (uint8_t)(i >> 16) }, 4);
			if (i >> 8 & 1)
				nsp_route_delete(&batch, &route);
			route.fields = NSP_ROUTE_GATEWAY;
			memcpy(route.gateway, (uint8_t[]){ 192, 0, 2, 99 }, 4);
			if (i >> 9 & 1)
				nsp_route_put(&batch, &route, NSP_PUT_REPLACE);
		}
		nsp_batch_send(&sock, &batch, NULL, NULL, NULL, NULL);
	}
	nsp_socket_close(&sock);
	return NULL;
}

/* Whatever happens while the kernel is read - to its table, to the slot, to the rows - it ends as it should. */
static void test_meanwhile(void)
{
	struct rig *rig = rig_new_ready();
	struct vandal vandal = { .rig = rig };
	char *items = routes(0, 4096, ""), *others = routes(2048, 1024, ", gateway: 192.0.2.9");
	struct nsp_totals totals;
	pthread_t thread;

	rig_put(rig, items);
	pthread_create(&thread, NULL, vandalise, &vandal);
	for (int i = 0; i < 60; i++) {
		nsp_core_submit(rig->core, reading(rig), false);
		if (i % 2)
			nap();
		if (i % 3 == 0) {
			rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
			if (i % 2)
				nap();
			rig_ready(rig);
		}
		if (i % 5 == 0)
			rig_end(rig, rig_start(rig, i % 2 ? items : others));
	}
	atomic_store(&vandal.stop, true);
	pthread_join(thread, NULL);
	rig_put(rig, items);
	carry_out(rig, reading(rig)); /* the last of them */
	read_back(rig);
	read_back(rig);
	check_found(rig, 0, 0, 0);
	nsp_core_totals(rig->core, &totals);
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 4096);
	CHECK_EQ(ours_in_kernel(rig), 4096);
	CHECK_HAS(in_kernel(rig, "20.0.9.9/32"), "direct");
	for (uint32_t number = 0; number < rig->core->table.chunk_count; number++)
		for (uint32_t i = number == 0; i < rig->core->table.chunks[number].used; i++)
			if (rig->core->table.chunks[number].rows[i].flags & ROW_SEEN)
				test_failed++;
	free(items);
	free(others);
	rig_free(rig);
}

/* The table changed under the dump: what was seen before that counts no more. */
static void test_begun_anew(void)
{
	struct rig *rig = rig_new_ready();
	struct op *op = (struct op *)reading(rig);
	struct readback back = { .core = rig->core, .op = op, .netns = rig->netns, .type = WISH_ROUTE4 };

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	put_route(rig, "12.0.0.0", 8, NULL, 110);
	put_route(rig, "13.0.0.0", 8, NULL, 110);
	change(rig);
	rig_quiet(rig);
	nsp_op_sweep(&op->head, rig->link, "web0");
	find_standing(&back);
	back.unclaimed_cap = 16;
	back.unclaimed = calloc(back.unclaimed_cap, sizeof(*back.unclaimed));
	back.unclaimed[back.unclaimed_count++].wish.type = WISH_ARP6; /* of another table */
	CHECK_EQ(nsp_dump_protocol(&rig->world->sock, AF_INET, NSP_PROTOCOL, object_seen, &back, NULL), 0);
	CHECK_EQ(back.unclaimed_count, 3);
	object_seen(&back, 0, NULL);
	CHECK_EQ(back.unclaimed_count, 1);
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	delete_route(rig, "12.0.0.0", 8, 254, 0);
	change(rig);
	CHECK_EQ(nsp_dump_protocol(&rig->world->sock, AF_INET, NSP_PROTOCOL, object_seen, &back, NULL), 0);
	CHECK_EQ(back.unclaimed_count, 2);
	pthread_mutex_lock(&rig->core->lock);
	each_row(&back, judge_row);
	pthread_mutex_unlock(&rig->core->lock);
	CHECK_EQ(op->head.missing, 1);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	free(back.standing);
	free(back.unclaimed);
	nsp_op_free(&op->head);
	rig_free(rig);
}

/* The kernel could not be read: that is told, and nothing is taken for missing. */
static void test_unreadable(void)
{
	struct rig *rig = rig_new_ready();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	rig_put(rig, ALL);
	dup2(null, rig->core->netns[rig->netns]->sock.fd);
	close(null);
	struct nsp_op *op = reading(rig);
	uint64_t cookie = op->cookie;
	nsp_core_submit(rig->core, op, false);
	await(rig, cookie);
	CHECK_EQ(rig->op->error, ENOTSOCK);
	CHECK_STR(rig->op->text, "dump routes: send: Socket operation on non-socket");
	check_found(rig, 0, 0, 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	rig_free(rig);
}

static void test_closed(void)
{
	struct rig *rig = rig_new();
	struct world *other = world_new();
	struct nsp_error err = { 0 };
	uint32_t number;

	CHECK_EQ(nsp_core_netns_add(rig->core, other->netns, &number, &err), 0);
	nsp_core_netns_drop(rig->core, number);
	rig_quiet(rig);
	struct nsp_op *op = nsp_op_new(7000);
	nsp_op_stage(op, number, 0);
	nsp_op_readback(op);
	nsp_op_sweep(op, 1, "lo0");
	carry_out(rig, op);
	check_found(rig, 0, 0, 0);

	/* One that is never carried out is freed all the same. */
	nsp_core_hold(rig->core, 1);
	op = reading(rig);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, false);
	world_free(other);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_nothing_found();
	test_missing();
	test_altered();
	test_made_of_several();
	test_foreign_in_its_place();
	test_override_given_up();
	test_another_life();
	test_two_slots();
	test_gone_already();
	test_stale();
	test_wanted_soon();
	test_meanwhile();
	test_begun_anew();
	test_unreadable();
	test_closed();
	return test_end();
}
