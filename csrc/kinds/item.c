/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/item.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "wire/prefix.h"
#include "wire/text.h"

/* What one field says, before it is known of which family the item is. */
struct value {
	uint32_t number;
	uint8_t family; /* of addresses: 4 or 6 */
	uint8_t prefix_len;
	uint16_t len; /* of a set of next hops, which is in `bytes` or, where it is longer, in the text at `number` */
	uint8_t bytes[HOPS_SHORT];
};

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
	if (token.number < field->min || token.number > field->max)
		return fault_set(fault, field->name, "%llu is not %u to %u", (unsigned long long)token.number, field->min,
				 field->max);
	value->number = (uint32_t)token.number;
	return true;
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

static bool is_multicast(int family, const uint8_t *ip)
{
	return family == 4 ? (ip[0] & 0xf0) == 0xe0 : ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t *ip)
{
	static const uint8_t none[16];
	return !memcmp(ip, none, 16);
}

static bool decode_host(const struct mp_token *token, const struct field *field, struct value *value, struct fault *fault)
{
	char text[64];

	value->family = (uint8_t)text_parse_ip(token->data, token->len, value->bytes);
	if (!value->family)
		return fault_set(fault, field->name, "'%s' is not an IP address", fault_text(text, token->data, token->len));
	if (is_unspecified(value->bytes))
		return fault_set(fault, field->name, "'%s' is no host's address", fault_text(text, token->data, token->len));
	if (is_multicast(value->family, value->bytes))
		return fault_set(fault, field->name, "'%s' is a multicast address", fault_text(text, token->data, token->len));
	return true;
}

/* What is byte for byte as in the item before is the same set. */
static bool is_last_list(const struct mp_in *in, const struct slot_memo *memo)
{
	return memo->list_len && (size_t)(in->end - in->p) >= memo->list_len && !memcmp(in->p, memo->list, memo->list_len);
}

static bool decode_hops(struct mp_in *in, const struct field *field, struct value *value, struct mp_out *text,
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
	value->family = text->data[memo->set] == AF_INET ? 4 : 6;
	value->number = memo->set;
	value->len = memo->set_len;
	if (value->len <= HOPS_SHORT)
		memcpy(value->bytes, text->data + memo->set, value->len);
	return true;
}

static bool decode_field(struct mp_in *in, const struct field *field, struct value *value, struct fault *fault)
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
	case FIELD_NUMBER:
		return field->words ? decode_word(in, field, value, fault) : decode_number(in, field, value, fault);
	case FIELD_FLAG:
		if (!fault_want(in, &token, MP_BOOL, field->name, fault))
			return false;
		value->number = (uint32_t)token.number;
		return true;
	default: /* kind, interface and namespace are the caller's */
		return mp_skip(in) || fault_set(fault, field->name, "truncated msgpack");
	}
}

static void store(const struct field *field, const struct value *value, struct wish *wish)
{
	uint8_t *at = wish->body + field->offset;

	wish->flags |= field->flag;
	switch (field->type) {
	case FIELD_PREFIX:
		at[field->size] = value->prefix_len; /* fall through */
	case FIELD_HOST:
		if (field->size == 4)
			memcpy(at, value->bytes, 4);
		else
			memcpy(field->size ? at : wish->source, value->bytes, 16);
		return;
	case FIELD_GATEWAY:
		wish->hops_len = hops_pack_one(wish->hops, value->family == 4 ? AF_INET : AF_INET6, value->bytes, false);
		return;
	case FIELD_HOPS:
		wish->flags |= ITEM_GATEWAY;
		wish->hops_len = value->len;
		if (value->len <= HOPS_SHORT)
			memcpy(wish->hops, value->bytes, value->len);
		else
			memcpy(wish->hops, &value->number, sizeof(value->number));
		return;
	case FIELD_ADDRESS:
		memset(at, 0, 16);
		if (value->family == 4)
			at[10] = at[11] = 0xff;
		memcpy(value->family == 4 ? at + 12 : at, value->bytes, value->family == 4 ? 4 : 16);
		return;
	case FIELD_MAC:
		memcpy(at, value->bytes, 6);
		return;
	case FIELD_NUMBER:
		field_put_number(field, value->number, wish->body);
		return;
	case FIELD_FLAG:
		if (!value->number)
			wish->flags &= (uint8_t)~field->flag;
		return;
	default:
		return;
	}
}

/* Puts what is given where it belongs. The family of an item is that of the address in its key, and all its addresses are of it. */
static bool store_all(const struct kind *kind, const struct value *values, unsigned given, struct wish *wish, struct fault *fault)
{
	uint8_t family = kind->family == AF_INET ? 4 : 6;

	wish->flags = 0;
	wish->hops_len = 0;
	memcpy(wish->body, kind->blank, KIND_BODY_MAX);
	for (; given; given &= given - 1) {
		unsigned at = (unsigned)__builtin_ctz(given);
		const struct field *field = &kind->fields[at];
		bool addresses = field->type == FIELD_HOST || field->type == FIELD_GATEWAY || field->type == FIELD_HOPS;
		if (addresses && values[at].family != family)
			return fault_set(fault, field->name, "is IPv%d, the destination IPv%d", values[at].family, family);
		if (field->type == FIELD_HOPS && wish->hops_len)
			return fault_set(fault, field->name, "is not given beside gateway");
		store(field, &values[at], wish);
	}
	return !kind->settle || kind->settle(wish, fault);
}

static const struct field *find_field(const struct kind *kind, const struct mp_token *key, unsigned *hint)
{
	for (unsigned i = 0; i < kind->field_count; i++) {
		unsigned at = *hint + i < kind->field_count ? *hint + i : *hint + i - kind->field_count;
		const struct field *field = &kind->fields[at];
		if (key->len == field->name_len && !memcmp(key->data, field->name, field->name_len)) {
			*hint = at + 1;
			return field;
		}
	}
	return NULL;
}

int item_kind(struct mp_in in)
{
	struct mp_token map, key, value;

	if (!mp_next(&in, &map) || map.type != MP_MAP)
		return -1;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!mp_next(&in, &key) || key.type != MP_STR)
			return -1;
		if (!text_is(key.data, key.len, "kind")) {
			if (!mp_skip(&in))
				return -1;
			continue;
		}
		return mp_next(&in, &value) && value.type == MP_STR ? kind_named(value.data, value.len) : -1;
	}
	return -1;
}

bool item_decode(struct mp_in *in, int number, struct wish *wish, struct mp_out *text, struct slot_memo *memo, struct fault *fault)
{
	const struct kind *kind = kinds[number];
	struct mp_in item = *in, namespace = { 0 };
	struct mp_token map, key, name = { .type = MP_NIL };
	struct value values[KIND_FIELDS_MAX];
	unsigned hint = 0, seen = 0, given = 0;
	char part[64];

	if (!mp_next(&item, &map) || map.type != MP_MAP)
		return fault_set(fault, "", "an item is a map");
	for (uint32_t i = 0; i < map.len; i++) {
		if (!fault_want(&item, &key, MP_STR, "", fault))
			return false;
		const struct field *field = find_field(kind, &key, &hint);
		if (!field)
			return fault_set(fault, fault_text(part, key.data, key.len > 24 ? 24 : key.len),
					 "%s items have no such field", kind->name);
		unsigned at = (unsigned)(field - kind->fields);
		if (seen >> at & 1)
			return fault_set(fault, field->name, "is given twice");
		seen |= 1u << at;
		if (mp_skip_nil(&item)) /* left out */
			continue;
		given |= 1u << at;
		if (field->type == FIELD_INTERFACE) {
			if (!fault_want(&item, &name, MP_STR, field->name, fault))
				return false;
			continue;
		}
		if (field->type == FIELD_NAMESPACE)
			namespace = item;
		if (!(field->type == FIELD_HOPS ? decode_hops(&item, field, &values[at], text, memo, fault) :
						  decode_field(&item, field, &values[at], fault)))
			return false;
	}
	for (unsigned i = 0; kind->fields[i].required; i++)
		if (!(given >> i & 1))
			return fault_set(fault, kind->fields[i].name, "is missing");
	const struct value *address = &values[kind->address];
	if (kind->fields[kind->address].type != FIELD_MAC)
		number = kind_of_family(number, address->family == 4 ? AF_INET : AF_INET6);
	wish->kind = (uint8_t)number;
	if (!store_all(kinds[number], values, given, wish, fault) ||
	    !reference_decode(&name, namespace.p ? &namespace : NULL, &wish->slot, text, memo, fault))
		return false;
	*in = item;
	return true;
}

/* ---- the other way round ---- */

static void put_number(struct mp_out *out, const struct field *field, uint32_t number)
{
	for (const struct field_word *word = field->words; word && word->word; word++)
		if (word->number == number) {
			mp_put_text(out, word->word);
			return;
		}
	mp_put_uint(out, number);
}

/* Is the field one that the item says? */
static bool is_said(const struct kind *kind, const struct field *field, const struct item *item)
{
	if (field->type <= FIELD_NAMESPACE)
		return false;
	if (field->type == FIELD_GATEWAY || field->type == FIELD_HOPS)
		return item->hops_len && (hops_count(item->hops, item->hops_len) > 1) == (field->type == FIELD_HOPS);
	if (field->flag)
		return item->flags & field->flag;
	return field->required || (field->size && memcmp(item->body + field->offset, kind->blank + field->offset, field->size));
}

void item_put(struct mp_out *out, const char *slot, const struct item *item)
{
	const struct kind *kind = kinds[item->kind];
	size_t head = out->len;
	uint32_t pairs = 1;
	char text[INET6_ADDRSTRLEN + 8];

	mp_put_map(out, 0);
	mp_put_literal(out, "kind");
	mp_put_text(out, kind->name);
	pairs += reference_put(out, slot);
	for (unsigned i = 0; i < kind->field_count; i++) {
		const struct field *field = &kind->fields[i];
		if (!is_said(kind, field, item))
			continue;
		const uint8_t *at = field->type == FIELD_GATEWAY	      ? hops_address(item->hops, 0) :
				    field->type == FIELD_HOST && !field->size ? item->source :
										item->body + field->offset;
		mp_put_str(out, field->name, field->name_len);
		pairs++;
		switch (field->type) {
		case FIELD_HOPS:
			hops_put(out, item->hops, item->hops_len);
			break;
		case FIELD_NUMBER:
			put_number(out, field, field_number(field, item->body));
			break;
		case FIELD_FLAG:
			mp_put_bool(out, true);
			break;
		default:
			mp_put_str(out, text, field_text(field, kind->family, at, text));
		}
	}
	out->data[head] = (uint8_t)(0x80 | pairs); /* less than 16: the short form holds */
}
