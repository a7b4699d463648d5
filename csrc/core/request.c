/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: every item gets exactly one verdict, and the request is completed with the last. */
#include "core/core.h"

#include <sys/eventfd.h>
#include <time.h>

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t core_now(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t core_date(void)
{
	return clock_ms(CLOCK_REALTIME);
}

void core_signal(struct nsp_core *core)
{
	core->signals = true;
}

bool core_has_work(const struct nsp_core *core)
{
	return core->stop || core->withdrawals.count || (core->queue.count ? !core->held : core->rejudge_count) ||
	       (core->express.count && !core->gathers);
}

uint64_t core_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void core_locked(struct nsp_core *core)
{
	core->locked_at = core_clock();
}

/* Whoever has to wait for the lock has the turn meanwhile: one who would take it again at once waits for that. */
static void lock_in_turn(struct nsp_core *core)
{
	pthread_mutex_lock(&core->turn);
	pthread_mutex_lock(&core->lock);
	pthread_mutex_unlock(&core->turn);
	core_locked(core);
}

void core_lock(struct nsp_core *core)
{
	if (pthread_mutex_trylock(&core->lock))
		lock_in_turn(core);
	else
		core_locked(core);
}

void core_breathe(struct nsp_core *core)
{
	core_unlock(core);
	lock_in_turn(core);
}

static void measure_hold(struct nsp_core *core)
{
	uint64_t held = core->locked_at ? core_clock() - core->locked_at : 0;

	if (held > core->longest_hold)
		core->longest_hold = held;
	core->locked_at = 0;
}

void core_unlock(struct nsp_core *core)
{
	bool work = core->idle && core_has_work(core), completed = core->signals, write = completed && !core->signalled;

	if (work)
		core->idle = false;
	core->signals = false;
	core->signalled |= write;
	measure_hold(core);
	pthread_mutex_unlock(&core->lock);
	/* Whoever is woken while the lock is held runs into it. */
	if (work)
		pthread_cond_signal(&core->work);
	if (completed)
		pthread_cond_signal(&core->completed);
	if (write)
		eventfd_write(core->event, 1);
}

void core_notice(struct nsp_core *core, uint32_t slot, uint32_t what)
{
	CORE_GROW(core->notices, core->notice_count, core->notice_cap);
	core->notices[core->notice_count++] = (struct nsp_notice){ slot, what };
	core_signal(core);
}

struct request *request_get(struct nsp_core *core, uint32_t serial)
{
	struct request *request = core->requests[serial & core->request_mask];

	return request && request->open && request->serial == serial ? request : NULL;
}

static void grow_requests(struct nsp_core *core)
{
	uint32_t size = (core->request_mask + 1) * 2;
	struct request **grown = calloc(size, sizeof(struct request *));

	if (!grown)
		abort();
	for (uint32_t i = 0; i <= core->request_mask; i++)
		if (core->requests[i])
			grown[core->requests[i]->serial & (size - 1)] = core->requests[i];
	free(core->requests);
	core->requests = grown;
	core->request_mask = size - 1;
}

uint32_t nsp_core_request_open(struct nsp_core *core)
{
	core_lock(core);
	uint32_t serial = ++core->next_serial;
	if (!serial)
		serial = ++core->next_serial; /* 0 is no request */
	for (;;) {
		struct request *at = core->requests[serial & core->request_mask];
		if (!at || !at->open)
			break;
		grow_requests(core);
	}
	struct request **place = &core->requests[serial & core->request_mask];
	if (!*place) {
		*place = calloc(1, sizeof(struct request));
		if (!*place)
			abort();
	}
	struct mp_out out = (*place)->out, summary = (*place)->summary;
	out.len = 0;
	**place = (struct request){ .serial = serial, .open = true, .out = out, .summary = summary };
	core_unlock(core);
	return serial;
}

void done_push(struct nsp_core *core, struct nsp_done done)
{
	if (core->done_count == core->done_cap) {
		uint32_t old = core->done_cap;
		core->done = core_grow(core->done, &core->done_cap, sizeof(*core->done));
		for (uint32_t i = 0; i < core->done_head; i++) /* what had wrapped comes behind */
			core->done[old + i] = core->done[i];
	}
	core->done[(core->done_head + core->done_count++) & (core->done_cap - 1)] = done;
	core_signal(core);
}

void request_finish(struct nsp_core *core, struct request *request)
{
	if (request->committed && !request->outstanding)
		done_push(core, (struct nsp_done){ .serial = request->serial });
}

void nsp_core_request_commit(struct nsp_core *core, uint32_t serial)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request && !request->committed) {
		request->committed = true;
		request_finish(core, request);
	}
	core_unlock(core);
}

static void summarise(struct request *request)
{
	uint32_t pairs = 0;

	request->summary.len = 0;
	for (uint32_t state = 0; state < NSP_STATES; state++)
		pairs += request->counts[state] != 0;
	mp_put_map(&request->summary, pairs);
	for (uint32_t state = 0; state < NSP_STATES; state++) {
		if (!request->counts[state])
			continue;
		state_put(&request->summary, state);
		mp_put_uint(&request->summary, request->counts[state]);
	}
}

int nsp_core_request_result(struct nsp_core *core, uint32_t serial, struct nsp_result *result)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request) {
		summarise(request);
		*result = (struct nsp_result){
			.serial = serial,
			.outstanding = request->outstanding,
			.entries = request->entries,
			.len = request->out.len,
			.data = request->out.data,
			.summary_len = request->summary.len,
			.summary = request->summary.data,
		};
		memcpy(result->counts, request->counts, sizeof(result->counts));
	}
	core_unlock(core);
	return request ? 0 : -ENOENT;
}

void nsp_core_request_close(struct nsp_core *core, uint32_t serial)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request) {
		request->open = false;
		if (request->out.cap > 65536)
			mp_free(&request->out);
	}
	core_unlock(core);
}

void request_count(struct request *request, uint32_t state)
{
	request->counts[state]++;
}

struct mp_out *request_entry(struct request *request)
{
	request->entries++;
	return &request->out;
}

void request_settle(struct nsp_core *core, uint32_t serial, struct row *row, uint32_t state)
{
	struct request *request = request_get(core, serial);

	if (!request)
		return;
	if (state == NSP_STATE_RETRYING) /* that is yet to come: the verdict is about what was done */
		state = NSP_STATE_FAILED;
	request_count(request, state);
	if (state != NSP_STATE_CONFIGURED && state != NSP_STATE_REMOVED)
		entry_put(core, request_entry(request), row, state, NO_PREVIOUS);
	request->outstanding--;
	request_finish(core, request);
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
	while (!core->done_count && !core->notice_count && !rc)
		rc = pthread_cond_timedwait(&core->completed, &core->lock, &until);
	core_locked(core);
	bool some = core->done_count || core->notice_count;
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
