/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_utf8(const uint8_t *text, size_t len, bool controls)
{
	size_t i = 0;

	while (i < len) {
		uint8_t byte = text[i];
		if (byte < 0x80) {
			if (!controls && (byte < 0x20 || byte == 0x7f))
				return false;
			i++;
			continue;
		}
		unsigned more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
		uint32_t code = byte & (0x3fu >> more);
		if (byte < 0xc2 || byte > 0xf4 || len - i <= more)
			return false;
		for (unsigned k = 1; k <= more; k++) {
			if ((text[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (text[i + k] & 0x3f);
		}
		if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
		    (more == 3 && (code < 0x10000 || code > 0x10ffff)) || (!controls && code >= 0x80 && code < 0xa0))
			return false;
		i += 1 + more;
	}
	return true;
}

bool text_is_utf8(const uint8_t *text, size_t len)
{
	return is_utf8(text, len, true);
}

bool text_is_clean(const uint8_t *text, size_t len)
{
	return is_utf8(text, len, false);
}

bool text_is_name(const uint8_t *text, size_t len)
{
	if (len < 1 || len > 255)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '/' || text[i] == '@' || text[i] == ';' || text[i] == ' ')
			return false;
	return text_is_clean(text, len);
}

static bool is_dots(const uint8_t *text, size_t len)
{
	return (len == 1 && text[0] == '.') || (len == 2 && text[0] == '.' && text[1] == '.');
}

bool text_is_link(const uint8_t *text, size_t len)
{
	if (len < 1 || len > 15 || is_dots(text, len))
		return false;
	/* The kernel's isspace is that of Latin-1: 0xa0, a part of many a letter, is a space. */
	for (size_t i = 0; i < len; i++)
		if (memchr("/: \xa0", text[i], 4))
			return false;
	return !text_is(text, len, "all") && !text_is(text, len, "default") && text_is_clean(text, len);
}

bool text_is_netns(const uint8_t *text, size_t len)
{
	return len >= 1 && len <= 255 && !is_dots(text, len) && !memchr(text, '/', len) && text_is_clean(text, len);
}

static bool parse_ip4(const uint8_t *text, size_t len, uint8_t ip[4])
{
	const uint8_t *end = text + len;

	for (int part = 0; part < 4; part++) {
		if (part && (text == end || *text++ != '.'))
			return false;
		unsigned value = text < end ? *text++ - (unsigned)'0' : 10, digit;
		if (value > 9)
			return false;
		for (; text < end && (digit = *text - (unsigned)'0') <= 9; text++) {
			if (!value) /* leading zeros are octal to some */
				return false;
			value = value * 10 + digit;
			if (value > 255)
				return false;
		}
		ip[part] = (uint8_t)value;
	}
	return text == end;
}

int text_parse_ip(const uint8_t *text, size_t len, uint8_t ip[16])
{
	char terminated[46];

	if (parse_ip4(text, len, ip)) {
		memset(ip + 4, 0, 12);
		return 4;
	}
	if (len >= sizeof(terminated) || memchr(text, 0, len))
		return 0;
	memcpy(terminated, text, len);
	terminated[len] = 0;
	return inet_pton(AF_INET6, terminated, ip) == 1 ? 6 : 0;
}

static int hex_digit(uint8_t c)
{
	unsigned digit = c - '0', letter = (c | 0x20u) - 'a';

	return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

bool text_parse_mac(const uint8_t *text, size_t len, uint8_t mac[6])
{
	int wrong = 0; /* is negative where a digit is none: one branch for all, for whether it is a letter cannot be foretold */

	if (len != 17)
		return false;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);
		if (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-')
			return false;
		wrong |= high | low;
		mac[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
	return wrong >= 0;
}

bool text_parse_number(const char *text, size_t len, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (len < 1 || len > 19 || (text[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*value = v;
	return v <= max;
}

size_t text_encode(char *out, const uint8_t *text, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (memchr("/@;:% ", text[i], 6)) {
			out[n++] = '%';
			out[n++] = digits[text[i] >> 4];
			out[n++] = digits[text[i] & 15];
		} else {
			out[n++] = (char)text[i];
		}
	}
	out[n] = 0;
	return n;
}

long text_decode(char *out, const char *text, size_t len)
{
	long n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '%') {
			out[n++] = text[i];
			continue;
		}
		if (len - i < 3)
			return -1;
		int high = hex_digit((uint8_t)text[i + 1]);
		int low = hex_digit((uint8_t)text[i + 2]);
		if (high < 0 || low < 0)
			return -1;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return n;
}
