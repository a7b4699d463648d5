/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of rows, for those who watch: records of a topic and an entry. */
#include "core/changes.h"

#include "core/clock.h"
#include "core/entry.h"
#include "core/lock.h"
#include "core/slots.h"
#include "kinds/item.h"
#include "kinds/key.h"

/* What nobody fetches is bounded: beyond this the changes are counted only. */
#define CHANGES_MAX (64u << 20)

enum drift { DRIFT_MISSING, DRIFT_ALTERED, DRIFT_STALE };

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
	struct mp_out *out = change_begin(core, "item/", key, row_key_text(core, row, key), &at);
	if (!out)
		return;
	entry_put(core, out, row, state, previous);
	change_end(core, at);
}

void entry_put_drift(struct nsp_core *core, const struct row *row, const char *found)
{
	char key[NSP_KEY_MAX];
	size_t at;

	core->drift[row->kind][!strcmp(found, "missing") ? DRIFT_MISSING : DRIFT_ALTERED]++;
	if (!core->watched)
		return;
	struct mp_out *out = change_begin(core, "drift/", key, row_key_text(core, row, key), &at);
	if (!out)
		return;
	mp_put_map(out, ENTRY_PAIRS + 1);
	entry_put_pairs(core, out, row, row_shown_state(row));
	mp_put_literal(out, "found");
	mp_put_text(out, found);
	change_end(core, at);
}

/* The entry of a row that was there once, as far as the kernel's object tells. */
static void put_stale(struct mp_out *out, const char *key, size_t len, const char *slot, const struct item *item)
{
	mp_put_map(out, ENTRY_PAIRS + 1);
	mp_put_literal(out, "key");
	mp_put_str(out, key, len);
	mp_put_literal(out, "state");
	state_put(out, NSP_STATE_REMOVED);
	mp_put_literal(out, "source");
	mp_put_nil(out);
	mp_put_literal(out, "missing");
	mp_put_array(out, 0);
	mp_put_literal(out, "errno");
	mp_put_nil(out);
	mp_put_literal(out, "message");
	mp_put_literal(out, "nothing wants it");
	mp_put_literal(out, "since");
	mp_put_float(out, (double)clock_date() / 1000);
	mp_put_literal(out, "tries");
	mp_put_uint(out, 0);
	mp_put_literal(out, "item");
	item_put(out, slot, item);
	mp_put_literal(out, "found");
	mp_put_literal(out, "stale");
}

void entry_put_stale(struct nsp_core *core, const char *slot, const struct item *item)
{
	char key[NSP_KEY_MAX];
	size_t at;

	core->drift[item->kind][DRIFT_STALE]++;
	if (!core->watched)
		return;
	size_t len = key_format(key, slot, item->kind, item->body);
	struct mp_out *out = change_begin(core, "drift/", key, len, &at);
	if (!out)
		return;
	put_stale(out, key, len, slot, item);
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
