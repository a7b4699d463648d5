/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a row: queued, judged, blocked, dropped. */
#include "core/row.h"

#include "core/changes.h"
#include "core/clock.h"
#include "core/completed.h"
#include "core/misdeleted.h"
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
	if (replaced && !(row->flags & WISH_OVERRIDE))
		return DUE_GIVE_BACK;
	return row->flags & ROW_REFUSED ? DUE_DELETE : DUE_REPLACE;
}

void row_gone(struct nsp_core *core, uint32_t id, struct row *row)
{
	row->flags &= (uint16_t)~(ROW_HELD | ROW_QUEUED | ROW_SEEN | ROW_UNDONE);
	if (WISH_TYPE_IS_ROUTE(row->type) && !(row->flags & WISH_VIA) && core->slots[row->slot]->heads[LIST_VIA])
		slot_rejudge_later(core, row->slot, NSP_JUDGE_GATEWAYS);
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
	enum row_list list = state != NSP_STATE_CONFIGURED					    ? LIST_OPEN :
			     WISH_TYPE_IS_ROUTE(row->type) && row->flags & (WISH_VIA | WISH_SOURCE) ? LIST_VIA :
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
	if (previous == state && same_error)
		return;
	if (previous != state)
		row->since = clock_date();
	core->rows_by_state[WISH_KIND(row->type)][previous]--;
	core->rows_by_state[WISH_KIND(row->type)][state]++;
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
	if (slot->ready)
		row_released(core, row);
	if (row->state != NSP_STATE_NONE)
		entry_put_change(core, row, NSP_STATE_REMOVED, row->state);
	row_give_verdict(core, row, NSP_STATE_REMOVED);
	core->rows_by_state[WISH_KIND(row->type)][row->state]--;
	core->origins[row->origin].rows--;
	slot_unlink(core, row);
	table_remove(&core->table, id);
	if (--slot->rows == 0)
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
	struct slot *slot = core->slots[row->slot];

	if (row->flags & ROW_BLOCKED)
		return;
	row->flags |= ROW_BLOCKED;
	slot->blocked++;
	core->netns[slot->netns]->blocked++;
}

void row_unblock(struct nsp_core *core, struct row *row)
{
	struct slot *slot = core->slots[row->slot];

	if (!(row->flags & ROW_BLOCKED))
		return;
	row->flags &= (uint16_t)~ROW_BLOCKED;
	slot->blocked--;
	core->netns[slot->netns]->blocked--;
}

bool row_is_as(const struct nsp_core *core, const struct row *row, const struct wish *wish)
{
	if ((row->flags & WISH_FLAGS) != wish->flags || row->scope != wish->scope || memcmp(row->via, wish->via, 16))
		return false;
	return !(wish->flags & WISH_SOURCE) || !memcmp(core->table.extras[row->extra].source, wish->source, 16);
}

int row_encode(const struct nsp_core *core, struct nsp_batch *batch, const struct row *row, int32_t ifindex, bool deletes, int mode)
{
	uint8_t family = WISH_TYPE_IS_V6(row->type) ? AF_INET6 : AF_INET;

	if (WISH_TYPE_IS_ROUTE(row->type)) {
		struct nsp_route route = { .family = family,
					   .dst_len = row->dst_len,
					   .proto = NSP_PROTOCOL,
					   .table = row->table,
					   .metric = row->metric,
					   .oif = ifindex,
					   .scope = row->scope };
		memcpy(route.dst, row->dst, 16);
		memcpy(route.gateway, row->via, 16);
		if (row->flags & WISH_VIA && !(deletes && mode == ROW_ANY_GATEWAY))
			route.fields |= NSP_ROUTE_GATEWAY;
		if (row->flags & WISH_ONLINK)
			route.fields |= NSP_ROUTE_ONLINK;
		if (row->flags & WISH_SCOPE)
			route.fields |= NSP_ROUTE_SCOPE;
		if (row->flags & WISH_SOURCE) {
			route.fields |= NSP_ROUTE_SOURCE;
			memcpy(route.source, core->table.extras[row->extra].source, 16);
		}
		struct netns *netns = core->netns[core->slots[row->slot]->netns];
		if (deletes)
			return misdeleted_ask(netns, batch, &route);
		netns->metrics |= family == AF_INET && route.metric;
		return nsp_route_put(batch, &route, mode);
	}
	struct nsp_neigh neigh = { .index = ifindex, .family = family, .proto = NSP_PROTOCOL, .mac_len = 6 };
	memcpy(neigh.dst, row->dst, 16);
	memcpy(neigh.mac, row->via, 6);
	return deletes ? nsp_neigh_delete(batch, &neigh) : nsp_neigh_put(batch, &neigh, mode);
}

void row_withdraw(struct nsp_core *core, const struct row *row, uint32_t netns, int32_t ifindex)
{
	struct nsp_op *op = op_new_unasked();

	nsp_op_stage(op, netns, 0);
	row_encode(core, nsp_op_room(op), row, ifindex, true, ROW_ANY_GATEWAY);
	queue_push_op(core, &core->withdrawals, op);
}

void row_released(struct nsp_core *core, struct row *row)
{
	struct netns *netns = core->netns[core->slots[row->slot]->netns];

	row_restore(core, row);
	for (uint32_t s = netns->blocked ? netns->first_slot : NIL; s; s = core->slots[s]->next) {
		if (!core->slots[s]->blocked || s == row->slot)
			continue;
		uint32_t id = table_find(&core->table, s, row->type, row->dst, row->dst_len, row->metric, row->table);
		if (!id || !(table_row(&core->table, id)->flags & ROW_BLOCKED))
			continue;
		row_unblock(core, table_row(&core->table, id));
		queue_row(core, id, table_row(&core->table, id), false);
	}
}
