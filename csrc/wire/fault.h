/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with an item: which field, and why. */
#ifndef NSP_FAULT_H
#define NSP_FAULT_H

#include "wire/msgpack.h"

/* Where a decoder says what is wrong. */
struct fault {
	char field[32];
	char text[160];
};

/* Says it. Returns false, for `return fault_set(...)`. */
bool fault_set(struct fault *fault, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Text from outside, cut short and made printable for a message. */
const char *fault_text(char out[64], const uint8_t *data, size_t len);

bool fault_want_next(struct mp_in *in, struct mp_token *token, enum mp_type type, const char *field, struct fault *fault);

/* Reads a token that has to be of this type. */
static inline bool fault_want(struct mp_in *in, struct mp_token *token, enum mp_type type, const char *field, struct fault *fault)
{
	return (type == MP_STR && mp_next_short(in, token)) || fault_want_next(in, token, type, field, fault);
}

#endif
