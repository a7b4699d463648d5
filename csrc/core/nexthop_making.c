/* SPDX-License-Identifier: Apache-2.0 */
/* Nexthop objects are made in front of the routes that go by them. */
#include "core/lock.h"
#include "core/netns.h"
#include "core/nexthop_table.h"
#include "core/nexthops.h"

#define SHARED_BY 8 /* so many rows of a set make its object worth its cost */
#define MADE_AT_ONCE 256
#define ATTEMPTS 64 /* at a number that nobody has */
#define MAKING_BYTES (MADE_AT_ONCE * 128 + HOPS_MAX * 16)

struct making {
	struct nsp_core *core;
	uint32_t netns;
	uint32_t numbers[MADE_AT_ONCE]; /* in the list; of messages that make one or ask whether it could be made */
	int errors[MADE_AT_ONCE];
	uint32_t count;
};

static void making_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct making *making = arg;

	(void)text;
	if (index < making->count)
		making->errors[index] = error;
}
static bool put_group(struct nsp_core *core, struct nsp_batch *batch, const struct nexthop *nexthop, int mode)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	unsigned count = hops_count(set->bytes, set->len);
	struct nsp_nexthop_member members[HOPS_MAX];

	for (unsigned i = 0; i < count; i++) {
		uint32_t one = nexthop_take_member(core, nexthop->set, i);
		struct nexthop *member = nexthop_find(core, nexthop->netns, one, nexthop->ifindex);
		struct nsp_hop hop;

		hops_get(core->table.sets.entries[nexthop->set].bytes, i, &hop);
		if (member && member->made)
			members[i] = (struct nsp_nexthop_member){ .id = member->id, .weight = hop.weight };
		bool there = member && member->made;
		interned_drop(&core->table.sets, one);
		if (!there)
			return false;
	}
	return nsp_nexthop_put_group(batch, nexthop->id, NSP_PROTOCOL, members, count, mode) >= 0;
}
static void send_all(struct making *making, struct nsp_batch *batch)
{
	struct nsp_core *core = making->core;
	struct nsp_error err = { 0 };

	core_unlock(core);
	struct nsp_socket *sock = netns_socket(core, making->netns, &err);
	int rc = sock ? nsp_batch_send(sock, batch, making_failed, NULL, making, &err) : -err.code;
	core_lock(core);
	core->batches++;
	for (uint32_t i = 0; rc < 0 && i < making->count; i++)
		if (!making->errors[i])
			making->errors[i] = -rc;
}

/* Those of one sort: single ones, and then groups of them. What cannot be made is forgotten. */
static void make(struct making *making, bool groups, uint8_t *buf)
{
	struct nsp_core *core = making->core;
	struct making round = { .core = core, .netns = making->netns };
	struct nsp_batch batch;

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		nsp_batch_init(&batch, buf, MAKING_BYTES);
		round.count = 0;
		for (uint32_t i = 0; i < making->count; i++) {
			struct nexthop *nexthop = &core->nexthops.list[making->numbers[i]];
			if (!nexthop->id || nexthop->made || nexthop_is_group(core, nexthop) != groups)
				continue;
			if (batch.cap - batch.len < KIND_MESSAGE_MAX ||
			    (groups && !put_group(core, &batch, nexthop, NSP_PUT_NEW))) {
				nexthop_forget(core, nexthop);
				continue;
			}
			if (!groups)
				nexthop_put_one(&batch, core->table.sets.entries[nexthop->set].bytes, 0, nexthop->ifindex,
						nexthop->id, NSP_PUT_NEW);
			round.errors[round.count] = 0;
			round.numbers[round.count++] = making->numbers[i];
		}
		if (!round.count)
			return;
		send_all(&round, &batch);
		for (uint32_t i = 0; i < round.count; i++) {
			struct nexthop *nexthop = &core->nexthops.list[round.numbers[i]];
			if (!nexthop->id) /* its link went meanwhile */
				continue;
			if (round.errors[i] == EOPNOTSUPP)
				core->nexthops.on = false; /* this kernel has none */
			if (round.errors[i] == EEXIST) {
				nexthop_renumber(core, nexthop);
			} else if (round.errors[i]) {
				nexthop_forget(core, nexthop);
			} else {
				nexthop->made = true;
			}
		}
	}
}

/* Asks whether those whose gateways are in doubt could still be made: by making others, which go at once. Those that could not are
 * forgotten, and deleted when they are found to have no route any more. */
static void ask(struct making *making, uint8_t *buf)
{
	struct nsp_core *core = making->core;
	struct making asked = { .core = core, .netns = making->netns };
	uint32_t ids[MADE_AT_ONCE];
	struct nsp_batch batch;

	nsp_batch_init(&batch, buf, MAKING_BYTES);
	for (uint32_t i = 0; i < making->count; i++) {
		struct nexthop *nexthop = &core->nexthops.list[making->numbers[i]];
		if (!nexthop->id || !nexthop->made || !nexthop->unsure)
			continue;
		const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
		unsigned hops = hops_count(set->bytes, set->len);
		if (asked.count + hops > MADE_AT_ONCE || batch.cap - batch.len < hops * 128) {
			nexthop_forget(core, nexthop); /* it is made anew */
			continue;
		}
		nexthop->unsure = false;
		for (unsigned hop = 0; hop < hops; hop++) {
			ids[asked.count] = nexthop_next_id(core, nexthop->netns);
			nexthop_put_one(&batch, set->bytes, hop, nexthop->ifindex, ids[asked.count], NSP_PUT_NEW);
			asked.errors[asked.count] = 0;
			asked.numbers[asked.count++] = making->numbers[i];
		}
	}
	if (!asked.count)
		return;
	send_all(&asked, &batch);
	struct making gone = { .core = core, .netns = making->netns };
	nsp_batch_init(&batch, buf, MAKING_BYTES);
	for (uint32_t i = 0; i < asked.count; i++)
		if (!asked.errors[i])
			nsp_nexthop_delete(&batch, ids[i]);
	if (batch.count)
		send_all(&gone, &batch);
	for (uint32_t i = 0; i < asked.count; i++) {
		struct nexthop *nexthop = &core->nexthops.list[asked.numbers[i]];
		if (asked.errors[i] && asked.errors[i] != EEXIST && nexthop->id)
			nexthop_forget(core, nexthop);
	}
}

/* Notes that the object of this set is to be made, or asked about. */
static void want(struct making *making, uint32_t set, int32_t ifindex)
{
	struct nsp_core *core = making->core;
	struct nexthop *nexthop = nexthop_find(core, making->netns, set, ifindex);

	if ((nexthop && (!nexthop->made || !nexthop->unsure)) || making->count == MADE_AT_ONCE)
		return;
	if (!nexthop)
		nexthop = nexthop_insert(core, making->netns, set, ifindex, nexthop_next_id(core, making->netns));
	making->numbers[making->count++] = (uint32_t)(nexthop - core->nexthops.list);
}

static void want_all(struct making *making, const struct row *row)
{
	struct nsp_core *core = making->core;
	uint32_t set = row_set(row);
	int32_t ifindex = core->slots[row->slot]->ifindex;
	const struct nexthop *nexthop = nexthop_find(core, making->netns, set, ifindex);

	if (nexthop && nexthop->made && !nexthop->unsure)
		return;
	unsigned count = hops_count(core->table.sets.entries[set].bytes, core->table.sets.entries[set].len);
	if (making->count + count >= MADE_AT_ONCE)
		return;
	for (unsigned i = 0; i < count && count > 1; i++) {
		uint32_t one = nexthop_take_member(core, set, i);
		want(making, one, ifindex);
		interned_drop(&core->table.sets, one);
	}
	want(making, set, ifindex);
}

static void gather(struct making *making, const uint32_t *rows, uint32_t count)
{
	struct nsp_core *core = making->core;

	for (uint32_t i = 0; i < count; i++) {
		if (!rows[i] || !table_has(&core->table, rows[i]))
			continue;
		const struct row *row = table_row(&core->table, rows[i]);
		const struct slot *slot = core->slots[row->slot];
		if ((row->flags & (ROW_WANTED | ROW_QUEUED)) == (ROW_WANTED | ROW_QUEUED) && slot->ready &&
		    slot->netns == making->netns && nexthop_suits(core, row) &&
		    core->table.sets.entries[row_set(row)].count >= SHARED_BY)
			want_all(making, row);
	}
}

void nexthops_make(struct nsp_core *core, uint32_t netns, const uint32_t *rows, uint32_t count)
{
	struct making making = { .core = core, .netns = netns };

	if (!core->nexthops.on)
		return;
	gather(&making, rows, count);
	if (!making.count)
		return;
	cleanup_free uint8_t *buf = malloc(MAKING_BYTES);
	if (!buf)
		abort();
	ask(&making, buf);
	uint32_t left = 0;
	for (uint32_t i = 0; i < making.count; i++) {
		const struct nexthop *nexthop = &core->nexthops.list[making.numbers[i]];
		if (nexthop->id && !nexthop->made)
			making.numbers[left++] = making.numbers[i];
	}
	making.count = left;
	gather(&making, rows, count); /* those that were forgotten */
	make(&making, false, buf);
	make(&making, true, buf);
}
