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

/* Reads a token that has to be of this type. */
bool fault_want(struct mp_in *in, struct mp_token *token, enum mp_type type, const char *field, struct fault *fault);

/* The same for a string; most are short. */
static inline bool fault_want_str(struct mp_in *in, struct mp_token *token, const char *field, struct fault *fault)
{
	if (!mp_next_short(in, token))
		return fault_want(in, token, MP_STR, field, fault);
	return true;
}

#endif
