/* SPDX-License-Identifier: Apache-2.0 */
/* How a row is shown: {key, state, source, missing, errno, message, since, tries, item}, in replies, in `get` and in events. */
#include "core/core.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "wire/text.h"

static const char *const state_names[NSP_STATES] = { "none",	"configured", "pending",    "failed", "retrying",
						     "invalid", "conflict",   "superseded", "removed" };

const char *nsp_state_name(uint32_t state)
{
	return state < NSP_STATES ? state_names[state] : NULL;
}

void state_put(struct mp_out *out, uint32_t state)
{
	mp_put_text(out, state_names[state]);
}

static size_t row_key(const struct nsp_core *core, const struct row *row, char key[NSP_KEY_MAX])
{
	return key_format(key, core->slots[row->slot]->key, row->type, row->dst, row->dst_len, row->metric, row->table);
}

/* ["pid/123"] of eth0@pid:123: the slot itself may have been bound to another process since. */
static void put_ended(struct mp_out *out, const struct slot *slot)
{
	const char *at = strchr(slot->key, '@');
	char text[NSP_KEY_MAX];

	if (!at) {
		mp_put_array(out, 0);
		return;
	}
	const char *reference = at + 1;
	size_t type = (size_t)(strchr(reference, ':') - reference);
	memcpy(text, reference, type);
	text[type] = '/';
	long n = text_decode(text + type + 1, reference + type + 1, strlen(reference + type + 1));
	mp_put_array(out, 1);
	mp_put_str(out, text, type + 1 + (size_t)n);
}

static void put_missing(struct mp_out *out, const struct slot *slot, const struct row *row, uint32_t state)
{
	char text[64] = "gateway/";

	if (state != NSP_STATE_PENDING)
		mp_put_array(out, 0);
	else if (row->flags & ROW_DEAD)
		put_ended(out, slot);
	else if (!slot->ready)
		mp_put_raw(out, slot->missing.data, slot->missing.len);
	else if (row->flags & WISH_VIA && WISH_TYPE_IS_ROUTE(row->type) && row->error) {
		mp_put_array(out, 1);
		size_t n = 8 + prefix_format_ip(text + 8, WISH_TYPE_IS_V6(row->type), row->via);
		mp_put_str(out, text, n);
	} else
		mp_put_array(out, 0);
}

static const char *message(const struct nsp_core *core, const struct slot *slot, const struct row *row, uint32_t state)
{
	if (state == NSP_STATE_CONFIGURED || state == NSP_STATE_REMOVED)
		return "";
	if (state == NSP_STATE_SUPERSEDED)
		return "overwritten before it was written";
	if (row->flags & ROW_DEAD)
		return "its process has ended: put it again";
	if (row->extra && core->table.extras[row->extra].text)
		return core->table.extras[row->extra].text;
	if (!slot->ready)
		return slot->text ? slot->text : "";
	return row->error ? strerror(row->error) : "queued for writing";
}

/* One that had no verdict yet waits for the writer. */
static uint32_t row_shown_state(const struct row *row)
{
	return row->state == NSP_STATE_NONE ? NSP_STATE_PENDING : row->state;
}

#define ENTRY_PAIRS 9

static void put_pairs(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state)
{
	const struct slot *slot = core->slots[row->slot];
	char key[NSP_KEY_MAX];
	int error = !slot->ready && state == slot->state ? slot->error : row->error;

	mp_put_literal(out, "key");
	mp_put_str(out, key, row_key(core, row, key));
	mp_put_literal(out, "state");
	mp_put_text(out, state_names[state]);
	mp_put_literal(out, "source");
	mp_put_text(out, core->origins[row->origin].source);
	mp_put_literal(out, "missing");
	put_missing(out, slot, row, state);
	mp_put_literal(out, "errno");
	if (error && state != NSP_STATE_CONFIGURED && state != NSP_STATE_REMOVED && nsp_errno_name(error))
		mp_put_text(out, nsp_errno_name(error));
	else
		mp_put_nil(out);
	mp_put_literal(out, "message");
	if (state == NSP_STATE_CONFLICT) {
		char text[300];
		snprintf(text, sizeof(text), "the key belongs to source %s", core->origins[row->origin].source);
		mp_put_text(out, text);
	} else {
		mp_put_text(out, message(core, slot, row, state));
	}
	mp_put_literal(out, "since");
	mp_put_float(out, (double)row->since / 1000);
	mp_put_literal(out, "tries");
	mp_put_uint(out, row->extra ? core->table.extras[row->extra].tries : 0);
	mp_put_literal(out, "item");
	item_put(out, slot->key, row, row->flags & WISH_SOURCE ? core->table.extras[row->extra].source : NULL);
}

void entry_put(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state, uint32_t previous)
{
	mp_put_map(out, previous == NO_PREVIOUS ? ENTRY_PAIRS : ENTRY_PAIRS + 1);
	put_pairs(core, out, row, state);
	if (previous != NO_PREVIOUS) {
		mp_put_literal(out, "previous");
		mp_put_text(out, state_names[previous]);
	}
}

/* What nobody fetches is bounded: beyond this the changes are counted only. */
#define CHANGES_MAX (64u << 20)

static void put_length(struct mp_out *out, size_t at)
{
	uint32_t len = (uint32_t)(out->len - at - sizeof(len));
	memcpy(out->data + at, &len, sizeof(len));
}

/* Begins a record of a change with its topic; the entry follows, and change_end. NULL where nobody fetches them. */
static struct mp_out *change_begin(struct nsp_core *core, const char *prefix, const char *key, size_t len, size_t *at)
{
	struct mp_out *out = &core->changes[0];
	static const uint32_t zero;

	if (out->len > CHANGES_MAX) {
		core->dropped++;
		return NULL;
	}
	*at = out->len;
	mp_put_raw(out, &zero, sizeof(zero));
	mp_put_raw(out, prefix, strlen(prefix));
	mp_put_raw(out, key, len);
	put_length(out, *at);
	*at = out->len;
	mp_put_raw(out, &zero, sizeof(zero));
	return out;
}

static void change_end(struct nsp_core *core, size_t at)
{
	put_length(&core->changes[0], at);
	core->changes_count++;
	core_signal(core);
}

void entry_put_change(struct nsp_core *core, const struct row *row, uint32_t state, uint32_t previous)
{
	char key[NSP_KEY_MAX];
	size_t at;

	if (!core->watched)
		return;
	struct mp_out *out = change_begin(core, "item/", key, row_key(core, row, key), &at);
	if (!out)
		return;
	entry_put(core, out, row, state, previous);
	change_end(core, at);
}

void entry_put_drift(struct nsp_core *core, const struct row *row, const char *found)
{
	char key[NSP_KEY_MAX];
	size_t at;

	if (!core->watched)
		return;
	struct mp_out *out = change_begin(core, "drift/", key, row_key(core, row, key), &at);
	if (!out)
		return;
	mp_put_map(out, ENTRY_PAIRS + 1);
	put_pairs(core, out, row, row_shown_state(row));
	mp_put_literal(out, "found");
	mp_put_text(out, found);
	change_end(core, at);
}

/* The entry of a row that was there once, as far as the kernel's object tells. */
static void put_stale(struct mp_out *out, const char *key, size_t len, const char *slot, const struct wish *wish)
{
	struct row row = { .type = wish->type,
			   .dst_len = wish->dst_len,
			   .metric = wish->metric,
			   .table = wish->table,
			   .flags = wish->flags,
			   .scope = wish->scope };

	memcpy(row.dst, wish->dst, 16);
	memcpy(row.via, wish->via, 16);
	mp_put_map(out, ENTRY_PAIRS + 1);
	mp_put_literal(out, "key");
	mp_put_str(out, key, len);
	mp_put_literal(out, "state");
	mp_put_text(out, state_names[NSP_STATE_REMOVED]);
	mp_put_literal(out, "source");
	mp_put_nil(out);
	mp_put_literal(out, "missing");
	mp_put_array(out, 0);
	mp_put_literal(out, "errno");
	mp_put_nil(out);
	mp_put_literal(out, "message");
	mp_put_literal(out, "nothing wants it");
	mp_put_literal(out, "since");
	mp_put_float(out, (double)core_date() / 1000);
	mp_put_literal(out, "tries");
	mp_put_uint(out, 0);
	mp_put_literal(out, "item");
	item_put(out, slot, &row, wish->source);
	mp_put_literal(out, "found");
	mp_put_literal(out, "stale");
}

void entry_put_stale(struct nsp_core *core, const char *slot, const struct object *object)
{
	const struct wish *wish = &object->wish;
	char key[NSP_KEY_MAX];
	size_t at;

	if (!core->watched)
		return;
	size_t len = key_format(key, slot, wish->type, wish->dst, wish->dst_len, wish->metric, wish->table);
	struct mp_out *out = change_begin(core, "drift/", key, len, &at);
	if (!out)
		return;
	put_stale(out, key, len, slot, wish);
	change_end(core, at);
}

void nsp_core_watch(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->watched = on;
	if (!on) { /* whoever watches next hears of what is yet to come */
		core->changes[0].len = 0;
		core->changes_count = 0;
	}
	core_unlock(core);
}

long nsp_core_changes(struct nsp_core *core, const uint8_t **data, size_t *len)
{
	core_lock(core);
	struct mp_out fresh = core->changes[1];
	fresh.len = 0;
	core->changes[1] = core->changes[0];
	core->changes[0] = fresh;
	long count = core->changes_count;
	core->changes_count = 0;
	core_unlock(core);
	*data = core->changes[1].data;
	*len = core->changes[1].len;
	return count;
}

static bool matches(const struct nsp_core *core, const struct row *row, const char *prefix, size_t n, uint32_t states,
		    const char *source)
{
	char key[NSP_KEY_MAX];

	if (row->type == FREE_ROW || !(row->flags & ROW_WANTED) || (states && !(states >> row_shown_state(row) & 1)) ||
	    (source && strcmp(core->origins[row->origin].source, source)))
		return false;
	return !n || (row_key(core, row, key) >= n && !memcmp(key, prefix, n));
}

/* A chunk at a time: the writer is not kept waiting for a whole table. */

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
		for (; more && chunk->rows && at < chunk->used && (uint32_t)count < most && out->len < bytes; at++) {
			if (number == 0 && at == 0)
				continue;
			const struct row *row = &chunk->rows[at];
			if (matches(core, row, prefix, n, states, source)) {
				entry_put(core, out, row, row_shown_state(row), NO_PREVIOUS);
				count++;
			}
		}
		if (more && chunk->rows && at < chunk->used) {
			*cursor = (uint64_t)number << CHUNK_BITS | at;
			more = false;
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
	struct wish wish;
	struct fault fault;

	out->len = 0;
	if (key_is_bulk(key, strlen(key)) && key_parse(key, strlen(key), &wish, &text, &fault)) {
		core_lock(core);
		uint32_t slot = slot_lookup(core, (char *)text.data + wish.slot);
		uint32_t id = slot ? table_find(&core->table, slot, wish.type, wish.dst, wish.dst_len, wish.metric, wish.table) :
				     NIL;
		struct row *row = id ? table_row(&core->table, id) : NULL;
		if (row && row->flags & ROW_WANTED)
			entry_put(core, out, row, row_shown_state(row), NO_PREVIOUS);
		core_unlock(core);
	}
	mp_free(&text);
	*data = out->data;
	return out->len ? (long)out->len : -ENOENT;
}
