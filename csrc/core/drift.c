/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others do to our routes and neighbours, told by the monitor while they do it.
 *
 *      deleted                                    missing: written anew
 *      replaced or changed, ours still            altered: written over
 *      with a next hop more (IPv6)                altered: written over
 *      replaced by something of somebody else's   altered: put as new, and conflict.c decides
 *      deleted by the kernel itself               written anew when it is known that the link has not gone
 *      while it was being written                 put as new when its verdict is there: it may have been before or after
 *      by nobody knows whom, it may be we         put as new at the end of the run: if it is not there, or another, it was not we
 *
 * Slots that are not ready have nothing in the kernel. What comes too late - it has been written again since - is written once too often.
 */
#include "core/core.h"

#include "core/changes.h"
#include "core/hop_links.h"
#include "core/lock.h"
#include "core/nexthops.h"
#include "core/row.h"
#include "core/slot.h"
#include "core/slots.h"
#include "kinds/filter.h"

/* How many slots of a namespace are looked at for the route that was replaced by one of another link. With more, reading back finds it. */
#define SLOTS_LOOKED_AT 256

static uint32_t find_in(const struct nsp_core *core, uint32_t slot, const struct object *object)
{
	return slot_row_of(core, slot, object->decoded.kind, object->decoded.body, ROW_HELD | ROW_SENT);
}

/* Does it lead by this link, among others? */
static bool is_by(const struct nsp_core *core, uint32_t id, int32_t ifindex)
{
	const struct row *row = table_row(&core->table, id);
	const struct slot *slot = core->slots[row->slot];

	for (uint32_t s = row_has_links(core, row) ? slot_on_link(core, slot->netns, ifindex) : NIL; s;
	     s = slot_next_on_link(core, s))
		if (row_is_by(core, row, s))
			return true;
	return false;
}

/* The row of which this was the object. One that replaces another may lead to another link. */
static uint32_t find_row(const struct nsp_core *core, uint32_t number, const struct object *object)
{
	bool here = kinds[object->decoded.kind]->per_link || object->of_link || (object->gone && object->ifindex);
	uint32_t id = NIL, looked = 0;

	for (uint32_t s = slot_on_link(core, number, object->ifindex); s && !id; s = slot_next_on_link(core, s))
		id = find_in(core, s, object);
	if (object->gone && object->ifindex && !id) /* a next hop on this link of one over several */
		for (uint32_t s = slot_on_link(core, number, 0); s && !id; s = slot_next_on_link(core, s)) {
			id = find_in(core, s, object);
			if (id && !is_by(core, id, object->ifindex))
				id = NIL;
		}
	for (uint32_t s = here ? NIL : core->netns[number]->first_slot; s && !id && looked++ < SLOTS_LOOKED_AT;
	     s = core->slots[s]->next)
		id = find_in(core, s, object);
	return id;
}

static void repair_later(struct nsp_core *core, uint32_t number)
{
	struct slot *slot = core->slots[number];

	if (slot->dropped)
		return;
	ARRAY_GROW(core->dropped_slots, core->dropped_count, core->dropped_cap);
	core->dropped_slots[core->dropped_count++] = number;
	slot->dropped = true;
}

static void deleted(struct nsp_core *core, uint32_t id, struct row *row, bool by_kernel)
{
	uint32_t number = row->slot;

	if (!(row->flags & ROW_WANTED) || row->flags & ROW_REFUSED) {
		row_gone(core, id, row);
		return;
	}
	row->flags = (uint16_t)((row->flags & ~(ROW_HELD | ROW_SEEN)) | ROW_UNDONE);
	if (row_is_contested(row))
		return;
	if (!by_kernel) {
		core->missing++;
		entry_put_drift(core, row, "missing");
		row_repair(core, id, row, "somebody else deletes it");
	} else {
		repair_later(core, number);
	}
}

static void changed(struct nsp_core *core, uint32_t id, struct row *row, const struct object *object)
{
	/* One of several links has been made of ours, and can be written over. */
	bool here = object->ifindex == core->slots[row->slot]->ifindex || !object->ifindex;
	bool ours = here && object->protocol == NSP_PROTOCOL;

	struct item item;
	uint8_t hops[HOPS_BYTES];
	if (ours && row_item_resolved(core, row, &item, hops) && object_is(object, &item))
		return;
	if (!(row->flags & ROW_WANTED) || row->flags & ROW_REFUSED) {
		if (!ours) /* what is there now is not to be deleted */
			row_gone(core, id, row);
		return;
	}
	if (!ours)
		row->flags = (uint16_t)((row->flags & ~(ROW_HELD | ROW_SEEN)) | ROW_UNDONE);
	if (row_is_contested(row))
		return;
	core->altered++;
	entry_put_drift(core, row, "altered");
	row_repair(core, id, row, "somebody else changes it");
}

/* Nobody is named: it may be the echo of what we did before it was written last. */
static void suspected(struct nsp_core *core, struct row *row, const struct object *object)
{
	struct item item = row_item(&core->table, row);

	if (!object->gone && object->ifindex == core->slots[row->slot]->ifindex && object_is(object, &item))
		return;
	if (row->flags & ROW_SENT) {
		row->flags |= ROW_UNDONE;
		return;
	}
	if (row->flags & ROW_QUEUED || !(row->flags & ROW_WANTED))
		return;
	row->flags = (uint16_t)((row->flags & ~(ROW_HELD | ROW_SEEN)) | ROW_UNDONE);
	if (row_is_contested(row))
		return;
	if (!object->gone)
		table_extra_make(&core->table, row)->suspicion = SUSPECT_ALTERED;
	repair_later(core, row->slot);
}

static void on_message(void *arg, int32_t nsid, const void *msg)
{
	struct nsp_core *core = arg;
	const struct nlmsghdr *head = msg;
	struct object object;

	bool nexthop = filter_is_nexthop(head);
	if (!nexthop && (!filter_passes(head, core->portid) || !object_read(head, &object)))
		return;
	core_lock(core);
	uint32_t number = nsid >= 0 && (uint32_t)nsid < core->nsid_count ? core->by_nsid[nsid] : NIL;
	const struct netns *netns = number ? core->netns[number] : NULL;
	bool known = netns && netns->nsid == nsid && netns->fd >= 0;
	bool foreign = known && !(netns->portid && head->nlmsg_pid == netns->portid);
	if (foreign && nexthop)
		nexthop_changed(core, number, head);
	else if (foreign)
		nexthop_resolve(core, number, &object);
	uint32_t id = foreign && !nexthop ? find_row(core, number, &object) : NIL;
	if (id) {
		struct row *row = table_row(&core->table, id);
		if (row->extra)
			core->table.extras[row->extra].differed = false;
		if (kinds[row->kind]->unmarked)
			suspected(core, row, &object);
		else if (row->flags & ROW_SENT)
			row->flags |= ROW_UNDONE;
		else if (object.gone)
			deleted(core, id, row, object.by_kernel);
		else
			changed(core, id, row, &object);
	}
	core_unlock(core);
}

int nsp_core_listen(struct nsp_core *core, struct nsp_monitor *mon, struct nsp_error *err)
{
	struct filter filter;
	int groups[FILTER_GROUPS_MAX];

	filter_build(&filter, core->portid);
	core_lock(core);
	core->monitored = true;
	core_unlock(core);
	struct sock_fprog program = { .len = (unsigned short)filter.len, .filter = filter.code };
	return nsp_monitor_listen(mon, groups, filter_groups(groups), &program, core->portid, on_message, core, err);
}

void nsp_core_repair(struct nsp_core *core)
{
	core_lock(core);
	for (uint32_t i = 0; i < core->dropped_count; i++) {
		struct slot *slot = core->slots[core->dropped_slots[i]];
		if (!slot)
			continue;
		slot->dropped = false;
		slot_recheck(core, core->dropped_slots[i], NSP_RECHECK_DROPPED);
	}
	core->dropped_count = 0;
	core_unlock(core);
}
