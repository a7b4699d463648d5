/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is read back: what differs from the rows is put right and told, what is right is not written, what is others' is left alone. */
#include "back.h"

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
	nsp_core_pause(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	uint32_t serial = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	nsp_core_pause(rig->core, 0);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
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
	nsp_core_pause(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	nsp_slot_ready(rig->core, second, rig->netns, rig->link);
	uint32_t serial = rig_start(
		rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: v0, namespace: {type: name, name: "
		     "red}, dst: 10.0.0.0/8}, {kind: route, interface: v0, namespace: {type: name, name: red}, dst: 11.0.0.0/8}]");
	nsp_core_pause(rig->core, 0);
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

/* The routes that came with addresses of ours: somebody has deleted them, and nothing tells of it. */
static void test_connected_routes(void)
{
	static const char *const cases[][3] = {
		{ "198.51.100.1", "24", "198.51.100.0/24" },
		{ "203.0.113.5", "31", "203.0.113.4/31" },
		{ "2001:db8:7::1", "64", "2001:db8:7::/64" },
		{ "2001:db8:8::1", "128", "2001:db8:8::1/128" },
	};
	struct rig *rig = rig_new();
	struct nsp_addr addr;
	char before[4][256];

	for (int i = 0; i < 4; i++) {
		addr = addr_of(rig->link, cases[i][0], (uint8_t)atoi(cases[i][1]));
		addr.proto = 110;
		addr.flags = addr.family == AF_INET6 ? IFA_F_NODAD : 0;
		NEED(nsp_addr_add(&rig->world->batch, &addr));
		if (i == 0) { /* of one network there is one */
			addr.local[3] = 2;
			NEED(nsp_addr_add(&rig->world->batch, &addr));
		}
		change(rig);
		snprintf(before[i], sizeof(before[i]), "%s", in_kernel(rig, cases[i][2]));
		CHECK_HAS(before[i], "proto 2");
	}
	/* An IPv6 address has its own route a little later. */
	while (!strstr(by_ip_shown(rig, "-6 route show table local"), "local 2001:db8:7::1 ") ||
	       !strstr(by_ip_shown(rig, "-6 route show table local"), "local 2001:db8:8::1 "))
		nap();
	carry_out(rig, reading(rig));
	check_found(rig, 0, 0, 0);
	for (int i = 0; i < 4; i++) {
		char dst[64];
		snprintf(dst, sizeof(dst), "%.*s", (int)strcspn(cases[i][2], "/"), cases[i][2]);
		struct nsp_route route = route_of(rig->link, dst, (uint8_t)atoi(cases[i][1]), NULL);
		route.proto = RTPROT_KERNEL;
		route.metric = route.family == AF_INET6 ? 256 : 0;
		NEED(nsp_route_delete(&rig->world->batch, &route));
	}
	/* One of an address that is not ours, which is not our business. */
	struct nsp_route theirs = route_of(rig->link, "192.0.2.0", 24, NULL);
	theirs.proto = RTPROT_KERNEL;
	NEED(nsp_route_delete(&rig->world->batch, &theirs));
	change(rig);
	carry_out(rig, reading(rig));
	check_found(rig, 4, 0, 0);
	for (uint32_t i = 0; i < 4; i++) {
		CHECK_STR(in_kernel(rig, cases[i][2]), before[i]);
		CHECK_EQ(nsp_op_lost(rig->op, i, &addr), 0);
		CHECK_EQ(addr.index, rig->link);
	}
	CHECK_EQ(nsp_op_lost(rig->op, 4, &addr), -ENOENT);
	CHECK_STR(in_kernel(rig, "192.0.2.0/24"), "");
	carry_out(rig, reading(rig));
	check_found(rig, 0, 0, 0);

	/* They go with their addresses, as the kernel's own do; and where the link is down there are none. */
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_UP, .index = rig->link, .up = 0 };
	addr = addr_of(rig->link, cases[3][0], 128);
	NEED(nsp_addr_delete(&rig->world->batch, &addr));
	addr = addr_of(rig->link, cases[1][0], 31);
	NEED(nsp_addr_delete(&rig->world->batch, &addr));
	change(rig);
	CHECK_STR(in_kernel(rig, cases[1][2]), "");
	CHECK_STR(in_kernel(rig, cases[3][2]), "");
	NEED(nsp_link_change(&rig->world->batch, &link));
	change(rig);
	carry_out(rig, reading(rig));
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

static void confirm(struct rig *rig)
{
	struct nsp_op *op = reading(rig);

	nsp_op_sweep(op, 1, "lo@name:red");
	nsp_op_confirm(op);
	carry_out(rig, op);
	struct nsp_op found = *rig->op;
	rig_quiet(rig);
	*rig->op = found;
}

/* Of neighbours on lo the kernel makes one of the address 0.0.0.0: it is repaired once, and then said. */
static void test_what_the_kernel_makes_otherwise(void)
{
	struct rig *rig = rig_new_ready();

	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "lo@name:red"), rig->netns, 1);
	rig_put(rig, "[{kind: arp, interface: lo, namespace: {type: name, name: red}, ip: 10.9.9.9, mac: 02:00:00:00:00:09},"
		     " {kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	change(rig);
	read_back(rig);
	check_found(rig, 2, 0, 0);
	CHECK_HAS(rig_row(rig, "arp/lo@name:red/10.9.9.9"), "state: configured");
	confirm(rig);
	check_found(rig, 0, 0, 1);
	CHECK_HAS(rig_row(rig, "arp/lo@name:red/10.9.9.9"),
		  "state: failed, source: lab, missing: [], errno: EOPNOTSUPP, message: the kernel took it, and has it not,");
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	uint64_t before = written(rig);
	for (int i = 0; i < 3; i++) {
		read_back(rig);
		check_found(rig, 0, 0, 0);
	}
	CHECK(nsp_slot_retry(rig->core, nsp_slot_find(rig->core, "lo@name:red")) < 0);
	CHECK_EQ(written(rig), before);
	CHECK_STR(neigh_in_kernel(rig, "0.0.0.0"), "");

	/* Somebody changes it twice, and is not heard: that is no doing of the kernel's where nothing was confirmed. */
	for (int i = 0; i < 3; i++) {
		put_route(rig, "10.0.0.0", 8, "192.0.2.77", 110);
		change(rig);
		read_back(rig);
		check_found(rig, 0, 1, 0);
		CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	}
	/* As if the kernel had made it so. */
	put_route(rig, "10.0.0.0", 8, "192.0.2.77", 110);
	change(rig);
	confirm(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"),
		  "errno: EOPNOTSUPP, message: the kernel makes another route of it: gateway 192.0.2.77, source none, scope 0,");
	read_back(rig);
	check_found(rig, 0, 0, 0);
	put_route(rig, "10.0.0.0", 8, NULL, 110);
	change(rig);
	read_back(rig);
	check_found(rig, 0, 0, 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	rig_delete(rig, "[route/web0/10.0.0.0/8, 'arp/lo@name:red/10.9.9.9']");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_connected_routes();
	test_what_the_kernel_makes_otherwise();
	test_nothing_found();
	test_missing();
	test_altered();
	test_made_of_several();
	test_foreign_in_its_place();
	test_override_given_up();
	test_two_slots();
	test_stale();
	return test_end();
}
