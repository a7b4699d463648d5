/* SPDX-License-Identifier: Apache-2.0 */
/* The core's life, and what it counts. */
#include "core/core.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/lock.h"
#include "core/nexthops.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/writer.h"

#define WRITER_STACK (1024 * 1024) /* of which a batch and a dump take a fifth; pages that are not touched cost nothing */

static uint32_t sockets_to_keep(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 > 4096)
		return 4096;
	return limit.rlim_cur / 4 < 16 ? 16 : (uint32_t)(limit.rlim_cur / 4);
}

static uint64_t random_number(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) /* it is not there, or an interrupted sleep at boot */
		number = clock_ms() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 16;
	return number;
}

/* Above the numbers of processes, which the kernel gives to sockets of their own, and below those that it gives to others. */
static uint32_t choose_portid(void)
{
	return 0x40000000 | (random_number() & 0x3fffffff);
}

/* A thread of a set size: some C libraries give one less than a batch's buffers take. */
static int start_writer(struct nsp_core *core)
{
	sigset_t all, before;
	pthread_attr_t attr;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WRITER_STACK);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&core->thread, &attr, writer_run, core);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	core->running = rc == 0;
	return rc;
}

struct nsp_core *nsp_core_new(struct nsp_error *err)
{
	struct nsp_core *core = calloc(1, sizeof(*core));
	pthread_condattr_t monotonic;

	if (!core) {
		nsp_fail(err, ENOMEM, "a new core");
		return NULL;
	}
	core->owner = getpid();
	core->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (core->event < 0) {
		nsp_fail(err, errno, "eventfd");
		free(core);
		return NULL;
	}
	pthread_mutex_init(&core->lock, NULL);
	pthread_mutex_init(&core->turn, NULL);
	pthread_cond_init(&core->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&core->completed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	core->sockets_kept = sockets_to_keep();
	core->portid = choose_portid();
	core->table.secret = (struct secret){ random_number(), random_number() };
	core->nexthops.last_id = (uint32_t)random_number();

	/* Number 0 of each stands for none. */
	ARRAY_GROW(core->slots, core->slot_count, core->slot_cap);
	core->slots[core->slot_count++] = NULL;
	ARRAY_GROW(core->netns, core->netns_count, core->netns_cap);
	core->netns[core->netns_count++] = NULL;
	core->slot_mask = 63;
	core->slot_index = calloc(core->slot_mask + 1, sizeof(uint32_t));
	core->slot_links = calloc(core->slot_mask + 1, sizeof(uint32_t));
	core->request_mask = 255;
	core->requests = calloc(core->request_mask + 1, sizeof(struct request *));
	if (!core->slot_index || !core->slot_links || !core->requests)
		abort();

	int rc = start_writer(core);
	if (rc) {
		nsp_fail(err, rc, "the writer's thread");
		nsp_core_free(core);
		return NULL;
	}
	return core;
}

static void free_queue(struct queue *queue)
{
	for (uint32_t i = 0; i < queue->count; i++) {
		uint64_t entry = queue->entries[(queue->head + i) % queue->cap];
		if (!(entry & 3))
			nsp_op_free((struct nsp_op *)(uintptr_t)entry);
	}
	free(queue->entries);
}

static void free_slots(struct nsp_core *core)
{
	for (uint32_t i = 1; i < core->slot_count; i++) {
		if (!core->slots[i])
			continue;
		mp_free(&core->slots[i]->missing);
		free(core->slots[i]->text);
		free(core->slots[i]->key);
		free(core->slots[i]->links);
		free(core->slots[i]);
	}
	free(core->slots);
	free(core->slot_index);
	free(core->slot_links);
	free(core->slot_free);
}

static void free_requests(struct nsp_core *core)
{
	for (uint32_t i = 0; i <= core->request_mask; i++)
		if (core->requests[i]) {
			mp_free(&core->requests[i]->out);
			mp_free(&core->requests[i]->summary);
			mp_free(&core->requests[i]->id);
			free(core->requests[i]);
		}
	free(core->requests);
}

void nsp_core_free(struct nsp_core *core)
{
	if (!core || core->owner != getpid())
		return;
	if (core->running) {
		core_lock(core);
		core->stop = true;
		core_unlock(core);
		pthread_join(core->thread, NULL);
	}
	free_queue(&core->queue);
	free_queue(&core->express);
	free_queue(&core->withdrawals);
	for (uint32_t i = 0; i < core->done_count; i++)
		nsp_op_free(core->done[(core->done_head + i) % core->done_cap].op);
	free(core->done);
	for (int i = 0; i < 2; i++)
		free(core->to_answer[i].serials);
	mp_free(&core->answers);
	mp_free(&core->ends);
	free(core->answer_list);
	table_free(&core->table);
	free_slots(core);
	free_requests(core);
	for (uint32_t i = 1; i < core->netns_count; i++) {
		if (core->netns[i]->connected)
			nsp_socket_close(&core->netns[i]->sock);
		if (core->netns[i]->fd >= 0)
			close(core->netns[i]->fd);
		free(core->netns[i]);
	}
	free(core->netns);
	nexthops_free(&core->nexthops);
	for (uint32_t i = 0; i < core->origin_count; i++)
		free(core->origins[i].source);
	free(core->origins);
	free(core->recheck);
	free(core->by_nsid);
	free(core->dropped_slots);
	free(core->notices);
	mp_free(&core->changes[0]);
	mp_free(&core->changes[1]);
	mp_free(&core->rows_out);
	mp_free(&core->replaced);
	close(core->event);
	pthread_cond_destroy(&core->work);
	pthread_cond_destroy(&core->completed);
	pthread_mutex_destroy(&core->lock);
	pthread_mutex_destroy(&core->turn);
	free(core);
}

void nsp_core_nexthop_objects(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->nexthops.on = on;
	core_unlock(core);
}

int nsp_core_fd(const struct nsp_core *core)
{
	return core->event;
}

_Static_assert(sizeof(((struct nsp_totals *)0)->rows) / sizeof(((struct nsp_totals *)0)->rows[0]) == KINDS_MAX,
	       "one for each kind");

void nsp_core_totals(struct nsp_core *core, struct nsp_totals *totals)
{
	core_lock(core);
	*totals = (struct nsp_totals){
		.queued = core->queue.count + core->express.count,
		.written = core->written,
		.batches = core->batches,
		.bytes = table_bytes(&core->table),
		.dropped = core->dropped,
		.missing = core->missing,
		.altered = core->altered,
		.longest_hold = core->longest_hold,
		.longest_hold_lately = core->hold_lately[core->hold_lately[1] > core->hold_lately[0]],
	};
	for (uint8_t kind = 0; kind < kind_count(); kind++)
		for (uint32_t state = 0; state < NSP_STATES; state++) /* without a verdict yet: shown as pending */
			totals->rows[kind_name_index(kind)][state == NSP_STATE_NONE ? NSP_STATE_PENDING : state] +=
				core->rows_by_state[kind][state];
	core_unlock(core);
}
