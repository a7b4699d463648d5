/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: each of their items is decoded as it would be for itself, what is wrong is told with its place, and what is no block is not. */
#include "items.h"

#include "bodies.h"

#include "core/frame.h"
#include "kinds/key.h"

static struct nsp_frame *frame, *other;
static struct mp_out bytes, other_bytes;
static struct nsp_error error;

/* Reads a request that is written as text, from a copy of exactly its length. */
static int read_into(struct nsp_frame *into, struct mp_out *out, const char *request)
{
	static uint8_t *copies[2];
	uint8_t **copy = &copies[into == other];

	out->len = 0;
	put_value(out, request);
	free(*copy);
	*copy = malloc(out->len);
	memcpy(*copy, out->data, out->len);
	memset(&error, 0, sizeof(error));
	return nsp_frame_read(into, *copy, out->len, &error);
}

static struct nsp_frame_view read_text(const char *request)
{
	struct nsp_frame_view view;

	CHECK_EQ(read_into(frame, &bytes, request), 0);
	nsp_frame_view(frame, &view);
	return view;
}

static struct nsp_fault fault_at(uint32_t i)
{
	struct nsp_fault fault = { .text = "there is no such fault" };

	CHECK_EQ(nsp_frame_fault(frame, i, &fault), 0);
	return fault;
}

/* A list with a block is the same as one of plain items, to the last bit, and in their order. */
static void same(const char *block, const char *plain)
{
	char request[8192];

	snprintf(request, sizeof(request), "{items: [%s]}", block);
	CHECK_EQ(read_into(frame, &bytes, request), 0);
	snprintf(request, sizeof(request), "{items: [%s]}", plain);
	CHECK_EQ(read_into(other, &other_bytes, request), 0);
	CHECK_EQ(frame->fault_count, 0);
	CHECK_EQ(other->fault_count, 0);
	CHECK_EQ(frame->bulk_count, other->bulk_count);
	CHECK_EQ(frame->count, other->count);
	for (uint32_t i = 0; i < frame->bulk_count && i < other->bulk_count; i++) {
		const struct decoded *one = &frame->bulk[i], *two = &other->bulk[i];
		CHECK_EQ(one->kind, two->kind);
		CHECK_EQ(one->flags, two->flags);
		CHECK(!memcmp(one->body, two->body, KIND_BODY_MAX));
		CHECK(!(one->flags & ITEM_SOURCE) || !memcmp(one->source, two->source, 16));
		CHECK_STR(frame_slot(frame, one), frame_slot(other, two));
	}
}

static void test_items_are_what_they_would_be(void)
{
	same("{kind: route, interface: web0, gateway: 10.0.0.1, block: {dst: 0x0a0100000a020000, dst_len: 0x1018}}",
	     "{kind: route, interface: web0, gateway: 10.0.0.1, dst: 10.1.0.0/16},"
	     " {kind: route, interface: web0, gateway: 10.0.0.1, dst: 10.2.0.0/24}");
	same("{kind: route, interface: web0, block: {dst_len: 24, dst: 0x0a0100000a020000}}",
	     "{kind: route, interface: web0, dst: 10.1.0.0/24}, {kind: route, interface: web0, dst: 10.2.0.0/24}");
	same("{kind: route, interface: web0, block: {dst: 0x0a0100010a020000}}",
	     "{kind: route, interface: web0, dst: 10.1.0.1}, {kind: route, interface: web0, dst: 10.2.0.0/32}");
	same("{block: {ip: 0x0a000009fe000001, mac: 0x0200000000010200000000ff}, override: true, interface: web0, kind: arp}",
	     "{kind: arp, interface: web0, override: true, ip: 10.0.0.9, mac: 02:00:00:00:00:01},"
	     " {kind: arp, interface: web0, override: true, ip: 254.0.0.1, mac: 02:00:00:00:00:ff}");
	same("{kind: arp, interface: eth0, namespace: {type: pid, pid: 7}, mac: 02:00:00:00:00:01, block: {family: 6, ip: "
	     "0xfd000000000000000000000000000001fd000000000000000000000000000002}}",
	     "{kind: arp, interface: eth0, namespace: {type: pid, pid: 7}, mac: 02:00:00:00:00:01, ip: fd00::1},"
	     " {kind: arp, interface: eth0, namespace: {type: pid, pid: 7}, mac: 02:00:00:00:00:01, ip: fd00::2}");
	/* All that can be a column; the metric that IPv6 has when none is said. */
	same("{kind: route, interface: a, onlink: true, block: {dst: 0x0a0100000a020000, dst_len: 16, gateway: "
	     "0x0a0000010a000002, prefsrc: 0x0a0000030a000004, metric: 0x00000000ffffffff, table: 0x000000fe00000007, scope: "
	     "0x00000000000000c8}}",
	     "{kind: route, interface: a, onlink: true, dst: 10.1.0.0/16, gateway: 10.0.0.1, prefsrc: 10.0.0.3, metric: 0,"
	     " table: 254, scope: 0}, {kind: route, interface: a, onlink: true, dst: 10.2.0.0/16, gateway: 10.0.0.2,"
	     " prefsrc: 10.0.0.4, metric: 4294967295, table: 7, scope: site}");
	same("{kind: route, interface: a, block: {family: 6, dst: "
	     "0xfd000000000000000000000000000000fd000000000000000000000000000000,"
	     " dst_len: 8, metric: 0x0000000000000007}}",
	     "{kind: route, interface: a, dst: fd00::/8}, {kind: route, interface: a, dst: fd00::/8, metric: 7}");
	/* What makes them different need not be the destination. */
	same("{kind: route, interface: a, dst: 10.0.0.0/8, block: {metric: 0x0000000000000007}}",
	     "{kind: route, interface: a, dst: 10.0.0.0/8}, {kind: route, interface: a, dst: 10.0.0.0/8, metric: 7}");
	same("{kind: route, interface: a, dst: fd00::/8, block: {metric: 0x00000005}}",
	     "{kind: route, interface: a, dst: fd00::/8, metric: 5}");
	/* A key that is a MAC, and addresses of either family. */
	same("{kind: fdb, interface: a, block: {mac: 0x020000000001020000000002, vlan: 0x0000000100000ffe}}",
	     "{kind: fdb, interface: a, mac: 02:00:00:00:00:01, vlan: 1}, {kind: fdb, interface: a, mac: 02:00:00:00:00:02, vlan: "
	     "4094}");
	same("{kind: fdb, interface: a, block: {mac: 0x020000000001020000000002, dst: 0x0a0000010a000002, port: "
	     "0x000012b50000ffff}}, {kind: fdb, interface: a, mac: 00:00:00:00:00:00, block: {family: 6, dst: "
	     "0xfd000000000000000000000000000001fd000000000000000000000000000002}}",
	     "{kind: fdb, interface: a, mac: 02:00:00:00:00:01, dst: 10.0.0.1, port: 4789},"
	     " {kind: fdb, interface: a, mac: 02:00:00:00:00:02, dst: 10.0.0.2, port: 65535},"
	     " {kind: fdb, interface: a, mac: 00:00:00:00:00:00, dst: fd00::1},"
	     " {kind: fdb, interface: a, mac: 00:00:00:00:00:00, dst: fd00::2}");
	/* Nil is what is left out. */
	same("{kind: route, interface: a, dst: nil, gateway: nil, block: {family: nil, dst: 0x0a000001, dst_len: nil, metric: "
	     "nil}}",
	     "{kind: route, interface: a, dst: 10.0.0.1}");
	same("{kind: route, interface: a, dst: 10.0.0.1, block: nil}", "{kind: route, interface: a, dst: 10.0.0.1}");
	/* Lengths of all sorts of networks. */
	same("{kind: route, interface: a, block: {dst: 0x000000008000000000000000e0000000, dst_len: 0x00012004}}",
	     "{kind: route, interface: a, dst: 0.0.0.0/0}, {kind: route, interface: a, dst: 128.0.0.0/1},"
	     " {kind: route, interface: a, dst: 0.0.0.0/32}, {kind: route, interface: a, dst: 224.0.0.0/4}");
	same("{kind: route, interface: a, block: {family: 6, dst: 0x00000000000000000000000000000000"
	     "20010db800000000800000000000000020010db80000000100000000000000002001000000000000000000000000000f,"
	     " dst_len: 0x00414080}}",
	     "{kind: route, interface: a, dst: ::/0}, {kind: route, interface: a, dst: '2001:db8:0:0:8000::/65'},"
	     " {kind: route, interface: a, dst: '2001:db8:0:1::/64'}, {kind: route, interface: a, dst: 2001::f/128}");
	/* Of no items, and among others. */
	same("{kind: route, interface: a, block: {dst: 0x, dst_len: 0x}}, {kind: arp, interface: a, block: {mac: 0x, ip: 0x}}", "");
	same("{kind: route, interface: a, dst: 10.0.0.1}, {kind: route, interface: b, block: {dst: 0x0a0000020a000003}},"
	     " {kind: arp, interface: b, ip: 10.0.0.4, mac: 02:00:00:00:00:01}",
	     "{kind: route, interface: a, dst: 10.0.0.1}, {kind: route, interface: b, dst: 10.0.0.2},"
	     " {kind: route, interface: b, dst: 10.0.0.3}, {kind: arp, interface: b, ip: 10.0.0.4, mac: 02:00:00:00:00:01}");
}

/* A block of which nothing can be is refused as one: the field, and a sentence. */
static void refused(const char *block, const char *field, const char *sentence)
{
	char request[4096];

	snprintf(request, sizeof(request), "{items: [{kind: veth}, {interface: web0, %s}, {kind: veth}]}", block);
	struct nsp_frame_view view = read_text(request);
	CHECK_EQ(view.bulk, 0);
	CHECK_EQ(view.invalid, 1);
	CHECK_EQ(view.count, 3);
	struct nsp_fault fault = fault_at(0);
	CHECK_EQ(fault.index, 1);
	CHECK_EQ(fault.offset, NSP_NO_OFFSET);
	CHECK_STR(fault.field, field);
	CHECK_HAS(fault.text, sentence);
	CHECK_HAS(shown(fault.data, fault.len), "block: ");
}

static void test_what_is_no_block(void)
{
	refused("kind: route, block: {}", "dst", "is missing");
	refused("kind: route, dst: 10.0.0.0/8, block: {}", "block", "has no column");
	refused("kind: route, dst: 10.0.0.0/8, block: {family: 4}", "block", "has no column");
	refused("kind: route, block: []", "block", "wants a map, not an array");
	refused("kind: route, block: 0x0a000001", "block", "wants a map, not binary");
	refused("kind: route, block: {7: 0x}", "block", "wants a string, not a number");
	refused("kind: route, block: {dst: 0x0a000001}, block: {dst: 0x0a000001}", "block", "is given twice");
	refused("kind: route, block: {dst: 0x0a000001, dst: 0x0a000001}", "block.dst", "is given twice");
	refused("kind: route, block: {dst: 0x0a000001, dst_len: 32, dst_len: 32}", "block.dst_len", "is given twice");
	refused("kind: route, block: {dst: 0x0a000001, family: 4, family: 4}", "block.family", "is given twice");
	refused("kind: route, block: {dst: 0x0a000001, gatway: 0x0a000001}", "block.gatway", "route items have no such field");
	refused("kind: route, block: {dst: 0x0a000001, colour_len: 8}", "block.colour_len", "route items have no such field");
	refused("kind: route, block: {dst: 0x0a000001, gateway_len: 8}", "block.gateway_len", "route items have no such field");
	refused("kind: route, block: {dst: 0x0a000001, _len: 8}", "block._len", "route items have no such field");
	refused("kind: arp, block: {ip: 0x0a000001, mac: 0x020000000001, dst: 0x0a000001}", "block.dst",
		"arp items have no such field");
	refused("kind: route, block: {dst: 0x0a000001, interface: 0x77}", "block.interface", "is no column: it holds for all");
	refused("kind: route, block: {dst: 0x0a000001, kind: 0x77}", "block.kind", "is no column: it holds for all");
	refused("kind: route, block: {dst: 0x0a000001, namespace: {}}", "block.namespace", "is no column: it holds for all");
	refused("kind: route, block: {dst: 0x0a000001, onlink: 0x01}", "block.onlink", "is no column: it holds for all");
	refused("kind: route, block: {dst: 10.0.0.1}", "block.dst", "wants binary, not a string");
	refused("kind: route, block: {dst: 0x0a000001, metric: 7}", "block.metric", "wants binary, not a number");
	refused("kind: route, block: {dst: 0x0a000001, dst_len: a}", "block.dst_len", "wants binary or a number, not a string");
	refused("kind: route, block: {dst: 0x0a000001, dst_len: 33}", "block.dst_len", "33 is not 0 to 32");
	refused("kind: route, block: {dst: 0x0a000001, dst_len: -1}", "block.dst_len",
		"wants binary or a number, not a negative number");
	refused("kind: route, block: {dst: 0x0a000001, family: 5}", "block.family", "wants 4 or 6");
	refused("kind: route, block: {dst: 0x0a000001, family: a}", "block.family", "wants 4 or 6");
	refused("kind: route, block: {dst: 0x0a00000100}", "block.dst", "5 bytes are no multiple of 4");
	refused("kind: route, block: {dst: 0x0a000001, family: 6}", "block.dst", "4 bytes are no multiple of 16");
	refused("kind: arp, block: {ip: 0x0a000001, mac: 0x0200000000}", "block.mac", "5 bytes are no multiple of 6");
	refused("kind: arp, block: {ip: 0x0a0000010a000002, mac: 0x020000000001}", "block.mac", "has 1 values, ip 2");
	refused("kind: arp, block: {ip: 0x, mac: 0x020000000001}", "block.mac", "has 1 values, ip 0");
	refused("kind: route, block: {dst: 0x0a0000010a000002, dst_len: 0x20}", "block.dst_len", "has 1 values, dst 2");
	refused("kind: route, block: {gateway: 0x0a000001, dst: 0x0a0000010a000002}", "block.dst", "has 2 values, gateway 1");
	refused("kind: route, dst: 10.0.0.1, block: {dst: 0x0a000001}", "block.dst", "is given outside of the block too");
	refused("kind: route, dst: 10.0.0.0, block: {dst_len: 8}", "block.dst_len", "is of a column dst, which is missing");
	refused("kind: route, block: {gateway: 0x0a000001}", "dst", "is missing");
	refused("kind: arp, block: {ip: 0x0a000001}", "mac", "is missing");
	refused("kind: fdb, block: {mac: 0x020000000001, self: 0x01}", "block.self", "fdb items have no such field");
	/* What holds for all is as in an item of its own. */
	refused("kind: route, gateway: 224.0.0.1, block: {dst: 0x0a000001}", "gateway", "'224.0.0.1' is a multicast address");
	refused("kind: route, gateway: fd00::1, block: {dst: 0x0a000001}", "gateway", "is IPv6, the destination IPv4");
	refused("kind: route, dst: fd00::/8, block: {gateway: 0x0a000001}", "block.gateway", "is IPv4, the destination IPv6");
	refused("kind: route, table: 0, block: {dst: 0x0a000001}", "table", "0 is not 1 to 4294967295");
	refused("kind: route, namespace: red, block: {dst: 0x0a000001}", "namespace", "wants a map, not a string");
	CHECK_EQ(read_text("{items: [{kind: veth, block: {name: 0x00}}]}").others, 1);
}

/* One of a block that cannot be: the others are. */
static void one_refused(const char *block, uint32_t offset, const char *field, const char *text, const char *item)
{
	char request[4096];

	snprintf(request, sizeof(request), "{items: [{kind: veth}, {interface: web0, %s}]}", block);
	struct nsp_frame_view view = read_text(request);
	CHECK_EQ(view.bulk, 2);
	CHECK_EQ(view.invalid, 1);
	CHECK_EQ(view.count, 4);
	struct nsp_fault fault = fault_at(0);
	CHECK_EQ(fault.index, 1);
	CHECK_EQ(fault.offset, offset);
	CHECK_STR(fault.field, field);
	CHECK_STR(fault.text, text);
	CHECK(!fault.key);
	CHECK_STR(shown(fault.data, fault.len), item);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_EQ(frame->bulk[i].index, 1);
		CHECK_EQ(frame->bulk[i].offset, i < offset ? i : i + 1);
	}
}

static void test_one_of_them_is_refused(void)
{
	one_refused("kind: route, gateway: 10.0.0.1, block: {dst: 0x0a0100000a0200010a030000, dst_len: 16}", 1, "dst",
		    "'10.2.0.1/16' has host bits set: the network is 10.2.0.0/16",
		    "{interface: web0, kind: route, gateway: 10.0.0.1, dst: 10.2.0.1/16}\n");
	one_refused("kind: route, block: {dst: 0x0a0100000a0200000a030000, dst_len: 0x211810}", 0, "dst",
		    "'10.1.0.0/33' wants a prefix length of 0 to 32", "{interface: web0, kind: route, dst: 10.1.0.0/33}\n");
	one_refused("kind: arp, block: {mac: 0x020000000001020000000002020000000003, ip: 0x0a0000010a000002e0000001}", 2, "ip",
		    "'224.0.0.1' is a multicast address", "{interface: web0, kind: arp, mac: 02:00:00:00:00:03, ip: 224.0.0.1}\n");
	one_refused("kind: arp, mac: nil, block: {ip: 0x0a000001000000000a000003, mac: 0x020000000001020000000002020000000003}", 1,
		    "ip", "'0.0.0.0' is no host's address", "{interface: web0, kind: arp, ip: 0.0.0.0, mac: 02:00:00:00:00:02}\n");
	one_refused("kind: route, block: {dst: 0x0a0000010a0000020a000003, table: 0x000000010000000000000002}", 1, "table",
		    "0 is not 1 to 4294967295", "{interface: web0, kind: route, dst: 10.0.0.2/32, table: 0}\n");
	one_refused("kind: route, block: {dst: 0x0a0000010a0000020a000003, scope: 0x0000000000000000000000ff}", 2, "scope",
		    "255 is not 0 to 254", "{interface: web0, kind: route, dst: 10.0.0.3/32, scope: 255}\n");
	one_refused("kind: fdb, vlan: 7, block: {mac: 0x020000000001000000000000020000000003}", 1, "mac",
		    "of all zeros wants a dst", "{interface: web0, kind: fdb, vlan: 7, mac: 00:00:00:00:00:00}\n");
	one_refused("kind: route, block: {family: 6, dst: 0xfd000000000000000000000000000001fd000000000000000000000000000003"
		    "fd000000000000000000000000000004, dst_len: 0x807f80}",
		    1, "dst", "'fd00::3/127' has host bits set: the network is fd00::2/127",
		    "{interface: web0, kind: route, dst: fd00::3/127}\n");
}

static void test_more_than_one(void)
{
	struct nsp_frame_view view =
		read_text("{items: [{kind: route, interface: a, block: {dst: 0x0a0000010a0000050a0000030a000004,"
			  " dst_len: 0x1f1f201f}}]}");

	CHECK_EQ(view.count, 4);
	CHECK_EQ(view.invalid, 2);
	CHECK_EQ(fault_at(0).offset, 0);
	CHECK_EQ(fault_at(1).offset, 1);
	/* A scope is for IPv4: that is seen of each. */
	view = read_text("{items: [{kind: route, interface: a, scope: link, block: {family: 6, dst: "
			 "0xfd000000000000000000000000000001fd000000000000000000000000000002}}]}");
	CHECK_EQ(view.invalid, 2);
	CHECK_STR(fault_at(1).text, "is for IPv4 routes only");
}

static void test_twice(void)
{
	read_text(
		"{items: [{kind: route, interface: a, block: {dst: 0x0a0000020a0000010a000002}}, {kind: route, interface: a, dst: "
		"10.0.0.1}, {kind: route, interface: a, metric: 5, block: {dst: 0x0a0000010a0000030a000001}}]}");
	CHECK_EQ(frame->bulk_count, 4);
	CHECK_EQ(frame->count, 7);
	CHECK_EQ(frame->fault_count, 3);
	struct nsp_fault fault = fault_at(0);
	CHECK_EQ(fault.index, 0);
	CHECK_EQ(fault.offset, 2);
	CHECK_STR(fault.key, "route/a/10.0.0.2/32");
	CHECK_STR(fault.text, "is in this request twice");
	CHECK_STR(shown(fault.data, fault.len), "{kind: route, interface: a, dst: 10.0.0.2/32}\n");
	fault = fault_at(1);
	CHECK_EQ(fault.index, 1);
	CHECK_EQ(fault.offset, NSP_NO_OFFSET);
	CHECK_STR(fault.key, "route/a/10.0.0.1/32");
	fault = fault_at(2);
	CHECK_EQ(fault.index, 2);
	CHECK_EQ(fault.offset, 2);
	CHECK_STR(fault.key, "route/a/10.0.0.1/32;metric=5");
}

static void key_refused(const char *key, const char *field, const char *sentence)
{
	char request[1024];

	snprintf(request, sizeof(request), "{keys: [interface/a, %s]}", key);
	struct nsp_frame_view view = read_text(request);
	CHECK_EQ(view.invalid, 1);
	CHECK_EQ(view.bulk, 0);
	struct nsp_fault fault = fault_at(0);
	CHECK_EQ(fault.index, 1);
	CHECK_STR(fault.field, field);
	CHECK_HAS(fault.text, sentence);
}

static void test_keys(void)
{
	char text[NSP_KEY_MAX];
	static const char *const expected[] = { "route/a/10.0.0.0/8;metric=7", "route/a/10.1.0.0/16;metric=7",
						"arp/b@pid:7/fd00::9", "arp/a/10.0.0.1" };
	struct nsp_frame_view view =
		read_text("{keys: [{kind: route, interface: a, metric: 7, block: {dst: 0x0a0000000a010000, dst_len: 0x0810}},"
			  " {kind: arp, interface: b, namespace: {type: pid, pid: 7}, block: {family: 6, ip: "
			  "0xfd000000000000000000000000000009}},"
			  " arp/a/10.0.0.1, interface/a]}");

	CHECK_EQ(view.keys, 1);
	CHECK_EQ(view.count, 5);
	CHECK_EQ(view.bulk, 4);
	CHECK_EQ(view.others, 1);
	for (uint32_t i = 0; i < 4 && i < frame->bulk_count; i++) {
		const struct decoded *decoded = &frame->bulk[i];
		key_format(text, frame_slot(frame, decoded), decoded->kind, decoded->body);
		CHECK_STR(text, expected[i]);
	}
	key_refused("{kind: route, interface: a, gateway: 10.0.0.1, block: {dst: 0x0a000001}}", "gateway", "is no part of a key");
	key_refused("{kind: route, interface: a, override: true, block: {dst: 0x0a000001}}", "override", "is no part of a key");
	key_refused("{kind: arp, interface: a, block: {ip: 0x0a000001, mac: 0x020000000001}}", "block.mac", "is no part of a key");
	key_refused("{kind: fdb, interface: a, local: true, block: {mac: 0x020000000001}}", "local", "is no part of a key");
	key_refused("{kind: arp, interface: a, ip: 10.0.0.1}", "key", "is a string of UTF-8, or a map with `block`");
	key_refused("{kind: veth, name: a}", "key", "is a string of UTF-8");
	key_refused("{kind: arp, interface: a, block: {}}", "ip", "is missing");

	view = read_text("{keys: [{kind: arp, interface: a, block: {ip: 0x0a000001e0000001}}, arp/a/10.0.0.1]}");
	CHECK_EQ(view.bulk, 1);
	CHECK_EQ(view.invalid, 2);
	struct nsp_fault fault = fault_at(0);
	CHECK_EQ(fault.offset, 1);
	CHECK_STR(shown(fault.data, fault.len), "{kind: arp, interface: a, ip: 224.0.0.1}\n");
	fault = fault_at(1);
	CHECK_EQ(fault.index, 1);
	CHECK_STR(fault.key, "arp/a/10.0.0.1");
	read_text("{keys: [arp/a/10.0.0.1, {kind: arp, interface: a, block: {ip: 0x0a000001}}]}");
	fault = fault_at(0);
	CHECK_EQ(fault.offset, 0);
	CHECK_STR(fault.key, "arp/a/10.0.0.1");
	CHECK_STR(shown(fault.data, fault.len), "{kind: arp, interface: a, ip: 10.0.0.1}\n");
}

/* {items: [{kind: arp, interface: a, mac: ..., block: {ip: so many zeros}}, ...]} */
static int read_many(uint32_t count, uint32_t blocks, uint8_t first)
{
	uint8_t head[5] = { 0xc6, (uint8_t)(count >> 22), (uint8_t)(count >> 14), (uint8_t)(count >> 6), (uint8_t)(count << 2) };

	bytes.len = 0;
	mp_put_map(&bytes, 1);
	mp_put_text(&bytes, "items");
	mp_put_array(&bytes, blocks);
	for (uint32_t b = 0; b < blocks; b++) {
		mp_put_map(&bytes, 4);
		put_value(&bytes, "kind");
		put_value(&bytes, "arp");
		put_value(&bytes, "interface");
		put_value(&bytes, "a");
		put_value(&bytes, "mac");
		put_value(&bytes, "02:00:00:00:00:01");
		put_value(&bytes, "block");
		mp_put_map(&bytes, 1);
		put_value(&bytes, "ip");
		mp_put_raw(&bytes, head, 5);
		uint8_t *at = mp_room(&bytes, count * 4);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t big = htonl((uint32_t)first << 24 | (b * count + i));
			memcpy(at + (size_t)i * 4, &big, 4);
		}
		bytes.len += count * 4;
	}
	memset(&error, 0, sizeof(error));
	return nsp_frame_read(frame, bytes.data, bytes.len, &error);
}

/* A block is small in a request, and large in memory. */
static void test_too_many(void)
{
	CHECK_EQ(read_many(1 << 20, 1, 10), 0);
	CHECK_EQ(frame->bulk_count, 1 << 20);
	CHECK_EQ(read_many((1 << 20) + 1, 1, 10), -EBADMSG);
	CHECK_STR(error.text, "items[0]: more than 1048576 of them: send them in parts");
	CHECK_EQ(read_many(1 << 18, 4, 10), 0);
	CHECK_EQ(read_many((1 << 18) + 1, 4, 10), -EBADMSG);
	CHECK_STR(error.text, "items[3]: more than 1048576 of them: send them in parts");
	CHECK_EQ(read_many(65536, 1, 224), 0);
	CHECK_EQ(frame->fault_count, 65536);
	CHECK_EQ(read_many(65537, 1, 224), -EBADMSG);
	CHECK_STR(error.text, "items: more than 65536 of them are invalid");
}

static void test_truncated(void)
{
	read_text("{op: put, items: [{kind: route, interface: a, block: {family: 4, dst: 0x0a0000010a000002, dst_len: 0x2020, "
		  "metric: "
		  "0x0000000000000001}}], id: 7}");
	size_t whole = bytes.len;
	for (size_t len = 0; len < whole; len++) {
		uint8_t *copy = malloc(len + 1);
		memcpy(copy, bytes.data, len);
		CHECK_EQ(nsp_frame_read(frame, copy, len, &error), -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	frame = nsp_frame_new();
	other = nsp_frame_new();
	test_items_are_what_they_would_be();
	test_what_is_no_block();
	test_one_of_them_is_refused();
	test_more_than_one();
	test_twice();
	test_keys();
	test_too_many();
	test_truncated();
	nsp_frame_free(frame);
	nsp_frame_free(other);
	mp_free(&bytes);
	mp_free(&other_bytes);
	return test_end();
}
