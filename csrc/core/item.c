/* SPDX-License-Identifier: Apache-2.0 */
/* A row as the item that its publisher could have written. */
#include "core/item.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "wire/key.h"
#include "wire/prefix.h"
#include "wire/schema.h"

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

void item_put_row(const struct nsp_core *core, struct mp_out *out, const struct row *row)
{
	item_put(out, core->slots[row->slot]->key, row, row->flags & WISH_SOURCE ? core->table.extras[row->extra].source : NULL);
}
