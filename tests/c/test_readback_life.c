/* SPDX-License-Identifier: Apache-2.0 */
/* Reading back when much is going on: a life begins, rows and slots come and go, the kernel cannot be read. */
#include "back.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* Its steps by themselves: the kernel cannot be made to interrupt a dump. */
#define readback_run readback_run_by_steps
#include "core/readback.c"
#undef readback_run

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
	nsp_core_pause(rig->core, 1);
	nsp_core_submit(rig->core, op, false);
	rig_ready(rig);
	uint32_t again = rig_start_as(rig, "lab", 0, items, false);
	nap();
	before = written(rig);
	CHECK_EQ(before, 0);
	nsp_core_pause(rig->core, 0);
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
/* What is not wanted any more and has gone already: nothing is left to do, and every verdict is paid. */
static void test_gone_already(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	change(rig);
	uint64_t before = written(rig);
	nsp_core_pause(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	uint32_t serial = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8]", 0);
	nsp_core_pause(rig->core, 0);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_EQ(written(rig), before);
	CHECK_STR(rig_row(rig, "route/web0/10.0.0.0/8"), "none");

	/* Refused, and the former one of it that was to be deleted is gone: it stays refused. */
	nsp_core_pause(rig->core, 1);
	nsp_core_submit(rig->core, reading(rig), false);
	serial = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.255}]", true);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct"); /* its deletion is held */
	delete_route(rig, "11.0.0.0", 8, 254, 0);
	change(rig);
	before = written(rig);
	nsp_core_pause(rig->core, 0);
	rig_quiet(rig);
	CHECK_EQ(written(rig), before);
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "errno: EINVAL");
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");
	read_back(rig);
	check_found(rig, 0, 0, 0);
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
	/* A row that met the vandal may have been refused: it is tried again, as the planner does it. */
	for (int i = 0; i < 3 && totals.rows[0][NSP_STATE_CONFIGURED] != 4096; i++) {
		sleep(1);
		nsp_slot_retry(rig->core, rig->slot);
		rig_quiet(rig);
		nsp_core_totals(rig->core, &totals);
	}
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 4096);
	CHECK_EQ(ours_in_kernel(rig), 4096);
	CHECK_HAS(in_kernel(rig, "20.0.9.9/32"), "direct");
	for (uint32_t number = 0; number < rig->core->table.chunk_count; number++)
		for (uint32_t i = number == 0; i < rig->core->table.chunks[number].used; i++)
			if (chunk_row(&rig->core->table.chunks[number], i)->flags & ROW_SEEN)
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
	struct readback back = { .core = rig->core, .op = op, .netns = rig->netns };

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	put_route(rig, "12.0.0.0", 8, NULL, 110);
	put_route(rig, "13.0.0.0", 8, NULL, 110);
	change(rig);
	rig_quiet(rig);
	nsp_op_sweep(&op->head, rig->link, "web0");
	back.generation = rig->core->slot_generation;
	back.unclaimed_cap = 16;
	back.unclaimed = calloc(back.unclaimed_cap, sizeof(*back.unclaimed));
	back.unclaimed[back.unclaimed_count++].decoded.kind = 1; /* of another table */
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
	each_row(&back, repair_row);
	pthread_mutex_unlock(&rig->core->lock);
	CHECK_EQ(op->head.missing, 1);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
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

	nsp_core_pause(rig->core, 1);
	op = reading(rig);
	uint64_t cookie = op->cookie;
	nsp_core_submit(rig->core, op, false);
	CHECK_EQ(nsp_core_has_begun(rig->core, op), 0);
	nsp_core_pause(rig->core, 0);
	await(rig, cookie);
	CHECK_EQ(nsp_core_has_begun(rig->core, op), 1);

	/* One that is never carried out is freed all the same. */
	nsp_core_pause(rig->core, 1);
	op = reading(rig);
	nsp_op_sweep(op, rig->link, "web0");
	nsp_core_submit(rig->core, op, false);
	world_free(other);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_another_life();
	test_gone_already();
	test_wanted_soon();
	test_meanwhile();
	test_begun_anew();
	test_unreadable();
	test_closed();
	return test_end();
}
