/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/fault.h"

#include <stdarg.h>
#include <stdio.h>

bool fault_set(struct fault *fault, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(fault->field, sizeof(fault->field), "%s", field);
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return false;
}

/* Text from outside, cut short for a message. */
const char *fault_text(char out[64], const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < 48; i++)
		out[n++] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
	memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
	return out;
}

bool fault_want_next(struct mp_in *in, struct mp_token *token, enum mp_type type, const char *field, struct fault *fault)
{
	if (!mp_next(in, token))
		return fault_set(fault, field, "truncated msgpack");
	if (token->type != type)
		return fault_set(fault, field, "wants %s, not %s", mp_type_name(type), mp_type_name(token->type));
	return true;
}
