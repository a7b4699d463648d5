/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nexthops.h"

#include "core/changes.h"
#include "core/lock.h"
#include "core/netns.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/row.h"
#include "core/slots.h"
#include "kinds/route.h"

#define SHARED_BY 8	  /* so many rows of a set make its object worth its cost */
#define RANGE 0x6e000000u /* of their numbers, as far as the lowest three bytes go */
#define RANGE_MASK 0xff000000u

/* ---- the table ---- */

static uint32_t *key_bucket(const struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex)
{
	uint64_t h = hash_mix(&core->table.secret, (uint64_t)netns << 32 | set, (uint32_t)ifindex);

	return &core->nexthops.by_key[h & core->nexthops.mask];
}

static uint32_t *id_bucket(const struct nsp_core *core, uint32_t netns, uint32_t id)
{
	return &core->nexthops.by_id[hash_mix(&core->table.secret, netns, id) & core->nexthops.mask];
}

static struct nexthop *find_key(const struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex)
{
	const struct nexthops *all = &core->nexthops;

	for (uint32_t at = all->live ? *key_bucket(core, netns, set, ifindex) : 0; at; at = all->list[at].next_key) {
		struct nexthop *nexthop = &all->list[at];
		if (nexthop->netns == netns && nexthop->set == set && nexthop->ifindex == ifindex)
			return nexthop;
	}
	return NULL;
}

static struct nexthop *find_id(const struct nsp_core *core, uint32_t netns, uint32_t id)
{
	const struct nexthops *all = &core->nexthops;

	for (uint32_t at = all->live ? *id_bucket(core, netns, id) : 0; at; at = all->list[at].next_id)
		if (all->list[at].netns == netns && all->list[at].id == id)
			return &all->list[at];
	return NULL;
}

static void link_id(struct nsp_core *core, uint32_t number)
{
	struct nexthop *nexthop = &core->nexthops.list[number];
	uint32_t *bucket = id_bucket(core, nexthop->netns, nexthop->id);

	nexthop->next_id = *bucket;
	*bucket = number;
}

static void unlink_id(struct nsp_core *core, uint32_t number)
{
	const struct nexthop *nexthop = &core->nexthops.list[number];
	uint32_t *at = id_bucket(core, nexthop->netns, nexthop->id);

	while (*at != number)
		at = &core->nexthops.list[*at].next_id;
	*at = nexthop->next_id;
}

static void link_key(struct nsp_core *core, uint32_t number)
{
	struct nexthop *nexthop = &core->nexthops.list[number];
	uint32_t *bucket = key_bucket(core, nexthop->netns, nexthop->set, nexthop->ifindex);

	nexthop->next_key = *bucket;
	*bucket = number;
}

static void grow(struct nsp_core *core)
{
	struct nexthops *all = &core->nexthops;
	uint32_t size = all->by_key ? (all->mask + 1) * 2 : 64;

	free(all->by_key);
	free(all->by_id);
	all->by_key = calloc(size, sizeof(uint32_t));
	all->by_id = calloc(size, sizeof(uint32_t));
	if (!all->by_key || !all->by_id)
		abort();
	all->mask = size - 1;
	for (uint32_t i = 1; i < all->count; i++)
		if (all->list[i].id) {
			link_key(core, i);
			link_id(core, i);
		}
}

static struct nexthop *insert(struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex, uint32_t id)
{
	struct nexthops *all = &core->nexthops;
	uint32_t number = all->free;

	if (!all->by_key || all->live > all->mask)
		grow(core);
	if (number) {
		all->free = all->list[number].next_key;
	} else {
		if (!all->count)
			all->count = 1; /* 0 is none */
		while (all->count >= all->cap)
			all->list = array_grow(all->list, &all->cap, sizeof(*all->list));
		number = all->count++;
	}
	all->list[number] = (struct nexthop){ .id = id, .netns = netns, .set = set, .ifindex = ifindex, .used = true };
	interned_hold(&core->table.sets, set);
	core->netns[netns]->nexthops++;
	all->live++;
	link_key(core, number);
	link_id(core, number);
	return &all->list[number];
}

static void forget(struct nsp_core *core, struct nexthop *nexthop)
{
	struct nexthops *all = &core->nexthops;
	uint32_t number = (uint32_t)(nexthop - all->list);
	uint32_t *at = key_bucket(core, nexthop->netns, nexthop->set, nexthop->ifindex);

	while (*at != number)
		at = &all->list[*at].next_key;
	*at = nexthop->next_key;
	unlink_id(core, number);
	interned_drop(&core->table.sets, nexthop->set);
	core->netns[nexthop->netns]->nexthops--;
	all->live--;
	*nexthop = (struct nexthop){ .next_key = all->free };
	all->free = number;
}

void nexthops_free(struct nexthops *nexthops)
{
	free(nexthops->list);
	free(nexthops->by_key);
	free(nexthops->by_id);
}

static uint32_t next_id(struct nsp_core *core, uint32_t netns)
{
	do
		core->nexthops.last_id = RANGE | ((core->nexthops.last_id + 1) & ~RANGE_MASK);
	while (find_id(core, netns, core->nexthops.last_id));
	return core->nexthops.last_id;
}

/* ---- rows ---- */

bool nexthop_suits(const struct nsp_core *core, const struct row *row)
{
	return core->nexthops.on && row_set(row) && !row->inlined && !(row->flags & kinds[row->kind]->inline_flags);
}

uint32_t nexthop_of(struct nsp_core *core, const struct row *row)
{
	const struct slot *slot = core->slots[row->slot];
	struct nexthop *nexthop = nexthop_suits(core, row) ? find_key(core, slot->netns, row_set(row), slot->ifindex) : NULL;

	if (!nexthop || !nexthop->made)
		return 0;
	nexthop->used = true;
	return nexthop->id;
}

void nexthop_resolve(const struct nsp_core *core, uint32_t netns, struct object *object)
{
	const struct nexthop *nexthop = object->nexthop ? find_id(core, netns, object->nexthop) : NULL;
	struct wish *wish = &object->wish;

	if (!nexthop)
		return;
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	object->plain = true;
	object->ifindex = nexthop->ifindex;
	wish->flags |= ITEM_GATEWAY;
	wish->hops_len = (uint16_t)set->len;
	memcpy(object->hops, set->bytes, set->len);
	memset(wish->hops, 0, sizeof(wish->hops)); /* a longer one begins at 0 */
	if (set->len <= HOPS_SHORT)
		memcpy(wish->hops, set->bytes, set->len);
	if (hops_count(set->bytes, set->len) == 1 && set->bytes[set->len - 1])
		wish->flags |= kinds[wish->kind]->onlink_flag;
}

/* What is somebody else's doing is told of, and is not repaired for ever. */
static void write_again(struct nsp_core *core, uint32_t id, struct row *row, bool by_others)
{
	if (row->flags & ROW_SENT) {
		row->flags |= ROW_UNDONE;
	} else if (!(row->flags & ROW_WANTED) || row->flags & ROW_REFUSED) {
		row_gone(core, id, row);
	} else {
		row->flags = (uint16_t)((row->flags & ~(ROW_HELD | ROW_SEEN)) | ROW_UNDONE);
		if (row_is_contested(row))
			return;
		if (!by_others) {
			queue_row(core, id, row, false);
			return;
		}
		core->missing++;
		entry_put_drift(core, row, "missing");
		row_repair(core, id, row, "somebody else deletes its nexthop object");
	}
}

/* The rows of a link, or those of one set (not 0), that went by objects which have gone. */
static void rows_dropped(struct nsp_core *core, uint32_t netns, int32_t ifindex, uint32_t set, bool by_others)
{
	for (uint32_t s = slot_on_link(core, netns, ifindex); s; s = slot_next_on_link(core, s))
		for (int list = 0; list < LISTS; list++)
			for (uint32_t id = core->slots[s]->heads[list]; id;) {
				struct row *row = table_row(&core->table, id);
				uint32_t next = row->next;
				if (row->by_object && (!set || row_set(row) == set) && row->flags & (ROW_HELD | ROW_SENT))
					write_again(core, id, row, by_others);
				id = next;
			}
}

/* Calls it with each of a namespace's that are on the link or, with 0, on any. */
static void each(struct nsp_core *core, uint32_t netns, int32_t ifindex, void (*fn)(struct nsp_core *core, struct nexthop *nexthop))
{
	for (uint32_t i = 1; i < core->nexthops.count && core->netns[netns]->nexthops; i++) {
		struct nexthop *nexthop = &core->nexthops.list[i];
		if (nexthop->id && nexthop->netns == netns && (!ifindex || nexthop->ifindex == ifindex))
			fn(core, nexthop);
	}
}

static void doubt(struct nsp_core *core, struct nexthop *nexthop)
{
	(void)core;
	nexthop->unsure = true;
}

void nexthops_doubt(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	each(core, netns, ifindex, doubt);
}

void nexthops_forget(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	each(core, netns, ifindex, forget);
}

void nexthops_dropped(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	uint32_t before = core->netns[netns]->nexthops;

	nexthops_forget(core, netns, ifindex);
	if (core->netns[netns]->nexthops != before)
		rows_dropped(core, netns, ifindex, 0, false);
}

/* ---- making them ---- */

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

/* The one next hop of a set of one. */
static void put_one(struct nsp_batch *batch, const uint8_t *set, unsigned i, int32_t ifindex, uint32_t id, int mode)
{
	struct nsp_nexthop nexthop = { .id = id, .family = set[0], .proto = NSP_PROTOCOL };

	hops_get(set, i, &nexthop.hop);
	nexthop.hop.oif = ifindex;
	nsp_nexthop_put(batch, &nexthop, mode);
}

/* The number of the set that has this hop alone, whatever its weight; counted once more. */
static uint32_t take_member(struct nsp_core *core, uint32_t set, unsigned i)
{
	const uint8_t *bytes = core->table.sets.entries[set].bytes;
	uint8_t one[HOPS_SHORT];
	struct nsp_hop hop;

	hops_get(bytes, i, &hop);
	uint16_t len = hops_pack_one(one, bytes[0], hop.gateway, hop.onlink);
	return interned_take(&core->table.sets, &core->table.secret, one, len);
}

static bool put_group(struct nsp_core *core, struct nsp_batch *batch, const struct nexthop *nexthop, int mode)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	unsigned count = hops_count(set->bytes, set->len);
	struct nsp_nexthop_member members[HOPS_MAX];

	for (unsigned i = 0; i < count; i++) {
		uint32_t one = take_member(core, nexthop->set, i);
		struct nexthop *member = find_key(core, nexthop->netns, one, nexthop->ifindex);
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

static bool is_group(const struct nsp_core *core, const struct nexthop *nexthop)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];

	return hops_count(set->bytes, set->len) > 1;
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
			if (!nexthop->id || nexthop->made || is_group(core, nexthop) != groups)
				continue;
			if (batch.cap - batch.len < KIND_MESSAGE_MAX ||
			    (groups && !put_group(core, &batch, nexthop, NSP_PUT_NEW))) {
				forget(core, nexthop);
				continue;
			}
			if (!groups)
				put_one(&batch, core->table.sets.entries[nexthop->set].bytes, 0, nexthop->ifindex, nexthop->id,
					NSP_PUT_NEW);
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
				unlink_id(core, round.numbers[i]);
				nexthop->id = next_id(core, nexthop->netns);
				link_id(core, round.numbers[i]);
			} else if (round.errors[i]) {
				forget(core, nexthop);
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
			forget(core, nexthop); /* it is made anew */
			continue;
		}
		nexthop->unsure = false;
		for (unsigned hop = 0; hop < hops; hop++) {
			ids[asked.count] = next_id(core, nexthop->netns);
			put_one(&batch, set->bytes, hop, nexthop->ifindex, ids[asked.count], NSP_PUT_NEW);
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
			forget(core, nexthop);
	}
}

/* Notes that the object of this set is to be made, or asked about. */
static void want(struct making *making, uint32_t set, int32_t ifindex)
{
	struct nsp_core *core = making->core;
	struct nexthop *nexthop = find_key(core, making->netns, set, ifindex);

	if ((nexthop && (!nexthop->made || !nexthop->unsure)) || making->count == MADE_AT_ONCE)
		return;
	if (!nexthop)
		nexthop = insert(core, making->netns, set, ifindex, next_id(core, making->netns));
	making->numbers[making->count++] = (uint32_t)(nexthop - core->nexthops.list);
}

static void want_all(struct making *making, const struct row *row)
{
	struct nsp_core *core = making->core;
	uint32_t set = row_set(row);
	int32_t ifindex = core->slots[row->slot]->ifindex;
	const struct nexthop *nexthop = find_key(core, making->netns, set, ifindex);

	if (nexthop && nexthop->made && !nexthop->unsure)
		return;
	unsigned count = hops_count(core->table.sets.entries[set].bytes, core->table.sets.entries[set].len);
	if (making->count + count >= MADE_AT_ONCE)
		return;
	for (unsigned i = 0; i < count && count > 1; i++) {
		uint32_t one = take_member(core, set, i);
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

/* ---- what others do ---- */

/* What a message says that one is, as a set of next hops on a link. Of a group that has members of others: false. */
static bool read_set(const struct nsp_core *core, uint32_t netns, const struct nsp_nexthop *nexthop,
		     const struct nsp_nexthop_member *members, int count, uint8_t out[HOPS_BYTES], uint16_t *len, int32_t *ifindex)
{
	struct nsp_hop hops[HOPS_MAX];
	uint8_t family = nexthop->family;

	if (!count) {
		*ifindex = nexthop->hop.oif;
		*len = hops_pack_one(out, family, nexthop->hop.gateway, nexthop->hop.onlink);
		return true;
	}
	for (int i = 0; i < count; i++) {
		const struct nexthop *member = find_id(core, netns, members[i].id);
		const struct interned_entry *set = member ? &core->table.sets.entries[member->set] : NULL;
		if (!set || hops_count(set->bytes, set->len) != 1 || (i && member->ifindex != *ifindex))
			return false;
		*ifindex = member->ifindex;
		family = set->bytes[0];
		hops_get(set->bytes, 0, &hops[i]);
		hops[i].weight = members[i].weight;
	}
	*len = hops_pack(out, family, hops, (unsigned)count);
	return true;
}

struct told {
	struct nsp_nexthop nexthop;
	struct nsp_nexthop_member members[HOPS_MAX];
	int count;
};

static bool read_told(const struct nlmsghdr *msg, struct told *told)
{
	told->count = nsp_nexthop_read(msg, &told->nexthop, told->members, HOPS_MAX);
	return told->count >= 0 || told->count == -EOPNOTSUPP;
}

static bool is_as_told(const struct nsp_core *core, const struct nexthop *nexthop, const struct told *told)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	uint8_t bytes[HOPS_BYTES];
	int32_t ifindex;
	uint16_t len;

	return told->count >= 0 &&
	       read_set(core, nexthop->netns, &told->nexthop, told->members, told->count, bytes, &len, &ifindex) &&
	       ifindex == nexthop->ifindex && len == set->len && !memcmp(bytes, set->bytes, len);
}

/* Somebody has changed it, and all its routes with it: it is put right, or its routes get another. */
static void put_right(struct nsp_core *core, struct nexthop *nexthop)
{
	const uint8_t *set = core->table.sets.entries[nexthop->set].bytes;

	core->altered++;
	if (is_group(core, nexthop)) {
		uint32_t number = nexthop->set, netns = nexthop->netns;
		int32_t ifindex = nexthop->ifindex;
		forget(core, nexthop);
		interned_hold(&core->table.sets, number);
		rows_dropped(core, netns, ifindex, number, true);
		interned_drop(&core->table.sets, number);
		return;
	}
	struct nsp_op *op = op_new_unasked();
	nsp_op_stage(op, nexthop->netns, 0);
	put_one(nsp_op_room(op), set, 0, nexthop->ifindex, nexthop->id, NSP_PUT_REPLACE);
	queue_push_op(core, &core->withdrawals, op);
}

void nexthop_heard(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *msg)
{
	struct told told;
	struct nexthop *nexthop = read_told(msg, &told) ? find_id(core, netns, told.nexthop.id) : NULL;

	if (!nexthop || !nexthop->made)
		return;
	if (msg->nlmsg_type == RTM_NEWNEXTHOP) {
		if (!is_as_told(core, nexthop, &told))
			put_right(core, nexthop);
		return;
	}
	uint32_t set = nexthop->set;
	int32_t ifindex = nexthop->ifindex;
	interned_hold(&core->table.sets, set);
	forget(core, nexthop);
	rows_dropped(core, netns, ifindex, set, true);
	interned_drop(&core->table.sets, set);
}

/* ---- reading ---- */

struct reading {
	struct nsp_core *core;
	uint32_t netns;
	struct messages groups; /* of which the members may come later */
};

static void take_told(struct reading *reading, const struct told *told)
{
	struct nsp_core *core = reading->core;
	struct nexthop *nexthop = find_id(core, reading->netns, told->nexthop.id);
	uint8_t set[HOPS_BYTES];
	int32_t ifindex;
	uint16_t len;

	if (nexthop) {
		nexthop->there = true;
		if (nexthop->made && !is_as_told(core, nexthop, told))
			put_right(core, nexthop);
		return;
	}
	/* One of an earlier life, or of another agent. */
	if (told->nexthop.proto != NSP_PROTOCOL || (told->nexthop.id & RANGE_MASK) != RANGE || told->count < 0 ||
	    !read_set(core, reading->netns, &told->nexthop, told->members, told->count, set, &len, &ifindex))
		return;
	uint32_t number = interned_take(&core->table.sets, &core->table.secret, set, len);
	nexthop = insert(core, reading->netns, number, ifindex, told->nexthop.id);
	nexthop->made = nexthop->there = true;
	nexthop->used = false;
	interned_drop(&core->table.sets, number);
}

static void nexthop_told(void *arg, uint32_t index, const void *msg)
{
	struct reading *reading = arg;
	struct told told;

	(void)index;
	if (!msg || !read_told(msg, &told))
		return;
	if (told.count > 0) {
		ARRAY_GROW(reading->groups.list, reading->groups.count, reading->groups.cap);
		reading->groups.list[reading->groups.count++] = array_copy(msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
		return;
	}
	core_lock(reading->core);
	take_told(reading, &told);
	core_unlock(reading->core);
}

static void begin_reading(struct nsp_core *core, struct nexthop *nexthop)
{
	(void)core;
	nexthop->used = nexthop->there = false;
}

/* What was not told of has gone: its routes are found missing. */
static void end_reading(struct nsp_core *core, struct nexthop *nexthop)
{
	if (nexthop->made && !nexthop->there && !nexthop->used)
		forget(core, nexthop);
}

int nexthops_read(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock, struct nsp_error *err)
{
	struct reading reading = { .core = core, .netns = netns };

	core_lock(core);
	bool on = core->nexthops.on || core->netns[netns]->nexthops;
	each(core, netns, 0, begin_reading);
	core_unlock(core);
	int rc = nsp_dump(sock, NSP_DUMP_NEXTHOPS, 0, 0, 0, nexthop_told, &reading, err);
	core_lock(core);
	for (uint32_t i = 0; i < reading.groups.count; i++) {
		struct told told;
		read_told(reading.groups.list[i], &told);
		if (rc >= 0)
			take_told(&reading, &told);
		for (int m = 0; m < told.count; m++) { /* one that a group of others has is not to go */
			struct nexthop *member = find_id(core, netns, told.members[m].id);
			if (member && !find_id(core, netns, told.nexthop.id))
				member->used = true;
		}
		free(reading.groups.list[i]);
	}
	free(reading.groups.list);
	if (rc >= 0)
		each(core, netns, 0, end_reading);
	core_unlock(core);
	return rc == -EOPNOTSUPP || !on ? 0 : rc;
}

void nexthop_seen(struct nsp_core *core, uint32_t netns, uint32_t id)
{
	struct nexthop *nexthop = id ? find_id(core, netns, id) : NULL;

	if (nexthop)
		nexthop->used = true;
}

static void route_told(void *arg, uint32_t index, const void *msg)
{
	struct reading *reading = arg;
	uint32_t id = msg ? route_nexthop(msg) : 0;

	(void)index;
	if (!id)
		return;
	core_lock(reading->core);
	nexthop_seen(reading->core, reading->netns, id);
	core_unlock(reading->core);
}

static bool is_unused(const struct nexthop *nexthop, uint32_t netns)
{
	return nexthop->id && nexthop->netns == netns && nexthop->made && !nexthop->used;
}

static bool has_unused(const struct nsp_core *core, uint32_t netns)
{
	for (uint32_t i = 1; i < core->nexthops.count && core->netns[netns]->nexthops; i++)
		if (is_unused(&core->nexthops.list[i], netns))
			return true;
	return false;
}

/* The members of a group that is used are. */
static void use_members(struct nsp_core *core, struct nexthop *nexthop)
{
	unsigned count = hops_count(core->table.sets.entries[nexthop->set].bytes, core->table.sets.entries[nexthop->set].len);

	for (unsigned i = 0; i < count && count > 1 && nexthop->used; i++) {
		uint32_t one = take_member(core, nexthop->set, i);
		struct nexthop *member = find_key(core, nexthop->netns, one, nexthop->ifindex);
		if (member)
			member->used = true;
		interned_drop(&core->table.sets, one);
	}
}

int nexthops_mark(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock, struct nsp_error *err)
{
	struct reading reading = { .core = core, .netns = netns };
	int rc = 0;

	core_lock(core);
	each(core, netns, 0, use_members);
	bool some = has_unused(core, netns);
	core_unlock(core);
	/* Routes of ours do not have them: perhaps others' do. */
	for (int v6 = 0; v6 < 2 && some && rc >= 0; v6++)
		rc = nsp_dump(sock, NSP_DUMP_ROUTES, v6 ? AF_INET6 : AF_INET, 0, 0, route_told, &reading, err);
	core_lock(core);
	each(core, netns, 0, use_members);
	core_unlock(core);
	return rc;
}

void nexthops_sweep(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock)
{
	uint8_t buf[MADE_AT_ONCE * 32];
	struct nsp_batch batch;

	for (int groups = 1; groups >= 0; groups--) /* a member takes itself out of its groups */
		for (bool more = true; more;) {
			nsp_batch_init(&batch, buf, sizeof(buf));
			core_lock(core);
			for (uint32_t i = 1; i < core->nexthops.count && batch.count < MADE_AT_ONCE; i++) {
				struct nexthop *nexthop = &core->nexthops.list[i];
				if (!is_unused(nexthop, netns) || is_group(core, nexthop) != groups)
					continue;
				nsp_nexthop_delete(&batch, nexthop->id);
				forget(core, nexthop);
			}
			core_unlock(core);
			more = batch.count == MADE_AT_ONCE;
			if (batch.count && nsp_batch_send(sock, &batch, NULL, NULL, NULL, NULL) < 0)
				return; /* what is left is found again */
		}
}

static void begin_leaving(struct nsp_core *core, struct nexthop *nexthop)
{
	(void)core;
	nexthop->used = false;
}

void nexthops_leave(struct nsp_core *core, uint32_t netns)
{
	struct nsp_error err = { 0 };

	if (!core->netns[netns]->nexthops)
		return;
	each(core, netns, 0, begin_leaving);
	core_unlock(core);
	struct nsp_socket *sock = netns_socket(core, netns, &err);
	if (sock && nexthops_mark(core, netns, sock, &err) >= 0)
		nexthops_sweep(core, netns, sock);
	core_lock(core);
}
