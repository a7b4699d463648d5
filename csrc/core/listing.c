/* SPDX-License-Identifier: Apache-2.0 */
/* Rows read by others: their entries, and all that is wanted as items. */
#include "core/core.h"

#include "core/entry.h"
#include "core/lock.h"
#include "core/slots.h"
#include "kinds/item.h"
#include "kinds/key.h"

static bool matches(const struct nsp_core *core, const struct row *row, const char *prefix, size_t n, uint32_t states,
		    const char *source)
{
	char key[NSP_KEY_MAX];

	if (row->kind == FREE_ROW || !(row->flags & ROW_WANTED) || (states && !(states >> row_shown_state(row) & 1)) ||
	    (source && strcmp(core->origins[row->origin].source, source)))
		return false;
	return !n || (row_key_text(core, row, key) >= n && !memcmp(key, prefix, n));
}

#define ROWS_AT_ONCE 512

long nsp_core_rows(struct nsp_core *core, const char *prefix, uint32_t states, const char *source, uint64_t *cursor, uint32_t most,
		   size_t bytes, const uint8_t **data, size_t *len)
{
	struct mp_out *out = &core->rows_out;
	size_t n = strlen(prefix);
	long count = 0;

	out->len = 0;
	for (bool more = true; more;) {
		core_lock(core);
		uint32_t number = (uint32_t)(*cursor >> CHUNK_BITS), at = (uint32_t)(*cursor & (CHUNK_ROWS - 1));
		more = number < core->table.chunk_count;
		struct chunk *chunk = more ? &core->table.chunks[number] : NULL;
		bool full = false;
		for (uint32_t looked = 0; more && chunk->rows && at < chunk->used && looked < ROWS_AT_ONCE; at++, looked++) {
			full = (uint32_t)count >= most || out->len >= bytes;
			if (full)
				break;
			if (number == 0 && at == 0)
				continue;
			const struct row *row = chunk_row(chunk, at);
			if (matches(core, row, prefix, n, states, source)) {
				entry_put(core, out, row, row_shown_state(row), NO_PREVIOUS);
				count++;
			}
		}
		if (more && chunk->rows && at < chunk->used) {
			*cursor = (uint64_t)number << CHUNK_BITS | at;
			more = !full;
		} else {
			*cursor = more ? (uint64_t)(number + 1) << CHUNK_BITS : 0;
		}
		core_unlock(core);
	}
	*data = out->data;
	*len = out->len;
	return count;
}

long nsp_core_row(struct nsp_core *core, const char *key, const uint8_t **data)
{
	struct mp_out *out = &core->rows_out;
	struct mp_out text = { 0 };
	struct decoded decoded;
	struct fault fault;

	out->len = 0;
	if (key_is_bulk(key, strlen(key)) && key_parse(key, strlen(key), &decoded, &text, &fault)) {
		core_lock(core);
		uint32_t slot = slot_lookup(core, (char *)text.data + decoded.slot);
		uint32_t id = slot ? table_find(&core->table, decoded_key(slot, &decoded)) : NIL;
		struct row *row = id ? table_row(&core->table, id) : NULL;
		if (row && row->flags & ROW_WANTED)
			entry_put(core, out, row, row_shown_state(row), NO_PREVIOUS);
		core_unlock(core);
	}
	mp_free(&text);
	*data = out->data;
	return out->len ? (long)out->len : -ENOENT;
}

static void put_item(const struct nsp_core *core, struct mp_out *out, const struct row *row)
{
	struct item item = row_item(&core->table, row);

	item_put(out, core->slots[row->slot]->key, &item);
}

long nsp_core_items(struct nsp_core *core, uint64_t *cursor, size_t bytes, uint32_t *origin, const uint8_t **data, size_t *len)
{
	struct mp_out *out = &core->rows_out;
	uint64_t at = *cursor ? *cursor : 1; /* row 0 is none */
	long count = 0;

	out->len = 0;
	core_lock(core);
	for (; at >> CHUNK_BITS < core->table.chunk_count && out->len < bytes; at++) {
		if (at % ROWS_AT_ONCE == 0)
			core_yield(core);
		const struct chunk *chunk = &core->table.chunks[at >> CHUNK_BITS];
		if (!chunk->rows || (at & (CHUNK_ROWS - 1)) >= chunk->used) {
			at |= CHUNK_ROWS - 1;
			continue;
		}
		const struct row *row = chunk_row(chunk, at & (CHUNK_ROWS - 1));
		if (row->kind == FREE_ROW || !(row->flags & ROW_WANTED))
			continue;
		if (count && row->origin != *origin)
			break;
		*origin = row->origin;
		put_item(core, out, row);
		count++;
	}
	*cursor = at >> CHUNK_BITS < core->table.chunk_count ? at : 0;
	core_unlock(core);
	*data = out->data;
	*len = out->len;
	return count;
}
