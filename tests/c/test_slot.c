/* SPDX-License-Identifier: Apache-2.0 */
/* An interface comes, goes and moves, at any moment: its rows are written where it is, and nowhere else. */
#include "rig.h"

#include <poll.h>

static void test_lost_and_back(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_slot_info info;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}, {kind: arp, interface: web0, ip: "
		     "192.0.2.9, mac: 02:00:00:00:00:09}]");
	rig_lost(rig, "[microservice/web, interface/web0]", 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"),
		  "state: pending, source: lab, missing: [microservice/web, interface/web0], errno: nil, message: ,");
	CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
	CHECK_EQ(info.ready, 0);
	CHECK_EQ(info.rows, 2);
	CHECK_EQ(info.unsettled, 2);

	/* It waits for something else now, and then it has failed. */
	rig_lost(rig, "[interface/web0]", 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "missing: [interface/web0]");
	nsp_slot_lost(rig->core, rig->slot, NSP_STATE_FAILED, NULL, 0, EEXIST, "interface/web0 has failed: the name is taken", 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"),
		  "state: failed, source: lab, missing: [], errno: EEXIST, message: interface/web0 has failed: the name is taken,");
	rig_put(rig, "[{kind: route, interface: web0, dst: 11.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "errno: EEXIST, message: interface/web0 has failed: the name is taken,");

	/* The kernel kept the objects (the test did not take the link away): they are found, and ours. */
	rig_ready(rig);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "arp/web0/192.0.2.9"), "state: configured");
	CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
	CHECK_EQ(info.ready, 1);
	CHECK_EQ(info.netns, rig->netns);
	CHECK_EQ(info.ifindex, rig->link);
	CHECK_EQ(info.unsettled, 0);
	rig_free(rig);
}

/* At every moment of a large request the slot goes, comes back, and goes again: every row has one verdict, and in the end all are
 * there. */
static void test_lost_in_flight(uint32_t flags)
{
	struct rig *rig = rig_new_ready();

	for (int round = 0; round < 6; round++) {
		uint32_t ballast = rig_ballast(rig, 20000);
		for (int i = 0; i < round; i++)
			nap();
		rig_lost(rig, "[interface/web0]", flags);
		rig_end(rig, ballast);
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED] + rig->counts[NSP_STATE_PENDING], 20000);
		if (flags & NSP_SLOT_WITHDRAW) {
			rig_quiet(rig);
			CHECK_EQ(ours_in_kernel(rig), 0);
		}
		rig_ready(rig);
		nap();
		rig_lost(rig, "[interface/web0]", flags);
		rig_ready(rig);
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_EQ(ours_in_kernel(rig), 20000);
		struct nsp_totals totals;
		nsp_core_totals(rig->core, &totals);
		CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 20000);
		uint32_t serial = nsp_core_request_open(rig->core);
		CHECK_EQ(nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "ballast", 0), 1), 20000);
		nsp_core_request_commit(rig->core, serial);
		if (round & 1)
			rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW); /* while they are deleted */
		rig_end(rig, serial);
		CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 20000);
		rig_ready(rig);
		rig_quiet(rig);
		CHECK_EQ(ours_in_kernel(rig), 0);
		CHECK_EQ(rig->core->table.live, 0);
	}
	rig_free(rig);
}

/* Put and lost without anything in between, a thousand times, with the writer at work. */
static void test_flapping(void)
{
	struct rig *rig = rig_new();
	uint32_t serials[1000];
	char item[128];

	for (uint32_t i = 0; i < 1000; i++) {
		rig_ready(rig);
		snprintf(item, sizeof(item),
			 "[{kind: route, interface: web0, dst: 20.0.0.%u}, {kind: arp, interface: web0, ip: 192.0.2.%u, mac: "
			 "02:00:00:00:00:09}]",
			 i % 16, 2 + i % 16);
		serials[i] = rig_start_as(rig, "lab", 0, item, i & 1);
		if (i % 5 == 4)
			nap();
		rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
		if (i % 7 == 6) {
			snprintf(item, sizeof(item), "[route/web0/20.0.0.%u/32, arp/web0/192.0.2.%u]", i % 16, 2 + i % 16);
			nsp_core_request_close(rig->core, rig_start_delete(rig, "lab", item, 0));
		}
	}
	rig_ready(rig);
	rig_quiet(rig);
	rig_quiet(rig);
	uint32_t verdicts = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		CHECK_EQ(rig_result(rig, serials[i]), 0);
		for (int state = 1; state < NSP_STATES; state++)
			verdicts += rig->counts[state];
		CHECK_EQ(rig->counts[NSP_STATE_FAILED], 0);
		nsp_core_request_close(rig->core, serials[i]);
	}
	CHECK_EQ(verdicts, 2000);
	struct nsp_totals totals;
	nsp_core_totals(rig->core, &totals);
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], rig->core->slots[rig->slot]->rows - totals.rows[1][NSP_STATE_CONFIGURED]);
	CHECK_EQ(ours_in_kernel(rig), totals.rows[0][NSP_STATE_CONFIGURED]);
	rig_free(rig);
}

/* What is withdrawn goes before whatever is put on the slot anew, however much is queued. */
static void test_withdrawn_with_a_backlog(void)
{
	struct rig *rig = rig_new_ready();
	int32_t other = world_veth(rig->world, "v1");
	uint32_t second = nsp_slot_find(rig->core, "db0");

	rig_addr(rig, other, "198.51.100.1", 24);
	nsp_slot_ready(rig->core, second, rig->netns, other);
	rig_put(rig, "[{kind: route, interface: db0, dst: 10.0.0.0/8}]");
	uint32_t ballast = rig_ballast(rig, 60000);
	nsp_slot_lost(rig->core, second, NSP_STATE_PENDING, NULL, 0, 0, NULL, NSP_SLOT_WITHDRAW);
	rig_end(rig, rig_start_delete(rig, "lab", "[route/db0/10.0.0.0/8]", 0));
	nsp_slot_ready(rig->core, second, rig->netns, other);
	rig_end(rig, rig_start_as(rig, "lab", 0, "[{kind: route, interface: db0, dst: 10.0.0.0/8}]", true));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	rig_end(rig, ballast);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	rig_free(rig);
}

/* Routes that are blocked by the same ones of another slot take their places when that is lost, while these are being deleted too. */
static void test_taken_over(uint32_t flags)
{
	struct rig *rig = rig_new_ready();
	uint32_t count = 5000, other = nsp_slot_find(rig->core, "v0@name:red");
	char *items = routes(0, count, ""), *others = routes(0, count, ", namespace: {type: name, name: red}");
	struct nsp_totals totals;

	for (char *at = others; (at = strstr(at, "web0")); at += 4)
		memcpy(at, "v0  ", 4);
	for (int round = 0; round < 2; round++) {
		nsp_slot_ready(rig->core, other, rig->netns, rig->link);
		rig_put(rig, items);
		rig_put_as(rig, "other", others);
		uint32_t serial = nsp_core_request_open(rig->core);
		nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "lab", 0), 1);
		nsp_core_request_commit(rig->core, serial);
		for (int i = 0; i < round; i++)
			nap();
		rig_lost(rig, "[interface/web0]", flags);
		rig_end(rig, serial);
		CHECK_EQ(rig->counts[NSP_STATE_REMOVED], count);
		for (int waited = 0; waited < WAIT_MS; waited += 2) {
			nsp_core_totals(rig->core, &totals);
			if (totals.rows[0][NSP_STATE_CONFIGURED] == count)
				break;
			nap();
		}
		CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], count);
		CHECK_EQ(ours_in_kernel(rig), count);
		serial = nsp_core_request_open(rig->core);
		nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "other", 0), 1);
		nsp_core_request_commit(rig->core, serial);
		rig_end(rig, serial);
		CHECK_EQ(ours_in_kernel(rig), 0);
		rig_ready(rig);
	}
	free(items);
	free(others);
	rig_free(rig);
}

/* The process has ended: what was put before is never written again, what is put after is. */
static void test_dead(void)
{
	struct rig *rig = rig_new();

	rig->slot = nsp_slot_find(rig->core, "v0@pid:17");
	rig_ready(rig);
	rig_put(rig, "[{kind: route, interface: v0, namespace: {type: pid, pid: 17}, dst: 10.0.0.0/8}, {kind: route, interface: "
		     "v0, namespace: {type: pid, pid: 17}, dst: 11.0.0.0/8}]");
	struct nsp_route route = route_of(rig->link, "10.0.0.0", 8, NULL);
	nsp_route_delete(&rig->world->batch, &route);
	route = route_of(rig->link, "11.0.0.0", 8, NULL);
	nsp_route_delete(&rig->world->batch, &route);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	rig_lost(rig, "[pid/17]", NSP_SLOT_DEAD);
	CHECK_HAS(rig_row(rig, "route/v0@pid:17/10.0.0.0/8"),
		  "state: pending, source: lab, missing: [pid/17], errno: nil, message: its process has ended: put it again,");
	rig_put(rig, "[{kind: route, interface: v0, namespace: {type: pid, pid: 17}, dst: 11.0.0.0/8}, {kind: route, interface: "
		     "v0, namespace: {type: pid, pid: 17}, dst: 12.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig->entries, "key: route/v0@pid:17/11.0.0.0/8, state: pending, source: lab, missing: [pid/17]");

	rig_ready(rig);
	rig_quiet(rig);
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_REFUSED | NSP_RECHECK_ROUTES4);
	rig_quiet(rig);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "12.0.0.0/8"), "direct");
	CHECK_HAS(rig_row(rig, "route/v0@pid:17/10.0.0.0/8"), "its process has ended");
	rig_put(rig, "[{kind: route, interface: v0, namespace: {type: pid, pid: 17}, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	rig_free(rig);
}

/* From link to link and from namespace to namespace, in the middle of a batch of both. */
static void test_moves(void)
{
	struct rig *rig = rig_new(), *there = rig_new();
	struct nsp_error err = { 0 };
	uint32_t far, serials[200];

	CHECK_EQ(nsp_core_netns_add(rig->core, there->world->netns, &far, &err), 0);
	CHECK(far != rig->netns);
	uint32_t second = nsp_slot_find(rig->core, "db0");
	nsp_slot_ready(rig->core, second, rig->netns, rig->link);
	for (uint32_t i = 0; i < 200; i++) {
		/* Rows of both slots alternate, so that a batch is of two namespaces. */
		struct mp_out text = { 0 };
		mp_put_byte(&text, '[');
		for (uint32_t k = 0; k < 100; k++) {
			char item[128];
			int n = snprintf(item, sizeof(item), "{kind: route, interface: %s, dst: %u.0.%u.%u}, ",
					 k & 1 ? "web0" : "db0", k & 1 ? 20 : 21, i & 3, k);
			mp_put_raw(&text, item, (size_t)n);
		}
		mp_put_raw(&text, "]", 2);
		nsp_slot_ready(rig->core, rig->slot, i & 1 ? far : rig->netns, i & 1 ? there->link : rig->link);
		serials[i] = rig_start(rig, (char *)text.data);
		mp_free(&text);
		if (i % 10 == 9)
			nap();
		/* As the link goes from one place, so do its routes. */
		rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	}
	nsp_slot_ready(rig->core, rig->slot, far, there->link);
	rig_quiet(rig);
	rig_quiet(rig);
	for (uint32_t i = 0; i < 200; i++) {
		CHECK_EQ(rig_result(rig, serials[i]), 0);
		CHECK_EQ(rig->counts[NSP_STATE_FAILED], 0);
		nsp_core_request_close(rig->core, serials[i]);
	}
	CHECK_EQ(ours_in_kernel(rig), 200);
	CHECK_STR(in_kernel(rig, "20.0.0.1/32"), "");
	CHECK_EQ(ours_in_kernel(there), 200);
	CHECK_HAS(in_kernel(there, "20.0.3.99/32"), "direct");

	/* To another link of the same namespace: the former link has gone, and its objects with it. */
	int32_t other = world_veth(there->world, "v1");
	rig_addr(there, other, "198.51.100.1", 24);
	struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = there->link };
	nsp_link_delete(&there->world->batch, &link);
	CHECK_EQ(world_send(there->world, NULL), 0);
	nsp_slot_ready(rig->core, rig->slot, far, other);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(there), 200);
	nsp_core_netns_drop(rig->core, far);
	rig_free(rig);
	rig_free(there);
}

static void test_notices(void)
{
	struct rig *rig = rig_new();
	struct nsp_notice notices[8];

	uint32_t serial = nsp_core_request_open(rig->core);
	rig_read(rig, "items",
		 "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8},"
		 " {kind: route, interface: db0, dst: 10.0.0.0/8}]");
	nsp_core_put(rig->core, rig->frame, serial, nsp_core_origin(rig->core, "lab", 0), false);
	CHECK_EQ(nsp_core_notices(rig->core, notices, 8), 2);
	CHECK_EQ(notices[0].slot, rig->slot);
	CHECK_EQ(notices[0].what, NSP_NOTICE_TOUCHED);
	CHECK_STR(nsp_slot_key(rig->core, notices[1].slot), "db0");
	CHECK_EQ(nsp_core_notices(rig->core, notices, 8), 0);
	nsp_core_request_commit(rig->core, serial);
	CHECK_EQ(rig_result(rig, serial), 3);
	uint32_t db0 = nsp_slot_find(rig->core, "db0");
	nsp_slot_settle(rig->core, db0);
	CHECK_EQ(rig_result(rig, serial), 2);
	CHECK_EQ(nsp_slot_free(rig->core, db0), -EBUSY);
	nsp_slot_settle(rig->core, rig->slot);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 3);

	rig_end(rig, rig_start_delete(rig, "lab", "[route/db0/10.0.0.0/8]", 0));
	rig_ready(rig);
	serial = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8]", 0);
	rig_end(rig, serial);
	CHECK_EQ(nsp_slot_free(rig->core, db0), 0);
	CHECK_EQ(nsp_slot_free(rig->core, db0), -ENOENT);
	CHECK_EQ(nsp_slot_free(rig->core, rig->slot), 0);
	CHECK(!nsp_slot_key(rig->core, rig->slot));
	CHECK(!nsp_slot_key(rig->core, 100));
	CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &(struct nsp_slot_info){ 0 }), -ENOENT);

	/* The last row goes: the planner may forget the slot. */
	rig->slot = nsp_slot_find(rig->core, "web0");
	rig_ready(rig);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	while (nsp_core_notices(rig->core, notices, 8))
		;
	serial = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8]", 0);
	struct nsp_done done;
	while (!nsp_core_poll(rig->core, &done))
		nap();
	CHECK_EQ(nsp_core_notices(rig->core, notices, 8), 1);
	CHECK_EQ(notices[0].slot, rig->slot);
	CHECK_EQ(notices[0].what, NSP_NOTICE_EMPTY);
	rig_free(rig);
}

static void test_many_slots(void)
{
	struct rig *rig = rig_new();
	uint32_t numbers[5000], wrong = 0;
	char key[32];

	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "web%u", i * 7919);
		numbers[i] = nsp_slot_find(rig->core, key);
	}
	for (uint32_t i = 0; i < 5000; i += 2)
		wrong += nsp_slot_free(rig->core, numbers[i]) != 0;
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "web%u", i * 7919);
		if (i & 1)
			wrong += nsp_slot_find(rig->core, key) != numbers[i] ||
				 strcmp(nsp_slot_key(rig->core, numbers[i]), key) != 0;
		else
			wrong += strcmp(nsp_slot_key(rig->core, nsp_slot_find(rig->core, key)), key) != 0;
	}
	CHECK_EQ(wrong, 0);
	CHECK(rig->core->slot_count <= 5002);
	rig_free(rig);
}

/* More namespaces than sockets may be open: the one that was not used for the longest time is closed. */
static void test_many_namespaces(void)
{
	enum { COUNT = 12 };
	struct rig *rig = rig_new();
	struct world *worlds[COUNT];
	struct nsp_error err = { 0 };
	uint32_t netns[COUNT], again;
	char text[128], key[32];

	rig->core->sockets_kept = 4;
	for (int i = 0; i < COUNT; i++) {
		worlds[i] = world_new();
		int32_t link = world_veth(worlds[i], "v0");
		CHECK_EQ(nsp_core_netns_add(rig->core, worlds[i]->netns, &netns[i], &err), 0);
		CHECK_EQ(nsp_core_netns_add(rig->core, worlds[i]->netns, &again, &err), 0);
		CHECK_EQ(again, netns[i]);
		nsp_core_netns_drop(rig->core, again);
		snprintf(key, sizeof(key), "web%d", i);
		nsp_slot_ready(rig->core, nsp_slot_find(rig->core, key), netns[i], link);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < COUNT; i++) {
			snprintf(text, sizeof(text), "[{kind: route, interface: web%d, dst: fd0%d::/16}]", i, round);
			rig_put(rig, text);
			CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
		}
	rig_quiet(rig);
	CHECK(rig->core->sockets_open <= 5);

	/* Dropped, it is closed, and its number given to another. */
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "web%d", i);
		nsp_slot_lost(rig->core, nsp_slot_find(rig->core, key), NSP_STATE_PENDING, NULL, 0, 0, NULL, 0);
		nsp_core_netns_drop(rig->core, netns[i]);
	}
	rig_quiet(rig);
	CHECK_EQ(nsp_core_netns_add(rig->core, worlds[0]->netns, &again, &err), 0);
	CHECK(again <= COUNT + 1);
	CHECK_EQ(rig->core->netns_count, COUNT + 2);

	/* An operation on one that is closed fails, and touches nothing. */
	nsp_core_netns_drop(rig->core, again);
	rig_quiet(rig);
	struct nsp_op *op = nsp_op_new(7);
	struct nsp_link link = { .fields = NSP_LINK_NAME, .name = "lo" };
	nsp_link_get(nsp_op_stage(op, again, 0), &link);
	nsp_core_submit(rig->core, op, 0);
	CHECK_EQ(rig_next(rig), 0);
	CHECK_EQ(rig->op->error, ENODEV);
	CHECK_STR(rig->op->text, "the namespace has been closed");
	CHECK(nsp_core_netns_add(rig->core, 0, &again, &err) == 0 || err.text[0]);
	for (int i = 0; i < COUNT; i++)
		world_free(worlds[i]);
	rig_free(rig);
}

static bool readable(int fd, int milliseconds)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, milliseconds) > 0;
}

/* Whoever waits for the rows of a slot hears of the writer until none of them is under way, whoever's they are. */
static void test_busy(void)
{
	struct rig *rig = rig_new();
	struct nsp_done done;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.9.0.0/16, gateway: "
		     "203.0.113.1}]");
	CHECK_EQ(nsp_slot_busy(rig->core, rig->slot, 0), 0); /* it is not ready: nothing is to be written */
	CHECK_EQ(nsp_slot_busy(rig->core, 4711, 0), 0);
	while (nsp_core_poll(rig->core, &done))
		;
	nsp_core_pause(rig->core, 1);
	rig_ready(rig);
	uint32_t row = nsp_slot_busy(rig->core, rig->slot, 0);
	CHECK(row != 0);
	CHECK_EQ(nsp_slot_busy(rig->core, rig->slot, row), row);
	CHECK(nsp_slot_busy(rig->core, rig->slot, 1000000) != 0); /* a number of no row is no harm */
	nsp_core_await_writer(rig->core);
	CHECK(!readable(nsp_core_fd(rig->core), 0));
	nsp_core_pause(rig->core, 0);
	for (int i = 0; i < 100 && row; i++) {
		CHECK(readable(nsp_core_fd(rig->core), WAIT_MS));
		while (nsp_core_poll(rig->core, &done))
			;
		nsp_core_await_writer(rig->core); /* before it is looked: what is written meanwhile is told of */
		row = nsp_slot_busy(rig->core, rig->slot, row);
	}
	CHECK_EQ(row, 0);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	CHECK_HAS(rig_row(rig, "route/web0/10.9.0.0/16"), "state: pending"); /* which holds nobody up */
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_busy();
	test_lost_and_back();
	test_lost_in_flight(0);
	test_lost_in_flight(NSP_SLOT_WITHDRAW);
	test_flapping();
	test_withdrawn_with_a_backlog();
	test_taken_over(0);
	test_taken_over(NSP_SLOT_WITHDRAW);
	test_dead();
	test_moves();
	test_notices();
	test_many_slots();
	test_many_namespaces();
	return test_end();
}
