/* SPDX-License-Identifier: Apache-2.0 */
/* The core's life, its namespaces and origins. */
#include "core/core.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

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
		number = core_now() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 16;
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

	/* Number 0 of each stands for none. */
	CORE_GROW(core->slots, core->slot_count, core->slot_cap);
	core->slots[core->slot_count++] = NULL;
	CORE_GROW(core->netns, core->netns_count, core->netns_cap);
	core->netns[core->netns_count++] = NULL;
	core->slot_mask = 63;
	core->slot_index = calloc(core->slot_mask + 1, sizeof(uint32_t));
	core->request_mask = 255;
	core->requests = calloc(core->request_mask + 1, sizeof(struct request *));
	if (!core->slot_index || !core->requests)
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
		free(core->slots[i]);
	}
	free(core->slots);
	free(core->slot_index);
	free(core->slot_free);
}

static void free_requests(struct nsp_core *core)
{
	for (uint32_t i = 0; i <= core->request_mask; i++)
		if (core->requests[i]) {
			mp_free(&core->requests[i]->out);
			mp_free(&core->requests[i]->summary);
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
	for (uint32_t i = 0; i < core->origin_count; i++)
		free(core->origins[i].source);
	free(core->origins);
	free(core->rejudge);
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

int nsp_core_fd(const struct nsp_core *core)
{
	return core->event;
}

/* A known namespace by its identity, or one whose number is free. */
static uint32_t find_netns(const struct nsp_core *core, const struct nsp_netns_id *id, uint32_t *vacant)
{
	*vacant = NIL;
	for (uint32_t i = 1; i < core->netns_count; i++) {
		const struct netns *netns = core->netns[i];
		if (netns->fd < 0 && !netns->refs)
			*vacant = i;
		else if (netns->fd >= 0 && netns->id.ino == id->ino && netns->id.dev == id->dev)
			return i;
	}
	return NIL;
}

int nsp_core_netns_add(struct nsp_core *core, int fd, uint32_t *number, struct nsp_error *err)
{
	struct nsp_netns_id id;
	uint32_t vacant;
	int rc = nsp_netns_identify(fd, &id, err);

	if (rc < 0)
		return rc;
	core_lock(core);
	*number = find_netns(core, &id, &vacant);
	if (!*number) {
		int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (own < 0) {
			rc = nsp_fail(err, errno, "keep a namespace open");
		} else {
			if (!vacant) {
				CORE_GROW(core->netns, core->netns_count, core->netns_cap);
				vacant = core->netns_count++;
				core->netns[vacant] = malloc(sizeof(struct netns));
				if (!core->netns[vacant])
					abort();
			}
			*core->netns[vacant] = (struct netns){ .fd = own, .id = id, .nsid = -1 };
			*number = vacant;
		}
	}
	if (rc == 0)
		netns_hold(core, *number);
	core_unlock(core);
	return rc;
}

void netns_connected(struct nsp_core *core, struct netns *netns)
{
	if (netns->sock.portid != core->portid) /* somebody else has it there: whoever hears has to know this one */
		netns->portid = netns->sock.portid;
	netns->connected = true;
	core->sockets_open++;
}

/* To the writer, which uses it when it has something to do there; unless it has one already, or enough of them. */
static void hand_over(struct nsp_core *core, uint32_t number, struct nsp_socket *sock)
{
	core_lock(core);
	struct netns *netns = core->netns[number];
	bool wanted = !netns->connected && core->sockets_open < core->sockets_kept;
	if (wanted) {
		netns->sock = *sock;
		netns->used = core->batches;
		netns_connected(core, netns);
	}
	core_unlock(core);
	if (!wanted)
		nsp_socket_close(sock);
}

int nsp_core_netns_create(struct nsp_core *core, const char *name, const char *mark, struct nsp_monitor *mon, uint32_t *number,
			  int *nsid, uint64_t *cookie, struct nsp_event *events, long cap, long *count, struct nsp_error *err)
{
	struct nsp_socket sock = { .fd = -1, .portid = core->portid };
	struct nsp_birth birth = { .mark = mark, .mon = mon, .events = events, .cap = cap, .sock = &sock };
	int fd = nsp_netns_bear(name, &birth, err);

	if (fd < 0)
		return fd;
	int rc = nsp_core_netns_add(core, fd, number, err);
	if (rc < 0) {
		nsp_netns_delete(name, NULL);
		nsp_socket_close(&sock);
		close(fd);
		return rc;
	}
	hand_over(core, *number, &sock);
	*nsid = birth.nsid;
	*cookie = birth.cookie;
	*count = birth.count;
	return fd;
}

long nsp_core_survey(struct nsp_core *core, uint32_t number, struct nsp_event *events, long cap, struct nsp_room *room,
		     struct nsp_error *err)
{
	struct nsp_socket sock;

	core_lock(core);
	int fd = core->netns[number]->fd;
	core_unlock(core);
	int rc = nsp_socket_open_as(&sock, fd, core->portid, err);
	if (rc < 0)
		return rc;
	long count = nsp_survey(&sock, events, cap, room, err);
	hand_over(core, number, &sock);
	return count;
}

void netns_hold(struct nsp_core *core, uint32_t number)
{
	core->netns[number]->refs++;
}

void netns_release(struct nsp_core *core, uint32_t number)
{
	if (--core->netns[number]->refs == 0) /* the writer may be using it, so it closes it, unless it is held again by then */
		queue_push(&core->queue, ENTRY_CLOSE(number));
}

void nsp_core_netns_drop(struct nsp_core *core, uint32_t number)
{
	core_lock(core);
	netns_release(core, number);
	core_unlock(core);
}

#define SOURCES_KEPT 256 /* more of them that have no rows make way for others */

uint32_t nsp_core_origin(struct nsp_core *core, const char *source, uint64_t generation)
{
	core_lock(core);
	uint32_t i, vacant = core->origin_count;
	for (i = 0; i < core->origin_count; i++) {
		if (core->origins[i].generation == generation && !strcmp(core->origins[i].source, source))
			break;
		if (!core->origins[i].rows && (core->origins[i].generation || core->origin_count > SOURCES_KEPT))
			vacant = i;
	}
	if (i == core->origin_count) {
		i = vacant;
		if (i == core->origin_count) {
			CORE_GROW(core->origins, core->origin_count, core->origin_cap);
			core->origin_count++;
		} else {
			free(core->origins[i].source);
		}
		core->origins[i] = (struct origin){ .source = core_copy(source), .generation = generation };
	}
	core_unlock(core);
	return i;
}

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
	};
	memcpy(totals->rows, core->rows_by_state, sizeof(totals->rows));
	for (int kind = 0; kind < 2; kind++) { /* without a verdict yet: shown as pending */
		totals->rows[kind][NSP_STATE_PENDING] += totals->rows[kind][NSP_STATE_NONE];
		totals->rows[kind][NSP_STATE_NONE] = 0;
	}
	core_unlock(core);
}
