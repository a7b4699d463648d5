/* SPDX-License-Identifier: Apache-2.0 */
/* Every item of a request gets exactly one verdict: whose it is, what it overwrote, what is swept, and whoever waits no more. */
#include "rig.h"

#include <poll.h>

static void test_sources(void)
{
	struct rig *rig = rig_new_ready();

	rig_put_as(rig, "lab", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	rig_put_as(rig, "other",
		   "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}, {kind: route, interface: web0, dst: "
		   "11.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFLICT], 1);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(rig->entries, "{key: route/web0/10.0.0.0/8, state: conflict, source: lab, missing: [], errno: nil,"
				" message: the key belongs to source lab,");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");

	rig_end(rig, rig_start_delete(rig, "other", "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8]", 0));
	CHECK_EQ(rig->counts[NSP_STATE_CONFLICT], 1);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	rig_end(rig, rig_start_delete(rig, "other", "[route/web0/10.0.0.0/8]", NSP_FORCE));
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");

	/* Free again, it is anybody's. */
	rig_put_as(rig, "other", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "source: other");
	rig_free(rig);
}

static void test_twice_in_one_request(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.0.0.0/8, gateway: "
		     "192.0.2.9},"
		     " {kind: route, interface: web0, dst: 10.0.0.0/8, metric: 1}, {kind: route, interface: web0, dst: nonsense}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_EQ(rig->counts[NSP_STATE_INVALID], 2);
	CHECK_HAS(rig->entries, "{key: route/web0/10.0.0.0/8, state: invalid, source: nil, missing: [], errno: EINVAL,"
				" message: key: is in this request twice, since: (...), tries: 0, index: 1, field: key,"
				" item: {kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}}");
	CHECK_HAS(rig->entries,
		  "{key: nil, state: invalid, source: nil, missing: [], errno: EINVAL, message: dst: 'nonsense' is not a network");
	CHECK_HAS(rig->entries, "index: 3, field: dst, item: {kind: route, interface: web0, dst: nonsense}}");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	rig_free(rig);
}

static void test_superseded(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t ballast = rig_ballast(rig, 30000);
	uint32_t first = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}, {kind: route, "
					"interface: web0, dst: 11.0.0.0/8}]");
	uint32_t second = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.10}]");
	uint32_t third = rig_start_delete(rig, "lab", "[route/web0/11.0.0.0/8]", 0);

	rig_end(rig, second);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_EQ(rig_result(rig, first), 0);
	CHECK_EQ(rig->counts[NSP_STATE_SUPERSEDED], 2);
	CHECK_HAS(rig->entries, "{key: route/web0/10.0.0.0/8, state: superseded,");
	CHECK_HAS(rig->entries, "message: overwritten before it was written,");
	CHECK_EQ(rig_result(rig, third), 0);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_EQ(rig_result(rig, ballast), 0);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 30000);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.10");
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");

	/* A deletion that is overtaken by a put. */
	uint32_t more = rig_ballast(rig, 30000);
	rig_start_delete(rig, "ballast", "[route/web0/20.0.0.7/32]", 0);
	rig_end(rig, more);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 30000);
	rig_free(rig);
}

/* A small request does not wait for a large one. */
static void test_express(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_result result;
	uint32_t ballast = rig_ballast(rig, 60000);
	uint32_t small = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]", true);

	CHECK_EQ(rig_next(rig), small);
	CHECK_EQ(nsp_core_request_result(rig->core, ballast, &result), 0);
	CHECK(result.outstanding > 0);
	CHECK_EQ(rig_result(rig, small), 0);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);

	uint32_t serial = nsp_core_request_open(rig->core);
	rig_read(rig, "keys", "[route/web0/10.0.0.0/8]");
	nsp_core_delete(rig->core, rig->frame, serial, nsp_core_origin(rig->core, "lab", 0), 0, true);
	nsp_core_request_commit(rig->core, serial);
	CHECK_EQ(rig_next(rig), serial);
	CHECK_EQ(rig_next(rig), ballast);
	rig_free(rig);
}

/* Small requests that come together are written together. */
static void test_gathered(void)
{
	struct rig *rig = rig_new_ready();
	struct nsp_totals before, after;
	struct nsp_result result;

	usleep(50000); /* the writer sleeps by now */
	nsp_core_totals(rig->core, &before);
	nsp_core_defer_wakeup(rig->core, true);
	uint32_t first = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]", true);
	uint32_t second = rig_start_as(rig, "lab", 0, "[{kind: route, interface: web0, dst: 10.1.0.0/16}, {kind: route}]", true);
	usleep(50000);
	CHECK_EQ(nsp_core_poll(rig->core, &(struct nsp_done){ 0 }), 0);
	nsp_core_defer_wakeup(rig->core, false);
	CHECK_EQ(rig_next(rig), first);
	CHECK_EQ(rig_next(rig), second);
	nsp_core_totals(rig->core, &after);
	CHECK_EQ(after.written - before.written, 2);
	CHECK_EQ(after.batches - before.batches, 1);
	CHECK_EQ(nsp_core_request_result(rig->core, second, &result), 0);
	CHECK_STR(shown(result.summary, result.summary_len), "{configured: 1, invalid: 1}\n");
	rig_free(rig);
}

/* A replacement: checked as a whole, put, and what it did not touch is swept. */
static void test_replace(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t lab = nsp_core_origin(rig->core, "lab", 0), other = nsp_core_origin(rig->core, "other", 0);

	rig_put_as(rig, "lab",
		   "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}, "
		   "{kind: route, interface: db0, dst: 12.0.0.0/8}]");
	rig_put_as(rig, "other", "[{kind: route, interface: web0, dst: 13.0.0.0/8}]");

	/* Invalid, twice or somebody else's: refused, with nothing changed. */
	uint32_t serial = nsp_core_request_open(rig->core);
	rig_read(rig, "items",
		 "[{kind: route, interface: web0, dst: 10.0.0.0/8, metric: -1}, {kind: route, interface: web0, dst: 13.0.0.0/8},"
		 " {kind: route, interface: web0, dst: 14.0.0.0/8}, {kind: route, interface: web0, dst: 14.0.0.0/8, gateway: "
		 "192.0.2.9}]");
	CHECK_EQ(nsp_core_check(rig->core, rig->frame, serial, lab), 3);
	nsp_core_request_commit(rig->core, serial);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_INVALID], 2);
	CHECK_EQ(rig->counts[NSP_STATE_CONFLICT], 1);
	CHECK_HAS(rig->entries, "key: route/web0/13.0.0.0/8, state: conflict");
	CHECK_HAS(rig->entries, "key: route/web0/14.0.0.0/8, state: invalid");
	CHECK_STR(rig_row(rig, "route/web0/14.0.0.0/8"), "none");

	serial = nsp_core_request_open(rig->core);
	rig_read(rig, "items",
		 "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 14.0.0.0/8}]");
	CHECK_EQ(nsp_core_check(rig->core, rig->frame, serial, lab), 0);
	nsp_core_put(rig->core, rig->frame, serial, lab, false);
	CHECK_EQ(nsp_core_sweep(rig->core, serial, lab, 1), 2);
	nsp_core_request_commit(rig->core, serial);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_STR(in_kernel(rig, "11.0.0.0/8"), "");
	CHECK_STR(rig_row(rig, "route/db0/12.0.0.0/8"), "none");
	CHECK_HAS(in_kernel(rig, "13.0.0.0/8"), "direct");
	CHECK_EQ(ours_in_kernel(rig), 3);

	/* By nothing: everything of the source goes. */
	serial = nsp_core_request_open(rig->core);
	CHECK_EQ(nsp_core_sweep(rig->core, serial, other, 1), 1);
	nsp_core_request_commit(rig->core, serial);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	CHECK_EQ(ours_in_kernel(rig), 2);
	rig_free(rig);
}

/* In parts: what was not put with the newest generation is swept, over many chunks. */
static void test_generations(void)
{
	struct rig *rig = rig_new_ready();
	char *all = routes(0, 20000, ""), *some = routes(5000, 3000, "");

	rig_end(rig, rig_start_as(rig, "lab", 1, all, false));
	rig_put_as(rig, "other", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	rig_end(rig, rig_start_as(rig, "lab", 2, some, false));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 3000);
	rig_end(rig,
		rig_start_as(rig, "lab", 2,
			     "[{kind: route, interface: web0, dst: 21.0.0.0/8}, {kind: route, interface: web0, dst: 20.0.0.9}]",
			     false));

	uint32_t serial = nsp_core_request_open(rig->core);
	CHECK_EQ(nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "lab", 1), 0), 0);
	CHECK_EQ(nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "lab", 2), 0), 20000 - 3000 - 1);
	nsp_core_request_commit(rig->core, serial);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 20000 - 3000 - 1);
	CHECK_STR(rig->entries, "");
	CHECK_EQ(ours_in_kernel(rig), 3000 + 1 + 1 + 1);
	CHECK_STR(in_kernel(rig, "20.0.19.135/32"), "");
	CHECK_HAS(in_kernel(rig, "20.0.19.136/32"), "direct");
	CHECK_HAS(in_kernel(rig, "20.0.0.9/32"), "direct");
	free(all);
	free(some);
	rig_free(rig);
}

/* Whoever has asked is gone: the rows are written all the same, and nothing is told. */
static void test_closed_early(void)
{
	struct rig *rig = rig_new_ready();

	for (int i = 0; i < 10; i++) {
		uint32_t ballast = rig_ballast(rig, 1000 * (uint32_t)(i + 1));
		nsp_core_request_close(rig->core, ballast);
		CHECK_EQ(nsp_core_request_result(rig->core, ballast, &(struct nsp_result){ 0 }), -ENOENT);
	}
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 10000);
	struct nsp_done done;
	CHECK_EQ(nsp_core_poll(rig->core, &done), 0);

	/* More requests at once than there was room for at first, ended in any order. */
	uint32_t serials[1000];
	for (uint32_t i = 0; i < 1000; i++) {
		char item[96];
		snprintf(item, sizeof(item), "[{kind: route, interface: web0, dst: 20.1.%u.%u}]", i >> 8, i & 255);
		serials[i] = rig_start(rig, item);
		if (i % 3 == 0)
			nsp_core_request_close(rig->core, serials[i]);
	}
	rig_quiet(rig);
	for (uint32_t i = 999; i < 1000; i--) {
		if (i % 3 == 0)
			continue;
		CHECK_EQ(rig_result(rig, serials[i]), 0);
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
		nsp_core_request_close(rig->core, serials[i]);
	}
	CHECK_EQ(ours_in_kernel(rig), 11000);
	rig_free(rig);
}

/* No items, and items that were refused before anything was tried: completed at once. */
static void test_nothing_to_do(void)
{
	struct rig *rig = rig_new();

	rig_put(rig, "[]");
	for (int state = 0; state < NSP_STATES; state++)
		CHECK_EQ(rig->counts[state], 0);
	rig_put(rig, "[{kind: arp, interface: web0}]");
	CHECK_EQ(rig->counts[NSP_STATE_INVALID], 1);
	rig_delete(rig, "[route/web0/10.0.0.0/8, arp/web0/10.0.0.9, route/web0/10.0.0.1/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_EQ(rig->counts[NSP_STATE_INVALID], 1);
	rig_free(rig);
}

static int is_readable(const struct rig *rig)
{
	struct pollfd fd = { .fd = nsp_core_fd(rig->core), .events = POLLIN };

	return poll(&fd, 1, 0);
}

/* The descriptor is readable from a completion until all of them have been fetched. */
static void test_descriptor(void)
{
	struct rig *rig = rig_new_ready();
	struct pollfd fd = { .fd = nsp_core_fd(rig->core), .events = POLLIN };
	struct nsp_done done;

	while (nsp_core_poll(rig->core, &done))
		;
	CHECK_EQ(is_readable(rig), 0);
	uint32_t serial = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(poll(&fd, 1, WAIT_MS), 1);
	uint32_t empty = rig_start(rig, "[]");
	CHECK_EQ(nsp_core_poll(rig->core, &done), 1);
	CHECK_EQ(done.serial, serial);
	CHECK_EQ(is_readable(rig), 1);
	CHECK_EQ(nsp_core_wait(rig->core, 0), 1);
	CHECK_EQ(nsp_core_poll(rig->core, &done), 1);
	CHECK_EQ(done.serial, empty);

	/* Not all has been fetched when one waits: that does not keep the next completion from waking. */
	serial = rig_start(rig, "[{kind: route, interface: web0, dst: 11.0.0.0/8}]");
	CHECK_EQ(nsp_core_wait(rig->core, WAIT_MS), 1);
	CHECK_EQ(nsp_core_poll(rig->core, &done), 1);
	CHECK_EQ(done.serial, serial);
	CHECK_EQ(nsp_core_poll(rig->core, &done), 0);
	CHECK_EQ(is_readable(rig), 0);
	CHECK_EQ(nsp_core_wait(rig->core, 1), 0);
	rig_free(rig);
}

/* The same destination on each of very many interfaces: no key stands there twice, but the one that does. */
static void test_one_destination_on_many_interfaces(void)
{
	enum { MANY = 40000 };
	struct rig *rig = rig_new();
	char *keys = malloc(MANY * 32 + 64);
	size_t len = 1;

	keys[0] = '[';
	for (int i = 0; i < MANY; i++)
		len += (size_t)sprintf(keys + len, "route/i%d/10.0.0.0/8, ", i);
	strcpy(keys + len, "route/i777/10.0.0.0/8]");
	rig_delete(rig, keys);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], MANY);
	CHECK_EQ(rig->counts[NSP_STATE_INVALID], 1);
	CHECK_HAS(rig->entries, "{key: route/i777/10.0.0.0/8, state: invalid, source: nil, missing: [], errno: EINVAL, message: "
				"key: is in this request twice");
	free(keys);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_sources();
	test_twice_in_one_request();
	test_superseded();
	test_express();
	test_gathered();
	test_replace();
	test_generations();
	test_closed_early();
	test_nothing_to_do();
	test_descriptor();
	test_one_destination_on_many_interfaces();
	return test_end();
}
