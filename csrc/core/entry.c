/* SPDX-License-Identifier: Apache-2.0 */
/* How a row is shown: {key, state, source, missing, errno, message, since, tries, item}, in replies, in `get` and in events. */
#include "core/entry.h"

#include <stdio.h>

#include "core/hop_links.h"
#include "core/slots.h"
#include "kinds/item.h"
#include "kinds/key.h"
#include "wire/prefix.h"
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

size_t row_key_text(const struct nsp_core *core, const struct row *row, char *key)
{
	return key_format(key, core->slots[row->slot]->key, row->kind, row->body);
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

/* ["gateway/10.0.0.1"] */
static void put_gateways(const struct nsp_core *core, struct mp_out *out, const struct row *row)
{
	struct item item = row_item(&core->table, row);
	unsigned count = hops_count(item.hops, item.hops_len);
	char text[64] = "gateway/";

	mp_put_array(out, count);
	for (unsigned i = 0; i < count; i++)
		mp_put_str(out, text,
			   8 + prefix_format_ip(text + 8, hops_family(item.hops) == AF_INET6, hops_address(item.hops, i)));
}

/* ["master/web0"] */
static void put_awaited(struct mp_out *out, const char *fact, const struct slot *slot)
{
	char text[NSP_KEY_MAX];

	mp_put_array(out, 1);
	mp_put_str(out, text, (size_t)snprintf(text, sizeof(text), "%s/%s", fact, slot->key));
}

static void put_missing(const struct nsp_core *core, struct mp_out *out, const struct slot *slot, const struct row *row,
			uint32_t state)
{
	if (state != NSP_STATE_PENDING)
		mp_put_array(out, 0);
	else if (row->flags & ROW_DEAD)
		put_ended(out, slot);
	else if (!slot->ready)
		mp_put_raw(out, slot->missing.data, slot->missing.len);
	else if (row_lacks_link(core, row))
		hop_links_put_missing(core, out, row);
	else if (row->flags & ITEM_GATEWAY && row->error)
		put_gateways(core, out, row);
	else if (row_awaits(row))
		put_awaited(out, row_awaits(row), slot);
	else
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
	if (row_lacks_link(core, row))
		return "";
	return row->error ? strerror(row->error) : "queued for writing";
}

/* One that had no verdict yet waits for the writer. */
uint32_t row_shown_state(const struct row *row)
{
	return row->state == NSP_STATE_NONE ? NSP_STATE_PENDING : row->state;
}

void entry_put_pairs(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state)
{
	const struct slot *slot = core->slots[row->slot];
	char key[NSP_KEY_MAX];
	int error = !slot->ready && state == slot->state ? slot->error : row->error;

	mp_put_literal(out, "key");
	mp_put_str(out, key, row_key_text(core, row, key));
	mp_put_literal(out, "state");
	mp_put_text(out, state_names[state]);
	mp_put_literal(out, "source");
	mp_put_text(out, core->origins[row->origin].source);
	mp_put_literal(out, "missing");
	put_missing(core, out, slot, row, state);
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
	struct item item = row_item(&core->table, row);
	item_put(out, slot->key, &item);
}

void entry_put(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state, uint32_t previous)
{
	mp_put_map(out, previous == NO_PREVIOUS ? ENTRY_PAIRS : ENTRY_PAIRS + 1);
	entry_put_pairs(core, out, row, state);
	if (previous != NO_PREVIOUS) {
		mp_put_literal(out, "previous");
		mp_put_text(out, state_names[previous]);
	}
}
