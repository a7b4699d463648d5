/* SPDX-License-Identifier: Apache-2.0 */
/* A request as it came over the bus: one pass over its msgpack. */
#include "core/frame.h"

#include <stdio.h>

#include "core/array.h"
#include "core/refused.h"
#include "kinds/block.h"
#include "kinds/key.h"
#include "wire/plain.h"
#include "wire/text.h"

#define FIELDS_MAX 64

/* Each of these costs far more memory than it takes in a frame: 64 MiB of them would be the end of the process. */
#define INVALID_MAX 65536
#define OTHERS_MAX 65536

/* What blocks become: they are far smaller in a frame than in memory. (As many as fit into one that has no blocks, about.) */
#define ITEMS_MAX (1u << 20)

struct nsp_frame *nsp_frame_new(void)
{
	struct nsp_frame *frame = calloc(1, sizeof(*frame));

	if (!frame)
		abort();
	return frame;
}

void nsp_frame_free(struct nsp_frame *frame)
{
	if (!frame)
		return;
	mp_free(&frame->envelope);
	mp_free(&frame->text);
	mp_free(&frame->shown);
	free(frame->bulk);
	free(frame->others);
	free(frame->faults);
	seen_free(&frame->seen);
	free(frame);
}

/* The memory of so many is kept for the next request: there is a frame for each request of a turn, and blocks are large. */
#define KEPT_ITEMS 16384

void frame_trim(struct nsp_frame *frame)
{
	if (frame->bulk_cap <= KEPT_ITEMS)
		return;
	free(frame->bulk);
	frame->bulk = NULL;
	frame->bulk_cap = frame->bulk_count = 0;
	seen_free(&frame->seen);
}

static void pass_on(struct nsp_frame *frame, uint32_t index, const uint8_t *data, size_t len)
{
	ARRAY_GROW(frame->others, frame->other_count, frame->other_cap);
	frame->others[frame->other_count++] = (struct nsp_span){ .index = index, .len = (uint32_t)len, .data = data };
}

static struct decoded *next_bulk(struct nsp_frame *frame)
{
	ARRAY_GROW(frame->bulk, frame->bulk_count, frame->bulk_cap);
	return &frame->bulk[frame->bulk_count];
}

static bool is_full(const struct nsp_frame *frame)
{
	return frame->fault_count > INVALID_MAX;
}

static void make_room(struct nsp_frame *frame, uint32_t count)
{
	uint32_t cap = frame->bulk_cap ? frame->bulk_cap : 16;

	if (count <= frame->bulk_cap)
		return;
	while (cap < count)
		cap *= 2;
	frame->bulk = realloc(frame->bulk, cap * sizeof(*frame->bulk));
	if (!frame->bulk)
		abort();
	frame->bulk_cap = cap;
}

/* The items of a block, which stands at `item`. */
static int read_block(struct nsp_frame *frame, const struct block *block, struct mp_in item, struct nsp_error *err)
{
	struct fault fault;

	if (block->rows + (uint64_t)frame->bulk_count > ITEMS_MAX)
		return nsp_refuse(err, EBADMSG, "%s[%u]: more than %u of them: send them in parts", frame->keys ? "keys" : "items",
				  block->shared.index, ITEMS_MAX);
	make_room(frame, frame->bulk_count + block->rows);
	for (uint32_t row = 0, end; row < block->rows && !is_full(frame); row = end + 1) {
		end = block_decode(block, row, &frame->bulk[frame->bulk_count], &fault);
		frame->bulk_count += end - row;
		if (end < block->rows)
			frame_refuse(frame, block->shared.index, end, item.p, (size_t)(item.end - item.p), &fault);
	}
	return 0;
}

/* `in` is behind the item where it could be read. */
static bool read_fields(struct nsp_frame *frame, struct mp_in *in, int kind, struct fields *fields, struct slot_memo *memo,
			struct fault *fault)
{
	return item_read(in, kind, fields, &frame->text, memo, fault) &&
	       (!frame->keys || fields->block.p || fault_set(fault, "key", "a key is a string of UTF-8, or a map with `block`"));
}

static int read_item(struct nsp_frame *frame, struct mp_in *in, uint32_t index, struct slot_memo *memo, struct nsp_error *err)
{
	const uint8_t *start = in->p;
	struct fault fault;
	struct block block;
	struct fields fields;
	int kind = item_kind(*in, memo);

	if (kind >= 0 && read_fields(frame, in, kind, &fields, memo, &fault)) {
		if (fields.block.p) {
			if (block_read(&fields, frame->keys, &block, &frame->text, memo, &fault)) {
				block.shared.index = index;
				return read_block(frame, &block, (struct mp_in){ start, in->p }, err);
			}
		} else {
			struct decoded *decoded = next_bulk(frame);
			if (item_make(&fields, decoded, &frame->text, memo, &fault)) {
				decoded->index = index;
				decoded->offset = NSP_NO_OFFSET;
				frame->bulk_count++;
				return 0;
			}
		}
	}
	in->p = start;
	if (!mp_skip(in))
		return nsp_refuse(err, EBADMSG, "%s[%u]: truncated msgpack", frame->keys ? "keys" : "items", index);
	if (frame->keys && kind < 0)
		fault_set(&fault, "key", "a key is a string of UTF-8");
	if (kind >= 0)
		frame_refuse(frame, index, NSP_NO_OFFSET, start, (size_t)(in->p - start), &fault);
	else if (frame->keys || !plain_check((struct mp_in){ start, in->p }, &fault))
		frame_refuse(frame, index, NSP_NO_OFFSET, NULL, 0, &fault); /* nobody knows here what of it is secret */
	else
		pass_on(frame, index, start, (size_t)(in->p - start));
	return 0;
}

static int read_key(struct nsp_frame *frame, struct mp_in *in, uint32_t index, struct slot_memo *memo, struct nsp_error *err)
{
	const uint8_t *start = in->p;
	struct mp_token token;
	struct fault fault;

	if (!mp_next(in, &token) || token.type != MP_STR || !text_is_utf8(token.data, token.len)) {
		in->p = start;
		return read_item(frame, in, index, memo, err);
	}
	if (!key_is_bulk((const char *)token.data, token.len)) {
		pass_on(frame, index, start, (size_t)(in->p - start));
		return 0;
	}
	struct decoded *decoded = next_bulk(frame);
	if (key_parse((const char *)token.data, token.len, decoded, &frame->text, &fault)) {
		decoded->index = index;
		decoded->offset = NSP_NO_OFFSET;
		frame->bulk_count++;
		return 0;
	}
	frame_refuse(frame, index, NSP_NO_OFFSET, start, (size_t)(in->p - start), &fault);
	if (token.len < NSP_KEY_MAX && !memchr(token.data, 0, token.len))
		frame_refuse_key(frame, (const char *)token.data, token.len);
	return 0;
}

/* Where it is in the list that items which are there twice are refused from. */
struct place {
	struct nsp_frame *frame;
	struct mp_in at;
	uint32_t index;
};

static void refuse_duplicate(void *arg, const struct decoded *decoded)
{
	struct fault fault = { .field = "key", .text = "is in this request twice" };
	struct place *place = arg;
	char key[NSP_KEY_MAX];

	if (is_full(place->frame))
		return;
	size_t len = key_format(key, frame_slot(place->frame, decoded), decoded->kind, decoded->body);
	for (; place->index < decoded->index; place->index++)
		mp_skip(&place->at);
	struct mp_in end = place->at;
	mp_skip(&end);
	frame_refuse(place->frame, decoded->index, decoded->offset, place->at.p, (size_t)(end.p - place->at.p), &fault);
	frame_refuse_key(place->frame, key, len);
}

static bool is_list(const struct mp_token *key, bool *keys)
{
	*keys = key->len == 4 && !memcmp(key->data, "keys", 4);
	return *keys || (key->len == 5 && !memcmp(key->data, "items", 5));
}

static int read_list(struct nsp_frame *frame, struct mp_in *in, const char *name, struct nsp_error *err)
{
	struct mp_token array;
	struct slot_memo memo = { 0 };

	if (!mp_next(in, &array))
		return nsp_refuse(err, EBADMSG, "%s: truncated msgpack", name);
	if (array.type != MP_ARRAY)
		return nsp_refuse(err, EBADMSG, "%s: wants an array, not %s", name, mp_type_name(array.type));
	struct place place = { .frame = frame, .at = *in };
	for (uint32_t i = 0; i < array.len; i++) {
		int rc = frame->keys ? read_key(frame, in, i, &memo, err) : read_item(frame, in, i, &memo, err);
		if (rc < 0)
			return rc;
		if (is_full(frame))
			return nsp_refuse(err, EBADMSG, "%s: more than %d of them are invalid", name, INVALID_MAX);
		if (frame->other_count > OTHERS_MAX)
			return nsp_refuse(err, EBADMSG,
					  "%s: more than %d of them are neither routes nor ARP entries: send them in parts", name,
					  OTHERS_MAX);
	}
	frame->count = frame->bulk_count + frame->other_count + frame->fault_count;
	frame->bulk_count = duplicates_drop(&frame->seen, frame->bulk, frame->bulk_count, &frame->text, refuse_duplicate, &place);
	if (is_full(frame))
		return nsp_refuse(err, EBADMSG, "%s: more than %d of them are invalid", name, INVALID_MAX);
	return 0;
}

int nsp_frame_read(struct nsp_frame *frame, const uint8_t *data, size_t len, struct nsp_error *err)
{
	struct mp_in in = { data, data + len };
	struct mp_token map, key;
	struct mp_token fields[FIELDS_MAX];
	uint32_t lists = 0;
	bool keys;

	frame_trim(frame);
	frame->envelope.len = frame->text.len = 0;
	frame->count = frame->bulk_count = frame->other_count = frame->fault_count = frame->keys = 0;
	if (!mp_next(&in, &map) || map.type != MP_MAP)
		return nsp_refuse(err, EBADMSG, "a request is one msgpack map");
	if (map.len > FIELDS_MAX)
		return nsp_refuse(err, EBADMSG, "%u fields are more than a request has", map.len);

	/* The pairs are counted when they are known: the header is written in its longest form, in front of them. */
	mp_put_raw(&frame->envelope, "\xdf\0\0\0\0", 5);
	for (uint32_t i = 0; i < map.len; i++) {
		const uint8_t *start = in.p;
		if (!mp_next(&in, &key))
			return nsp_refuse(err, EBADMSG, "truncated msgpack");
		if (key.type != MP_STR)
			return nsp_refuse(err, EBADMSG, "a request's fields are named by strings, not %s", mp_type_name(key.type));
		fields[i] = key;
		for (uint32_t k = 0; k < i; k++)
			if (fields[k].len == key.len && !memcmp(fields[k].data, key.data, key.len))
				return nsp_refuse(err, EBADMSG, "a field is given twice");
		if (is_list(&key, &keys)) {
			if (lists++)
				return nsp_refuse(err, EBADMSG, "%s: a request has one list of items or keys",
						  keys ? "keys" : "items");
			frame->keys = keys;
			int rc = read_list(frame, &in, keys ? "keys" : "items", err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (!mp_skip(&in))
			return nsp_refuse(err, EBADMSG, "truncated msgpack");
		mp_put_raw(&frame->envelope, start, (size_t)(in.p - start));
	}
	if (in.p != in.end)
		return nsp_refuse(err, EBADMSG, "%zu bytes follow the request's map", (size_t)(in.end - in.p));
	uint32_t pairs = map.len - lists;
	for (int i = 0; i < 4; i++)
		frame->envelope.data[1 + i] = (uint8_t)(pairs >> (24 - 8 * i));
	return 0;
}

void nsp_frame_view(const struct nsp_frame *frame, struct nsp_frame_view *view)
{
	*view = (struct nsp_frame_view){
		.envelope = frame->envelope.data,
		.envelope_len = frame->envelope.len,
		.count = frame->count,
		.bulk = frame->bulk_count,
		.others = frame->other_count,
		.invalid = frame->fault_count,
		.keys = frame->keys,
	};
}

int nsp_frame_other(const struct nsp_frame *frame, uint32_t i, struct nsp_span *span)
{
	if (i >= frame->other_count)
		return -ENOENT;
	*span = frame->others[i];
	return 0;
}
