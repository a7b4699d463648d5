/* SPDX-License-Identifier: Apache-2.0 */
/* Reading msgpack without copying and writing it into a growing buffer (https://github.com/msgpack/msgpack/blob/master/spec.md). */
#ifndef NSP_MSGPACK_H
#define NSP_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum mp_type { MP_NIL, MP_BOOL, MP_UINT, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_EXT, MP_ARRAY, MP_MAP };

struct mp_in {
	const uint8_t *p;
	const uint8_t *end;
};

struct mp_token {
	enum mp_type type;
	uint64_t number;     /* BOOL, UINT; INT: negative numbers only, two's complement; FLOAT: the bits of a double */
	const uint8_t *data; /* STR, BIN, EXT */
	uint32_t len;	     /* STR, BIN, EXT: bytes; ARRAY: elements; MAP: pairs */
};

/* Reads the next token; the elements of an array or map follow as tokens of their own. false: truncated, or a byte (0xc1) that
 * msgpack never uses. */
bool mp_next(struct mp_in *in, struct mp_token *token);

/* The next token where that is a string of less than 32 bytes, as most are. false: `in` is where it was, and mp_next tells what it is. */
static inline bool mp_next_short(struct mp_in *in, struct mp_token *token)
{
	size_t left = (size_t)(in->end - in->p);
	uint32_t len = left ? *in->p ^ 0xa0u : 0xff;

	if (len > 31 || len >= left)
		return false;
	token->type = MP_STR;
	token->data = in->p + 1;
	token->len = len;
	in->p += 1 + len;
	return true;
}

/* Passes over one whole value of any depth, without recursion. */
bool mp_skip(struct mp_in *in);

/* Is the next value nil? Then it is passed over. */
static inline bool mp_skip_nil(struct mp_in *in)
{
	bool nil = in->p < in->end && *in->p == 0xc0;

	in->p += nil;
	return nil;
}

/* Makes a token of a float that is a whole number one of that number. Others stay as they are. */
void mp_whole(struct mp_token *token);

/* What a token is, for messages: "a string". */
const char *mp_type_name(enum mp_type type);

struct mp_out {
	uint8_t *data;
	size_t len;
	size_t cap;
};

/* Room for `n` more bytes. Memory that cannot be had ends the process: there is no state worth going on with. */
uint8_t *mp_room(struct mp_out *out, size_t n);

void mp_put_raw(struct mp_out *out, const void *data, size_t len);
void mp_put_str(struct mp_out *out, const char *text, size_t len);
void mp_put_uint(struct mp_out *out, uint64_t value);
/* A negative number, two's complement. */
void mp_put_negative(struct mp_out *out, uint64_t value);
void mp_put_bin(struct mp_out *out, const void *data, size_t len);
void mp_put_float(struct mp_out *out, double value);
void mp_put_map(struct mp_out *out, uint32_t pairs);
void mp_put_array(struct mp_out *out, uint32_t elements);

static inline void mp_put_byte(struct mp_out *out, uint8_t byte)
{
	*mp_room(out, 1) = byte;
	out->len++;
}

static inline void mp_put_nil(struct mp_out *out)
{
	mp_put_byte(out, 0xc0);
}

static inline void mp_put_bool(struct mp_out *out, bool value)
{
	mp_put_byte(out, value ? 0xc3 : 0xc2);
}

#define mp_put_literal(out, text) mp_put_str(out, text, sizeof(text) - 1)

static inline void mp_put_text(struct mp_out *out, const char *text)
{
	mp_put_str(out, text, strlen(text));
}

void mp_free(struct mp_out *out);

#endif
