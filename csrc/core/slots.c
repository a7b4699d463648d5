/* SPDX-License-Identifier: Apache-2.0 */
/* The slots by their keys, and the rows on each. */
#include "core/slots.h"

#include "core/lock.h"
#include "core/netns.h"

uint32_t slot_lookup(const struct nsp_core *core, const char *key)
{
	for (uint32_t at = hash_text(&core->table.secret, key) & core->slot_mask; core->slot_index[at];
	     at = (at + 1) & core->slot_mask)
		if (!strcmp(core->slots[core->slot_index[at]]->key, key))
			return core->slot_index[at];
	return NIL;
}

static void index_put(struct nsp_core *core, uint32_t id)
{
	uint32_t at = core->slots[id]->hash & core->slot_mask;

	while (core->slot_index[at])
		at = (at + 1) & core->slot_mask;
	core->slot_index[at] = id;
}

/* Takes a slot out and moves up those that it had pushed aside (as table.c does with rows). */
static void index_remove(struct nsp_core *core, uint32_t id)
{
	uint32_t mask = core->slot_mask, hole = core->slots[id]->hash & mask;

	while (core->slot_index[hole] != id)
		hole = (hole + 1) & mask;
	for (uint32_t at = (hole + 1) & mask; core->slot_index[at]; at = (at + 1) & mask) {
		uint32_t home = core->slots[core->slot_index[at]]->hash & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			core->slot_index[hole] = core->slot_index[at];
			hole = at;
		}
	}
	core->slot_index[hole] = NIL;
}

static uint32_t *link_bucket(const struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	return &core->slot_links[hash_mix(&core->table.secret, netns, (uint32_t)ifindex) & core->slot_mask];
}

static void link_put(struct nsp_core *core, uint32_t id)
{
	struct slot *slot = core->slots[id];
	uint32_t *bucket = link_bucket(core, slot->netns, slot->ifindex);

	slot->next_link = *bucket;
	*bucket = id;
}

static void index_resize(struct nsp_core *core, uint32_t size)
{
	free(core->slot_index);
	free(core->slot_links);
	core->slot_index = calloc(size, sizeof(uint32_t));
	core->slot_links = calloc(size, sizeof(uint32_t));
	if (!core->slot_index || !core->slot_links)
		abort();
	core->slot_mask = size - 1;
	for (uint32_t i = 1; i < core->slot_count; i++) {
		if (!core->slots[i])
			continue;
		index_put(core, i);
		if (core->slots[i]->ready)
			link_put(core, i);
	}
}

uint32_t slot_make(struct nsp_core *core, const char *key)
{
	uint32_t id = slot_lookup(core, key);

	if (id)
		return id;
	if (core->slot_free_count) {
		id = core->slot_free[--core->slot_free_count];
	} else {
		ARRAY_GROW(core->slots, core->slot_count, core->slot_cap);
		id = core->slot_count++;
	}
	struct slot *slot = calloc(1, sizeof(*slot));
	if (!slot)
		abort();
	slot->key = text_copy(key);
	slot->state = NSP_STATE_PENDING;
	mp_put_array(&slot->missing, 0);
	slot->hash = hash_text(&core->table.secret, key);
	core->slots[id] = slot;
	if (core->slot_count * 2 > core->slot_mask)
		index_resize(core, (core->slot_mask + 1) * 2);
	else
		index_put(core, id);
	return id;
}

void slot_link(struct nsp_core *core, uint32_t id, struct row *row, enum row_list list)
{
	struct slot *slot = core->slots[row->slot];

	row->list = list & 3;
	row->prev = NIL;
	row->next = slot->heads[list];
	if (row->next)
		table_row(&core->table, row->next)->prev = id;
	slot->heads[list] = id;
	slot->open += list == LIST_OPEN;
}

void slot_unlink(struct nsp_core *core, struct row *row)
{
	struct slot *slot = core->slots[row->slot];

	for (struct walk *walk = core->walks; walk; walk = walk->outer)
		if (walk->next && table_row(&core->table, walk->next) == row)
			walk->next = row->next;
	if (row->next)
		table_row(&core->table, row->next)->prev = row->prev;
	if (row->prev)
		table_row(&core->table, row->prev)->next = row->next;
	else
		slot->heads[row->list] = row->next;
	slot->open -= row->list == LIST_OPEN;
}

#define WALKED_AT_ONCE 512

void walk_begin(struct nsp_core *core, struct walk *walk, uint32_t slot, enum row_list list)
{
	*walk = (struct walk){ .next = core->slots[slot]->heads[list], .outer = core->walks };
	core->walks = walk;
}

void walk_end(struct nsp_core *core, struct walk *walk)
{
	struct walk **at = &core->walks;

	while (*at != walk) /* another thread's may be in front */
		at = &(*at)->outer;
	*at = walk->outer;
}

bool walk_gives_way(const struct walk *walk)
{
	return walk->passed % WALKED_AT_ONCE == WALKED_AT_ONCE - 1;
}

uint32_t walk_next(struct nsp_core *core, struct walk *walk)
{
	if (walk_gives_way(walk))
		core_yield(core);
	walk->passed++;
	uint32_t id = walk->next;
	if (id)
		walk->next = table_row(&core->table, id)->next;
	else
		walk_end(core, walk);
	return id;
}

static uint32_t same_link(const struct nsp_core *core, uint32_t id, uint32_t netns, int32_t ifindex)
{
	while (id && (core->slots[id]->netns != netns || core->slots[id]->ifindex != ifindex))
		id = core->slots[id]->next_link;
	return id;
}

uint32_t slot_on_link(const struct nsp_core *core, uint32_t netns, int32_t ifindex)
{
	return same_link(core, *link_bucket(core, netns, ifindex), netns, ifindex);
}

uint32_t slot_next_on_link(const struct nsp_core *core, uint32_t id)
{
	const struct slot *slot = core->slots[id];

	return same_link(core, slot->next_link, slot->netns, slot->ifindex);
}

static uint32_t find_with(const struct nsp_core *core, struct row_key key, uint32_t flags)
{
	uint32_t id = table_find(&core->table, key);

	return id && table_row(&core->table, id)->flags & flags ? id : NIL;
}

uint32_t slot_row_of(const struct nsp_core *core, uint32_t slot, uint8_t kind, const uint8_t *key, uint32_t flags)
{
	static const uint32_t unnamed = RT_TABLE_MAIN;
	uint32_t vrf = core->slots[slot]->table, table = vrf ? kind_table(kinds[kind], key) : 0;
	uint8_t body[KIND_BODY_MAX];
	uint32_t id = NIL;

	if (likely(!table))
		return find_with(core, (struct row_key){ slot, kind, key }, flags);
	if (table == vrf) {
		memcpy(body, key, kinds[kind]->body_size);
		memcpy(body + kinds[kind]->table, &unnamed, sizeof(unnamed));
		id = find_with(core, (struct row_key){ slot, kind, body }, flags);
	}
	return id || table == unnamed ? id : find_with(core, (struct row_key){ slot, kind, key }, flags);
}

void slot_enter_netns(struct nsp_core *core, uint32_t id)
{
	struct slot *slot = core->slots[id];
	struct netns *netns = core->netns[slot->netns];

	slot->prev = NIL;
	slot->next = netns->first_slot;
	if (slot->next)
		core->slots[slot->next]->prev = id;
	netns->first_slot = id;
	link_put(core, id);
	netns_hold(core, slot->netns);
}

void slot_leave_netns(struct nsp_core *core, uint32_t id)
{
	struct slot *slot = core->slots[id];
	uint32_t *at = link_bucket(core, slot->netns, slot->ifindex);

	while (*at != id)
		at = &core->slots[*at]->next_link;
	*at = slot->next_link;
	if (slot->next)
		core->slots[slot->next]->prev = slot->prev;
	if (slot->prev)
		core->slots[slot->prev]->next = slot->next;
	else
		core->netns[slot->netns]->first_slot = slot->next;
	netns_release(core, slot->netns);
}

void slot_block(struct nsp_core *core, uint32_t id)
{
	struct slot *slot = core->slots[id];
	uint32_t *first = &core->netns[slot->netns]->first_blocked;

	if (slot->blocked++)
		return;
	slot->prev_blocked = NIL;
	slot->next_blocked = *first;
	if (*first)
		core->slots[*first]->prev_blocked = id;
	*first = id;
}

void slot_unblock(struct nsp_core *core, uint32_t id)
{
	struct slot *slot = core->slots[id];

	if (--slot->blocked)
		return;
	if (slot->next_blocked)
		core->slots[slot->next_blocked]->prev_blocked = slot->prev_blocked;
	if (slot->prev_blocked)
		core->slots[slot->prev_blocked]->next_blocked = slot->next_blocked;
	else
		core->netns[slot->netns]->first_blocked = slot->next_blocked;
}

static void recheck_later(struct nsp_core *core, uint32_t number, uint32_t which)
{
	struct slot *slot = core->slots[number];

	if (!slot->recheck) {
		ARRAY_GROW(core->recheck, core->recheck_count, core->recheck_cap);
		core->recheck[core->recheck_count++] = number;
	}
	slot->recheck |= which;
}

void slot_recheck_later(struct nsp_core *core, uint32_t number, uint32_t which)
{
	const struct slot *slot = core->slots[number];
	uint32_t s = core->hop_links && slot->ready && slot->ifindex ? slot_on_link(core, slot->netns, 0) : NIL;

	recheck_later(core, number, which);
	for (; s; s = slot_next_on_link(core, s))
		if (core->slots[s]->link_count)
			recheck_later(core, s, which);
}

uint32_t nsp_slot_find(struct nsp_core *core, const char *key)
{
	core_lock(core);
	uint32_t id = slot_make(core, key);
	core_unlock(core);
	return id;
}

const char *nsp_slot_key(const struct nsp_core *core, uint32_t slot)
{
	return slot < core->slot_count && core->slots[slot] ? core->slots[slot]->key : NULL;
}

int nsp_slot_info(const struct nsp_core *core, uint32_t number, struct nsp_slot_info *info)
{
	if (!nsp_slot_key(core, number))
		return -ENOENT;
	core_lock((struct nsp_core *)core);
	const struct slot *slot = core->slots[number];
	*info = (struct nsp_slot_info){ slot->ready, slot->netns, slot->ifindex, slot->rows, slot->open };
	core_unlock((struct nsp_core *)core);
	return 0;
}

static bool is_busy(const struct nsp_core *core, uint32_t slot, uint32_t id)
{
	const struct row *row = table_row(&core->table, id);

	return row->slot == slot && row->list == LIST_OPEN && row->flags & (ROW_QUEUED | ROW_SENT);
}

uint32_t nsp_slot_busy(struct nsp_core *core, uint32_t number, uint32_t id)
{
	struct walk walk;

	if (!nsp_slot_key(core, number))
		return NIL;
	core_lock(core);
	const struct slot *slot = core->slots[number];
	if (!slot->ready) {
		id = NIL;
	} else if (!id || id >> CHUNK_BITS >= core->table.chunk_count || !table_has(&core->table, id) ||
		   !is_busy(core, number, id)) {
		walk_begin(core, &walk, number, LIST_OPEN);
		while ((id = walk_next(core, &walk)) && !is_busy(core, number, id))
			;
		if (id)
			walk_end(core, &walk);
	}
	core_unlock(core);
	return id;
}

void nsp_core_await_writer(struct nsp_core *core)
{
	core_lock(core);
	core->awaited = true;
	core_unlock(core);
}

int nsp_slot_free(struct nsp_core *core, uint32_t number)
{
	int rc = 0;

	core_lock(core);
	struct slot *slot = number < core->slot_count ? core->slots[number] : NULL;
	if (!slot)
		rc = -ENOENT;
	else if (slot->rows)
		rc = -EBUSY;
	if (!rc) {
		if (slot->ready)
			slot_leave_netns(core, number);
		index_remove(core, number);
		mp_free(&slot->missing);
		free(slot->text);
		free(slot->links);
		free(slot->key);
		free(slot);
		core->slots[number] = NULL;
		ARRAY_GROW(core->slot_free, core->slot_free_count, core->slot_free_cap);
		core->slot_free[core->slot_free_count++] = number;
	}
	core_unlock(core);
	return rc;
}
