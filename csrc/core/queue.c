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

	queue->head = (queue->head + 1) & (queue->cap - 1);
	if (--queue->count == 0 && queue->cap > 65536) {
		free(queue->entries);
		*queue = (struct queue){ 0 };
	}
	return entry;
}

void queue_row(struct nsp_core *core, uint32_t id, struct row *row, bool express)
{
	if (row->flags & ROW_QUEUED)
		return;
	row->flags |= ROW_QUEUED;
	queue_push(express ? &core->express : &core->queue, ENTRY_ROW(id));
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
