/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hop_links.h"

#include <stdio.h>

#include "core/completed.h"
#include "core/slots.h"
#include "wire/reference.h"
#include "wire/text.h"

static const struct interned_entry *links_of(const struct nsp_core *core, const struct row *row)
{
	const struct interned_entry *set = row_set(row) ? &core->table.sets.entries[row_set(row)] : NULL;

	return set && hops_have_links(set->bytes, set->len) ? set : NULL;
}

bool row_has_links(const struct nsp_core *core, const struct row *row)
{
	return links_of(core, row);
}

/* The slot of a link in the namespace of another slot: "eth1@name:red" of "@name:red". `key` holds NSP_KEY_MAX bytes. */
static void link_key(char *key, const char *netns, const uint8_t *set, unsigned i)
{
	const char *link = hops_link(set, i);
	size_t len = text_encode(key, (const uint8_t *)link, strnlen(link, HOP_LINK));

	snprintf(key + len, NSP_KEY_MAX - len, "%s", netns);
}

static uint32_t link_slot(const struct nsp_core *core, uint32_t netns, const uint8_t *set, unsigned i)
{
	char key[NSP_KEY_MAX];

	link_key(key, core->slots[netns]->key, set, i);
	return slot_lookup(core, key);
}

/* Where it is ready, or NULL. */
static const struct slot *find_link(const struct nsp_core *core, uint32_t netns, const uint8_t *set, unsigned i)
{
	uint32_t number = link_slot(core, netns, set, i);

	const struct slot *link = number ? core->slots[number] : NULL;

	return link && link->ready && link->netns == core->slots[netns]->netns ? link : NULL;
}

bool row_is_by(const struct nsp_core *core, const struct row *row, uint32_t slot)
{
	const struct interned_entry *set = links_of(core, row);
	unsigned count = set ? hops_count(set->bytes, set->len) : 0;

	for (unsigned i = 0; i < count; i++)
		if (link_slot(core, row->slot, set->bytes, i) == slot)
			return true;
	return false;
}

bool row_lacks_link(const struct nsp_core *core, const struct row *row)
{
	const struct interned_entry *set = core->hop_links ? links_of(core, row) : NULL;
	unsigned count = set ? hops_count(set->bytes, set->len) : 0;

	for (unsigned i = 0; i < count; i++)
		if (!find_link(core, row->slot, set->bytes, i))
			return true;
	return false;
}

void hop_links_take(struct nsp_core *core, uint32_t slot, const uint8_t *set, size_t len, uint32_t request)
{
	unsigned count = hops_have_links(set, len) ? hops_count(set, len) : 0;
	char key[NSP_KEY_MAX];

	for (unsigned i = 0; i < count; i++) {
		link_key(key, core->slots[slot]->key, set, i);
		uint32_t number = slot_make(core, key);
		struct slot *link = core->slots[number], *netns = core->slots[slot];
		if (!link->netns_slot) {
			link->netns_slot = slot;
			link->rows++;
			core->hop_links++;
			ARRAY_GROW(netns->links, netns->link_count, netns->link_cap);
			netns->links[netns->link_count++] = number;
		}
		if (!link->ready && link->touched != request) {
			link->touched = request;
			core_notice(core, number, NSP_NOTICE_TOUCHED);
		}
	}
}

void hop_links_release(struct nsp_core *core, struct slot *slot)
{
	for (uint32_t i = 0; i < slot->link_count; i++) {
		struct slot *link = core->slots[slot->links[i]];
		link->netns_slot = NIL;
		core->hop_links--;
		if (--link->rows == 0)
			core_notice(core, slot->links[i], NSP_NOTICE_EMPTY);
	}
	free(slot->links);
	slot->links = NULL;
	slot->link_count = slot->link_cap = 0;
}

bool row_item_resolved(const struct nsp_core *core, const struct row *row, struct item *item, uint8_t out[HOPS_BYTES])
{
	const struct interned_entry *set = links_of(core, row);
	struct nsp_hop hops[HOPS_MAX];

	*item = row_item(&core->table, row);
	if (!set)
		return true;
	unsigned count = hops_count(set->bytes, set->len);
	for (unsigned i = 0; i < count; i++) {
		const struct slot *link = find_link(core, row->slot, set->bytes, i);
		if (!link)
			return false;
		hops_get(set->bytes, i, &hops[i]);
		hops[i].oif = link->ifindex;
	}
	item->hops = out;
	item->hops_len = hops_pack_links(out, hops_family(set->bytes), hops, NULL, count);
	return true;
}

void hop_links_put_missing(const struct nsp_core *core, struct mp_out *out, const struct row *row)
{
	const struct interned_entry *set = links_of(core, row);
	unsigned count = hops_count(set->bytes, set->len);
	char text[NSP_KEY_MAX + 8] = "link/";
	bool lacks[HOPS_MAX];
	uint32_t missing = 0;

	for (unsigned i = 0; i < count; i++) {
		lacks[i] = !find_link(core, row->slot, set->bytes, i);
		for (unsigned k = 0; k < i; k++) /* each once */
			lacks[i] &= memcmp(hops_link(set->bytes, k), hops_link(set->bytes, i), HOP_LINK) != 0;
		missing += lacks[i];
	}
	mp_put_array(out, missing);
	for (unsigned i = 0; i < count; i++)
		if (lacks[i]) {
			link_key(text + 5, core->slots[row->slot]->key, set->bytes, i);
			mp_put_text(out, text);
		}
}
