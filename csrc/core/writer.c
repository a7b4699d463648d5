/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: a thread that takes rows and operations from the queues, sends them to the kernel and writes the verdicts down. */
#include "core/op.h"

#define BATCH_ROWS 256
#define BATCH_BYTES (BATCH_ROWS * 256)
#define REJUDGE_MS 1000 /* while the queue does not run empty */

/* A row on its way through the kernel. */
struct flight {
	uint32_t row;
	uint32_t generation; /* of its slot */
	uint32_t request;    /* that is owed the verdict, or 0 */
	uint32_t netns;
	int32_t ifindex;
	bool deletes;
	bool replaces;
	bool yields;  /* what it had taken the place of is put back, and it is tried again without override */
	bool on_link; /* a route without gateway: what is behind it may be reachable now, or no more */
	int error;
	char *text;
};

struct writer {
	struct nsp_core *core;
	uint32_t picked[BATCH_ROWS];
	uint32_t picked_netns[BATCH_ROWS];
	struct flight flights[BATCH_ROWS];
	struct messages astray;
	uint32_t again[BATCH_ROWS]; /* flights that are sent once more */
	struct conflict *conflicts; /* that are still to be resolved: their rows are in flight until then */
	uint32_t conflict_count, conflict_cap;
	bool conflicts_due;   /* one of their rows is wanted */
	uint64_t resolved_at; /* ns: when that was done last */
	uint64_t resolving_took;
	uint8_t buf[BATCH_BYTES];
};

void queue_push(struct queue *queue, uint64_t entry)
{
	if (queue->count == queue->cap) {
		uint32_t old = queue->cap;
		queue->entries = core_grow(queue->entries, &queue->cap, sizeof(*queue->entries));
		for (uint32_t i = 0; i < queue->head; i++) /* what had wrapped comes behind */
			queue->entries[old + i] = queue->entries[i];
	}
	queue->entries[(queue->head + queue->count++) & (queue->cap - 1)] = entry;
}

static uint64_t queue_pop(struct queue *queue)
{
	uint64_t entry = queue->entries[queue->head];

	queue->head = (queue->head + 1) & (queue->cap - 1);
	if (--queue->count == 0 && queue->cap > 65536) {
		free(queue->entries);
		*queue = (struct queue){ 0 };
	}
	return entry;
}

static void disconnect(struct nsp_core *core, struct netns *netns)
{
	if (!netns->connected)
		return;
	nsp_socket_close(&netns->sock);
	netns->connected = false;
	core->sockets_open--;
}

/* Closes the socket that was not used for the longest time. */
static void close_oldest(struct nsp_core *core)
{
	struct netns *oldest = NULL;

	for (uint32_t i = 1; i < core->netns_count; i++)
		if (core->netns[i]->connected && (!oldest || core->netns[i]->used < oldest->used))
			oldest = core->netns[i];
	if (oldest)
		disconnect(core, oldest);
}

/* The command socket of a namespace, opened where it is not. Only the writer uses and closes these, but the planner may hand one over. */
static struct nsp_socket *open_socket(struct nsp_core *core, uint32_t number, struct nsp_error *err)
{
	struct nsp_socket sock;

	core_lock(core);
	struct netns *netns = core->netns[number];
	int fd = netns->fd;
	bool connected = netns->connected;
	netns->used = core->batches;
	if (!connected && core->sockets_open >= core->sockets_kept)
		close_oldest(core);
	core_unlock(core);

	if (connected)
		return &netns->sock;
	if (fd < 0) {
		nsp_refuse(err, ENODEV, "the namespace has been closed");
		return NULL;
	}
	if (nsp_socket_open_as(&sock, fd, core->portid, err) < 0)
		return NULL;
	core_lock(core);
	if (netns->connected) {
		nsp_socket_close(&sock);
	} else {
		netns->sock = sock;
		netns_connected(core, netns);
	}
	core_unlock(core);
	return &netns->sock;
}

static void close_netns(struct nsp_core *core, uint32_t number)
{
	struct netns *netns = core->netns[number];

	if (netns->refs || netns->fd < 0)
		return;
	disconnect(core, netns);
	close(netns->fd);
	*netns = (struct netns){ .fd = -1, .nsid = -1 };
}

/* What a row that comes out of the queue wants of the kernel. false: nothing. */
static bool take_off(struct nsp_core *core, uint32_t id, struct flight *flight)
{
	struct row *row = table_row(&core->table, id);
	struct slot *slot = core->slots[row->slot];

	row->flags &= (uint16_t)~ROW_QUEUED;
	if (!(row->flags & ROW_WANTED) && !(row->flags & ROW_HELD)) {
		row_drop(core, id, row);
		return false;
	}
	if (!slot->ready || row->flags & (ROW_DEAD | ROW_BLOCKED))
		return false;
	const struct extra *extra = table_extra(&core->table, row);
	bool yields = extra && extra->stolen && row->flags & ROW_HELD && !(row->flags & WISH_OVERRIDE);
	*flight = (struct flight){
		.row = id,
		.generation = slot->generation,
		.request = row->flags & ROW_OWED ? row->request : 0,
		.netns = slot->netns,
		.ifindex = slot->ifindex,
		.yields = yields,
		.deletes = yields || !(row->flags & ROW_WANTED) || (row->flags & ROW_REFUSED && row->flags & ROW_HELD),
		.replaces = row->flags & ROW_HELD,
		.on_link = WISH_TYPE_IS_ROUTE(row->type) && !(row->flags & WISH_VIA),
	};
	row->flags &= (uint16_t)~(ROW_OWED | ROW_SHAKEN);
	row->flags |= ROW_INFLIGHT;
	return true;
}

static void flight_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct flight *flight = &((struct writer *)arg)->flights[index];

	flight->error = error;
	flight->text = *text ? core_copy(text) : NULL;
}

static void flight_answered(void *arg, uint32_t index, const void *msg)
{
	(void)index;
	astray_note(&((struct writer *)arg)->astray, msg);
}

static void run_rejudges(struct nsp_core *core)
{
	for (uint32_t i = 0; i < core->rejudge_count; i++) {
		struct slot *slot = core->slots[core->rejudge[i]];
		if (!slot)
			continue;
		slot_rejudge(core, core->rejudge[i], slot->rejudge);
		slot->rejudge = 0;
	}
	core->rejudge_count = 0;
	core->rejudged = core_now();
}

static void pay(struct nsp_core *core, uint32_t request, struct row *row, uint32_t state)
{
	if (request)
		request_settle(core, request, row, state);
}

static bool is_unreachable(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == ENODEV;
}

static void land_deletion(struct nsp_core *core, const struct flight *flight, struct row *row)
{
	bool gone = !flight->error || flight->error == ESRCH || flight->error == ENODEV || flight->error == ENOENT;

	if (gone) {
		row->flags &= (uint16_t)~ROW_HELD;
		if (!(row->flags & ROW_WANTED && row->flags & ROW_QUEUED)) /* otherwise it comes again, and takes the place anew */
			row_released(core, row);
		if (flight->on_link && core->slots[row->slot]->heads[LIST_VIA])
			slot_rejudge_later(core, row->slot, NSP_JUDGE_GATEWAYS);
	} else {
		row_state(core, flight->row, row, NSP_STATE_FAILED, flight->error, flight->text);
	}
	if (row->flags & ROW_WANTED) { /* refused, or put again meanwhile */
		row->flags &= (uint16_t)~ROW_REFUSED;
		if (flight->yields && gone)
			row_retry(core, flight->row, row, flight->request);
		else
			pay(core, flight->request, row, row->flags & ROW_QUEUED ? NSP_STATE_REMOVED : row->state);
		return;
	}
	pay(core, flight->request, row, gone ? NSP_STATE_REMOVED : NSP_STATE_FAILED);
	if (gone && !(row->flags & ROW_QUEUED))
		row_drop(core, flight->row, row);
}

static void land_put(struct nsp_core *core, const struct flight *flight, struct row *row)
{
	bool newest = row->flags & ROW_WANTED && !(row->flags & ROW_QUEUED);
	bool was_unreachable = row_is_unreachable(core, row, row->state);

	/* It was on the link and has got a gateway. */
	if (WISH_TYPE_IS_ROUTE(row->type) && row->list == LIST_DIRECT && !flight->on_link)
		slot_rejudge_later(core, row->slot, NSP_JUDGE_GATEWAYS);
	if (!flight->error) {
		row->flags |= ROW_HELD;
		row->flags &= (uint16_t)~ROW_REFUSED;
		if (core->looking == flight->netns && row->type >= core->looking_type)
			row->flags |= ROW_SEEN;
		if (newest)
			row_state(core, flight->row, row, NSP_STATE_CONFIGURED, 0, NULL);
		pay(core, flight->request, row, NSP_STATE_CONFIGURED);
		if ((flight->on_link || was_unreachable) && core->slots[row->slot]->open)
			slot_rejudge_later(core, row->slot, NSP_JUDGE_REFUSED);
		return;
	}
	if (row->flags & ROW_WANTED && row->flags & ROW_QUEUED && !(row->flags & ROW_OWED)) { /* judged again already */
		row_retry(core, flight->row, row, flight->request);
		return;
	}
	uint32_t state = is_unreachable(flight->error) ? NSP_STATE_PENDING : NSP_STATE_FAILED;
	if (newest) {
		row_state(core, flight->row, row, state, flight->error, flight->text);
		if (row->flags & ROW_HELD) { /* the kernel still has what it held before */
			row->flags |= ROW_REFUSED;
			row_queue(core, flight->row, row, false);
		} else {
			row_released(core, row);
		}
	}
	pay(core, flight->request, row, newest ? state : NSP_STATE_SUPERSEDED);
}

/* Writes one verdict down. true: the row met EEXIST, and it is to be found out who is there. */
static bool land(struct nsp_core *core, struct flight *flight)
{
	struct row *row = table_row(&core->table, flight->row);
	bool shaken = row->flags & ROW_SHAKEN;

	row->flags &= (uint16_t)~(ROW_INFLIGHT | ROW_SHAKEN);
	if (core->slots[row->slot]->generation != flight->generation) { /* the interface went meanwhile */
		bool wanted = row->flags & ROW_WANTED;
		if (!flight->deletes && !flight->error) /* where the link lives on, what was just put is not to stay */
			row_withdraw(core, row, flight->netns, flight->ifindex);
		pay(core, flight->request, row, wanted ? NSP_STATE_PENDING : NSP_STATE_REMOVED);
		if (!wanted && !(row->flags & ROW_QUEUED))
			row_drop(core, flight->row, row);
		return false;
	}
	if (flight->deletes) {
		land_deletion(core, flight, row);
		return false;
	}
	if (flight->error == EEXIST && !flight->replaces && row->flags & ROW_WANTED)
		return true;
	land_put(core, flight, row);
	if (shaken && (row->flags & (ROW_WANTED | ROW_HELD | ROW_REFUSED)) == (ROW_WANTED | ROW_HELD)) {
		row->flags = (uint16_t)((row->flags & ~ROW_HELD) | ROW_SHAKEN); /* perhaps it has gone again: as new it finds out */
		row_repair(core, flight->row, row, "somebody else deletes it");
	}
	return false;
}

/* The verdict was lost. Over our own it is tried again; of what was new it is to be found out whether it is there, and whose. */
static bool land_unknown(struct nsp_core *core, struct flight *flight)
{
	struct row *row = table_row(&core->table, flight->row);

	if (core->slots[row->slot]->generation != flight->generation)
		return land(core, flight);
	row->flags &= (uint16_t)~(ROW_INFLIGHT | ROW_SHAKEN);
	if (!flight->deletes && !flight->replaces)
		return true;
	row_retry(core, flight->row, row, flight->request);
	return false;
}

static void add_conflict(struct writer *writer, const struct flight *flight, bool lost)
{
	struct nsp_core *core = writer->core;
	struct row *row = table_row(&core->table, flight->row);
	struct conflict conflict = {
		.row = flight->row,
		.generation = flight->generation,
		.request = flight->request,
		.netns = flight->netns,
		.lost = lost,
		.key = { .type = row->type, .dst_len = row->dst_len, .metric = row->metric, .table = row->table },
		.ifindex = core->slots[row->slot]->ifindex,
		.via = row->flags & WISH_VIA,
	};
	memcpy(conflict.key.dst, row->dst, 16);
	row->flags |= ROW_INFLIGHT; /* still: nobody is to drop it */
	CORE_GROW(writer->conflicts, writer->conflict_count, writer->conflict_cap);
	writer->conflicts[writer->conflict_count++] = conflict;
}

static int by_netns(const void *left, const void *right)
{
	uint32_t a = ((const struct conflict *)left)->netns, b = ((const struct conflict *)right)->netns;

	return (a > b) - (a < b);
}

/* Whatever comes of it is queued again. */
static void resolve_conflicts(struct writer *writer)
{
	struct nsp_core *core = writer->core;
	struct conflict *conflicts = writer->conflicts;
	uint32_t count = writer->conflict_count;
	uint64_t began = core_clock();

	writer->conflict_count = 0;
	writer->conflicts_due = false;
	qsort(conflicts, count, sizeof(*conflicts), by_netns);
	for (uint32_t first = 0, next; first < count; first = next) {
		struct nsp_error err = { 0 };
		uint32_t netns = conflicts[first].netns;
		for (next = first; next < count && conflicts[next].netns == netns; next++)
			;
		core_unlock(core);
		struct nsp_socket *sock = open_socket(core, netns, &err);
		core_lock(core);
		conflict_resolve(core, sock, netns, conflicts + first, next - first, &err);
	}
	if (writer->conflict_cap > BATCH_ROWS) {
		free(conflicts);
		writer->conflicts = NULL;
		writer->conflict_cap = 0;
	}
	writer->resolved_at = core_clock();
	writer->resolving_took = writer->resolved_at - began;
}

/* A whole table may be read for them: at once where nothing else is to be done or none was read for long, else for thousands together. */
#define CONFLICTS_AT_ONCE 16384
#define CONFLICT_PAUSES 4 /* as long as it took */

static bool conflicts_wait(const struct writer *writer)
{
	const struct nsp_core *core = writer->core;
	bool busy = core->express.count || (core->queue.count && !core->held);

	return busy && !writer->conflicts_due && writer->conflict_count < CONFLICTS_AT_ONCE &&
	       core_clock() - writer->resolved_at < CONFLICT_PAUSES * writer->resolving_took;
}

static void give_way(void *writer);

static void run_op(struct writer *writer, struct nsp_op *op)
{
	struct nsp_core *core = writer->core;

	((struct op *)op)->begun = true;
	if (((struct op *)op)->reads_back) {
		readback_run(core, (struct op *)op, open_socket, give_way, writer);
	} else {
		core_unlock(core);
		op_run(core, op, open_socket);
		core_lock(core);
	}
	if (((struct op *)op)->astray.count)
		astray_restore(core, ((struct op *)op)->stages[0].netns, &((struct op *)op)->astray);
	replaced_ended(core, (struct op *)op);
	op_release(core, op);
	core->batches++;
	core->written += op->count;
	if (((struct op *)op)->unasked)
		nsp_op_free(op);
	else
		done_push(core, (struct nsp_done){ .op = op });
}

static void run_withdrawals(struct writer *writer)
{
	struct nsp_core *core = writer->core;

	while (core->withdrawals.count)
		run_op(writer, (struct nsp_op *)(uintptr_t)queue_pop(&core->withdrawals));
}

static void again_failed(void *arg, uint32_t index, int error, const char *text)
{
	const struct writer *writer = arg;

	flight_failed(arg, writer->again[index], error, text);
}

/* An IPv6 route goes by its gateway, and its row may have been given another since it was written. Where none with that is there, it
 * goes whatever gateway it has. */
static int delete_any_gateway(struct writer *writer, struct nsp_socket *sock, uint32_t count, struct nsp_error *err)
{
	struct nsp_core *core = writer->core;
	struct nsp_batch batch;

	nsp_batch_init(&batch, writer->buf, sizeof(writer->buf));
	for (uint32_t i = 0; i < count; i++) {
		struct flight *flight = &writer->flights[i];
		const struct row *row = table_row(&core->table, flight->row);
		if (!flight->deletes || flight->error != ESRCH || row->type != WISH_ROUTE6 || flight->on_link)
			continue;
		writer->again[batch.count] = i;
		if (row_encode(core, &batch, row, flight->ifindex, true, ROW_ANY_GATEWAY) < 0)
			continue;
		free(flight->text);
		flight->text = NULL;
		flight->error = 0;
	}
	if (!batch.count)
		return 0;
	core_unlock(core);
	int rc = nsp_batch_send(sock, &batch, again_failed, flight_answered, writer, err);
	core_lock(core);
	return rc;
}

/* One batch: the picked rows of one namespace, from the queue to their verdicts. Called and returns with the lock held. */
static void write_batch(struct writer *writer, uint32_t netns, uint32_t picked)
{
	struct nsp_core *core = writer->core;
	struct nsp_error err = { 0 };
	struct nsp_batch batch;

	run_withdrawals(writer);
	nsp_batch_init(&batch, writer->buf, sizeof(writer->buf));
	for (uint32_t i = 0; i < picked; i++) {
		uint32_t id = writer->picked[i];
		if (writer->picked_netns[i] != netns || !table_has(&core->table, id))
			continue;
		struct row *row = table_row(&core->table, id);
		if (!(row->flags & ROW_QUEUED))
			continue;
		if (row->flags & ROW_INFLIGHT) { /* what it met is still to be looked at */
			row->flags &= (uint16_t)~ROW_QUEUED;
			row_queue(core, id, row, true);
			writer->conflicts_due = true;
			continue;
		}
		if (core->slots[row->slot]->ready && core->slots[row->slot]->netns != netns) { /* it moved since it was picked */
			row->flags &= (uint16_t)~ROW_QUEUED;
			row_queue(core, id, row, false);
			continue;
		}
		struct flight *flight = &writer->flights[batch.count];
		if (!take_off(core, id, flight))
			continue;
		int index = row_encode(core, &batch, row, flight->ifindex, flight->deletes,
				       flight->deletes	? 0 :
				       flight->replaces ? NSP_PUT_REPLACE :
							  NSP_PUT_NEW);
		if (index < 0) { /* it never flies */
			flight->error = -index;
			land(core, flight);
		}
	}
	if (!batch.count)
		return;
	core_unlock(core);
	struct nsp_socket *sock = open_socket(core, netns, &err);
	int rc = sock ? nsp_batch_send(sock, &batch, flight_failed, flight_answered, writer, &err) : -err.code;
	core_lock(core);
	if (rc >= 0)
		rc = delete_any_gateway(writer, sock, batch.count, &err);
	if (writer->astray.count)
		astray_restore(core, netns, &writer->astray);

	core->batches++;
	core->written += batch.count;
	for (uint32_t i = 0; i < batch.count; i++) {
		struct flight *flight = &writer->flights[i];
		bool unknown = rc < 0 && !flight->error, lost = unknown && sock && rc == -ENOBUFS;
		if (unknown &&
		    !lost) { /* the socket has failed: what was carried out all the same is found when it is tried again */
			flight->error = -rc;
			flight->text = core_copy(err.text);
		}
		if (lost ? land_unknown(core, flight) : land(core, flight))
			add_conflict(writer, flight, lost);
		free(flight->text);
	}
	if (rc < 0 && rc != -ENOBUFS && sock)
		disconnect(core, core->netns[netns]);
}

static void write_rows(struct writer *writer, uint32_t picked)
{
	struct nsp_core *core = writer->core;

	for (uint32_t i = 0; i < picked; i++)
		writer->picked_netns[i] = table_has(&core->table, writer->picked[i]) ?
						  core->slots[table_row(&core->table, writer->picked[i])->slot]->netns :
						  NIL;
	for (uint32_t i = 0; i < picked; i++) {
		uint32_t netns = writer->picked_netns[i];
		if (!netns)
			continue;
		write_batch(writer, netns, picked);
		for (uint32_t k = i; k < picked; k++)
			if (writer->picked_netns[k] == netns)
				writer->picked_netns[k] = NIL;
	}
}

/* Takes what is in front: an operation, or up to a batch of rows. */
static void serve(struct writer *writer, struct queue *queue)
{
	uint32_t picked = 0;

	while (queue->count && picked < BATCH_ROWS) {
		uint64_t entry = queue->entries[queue->head];
		if (!(entry & 1) && picked)
			break;
		if (!(entry & 1) && writer->conflict_count) { /* it is to find them settled */
			writer->conflicts_due = true;
			return;
		}
		queue_pop(queue);
		if (entry & 1) {
			writer->picked[picked++] = (uint32_t)(entry >> 2);
		} else if (entry & 2) {
			run_withdrawals(writer); /* they may be of this namespace */
			close_netns(writer->core, (uint32_t)(entry >> 2));
			return;
		} else {
			run_op(writer, (struct nsp_op *)(uintptr_t)entry);
			return;
		}
	}
	if (picked)
		write_rows(writer, picked);
}

static void wait_for_work(struct nsp_core *core)
{
	core_unlock(core); /* which tells of what was completed */
	core_lock(core);
	core->idle = !core_has_work(core);
	while (core->idle)
		pthread_cond_wait(&core->work, &core->lock);
	core_locked(core);
}

/* One turn. false: there was nothing to do. */
static bool work(struct writer *writer)
{
	struct nsp_core *core = writer->core;

	if (core->rejudge_count && (!core->queue.count || core_now() > core->rejudged + REJUDGE_MS))
		run_rejudges(core);
	if (writer->conflict_count && !conflicts_wait(writer)) {
		resolve_conflicts(writer);
		return true;
	}
	if (core->withdrawals.count) {
		run_withdrawals(writer);
		return true;
	}
	if ((!core->queue.count || core->held) && !core->express.count)
		return false;
	serve(writer, &core->express); /* a small request waits for one batch, not for the queue */
	if (!core->held)
		serve(writer, &core->queue);
	return true;
}

#define TURNS_AWAY 8

/* Between two pieces of a look: it is not to last for ever, though there is always something else. */
static void give_way(void *arg)
{
	struct writer *writer = arg;

	for (int turn = 0; turn < TURNS_AWAY && !writer->core->stop && work(writer); turn++)
		;
}

void *writer_run(void *arg)
{
	struct nsp_core *core = arg;
	cleanup_free struct writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		abort();
	writer->core = core;
	core_lock(core);
	while (!core->stop)
		if (!work(writer))
			wait_for_work(core);
	core_unlock(core);
	free(writer->conflicts);
	return NULL;
}
