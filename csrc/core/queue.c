/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's queues: rows, operations, and namespaces to close, in the order in which they are served. */
#include "core/queue.h"

#include "core/lock.h"

void queue_push(struct queue *queue, uint64_t entry)
{
	if (queue->count == queue->cap) {
		uint32_t old = queue->cap;
		queue->entries = array_grow(queue->entries, &queue->cap, sizeof(*queue->entries));
		for (uint32_t i = 0; i < queue->head; i++) /* what had wrapped comes behind */
			queue->entries[old + i] = queue->entries[i];
	}
	queue->entries[(queue->head + queue->count++) & (queue->cap - 1)] = entry;
}

uint64_t queue_pop(struct queue *queue)
{
	uint64_t entry = queue->entries[queue->head];

	queue->ordered -= queue->ordered > 0;
	queue->head = (queue->head + 1) & (queue->cap - 1);
	if (--queue->count == 0 && queue->cap > 65536) {
		free(queue->entries);
		*queue = (struct queue){ 0 };
	}
	return entry;
}

#define SPREAD_MOST 65536 /* whose requests wait for each other, and for the lock no longer than a few tenths of a millisecond */

static bool is_spread(uint64_t entry)
{
	return entry & 1 && entry & ENTRY_SPREADS;
}

/* The routes of IPv4 lie in a trie that is rebuilt as parts of it empty: half as often where all of it empties evenly. */
void queue_spread(struct queue *queue)
{
	uint32_t mask = queue->cap - 1, count = 0, at = 0;

	if (queue->ordered)
		return;
	while (count < queue->count && count < SPREAD_MOST && is_spread(queue->entries[(queue->head + count) & mask]))
		count++;
	queue->ordered = count;
	if (count < SPREAD_LEAST)
		return;
	cleanup_free uint64_t *spread = malloc(count * sizeof(*spread));
	if (!spread)
		abort();
	for (uint32_t first = 0; first < SPREAD_STEP; first++)
		for (uint32_t i = first; i < count; i += SPREAD_STEP)
			spread[at++] = queue->entries[(queue->head + i) & mask];
	for (uint32_t i = 0; i < count; i++)
		queue->entries[(queue->head + i) & mask] = spread[i];
}

void queue_row(struct nsp_core *core, uint32_t id, struct row *row, bool express)
{
	if (row->flags & ROW_QUEUED)
		return;
	row->flags |= ROW_QUEUED;
	bool spreads = !(row->flags & ROW_WANTED) && kinds[row->kind]->deletes_spread;
	queue_push(express ? &core->express : &core->queue, ENTRY_ROW(id) | (spreads ? ENTRY_SPREADS : 0));
}

void nsp_core_defer_wakeup(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->defers_wakeup = on;
	core_unlock(core);
}

void nsp_core_pause(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->paused = on;
	core_unlock(core);
}
