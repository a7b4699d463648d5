/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nexthops.h"

#include "core/changes.h"
#include "core/lock.h"
#include "core/netns.h"
#include "core/nexthop_table.h"
#include "core/op.h"
#include "core/queue.h"
#include "core/row.h"
#include "core/slots.h"
#include "kinds/route.h"

/* ---- rows ---- */

bool nexthop_suits(const struct nsp_core *core, const struct row *row)
{
	return core->nexthops.on && row_set(row) && core->slots[row->slot]->ifindex && !row->inlined &&
	       !(row->flags & kinds[row->kind]->inline_flags);
}

uint32_t nexthop_of(struct nsp_core *core, const struct row *row)
{
	const struct slot *slot = core->slots[row->slot];
	struct nexthop *nexthop = nexthop_suits(core, row) ? nexthop_find(core, slot->netns, row_set(row), slot->ifindex) : NULL;

	if (!nexthop || !nexthop->made)
		return 0;
	nexthop->used = true;
	return nexthop->id;
}

void nexthop_resolve(const struct nsp_core *core, uint32_t netns, struct object *object)
{
	const struct nexthop *nexthop = object->nexthop ? nexthop_find_id(core, netns, object->nexthop) : NULL;
	struct decoded *decoded = &object->decoded;

	if (!nexthop)
		return;
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	object->plain = true;
	object->ifindex = nexthop->ifindex;
	decoded->flags |= ITEM_GATEWAY;
	decoded->hops_len = (uint16_t)set->len;
	memcpy(object->hops, set->bytes, set->len);
	memset(decoded->hops, 0, sizeof(decoded->hops)); /* a longer one begins at 0 */
	if (set->len <= HOPS_SHORT)
		memcpy(decoded->hops, set->bytes, set->len);
	if (hops_count(set->bytes, set->len) == 1 && set->bytes[set->len - 1])
		decoded->flags |= kinds[decoded->kind]->onlink_flag;
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
static void doubt(struct nsp_core *core, struct nexthop *nexthop)
{
	(void)core;
	nexthop->unsure = true;
}

void nexthops_doubt(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	nexthops_each(core, netns, ifindex, doubt);
}

void nexthops_forget(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	nexthops_each(core, netns, ifindex, nexthop_forget);
}

void nexthops_dropped(struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	uint32_t before = core->netns[netns]->nexthops;

	nexthops_forget(core, netns, ifindex);
	if (core->netns[netns]->nexthops != before)
		rows_dropped(core, netns, ifindex, 0, false);
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
		const struct nexthop *member = nexthop_find_id(core, netns, members[i].id);
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

struct message {
	struct nsp_nexthop nexthop;
	struct nsp_nexthop_member members[HOPS_MAX];
	int count;
};

static bool read_message(const struct nlmsghdr *msg, struct message *message)
{
	message->count = nsp_nexthop_read(msg, &message->nexthop, message->members, HOPS_MAX);
	return message->count >= 0 || message->count == -EOPNOTSUPP;
}

static bool is_as(const struct nsp_core *core, const struct nexthop *nexthop, const struct message *message)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];
	uint8_t bytes[HOPS_BYTES];
	int32_t ifindex;
	uint16_t len;

	return message->count >= 0 &&
	       read_set(core, nexthop->netns, &message->nexthop, message->members, message->count, bytes, &len, &ifindex) &&
	       ifindex == nexthop->ifindex && len == set->len && !memcmp(bytes, set->bytes, len);
}

/* Somebody has changed it, and all its routes with it: it is put right, or its routes get another. */
static void put_right(struct nsp_core *core, struct nexthop *nexthop)
{
	const uint8_t *set = core->table.sets.entries[nexthop->set].bytes;

	core->altered++;
	if (nexthop_is_group(core, nexthop)) {
		uint32_t number = nexthop->set, netns = nexthop->netns;
		int32_t ifindex = nexthop->ifindex;
		nexthop_forget(core, nexthop);
		interned_hold(&core->table.sets, number);
		rows_dropped(core, netns, ifindex, number, true);
		interned_drop(&core->table.sets, number);
		return;
	}
	struct nsp_op *op = op_new_unasked();
	nsp_op_stage(op, nexthop->netns, 0);
	nexthop_put_one(nsp_op_room(op), set, 0, nexthop->ifindex, nexthop->id, NSP_PUT_REPLACE);
	queue_push_op(core, &core->withdrawals, op);
}

void nexthop_changed(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *msg)
{
	struct message message;
	struct nexthop *nexthop = read_message(msg, &message) ? nexthop_find_id(core, netns, message.nexthop.id) : NULL;

	if (!nexthop || !nexthop->made)
		return;
	if (msg->nlmsg_type == RTM_NEWNEXTHOP) {
		if (!is_as(core, nexthop, &message))
			put_right(core, nexthop);
		return;
	}
	uint32_t set = nexthop->set;
	int32_t ifindex = nexthop->ifindex;
	interned_hold(&core->table.sets, set);
	nexthop_forget(core, nexthop);
	rows_dropped(core, netns, ifindex, set, true);
	interned_drop(&core->table.sets, set);
}

#define DELETED_AT_ONCE 256

/* ---- reading ---- */

struct reading {
	struct nsp_core *core;
	uint32_t netns;
	struct messages groups; /* of which the members may come later */
};

static void take_message(struct reading *reading, const struct message *message)
{
	struct nsp_core *core = reading->core;
	struct nexthop *nexthop = nexthop_find_id(core, reading->netns, message->nexthop.id);
	uint8_t set[HOPS_BYTES];
	int32_t ifindex;
	uint16_t len;

	if (nexthop) {
		nexthop->there = true;
		if (nexthop->made && !is_as(core, nexthop, message))
			put_right(core, nexthop);
		return;
	}
	/* One of an earlier life, or of another agent. */
	if (message->nexthop.proto != NSP_PROTOCOL || (message->nexthop.id & NEXTHOP_RANGE_MASK) != NEXTHOP_RANGE ||
	    message->count < 0 ||
	    !read_set(core, reading->netns, &message->nexthop, message->members, message->count, set, &len, &ifindex))
		return;
	uint32_t number = interned_take(&core->table.sets, &core->table.secret, set, len);
	nexthop = nexthop_insert(core, reading->netns, number, ifindex, message->nexthop.id);
	nexthop->made = nexthop->there = true;
	nexthop->used = false;
	interned_drop(&core->table.sets, number);
}

static void nexthop_dumped(void *arg, uint32_t index, const void *msg)
{
	struct reading *reading = arg;
	struct message message;

	(void)index;
	if (!msg || !read_message(msg, &message))
		return;
	if (message.count > 0) {
		ARRAY_GROW(reading->groups.list, reading->groups.count, reading->groups.cap);
		reading->groups.list[reading->groups.count++] = array_copy(msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
		return;
	}
	core_lock(reading->core);
	take_message(reading, &message);
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
		nexthop_forget(core, nexthop);
}

int nexthops_read(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock, struct nsp_error *err)
{
	struct reading reading = { .core = core, .netns = netns };

	core_lock(core);
	bool on = core->nexthops.on || core->netns[netns]->nexthops;
	nexthops_each(core, netns, 0, begin_reading);
	core_unlock(core);
	int rc = nsp_dump(sock, NSP_DUMP_NEXTHOPS, 0, 0, 0, nexthop_dumped, &reading, err);
	core_lock(core);
	for (uint32_t i = 0; i < reading.groups.count; i++) {
		struct message message;
		read_message(reading.groups.list[i], &message);
		if (rc >= 0)
			take_message(&reading, &message);
		for (int m = 0; m < message.count; m++) { /* one that a group of others has is not to go */
			struct nexthop *member = nexthop_find_id(core, netns, message.members[m].id);
			if (member && !nexthop_find_id(core, netns, message.nexthop.id))
				member->used = true;
		}
		free(reading.groups.list[i]);
	}
	free(reading.groups.list);
	if (rc >= 0)
		nexthops_each(core, netns, 0, end_reading);
	core_unlock(core);
	return rc == -EOPNOTSUPP || !on ? 0 : rc;
}

void nexthop_seen(struct nsp_core *core, uint32_t netns, uint32_t id)
{
	struct nexthop *nexthop = id ? nexthop_find_id(core, netns, id) : NULL;

	if (nexthop)
		nexthop->used = true;
}

static void route_dumped(void *arg, uint32_t index, const void *msg)
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
		uint32_t one = nexthop_take_member(core, nexthop->set, i);
		struct nexthop *member = nexthop_find(core, nexthop->netns, one, nexthop->ifindex);
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
	nexthops_each(core, netns, 0, use_members);
	bool some = has_unused(core, netns);
	core_unlock(core);
	/* Routes of ours do not have them: perhaps others' do. */
	for (int v6 = 0; v6 < 2 && some && rc >= 0; v6++)
		rc = nsp_dump(sock, NSP_DUMP_ROUTES, v6 ? AF_INET6 : AF_INET, 0, 0, route_dumped, &reading, err);
	core_lock(core);
	nexthops_each(core, netns, 0, use_members);
	core_unlock(core);
	return rc;
}

void nexthops_sweep(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock)
{
	uint8_t buf[DELETED_AT_ONCE * 32];
	struct nsp_batch batch;

	for (int groups = 1; groups >= 0; groups--) /* a member takes itself out of its groups */
		for (bool more = true; more;) {
			nsp_batch_init(&batch, buf, sizeof(buf));
			core_lock(core);
			for (uint32_t i = 1; i < core->nexthops.count && batch.count < DELETED_AT_ONCE; i++) {
				struct nexthop *nexthop = &core->nexthops.list[i];
				if (!is_unused(nexthop, netns) || nexthop_is_group(core, nexthop) != groups)
					continue;
				nsp_nexthop_delete(&batch, nexthop->id);
				nexthop_forget(core, nexthop);
			}
			core_unlock(core);
			more = batch.count == DELETED_AT_ONCE;
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
	nexthops_each(core, netns, 0, begin_leaving);
	core_unlock(core);
	struct nsp_socket *sock = netns_socket(core, netns, &err);
	if (sock && nexthops_mark(core, netns, sock, &err) >= 0)
		nexthops_sweep(core, netns, sock);
	core_lock(core);
}
