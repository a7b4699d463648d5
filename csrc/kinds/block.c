/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/block.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "wire/text.h"

/* What stands in `block`, before it is known how wide its columns are. */
struct columns {
	struct mp_token data[KIND_FIELDS_MAX], lens[KIND_FIELDS_MAX]; /* by the field; `lens` of networks. MP_NIL: left out */
	uint8_t order[KIND_FIELDS_MAX];				      /* as they came */
	uint8_t count;
	uint8_t family;
};

/* "block.dst", for messages. */
static const char *path(char out[32], const char *name, const char *more)
{
	snprintf(out, 32, "block.%.15s%s", name, more);
	return out;
}

static bool is_key_field(const struct kind *kind, const struct field *field)
{
	size_t key_size = kind->long_key_size ? kind->long_key_size : kind->key_size;

	return field->type <= FIELD_NAMESPACE || (field->size && field->offset < key_size);
}

/* The network whose lengths a column NAME_len has, or NULL. */
static const struct field *lens_of(const struct kind *kind, const struct mp_token *key)
{
	struct mp_token name = *key;
	unsigned hint = 0;

	if (key->len < 4 || memcmp(key->data + key->len - 4, "_len", 4))
		return NULL;
	name.len -= 4;
	const struct field *field = item_field(kind, &name, &hint);
	return field && field->type == FIELD_PREFIX ? field : NULL;
}

static bool read_family(struct mp_token *token, uint8_t *family, struct fault *fault)
{
	mp_whole(token);
	if (token->type != MP_UINT || (token->number != 4 && token->number != 6))
		return fault_set(fault, "block.family", "wants 4 or 6");
	*family = (uint8_t)token->number;
	return true;
}

static bool read_columns(struct mp_in in, const struct kind *kind, struct columns *columns, struct fault *fault)
{
	struct mp_token map, key, token;
	uint64_t seen = 0;
	unsigned hint = 0;
	char name[32], part[64];

	memset(columns->data, 0, sizeof(columns->data));
	memset(columns->lens, 0, sizeof(columns->lens));
	columns->count = 0;
	columns->family = 4;
	if (!fault_want(&in, &map, MP_MAP, "block", fault))
		return false;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!fault_want(&in, &key, MP_STR, "block", fault))
			return false;
		bool family = text_is(key.data, key.len, "family");
		const struct field *field = item_field(kind, &key, &hint), *network = field || family ? NULL : lens_of(kind, &key);
		path(name, fault_text(part, key.data, key.len), "");
		if (!field && !network && !family)
			return fault_set(fault, name, "%s items have no such field", kind->name);
		if (field && !value_width(field, 4))
			return fault_set(fault, name, "is no column: it holds for all");
		unsigned at = family ? 0 : (unsigned)((field ? field : network) - kind->fields);
		uint64_t bit = family ? 1ull << 63 : 1ull << (field ? at : KIND_FIELDS_MAX + at);
		if (seen & bit)
			return fault_set(fault, name, "is given twice");
		seen |= bit;
		if (mp_skip_nil(&in)) /* left out */
			continue;
		struct mp_in again = in;
		if (!mp_next(&again, &token) || !mp_skip(&in))
			return fault_set(fault, name, "truncated msgpack");
		if (family) {
			if (!read_family(&token, &columns->family, fault))
				return false;
			continue;
		}
		if (network)
			mp_whole(&token);
		if (token.type != MP_BIN && !(network && token.type == MP_UINT))
			return fault_set(fault, name, "wants binary%s, not %s", network ? " or a number" : "",
					 mp_type_name(token.type));
		*(network ? &columns->lens[at] : &columns->data[at]) = token;
		if (field)
			columns->order[columns->count++] = (uint8_t)at;
	}
	return true;
}

/* All columns have as many values as the first. */
static bool count_rows(struct block *block, const char *name, const struct mp_token *data, uint8_t width, bool first,
		       struct fault *fault)
{
	uint32_t rows = data->len / width;

	if (data->len % width)
		return fault_set(fault, name, "%u bytes are no multiple of %u", data->len, width);
	if (first)
		block->rows = rows;
	return rows == block->rows ||
	       fault_set(fault, name, "has %u values, %s %u", rows, block->columns[0].field->name, block->rows);
}

/* The lengths of networks: one for each, or one for all, which is a host's where none is given. */
static bool add_lens(struct block *block, struct column *column, const struct mp_token *lens, struct fault *fault)
{
	unsigned most = block->family == 4 ? 32 : 128;
	char name[32];

	path(name, column->field->name, "_len");
	if (lens->type == MP_BIN) {
		column->lens = lens->data;
		column->len_step = 1;
		return count_rows(block, name, lens, 1, false, fault);
	}
	if (lens->type == MP_UINT && lens->number > most)
		return fault_set(fault, name, "%llu is not 0 to %u", (unsigned long long)lens->number, most);
	block->prefix_len = (uint8_t)(lens->type == MP_UINT ? lens->number : most);
	column->lens = &block->prefix_len;
	return true;
}

/* The columns in the order in which they came. */
static bool add_columns(struct block *block, const struct kind *kind, const struct columns *columns, struct fault *fault)
{
	uint8_t family = kind->family == AF_INET ? 4 : 6;
	char name[32];

	block->family = columns->family;
	for (block->count = 0; block->count < columns->count; block->count++) {
		uint8_t at = columns->order[block->count];
		const struct field *field = &kind->fields[at];
		const struct mp_token *data = &columns->data[at];
		struct column *column = &block->columns[block->count];
		*column = (struct column){ .field = field, .data = data->data, .width = value_width(field, block->family) };
		path(name, field->name, "");
		bool gateway = field->type == FIELD_GATEWAY;
		if (gateway && block->shared.hops_len)
			return fault_set(fault, name, "is not given beside %s",
					 hops_type(block->shared.hops, block->shared.hops_len) == RTN_UNICAST ? "nexthops" :
														"such a type");
		if ((field->type == FIELD_HOST || gateway) && block->family != family)
			return fault_set(fault, name, "is IPv%d, the destination IPv%d", block->family, family);
		if (!count_rows(block, name, data, column->width, !block->count, fault) ||
		    (field->type == FIELD_PREFIX && !add_lens(block, column, &columns->lens[at], fault)))
			return false;
	}
	return block->count || fault_set(fault, "block", "has no column");
}

/* Is every field there that has to be, none twice, and none that keys do not have? */
static bool check_fields(const struct fields *fields, const struct kind *kind, const struct columns *columns, bool keys,
			 struct fault *fault)
{
	char name[32];

	for (unsigned i = 0; i < kind->field_count; i++) {
		const struct field *field = &kind->fields[i];
		bool outside = fields->given >> i & 1, inside = columns->data[i].type != MP_NIL;
		path(name, field->name, "");
		if (inside && outside)
			return fault_set(fault, name, "is given outside of the block too");
		if (columns->lens[i].type != MP_NIL && !inside)
			return fault_set(fault, path(name, field->name, "_len"), "is of a column %s, which is missing",
					 field->name);
		if (keys && (inside || outside) && !is_key_field(kind, field))
			return fault_set(fault, inside ? name : field->name, "is no part of a key");
		if (field->required && !inside && !outside && (!keys || is_key_field(kind, field)))
			return fault_set(fault, field->name, "is missing");
	}
	return true;
}

bool block_read(struct fields *fields, bool keys, struct block *block, struct mp_out *text, struct slot_memo *memo,
		struct fault *fault)
{
	const struct kind *kind = kinds[fields->kind];
	struct columns columns;
	int number = fields->kind;

	if (!read_columns(fields->block, kind, &columns, fault) || !check_fields(fields, kind, &columns, keys, fault))
		return false;
	if (kind->fields[kind->address].type != FIELD_MAC) {
		bool inside = columns.data[kind->address].type != MP_NIL;
		uint8_t family = inside ? columns.family : fields->values[kind->address].family;
		number = kind_of_family(number, family == 4 ? AF_INET : AF_INET6);
	}
	block->shared = (struct decoded){ .kind = (uint8_t)number };
	if (!item_store(fields, kinds[number], &block->shared, fault) || !add_columns(block, kinds[number], &columns, fault))
		return false;
	for (uint8_t i = 0; i < block->count; i++)
		block->shared.flags |= block->columns[i].field->flag;
	return item_place(fields, keys, &block->shared, text, memo, fault);
}

uint32_t block_decode(const struct block *block, uint32_t row, struct decoded *decoded, struct fault *fault)
{
	const struct kind *kind = kinds[block->shared.kind];
	struct value value;

	for (; row < block->rows; row++, decoded++) {
		*decoded = block->shared;
		decoded->offset = row;
		for (uint8_t i = 0; i < block->count; i++) {
			const struct column *column = &block->columns[i];
			if (column->lens)
				value.prefix_len = column->lens[row * column->len_step];
			if (!value_read(column->data + (size_t)row * column->width, column->field, block->family, &value, fault))
				return row;
			value_store(&value, column->field, decoded);
		}
		if (kind->settle && !kind->settle(decoded, fault))
			return row;
	}
	return row;
}

/* The pairs of a map that say something, but for `block`: how many there are, and they themselves where `out` is not NULL. */
static uint32_t put_others(struct mp_out *out, struct mp_in in)
{
	struct mp_token map, key;
	uint32_t pairs = 0;

	mp_next(&in, &map);
	for (uint32_t i = 0; i < map.len; i++) {
		const uint8_t *start = in.p;
		mp_next(&in, &key);
		if (mp_skip_nil(&in))
			continue;
		mp_skip(&in);
		if (text_is(key.data, key.len, "block"))
			continue;
		pairs++;
		if (out)
			mp_put_raw(out, start, (size_t)(in.p - start));
	}
	return pairs;
}

void block_show(struct mp_out *out, struct mp_in in, bool keys, uint32_t row)
{
	struct mp_out text = { 0 };
	struct slot_memo memo = { 0 };
	struct mp_in again = in;
	struct block block;
	struct fault fault;
	struct fields fields;

	if (item_read(&again, item_kind(in, &memo), &fields, &text, &memo, &fault) &&
	    block_read(&fields, keys, &block, &text, &memo, &fault)) {
		mp_put_map(out, put_others(NULL, in) + block.count);
		put_others(out, in);
		for (uint8_t i = 0; i < block.count; i++) {
			const struct column *column = &block.columns[i];
			mp_put_str(out, column->field->name, column->field->name_len);
			value_show(out, column->data + (size_t)row * column->width, column->field, block.family,
				   column->lens ? column->lens[row * column->len_step] : 0);
		}
	}
	mp_free(&text);
}
