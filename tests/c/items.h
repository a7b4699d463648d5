/* SPDX-License-Identifier: Apache-2.0 */
/*
 * items.h - requests written as text, and answers read as text, so that a test looks like what it is about:
 *
 *	put_value(&out, "{op: put, items: [{kind: arp, interface: web0, ip: 10.0.0.9, mac: '02:00:00:00:00:09'}]}");
 *
 * A word is a string unless it is true, false, nil or an integer; in quotes it always is, with \xNN for any byte. 0x0a000001 is binary.
 */
#ifndef TEST_ITEMS_H
#define TEST_ITEMS_H

#include "test.h"

#include "wire/msgpack.h"

static inline bool is_word_byte(char c)
{
	return c && !strchr(" \t\n,:{}[]'", c);
}

static inline const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\n,");
}

static inline const char *put_quoted(struct mp_out *out, const char *p)
{
	char text[2048];
	size_t n = 0;

	while (*p && *p != '\'') {
		if (n == sizeof(text)) {
			printf("a string of a test is too long\n");
			exit(1);
		}
		if (p[0] == '\\' && p[1] == 'x') {
			char digits[3] = { p[2], p[3], 0 };

			text[n++] = (char)strtol(digits, NULL, 16);
			p += 4;
		} else {
			text[n++] = *p++;
		}
	}
	mp_put_str(out, text, n);
	return p + 1;
}

/* The pairs of digits that follow "0x". */
static inline void put_binary(struct mp_out *out, const char *digits, size_t len)
{
	uint8_t head[5] = { 0xc6, (uint8_t)(len / 2 >> 24), (uint8_t)(len / 2 >> 16), (uint8_t)(len / 2 >> 8), (uint8_t)(len / 2) };

	mp_put_raw(out, head, sizeof(head));
	for (size_t i = 0; i + 1 < len; i += 2) {
		char pair[3] = { digits[i], digits[i + 1], 0 };

		mp_put_byte(out, (uint8_t)strtol(pair, NULL, 16));
	}
}

static inline const char *put_word(struct mp_out *out, const char *p)
{
	const char *start = p;
	char *end;

	/* Addresses have colons and need no quotes where they stand as a value: "fd00::1/64," ends at the comma. */
	while (is_word_byte(*p) || (*p == ':' && p[1] != ' '))
		p++;
	size_t len = (size_t)(p - start);
	long long number = strtoll(start, &end, 10);
	if (len == 4 && !memcmp(start, "true", 4)) {
		mp_put_bool(out, true);
	} else if (len == 5 && !memcmp(start, "false", 5)) {
		mp_put_bool(out, false);
	} else if (len == 3 && !memcmp(start, "nil", 3)) {
		mp_put_nil(out);
	} else if (len >= 2 && !memcmp(start, "0x", 2)) {
		put_binary(out, start + 2, len - 2);
	} else if (end == p && number >= 0) {
		mp_put_uint(out, (uint64_t)number);
	} else if (end == p && len) {
		uint8_t negative[9] = { 0xd3 };

		for (int i = 0; i < 8; i++)
			negative[1 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
		mp_put_raw(out, negative, 9);
	} else {
		mp_put_str(out, start, len);
	}
	return p;
}

/* Appends the value that `p` begins with. Returns what follows it. */
static inline const char *put_value(struct mp_out *out, const char *p)
{
	struct mp_out inside = { 0 };
	uint32_t count = 0;

	p = skip_space(p);
	if (*p == '\'')
		return put_quoted(out, p + 1);
	if (*p != '{' && *p != '[')
		return put_word(out, p);
	char close = *p == '{' ? '}' : ']';
	for (p = skip_space(p + 1); *p && *p != close; p = skip_space(p)) {
		p = put_value(&inside, p);
		if (*p == ':')
			p++;
		else
			count += close == '}';
		count += close == ']';
	}
	if (close == '}')
		mp_put_map(out, count);
	else
		mp_put_array(out, count);
	mp_put_raw(out, inside.data, inside.len);
	mp_free(&inside);
	return p + 1;
}

static inline void show_next(struct mp_out *out, struct mp_in *in);

static inline void show_container(struct mp_out *out, struct mp_in *in, const struct mp_token *token)
{
	bool map = token->type == MP_MAP;

	mp_put_byte(out, map ? '{' : '[');
	for (uint32_t i = 0; i < token->len; i++) {
		if (i)
			mp_put_raw(out, ", ", 2);
		show_next(out, in);
		if (map) {
			mp_put_raw(out, ": ", 2);
			show_next(out, in);
		}
	}
	mp_put_byte(out, map ? '}' : ']');
}

static inline void show_next(struct mp_out *out, struct mp_in *in)
{
	struct mp_token token;
	char text[32];

	if (!mp_next(in, &token)) {
		mp_put_raw(out, "(truncated)", 11);
		return;
	}
	switch (token.type) {
	case MP_ARRAY:
	case MP_MAP:
		show_container(out, in, &token);
		return;
	case MP_STR:
		mp_put_raw(out, token.data, token.len);
		return;
	case MP_UINT:
	case MP_INT:
		mp_put_raw(out, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)token.number));
		return;
	case MP_BIN:
		mp_put_raw(out, "0x", 2);
		for (uint32_t i = 0; i < token.len; i++)
			mp_put_raw(out, text, (size_t)snprintf(text, sizeof(text), "%02x", token.data[i]));
		return;
	case MP_BOOL:
		mp_put_raw(out, token.number ? "true" : "false", token.number ? 4 : 5);
		return;
	case MP_NIL:
		mp_put_raw(out, "nil", 3);
		return;
	default:
		mp_put_raw(out, "(...)", 5);
	}
}

/* Values, one a line, without quotes. Valid until the next call. */
static inline const char *shown(const uint8_t *data, size_t len)
{
	static struct mp_out out;
	struct mp_in in = { data, data ? data + len : NULL };

	out.len = 0;
	while (in.p < in.end) {
		show_next(&out, &in);
		mp_put_byte(&out, '\n');
	}
	mp_put_byte(&out, 0);
	return (const char *)out.data;
}

#define CHECK_HAS(text, part)                                                                                                      \
	do {                                                                                                                       \
		const char *whole_ = (text), *part_ = (part);                                                                      \
                                                                                                                                   \
		if (strstr(whole_, part_)) {                                                                                       \
			test_passed++;                                                                                             \
		} else {                                                                                                           \
			test_failed++;                                                                                             \
			printf("%s:%d: \"%s\" is not in \"%s\"\n", __FILE__, __LINE__, part_, whole_);                             \
		}                                                                                                                  \
	} while (0)

#endif
