/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever comes over the bus, nothing is read outside of it, and what is accepted holds: a key that was written can be read again, and
 * says the same.
 *
 *   | what the rest is, 1 byte: a request, an item of one, a route's or an ARP entry's fields, or a key | ... |
 */
#include "internal.h"

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nsp_frame *frame;

static void need(int holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	need(len < cap);
	for (size_t i = 0; i < len; i++)
		need((uint8_t)text[i] >= 0x20 && (uint8_t)text[i] != 0x7f);
}

static void check_wish(const struct wish *wish)
{
	struct mp_out text = { 0 }, interface = { 0 };
	char key[NSP_KEY_MAX];
	struct fault fault;
	struct wish again;
	const char *slot = frame_slot(frame, wish);
	size_t len = schema_format_key(key, slot, wish->type, wish->dst, wish->dst_len, wish->metric, wish->table);

	need(len < sizeof(key) && schema_is_key(key, len));
	need(schema_parse_key(key, len, &again, &text, &fault));
	need(again.type == wish->type && again.dst_len == wish->dst_len && again.metric == wish->metric &&
	     again.table == wish->table);
	need(!memcmp(again.dst, wish->dst, 16) && !strcmp((char *)text.data + again.slot, slot));

	/* As an item it names the interface that it came with. */
	struct mp_in in;
	uint32_t pairs = schema_put_interface(&interface, slot);
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
		need(nsp_frame_other(frame, i, &span) == 0 && span.index < view.count);
		in = (struct mp_in){ span.data, span.data + span.len };
		need(span.data >= data && span.data + span.len <= data + size && mp_skip(&in) && in.p == in.end);
	}
	need(nsp_frame_other(frame, view.others, &span) < 0);
	for (uint32_t i = 0; i < view.invalid; i++) {
		need(nsp_frame_fault(frame, i, &fault) == 0 && fault.index < view.count && fault.text[0]);
		check_text(fault.text, sizeof(fault.text));
		check_text(fault.field, sizeof(fault.field));
	}
	for (uint32_t i = 0; i < view.bulk; i++)
		check_wish(&frame->wishes[i]);
}

/* Reads `head` and `data` as one request. */
static void read_behind(const char *head, size_t len, const uint8_t *data, size_t size)
{
	/* A copy of exactly this length, so that the sanitizer sees one byte too many. */
	uint8_t *copy = malloc(len + size ? len + size : 1);

	if (!copy)
		abort();
	memcpy(copy, head, len);
	if (size)
		memcpy(copy + len, data, size);
	read_frame(copy, len + size);
	free(copy);
}

static void read_key(const uint8_t *data, size_t size)
{
	struct mp_out request = { 0 };

	mp_put_map(&request, 1);
	mp_put_literal(&request, "keys");
	mp_put_array(&request, 1);
	mp_put_str(&request, (const char *)data, size);
	read_behind("", 0, request.data, request.len);
	mp_free(&request);
}

#define BEHIND(head) read_behind(head, sizeof(head) - 1, data + 1, size - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!frame)
		frame = nsp_frame_new();
	if (size < 1)
		return 0;
	switch (data[0] % 6) {
	case 0:
		BEHIND("");
		break;
	case 1:
		BEHIND("\x81\xa5items\x91");
		break;
	case 2:
		BEHIND("\x81\xa5items\x91\x84\xa4kind\xa5route\xa9interface\xa2v0");
		break;
	case 3:
		BEHIND("\x81\xa5items\x91\x84\xa4kind\xa3"
		       "arp\xa9interface\xa2v0");
		break;
	case 4:
		BEHIND("\x81\xa5items\x91\x84\xa4kind\xa5route\xa9interface\xa2v0\xa3"
		       "dst\xa4::/0\xa9namespace");
		break;
	default:
		read_key(data + 1, size - 1);
	}
	return 0;
}
