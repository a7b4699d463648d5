/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back: what the kernel has of ours in a namespace is compared with the rows that stand there.
 *
 *      object of a wanted row, as it is to be     held; where the row was queued it is settled
 *      object of a wanted row, otherwise          altered: written over
 *      held row without its object                missing: written anew
 *      object of no row, on a link to be swept    stale: deleted
 *
 * The kernel is read without the lock and each object compared under it. Meanwhile rows are put and slots lost, but nothing is written:
 * that would be done by this very thread. What a slot of another generation has is not looked at.
 *
 * An inspection (nsp_op_inspect) writes in between what is to be written. So it compares nothing but rows that are held and not queued, and what
 * was written since it began counts as seen (writer.c): what the kernel has told may be older. It has a socket of its own.
 */
#include "core/readback.h"

#include <stdio.h>

#include "core/changes.h"
#include "core/clock.h"
#include "core/connected.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/misdeleted.h"
#include "core/netns.h"
#include "core/nexthops.h"
#include "core/queue.h"
#include "core/row.h"
#include "core/slots.h"

/* An object that may be left over. */
struct stale {
	struct decoded decoded;
	int32_t ifindex;
	bool by_object;
};

struct readback {
	struct nsp_core *core;
	struct op *op;
	uint32_t netns;
	uint32_t generation;	 /* the last that a slot had when the reading began: those with a later one are not looked at */
	struct stale *unclaimed; /* of no row, on links to be swept */
	uint32_t unclaimed_count, unclaimed_cap;
	struct mp_out sets; /* of next hops, the longer ones of these */
	uint8_t kind;	    /* of what is being read */
	bool inspects;	    /* it gives way */
	give_way_fn give_way;
	void *writer;
	uint64_t away; /* ns that it gave way for */
};

static int sweep_by_link(const void *left, const void *right)
{
	int32_t a = ((const struct sweep *)left)->ifindex, b = ((const struct sweep *)right)->ifindex;

	return (a > b) - (a < b);
}

/* Is the slot ready where it was when the reading began? */
static bool stands(const struct readback *back, uint32_t number)
{
	const struct slot *slot = back->core->slots[number];

	return slot->ready && slot->generation <= back->generation;
}

static const struct sweep *find_sweep(const struct readback *back, int32_t ifindex)
{
	uint32_t low = 0, high = back->op->sweep_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (back->op->sweeps[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low < back->op->sweep_count && back->op->sweeps[low].ifindex == ifindex ? &back->op->sweeps[low] : NULL;
}

/* The row of a slot that an object is of: the one that holds it or else one that wants it. */
static void claim(const struct readback *back, uint32_t slot, const struct object *object, uint32_t *holding, uint32_t *wanting)
{
	const struct table *table = &back->core->table;
	const struct decoded *decoded = &object->decoded;

	if (!stands(back, slot))
		return;
	*holding = slot_row_of(back->core, slot, decoded->kind, decoded->body, ROW_HELD);
	if (*holding || *wanting || object->ifindex != back->core->slots[slot]->ifindex)
		return;
	uint32_t id = slot_row_of(back->core, slot, decoded->kind, decoded->body, ROW_WANTED);
	if (id && !(table_row(table, id)->flags & (ROW_BLOCKED | ROW_DEAD)))
		*wanting = id;
}

static uint32_t find_row(const struct readback *back, const struct object *object)
{
	const struct nsp_core *core = back->core;
	uint32_t holding = NIL, wanting = NIL;

	for (uint32_t s = slot_on_link(core, back->netns, object->ifindex); s && !holding; s = slot_next_on_link(core, s))
		claim(back, s, object, &holding, &wanting);
	if (!object->ifindex && !holding && !wanting) /* one of ours, of which somebody else made a route on no link */
		for (uint32_t s = core->netns[back->netns]->first_slot; s && !holding; s = core->slots[s]->next)
			claim(back, s, object, &holding, &wanting);
	return holding ? holding : wanting;
}

/* What it had taken the place of is to be put back: it has to be written, whatever the kernel has. */
static bool gives_back(const struct nsp_core *core, const struct row *row)
{
	return row->extra && core->table.extras[row->extra].replaced && !(row->flags & ITEM_OVERRIDE);
}

/* Nobody was heard, and it was written a moment ago: the kernel makes something else of it. true: that has been said. Otherwise it is to be
 * repaired, and that it differed is noted. */
static bool is_made_otherwise(const struct readback *back, uint32_t id, struct row *row, const struct object *object)
{
	struct nsp_core *core = back->core;
	struct extra *extra = table_extra_make(&core->table, row);
	bool said = row->state == NSP_STATE_FAILED && row->error == EOPNOTSUPP;
	char text[128] = "the kernel took it, and has it not";

	if (!extra->differed || !(back->op->confirms || said)) {
		extra->differed = true;
		return false;
	}
	if (!said) {
		if (object)
			kinds[row->kind]->describe_made(kinds[row->kind], object, text, sizeof(text));
		row_state(core, id, row, NSP_STATE_FAILED, EOPNOTSUPP, text);
	}
	return true;
}

static void take_row(struct readback *back, uint32_t id, const struct object *object)
{
	struct nsp_core *core = back->core;
	struct row *row = table_row(&core->table, id);
	bool was_held = row->flags & ROW_HELD;

	if (back->inspects && (row->flags & (ROW_HELD | ROW_QUEUED | ROW_SEEN)) != ROW_HELD)
		return;
	row->flags = (uint16_t)((row->flags & ~ROW_UNDONE) | ROW_SEEN | ROW_HELD);
	row->by_object |= object->nexthop != 0;
	if (!(row->flags & ROW_WANTED) || row->flags & ROW_REFUSED || gives_back(core, row)) /* its deletion is queued */
		return;
	struct item item;
	uint8_t hops[HOPS_BYTES];
	if (!row_item_resolved(core, row, &item, hops)) /* it waits for a link */
		return;
	if (object_is(object, &item)) {
		row->flags &= (uint16_t)~ROW_QUEUED;
		if (row->extra)
			core->table.extras[row->extra].differed = false;
		row_state(core, id, row, NSP_STATE_CONFIGURED, 0, NULL);
		row_give_verdict(core, row, NSP_STATE_CONFIGURED);
	} else if (!row_is_contested(row) &&
		   (!was_held || !(row->flags & ROW_QUEUED)) && /* otherwise what is queued makes the difference */
		   !(was_held && is_made_otherwise(back, id, row, object))) {
		back->op->head.altered++;
		entry_put_drift(core, row, "altered");
		if (was_held)
			row_repair(core, id, row, "somebody else changes it");
		else
			queue_row(core, id, row, false);
	}
}

/* Of an object that may be anybody's, and that the row does not hold, it is found out when the row is written whether it is in the way. */
static bool is_taken(const struct nsp_core *core, uint32_t id, const struct object *object)
{
	const struct row *row = table_row(&core->table, id);
	struct item item = row_item(&core->table, row);

	return object->protocol == NSP_PROTOCOL || row->flags & ROW_HELD ||
	       ((!object->foreign || row->flags & ITEM_OVERRIDE) && object_is(object, &item));
}

static void put_unclaimed(struct readback *back, const struct object *object)
{
	ARRAY_GROW(back->unclaimed, back->unclaimed_count, back->unclaimed_cap);
	struct stale *stale = &back->unclaimed[back->unclaimed_count++];
	*stale = (struct stale){ object->decoded, object->ifindex, object->by_object };
	if (stale->decoded.hops_len > HOPS_SHORT) {
		uint32_t offset = (uint32_t)back->sets.len;
		memcpy(stale->decoded.hops, &offset, sizeof(offset));
		mp_put_raw(&back->sets, object->hops, stale->decoded.hops_len);
	}
}

static void take(struct readback *back, struct object *object)
{
	nexthop_resolve(back->core, back->netns, object);
	uint32_t id = find_row(back, object);

	if (kind_may_be_hit(object->decoded.kind, object->decoded.body))
		netns_note_inexact(back->core->netns[back->netns]);
	if (id) {
		nexthop_seen(back->core, back->netns, object->nexthop);
		if (is_taken(back->core, id, object))
			take_row(back, id, object);
	} else if (object->protocol == NSP_PROTOCOL && (object->plain || object->several) && find_sweep(back, object->ifindex)) {
		put_unclaimed(back, object);
	}
}

typedef void (*row_fn)(struct readback *back, uint32_t id, struct row *row);

#define MANY_ROWS 4096
#define ROWS_AT_ONCE 1024

static void each_row(struct readback *back, row_fn fn)
{
	/* Routes on the link first: those with a gateway want to find it reachable. */
	static const enum row_list order[] = { LIST_DIRECT, LIST_OPEN, LIST_VIA };

	for (uint32_t s = back->core->netns[back->netns]->first_slot; s; s = back->core->slots[s]->next)
		for (int list = 0; list < LISTS && stands(back, s); list++)
			for (uint32_t id = back->core->slots[s]->heads[order[list]]; id;) {
				struct row *row = table_row(&back->core->table, id);
				uint32_t next = row->next;
				if (row->kind == back->kind)
					fn(back, id, row);
				id = next;
			}
}

/* The same with many rows: in the order in which they lie, and with the lock for a part of a chunk at a time. */
static void each_chunk(struct readback *back, row_fn fn)
{
	struct nsp_core *core = back->core;

	for (int via = 0; via < 2; via++)
		for (uint32_t number = 0; number < core->table.chunk_count; number++)
			for (uint32_t at = number == 0; core->table.chunks[number].kind == back->kind &&
							core->table.chunks[number].rows && at < core->table.chunks[number].used;
			     at++) {
				struct row *row = chunk_row(&core->table.chunks[number], at);
				const struct slot *slot = row->kind == back->kind ? core->slots[row->slot] : NULL;
				if (slot && slot->ready && slot->netns == back->netns && (row->list == LIST_VIA) == via)
					fn(back, number << CHUNK_BITS | at, row);
				if (at % ROWS_AT_ONCE == ROWS_AT_ONCE - 1)
					core_yield(core);
			}
}

static bool has_many_rows(const struct readback *back)
{
	uint64_t rows = 0;

	for (uint32_t s = back->core->netns[back->netns]->first_slot; s; s = back->core->slots[s]->next)
		rows += stands(back, s) ? back->core->slots[s]->rows : 0;
	return rows > MANY_ROWS;
}

static void all_rows(struct readback *back, row_fn fn)
{
	if (has_many_rows(back))
		each_chunk(back, fn);
	else
		each_row(back, fn);
}

static void forget_row(struct readback *back, uint32_t id, struct row *row)
{
	(void)back;
	(void)id;
	row->flags &= (uint16_t)~ROW_SEEN;
}

/* The table changed under the dump: it begins anew. */
static void forget(struct readback *back)
{
	all_rows(back, forget_row);
	while (back->unclaimed_count && back->unclaimed[back->unclaimed_count - 1].decoded.kind == back->kind)
		back->unclaimed_count--;
}

static void object_seen(void *arg, uint32_t index, const void *msg)
{
	struct readback *back = arg;
	struct object object;

	(void)index;
	if (msg && (!object_read(msg, &object) || object.gone || object.decoded.kind != back->kind ||
		    !(object.protocol == NSP_PROTOCOL || kinds[back->kind]->unmarked)))
		return;
	core_lock(back->core);
	if (msg)
		take(back, &object);
	else
		forget(back);
	core_unlock(back->core);
}

/* The whole table has been read: what was not seen is not there. */
static void repair_row(struct readback *back, uint32_t id, struct row *row)
{
	struct nsp_core *core = back->core;
	bool missing = (row->flags & (ROW_HELD | ROW_SEEN)) == ROW_HELD;

	row->flags &= (uint16_t)~ROW_SEEN;
	if (!missing)
		return;
	if (!(row->flags & ROW_WANTED) || row->flags & ROW_REFUSED) {
		row_gone(core, id, row);
		return;
	}
	row->flags &= (uint16_t)~ROW_HELD;
	if (row_is_contested(row) || (kinds[row->kind]->kept_otherwise && is_made_otherwise(back, id, row, NULL)))
		return;
	back->op->head.missing++;
	entry_put_drift(core, row, "missing");
	row_repair(core, id, row, "somebody else deletes it");
}

static bool between(void *arg)
{
	struct readback *back = arg;
	struct nsp_core *core = back->core;
	uint64_t begun = clock_ns();

	core_lock(core);
	back->give_way(back->writer);
	bool goes_on = !core->inspection_ended && !core->stop;
	core_unlock(core);
	back->away += clock_ns() - begun;
	return goes_on;
}

/* One table of one family. */
static int read_table(struct readback *back, struct nsp_socket *sock, uint8_t number, struct nsp_error *err)
{
	const struct kind *kind = kinds[number];

	back->kind = number;
	if (back->inspects)
		back->core->inspected_kind = number;
	int rc = nsp_dump_paced(sock, kind->dump, kind->family, kind->dump_protocol, object_seen, back,
				back->inspects ? between : NULL, err);
	core_lock(back->core);
	if (rc < 0)
		forget(back);
	else
		all_rows(back, repair_row);
	core_unlock(back->core);
	return rc;
}

/* ---- stale objects ---- */

static bool wants(const struct nsp_core *core, uint32_t slot, const struct stale *object)
{
	uint32_t id = slot_row_of(core, slot, object->decoded.kind, object->decoded.body, ROW_WANTED);

	return id && !(table_row(&core->table, id)->flags & ROW_DEAD);
}

/* Looked at again when all has been read: rows have been put meanwhile, and of slots that are not ready nothing was claimed. */
static bool is_stale(const struct readback *back, const struct stale *object)
{
	const struct nsp_core *core = back->core;
	const struct sweep *end = back->op->sweeps + back->op->sweep_count;

	for (const struct sweep *sweep = find_sweep(back, object->ifindex); sweep < end && sweep->ifindex == object->ifindex;
	     sweep++) {
		uint32_t slot = slot_lookup(core, sweep->key);
		if (slot && wants(core, slot, object))
			return false;
	}
	for (uint32_t s = slot_on_link(core, back->netns, object->ifindex); s; s = slot_next_on_link(core, s))
		if (wants(core, s, object))
			return false;
	return true;
}

#define DELETED_AT_ONCE 256

struct deletion {
	struct nsp_op *op;
	const struct stale *objects[DELETED_AT_ONCE];
	uint8_t buf[DELETED_AT_ONCE * 128];
};

static void deletion_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct deletion *deletion = arg;
	struct nsp_op *op = deletion->op;
	const struct decoded *decoded = &deletion->objects[index]->decoded;

	/* Of several next hops some are of others, who have appended them: ours have gone. */
	if (error == ESRCH && kinds[decoded->kind]->by_gateway && decoded->hops_len > 1 + hop_size(kinds[decoded->kind]->family))
		return;
	deletion->objects[index] = NULL;
	if (error == ESRCH || error == ENOENT || error == ENODEV) /* it went meanwhile */
		return;
	op->failed++;
	if (op->error)
		return;
	op->error = error;
	snprintf(op->text, sizeof(op->text), "delete what is stale: %s", *text ? text : strerror(error));
}

static void deletion_answered(void *arg, uint32_t index, const void *msg)
{
	(void)index;
	misdeleted_note(&((struct op *)((struct deletion *)arg)->op)->misdeleted, msg);
}

/* What may hit another is deleted last: what it would hit has gone by then, and is not put back. */
static int inexact_last(const void *left, const void *right)
{
	const struct decoded *a = &((const struct stale *)left)->decoded, *b = &((const struct stale *)right)->decoded;

	return kind_is_exact(b->kind, b->body) - kind_is_exact(a->kind, a->body);
}

static int delete_stale(struct readback *back, struct nsp_socket *sock, struct nsp_error *err)
{
	struct nsp_core *core = back->core;
	struct deletion deletion = { .op = &back->op->head };
	struct nsp_batch batch;
	int rc = 0;

	qsort(back->unclaimed, back->unclaimed_count, sizeof(*back->unclaimed), inexact_last);
	for (uint32_t at = 0; at < back->unclaimed_count && rc >= 0;) {
		nsp_batch_init(&batch, deletion.buf, sizeof(deletion.buf));
		core_lock(core);
		for (; at < back->unclaimed_count && batch.count < DELETED_AT_ONCE && batch.cap - batch.len >= KIND_MESSAGE_MAX;
		     at++)
			if (is_stale(back, &back->unclaimed[at])) {
				deletion.objects[batch.count] = &back->unclaimed[at];
				struct item item = decoded_item(&back->unclaimed[at].decoded, back->sets.data);
				item.by_object = back->unclaimed[at].by_object;
				kind_delete(&batch, &item, back->unclaimed[at].ifindex, ENCODE_DELETE,
					    core->netns[back->netns]->inexact);
			}
		core_unlock(core);
		if (batch.count)
			rc = nsp_batch_send(sock, &batch, deletion_failed, deletion_answered, &deletion, err);
		core_lock(core);
		for (uint32_t i = 0; i < batch.count && rc >= 0; i++) {
			const struct stale *object = deletion.objects[i];
			if (!object)
				continue;
			back->op->head.stale++;
			struct item item = decoded_item(&object->decoded, back->sets.data);
			entry_put_stale(core, find_sweep(back, object->ifindex)->key, &item);
		}
		core_unlock(core);
	}
	return rc;
}

static void failed(struct nsp_op *op, int rc, const struct nsp_error *err)
{
	op->failed++;
	if (op->error)
		return;
	op->error = -rc;
	snprintf(op->text, sizeof(op->text), "%s", err->text);
}

/* The tables of a namespace, by a socket of a look or the command socket. On-link routes of both families come before neighbours, as in a
 * request. */
static int read_tables(struct readback *back, struct nsp_socket *sock, struct nsp_error *err)
{
	struct nsp_error nexthops = { 0 };
	int rc = nexthops_read(back->core, back->netns, sock, &nexthops), failure = rc;

	for (uint8_t kind = 0; kind < kind_count() && rc != -ECANCELED; kind++) {
		rc = read_table(back, sock, kind, err);
		if (rc < 0 && rc != -ECANCELED)
			failed(&back->op->head, rc, err);
	}
	if (failure < 0)
		failed(&back->op->head, failure, &nexthops);
	return rc;
}

/* A look that is ended (by reading all of it back, or since the core is) is as good as none. What was written meanwhile is forgotten. */
static bool look(struct readback *back, int fd, struct nsp_error *err)
{
	struct nsp_core *core = back->core;
	struct nsp_socket sock;

	if (nsp_socket_open(&sock, fd, err) < 0) {
		failed(&back->op->head, -err->code, err);
		return false;
	}
	core_lock(core);
	core->inspected = back->netns;
	core->inspection_ended = false;
	core->inspected_kind = 0;
	core_unlock(core);
	int rc = read_tables(back, &sock, err);
	nsp_socket_close(&sock);
	core_lock(core);
	core->inspected = NIL;
	for (; rc == -ECANCELED && back->kind < kind_count(); back->kind++)
		forget(back);
	core_unlock(core);
	return rc != -ECANCELED;
}

void readback_run(struct nsp_core *core, struct op *op, give_way_fn give_way, void *writer)
{
	struct readback back = { .core = core,
				 .op = op,
				 .netns = op->stages[0].netns,
				 .inspects = op->inspects && !core->inspected,
				 .give_way = give_way,
				 .writer = writer,
				 .generation = core->slot_generation };
	struct nsp_error err = { 0 };
	int fd = core->netns[back.netns]->fd;
	bool whole = fd >= 0;
	uint64_t begun = clock_ns();

	if (core->inspected == back.netns)
		core->inspection_ended = true;
	if (op->sweep_count)
		qsort(op->sweeps, op->sweep_count, sizeof(*op->sweeps), sweep_by_link);
	core_unlock(core);
	if (whole && back.inspects)
		whole = look(&back, fd, &err);
	struct nsp_socket *sock = whole ? netns_socket(core, back.netns, &err) : NULL;
	if (whole && !sock)
		failed(&op->head, -err.code, &err);
	if (sock && !back.inspects)
		read_tables(&back, sock, &err);
	if (sock) {
		int rc = connected_check(op, sock, &err);
		if (rc < 0)
			failed(&op->head, rc, &err);
	}
	if (sock && back.unclaimed_count) {
		int rc = delete_stale(&back, sock, &err);
		if (rc < 0)
			failed(&op->head, rc, &err);
	}
	if (sock && !op->head.error) {
		int rc = nexthops_mark(core, back.netns, sock, &err);
		if (rc >= 0)
			nexthops_sweep(core, back.netns, sock);
		else
			failed(&op->head, rc, &err);
	}
	core_lock(core);
	op->head.nanoseconds = clock_ns() - begun - back.away;
	free(back.unclaimed);
	mp_free(&back.sets);
}
