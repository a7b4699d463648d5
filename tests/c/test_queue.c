/* SPDX-License-Identifier: Apache-2.0 */
/* Many deletions of IPv4 routes are carried out in strides, and nothing else changes its place. */
#include "rig.h"

#include "core/queue.h"

#define DELETION(id) (ENTRY_ROW(id) | ENTRY_SPREADS)

static void push_deletions(struct queue *queue, uint32_t first, uint32_t count)
{
	for (uint32_t id = first; id < first + count; id++)
		queue_push(queue, DELETION(id));
}

/* Pops that many, and checks that they are these deletions, in strides or one after the other. */
static void check_deletions(struct queue *queue, uint32_t first, uint32_t count, uint32_t step)
{
	for (uint32_t from = 0; from < step; from++)
		for (uint32_t i = from; i < count; i += step) {
			queue_spread(queue);
			CHECK_EQ(queue_pop(queue), DELETION(first + i));
		}
}

static void test_many_go_in_strides(void)
{
	struct queue queue = { 0 };

	push_deletions(&queue, 1, SPREAD_LEAST + 3);
	check_deletions(&queue, 1, SPREAD_LEAST + 3, SPREAD_STEP);
	CHECK_EQ(queue.count, 0);
	CHECK_EQ(queue.ordered, 0);

	/* Also around the end of the ring; what comes meanwhile comes behind. */
	push_deletions(&queue, 1, SPREAD_LEAST);
	queue_spread(&queue);
	push_deletions(&queue, 100000, SPREAD_LEAST);
	check_deletions(&queue, 1, SPREAD_LEAST, SPREAD_STEP);
	check_deletions(&queue, 100000, SPREAD_LEAST, SPREAD_STEP);
	free(queue.entries);
}

static void test_few_stay_in_order(void)
{
	struct queue queue = { 0 };

	push_deletions(&queue, 1, SPREAD_LEAST - 1);
	check_deletions(&queue, 1, SPREAD_LEAST - 1, 1);
	free(queue.entries);
}

/* A put, an operation (whatever its address) and the end of a namespace are behind what was queued before, and in front of what was
 * queued after. */
static void test_others_keep_their_place(void)
{
	uint64_t others[] = { ENTRY_ROW(7), ENTRY_OP((uintptr_t)ENTRY_SPREADS | 0x1000), ENTRY_CLOSE(3) };

	for (unsigned i = 0; i < 3; i++) {
		struct queue queue = { 0 };

		queue_push(&queue, others[i]);
		push_deletions(&queue, 1, SPREAD_LEAST);
		queue_push(&queue, others[i]);
		push_deletions(&queue, 1, SPREAD_LEAST);
		for (int again = 0; again < 2; again++) {
			queue_spread(&queue);
			CHECK_EQ(queue_pop(&queue), others[i]);
			check_deletions(&queue, 1, SPREAD_LEAST, SPREAD_STEP);
		}
		free(queue.entries);
	}
}

static char *keys(uint32_t count)
{
	size_t cap = (size_t)count * 32 + 8, len = 1;
	char *text = malloc(cap);

	text[0] = '[';
	for (uint32_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, cap - len, "route/web0/20.%u.%u.%u/32, ", i >> 16 & 255, i >> 8 & 255, i & 255);
	snprintf(text + len, cap - len, "]");
	return text;
}

#define MANY (SPREAD_LEAST + 1000)

static void test_every_one_is_deleted_once(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, MANY, ""), *names = keys(MANY);

	rig_put(rig, items);
	CHECK_EQ(ours_in_kernel(rig), MANY);
	rig_delete(rig, names);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], MANY);
	CHECK_EQ(ours_in_kernel(rig), 0);

	rig_put(rig, items);
	rig_put_as(rig, "other", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	uint32_t serial = nsp_core_request_open(rig->core);
	CHECK_EQ(nsp_core_sweep(rig->core, serial, nsp_core_origin(rig->core, "lab", 0), true), MANY);
	nsp_core_request_commit(rig->core, serial);
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], MANY);
	CHECK_EQ(ours_in_kernel(rig), 1);
	free(items);
	free(names);
	rig_free(rig);
}

int main(void)
{
	test_many_go_in_strides();
	test_few_stay_in_order();
	test_others_keep_their_place();
	test_every_one_is_deleted_once();
	return test_end();
}
