/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many items in one map. The fields outside of `block` are those of all of them; those in it are columns, a value of fixed width for each
 * item, one behind the other:
 *
 *     {kind: arp, interface: web0, block: {ip: | 10.0.0.1 | 10.0.0.2 | ...  mac: | 6 bytes | 6 bytes | ... }}
 */
#ifndef NSP_KIND_BLOCK_H
#define NSP_KIND_BLOCK_H

#include "kinds/item.h"

/* The values of one field. */
struct column {
	const struct field *field;
	const uint8_t *data;
	const uint8_t *lens; /* of networks: their lengths, or the one of all */
	uint8_t len_step;    /* 1, or 0: one for all */
	uint8_t width;
};

struct block {
	struct decoded shared; /* what all have, and a place in the request, which is theirs too */
	uint32_t rows;
	uint8_t family; /* of the addresses in columns, 4 or 6 */
	uint8_t count;
	uint8_t prefix_len; /* of networks without a column of lengths */
	struct column columns[KIND_FIELDS_MAX];
};

/* Reads a map with `block`; of `keys` it has the fields of keys only. The slot's key is appended to `text`. false: `fault` says why none of
 * its items can be. */
bool block_read(struct fields *fields, bool keys, struct block *block, struct mp_out *text, struct slot_memo *memo,
		struct fault *fault);

/* Decodes the items from `row` on, as far as they are good: returns the place of the first that is not, of which `fault` says why, or the
 * number of rows. */
uint32_t block_decode(const struct block *block, uint32_t row, struct decoded *decoded, struct fault *fault);

/* Appends one of its items as a map without `block`, as it could have come. `in` is a map that block_read has taken. */
void block_show(struct mp_out *out, struct mp_in in, bool keys, uint32_t row);

#endif
