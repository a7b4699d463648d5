/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as the items that are wanted: all of them, and what a request would make of them. */
#include "core/core.h"

#include <arpa/inet.h>
#include <stdio.h>

static void put_ip(struct mp_out *out, bool v6, const uint8_t *ip)
{
	char text[INET6_ADDRSTRLEN];
	mp_put_str(out, text, prefix_format_ip(text, v6, ip));
}

static void put_mac(struct mp_out *out, const uint8_t *mac)
{
	char text[18];
	mp_put_str(out, text,
		   (size_t)sprintf(text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]));
}

void item_put(struct mp_out *out, const char *slot, const struct row *row, const uint8_t *source)
{
	bool route = WISH_TYPE_IS_ROUTE(row->type), v6 = WISH_TYPE_IS_V6(row->type);
	size_t head = out->len;
	uint32_t pairs = 1;

	mp_put_map(out, 0);
	mp_put_literal(out, "kind");
	mp_put_text(out, route ? "route" : "arp");
	pairs += reference_put(out, slot);
	if (!route) {
		mp_put_literal(out, "ip");
		put_ip(out, v6, row->dst);
		mp_put_literal(out, "mac");
		put_mac(out, row->via);
		pairs += 2;
	} else {
		char text[64];
		size_t n = prefix_format_ip(text, v6, row->dst);
		n += (size_t)sprintf(text + n, "/%u", row->dst_len);
		mp_put_literal(out, "dst");
		mp_put_str(out, text, n);
		pairs++;
		if (row->flags & WISH_VIA) {
			mp_put_literal(out, "gateway");
			put_ip(out, v6, row->via);
			pairs++;
		}
		if (row->metric != (v6 ? SCHEMA_METRIC6 : 0)) {
			mp_put_literal(out, "metric");
			mp_put_uint(out, row->metric);
			pairs++;
		}
		if (row->table != SCHEMA_TABLE) {
			mp_put_literal(out, "table");
			mp_put_uint(out, row->table);
			pairs++;
		}
		if (row->flags & WISH_SOURCE) {
			mp_put_literal(out, "prefsrc");
			put_ip(out, v6, source);
			pairs++;
		}
		if (row->flags & WISH_SCOPE) {
			mp_put_literal(out, "scope");
			if (schema_scope_name(row->scope))
				mp_put_text(out, schema_scope_name(row->scope));
			else
				mp_put_uint(out, row->scope);
			pairs++;
		}
		if (row->flags & WISH_ONLINK) {
			mp_put_literal(out, "onlink");
			mp_put_bool(out, true);
			pairs++;
		}
	}
	if (row->flags & WISH_OVERRIDE) {
		mp_put_literal(out, "override");
		mp_put_bool(out, true);
		pairs++;
	}
	out->data[head] = (uint8_t)(0x80 | pairs); /* at most 11: the short form holds */
}

static void put_row_item(struct nsp_core *core, struct mp_out *out, const struct row *row)
{
	item_put(out, core->slots[row->slot]->key, row, row->flags & WISH_SOURCE ? core->table.extras[row->extra].source : NULL);
}

/* ---- all that is wanted ---- */

long nsp_core_items(struct nsp_core *core, uint64_t *cursor, size_t bytes, uint32_t *origin, const uint8_t **data, size_t *len)
{
	struct mp_out *out = &core->rows_out;
	uint64_t at = *cursor ? *cursor : 1; /* row 0 is none */
	long count = 0;

	out->len = 0;
	core_lock(core);
	for (; at >> CHUNK_BITS < core->table.chunk_count && out->len < bytes; at++) {
		const struct chunk *chunk = &core->table.chunks[at >> CHUNK_BITS];
		if (!chunk->rows || (at & (CHUNK_ROWS - 1)) >= chunk->used) {
			at |= CHUNK_ROWS - 1;
			continue;
		}
		const struct row *row = &chunk->rows[at & (CHUNK_ROWS - 1)];
		if (row->type == FREE_ROW || !(row->flags & ROW_WANTED))
			continue;
		if (count && row->origin != *origin)
			break;
		*origin = row->origin;
		put_row_item(core, out, row);
		count++;
	}
	*cursor = at >> CHUNK_BITS < core->table.chunk_count ? at : 0;
	core_unlock(core);
	*data = out->data;
	*len = out->len;
	return count;
}

const char *nsp_core_origin_source(const struct nsp_core *core, uint32_t origin, uint64_t *generation)
{
	if (origin >= core->origin_count)
		return NULL;
	*generation = core->origins[origin].generation;
	return core->origins[origin].source;
}

/* ---- what a request would change ---- */

static struct row as_row(const struct wish *wish)
{
	struct row row = {
		.dst_len = wish->dst_len,
		.scope = wish->scope,
		.flags = wish->flags,
		.type = wish->type,
		.metric = wish->metric,
		.table = wish->table,
	};

	memcpy(row.dst, wish->dst, 16);
	memcpy(row.via, wish->via, 16);
	return row;
}

/* One key: what is to be done with it, what there is now (or NULL), and whether there will be what `wish` says. */
static void put_change(struct nsp_core *core, const char *action, const char *slot, const struct row *before,
		       const struct wish *wish, bool after)
{
	struct mp_out *out = &core->rows_out;
	struct row wished = wish ? as_row(wish) : (struct row){ 0 };
	const struct row *row = before ? before : &wished;
	char key[NSP_KEY_MAX];

	mp_put_map(out, 8);
	mp_put_literal(out, "key");
	mp_put_str(out, key, key_format(key, slot, row->type, row->dst, row->dst_len, row->metric, row->table));
	mp_put_literal(out, "action");
	mp_put_text(out, action);
	mp_put_literal(out, "interface");
	mp_put_text(out, slot);
	mp_put_literal(out, "source");
	if (before)
		mp_put_text(out, core->origins[before->origin].source);
	else
		mp_put_nil(out);
	mp_put_literal(out, "generation");
	mp_put_uint(out, before ? core->origins[before->origin].generation : 0);
	mp_put_literal(out, "state");
	if (before)
		state_put(out, before->state == NSP_STATE_NONE ? NSP_STATE_PENDING : before->state);
	else
		mp_put_nil(out);
	mp_put_literal(out, "before");
	if (before)
		put_row_item(core, out, before);
	else
		mp_put_nil(out);
	mp_put_literal(out, "after");
	if (after)
		item_put(out, slot, &wished, wish->source);
	else
		mp_put_nil(out);
}

#define COMPARED_AT_ONCE 1024

static const struct row *find_wanted(const struct nsp_core *core, const char *slot, const struct wish *wish)
{
	uint32_t number = slot_lookup(core, slot);
	uint32_t id = number ? table_find(&core->table, number, wish->type, wish->dst, wish->dst_len, wish->metric, wish->table) :
			       NIL;
	const struct row *row = id ? table_row(&core->table, id) : NULL;

	return row && row->flags & ROW_WANTED ? row : NULL;
}

long nsp_core_compare(struct nsp_core *core, const struct nsp_frame *frame, uint32_t origin, uint32_t flags, const uint8_t **data,
		      size_t *len)
{
	core->rows_out.len = 0;
	core_lock(core);
	for (uint32_t i = 0; i < frame->wish_count; i++) {
		const struct wish *wish = &frame->wishes[i];
		const char *slot = frame_slot(frame, wish), *action;
		const struct row *row = find_wanted(core, slot, wish);

		if (row && !(flags & NSP_FORCE) && !row_is_of_source(core, row, origin))
			action = "conflict";
		else if (frame->keys)
			action = row ? "delete" : "absent";
		else
			action = !row ? "create" : row_is_as(core, row, wish) ? "unchanged" : "change";
		put_change(core, action, slot, row, wish, !frame->keys);
		if (i % COMPARED_AT_ONCE == COMPARED_AT_ONCE - 1)
			core_breathe(core);
	}
	core_unlock(core);
	*data = core->rows_out.data;
	*len = core->rows_out.len;
	return frame->wish_count;
}

long nsp_core_compare_sweep(struct nsp_core *core, const struct nsp_frame *frame, uint32_t origin, const uint8_t **data,
			    size_t *len)
{
	long count = 0;

	core->rows_out.len = 0;
	core_lock(core);
	uint64_t rows = (uint64_t)core->table.chunk_count << CHUNK_BITS;
	cleanup_free uint8_t *kept = calloc(1, rows / 8 + 1);
	if (!kept)
		abort();
	for (uint32_t i = 0; frame && i < frame->wish_count; i++) {
		const struct wish *wish = &frame->wishes[i];
		uint32_t slot = slot_lookup(core, frame_slot(frame, wish));
		uint32_t id =
			slot ? table_find(&core->table, slot, wish->type, wish->dst, wish->dst_len, wish->metric, wish->table) :
			       NIL;
		kept[id / 8] |= (uint8_t)(1 << id % 8);
	}
	for (uint64_t id = 1; id < rows; id++) {
		if (!(id & (CHUNK_ROWS - 1)))
			core_breathe(core);
		const struct chunk *chunk = &core->table.chunks[id >> CHUNK_BITS];
		if (!chunk->rows || (id & (CHUNK_ROWS - 1)) >= chunk->used) {
			id |= CHUNK_ROWS - 1;
			continue;
		}
		const struct row *row = &chunk->rows[id & (CHUNK_ROWS - 1)];
		if (row->type == FREE_ROW || !(row->flags & ROW_WANTED) || !row_is_of_source(core, row, origin) ||
		    kept[id / 8] >> id % 8 & 1)
			continue;
		if (!frame && core->origins[row->origin].generation >= core->origins[origin].generation)
			continue;
		put_change(core, "delete", core->slots[row->slot]->key, row, NULL, false);
		count++;
	}
	core_unlock(core);
	*data = core->rows_out.data;
	*len = core->rows_out.len;
	return count;
}
