/* SPDX-License-Identifier: Apache-2.0 */
/* A look finds what nobody was heard to do, and all else goes on meanwhile. */
#include "back.h"

static uint64_t look(struct rig *rig)
{
	struct nsp_op *op = reading(rig);
	uint64_t cookie = op->cookie;

	nsp_op_inspect(op);
	nsp_core_submit(rig->core, op, false);
	return cookie;
}

static void test_finds_what_was_not_heard(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, ALL);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], ALL_COUNT);
	await(rig, look(rig));
	check_found(rig, 0, 0, 0);
	uint64_t before = written(rig);
	delete_route(rig, "10.0.0.0", 8, 254, 0);
	delete_route(rig, "fd00::", 16, 254, 1024);
	put_route(rig, "10.1.0.0", 16, "192.0.2.77", 110);
	delete_neigh(rig, "192.0.2.10");
	put_neigh(rig, "2001:db8::9", 0x66, 110, NUD_PERMANENT);
	change(rig);
	await(rig, look(rig));
	check_found(rig, 3, 2, 0);
	CHECK(rig->op->nanoseconds > 0);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK(written(rig) >= before + 5);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(rig, "10.1.0.0/16"), "via 192.0.2.9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.10"), "mac 02:00:00:00:00:0a");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	await(rig, look(rig));
	check_found(rig, 0, 0, 0);
	rig_free(rig);
}

#define MANY 100000

/* Rows come, change and go while it looks: they are answered at once, and nothing is found that is not so. */
static void test_gives_way(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, MANY, "");
	char text[128];
	uint32_t turns = 0;

	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], MANY);
	rig_put_as(rig, "other", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	nsp_op_free(rig->op);
	rig->op = NULL;
	look(rig);
	for (; !rig->op; turns++) {
		snprintf(text, sizeof(text), "[{kind: route, interface: web0, dst: 10.0.0.0/8%s}]",
			 turns % 2 ? "" : ", gateway: 192.0.2.9");
		rig_end(rig, rig_start_as(rig, "other", 0, text, true));
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
		snprintf(text, sizeof(text), "[{kind: route, interface: web0, dst: 20.1.%u.%u/32%s}]", turns / 256 % 128,
			 turns % 256, turns % 3 ? "" : ", gateway: 192.0.2.9");
		rig_put(rig, text);
		snprintf(text, sizeof(text), "[route/web0/20.0.%u.%u/32]", turns / 256 % 256, turns % 256);
		rig_delete(rig, text);
		CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
		if (turns % 5 == 0) {
			snprintf(text, sizeof(text), "[{kind: route, interface: web0, dst: 20.0.%u.%u/32}]", turns / 256 % 256,
				 turns % 256);
			rig_put(rig, text);
		}
	}
	CHECK(turns > 3);
	check_found(rig, 0, 0, 0);
	uint32_t there = ours_in_kernel(rig);
	delete_route(rig, "20.1.0.0", 32, 254, 0);
	change(rig);
	await(rig, look(rig));
	check_found(rig, 1, 0, 0);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), there);
	free(items);
	rig_free(rig);
}

/* All of it is read back while it looks, or the core is freed. */
static void test_is_ended(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, MANY, "");

	rig_put(rig, items);
	delete_route(rig, "20.0.0.7", 32, 254, 0);
	change(rig);
	uint64_t looked = look(rig);
	struct nsp_op *op = reading(rig);
	uint64_t read = op->cookie;
	nsp_core_submit(rig->core, op, true);
	uint32_t missing = 0, ended = 0;
	while (ended < 2) {
		if (rig_next(rig))
			continue;
		ended += rig->op->cookie == looked || rig->op->cookie == read;
		missing += rig->op->missing;
		CHECK_EQ(rig->op->altered + rig->op->stale, 0);
	}
	CHECK_EQ(missing, 1);
	rig_quiet(rig);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), MANY);
	await(rig, look(rig));
	check_found(rig, 0, 0, 0);
	look(rig); /* which the core is not to wait for */
	free(items);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_finds_what_was_not_heard();
	test_gives_way();
	test_is_ended();
	return test_end();
}
