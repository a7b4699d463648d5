/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: a thread that takes rows and operations from the queues, sends them to the kernel and writes the verdicts down. */
#include "core/writer.h"

#include "core/clock.h"
#include "core/completed.h"
#include "core/conflict.h"
#include "core/figures.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/misdeleted.h"
#include "core/netns.h"
#include "core/nexthops.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/readback.h"
#include "core/replaced.h"
#include "core/row.h"
#include "core/run_op.h"
#include "core/slot.h"
#include "core/verdict.h"

#define BATCH_ROWS 256
#define ECHO_DROPPED_FROM 64 /* rows at once: it costs as much as it saves with these */
#define BATCH_BYTES (BATCH_ROWS * 256)
#define RECHECK_MS 1000 /* while the queue does not run empty */

struct writer {
	struct nsp_core *core;
	uint32_t picked[BATCH_ROWS];
	uint32_t picked_netns[BATCH_ROWS];
	struct sent sent[BATCH_ROWS];
	struct messages misdeleted;
	uint32_t again[BATCH_ROWS]; /* of `sent`: once more */
	struct conflict *conflicts; /* that are still to be resolved: their rows are in sent until then */
	uint32_t conflict_count, conflict_cap;
	bool conflicts_due;   /* one of their rows is wanted */
	uint64_t resolved_at; /* ns: when that was done last */
	uint64_t resolving_took;
	uint8_t buf[BATCH_BYTES];
};

/* false: there is nothing to be sent of it. */
static bool take_off(struct nsp_core *core, uint32_t id, struct sent *sent)
{
	struct row *row = table_row(&core->table, id);
	const struct slot *slot = core->slots[row->slot];
	const struct extra *extra = table_extra(&core->table, row);
	enum row_due due = row_due(row, slot->ready, extra && extra->replaced);

	if (slot->leaving) /* its rows are being told, and that one was queued is for them to know */
		return false;
	row->flags &= (uint16_t)~ROW_QUEUED;
	if (due == DUE_DROP)
		row_drop(core, id, row);
	if (due == DUE_DROP || due == DUE_NOTHING)
		return false;
	if ((due == DUE_ADD || due == DUE_REPLACE) && row_lacks_link(core, row)) {
		row_state(core, id, row, NSP_STATE_PENDING, 0, NULL);
		row_give_verdict(core, row, NSP_STATE_PENDING);
		return false;
	}
	*sent = (struct sent){
		.row = id,
		.generation = slot->generation,
		.request = row->flags & ROW_VERDICT_DUE ? row->request : 0,
		.netns = slot->netns,
		.ifindex = slot->ifindex,
		.table = slot->table,
		.due = due,
		.on_link = row_is_on_link(row),
	};
	row->flags &= (uint16_t)~(ROW_VERDICT_DUE | ROW_UNDONE);
	row->flags |= ROW_SENT;
	return true;
}

static void sent_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct sent *sent = &((struct writer *)arg)->sent[index];

	sent->error = error;
	sent->text = *text ? text_copy(text) : NULL;
}

static void sent_answered(void *arg, uint32_t index, const void *msg)
{
	(void)index;
	misdeleted_note(&((struct writer *)arg)->misdeleted, msg);
}

static void run_rechecks(struct nsp_core *core)
{
	while (core->recheck_count) { /* more may come on the way */
		uint32_t number = core->recheck[--core->recheck_count];
		struct slot *slot = core->slots[number];
		uint32_t which = slot ? slot->recheck : 0;
		if (!which)
			continue;
		slot->recheck = 0;
		slot_recheck(core, number, which);
	}
	core->rechecked = clock_ms();
}

static void add_conflict(struct writer *writer, const struct sent *sent, bool lost)
{
	struct nsp_core *core = writer->core;
	struct row *row = table_row(&core->table, sent->row);
	struct conflict conflict = {
		.row = sent->row,
		.generation = sent->generation,
		.request = sent->request,
		.netns = sent->netns,
		.lost = lost,
		.kind = row->kind,
		.flags = row->flags & ITEM_FLAGS & (sent->nexthop ? ~ITEM_GATEWAY : ITEM_FLAGS),
		.ifindex = core->slots[row->slot]->ifindex,
		.table = sent->table,
	};
	uint8_t body[KIND_BODY_MAX];
	memcpy(conflict.key, row_kernel_body(row, sent->table, body), kind_key_size(kinds[row->kind], row->body));
	row->flags |= ROW_SENT; /* still: nobody is to drop it */
	ARRAY_GROW(writer->conflicts, writer->conflict_count, writer->conflict_cap);
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
	uint64_t began = clock_ns();

	writer->conflict_count = 0;
	writer->conflicts_due = false;
	qsort(conflicts, count, sizeof(*conflicts), by_netns);
	for (uint32_t first = 0, next; first < count; first = next) {
		struct nsp_error err = { 0 };
		uint32_t netns = conflicts[first].netns;
		for (next = first; next < count && conflicts[next].netns == netns; next++)
			;
		core_unlock(core);
		struct nsp_socket *sock = netns_socket(core, netns, &err);
		core_lock(core);
		conflict_resolve(core, sock, conflicts + first, next - first, &err);
	}
	if (writer->conflict_cap > BATCH_ROWS) {
		free(conflicts);
		writer->conflicts = NULL;
		writer->conflict_cap = 0;
	}
	writer->resolved_at = clock_ns();
	writer->resolving_took = writer->resolved_at - began;
}

/* A whole table may be read for them: at once where nothing else is to be done or none was read for long, else for thousands together. */
#define CONFLICTS_AT_ONCE 16384
#define CONFLICT_PAUSES 4 /* as long as it took */

static bool conflicts_wait(const struct writer *writer)
{
	const struct nsp_core *core = writer->core;
	bool busy = core->express.count || (core->queue.count && !core->paused);

	return busy && !writer->conflicts_due && writer->conflict_count < CONFLICTS_AT_ONCE &&
	       clock_ns() - writer->resolved_at < CONFLICT_PAUSES * writer->resolving_took;
}

static void give_way(void *writer);

static void run_op(struct writer *writer, struct nsp_op *op)
{
	struct nsp_core *core = writer->core;

	((struct op *)op)->begun = true;
	if (((struct op *)op)->reads_back) {
		readback_run(core, (struct op *)op, give_way, writer);
	} else {
		core_unlock(core);
		op_run(core, op);
		core_lock(core);
	}
	if (((struct op *)op)->misdeleted.count)
		misdeleted_restore(core, ((struct op *)op)->stages[0].netns, &((struct op *)op)->misdeleted);
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

	sent_failed(arg, writer->again[index], error, text);
}

/* What goes by its gateway may have been given another since it was written. Where none with that is there, it
 * goes whatever gateway it has. */
static int delete_any_gateway(struct writer *writer, struct nsp_socket *sock, uint32_t count, struct nsp_error *err)
{
	struct nsp_core *core = writer->core;
	struct nsp_batch batch;

	nsp_batch_init(&batch, writer->buf, sizeof(writer->buf));
	for (uint32_t i = 0; i < count; i++) {
		struct sent *sent = &writer->sent[i];
		const struct row *row = table_row(&core->table, sent->row);
		if (!sent_is_deleted(sent) || sent->error != ESRCH || !kinds[row->kind]->by_gateway || sent->on_link)
			continue;
		writer->again[batch.count] = i;
		if (row_encode(core, &batch, row, sent->ifindex, sent->table, ENCODE_DELETE_ANY, 0) < 0)
			continue;
		free(sent->text);
		sent->text = NULL;
		sent->error = 0;
	}
	if (!batch.count)
		return 0;
	core_unlock(core);
	int rc = nsp_batch_send(sock, &batch, again_failed, sent_answered, writer, err);
	core_lock(core);
	return rc;
}

/* In front of the routes that go by them. */
static void make_nexthops(struct writer *writer, uint32_t netns, uint32_t picked)
{
	uint32_t rows[BATCH_ROWS];
	uint32_t count = 0;

	for (uint32_t i = 0; i < picked && writer->core->nexthops.on; i++)
		if (writer->picked_netns[i] == netns)
			rows[count++] = writer->picked[i];
	if (count)
		nexthops_make(writer->core, netns, rows, count);
}

/* One batch: the picked rows of one namespace, or as many as there is room for, from the queue to their verdicts. Called and returns with
 * the lock held. */
static void write_batch(struct writer *writer, uint32_t netns, uint32_t picked)
{
	struct nsp_core *core = writer->core;
	struct nsp_error err = { 0 };
	struct nsp_batch batch;

	run_withdrawals(writer);
	make_nexthops(writer, netns, picked);
	if (picked >= ECHO_DROPPED_FROM)
		netns_drop_echo(core, core->netns[netns]);
	nsp_batch_init(&batch, writer->buf, sizeof(writer->buf));
	for (uint32_t i = 0; i < picked && batch.cap - batch.len >= KIND_MESSAGE_MAX; i++) {
		uint32_t id = writer->picked[i];
		if (writer->picked_netns[i] != netns)
			continue;
		writer->picked_netns[i] = NIL;
		if (!table_has(&core->table, id))
			continue;
		struct row *row = table_row(&core->table, id);
		if (!(row->flags & ROW_QUEUED))
			continue;
		if (row->flags & ROW_SENT) { /* what it met is still to be looked at */
			row->flags &= (uint16_t)~ROW_QUEUED;
			queue_row(core, id, row, true);
			writer->conflicts_due = true;
			continue;
		}
		if (core->slots[row->slot]->ready && core->slots[row->slot]->netns != netns) { /* it moved since it was picked */
			row->flags &= (uint16_t)~ROW_QUEUED;
			queue_row(core, id, row, false);
			continue;
		}
		struct sent *sent = &writer->sent[batch.count];
		if (!take_off(core, id, sent))
			continue;
		sent->nexthop = sent_is_deleted(sent) ? 0 : nexthop_of(core, row);
		row->by_object |= sent->nexthop != 0;
		int index = row_encode(core, &batch, row, sent->ifindex, sent->table,
				       sent_is_deleted(sent)	? ENCODE_DELETE :
				       sent->due == DUE_REPLACE ? ENCODE_REPLACE :
								  ENCODE_NEW,
				       sent->nexthop);
		if (index < 0) { /* it is never sent */
			sent->error = -index;
			verdict_take(core, sent);
		}
	}
	if (!batch.count)
		return;
	core_unlock(core);
	struct nsp_socket *sock = netns_socket(core, netns, &err);
	uint64_t began = clock_ns();
	int rc = sock ? nsp_batch_send(sock, &batch, sent_failed, sent_answered, writer, &err) : -err.code;
	uint64_t ended = clock_ns();
	core_lock(core);
	histogram_add(&core->batch_times, ended - began);
	if (rc >= 0)
		rc = delete_any_gateway(writer, sock, batch.count, &err);
	if (writer->misdeleted.count)
		misdeleted_restore(core, netns, &writer->misdeleted);

	core->batches++;
	core->written += batch.count;
	for (uint32_t i = 0; i < batch.count; i++) {
		struct sent *sent = &writer->sent[i];
		bool unknown = rc < 0 && !sent->error, lost = unknown && sock && rc == -ENOBUFS;
		if (unknown &&
		    !lost) { /* the socket has failed: what was carried out all the same is found when it is tried again */
			sent->error = -rc;
			sent->text = text_copy(err.text);
		}
		if (lost ? verdict_lose(core, sent) : verdict_take(core, sent))
			add_conflict(writer, sent, lost);
		free(sent->text);
	}
	if (rc < 0 && rc != -ENOBUFS && sock)
		netns_disconnect(core, core->netns[netns]);
}

static void write_rows(struct writer *writer, uint32_t picked)
{
	struct nsp_core *core = writer->core;

	for (uint32_t i = 0; i < picked; i++)
		writer->picked_netns[i] = table_has(&core->table, writer->picked[i]) ?
						  core->slots[table_row(&core->table, writer->picked[i])->slot]->netns :
						  NIL;
	for (uint32_t i = 0; i < picked; i++)
		if (writer->picked_netns[i])
			write_batch(writer, writer->picked_netns[i], picked);
}

static void close_netns(struct nsp_core *core, uint32_t number)
{
	if (!core->netns[number]->refs)
		nexthops_leave(core, number);
	netns_close(core, number);
}

/* Takes what is in front: an operation, or up to a batch of rows. */
static void serve(struct writer *writer, struct queue *queue)
{
	uint32_t picked = 0;

	queue_spread(queue);
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

	if (core->recheck_count && (!core->queue.count || clock_ms() > core->rechecked + RECHECK_MS))
		run_rechecks(core);
	if (writer->conflict_count && !conflicts_wait(writer)) {
		resolve_conflicts(writer);
		return true;
	}
	if (core->withdrawals.count) {
		run_withdrawals(writer);
		return true;
	}
	if ((!core->queue.count || core->paused) && !core->express.count)
		return false;
	serve(writer, &core->express); /* a small request waits for one batch, not for the queue */
	if (!core->paused)
		serve(writer, &core->queue);
	return true;
}

/* Who looks for what rows have come to looks again. */
static void tell_awaiting(struct nsp_core *core)
{
	if (!core->awaited)
		return;
	core->awaited = false;
	core_signal(core);
}

#define TURNS_AWAY 8

/* Between two pieces of a look: it is not to last for ever, though there is always something else. */
static void give_way(void *arg)
{
	struct writer *writer = arg;

	for (int turn = 0; turn < TURNS_AWAY && !writer->core->stop && work(writer); turn++)
		tell_awaiting(writer->core);
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
		if (work(writer))
			tell_awaiting(core);
		else
			wait_for_work(core);
	while (core->queue.count) { /* what nobody wants anything of any more is left as it was found */
		uint64_t entry = queue_pop(&core->queue);
		if ((entry & 3) == 2)
			close_netns(core, (uint32_t)(entry >> 2));
		else if (!(entry & 3))
			nsp_op_free((struct nsp_op *)(uintptr_t)entry);
	}
	core_unlock(core);
	free(writer->conflicts);
	return NULL;
}
