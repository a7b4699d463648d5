/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/json.h"

#include <string.h>

#include "wire/text.h"

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* From the quote on to what comes behind the other; NULL where there is no other. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\' && ++at == end)
			break;
	}
	return NULL;
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

/* What comes behind the value that begins here; NULL where none does. */
static const char *skip_value(const char *at, const char *end)
{
	size_t depth = 0;

	if (at < end && is_plain(*at)) {
		while (at < end && is_plain(*at))
			at++;
		return at;
	}
	while (at && at < end) {
		switch (*at) {
		case '"':
			at = skip_string(at, end);
			break;
		case '{':
		case '[':
			depth++;
			at++;
			break;
		case '}':
		case ']':
			if (!depth--)
				return NULL;
			at++;
			break;
		default:
			if (!depth)
				return NULL;
			at++;
		}
		if (at && !depth)
			return at;
	}
	return NULL;
}

bool json_value(const char *text, size_t len, struct json *value)
{
	const char *end = text + len, *at = skip_space(text, end), *behind = skip_value(at, end);

	if (!behind || skip_space(behind, end) != end)
		return false;
	*value = (struct json){ at, (size_t)(behind - at) };
	return true;
}

bool json_open(struct json value, struct json_walk *walk)
{
	if (value.len < 2 ||
	    !((value.at[0] == '{' && value.at[value.len - 1] == '}') || (value.at[0] == '[' && value.at[value.len - 1] == ']')))
		return false;
	*walk = (struct json_walk){ value.at + 1, value.at + value.len - 1, value.at[0] == '{', true, false };
	return true;
}

/* Moves behind this character, and the space around it. */
static bool pass(struct json_walk *walk, char c)
{
	walk->at = skip_space(walk->at, walk->end);
	if (walk->at == walk->end || *walk->at != c)
		return false;
	walk->at = skip_space(walk->at + 1, walk->end);
	return true;
}

static bool take(struct json_walk *walk, struct json *value)
{
	const char *behind = skip_value(walk->at, walk->end);

	if (!behind)
		return false;
	*value = (struct json){ walk->at, (size_t)(behind - walk->at) };
	walk->at = behind;
	return true;
}

bool json_next(struct json_walk *walk, struct json *name, struct json *value)
{
	walk->at = skip_space(walk->at, walk->end);
	if (walk->broken || (walk->first && walk->at == walk->end))
		return false;
	if (!walk->first && !pass(walk, ',')) {
		walk->broken = walk->at != walk->end;
		return false;
	}
	walk->first = false;
	*name = (struct json){ walk->at, 0 };
	walk->broken = (walk->object && (walk->at == walk->end || *walk->at != '"' || !take(walk, name) || !pass(walk, ':'))) ||
		       !take(walk, value);
	return !walk->broken;
}

bool json_member(struct json object, const char *name, struct json *value)
{
	size_t len = strlen(name);
	struct json_walk walk;
	struct json found;

	if (!json_open(object, &walk) || !walk.object)
		return false;
	while (json_next(&walk, &found, value))
		if (found.len == len + 2 && memcmp(found.at + 1, name, len) == 0)
			return true;
	return false;
}

static bool hex(const char *at, const char *end, uint32_t *code)
{
	*code = 0;
	if (end - at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned digit = (unsigned)at[i] - '0', letter = ((unsigned)at[i] | 0x20u) - 'a';
		if (digit > 9 && letter > 5)
			return false;
		*code = *code << 4 | (digit <= 9 ? digit : letter + 10);
	}
	return true;
}

/* What follows a backslash: its bytes in UTF-8, and how many. 0 where it is nothing that could follow. */
static size_t escaped(const char **at, const char *end, char bytes[4])
{
	static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	uint32_t code, low;

	if (*at == end)
		return 0;
	if (**at != 'u') {
		letter = **at ? strchr(letters, **at) : NULL;
		if (!letter)
			return 0;
		bytes[0] = means[letter - letters];
		(*at)++;
		return 1;
	}
	if (!hex(*at + 1, end, &code) || !code)
		return 0;
	*at += 5;
	if (code >= 0xd800 && code < 0xe000) {
		if (code >= 0xdc00 || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || !hex(*at + 2, end, &low) ||
		    low < 0xdc00 || low >= 0xe000)
			return 0;
		*at += 6;
		code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
	}
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i; i--, code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3f));
	bytes[0] = (char)((0xf00u >> len & 0xff) | code);
	return len;
}

bool json_string(struct json value, char *text, size_t size)
{
	size_t len = 0;

	if (value.len < 2 || value.at[0] != '"' || value.at[value.len - 1] != '"')
		return false;
	const char *at = value.at + 1, *end = value.at + value.len - 1;
	while (at < end) {
		char bytes[4] = { *at++ };
		size_t count = 1;

		if (bytes[0] == '\\')
			count = escaped(&at, end, bytes);
		if (!count || !bytes[0] || count >= size - len)
			return false;
		memcpy(text + len, bytes, count);
		len += count;
	}
	text[len] = 0;
	return true;
}

bool json_number(struct json value, int64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < value.len; i++) {
		unsigned digit = (unsigned)value.at[i] - '0';
		if (digit > 9 || *number > (INT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return value.len > 0;
}

size_t json_quote(const char *text, char *quoted, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	bool readable = text_is_utf8((const uint8_t *)text, strlen(text));
	size_t len = 0;

	quoted[len++] = '"';
	for (; *text; text++) {
		char bytes[6] = { '\\', 'u', '0', '0' };
		size_t count = 6;

		if (*text == '"' || *text == '\\') {
			bytes[1] = *text;
			count = 2;
		} else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			bytes[4] = digits[*text >> 4];
			bytes[5] = digits[*text & 0xf];
		} else {
			bytes[0] = (unsigned char)*text < 0x80 || readable ? *text : '?';
			count = 1;
		}
		/* Not half of a character either. */
		size_t whole = count;
		if (readable && (unsigned char)*text >= 0xc0)
			whole = (unsigned char)*text >= 0xf0 ? 4 : (unsigned char)*text >= 0xe0 ? 3 : 2;
		if (len + whole + 2 > size)
			break;
		memcpy(quoted + len, bytes, count);
		len += count;
	}
	quoted[len++] = '"';
	quoted[len] = 0;
	return len;
}
