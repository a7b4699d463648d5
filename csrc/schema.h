/* SPDX-License-Identifier: Apache-2.0 */
/* The bulk kinds: what fields they have, how one is decoded from msgpack, and how their keys are written and read. */
#ifndef NSP_SCHEMA_H
#define NSP_SCHEMA_H

#include "msgpack.h"
#include "nsplane.h"

/* What a record is of: its kind and family in one. */
enum wish_type { WISH_ROUTE4, WISH_ROUTE6, WISH_ARP4, WISH_ARP6 };

#define WISH_TYPE_IS_ROUTE(type) ((type) <= WISH_ROUTE6)
#define WISH_TYPE_IS_V6(type) ((type) & 1)
#define WISH_KIND(type) ((type) >> 1)

enum wish_flag {
	WISH_VIA = 0x1, /* a gateway; of an ARP entry: the MAC */
	WISH_ONLINK = 0x2,
	WISH_SOURCE = 0x4,
	WISH_SCOPE = 0x8,
	WISH_OVERRIDE = 0x10,
};
#define WISH_FLAGS 0x1f

/* One decoded item. */
struct wish {
	uint8_t type;
	uint8_t dst_len;
	uint8_t scope;
	uint8_t flags;
	uint32_t metric;
	uint32_t table;
	uint32_t index; /* position in the request */
	uint32_t slot;	/* offset of the slot's key in the frame's text */
	uint8_t dst[16];
	uint8_t via[16];
	uint8_t source[16];
};

/* Where a decoder says what is wrong. */
struct fault {
	char field[32];
	char text[160];
};

/* The last interface that was decoded: publishers send runs of one interface, so its key is written once a run. */
struct slot_memo {
	const uint8_t *name;
	uint32_t name_len;
	uint32_t offset;
};

#define NSP_KEY_MAX 1400 /* of a row, with its NUL */

/* What kind an item map is of: 0 route, 1 arp, -1 another or none. `in` is at the item's first byte and is not moved. */
int schema_kind(struct mp_in in);

/* Decodes an item of a bulk kind; `in` is moved behind it. The slot's key is appended to `text`. false: `fault` says why. */
bool schema_decode(struct mp_in *in, int kind, struct wish *wish, struct mp_out *text, struct slot_memo *memo, struct fault *fault);

/* Is this a key of a bulk kind? */
bool schema_is_key(const char *key, size_t len);

/* Reads a key of a bulk kind into a wish without attributes. */
bool schema_parse_key(const char *key, size_t len, struct wish *wish, struct mp_out *text, struct fault *fault);

/* Writes a key; `out` holds NSP_KEY_MAX bytes. Returns its length. */
size_t schema_format_key(char *out, const char *slot, uint8_t type, const uint8_t *dst, uint8_t dst_len, uint32_t metric,
			 uint32_t table);

/* Writes an address, without prefix; `out` holds 46 bytes. Returns its length. */
size_t schema_format_ip(char *out, bool v6, const uint8_t *ip);

/* The pairs `interface` and, for a kernel interface, `namespace` of items on this slot. Returns the number of pairs. */
uint32_t schema_put_interface(struct mp_out *out, const char *slot);

/* The name of a scope, or NULL for one that has a number only. */
const char *schema_scope_name(uint8_t scope);

/* What a route has where the field is left out. */
#define SCHEMA_METRIC6 1024
#define SCHEMA_TABLE 254

#endif
