/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/msgpack.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

static bool take(struct mp_in *in, unsigned bytes, uint64_t *value)
{
	if ((size_t)(in->end - in->p) < bytes)
		return false;
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | in->p[i];
	in->p += bytes;
	*value = v;
	return true;
}

static bool take_blob(struct mp_in *in, struct mp_token *token, enum mp_type type, uint64_t len)
{
	if ((uint64_t)(in->end - in->p) < len)
		return false;
	token->type = type;
	token->data = in->p;
	token->len = (uint32_t)len;
	in->p += len;
	return true;
}

/* A container has at least one byte an element: a count that cannot be true is refused here, before anyone loops over it. */
static bool take_container(struct mp_in *in, struct mp_token *token, enum mp_type type, uint64_t count)
{
	uint64_t values = type == MP_MAP ? count * 2 : count;
	if (values > (uint64_t)(in->end - in->p))
		return false;
	token->type = type;
	token->len = (uint32_t)count;
	return true;
}

static bool take_number(struct mp_in *in, struct mp_token *token, unsigned bytes)
{
	token->type = MP_UINT;
	return take(in, bytes, &token->number);
}

static bool take_signed(struct mp_in *in, struct mp_token *token, unsigned bytes)
{
	uint64_t raw;
	if (!take(in, bytes, &raw))
		return false;
	unsigned shift = 64 - 8 * bytes;
	int64_t value = (int64_t)(raw << shift) >> shift;
	token->type = value < 0 ? MP_INT : MP_UINT;
	token->number = (uint64_t)value;
	return true;
}

static bool take_float(struct mp_in *in, struct mp_token *token, bool is_short)
{
	uint32_t bits;
	float value;
	double wide;

	token->type = MP_FLOAT;
	if (!take(in, is_short ? 4 : 8, &token->number))
		return false;
	if (is_short) {
		bits = (uint32_t)token->number;
		memcpy(&value, &bits, sizeof(value));
		wide = (double)value;
		memcpy(&token->number, &wide, sizeof(wide));
	}
	return true;
}

static bool take_sized(struct mp_in *in, struct mp_token *token, enum mp_type type, unsigned bytes)
{
	uint64_t len;
	if (!take(in, bytes, &len))
		return false;
	if (type == MP_ARRAY || type == MP_MAP)
		return take_container(in, token, type, len);
	if (type == MP_EXT)
		len++;
	return take_blob(in, token, type, len);
}

bool mp_next(struct mp_in *in, struct mp_token *token)
{
	if (in->p >= in->end)
		return false;
	uint8_t byte = *in->p++;

	if (byte < 0x80 || byte >= 0xe0) {
		token->type = byte < 0x80 ? MP_UINT : MP_INT;
		token->number = (uint64_t)(int64_t)(int8_t)byte;
		return true;
	}
	if (byte >= 0xa0 && byte < 0xc0)
		return take_blob(in, token, MP_STR, byte & 0x1f);
	if (byte < 0x90)
		return take_container(in, token, MP_MAP, byte & 0x0f);
	if (byte < 0xa0)
		return take_container(in, token, MP_ARRAY, byte & 0x0f);

	switch (byte) {
	case 0xc0:
		token->type = MP_NIL;
		return true;
	case 0xc2:
	case 0xc3:
		token->type = MP_BOOL;
		token->number = byte & 1;
		return true;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return take_sized(in, token, MP_BIN, 1u << (byte - 0xc4));
	case 0xc7:
	case 0xc8:
	case 0xc9:
		return take_sized(in, token, MP_EXT, 1u << (byte - 0xc7));
	case 0xca:
	case 0xcb:
		return take_float(in, token, byte == 0xca);
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		return take_number(in, token, 1u << (byte - 0xcc));
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return take_signed(in, token, 1u << (byte - 0xd0));
	case 0xd4:
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8:
		return take_blob(in, token, MP_EXT, 1 + (1u << (byte - 0xd4)));
	case 0xd9:
	case 0xda:
	case 0xdb:
		return take_sized(in, token, MP_STR, 1u << (byte - 0xd9));
	case 0xdc:
	case 0xdd:
		return take_sized(in, token, MP_ARRAY, byte == 0xdc ? 2 : 4);
	case 0xde:
	case 0xdf:
		return take_sized(in, token, MP_MAP, byte == 0xde ? 2 : 4);
	default:
		return false;
	}
}

bool mp_skip(struct mp_in *in)
{
	struct mp_token token;

	for (uint64_t left = 1; left; left--) {
		if (!mp_next(in, &token))
			return false;
		if (token.type == MP_ARRAY)
			left += token.len;
		else if (token.type == MP_MAP)
			left += 2 * (uint64_t)token.len;
	}
	return true;
}

void mp_whole(struct mp_token *token)
{
	double value;

	if (token->type != MP_FLOAT)
		return;
	memcpy(&value, &token->number, sizeof(value));
	/* The comparisons are false of what is no number. */
	if (value >= 0 && value < 0x1p64 && value == (double)(uint64_t)value) {
		token->type = MP_UINT;
		token->number = (uint64_t)value;
	} else if (value < 0 && value >= -0x1p63 && value == (double)(int64_t)value) {
		token->type = MP_INT;
		token->number = (uint64_t)(int64_t)value;
	}
}

const char *mp_type_name(enum mp_type type)
{
	static const char *const names[] = {
		"nil",	    "a boolean", "a number",	 "a negative number", "a floating-point number",
		"a string", "binary",	 "an extension", "an array",	      "a map"
	};
	return names[type];
}

uint8_t *mp_room(struct mp_out *out, size_t n)
{
	if (out->len + n > out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 512;
		while (cap < out->len + n)
			cap *= 2;
		uint8_t *data = realloc(out->data, cap);
		if (!data)
			abort();
		out->data = data;
		out->cap = cap;
	}
	return out->data + out->len;
}

void mp_put_raw(struct mp_out *out, const void *data, size_t len)
{
	if (len)
		memcpy(mp_room(out, len), data, len);
	out->len += len;
}

/* A type byte and a big-endian number of 1, 2, 4 or 8 bytes. */
static void put_number(struct mp_out *out, uint8_t type, uint64_t value, unsigned bytes)
{
	uint8_t *p = mp_room(out, 9);
	uint64_t big = htobe64(value);
	p[0] = type;
	memcpy(p + 1, (uint8_t *)&big + 8 - bytes, bytes);
	out->len += 1 + bytes;
}

void mp_put_uint(struct mp_out *out, uint64_t value)
{
	if (value < 0x80)
		mp_put_byte(out, (uint8_t)value);
	else if (value <= UINT8_MAX)
		put_number(out, 0xcc, value, 1);
	else if (value <= UINT16_MAX)
		put_number(out, 0xcd, value, 2);
	else if (value <= UINT32_MAX)
		put_number(out, 0xce, value, 4);
	else
		put_number(out, 0xcf, value, 8);
}

void mp_put_negative(struct mp_out *out, uint64_t value)
{
	int64_t number = (int64_t)value;

	if (number >= -32)
		mp_put_byte(out, (uint8_t)value);
	else if (number >= INT8_MIN)
		put_number(out, 0xd0, value, 1);
	else if (number >= INT16_MIN)
		put_number(out, 0xd1, value, 2);
	else if (number >= INT32_MIN)
		put_number(out, 0xd2, value, 4);
	else
		put_number(out, 0xd3, value, 8);
}

void mp_put_float(struct mp_out *out, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	put_number(out, 0xcb, bits, 8);
}

void mp_put_str(struct mp_out *out, const char *text, size_t len)
{
	if (len < 32)
		mp_put_byte(out, (uint8_t)(0xa0 | len));
	else if (len <= UINT8_MAX)
		put_number(out, 0xd9, len, 1);
	else if (len <= UINT16_MAX)
		put_number(out, 0xda, len, 2);
	else
		put_number(out, 0xdb, len, 4);
	mp_put_raw(out, text, len);
}

void mp_put_bin(struct mp_out *out, const void *data, size_t len)
{
	if (len <= UINT8_MAX)
		put_number(out, 0xc4, len, 1);
	else if (len <= UINT16_MAX)
		put_number(out, 0xc5, len, 2);
	else
		put_number(out, 0xc6, len, 4);
	mp_put_raw(out, data, len);
}

void mp_put_map(struct mp_out *out, uint32_t pairs)
{
	if (pairs < 16)
		mp_put_byte(out, (uint8_t)(0x80 | pairs));
	else
		put_number(out, 0xdf, pairs, 4);
}

void mp_put_array(struct mp_out *out, uint32_t elements)
{
	if (elements < 16)
		mp_put_byte(out, (uint8_t)(0x90 | elements));
	else
		put_number(out, 0xdd, elements, 4);
}

void mp_free(struct mp_out *out)
{
	free(out->data);
	*out = (struct mp_out){ 0 };
}
