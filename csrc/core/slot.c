/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a slot: its interface is there, goes, or has lost what it had. */
#include "core/slot.h"

#include "core/clock.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/nexthops.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/row.h"
#include "core/slots.h"

#define EXPRESS_ROWS 16

/* Routes on the link go first, so that those with a gateway find it reachable. A few rows may overtake what is queued, as they may when
 * they are put; but not an operation that is to find them. */
static void queue_open(struct nsp_core *core, uint32_t number)
{
	bool express = core->slots[number]->rows <= EXPRESS_ROWS && !core->paused;
	struct walk walk;
	uint32_t id;

	for (int with_gateway = 0; with_gateway < 2; with_gateway++) {
		walk_begin(core, &walk, number, LIST_OPEN);
		while ((id = walk_next(core, &walk))) {
			struct row *row = table_row(&core->table, id);
			if (!(row->flags & ITEM_GATEWAY) != !with_gateway || row->flags & (ROW_BLOCKED | ROW_DEAD))
				continue;
			if (!row_lacks_link(core, row))
				queue_row(core, id, row, express);
			else if (!(row->flags & ROW_VERDICT_DUE)) /* else when that is settled */
				row_state(core, id, row, NSP_STATE_PENDING, 0, NULL);
		}
	}
}

/* Appends to an operation the deletion of a row that nobody waits for. */
static void withdraw(struct nsp_core *core, struct nsp_op **op, const struct row *row)
{
	if (!*op) {
		*op = op_new_unasked();
		nsp_op_stage(*op, core->slots[row->slot]->netns, 0);
	}
	row_encode(core, op_room(*op, KIND_MESSAGE_MAX), row, core->slots[row->slot]->ifindex, core->slots[row->slot]->table,
		   row->flags & (ROW_QUEUED | ROW_REFUSED | ROW_SENT) ? ENCODE_DELETE_ANY : ENCODE_DELETE, 0);
}

static void push_withdrawal(struct nsp_core *core, struct nsp_op **op)
{
	if (*op)
		queue_push_op(core, &core->withdrawals, *op);
	*op = NULL;
}

/* The routes over several links that wait for this one, where it is ready now. */
static void queue_by(struct nsp_core *core, uint32_t link)
{
	uint32_t number = core->slots[link]->netns_slot, id;
	struct walk walk;

	if (!number || !core->slots[number]->ready)
		return;
	walk_begin(core, &walk, number, LIST_OPEN);
	while ((id = walk_next(core, &walk))) {
		struct row *row = table_row(&core->table, id);
		if (!(row->flags & (ROW_BLOCKED | ROW_DEAD)) && !row_is_contested(row) && row_is_by(core, row, link) &&
		    !row_lacks_link(core, row))
			queue_row(core, id, row, false);
	}
}

/* The link has gone, or is down: what the kernel has of the routes over it and others is not known. */
static void lose_by(struct nsp_core *core, uint32_t link)
{
	uint32_t number = core->slots[link]->netns_slot, id;
	static const enum row_list lists[] = { LIST_OPEN, LIST_VIA };
	struct walk walk;

	for (unsigned i = 0; i < 2 && number && core->slots[number]->ready; i++) {
		walk_begin(core, &walk, number, lists[i]);
		while ((id = walk_next(core, &walk))) {
			struct row *row = table_row(&core->table, id);
			if (!row_is_by(core, row, link))
				continue;
			if (row->flags & ROW_SENT)
				row->flags |= ROW_UNDONE;
			else if (row->flags & ROW_HELD)
				row->flags = (uint16_t)((row->flags & ~(ROW_HELD | ROW_SEEN)) | ROW_UNDONE);
			if (row->flags & ROW_WANTED && !(row->flags & (ROW_QUEUED | ROW_SENT | ROW_BLOCKED | ROW_DEAD)))
				row_state(core, id, row, NSP_STATE_PENDING, 0, NULL);
		}
	}
}

/* Nothing brings the link about: who waits for a verdict on a route over it gets that. */
static void settle_by(struct nsp_core *core, uint32_t link)
{
	uint32_t number = core->slots[link]->netns_slot, id;
	struct walk walk;

	if (!number || !core->slots[number]->ready || core->slots[link]->ready)
		return;
	walk_begin(core, &walk, number, LIST_OPEN);
	while ((id = walk_next(core, &walk))) {
		struct row *row = table_row(&core->table, id);
		if ((row->flags & (ROW_WANTED | ROW_VERDICT_DUE | ROW_QUEUED | ROW_SENT)) != (ROW_WANTED | ROW_VERDICT_DUE) ||
		    !row_is_by(core, row, link))
			continue;
		row_state(core, id, row, NSP_STATE_PENDING, 0, NULL);
		row_give_verdict(core, row, NSP_STATE_PENDING);
	}
}

static bool is_override(const struct nsp_core *core, const struct row *row)
{
	return row->extra && core->table.extras[row->extra].replaced;
}

/* Queued before anything that takes these rows' places: another slot's rows, and what an override had put aside; so, before others
 * have the lock. That would be refused as long as ours is there, so an override goes even where the link is about to take all rows
 * along; and what only a link that is deleted takes along, for it may have gone down. */
static void withdraw_rows(struct nsp_core *core, uint32_t number, bool all)
{
	struct nsp_op *op = NULL;
	struct walk walk;
	uint32_t id;

	/* What may hit another last, as in readback.c. */
	for (int i = 0; i < 2 * LISTS; i++) {
		walk_begin(core, &walk, number, i % LISTS);
		do {
			if (walk_gives_way(&walk))
				push_withdrawal(core, &op);
			id = walk_next(core, &walk);
			const struct row *row = id ? table_row(&core->table, id) : NULL;
			/* One that was sent is in the kernel when this is carried out. */
			if (row && kind_is_exact(row->kind, row->body) == (i < LISTS) && row_may_be_held(row) &&
			    (all || is_override(core, row) || kinds[row->kind]->outlives_down))
				withdraw(core, &op, row);
		} while (id);
	}
	push_withdrawal(core, &op);
}

static void lose_row(struct nsp_core *core, const struct slot *slot, uint32_t id, bool was_ready, uint32_t flags)
{
	struct row *row = table_row(&core->table, id);

	row_unblock(core, row);
	row->flags &= (uint16_t)~(ROW_HELD | ROW_QUEUED | ROW_REFUSED | ROW_SEEN | ROW_UNDONE);
	if (was_ready)
		row_released(core, row);
	if (!(row->flags & ROW_WANTED)) {
		if (!(row->flags & ROW_SENT))
			row_drop(core, id, row);
		return;
	}
	if (flags & NSP_SLOT_DEAD)
		row->flags |= ROW_DEAD;
	row_state(core, id, row, slot->state, slot->error, NULL);
	row_give_verdict(core, row, slot->state);
}

static void lose(struct nsp_core *core, uint32_t number, uint32_t flags)
{
	struct slot *slot = core->slots[number];
	bool was_ready = slot->ready;
	struct walk walk;
	uint32_t id;

	slot->generation = ++core->slot_generation;
	slot->ready = false; /* nothing is written any more, and what is told of the rows is told of a slot that is not ready */
	slot->leaving = was_ready;
	if (was_ready)
		withdraw_rows(core, number, flags & NSP_SLOT_WITHDRAW);
	if (was_ready && slot->ifindex && !(flags & NSP_SLOT_WITHDRAW)) /* they go with the link, as its rows do */
		nexthops_forget(core, slot->netns, slot->ifindex);
	for (int list = 0; list < LISTS; list++) {
		walk_begin(core, &walk, number, list);
		while ((id = walk_next(core, &walk)))
			lose_row(core, slot, id, was_ready, flags);
	}
	slot->leaving = false;
	if (was_ready)
		slot_leave_netns(core, number);
	if (was_ready)
		lose_by(core, number);
}

void nsp_slot_ready(struct nsp_core *core, uint32_t number, uint32_t netns, int32_t ifindex)
{
	nsp_slot_ready_in_vrf(core, number, netns, ifindex, 0);
}

void nsp_slot_ready_in_vrf(struct nsp_core *core, uint32_t number, uint32_t netns, int32_t ifindex, uint32_t table)
{
	core_lock(core);
	struct slot *slot = core->slots[number];
	if (!slot->ready || slot->netns != netns || slot->ifindex != ifindex || slot->table != table) {
		slot->state = NSP_STATE_PENDING;
		slot->error = 0;
		free(slot->text);
		slot->text = NULL;
		slot->missing.len = 0;
		mp_put_array(&slot->missing, 0);
		if (slot->ready) /* the link itself lives on where it has only come into another VRF, or left one */
			lose(core, number, slot->netns == netns && slot->ifindex == ifindex ? NSP_SLOT_WITHDRAW : 0);
		slot->generation = ++core->slot_generation;
		slot->ready = true;
		slot->netns = netns;
		slot->ifindex = ifindex;
		slot->table = table;
		slot_enter_netns(core, number);
		queue_open(core, number);
		queue_by(core, number);
	}
	core_unlock(core);
}

void nsp_slot_lost(struct nsp_core *core, uint32_t number, uint32_t state, const uint8_t *missing, uint32_t missing_len,
		   int32_t error, const char *text, uint32_t flags)
{
	static const uint8_t nothing[] = { 0x90 };

	core_lock(core);
	struct slot *slot = core->slots[number];
	bool changed = slot->ready || slot->state != state || slot->error != error || flags;
	slot->state = state;
	slot->error = error;
	slot->missing.len = 0;
	mp_put_raw(&slot->missing, missing_len ? missing : nothing, missing_len ? missing_len : 1);
	free(slot->text);
	slot->text = text && *text ? text_copy(text) : NULL;
	if (changed)
		lose(core, number, flags);
	core_unlock(core);
}

void nsp_slot_settle(struct nsp_core *core, uint32_t number)
{
	struct walk walk;
	uint32_t id;

	core_lock(core);
	struct slot *slot = core->slots[number];
	if (!slot->ready) {
		walk_begin(core, &walk, number, LIST_OPEN);
		while ((id = walk_next(core, &walk))) {
			struct row *row = table_row(&core->table, id);
			if (!(row->flags & ROW_VERDICT_DUE)) { /* what was put last is in front */
				walk_end(core, &walk);
				break;
			}
			if (row->flags & ROW_WANTED) { /* otherwise its deletion is waited for, behind what was sent */
				row_state(core, id, row, slot->state, slot->error, NULL);
				row_give_verdict(core, row, slot->state);
			}
		}
	}
	settle_by(core, number);
	core_unlock(core);
}

static bool is_rechecked(const struct nsp_core *core, const struct row *row, uint32_t which)
{
	const struct extra *extra = row->extra ? &core->table.extras[row->extra] : NULL;

	if ((extra && extra->unrecorded) || row_lacks_link(core, row))
		return false;
	/* What the kernel makes otherwise it makes so again. */
	if (extra && extra->differed && row->error == EOPNOTSUPP)
		which &= ~(uint32_t)NSP_RECHECK_REFUSED;
	/* What somebody else undoes again and again waits for its time. */
	if (row->list == LIST_OPEN && which & NSP_RECHECK_REFUSED && !(row->flags & (ROW_BLOCKED | ROW_DEAD)) &&
	    !row_is_contested(row))
		return true;
	if (row->list != LIST_OPEN && which & NSP_RECHECK_DROPPED && !(row->flags & (ROW_HELD | ROW_SENT)))
		return true;
	if (row->list == LIST_VIA && (which & NSP_RECHECK_GATEWAYS || (which & NSP_RECHECK_SOURCES && row->flags & ITEM_SOURCE)))
		return true;
	return which & kinds[row->kind]->rechecked;
}

static void recheck_list(struct nsp_core *core, uint32_t number, enum row_list list, uint32_t which, bool only_links)
{
	struct walk walk;
	uint32_t id;

	walk_begin(core, &walk, number, list);
	while ((id = walk_next(core, &walk))) {
		struct row *row = table_row(&core->table, id);
		if (!is_rechecked(core, row, which) || (only_links && !row_has_links(core, row)))
			continue;
		row->flags &= (uint16_t)~ROW_REFUSED; /* what was refused may be in the queue, as a deletion */
		if (which == NSP_RECHECK_DROPPED && kinds[row->kind]->unmarked)
			row_suspect(core, id, row);
		else
			queue_row(core, id, row, false);
	}
}

/* Of the slot of a namespace the routes over several links, of which one has changed. */
static void recheck_links(struct nsp_core *core, uint32_t number, uint32_t which)
{
	if (!core->slots[number]->link_count)
		return;
	recheck_list(core, number, LIST_OPEN, which, true);
	recheck_list(core, number, LIST_VIA, which, true);
}

void slot_recheck(struct nsp_core *core, uint32_t number, uint32_t which)
{
	static const enum row_list order[] = { LIST_DIRECT, LIST_OPEN, LIST_VIA };
	uint32_t everything = NSP_RECHECK_ROUTES4 | NSP_RECHECK_ROUTES6 | NSP_RECHECK_NEIGHS | NSP_RECHECK_FDB |
			      NSP_RECHECK_DROPPED;

	if (core->slots[number]->ready && core->slots[number]->ifindex && which & NSP_RECHECK_GATEWAYS)
		nexthops_doubt(core, core->slots[number]->netns, core->slots[number]->ifindex);
	for (int i = 0; i < LISTS; i++) {
		if (!core->slots[number] || !core->slots[number]->ready) /* or not any more */
			return;
		bool whole = order[i] == LIST_DIRECT ? which & everything :
			     order[i] == LIST_VIA    ? which & (everything | NSP_RECHECK_GATEWAYS | NSP_RECHECK_SOURCES) :
						       which & (everything | NSP_RECHECK_REFUSED);
		if (!whole)
			continue;
		recheck_list(core, number, order[i], which, false);
	}
}

void nsp_core_recheck(struct nsp_core *core, uint32_t netns, int32_t ifindex, uint32_t which)
{
	core_lock(core);
	if (which & NSP_RECHECK_NEXTHOPS)
		nexthops_dropped(core, netns, ifindex);
	uint32_t id = ifindex ? slot_on_link(core, netns, ifindex) : core->netns[netns]->first_slot;
	for (; id; id = ifindex ? slot_next_on_link(core, id) : core->slots[id]->next)
		slot_recheck(core, id, which);
	for (id = ifindex ? slot_on_link(core, netns, 0) : NIL; id; id = slot_next_on_link(core, id))
		recheck_links(core, id, which);
	core_unlock(core);
}

#define RETRY_FIRST 1000u /* ms */
#define RETRY_LONGEST 60000u
#define RETRY_TOGETHER 250u /* so much sooner, for what waits for the same gateway */

static uint64_t retry_due(const struct extra *extra)
{
	uint32_t doublings = extra->tries > 7 ? 6 : extra->tries ? extra->tries - 1 : 0;
	uint32_t pause = RETRY_FIRST << doublings;

	return extra->tried + (pause < RETRY_LONGEST ? pause : RETRY_LONGEST);
}

#define GATEWAYS 256

/* Do both wait for the same, such as a gateway? */
static bool wait_for_same(const struct row *a, const struct row *b)
{
	const struct kind *kind = kinds[a->kind];

	if (a->kind != b->kind || (a->flags ^ b->flags) & ITEM_FLAGS)
		return false;
	for (const struct field *field = kind->fields; field < kind->fields + kind->field_count; field++)
		if (field->waits && memcmp(a->body + field->offset, b->body + field->offset, field->size))
			return false;
	return true;
}

static uint64_t hash_waits(const struct secret *secret, const struct row *row)
{
	const struct kind *kind = kinds[row->kind];
	uint64_t h = (uint64_t)row->kind << 8 | (row->flags & ITEM_FLAGS);

	for (const struct field *field = kind->fields; field < kind->fields + kind->field_count; field++)
		if (field->waits && field->size >= 4)
			h = hash_bytes(secret, h, row->body + field->offset, field->size);
	return h;
}

/* Of the rows that wait for the same one is tried, and when that succeeds all are. `seen` has the last row of each such group, by its
 * hash. */
static bool is_tried_with(const struct nsp_core *core, uint32_t seen[GATEWAYS], uint32_t id, const struct row *row)
{
	if (!row_is_unreachable(core, row, row->state))
		return false;
	uint32_t *at = &seen[hash_waits(&core->table.secret, row) % GATEWAYS], last = *at;
	*at = id;
	return last && table_has(&core->table, last) && wait_for_same(table_row(&core->table, last), row);
}

long nsp_slot_retry(struct nsp_core *core, uint32_t number)
{
	uint64_t now = clock_ms(), next = UINT64_MAX;
	uint32_t seen[GATEWAYS] = { 0 };

	if (!nsp_slot_key(core, number))
		return -1;
	core_lock(core);
	struct slot *slot = core->slots[number];
	struct walk walk;
	uint32_t id;
	slot->retried = false; /* who is refused meanwhile says so */
	walk_begin(core, &walk, number, LIST_OPEN);
	while ((id = walk_next(core, &walk))) {
		struct row *row = table_row(&core->table, id);
		if (row->flags & (ROW_QUEUED | ROW_SENT) ||
		    (row->state != NSP_STATE_RETRYING && !row_is_unreachable(core, row, row->state)))
			continue;
		struct extra *extra = table_extra(&core->table, row);
		uint64_t soon = row->state == NSP_STATE_PENDING ? now + RETRY_TOGETHER : now;
		if (retry_due(extra) <= soon && slot->ready) {
			if (!is_tried_with(core, seen, id, row)) {
				queue_row(core, id, row, false);
				continue;
			}
			extra->tries++;
			extra->tried = now;
		}
		if (retry_due(extra) > now && retry_due(extra) < next)
			next = retry_due(extra);
	}
	slot->retried |= next != UINT64_MAX;
	core_unlock(core);
	return next == UINT64_MAX ? -1 : (long)(next - now);
}
