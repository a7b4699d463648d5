/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/item.h"

#include <arpa/inet.h>

#include "wire/text.h"

bool item_store(const struct fields *fields, const struct kind *kind, struct decoded *decoded, struct fault *fault)
{
	uint8_t family = kind->family == AF_INET ? 4 : 6;

	decoded->flags = 0;
	decoded->hops_len = 0;
	memcpy(decoded->body, kind->blank, KIND_BODY_MAX);
	for (unsigned given = fields->given & ~FIELDS_OF_HEAD; given; given &= given - 1) {
		unsigned at = (unsigned)__builtin_ctz(given);
		const struct field *field = &kind->fields[at];
		bool addresses = field->type == FIELD_HOST || field->type == FIELD_GATEWAY || field->type == FIELD_HOPS;
		if (addresses && fields->values[at].family != family)
			return fault_set(fault, field->name, "is IPv%d, the destination IPv%d", fields->values[at].family, family);
		if (field->type == FIELD_HOPS && decoded->hops_len)
			return fault_set(fault, field->name, "is not given beside gateway");
		if (field->type == FIELD_TYPE && fields->values[at].number != RTN_UNICAST && decoded->hops_len)
			return fault_set(fault, field->name, "such a route has no next hop");
		value_store(&fields->values[at], field, decoded);
	}
	return true;
}

static inline bool is_called(const struct field *field, const struct mp_token *key)
{
	return key->len == field->name_len && text_same(key->data, field->name, key->len) && !field->derived;
}

const struct field *item_field(const struct kind *kind, const struct mp_token *key, unsigned *hint)
{
	for (unsigned i = 0; i < kind->field_count; i++) {
		unsigned at = *hint + i < kind->field_count ? *hint + i : *hint + i - kind->field_count;
		const struct field *field = &kind->fields[at];
		if (is_called(field, key)) {
			*hint = at + 1;
			return field;
		}
	}
	return NULL;
}

/* Publishers have the fields in the same order each time. */
static inline const struct field *next_field(const struct kind *kind, const struct mp_token *key, unsigned *hint)
{
	if (*hint < kind->field_count && is_called(&kind->fields[*hint], key))
		return &kind->fields[(*hint)++];
	return item_field(kind, key, hint);
}

/* Publishers say kind and interface first, and the same again and again: what an item begins with is read once. */
static inline bool opens_as_last(const struct mp_in *in, const struct opening *last)
{
	return last->len && (size_t)(in->end - in->p) > last->len && !memcmp(in->p, last->data, last->len);
}

int item_kind(struct mp_in in, const struct slot_memo *memo)
{
	struct mp_token map, key, value;

	if (opens_as_last(&in, &memo->opening))
		return memo->opening.kind;
	if (!mp_next(&in, &map) || map.type != MP_MAP)
		return -1;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!mp_next_short(&in, &key) && (!mp_next(&in, &key) || key.type != MP_STR))
			return -1;
		if (!text_is(key.data, key.len, "kind")) {
			if (!mp_skip(&in))
				return -1;
			continue;
		}
		if (!mp_next_short(&in, &value) && (!mp_next(&in, &value) || value.type != MP_STR))
			return -1;
		return kind_named(value.data, value.len);
	}
	return -1;
}

static const uint8_t no_name[1];

bool item_read(struct mp_in *in, int number, struct fields *fields, struct mp_out *text, struct slot_memo *memo,
	       struct fault *fault)
{
	const struct kind *kind = kinds[number];
	const struct opening *last = &memo->opening;
	struct mp_in item = *in;
	struct mp_token map = { 0 }, key;
	unsigned hint = 0, seen = 0;
	uint32_t i = 0;
	bool block = false, opens = true; /* nothing has come but kind, interface and namespace */
	char part[64];

	fields->kind = number;
	fields->given = 0;
	fields->name = (struct mp_token){ .type = MP_NIL, .data = no_name };
	fields->namespace = fields->block = (struct mp_in){ 0 };
	if (opens_as_last(&item, last)) {
		item.p += last->len;
		map.len = last->pairs;
		i = last->passed;
		hint = kind->address;
		fields->given = seen = last->given;
		fields->name = last->name;
		fields->namespace = last->namespace;
		opens = false;
	} else if (!mp_next(&item, &map) || map.type != MP_MAP) {
		return fault_set(fault, "", "an item is a map");
	}
	for (; i < map.len; i++) {
		const uint8_t *pair = item.p;
		if (!fault_want(&item, &key, MP_STR, "", fault))
			return false;
		const struct field *field = next_field(kind, &key, &hint);
		if (!field && text_is(key.data, key.len, "block")) {
			if (block)
				return fault_set(fault, "block", "is given twice");
			block = true;
			opens = false;
			if (!mp_skip_nil(&item)) {
				fields->block = item;
				if (!mp_skip(&item))
					return fault_set(fault, "block", "truncated msgpack");
			}
			continue;
		}
		if (!field)
			return fault_set(fault, fault_text(part, key.data, key.len > 24 ? 24 : key.len),
					 "%s items have no such field", kind->name);
		unsigned at = (unsigned)(field - kind->fields);
		if (seen >> at & 1)
			return fault_set(fault, field->name, "is given twice");
		if (opens && at == kind->address && seen == fields->given && seen & 1)
			memo->opening = (struct opening){ .data = in->p,
							  .len = (size_t)(pair - in->p),
							  .pairs = map.len,
							  .passed = i,
							  .kind = number,
							  .given = seen,
							  .name = fields->name,
							  .namespace = fields->namespace };
		opens &= field->type <= FIELD_NAMESPACE;
		seen |= 1u << at;
		if (mp_skip_nil(&item)) /* left out */
			continue;
		fields->given |= 1u << at;
		if (field->type == FIELD_INTERFACE) {
			if (!fault_want(&item, &fields->name, MP_STR, field->name, fault))
				return false;
			continue;
		}
		if (field->type == FIELD_NAMESPACE) {
			if (!reference_pass(&item, memo, &fields->namespace))
				return fault_set(fault, field->name, "truncated msgpack");
			continue;
		}
		if (!(field->type == FIELD_HOPS ? value_decode_hops(&item, field, &fields->values[at], text, memo, fault) :
						  value_decode(&item, field, &fields->values[at], fault)))
			return false;
	}
	*in = item;
	return true;
}

bool item_place(const struct fields *fields, bool keys, struct decoded *decoded, struct mp_out *text, struct slot_memo *memo,
		struct fault *fault)
{
	bool of_netns = hops_are_of_netns(decoded_hops(decoded, text->data), decoded->hops_len);

	if (!keys && of_netns && fields->name.type != MP_NIL)
		return fault_set(fault, "interface", "such a route has none");
	if (!keys && !of_netns && fields->name.type == MP_NIL)
		return fault_set(fault, "interface", "is missing");
	return reference_decode(&fields->name, fields->namespace, &decoded->slot, text, memo, fault);
}

/* Is an interface given, or what may stand in its place? */
static bool says_place(const struct fields *fields, const struct kind *kind)
{
	bool says = fields->name.type != MP_NIL;

	for (unsigned given = fields->given; given; given &= given - 1) {
		enum field_type type = kind->fields[__builtin_ctz(given)].type;
		says |= type == FIELD_TYPE || type == FIELD_HOPS;
	}
	return says;
}

bool item_make(struct fields *fields, struct decoded *decoded, struct mp_out *text, struct slot_memo *memo, struct fault *fault)
{
	const struct kind *kind = kinds[fields->kind];

	for (unsigned i = 0; i < KIND_REQUIRED_MAX; i++)
		if (kind->fields[i].required && !(fields->given >> i & 1))
			return fault_set(fault, says_place(fields, kind) ? kind->fields[i].name : "interface", "is missing");
	if (kind->fields[kind->address].type != FIELD_MAC)
		decoded->kind =
			(uint8_t)kind_of_family(fields->kind, fields->values[kind->address].family == 4 ? AF_INET : AF_INET6);
	else
		decoded->kind = (uint8_t)fields->kind;
	kind = kinds[decoded->kind];
	return item_store(fields, kind, decoded, fault) && (!kind->settle || kind->settle(decoded, fault)) &&
	       item_place(fields, false, decoded, text, memo, fault);
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
static bool is_shown(const struct kind *kind, const struct field *field, const struct item *item)
{
	if (field->type <= FIELD_NAMESPACE || field->derived)
		return false;
	if (field->type == FIELD_TYPE)
		return hops_type(item->hops, item->hops_len) != RTN_UNICAST;
	if (field->type == FIELD_GATEWAY || field->type == FIELD_HOPS)
		return hops_count(item->hops, item->hops_len) &&
		       (hops_count(item->hops, item->hops_len) > 1) == (field->type == FIELD_HOPS);
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
		if (!is_shown(kind, field, item))
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
		case FIELD_TYPE:
			put_number(out, field, hops_type(item->hops, item->hops_len));
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
