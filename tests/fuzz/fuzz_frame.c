/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever comes over the bus, nothing is read outside of it, and what is accepted holds: a key or item that was written can be read
 * again, and says the same.
 *
 *   | what the rest is, 1 byte: a request, a key, a request in words, the fields of an item of a bulk kind in words, the columns of a
 *     block, a message of a turn | ... |
 */
#include "fuzz.h"

#include "core/array.h"
#include "core/frame.h"
#include "kinds/item.h"
#include "kinds/key.h"

static struct nsp_frame *frame;
static struct nsp_turn *turn;

static void check_text(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	need(len < cap);
	for (size_t i = 0; i < len; i++)
		need((uint8_t)text[i] >= 0x20 && (uint8_t)text[i] != 0x7f);
}

static void check_item(const struct decoded *decoded, const char *slot)
{
	struct mp_out out = { 0 }, text = { 0 };
	struct item item = decoded_item(decoded, frame->text.data);
	struct slot_memo memo = { 0 };
	struct fault fault;
	struct fields fields;
	struct decoded again;

	item_put(&out, slot, &item);
	struct mp_in in = { out.data, out.data + out.len };
	need(item_kind(in, &memo) >= 0 && item_read(&in, item_kind(in, &memo), &fields, &text, &memo, &fault) && in.p == in.end &&
	     !fields.block.p);
	need(item_make(&fields, &again, &text, &memo, &fault));
	need(again.kind == decoded->kind && again.flags == decoded->flags && !strcmp((char *)text.data + again.slot, slot));
	need(!memcmp(again.body, decoded->body, kinds[decoded->kind]->body_size));
	need(!(decoded->flags & ITEM_SOURCE) || !memcmp(again.source, decoded->source, 16));
	need(again.hops_len == decoded->hops_len && !memcmp(decoded_hops(&again, text.data), item.hops, item.hops_len));
	mp_free(&out);
	mp_free(&text);
}

static void check_decoded(const struct decoded *decoded)
{
	struct mp_out text = { 0 }, interface = { 0 };
	char key[NSP_KEY_MAX];
	struct fault fault;
	struct decoded again;
	const char *slot = frame_slot(frame, decoded);
	size_t len = key_format(key, slot, decoded->kind, decoded->body);

	need(len < sizeof(key) && key_is_bulk(key, len));
	need(key_parse(key, len, &again, &text, &fault));
	need(again.kind == decoded->kind && !memcmp(again.body, decoded->body, kind_key_size(kinds[decoded->kind], decoded->body)));
	need(!strcmp((char *)text.data + again.slot, slot));
	if (!frame->keys)
		check_item(decoded, slot);

	/* As an item it names the interface that it came with. */
	struct mp_in in;
	uint32_t pairs = reference_put(&interface, slot);
	in = (struct mp_in){ interface.data, interface.data + interface.len };
	while (pairs--)
		need(mp_skip(&in) && mp_skip(&in));
	need(in.p == in.end);
	mp_free(&text);
	mp_free(&interface);
}

static void read_frame(const uint8_t *data, size_t size)
{
	struct nsp_frame_view view;
	struct nsp_error err = { 0 };
	struct nsp_fault fault;
	struct nsp_span span;

	if (nsp_frame_read(frame, data, size, &err) < 0) {
		need(err.code == EBADMSG && err.text[0]);
		check_text(err.text, sizeof(err.text));
		return;
	}
	nsp_frame_view(frame, &view);
	need(view.bulk + view.others + view.invalid == view.count);
	struct mp_in in = { view.envelope, view.envelope + view.envelope_len };
	need(mp_skip(&in) && in.p == in.end);
	for (uint32_t i = 0; i < view.others; i++) {
		need(nsp_frame_other(frame, i, &span) == 0 && span.index < size);
		in = (struct mp_in){ span.data, span.data + span.len };
		need(span.data >= data && span.data + span.len <= data + size && mp_skip(&in) && in.p == in.end);
	}
	need(nsp_frame_other(frame, view.others, &span) < 0);
	for (uint32_t i = 0; i < view.invalid; i++) {
		need(nsp_frame_fault(frame, i, &fault) == 0 && fault.index < size && fault.text[0]);
		in = (struct mp_in){ fault.data, fault.data ? fault.data + fault.len : NULL };
		need(!fault.data || (mp_skip(&in) && in.p == in.end));
		check_text(fault.text, sizeof(fault.text));
		check_text(fault.field, sizeof(fault.field));
	}
	for (uint32_t i = 0; i < view.bulk; i++)
		check_decoded(&frame->bulk[i]);
}

static void read_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = exact(data, size);

	read_frame(copy, size);
	free(copy);
}

static void read_key(const uint8_t *data, size_t size)
{
	struct mp_out request = { 0 };

	mp_put_map(&request, 1);
	mp_put_literal(&request, "keys");
	mp_put_array(&request, 1);
	mp_put_str(&request, (const char *)data, size);
	read_copy(request.data, request.len);
	mp_free(&request);
}

/* Bytes under 0x40 stand for words that mean something to the decoder; the others for themselves, headers and numbers among them. */
static void put_words(struct mp_out *out, const uint8_t *data, size_t size)
{
	static const char *const words[0x3c] = {
		"kind",
		"route",
		"arp",
		"interface",
		"dst",
		"ip",
		"mac",
		"gateway",
		"metric",
		"table",
		"namespace",
		"scope",
		"prefsrc",
		"onlink",
		"override",
		"type",
		"name",
		"pid",
		"file",
		"path",
		"microservice",
		"items",
		"keys",
		"op",
		"v0",
		"a%b;c@d",
		"/proc/1/ns",
		"global",
		"site",
		"link",
		"host",
		"::/0",
		"fd00::/8",
		"fd00::1/64",
		"fe80::1",
		"10.0.0.0/8",
		"10.0.0.1/8",
		"0.0.0.0/0",
		"10.0.0.1",
		"224.0.0.1",
		"ff02::1",
		"0.0.0.0",
		"10.0.0.0/33",
		"02:00:00:00:00:01",
		"::ffff:1.2.3.4/128",
		"route/v0/10.0.0.0/8;metric=1;table=7",
		"arp/v0@pid:1/fd00::1",
		"route/v0@file:%2Fa/::/0",
		"interface/v0",
		"block",
		"dst_len",
		"family",
		"fdb",
		"vlan",
		"port",
		"vni",
		"src_vni",
		"sticky",
		"local",
		"00:00:00:00:00:00",
	};

	static const char *const references[][2] = {
		{ "name", "name" }, { "pid", "pid" }, { "file", "path" }, { "microservice", "microservice" }
	};

	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0x40) {
			mp_put_byte(out, data[i]);
		} else if (data[i] >= 0x3c) { /* all of a namespace but what it refers to, which comes next */
			mp_put_literal(out, "namespace");
			mp_put_map(out, 2);
			mp_put_literal(out, "type");
			mp_put_text(out, references[data[i] & 3][0]);
			mp_put_text(out, references[data[i] & 3][1]);
		} else {
			mp_put_text(out, words[data[i]] ? words[data[i]] : "");
		}
	}
}

static void read_words(const uint8_t *data, size_t size)
{
	struct mp_out request = { 0 };

	put_words(&request, data, size);
	read_copy(request.data, request.len);
	mp_free(&request);
}

/* An item that is of a bulk kind and whole, whatever its fields are. */
static void read_item(const uint8_t *data, size_t size, const char *kind)
{
	struct mp_out request = { 0 }, fields = { 0 };
	uint32_t values = 0;

	put_words(&fields, data, size);
	struct mp_in in = { fields.data, fields.data ? fields.data + fields.len : NULL };
	const uint8_t *end = in.p;
	while (mp_skip(&in))
		if (++values % 2 == 0)
			end = in.p;
	mp_put_map(&request, 1);
	mp_put_literal(&request, "items");
	mp_put_array(&request, 1);
	mp_put_map(&request, 2 + values / 2);
	mp_put_literal(&request, "kind");
	mp_put_text(&request, kind);
	mp_put_literal(&request, "interface");
	mp_put_literal(&request, "v0");
	mp_put_raw(&request, fields.data, (size_t)(end - fields.data));
	read_copy(request.data, request.len);
	mp_free(&fields);
	mp_free(&request);
}

/* Columns of one to eight values each, as long as bytes for them last; which, bits of the first three bytes say. */
static void read_block(const uint8_t *data, size_t size)
{
	static const struct {
		const char *name;
		uint8_t width; /* 0: of an address */
	} columns[] = { { "dst", 0 },	  { "dst_len", 1 }, { "gateway", 0 }, { "metric", 4 }, { "table", 4 }, { "scope", 4 },
			{ "prefsrc", 0 }, { "ip", 0 },	    { "mac", 6 },     { "vlan", 4 },   { "port", 4 },  { "vni", 4 } };
	static const char *const names[] = { "route", "arp", "fdb", "route" };
	struct mp_out request = { 0 }, block = { 0 };
	uint32_t pairs = 0;

	if (size < 3)
		return;
	unsigned which = data[0] | (data[2] & 15u) << 8, rows = 1 + (data[1] >> 1 & 7u), wide = data[1] >> 4 & 1u;
	const char *kind = names[data[1] >> 5 & 3u];
	bool keys = data[1] >> 7;
	data += 3;
	size -= 3;
	for (unsigned i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		size_t len = rows * (columns[i].width ? columns[i].width : wide ? 16 : 4);
		if (!(which >> i & 1) || len > size)
			continue;
		pairs++;
		mp_put_text(&block, columns[i].name);
		mp_put_byte(&block, 0xc4);
		mp_put_byte(&block, (uint8_t)len);
		mp_put_raw(&block, data, len);
		data += len;
		size -= len;
	}
	mp_put_map(&request, 1);
	mp_put_text(&request, keys ? "keys" : "items");
	mp_put_array(&request, 1);
	mp_put_map(&request, 3);
	mp_put_literal(&request, "kind");
	mp_put_text(&request, kind);
	mp_put_literal(&request, "interface");
	mp_put_literal(&request, "v0");
	mp_put_literal(&request, "block");
	mp_put_map(&request, pairs + 1);
	mp_put_literal(&request, "family");
	mp_put_uint(&request, wide ? 6 : 4);
	mp_put_raw(&request, block.data, block.len);
	read_copy(request.data, request.len);
	mp_free(&block);
	mp_free(&request);
}

/* The bytes as a message: a request, or an array of them. */
static void read_turn(const uint8_t *data, size_t size)
{
	uint8_t *copy = array_copy(data, size);
	struct nsp_message message = { .data = copy, .len = size };
	const struct nsp_run *runs;
	const uint8_t *record;

	if (!turn)
		turn = nsp_turn_new();
	uint32_t count = nsp_turn_read(turn, &message, 1, 0, &runs);
	for (uint32_t i = 0; i < count; i++)
		nsp_turn_record(turn, runs[i].first, runs[i].count, &record);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!frame)
		frame = nsp_frame_new();
	if (size < 1)
		return 0;
	switch (data[0] % 8) {
	case 0:
		read_copy(data + 1, size - 1);
		break;
	case 1:
		read_key(data + 1, size - 1);
		break;
	case 2:
		read_words(data + 1, size - 1);
		break;
	case 3:
		read_item(data + 1, size - 1, "route");
		break;
	case 4:
		read_block(data + 1, size - 1);
		break;
	case 5:
		read_item(data + 1, size - 1, "fdb");
		break;
	case 6:
		read_turn(data + 1, size - 1);
		break;
	default:
		read_item(data + 1, size - 1, "arp");
	}
	return 0;
}
