/* SPDX-License-Identifier: Apache-2.0 */
/* What a request would change. */
#include "core/core.h"

#include "core/entry.h"
#include "core/lock.h"
#include "core/origin.h"
#include "core/row.h"
#include "core/slots.h"
#include "core/frame.h"
#include "kinds/item.h"
#include "kinds/key.h"

/* One key: what is to be done with it, what there is now (or NULL), and whether there will be what `decoded` says. */
static void put_change(struct nsp_core *core, const char *action, const char *slot, const struct row *before,
		       const struct item *decoded, bool after)
{
	struct mp_out *out = &core->rows_out;
	struct item was = before ? row_item(&core->table, before) : (struct item){ 0 };
	struct item wanted = decoded ? *decoded : was;
	char key[NSP_KEY_MAX];

	mp_put_map(out, 8);
	mp_put_literal(out, "key");
	mp_put_str(out, key, key_format(key, slot, wanted.kind, wanted.body));
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
		item_put(out, slot, &was);
	else
		mp_put_nil(out);
	mp_put_literal(out, "after");
	if (after)
		item_put(out, slot, &wanted);
	else
		mp_put_nil(out);
}

#define COMPARED_AT_ONCE 1024

static const struct row *find_wanted(const struct nsp_core *core, const char *slot, const struct decoded *decoded)
{
	uint32_t number = slot_lookup(core, slot);
	uint32_t id = number ? table_find(&core->table, decoded_key(number, decoded)) : NIL;
	const struct row *row = id ? table_row(&core->table, id) : NULL;

	return row && row->flags & ROW_WANTED ? row : NULL;
}

/* As a row has it: with the number of its set of next hops, or one that no row has. */
static const struct decoded *with_set(const struct nsp_core *core, const struct item *item, struct decoded *decoded)
{
	if (decoded->hops_len) {
		uint32_t set = interned_find(&core->table.sets, &core->table.secret, item->hops, item->hops_len);
		set = set ? set : UINT32_MAX;
		memcpy(decoded->body + kinds[decoded->kind]->set, &set, sizeof(set));
	}
	return decoded;
}

long nsp_core_compare(struct nsp_core *core, const struct nsp_frame *frame, uint32_t origin, uint32_t flags, const uint8_t **data,
		      size_t *len)
{
	core->rows_out.len = 0;
	core_lock(core);
	for (uint32_t i = 0; i < frame->bulk_count; i++) {
		struct decoded wanted = frame->bulk[i], *decoded = &wanted;
		const char *slot = frame_slot(frame, decoded), *action;
		const struct row *row = find_wanted(core, slot, decoded);
		struct item item = decoded_item(decoded, frame->text.data);

		if (row && !(flags & NSP_FORCE) && !row_is_of_source(core, row, origin))
			action = "conflict";
		else if (frame->keys)
			action = row ? "delete" : "absent";
		else
			action = !row ? "create" : row_is_as(core, row, with_set(core, &item, decoded)) ? "unchanged" : "change";
		put_change(core, action, slot, row, &item, !frame->keys);
		if (i % COMPARED_AT_ONCE == COMPARED_AT_ONCE - 1)
			core_yield(core);
	}
	core_unlock(core);
	*data = core->rows_out.data;
	*len = core->rows_out.len;
	return frame->bulk_count;
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
	for (uint32_t i = 0; frame && i < frame->bulk_count; i++) {
		const struct decoded *decoded = &frame->bulk[i];
		uint32_t slot = slot_lookup(core, frame_slot(frame, decoded));
		uint32_t id = slot ? table_find(&core->table, decoded_key(slot, decoded)) : NIL;
		kept[id / 8] |= (uint8_t)(1 << id % 8);
	}
	for (uint64_t id = 1; id < rows; id++) {
		if (!(id & (CHUNK_ROWS - 1)))
			core_yield(core);
		const struct chunk *chunk = &core->table.chunks[id >> CHUNK_BITS];
		if (!chunk->rows || (id & (CHUNK_ROWS - 1)) >= chunk->used) {
			id |= CHUNK_ROWS - 1;
			continue;
		}
		const struct row *row = chunk_row(chunk, id & (CHUNK_ROWS - 1));
		if (row->kind == FREE_ROW || !(row->flags & ROW_WANTED) || !row_is_of_source(core, row, origin) ||
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
