/* SPDX-License-Identifier: Apache-2.0 */
/* What one field of an item says, whichever way it came: as a value of msgpack, or as bytes of a column. */
#ifndef NSP_KIND_VALUE_H
#define NSP_KIND_VALUE_H

#include "kinds/kind.h"
#include "wire/reference.h"

/* Before it is known of which family the item is. */
struct value {
	uint32_t number;
	uint8_t family; /* of addresses: 4 or 6 */
	uint8_t prefix_len;
	uint16_t len; /* of a set of next hops, which is in `bytes` or, where it is longer, in the text at `number` */
	uint8_t bytes[HOPS_SHORT];
};

/* Reads the next value of msgpack. false: `fault` says why it cannot be the field's. */
bool value_decode(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault);

/* The same of a list of next hops; what it becomes is appended to `text`. */
bool value_decode_hops(struct mp_in *in, const struct field *field, struct value *value, struct mp_out *text,
		       struct slot_memo *memo, struct fault *fault);

/* Reads bytes in the network's order, as many as value_width says; a network's length is in value->prefix_len already. */
bool value_read(const uint8_t *at, const struct field *field, uint8_t family, struct value *value, struct fault *fault);

/* How many bytes that takes of a field where addresses are of this family, 4 or 6; 0: they cannot be a column. */
uint8_t value_width(const struct field *field, uint8_t family);

/* Puts it where it belongs. */
void value_store(const struct value *value, const struct field *field, struct decoded *decoded);

/* Appends those bytes as the value of msgpack that says the same. */
void value_show(struct mp_out *out, const uint8_t *at, const struct field *field, uint8_t family, uint8_t prefix_len);

#endif
