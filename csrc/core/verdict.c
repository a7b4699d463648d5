/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a row that was sent is written down. */
#include "core/verdict.h"

#include "core/changes.h"
#include "core/hop_links.h"
#include "core/queue.h"
#include "core/request.h"
#include "core/slots.h"

static void give_verdict(struct nsp_core *core, uint32_t request, struct row *row, uint32_t state)
{
	if (request)
		request_settle(core, request, row, state);
}

/* Is something missing without which there can be no such object at all? */
static bool has_no_place(const struct row *row, int error)
{
	return kinds[row->kind]->awaits && kinds[row->kind]->awaits(row->body, error);
}

static bool is_awaited(const struct row *row, int error)
{
	return has_no_place(row, error) || error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == ENODEV;
}

static void take_deletion_verdict(struct nsp_core *core, const struct sent *sent, struct row *row)
{
	bool gone = !sent->error || sent->error == ESRCH || sent->error == ENODEV || sent->error == ENOENT ||
		    has_no_place(row, sent->error);

	if (gone) {
		row->flags &= (uint16_t)~ROW_HELD;
		if (!(row->flags & ROW_WANTED && row->flags & ROW_QUEUED)) /* otherwise it comes again, and takes the place anew */
			row_released(core, row);
		if (sent->on_link && (core->slots[row->slot]->heads[LIST_VIA] || core->hop_links))
			slot_recheck_later(core, row->slot, NSP_RECHECK_GATEWAYS);
	} else {
		row_state(core, sent->row, row, NSP_STATE_FAILED, sent->error, sent->text);
	}
	if (row->flags & ROW_WANTED) { /* refused, or put again meanwhile */
		row->flags &= (uint16_t)~ROW_REFUSED;
		if (sent->due == DUE_GIVE_BACK && gone)
			row_retry(core, sent->row, row, sent->request);
		else
			give_verdict(core, sent->request, row, row->flags & ROW_QUEUED ? NSP_STATE_REMOVED : row->state);
		return;
	}
	give_verdict(core, sent->request, row, gone ? NSP_STATE_REMOVED : NSP_STATE_FAILED);
	if (gone && !(row->flags & ROW_QUEUED))
		row_drop(core, sent->row, row);
}

static void take_put_verdict(struct nsp_core *core, const struct sent *sent, struct row *row)
{
	bool newest = row->flags & ROW_WANTED && !(row->flags & ROW_QUEUED);
	bool was_unreachable = row_is_unreachable(core, row, row->state);

	/* It was on the link and has got a gateway. */
	if (row->list == LIST_DIRECT && kinds[row->kind]->makes_reachable && !sent->on_link)
		slot_recheck_later(core, row->slot, NSP_RECHECK_GATEWAYS);
	if (sent->error && sent->nexthop && row->flags & ROW_WANTED) { /* what is said of it is what is said without */
		row->inlined = true;
		row_retry(core, sent->row, row, sent->request);
		return;
	}
	if (!sent->error) {
		row->by_object = sent->nexthop != 0;
		row->flags |= ROW_HELD;
		row->flags &= (uint16_t)~ROW_REFUSED;
		if (core->inspected == sent->netns && row->kind >= core->inspected_kind)
			row->flags |= ROW_SEEN;
		if (newest)
			row_state(core, sent->row, row, NSP_STATE_CONFIGURED, 0, NULL);
		if (row_resolve(core, row, sent->due == DUE_ADD) && sent->due == DUE_ADD) {
			core->missing++;
			entry_put_drift(core, row, "missing");
		}
		give_verdict(core, sent->request, row, NSP_STATE_CONFIGURED);
		if ((sent->on_link || was_unreachable) && (core->slots[row->slot]->open || core->hop_links))
			slot_recheck_later(core, row->slot, NSP_RECHECK_REFUSED);
		return;
	}
	if (row->flags & ROW_WANTED && row->flags & ROW_QUEUED && !(row->flags & ROW_VERDICT_DUE)) { /* checked again already */
		row_retry(core, sent->row, row, sent->request);
		return;
	}
	row_resolve(core, row, true);
	uint32_t state = is_awaited(row, sent->error) ? NSP_STATE_PENDING : NSP_STATE_FAILED;
	if (newest) {
		row_state(core, sent->row, row, state, sent->error, sent->text);
		if (row->flags & ROW_HELD && state == NSP_STATE_PENDING && row_has_links(core, row)) {
			row->flags = (uint16_t)((row->flags & ~ROW_HELD) | ROW_UNDONE); /* by the other links it still leads */
		} else if (row->flags & ROW_HELD) { /* the kernel still has what it held before */
			row->flags |= ROW_REFUSED;
			queue_row(core, sent->row, row, false);
		} else {
			row_released(core, row);
		}
	}
	give_verdict(core, sent->request, row, newest ? state : NSP_STATE_SUPERSEDED);
}

bool verdict_take(struct nsp_core *core, struct sent *sent)
{
	struct row *row = table_row(&core->table, sent->row);
	bool undone = row->flags & ROW_UNDONE;

	row->flags &= (uint16_t)~(ROW_SENT | ROW_UNDONE);
	if (core->slots[row->slot]->generation != sent->generation) { /* the interface went meanwhile */
		bool wanted = row->flags & ROW_WANTED;
		if (!sent_is_deleted(sent) && !sent->error) /* where the link lives on, what was just put is not to stay */
			row_withdraw(core, row, sent->netns, sent->ifindex, sent->table);
		give_verdict(core, sent->request, row, wanted ? NSP_STATE_PENDING : NSP_STATE_REMOVED);
		if (!wanted && !(row->flags & ROW_QUEUED))
			row_drop(core, sent->row, row);
		return false;
	}
	if (sent_is_deleted(sent)) {
		take_deletion_verdict(core, sent, row);
		return false;
	}
	if (sent->error == EEXIST && sent->due == DUE_ADD && row->flags & ROW_WANTED)
		return true;
	take_put_verdict(core, sent, row);
	if (undone && (row->flags & (ROW_WANTED | ROW_HELD | ROW_REFUSED)) == (ROW_WANTED | ROW_HELD)) {
		row->flags = (uint16_t)((row->flags & ~ROW_HELD) | ROW_UNDONE); /* perhaps it has gone again: as new it finds out */
		if (kinds[row->kind]->unmarked) {
			table_extra_make(&core->table, row)->suspicion = row->flags & ROW_QUEUED ? SUSPECT_OVERTAKEN :
												   SUSPECT_ALTERED;
			row_suspect(core, sent->row, row);
		} else {
			row_repair(core, sent->row, row, "somebody else deletes it");
		}
	}
	return false;
}

bool verdict_lose(struct nsp_core *core, struct sent *sent)
{
	struct row *row = table_row(&core->table, sent->row);

	if (core->slots[row->slot]->generation != sent->generation)
		return verdict_take(core, sent);
	row->flags &= (uint16_t)~(ROW_SENT | ROW_UNDONE);
	if (sent->due == DUE_ADD)
		return true;
	row_retry(core, sent->row, row, sent->request);
	return false;
}
