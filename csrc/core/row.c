/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a row: queued, refused, blocked, dropped. */
#include "core/row.h"

#include "core/changes.h"
#include "core/clock.h"
#include "core/completed.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/netns.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/replaced.h"
#include "core/request.h"
#include "core/slots.h"

enum row_due row_due(const struct row *row, bool ready, bool replaced)
{
	bool wanted = row->flags & ROW_WANTED, held = row->flags & ROW_HELD;

	if (!wanted && !held)
		return DUE_DROP;
	if (!ready || row->flags & (ROW_DEAD | ROW_BLOCKED))
		return DUE_NOTHING;
	if (!wanted)
		return DUE_DELETE;
	if (!held)
		return DUE_ADD;
	if (replaced && !(row->flags & ITEM_OVERRIDE))
		return DUE_GIVE_BACK;
	return row->flags & ROW_REFUSED ? DUE_DELETE : DUE_REPLACE;
}

void row_gone(struct nsp_core *core, uint32_t id, struct row *row)
{
	row->flags &= (uint16_t)~(ROW_HELD | ROW_QUEUED | ROW_SEEN | ROW_UNDONE);
	if (row_is_on_link(row) && (core->slots[row->slot]->heads[LIST_VIA] || core->hop_links))
		slot_recheck_later(core, row->slot, NSP_RECHECK_GATEWAYS);
	if (!(row->flags & ROW_WANTED)) {
		row_drop(core, id, row);
		return;
	}
	row->flags &= (uint16_t)~ROW_REFUSED; /* and it is not to be put again */
	row_released(core, row);
	row_give_verdict(core, row, row->state);
}

#define REPAIRS_AT_ONCE 5
#define CALM_MS 10000

/* Counts how often a row was undone: anew when there was calm for a while, and no more than five times in that. true: it is refused. */
static bool is_contested(struct extra *extra, const struct row *row)
{
	uint64_t now = clock_ms(), last = extra->repaired;

	if (row->state == NSP_STATE_CONFIGURED && extra->configured > last) /* a retry had it for so long */
		last = extra->configured;
	if (now - last > CALM_MS || (extra->repairs <= REPAIRS_AT_ONCE && now - extra->contested > CALM_MS)) {
		extra->contested = now;
		extra->repairs = 0;
	}
	extra->repaired = now;
	return ++extra->repairs > REPAIRS_AT_ONCE;
}

void row_repair(struct nsp_core *core, uint32_t id, struct row *row, const char *why)
{
	if (row->flags & ROW_QUEUED) /* it will be written in any case */
		return;
	struct extra *extra = table_extra_make(&core->table, row);
	if (!is_contested(extra, row)) {
		queue_row(core, id, row, false);
		return;
	}
	extra->tries = extra->repairs - REPAIRS_AT_ONCE - 1; /* with this one: that it was configured in between is no success */
	row_state(core, id, row, NSP_STATE_RETRYING, 0, why);
}

void row_suspect(struct nsp_core *core, uint32_t id, struct row *row)
{
	if (row->flags & ROW_QUEUED) /* it will be written in any case */
		return;
	struct extra *extra = table_extra_make(&core->table, row);
	if (!extra->suspicion)
		extra->suspicion = SUSPECT_MISSING;
	row_repair(core, id, row, extra->suspicion == SUSPECT_MISSING ? "somebody else deletes it" : "somebody else changes it");
}

enum suspicion row_resolve(struct nsp_core *core, struct row *row, bool undone)
{
	struct extra *extra = table_extra(&core->table, row);
	enum suspicion suspicion = extra ? extra->suspicion : SUSPECT_NOTHING;

	if (!suspicion)
		return SUSPECT_NOTHING;
	extra->suspicion = SUSPECT_NOTHING;
	if (!undone && extra->repairs)
		extra->repairs--;
	return suspicion;
}

void row_await_verdict(struct nsp_core *core, struct row *row, uint32_t request)
{
	if (!(row->flags & ROW_VERDICT_DUE)) {
		row->flags |= ROW_VERDICT_DUE;
		row->request = request;
	} else {
		request_settle(core, request, row, NSP_STATE_SUPERSEDED);
	}
}

void row_retry(struct nsp_core *core, uint32_t id, struct row *row, uint32_t request)
{
	if (request)
		row_await_verdict(core, row, request);
	queue_row(core, id, row, true);
}

static void set_text(struct nsp_core *core, struct row *row, const char *text)
{
	struct extra *extra = table_extra(&core->table, row);

	if (extra) {
		free(extra->text);
		extra->text = NULL;
	}
	if (text && *text)
		table_extra_make(&core->table, row)->text = text_copy(text);
}

/* Is it worth trying the same again, though nothing has changed that would be heard of? */
static bool is_retried(const struct nsp_core *core, const struct row *row, int error)
{
	return core->slots[row->slot]->ready && !(row->flags & ROW_BLOCKED) && error != EOPNOTSUPP;
}

bool row_is_unreachable(const struct nsp_core *core, const struct row *row, uint32_t state)
{
	return state == NSP_STATE_PENDING && row->error && core->slots[row->slot]->ready;
}

/* Takes note of a refusal, and has the planner come back to it. */
static void count_try(struct nsp_core *core, struct row *row)
{
	struct extra *extra = table_extra_make(&core->table, row);
	struct slot *slot = core->slots[row->slot];

	extra->tries++;
	extra->tried = clock_ms();
	if (!slot->retried)
		core_notice(core, row->slot, NSP_NOTICE_RETRY);
	slot->retried = true;
}

static void count_success(struct nsp_core *core, struct row *row, uint32_t previous)
{
	struct extra *extra = table_extra(&core->table, row);

	extra->tries = 0;
	if (previous != NSP_STATE_CONFIGURED)
		extra->configured = clock_ms();
}

void row_state(struct nsp_core *core, uint32_t id, struct row *row, uint32_t state, int error, const char *text)
{
	uint32_t previous = row->state;
	enum row_list list = state != NSP_STATE_CONFIGURED	       ? LIST_OPEN :
			     row->flags & (ITEM_GATEWAY | ITEM_SOURCE) ? LIST_VIA :
									 LIST_DIRECT;
	if (error > UINT8_MAX) /* ENOTSUPP and the like, which user space has no names for */
		error = EOPNOTSUPP;
	if (state == NSP_STATE_FAILED && is_retried(core, row, error))
		state = NSP_STATE_RETRYING;
	bool same_error = row->error == error;

	row->error = (uint8_t)error;
	set_text(core, row, text);
	if (row->list != list) {
		slot_unlink(core, row);
		slot_link(core, id, row, list);
	}
	if (state == NSP_STATE_RETRYING || row_is_unreachable(core, row, state))
		count_try(core, row);
	else if (state == NSP_STATE_FAILED)
		table_extra_make(&core->table, row)->tries++;
	else if (state == NSP_STATE_CONFIGURED && row->extra)
		count_success(core, row, previous);
	if (error && state != NSP_STATE_CONFIGURED)
		core->errors[row->kind][error]++;
	if (previous == state && same_error)
		return;
	if (previous != state)
		row->since = core_date(core);
	core->rows_by_state[row->kind][previous]--;
	core->rows_by_state[row->kind][state]++;
	row->state = (uint8_t)state;
	if (row->flags & ROW_WANTED)
		entry_put_change(core, row, state, previous);
}

void row_give_verdict(struct nsp_core *core, struct row *row, uint32_t state)
{
	if (!(row->flags & ROW_VERDICT_DUE))
		return;
	row->flags &= (uint16_t)~ROW_VERDICT_DUE;
	request_settle(core, row->request, row, state);
}

void row_drop(struct nsp_core *core, uint32_t id, struct row *row)
{
	uint32_t number = row->slot;
	struct slot *slot = core->slots[number];

	row_unblock(core, row);
	if (slot->ready || slot->leaving)
		row_released(core, row);
	if (row->state != NSP_STATE_NONE)
		entry_put_change(core, row, NSP_STATE_REMOVED, row->state);
	row_give_verdict(core, row, NSP_STATE_REMOVED);
	core->rows_by_state[row->kind][row->state]--;
	core->origins[row->origin].rows--;
	slot_unlink(core, row);
	table_remove(&core->table, id);
	if (--slot->rows)
		return;
	hop_links_release(core, slot);
	core_notice(core, number, NSP_NOTICE_EMPTY);
}

void row_unwant(struct nsp_core *core, uint32_t id, struct row *row, struct request *request, bool express)
{
	row_give_verdict(core, row, NSP_STATE_SUPERSEDED);
	row->flags &= (uint16_t)~ROW_WANTED;
	row->request = request->serial;
	if (row_may_be_held(row))
		row->flags |= ROW_HELD;
	if (!(row->flags & (ROW_HELD | ROW_SENT))) {
		row->flags &= (uint16_t)~ROW_QUEUED;
		request_count(request, NSP_STATE_REMOVED);
		row_drop(core, id, row);
		return;
	}
	row->flags |= ROW_VERDICT_DUE;
	request->outstanding++;
	queue_row(core, id, row, express);
}

void row_block(struct nsp_core *core, struct row *row)
{
	if (row->flags & ROW_BLOCKED)
		return;
	row->flags |= ROW_BLOCKED;
	slot_block(core, row->slot);
}

void row_unblock(struct nsp_core *core, struct row *row)
{
	if (!(row->flags & ROW_BLOCKED))
		return;
	row->flags &= (uint16_t)~ROW_BLOCKED;
	slot_unblock(core, row->slot);
}

bool row_is_as(const struct nsp_core *core, const struct row *row, const struct decoded *decoded)
{
	const struct kind *kind = kinds[row->kind];

	return (row->flags & ITEM_FLAGS) == decoded->flags &&
	       bytes_are(row->body + kind->key_size, decoded->body + kind->key_size, (size_t)(kind->body_size - kind->key_size)) &&
	       (!(decoded->flags & ITEM_SOURCE) || !memcmp(core->table.extras[row->extra].source, decoded->source, 16));
}

const uint8_t *row_kernel_body(const struct row *row, uint32_t table, uint8_t *body)
{
	const struct kind *kind = kinds[row->kind];

	if (likely(!table) || kind_table(kind, row->body) != RT_TABLE_MAIN)
		return row->body;
	memcpy(body, row->body, kind->body_size);
	memcpy(body + kind->table, &table, sizeof(table));
	return body;
}

int row_encode(const struct nsp_core *core, struct nsp_batch *batch, const struct row *row, int32_t ifindex, uint32_t table,
	       enum encode_mode mode, uint32_t nexthop)
{
	struct netns *netns = core->netns[core->slots[row->slot]->netns];
	struct item item = row_item(&core->table, row);
	uint8_t hops[HOPS_BYTES], body[KIND_BODY_MAX];
	bool deletes = mode == ENCODE_DELETE || mode == ENCODE_DELETE_ANY;

	if (!deletes && hops_have_links(item.hops, item.hops_len) && !row_item_resolved(core, row, &item, hops))
		return -ENODEV;
	if (!deletes && kind_may_be_hit(row->kind, row->body))
		netns_note_inexact(netns);
	item.body = row_kernel_body(row, table, body);
	item.nexthop = deletes ? 0 : nexthop;
	int index = deletes ? kind_delete(batch, &item, ifindex, mode, netns->inexact) :
			      kinds[row->kind]->encode(kinds[row->kind], batch, &item, ifindex, mode);
	if (index >= 0 && netns->drops_echo && kinds[row->kind]->echoed && !(deletes && netns->inexact))
		((struct nlmsghdr *)(void *)(batch->buf + batch->last))->nlmsg_flags |= NLM_F_ECHO;
	return index;
}

void row_withdraw(struct nsp_core *core, const struct row *row, uint32_t netns, int32_t ifindex, uint32_t table)
{
	struct nsp_op *op = op_new_unasked();

	nsp_op_stage(op, netns, 0);
	row_encode(core, op_room(op, KIND_MESSAGE_MAX), row, ifindex, table, ENCODE_DELETE_ANY, 0);
	queue_push_op(core, &core->withdrawals, op);
}

static void unblock_on(struct nsp_core *core, uint32_t slot, const struct row *row)
{
	uint8_t body[KIND_BODY_MAX];
	uint32_t id = slot_row_of(core, slot, row->kind, row_kernel_body(row, core->slots[row->slot]->table, body), ROW_BLOCKED);

	if (!id)
		return;
	row_unblock(core, table_row(&core->table, id));
	queue_row(core, id, table_row(&core->table, id), false);
}

void row_released(struct nsp_core *core, struct row *row)
{
	const struct slot *slot = core->slots[row->slot];
	const struct netns *netns = core->netns[slot->netns];

	row_restore(core, row);
	if (!netns->first_blocked)
		return;
	if (kinds[row->kind]->per_link) {
		for (uint32_t s = slot_on_link(core, slot->netns, slot->ifindex); s; s = slot_next_on_link(core, s))
			unblock_on(core, s, row);
		return;
	}
	for (uint32_t s = netns->first_blocked, next; s; s = next) {
		next = core->slots[s]->next_blocked;
		unblock_on(core, s, row);
	}
}
