/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame makes wanted and unwanted. */
#include "core/wanted.h"

#include <stdio.h>

#include "core/clock.h"
#include "core/completed.h"
#include "core/entry.h"
#include "core/figures.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/origin.h"
#include "core/queue.h"
#include "core/request.h"
#include "core/row.h"
#include "core/slots.h"
#include "core/frame.h"
#include "kinds/key.h"

/* An entry for an item that was refused and has no row of its own: the same shape as a row's, with its place in the request and `field`. */
static void put_refusal(struct request *request, const struct nsp_fault *fault)
{
	struct mp_out *out = request_entry(request);
	bool in_block = fault->offset != NSP_NO_OFFSET;
	char message[256];

	request_count(request, NSP_STATE_INVALID);
	snprintf(message, sizeof(message), "%s%s%s", fault->field, *fault->field ? ": " : "", fault->text);
	mp_put_map(out, 11 + in_block);
	mp_put_literal(out, "key");
	if (fault->key)
		mp_put_text(out, fault->key);
	else
		mp_put_nil(out);
	mp_put_literal(out, "state");
	mp_put_literal(out, "invalid");
	mp_put_literal(out, "source");
	mp_put_nil(out);
	mp_put_literal(out, "missing");
	mp_put_array(out, 0);
	mp_put_literal(out, "errno");
	mp_put_literal(out, "EINVAL");
	mp_put_literal(out, "message");
	mp_put_text(out, message);
	mp_put_literal(out, "since");
	mp_put_float(out, (double)clock_date() / 1000);
	mp_put_literal(out, "tries");
	mp_put_uint(out, 0);
	mp_put_literal(out, "index");
	mp_put_uint(out, fault->index);
	if (in_block) {
		mp_put_literal(out, "offset");
		mp_put_uint(out, fault->offset);
	}
	mp_put_literal(out, "field");
	mp_put_text(out, fault->field);
	mp_put_literal(out, "item");
	if (fault->data) /* others are known by their place */
		mp_put_raw(out, fault->data, fault->len);
	else
		mp_put_nil(out);
}

#define ITEMS_AT_ONCE 1024 /* the writer is not kept waiting for a whole request */

static void yield_now_and_then(struct nsp_core *core, uint32_t i)
{
	if (i % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1)
		core_yield(core);
}

static void refuse_faults(struct nsp_core *core, struct nsp_frame *frame, struct request *request)
{
	struct nsp_fault fault;

	for (uint32_t i = 0; nsp_frame_fault(frame, i, &fault) == 0; i++) {
		put_refusal(request, &fault);
		yield_now_and_then(core, i);
	}
}

static void refuse_duplicate(struct nsp_core *core, struct request *request, const struct row *row, const struct decoded *decoded)
{
	struct nsp_fault fault = {
		.index = decoded->index, .offset = decoded->offset, .field = "key", .text = "is in this request twice"
	};
	char key[NSP_KEY_MAX];

	row_key_text(core, row, key);
	fault.key = key;
	put_refusal(request, &fault);
}

static void refuse_conflict(struct nsp_core *core, struct request *request, const struct row *row)
{
	request_count(request, NSP_STATE_CONFLICT);
	entry_put(core, request_entry(request), row, NSP_STATE_CONFLICT, NO_PREVIOUS);
}

/* The numbers of sets of next hops: those of one request mostly have the same, which is looked for once. */
struct set_memo {
	const uint8_t *set;
	uint32_t len;
	uint32_t number; /* it counts on it */
};

static void find_set(struct nsp_core *core, struct set_memo *memo, const struct nsp_frame *frame, struct decoded *decoded)
{
	const uint8_t *set = decoded_hops(decoded, frame->text.data);

	if (memo->len != decoded->hops_len || memcmp(memo->set, set, memo->len)) {
		interned_drop(&core->table.sets, memo->number);
		memo->number = interned_take(&core->table.sets, &core->table.secret, set, decoded->hops_len);
	}
	memo->set = set;
	memo->len = decoded->hops_len;
	memcpy(decoded->body + kinds[decoded->kind]->set, &memo->number, sizeof(memo->number));
}

static void take_value(struct nsp_core *core, struct row *row, const struct decoded *decoded)
{
	const struct kind *kind = kinds[row->kind];

	if (kind->set) {
		uint32_t before = row_set(row);
		interned_hold(&core->table.sets, bytes_load4(decoded->body + kind->set));
		interned_drop(&core->table.sets, before);
	}
	row->flags = (uint16_t)((row->flags & ~ITEM_FLAGS) | decoded->flags);
	bytes_copy(row->body + kind->key_size, decoded->body + kind->key_size, (size_t)(kind->body_size - kind->key_size));
	row->inlined = false;
	if (row->extra) {
		struct extra *extra = &core->table.extras[row->extra];
		extra->differed = false;
		if (extra->suspicion) /* what is there now may be what we wrote before */
			extra->suspicion = SUSPECT_OVERTAKEN;
	}
	if (decoded->flags & ITEM_SOURCE)
		memcpy(table_extra_make(&core->table, row)->source, decoded->source, 16);
}

static void put_item(struct nsp_core *core, const struct decoded *decoded, uint32_t number, struct request *request,
		     uint32_t origin, bool express)
{
	struct slot *slot = core->slots[number];
	uint32_t id = table_find(&core->table, decoded_key(number, decoded));
	struct row *row;

	activity_add(core, &slot->activity, 1);
	if (!id) {
		id = table_insert(&core->table, decoded_key(number, decoded));
		row = table_row(&core->table, id);
		slot->rows++;
		take_value(core, row, decoded);
		core->origins[row->origin = origin].rows++;
		row->since = core_date(core);
		core->rows_by_state[row->kind][NSP_STATE_NONE]++;
		slot_link(core, id, row, LIST_OPEN);
	} else {
		row = table_row(&core->table, id);
		if (row->request == request->serial) {
			refuse_duplicate(core, request, row, decoded);
			return;
		}
		if (row->flags & ROW_WANTED && !row_is_of_source(core, row, origin)) {
			refuse_conflict(core, request, row);
			return;
		}
		row_origin(core, row, origin);
		bool settled = row->state == NSP_STATE_CONFIGURED && !(row->flags & (ROW_QUEUED | ROW_SENT));
		if (settled && row->flags & ROW_WANTED && row_is_as(core, row, decoded)) {
			row->request = request->serial;
			request_count(request, NSP_STATE_CONFIGURED);
			return;
		}
		row_give_verdict(core, row, NSP_STATE_SUPERSEDED);
		take_value(core, row, decoded);
		row_unblock(core, row);
		row->flags &= (uint16_t)~(ROW_REFUSED | ROW_DEAD | ROW_AGAIN);
	}
	row->flags |= ROW_WANTED | ROW_VERDICT_DUE;
	row->request = request->serial;
	request->outstanding++;
	if (slot->ready && (decoded->hops_len <= HOPS_SHORT || !row_lacks_link(core, row))) {
		queue_row(core, id, row, express);
		return;
	}
	slot_unlink(core, row); /* those whose verdict is waited for are in front: see nsp_slot_settle */
	slot_link(core, id, row, LIST_OPEN);
	if (slot->touched != request->serial) {
		slot->touched = request->serial;
		core_notice(core, number, NSP_NOTICE_TOUCHED);
	}
}

/* Routes on the link are queued before those with a gateway, and neighbours last: a request may have them in any order. */
static int put_order(const struct decoded *decoded)
{
	return kinds[decoded->kind]->order + (decoded->flags & ITEM_GATEWAY);
}

#define AHEAD 8 /* so many puts take as long as what the index has to be waited for */

/* Called and returns with the lock held. */
static void make_room(struct nsp_core *core)
{
	uint32_t size = table_wants(&core->table);

	if (!size)
		return;
	core_unlock(core);
	void *pages = table_pages(size);
	core_lock(core);
	table_give(&core->table, pages, size);
}

void frame_put(struct nsp_core *core, struct nsp_frame *frame, struct request *request, uint32_t origin, bool express)
{
	make_room(core);
	origin_took(core, origin, frame->bulk_count);
	refuse_faults(core, frame, request);
	struct set_memo memo = { 0 };
	uint32_t put = 0;
	for (int order = 0; order < 3; order++) {
		uint32_t last = UINT32_MAX, slot = NIL;
		for (uint32_t i = 0; i < frame->bulk_count; i++) {
			struct decoded *decoded = &frame->bulk[i];
			if (put_order(decoded) != order)
				continue;
			if (decoded->hops_len)
				find_set(core, &memo, frame, decoded);
			if (decoded->slot != last) {
				last = decoded->slot;
				slot = slot_make(core, frame_slot(frame, decoded));
			}
			if (decoded->hops_len > HOPS_SHORT) /* over several links, perhaps */
				hop_links_take(core, slot, decoded_hops(decoded, frame->text.data), decoded->hops_len,
					       request->serial);
			if (i + AHEAD < frame->bulk_count)
				table_expect(&core->table, decoded_key(slot, decoded + AHEAD)); /* mostly on the same link */
			put_item(core, decoded, slot, request, origin, express);
			if (++put % ITEMS_AT_ONCE)
				continue;
			core_yield(core);
			make_room(core);
		}
	}
	interned_drop(&core->table.sets, memo.number);
}

void nsp_core_put(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin, uint32_t express)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request)
		frame_put(core, frame, request, origin, express);
	core_unlock(core);
}

static uint32_t find_row(const struct nsp_core *core, const struct nsp_frame *frame, const struct decoded *decoded)
{
	uint32_t slot = slot_lookup(core, frame_slot(frame, decoded));

	return slot ? table_find(&core->table, decoded_key(slot, decoded)) : NIL;
}

/* Unwanted, but its deletion has failed: who deletes it again has that tried again. */
static bool is_stuck(const struct row *row)
{
	return (row->flags & (ROW_WANTED | ROW_HELD | ROW_QUEUED | ROW_SENT)) == ROW_HELD;
}

static void delete_item(struct nsp_core *core, uint32_t id, struct request *request, uint32_t origin, uint32_t flags, bool express)
{
	struct row *row = id ? table_row(&core->table, id) : NULL;

	if (row)
		activity_add(core, &core->slots[row->slot]->activity, 1);
	if (!row || (!(row->flags & ROW_WANTED) && !is_stuck(row)))
		request_count(request, NSP_STATE_REMOVED);
	else if (row->flags & ROW_WANTED && !(flags & NSP_FORCE) && !row_is_of_source(core, row, origin))
		refuse_conflict(core, request, row);
	else
		row_unwant(core, id, row, request, express);
}

/* What is deleted is passed over several times, and of a kind that deletes_spread every time others go. */
static bool is_deleted_in(uint32_t pass, uint32_t passes, uint8_t kind, uint32_t at)
{
	return kinds[kind]->deletes_spread ? at % passes == pass : pass == 0;
}

void frame_delete(struct nsp_core *core, struct nsp_frame *frame, struct request *request, uint32_t origin, uint32_t flags,
		  bool express)
{
	origin_took(core, origin, frame->bulk_count);
	refuse_faults(core, frame, request);
	uint32_t passes = frame->bulk_count < SPREAD_LEAST ? 1 : SPREAD_STEP, deleted = 0;
	for (uint32_t pass = 0; pass < passes; pass++)
		for (uint32_t i = 0; i < frame->bulk_count; i++) {
			const struct decoded *decoded = &frame->bulk[i];
			if (!is_deleted_in(pass, passes, decoded->kind, i))
				continue;
			delete_item(core, find_row(core, frame, decoded), request, origin, flags, express);
			yield_now_and_then(core, deleted++);
		}
}

void nsp_core_delete(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin, uint32_t flags,
		     uint32_t express)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request)
		frame_delete(core, frame, request, origin, flags, express);
	core_unlock(core);
}

long nsp_core_check(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin)
{
	uint32_t refused = frame->fault_count;

	core_lock(core);
	struct request *request = request_get(core, serial);
	refuse_faults(core, frame, request);
	for (uint32_t i = 0; i < frame->bulk_count; i++) {
		uint32_t id = find_row(core, frame, &frame->bulk[i]);
		const struct row *row = id ? table_row(&core->table, id) : NULL;
		if (row && row->flags & ROW_WANTED && !row_is_of_source(core, row, origin)) {
			refuse_conflict(core, request, row);
			refused++;
		}
		yield_now_and_then(core, i);
	}
	core_unlock(core);
	return refused;
}

static bool is_swept(const struct nsp_core *core, const struct row *row, uint32_t serial, uint32_t origin, bool untouched)
{
	if (row->kind == FREE_ROW || !(row->flags & ROW_WANTED) || !row_is_of_source(core, row, origin))
		return false;
	return untouched ? row->request != serial : core->origins[row->origin].generation < core->origins[origin].generation;
}

/* The rows of a chunk that are deleted in this pass. */
static long sweep_chunk(struct nsp_core *core, uint32_t number, uint32_t pass, uint32_t serial, uint32_t origin, bool untouched)
{
	const struct chunk *chunk = &core->table.chunks[number];
	struct request *request = request_get(core, serial);
	long swept = 0;

	if (!is_deleted_in(pass, SPREAD_STEP, chunk->kind, pass))
		return 0;
	uint32_t step = kinds[chunk->kind]->deletes_spread ? SPREAD_STEP : 1;
	for (uint32_t at = pass; chunk->rows && at < chunk->used; at += step) {
		struct row *row = chunk_row(chunk, at);
		uint32_t id = number << CHUNK_BITS | at;
		if (id == NIL || !is_swept(core, row, serial, origin, untouched))
			continue;
		row_unwant(core, id, row, request, false);
		swept++;
	}
	return swept;
}

long nsp_core_sweep(struct nsp_core *core, uint32_t serial, uint32_t origin, uint32_t untouched)
{
	long swept = 0;

	/* A chunk at a time: the writer is not kept waiting for a whole table. */
	for (uint32_t pass = 0; pass < SPREAD_STEP; pass++) {
		bool more = true;
		for (uint32_t number = 0; more; number++) {
			core_lock(core);
			more = number < core->table.chunk_count;
			swept += more ? sweep_chunk(core, number, pass, serial, origin, untouched) : 0;
			core_unlock(core);
		}
	}
	return swept;
}
