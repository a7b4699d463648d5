/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller is to fetch: requests and operations that are completed, and what happened to slots. */
#include "core/completed.h"

#include <sys/eventfd.h>
#include <time.h>

#include "core/lock.h"

void core_notice(struct nsp_core *core, uint32_t slot, uint32_t what)
{
	ARRAY_GROW(core->notices, core->notice_count, core->notice_cap);
	core->notices[core->notice_count++] = (struct nsp_notice){ slot, what };
	core_signal(core);
}

void done_push(struct nsp_core *core, struct nsp_done done)
{
	if (core->done_count == core->done_cap) {
		uint32_t old = core->done_cap;
		core->done = array_grow(core->done, &core->done_cap, sizeof(*core->done));
		for (uint32_t i = 0; i < core->done_head; i++) /* what had wrapped comes behind */
			core->done[old + i] = core->done[i];
	}
	core->done[(core->done_head + core->done_count++) & (core->done_cap - 1)] = done;
	core_signal(core);
}

void answer_push(struct nsp_core *core, uint32_t serial)
{
	struct serials *list = &core->to_answer[0];

	ARRAY_GROW(list->serials, list->count, list->cap);
	list->serials[list->count++] = serial;
	core_signal(core);
}

int nsp_core_poll(struct nsp_core *core, struct nsp_done *done)
{
	uint64_t value;

	core_lock(core);
	bool some = core->done_count;
	if (some) {
		*done = core->done[core->done_head];
		core->done_head = (core->done_head + 1) & (core->done_cap - 1);
		core->done_count--;
	} else { /* noted or not: what is noted under the lock is written after it, and may come late */
		core->signalled = false;
		eventfd_read(core->event, &value);
	}
	core_unlock(core);
	return some;
}

int nsp_core_wait(struct nsp_core *core, int milliseconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += milliseconds / 1000;
	until.tv_nsec += milliseconds % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	core_lock(core);
	int rc = 0;
	while (!core->done_count && !core->notice_count && !core->to_answer[0].count && !rc)
		rc = pthread_cond_timedwait(&core->completed, &core->lock, &until);
	core_locked(core);
	bool some = core->done_count || core->notice_count || core->to_answer[0].count;
	core_unlock(core);
	return some;
}

int nsp_core_notices(struct nsp_core *core, struct nsp_notice *notices, int cap)
{
	int count = 0;

	core_lock(core);
	while (count < cap && core->notice_head < core->notice_count)
		notices[count++] = core->notices[core->notice_head++];
	if (core->notice_head == core->notice_count)
		core->notice_head = core->notice_count = 0;
	core_unlock(core);
	return count;
}
