/* SPDX-License-Identifier: Apache-2.0 */
/* A request as a whole is decoded: its envelope, what of it is left to the engine, and what is no request. */
#include "frame.h"

/* What is left to the engine has been looked at too: its decoder would take the last of two fields, or fail as a whole. */
static void test_items_of_other_kinds(void)
{
	struct mp_out text = { 0 };
	char item[40];

	refused("5", "", "an item is a map");
	refused("[]", "", "an item is a map");
	refused("{kind: bridge, name: a, name: b}", "name", "is given twice");
	refused("{kind: veth, name: a, namespace: {type: name, name: b, type: pid}}", "namespace.type", "is given twice");
	refused("{kind: veth, 7: a}", "", "fields are named by strings, not a number");
	refused("{kind: veth, namespace: {7: a}}", "namespace", "fields are named by strings, not a number");
	refused("{kind: veth, '\\xff': a}", "?", "is not UTF-8");
	refused("{kind: veth, name: '\\xff'}", "name", "holds text that is not UTF-8");
	refused("{kind: veth, a: [[[[[[[[[1]]]]]]]]]}", "a", "more than 8 levels");
	CHECK_EQ(read_text("{items: [{kind: veth, a: [[[[[[[[1]]]]]]]]}]}").others, 1);

	mp_put_byte(&text, '{');
	for (int i = 0; i < 65; i++)
		mp_put_raw(&text, item, (size_t)snprintf(item, sizeof(item), "f%d: 1, ", i));
	mp_put_raw(&text, "}", 2);
	refused((char *)text.data, "", "65 fields are more than there are");
	mp_free(&text);
}

static void envelope(const char *request, const char *rest)
{
	struct nsp_frame_view view = read_text(request);

	CHECK_STR(shown(view.envelope, view.envelope_len), rest);
}

static void test_envelopes(void)
{
	envelope("{}", "{}\n");
	envelope("{op: put, items: [{kind: veth}], id: 7, source: lab, atomic: false}",
		 "{op: put, id: 7, source: lab, atomic: false}\n");
	envelope("{items: [], op: put}", "{op: put}\n");
	envelope("{op: delete, keys: [route/web0/10.0.0.0/8]}", "{op: delete}\n");
	envelope("{op: info, id: nil}", "{op: info, id: nil}\n");
	envelope("{op: plan, request: {op: put, items: [1, 2]}}", "{op: plan, request: {op: put, items: [1, 2]}}\n");
	envelope("{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 11, l: 12, m: 13, items: [], n: 14, o: 15, p: "
		 "16}",
		 "{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 11, l: 12, m: 13, n: 14, o: 15, p: 16}\n");
	CHECK_EQ(read_text("{op: put}").count, 0);
	CHECK_EQ(read_text("{items: []}").keys, 0);
	CHECK_EQ(read_text("{keys: []}").keys, 1);
}

static void bad_request(const char *request, const char *sentence)
{
	bytes.len = 0;
	put_value(&bytes, request);
	CHECK_EQ(read_frame(bytes.data, bytes.len), -EBADMSG);
	CHECK_EQ(error.code, EBADMSG);
	CHECK_HAS(error.text, sentence);
}

static void test_bad_requests(void)
{
	/* Bytes that msgpack never uses, counts that cannot be true, depth without end. */
	static const uint8_t never[] = { 0x81, 0xa1, 'a', 0xc1 },
			     vast[] = { 0x81, 0xa5, 'i', 't', 'e', 'm', 's', 0xdd, 0xff, 0xff, 0xff, 0xff },
			     map[] = { 0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1 }, str[] = { 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, 'a' };
	static uint8_t deep[100000];

	bad_request("[]", "a request is one msgpack map");
	bad_request("5", "a request is one msgpack map");
	bad_request("{5: 1}", "fields are named by strings, not a number");
	bad_request("{items: {}}", "items: wants an array, not a map");
	bad_request("{items: nil}", "items: wants an array, not nil");
	bad_request("{keys: 5}", "keys: wants an array, not a number");
	bad_request("{items: [], items: []}", "a field is given twice");
	bad_request("{op: put, id: 7, op: put}", "a field is given twice");
	bad_request("{items: [], keys: []}", "one list of items or keys");
	CHECK_EQ(read_frame(NULL, 0), -EBADMSG);
	CHECK_EQ(read_frame(never, sizeof(never)), -EBADMSG);
	CHECK_EQ(read_frame(vast, sizeof(vast)), -EBADMSG);
	CHECK_EQ(read_frame(map, sizeof(map)), -EBADMSG);
	CHECK_EQ(read_frame(str, sizeof(str)), -EBADMSG);
	memset(deep, 0x91, sizeof(deep));
	memcpy(deep, "\x81\xa1", 2);
	CHECK_EQ(read_frame(deep, sizeof(deep)), -EBADMSG);
	deep[sizeof(deep) - 1] = 0;
	CHECK_EQ(read_frame(deep, sizeof(deep)), 0);

	bytes.len = 0;
	put_value(&bytes, "{op: put}");
	mp_put_raw(&bytes, "\xc0\xc0", 2);
	CHECK_EQ(read_frame(bytes.data, bytes.len), -EBADMSG);
	CHECK_HAS(error.text, "2 bytes follow the request's map");

	/* After a bad one the frame is good for another. */
	CHECK_EQ(read_text("{items: [{" ROUTE "}]}").bulk, 1);
}

/* A request that is nothing but faults costs its sender an answer, and the agent no memory to speak of. */
static void test_too_many(void)
{
	struct {
		const char *list;
		uint8_t element;
		const char *sentence;
	} cases[] = {
		{ "keys", 0, "keys: more than 65536 of them are invalid" },
		{ "items", 0, "items: more than 65536 of them are invalid" },
		{ "items", 0x80, "items: more than 65536 of them are neither routes nor ARP entries: send them in parts" },
		{ "keys", 0xa0, "keys: more than 65536 of them are neither routes nor ARP entries: send them in parts" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint32_t count = 65536; count < 65538; count++) {
			bytes.len = 0;
			mp_put_map(&bytes, 1);
			mp_put_text(&bytes, cases[i].list);
			mp_put_array(&bytes, count);
			memset(mp_room(&bytes, count), cases[i].element, count);
			bytes.len += count;
			CHECK_EQ(read_frame(bytes.data, bytes.len), count == 65536 ? 0 : -EBADMSG);
			CHECK_STR(error.text, count == 65536 ? "" : cases[i].sentence);
		}
}

static void test_truncated(void)
{
	static const char *const requests[] = {
		"{op: put, items: [{" ROUTE ", gateway: 10.0.0.1, metric: 70000, table: 4294967295, scope: link, prefsrc: 10.0.0.2,"
		" onlink: true, namespace: {type: file, path: /proc/1/ns/net}}, {kind: veth, name: a, addresses: [10.0.0.1/24]},"
		" {" ARP ", mac: 02:00:00:00:00:01}, {" ROUTE ", dst: 1}], id: 7}",
		"{op: delete, keys: [route/web0/10.0.0.0/8, interface/web0, 'route/web0/10.0.0.0/8;metric=1'], id: 7}",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		read_text(requests[i]);
		size_t whole = bytes.len;
		uint8_t *copy = malloc(whole);
		memcpy(copy, bytes.data, whole);
		for (size_t len = 0; len < whole; len++) {
			CHECK_EQ(read_frame(copy, len), -EBADMSG);
			CHECK(error.text[0]);
		}
		CHECK_EQ(read_frame(copy, whole), 0);
		free(copy);
	}
}

int main(void)
{
	frame = nsp_frame_new();
	test_items_of_other_kinds();
	test_envelopes();
	test_bad_requests();
	test_too_many();
	test_truncated();
	return frame_tests_end();
}
