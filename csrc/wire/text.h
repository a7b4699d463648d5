/* SPDX-License-Identifier: Apache-2.0 */
/* The strings of the wire: names, addresses, and how references stand in keys. */
#ifndef NSP_TEXT_H
#define NSP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Is it this very text? */
static inline bool text_is(const uint8_t *data, size_t len, const char *text)
{
	return strlen(text) == len && !memcmp(data, text, len);
}

/* memcmp(3) of a few bytes, without the call. */
static inline bool text_same(const uint8_t *data, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)text[i])
			return false;
	return true;
}

/* Valid UTF-8 (RFC 3629). */
bool text_is_utf8(const uint8_t *text, size_t len);

/* That, without control characters. */
bool text_is_clean(const uint8_t *text, size_t len);

/* A logical name: 1 to 255 clean bytes without '/', '@', ';' and space. */
bool text_is_name(const uint8_t *text, size_t len);

/* A name that the kernel takes for a link (dev_valid_name): 1 to 15 bytes without '/', ':' and space, not "." or "..", nor "all" or
 * "default", which are others' under /proc/sys/net/ipv4/conf. */
bool text_is_link(const uint8_t *text, size_t len);

/* A name of a namespace under /run/netns. */
bool text_is_netns(const uint8_t *text, size_t len);

/* Dotted quad, without leading zeros, or IPv6. Returns 4 or 6, or 0. */
int text_parse_ip(const uint8_t *text, size_t len, uint8_t ip[16]);

/* Six pairs of hexadecimal digits with ':' or '-' between. */
bool text_parse_mac(const uint8_t *text, size_t len, uint8_t mac[6]);

/* A decimal number without sign, spaces and leading zeros. */
bool text_parse_number(const char *text, size_t len, uint64_t max, uint64_t *value);

/* Percent-encodes what would be ambiguous in a key (`/@;:%`, spaces). `out` holds 3 * len + 1. Returns the length. */
size_t text_encode(char *out, const uint8_t *text, size_t len);

/* The reverse, in place of `len` bytes at most. Returns the length, or -1 where a '%' is not followed by two digits. */
long text_decode(char *out, const char *text, size_t len);

#endif
