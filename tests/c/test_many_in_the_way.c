/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of rows meet somebody else's routes: the kernel's table is read a few times for all of them, and they may be changed and
 * deleted before it is known who is in the way. */
#include "rig.h"

#include <stdatomic.h>

/* The linker has the core call this in place of nsp_dump. */
int __real_nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
		    struct nsp_error *err);
int __wrap_nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
		    struct nsp_error *err);

static atomic_uint dumps;

int __wrap_nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
		    struct nsp_error *err)
{
	dumps++;
	return __real_nsp_dump(sock, what, family, ifindex, table, reply, arg, err);
}

/* Somebody else's, as routes() has them. */
static void foreign_routes(struct rig *rig, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct nsp_route route = { .family = AF_INET,
					   .dst_len = 32,
					   .proto = RTPROT_STATIC,
					   .table = 254,
					   .oif = rig->link,
					   .dst = { 20, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW));
		if (i % 1000 == 999 || i == first + count - 1)
			CHECK_EQ(world_send(rig->world, NULL), 0);
	}
}

#define MANY 10000

static void test_few_dumps(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, MANY, ""), *over = routes(0, MANY, ", gateway: 192.0.2.9, override: true");

	foreign_routes(rig, 0, MANY);
	dumps = 0;
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], MANY);
	CHECK(dumps > 0 && dumps < 20); /* one a batch were 40 */

	/* And so many are overridden and put back. */
	dumps = 0;
	rig_put(rig, over);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], MANY);
	CHECK(dumps > 0 && dumps < 20);
	CHECK_EQ(ours_in_kernel(rig), MANY);
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 0);
	CHECK_HAS(in_kernel(rig, "20.0.0.77/32"), "proto 4 ");
	CHECK_HAS(in_kernel(rig, "20.0.39.15/32"), "proto 4 ");
	free(over);
	free(items);
	rig_free(rig);
}

static void delete_routes(struct rig *rig, uint32_t first, uint32_t count, uint32_t step)
{
	char *keys = malloc((size_t)count * 40 + 8);
	size_t len = 1;

	keys[0] = '[';
	for (uint32_t i = first; i < first + count; i += step)
		len += (size_t)sprintf(keys + len, "route/web0/20.%u.%u.%u/32, ", i >> 16 & 255, i >> 8 & 255, i & 255);
	strcpy(keys + len, "]");
	nsp_core_request_close(rig->core, rig_start_delete(rig, "lab", keys, 0));
	free(keys);
}

/* While it is not yet known who is in the way of them, rows are deleted, put again, and lose their interface. */
static void test_changed_meanwhile(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_slot_info info;

	foreign_routes(rig, 0, 2000);
	for (int round = 0; round < 4; round++) {
		char *items = routes(0, 4000, ""), *over = routes(1000, 500, ", gateway: 192.0.2.9, override: true");
		uint32_t ballast = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 30.0.0.0/8}]", false);
		uint32_t first = rig_start(rig, items);
		delete_routes(rig, 0, 1000, 1);
		uint32_t second = rig_start(rig, over);
		delete_routes(rig, 1500, 500, 2);
		if (round == 1) {
			rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
			rig_ready(rig);
		}
		uint32_t last = rig_start(rig, "[{kind: route, interface: web0, dst: 31.0.0.0/8}]");
		while (rig_next(rig) != last)
			;
		for (int waited = 0; waited < WAIT_MS; waited += 2) { /* what was in the way is looked for more than once */
			nsp_slot_info(rig->core, rig->slot, &info);
			if (info.unsettled == 250 && !rig_result(rig, first) && !rig_result(rig, second))
				break;
			nap();
		}
		rig_quiet(rig);
		CHECK_EQ(rig_result(rig, first), 0);
		CHECK_EQ(rig_result(rig, second), 0);
		CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
		CHECK_EQ(info.rows, 3000 - 250 + 2);
		CHECK_EQ(info.unsettled, 250);
		CHECK_STR(rig_row(rig, "route/web0/20.0.0.1/32"), "none");
		CHECK_HAS(rig_row(rig, "route/web0/20.0.4.0/32"), "state: configured");
		CHECK_HAS(in_kernel(rig, "20.0.4.0/32"), "via 192.0.2.9");
		CHECK_HAS(in_kernel(rig, "20.0.0.1/32"), "proto 4 ");
		CHECK_HAS(in_kernel(rig, "20.0.7.207/32"), "proto 4 ");
		CHECK_HAS(in_kernel(rig, "20.0.10.0/32"), "proto 110 ");
		CHECK_EQ(ours_in_kernel(rig), 500 + 2000 + 2);
		for (uint32_t at = 1; at < rig->core->table.chunks[0].used; at++)
			CHECK(!(table_row(&rig->core->table, at)->flags & (ROW_SENT | ROW_QUEUED | ROW_VERDICT_DUE)));
		nsp_core_request_close(rig->core, ballast);
		nsp_core_request_close(rig->core, first);
		nsp_core_request_close(rig->core, second);
		nsp_core_request_close(rig->core, last);
		rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
		rig_ready(rig);
		delete_routes(rig, 0, 4000, 1);
		rig_delete(rig, "[route/web0/30.0.0.0/8, route/web0/31.0.0.0/8]");
		rig_quiet(rig);
		CHECK_EQ(ours_in_kernel(rig), 0);
		CHECK_HAS(in_kernel(rig, "20.0.4.0/32"), "proto 4 ");
		CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
		CHECK_EQ(info.rows, 0);
		free(items);
		free(over);
	}
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_few_dumps();
	test_changed_meanwhile();
	return test_end();
}
