/* SPDX-License-Identifier: Apache-2.0 */
/* One wanted item of a bulk kind, decoded. */
#ifndef NSP_WISH_H
#define NSP_WISH_H

#include <stdint.h>

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

/* What a route has where the field is left out. */
#define SCHEMA_METRIC6 1024
#define SCHEMA_TABLE 254

#endif
