/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nexthop_table.h"

#include "core/nexthops.h"

static uint32_t *key_bucket(const struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex)
{
	uint64_t h = hash_mix(&core->table.secret, (uint64_t)netns << 32 | set, (uint32_t)ifindex);

	return &core->nexthops.by_key[h & core->nexthops.mask];
}

static uint32_t *id_bucket(const struct nsp_core *core, uint32_t netns, uint32_t id)
{
	return &core->nexthops.by_id[hash_mix(&core->table.secret, netns, id) & core->nexthops.mask];
}

struct nexthop *nexthop_find(const struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex)
{
	const struct nexthops *all = &core->nexthops;

	for (uint32_t at = all->live ? *key_bucket(core, netns, set, ifindex) : 0; at; at = all->list[at].next_key) {
		struct nexthop *nexthop = &all->list[at];
		if (nexthop->netns == netns && nexthop->set == set && nexthop->ifindex == ifindex)
			return nexthop;
	}
	return NULL;
}

struct nexthop *nexthop_find_id(const struct nsp_core *core, uint32_t netns, uint32_t id)
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

struct nexthop *nexthop_insert(struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex, uint32_t id)
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

void nexthop_forget(struct nsp_core *core, struct nexthop *nexthop)
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

uint32_t nexthop_next_id(struct nsp_core *core, uint32_t netns)
{
	do
		core->nexthops.last_id = NEXTHOP_RANGE | ((core->nexthops.last_id + 1) & ~NEXTHOP_RANGE_MASK);
	while (nexthop_find_id(core, netns, core->nexthops.last_id));
	return core->nexthops.last_id;
}
void nexthops_each(struct nsp_core *core, uint32_t netns, int32_t ifindex,
		   void (*fn)(struct nsp_core *core, struct nexthop *nexthop))
{
	for (uint32_t i = 1; i < core->nexthops.count && core->netns[netns]->nexthops; i++) {
		struct nexthop *nexthop = &core->nexthops.list[i];
		if (nexthop->id && nexthop->netns == netns && (!ifindex || nexthop->ifindex == ifindex))
			fn(core, nexthop);
	}
}

void nexthop_put_one(struct nsp_batch *batch, const uint8_t *set, unsigned i, int32_t ifindex, uint32_t id, int mode)
{
	struct nsp_nexthop nexthop = { .id = id, .family = set[0], .proto = NSP_PROTOCOL };

	hops_get(set, i, &nexthop.hop);
	nexthop.hop.oif = ifindex;
	nsp_nexthop_put(batch, &nexthop, mode);
}

uint32_t nexthop_take_member(struct nsp_core *core, uint32_t set, unsigned i)
{
	const uint8_t *bytes = core->table.sets.entries[set].bytes;
	uint8_t one[HOPS_SHORT];
	struct nsp_hop hop;

	hops_get(bytes, i, &hop);
	uint16_t len = hops_pack_one(one, bytes[0], hop.gateway, hop.onlink);
	return interned_take(&core->table.sets, &core->table.secret, one, len);
}
bool nexthop_is_group(const struct nsp_core *core, const struct nexthop *nexthop)
{
	const struct interned_entry *set = &core->table.sets.entries[nexthop->set];

	return hops_count(set->bytes, set->len) > 1;
}

void nexthop_renumber(struct nsp_core *core, struct nexthop *nexthop)
{
	uint32_t number = (uint32_t)(nexthop - core->nexthops.list);

	unlink_id(core, number);
	nexthop->id = nexthop_next_id(core, nexthop->netns);
	link_id(core, number);
}
