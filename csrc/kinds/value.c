/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/value.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>

#include "wire/prefix.h"
#include "wire/text.h"

static bool check_number(const struct field *field, uint64_t number, struct fault *fault)
{
	return (number >= field->min && number <= field->max) ||
	       fault_set(fault, field->name, "%llu is not %u to %u", (unsigned long long)number, field->min, field->max);
}

static bool decode_number(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault)
{
	struct mp_token token;

	if (!mp_next(in, &token))
		return fault_set(fault, field->name, "truncated msgpack");
	mp_whole(&token);
	if (token.type == MP_INT)
		return fault_set(fault, field->name, "%lld is less than %u", (long long)token.number, field->min);
	if (token.type != MP_UINT)
		return fault_set(fault, field->name, "wants a number, not %s", mp_type_name(token.type));
	value->number = (uint32_t)token.number;
	return check_number(field, token.number, fault);
}

/* "'x' is not global, site, link, host or a number" */
static bool refuse_word(const struct field *field, const struct mp_token *token, struct fault *fault)
{
	char text[64], words[128];
	size_t n = 0;

	for (const struct field_word *word = field->words; word->word; word++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", n ? ", " : "", word->word);
	return fault_set(fault, field->name, "'%s' is not %s or a number", fault_text(text, token->data, token->len), words);
}

static bool decode_word(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault)
{
	struct mp_in again = *in;
	struct mp_token token;

	if (!mp_next(&again, &token) || token.type != MP_STR)
		return decode_number(in, field, value, fault);
	*in = again;
	for (const struct field_word *word = field->words; word->word; word++)
		if (text_is(token.data, token.len, word->word)) {
			value->number = word->number;
			return true;
		}
	return refuse_word(field, &token, fault);
}

/* "'x' is not unicast, blackhole, unreachable, prohibit or throw" */
static bool decode_type(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault)
{
	const struct field_word *word = field->words;
	struct mp_token token;
	char text[64], words[128];
	size_t n = 0;

	if (!fault_want(in, &token, MP_STR, field->name, fault))
		return false;
	for (; word->word; word++) {
		if (text_is(token.data, token.len, word->word)) {
			value->number = word->number;
			return true;
		}
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", !n ? "" : word[1].word ? ", " : " or ", word->word);
	}
	return fault_set(fault, field->name, "'%s' is not %s", fault_text(text, token.data, token.len), words);
}

static bool is_multicast(int family, const uint8_t *ip)
{
	return family == 4 ? (ip[0] & 0xf0) == 0xe0 : ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t *ip)
{
	static const uint8_t none[16];
	return !memcmp(ip, none, 16);
}

static bool is_host(const struct value *value)
{
	return !is_unspecified(value->bytes) && !is_multicast(value->family, value->bytes);
}

static bool decode_host(const struct mp_token *token, const struct field *field, struct value *value, struct fault *fault)
{
	char text[64];

	value->family = (uint8_t)text_parse_ip(token->data, token->len, value->bytes);
	if (!value->family)
		return fault_set(fault, field->name, "'%s' is not an IP address", fault_text(text, token->data, token->len));
	if (is_host(value))
		return true;
	return fault_set(fault, field->name,
			 is_unspecified(value->bytes) ? "'%s' is no host's address" : "'%s' is a multicast address",
			 fault_text(text, token->data, token->len));
}

/* What is byte for byte as in the item before is the same set. */
static bool is_last_list(const struct mp_in *in, const struct slot_memo *memo)
{
	return memo->list_len && (size_t)(in->end - in->p) >= memo->list_len && !memcmp(in->p, memo->list, memo->list_len);
}

bool value_decode_hops(struct mp_in *in, const struct field *field, struct value *value, struct mp_out *text,
		       struct slot_memo *memo, struct fault *fault)
{
	uint8_t set[HOPS_BYTES];

	if (is_last_list(in, memo)) {
		in->p += memo->list_len;
	} else {
		const uint8_t *list = in->p;
		memo->list_len = 0;
		if (!hops_decode(in, field->name, set, &memo->set_len, fault))
			return false;
		memo->list = list;
		memo->list_len = (uint32_t)(in->p - list);
		memo->set = (uint32_t)text->len;
		mp_put_raw(text, set, memo->set_len);
	}
	value->family = hops_family(text->data + memo->set) == AF_INET ? 4 : 6;
	value->number = memo->set;
	value->len = memo->set_len;
	if (value->len <= HOPS_SHORT)
		memcpy(value->bytes, text->data + memo->set, value->len);
	return true;
}

bool value_decode(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault)
{
	struct mp_token token;
	char text[64];

	switch (field->type) {
	case FIELD_PREFIX:
		return fault_want(in, &token, MP_STR, field->name, fault) &&
		       prefix_parse(token.data, token.len, field->name, value->bytes, &value->prefix_len, &value->family, fault);
	case FIELD_HOST:
	case FIELD_GATEWAY:
	case FIELD_ADDRESS:
		return fault_want(in, &token, MP_STR, field->name, fault) && decode_host(&token, field, value, fault);
	case FIELD_MAC:
		if (!fault_want(in, &token, MP_STR, field->name, fault))
			return false;
		return text_parse_mac(token.data, token.len, value->bytes) ||
		       fault_set(fault, field->name, "'%s' is not a MAC of six bytes such as 02:00:00:00:00:01",
				 fault_text(text, token.data, token.len));
	case FIELD_TYPE:
		return decode_type(in, field, value, fault);
	case FIELD_NUMBER:
		return field->words ? decode_word(in, field, value, fault) : decode_number(in, field, value, fault);
	case FIELD_FLAG:
		if (!fault_want(in, &token, MP_BOOL, field->name, fault))
			return false;
		value->number = (uint32_t)token.number;
		return true;
	default: /* the kind is known, interface and namespace are the caller's */
		return mp_next_short(in, &token) || mp_skip(in) || fault_set(fault, field->name, "truncated msgpack");
	}
}

/* ---- as bytes ---- */

uint8_t value_width(const struct field *field, uint8_t family)
{
	switch (field->type) {
	case FIELD_PREFIX:
	case FIELD_HOST:
	case FIELD_GATEWAY:
	case FIELD_ADDRESS:
		return family == 4 ? 4 : 16;
	case FIELD_MAC:
		return 6;
	case FIELD_NUMBER:
		return 4;
	default:
		return 0;
	}
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t big;

	memcpy(&big, at, 8);
	return be64toh(big);
}

/* Is nothing set behind the prefix? */
static bool is_network(const struct value *value)
{
	uint64_t high = load64(value->bytes), low = load64(value->bytes + 8);
	unsigned bits = value->prefix_len;

	if (value->family == 4)
		return bits <= 32 && !(high << bits);
	return bits < 64 ? !(high << bits) && !low : bits < 128 ? !(low << (bits - 64)) : bits == 128;
}

/* As it is written: "10.0.0.0/8". */
static size_t address_text(const struct value *value, bool network, char out[64])
{
	size_t n = prefix_format_ip(out, value->family == 6, value->bytes);

	return network ? n + (size_t)sprintf(out + n, "/%u", value->prefix_len) : n;
}

/* What is wrong with an address is said by the decoder of text. */
static bool refuse_address(const struct field *field, struct value *value, struct fault *fault)
{
	char text[64];
	struct mp_token token = { .type = MP_STR, .data = (const uint8_t *)text };

	token.len = (uint32_t)address_text(value, field->type == FIELD_PREFIX, text);
	return field->type == FIELD_PREFIX ?
		       prefix_parse(token.data, token.len, field->name, value->bytes, &value->prefix_len, &value->family, fault) :
		       decode_host(&token, field, value, fault);
}

static void read_address(const uint8_t *at, uint8_t family, struct value *value)
{
	value->family = family;
	memset(value->bytes, 0, 16);
	if (family == 4)
		memcpy(value->bytes, at, 4);
	else
		memcpy(value->bytes, at, 16);
}

bool value_read(const uint8_t *at, const struct field *field, uint8_t family, struct value *value, struct fault *fault)
{
	uint32_t big;

	switch (field->type) {
	case FIELD_PREFIX:
		read_address(at, family, value);
		return is_network(value) || refuse_address(field, value, fault);
	case FIELD_HOST:
	case FIELD_GATEWAY:
	case FIELD_ADDRESS:
		read_address(at, family, value);
		return is_host(value) || refuse_address(field, value, fault);
	case FIELD_MAC:
		memcpy(value->bytes, at, 6);
		return true;
	default:
		memcpy(&big, at, 4);
		value->number = be32toh(big);
		return check_number(field, value->number, fault);
	}
}

void value_show(struct mp_out *out, const uint8_t *at, const struct field *field, uint8_t family, uint8_t prefix_len)
{
	struct value value = { .prefix_len = prefix_len };
	struct fault fault;
	char text[64];

	switch (field->type) {
	case FIELD_MAC:
		mp_put_str(out, text, field_text(field, 0, at, text));
		return;
	case FIELD_NUMBER:
		value_read(at, field, family, &value, &fault);
		mp_put_uint(out, value.number);
		return;
	default:
		read_address(at, family, &value);
		mp_put_str(out, text, address_text(&value, field->type == FIELD_PREFIX, text));
	}
}

/* ---- where it goes ---- */

void value_store(const struct value *value, const struct field *field, struct decoded *decoded)
{
	uint8_t *at = decoded->body + field->offset;

	decoded->flags |= field->flag;
	switch (field->type) {
	case FIELD_PREFIX:
		at[field->size] = value->prefix_len; /* fall through */
	case FIELD_HOST:
		if (field->size == 4)
			memcpy(at, value->bytes, 4);
		else
			memcpy(field->size ? at : decoded->source, value->bytes, 16);
		return;
	case FIELD_GATEWAY:
		decoded->hops_len = hops_pack_one(decoded->hops, value->family == 4 ? AF_INET : AF_INET6, value->bytes, false);
		return;
	case FIELD_HOPS:
		decoded->flags |= ITEM_GATEWAY;
		decoded->hops_len = value->len;
		if (value->len <= HOPS_SHORT)
			memcpy(decoded->hops, value->bytes, value->len);
		else
			memcpy(decoded->hops, &value->number, sizeof(value->number));
		return;
	case FIELD_TYPE:
		if (value->number != RTN_UNICAST)
			decoded->hops_len = hops_pack_type(decoded->hops, (uint8_t)value->number);
		return;
	case FIELD_ADDRESS:
		field_put_address(field, value->bytes, value->family == 6, decoded->body);
		return;
	case FIELD_MAC:
		memcpy(at, value->bytes, 6);
		return;
	case FIELD_NUMBER:
		field_put_number(field, value->number, decoded->body);
		return;
	case FIELD_FLAG:
		field_put_number(field, value->number, decoded->body);
		if (!value->number)
			decoded->flags &= (uint8_t)~field->flag;
		return;
	default:
		return;
	}
}
