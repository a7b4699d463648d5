/* SPDX-License-Identifier: Apache-2.0 */
/* A request is decoded: each field of routes and ARP entries, each refusal with its field and a sentence, keys, and what is left. */
#include "items.h"

#include <math.h>

#include "bodies.h"

#include "core/frame.h"
#include "kinds/key.h"
#include "wire/prefix.h"

static struct nsp_frame *frame;
static struct mp_out bytes;
static struct nsp_error error;

/* Reads a request that is written as text. A copy of exactly its length is what the sanitizers watch. */
static int read_frame(const uint8_t *data, size_t len)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len ? len : 1);
	if (len)
		memcpy(copy, data, len);
	memset(&error, 0, sizeof(error));
	return nsp_frame_read(frame, copy, len, &error);
}

static struct nsp_frame_view read_text(const char *request)
{
	struct nsp_frame_view view;

	bytes.len = 0;
	put_value(&bytes, request);
	CHECK_EQ(read_frame(bytes.data, bytes.len), 0);
	nsp_frame_view(frame, &view);
	return view;
}

/* One item that has to be good. */
static const struct wish *item(const char *text)
{
	static const struct wish none;
	char request[4096];

	snprintf(request, sizeof(request), "{items: [%s]}", text);
	struct nsp_frame_view view = read_text(request);
	if (view.bulk == 1 && view.invalid == 0 && view.others == 0) {
		test_passed++;
		return &frame->wishes[0];
	}
	struct nsp_fault fault = { .text = "it is left to the engine" };
	nsp_frame_fault(frame, 0, &fault);
	printf("%s: %s: %s\n", text, fault.field, fault.text);
	test_failed++;
	return &none;
}

static const char *slot(const struct wish *wish)
{
	return frame_slot(frame, wish);
}

static const char *ip(const uint8_t *address, bool v6)
{
	static char text[4][INET6_ADDRSTRLEN];
	static int next;
	char *out = text[next++ & 3];

	prefix_format_ip(out, v6, address);
	return out;
}

/* One item that has to be refused. */
static void refused(const char *text, const char *field, const char *sentence)
{
	char request[4096];
	struct nsp_fault fault = { 0 };

	snprintf(request, sizeof(request), "{items: [{kind: veth}, %s, {kind: veth}]}", text);
	struct nsp_frame_view view = read_text(request);
	nsp_frame_fault(frame, 0, &fault);
	if (view.invalid == 1 && view.bulk == 0 && view.others == 2 && view.count == 3 && fault.index == 1 &&
	    !strcmp(fault.field, field) && strstr(fault.text, sentence)) {
		test_passed++;
		return;
	}
	test_failed++;
	printf("%s: %u invalid, '%s': '%s' in place of '%s': '%s'\n", text, view.invalid, fault.field, fault.text, field, sentence);
}

/* ---- what is accepted ---- */

static void test_route(void)
{
	const struct wish *wish = item("{kind: route, interface: web0, dst: 10.0.0.0/8}");

	CHECK_EQ(wish->kind, kind_id("route", AF_INET));
	CHECK_STR(slot(wish), "web0");
	CHECK_STR(text_in(wish, "dst"), "10.0.0.0/8");
	CHECK_EQ(wish->flags, 0);
	CHECK_EQ(number_in(wish, "metric"), 0);
	CHECK_EQ(number_in(wish, "table"), 254);
	CHECK_EQ(wish->index, 0);

	wish = item("{kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 10.0.0.1, metric: 4294967295, table: 4294967295,"
		    " scope: site, prefsrc: 10.0.0.2, onlink: true, override: true}");
	CHECK_STR(text_in(wish, "dst"), "0.0.0.0/0");
	CHECK_STR(text_in(wish, "gateway"), "10.0.0.1");
	CHECK_STR(ip(wish->source, false), "10.0.0.2");
	CHECK_EQ(number_in(wish, "metric"), 4294967295);
	CHECK_EQ(number_in(wish, "table"), 4294967295);
	CHECK_EQ(number_in(wish, "scope"), RT_SCOPE_SITE);
	CHECK_EQ(wish->flags, ITEM_FLAGS);

	/* In any order, `kind` last, and what is given as its default is as if left out. */
	wish = item("{override: false, onlink: false, table: 254, metric: 0, dst: 10.1.2.3, interface: web0, kind: route}");
	CHECK_EQ(wish->flags, 0);
	CHECK_STR(text_in(wish, "dst"), "10.1.2.3/32");
	CHECK_EQ(number_in(wish, "table"), 254);

	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: global}"), "scope"), RT_SCOPE_UNIVERSE);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: link}"), "scope"), RT_SCOPE_LINK);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: host}"), "scope"), RT_SCOPE_HOST);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: 254}"), "scope"), 254);
	CHECK_EQ(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: 0}")->flags, ITEM_SAID);
	CHECK_STR(text_in(item("{kind: route, interface: a, dst: 224.0.0.0/4}"), "dst"), "224.0.0.0/4");
}

static void test_route6(void)
{
	const struct wish *wish = item("{kind: route, interface: web0, dst: fd00::/8, gateway: fe80::1, prefsrc: fd00::2}");

	CHECK_EQ(wish->kind, kind_id("route", AF_INET6));
	CHECK_STR(text_in(wish, "dst"), "fd00::/8");
	CHECK_STR(text_in(wish, "gateway"), "fe80::1");
	CHECK_STR(ip(wish->source, true), "fd00::2");
	CHECK_EQ(number_in(wish, "metric"), 1024);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: ::/0, metric: 0}"), "metric"), 1024);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: ::/0, metric: 1}"), "metric"), 1);
	CHECK_STR(text_in(item("{kind: route, interface: a, dst: fd00::1}"), "dst"), "fd00::1/128");
	CHECK_EQ(item("{kind: route, interface: a, dst: ::ffff:1.2.3.4/128}")->kind, kind_id("route", AF_INET6));
}

static void test_arp(void)
{
	const struct wish *wish = item("{kind: arp, interface: web0, ip: 10.0.0.9, mac: 02:00:00:00:ab:CD}");

	CHECK_EQ(wish->kind, kind_id("arp", AF_INET));
	CHECK_STR(slot(wish), "web0");
	CHECK_STR(text_in(wish, "ip"), "10.0.0.9");
	CHECK_EQ(wish->flags, 0);
	CHECK_STR(text_in(wish, "mac"), "02:00:00:00:ab:cd");

	wish = item("{mac: 02-00-00-00-AB-cd, override: true, ip: fd00::9, namespace: {type: name, name: red}, interface: eth0, "
		    "kind: arp}");
	CHECK_EQ(wish->kind, kind_id("arp", AF_INET6));
	CHECK_STR(slot(wish), "eth0@name:red");
	CHECK_STR(text_in(wish, "ip"), "fd00::9");
	CHECK_EQ(wish->flags, ITEM_OVERRIDE);
	CHECK_STR(text_in(wish, "mac"), "02:00:00:00:ab:cd");
}

static const char *slot_of(const char *interface, const char *namespace)
{
	char text[2048];

	snprintf(text, sizeof(text), "{kind: route, interface: %s, namespace: %s, dst: 10.0.0.0/8}", interface, namespace);
	return slot(item(text));
}

static void test_namespaces(void)
{
	char longest[300], text[600], expected[600];

	CHECK_STR(slot_of("eth0", "{type: name, name: red}"), "eth0@name:red");
	CHECK_STR(slot_of("eth0", "{name: red, type: name}"), "eth0@name:red");
	CHECK_STR(slot_of("eth0", "{type: pid, pid: 1}"), "eth0@pid:1");
	CHECK_STR(slot_of("eth0", "{pid: 2147483647, type: pid}"), "eth0@pid:2147483647");
	CHECK_STR(slot_of("eth0", "{type: file, path: /proc/7/ns/net}"), "eth0@file:%2Fproc%2F7%2Fns%2Fnet");
	CHECK_STR(slot_of("eth0", "{path: /run/a, type: file}"), "eth0@file:%2Frun%2Fa");
	CHECK_STR(slot_of("eth0", "{type: microservice, microservice: web}"), "eth0@microservice:web");
	CHECK_STR(slot_of("eth0", "{microservice: 'my/web;@: %', type: microservice}"),
		  "eth0@microservice:my%2Fweb%3B%40%3A%20%25");
	CHECK_STR(slot_of("'a;b@c%'", "{type: name, name: 'x@y'}"), "a%3Bb%40c%25@name:x%40y");
	CHECK_STR(slot_of("'\\xc3\\xa9'", "{type: name, name: '\\xe2\\x82\\xac'}"), "\xc3\xa9@name:\xe2\x82\xac");
	CHECK_STR(slot_of("fifteen-bytes-x", "{type: name, name: red}"), "fifteen-bytes-x@name:red");

	memset(longest, ';', 255);
	longest[255] = 0;
	snprintf(text, sizeof(text), "{type: microservice, microservice: '%s'}", longest);
	CHECK_EQ(strlen(slot_of("eth0", text)), strlen("eth0@microservice:") + 3 * 255);

	/* A logical name may be longer than the kernel's names. */
	memset(longest, 'n', 255);
	snprintf(text, sizeof(text), "{kind: route, interface: %s, dst: 10.0.0.0/8}", longest);
	snprintf(expected, sizeof(expected), "%s", longest);
	CHECK_STR(slot(item(text)), expected);
}

/* A run of one interface shares one key; what comes between ends nothing. */
static void test_runs(void)
{
	struct nsp_frame_view view =
		read_text("{items: [{kind: route, interface: a, dst: 10.0.0.0/8}, {kind: route, interface: a, dst: 11.0.0.0/8},"
			  " {kind: route, interface: b, dst: 10.0.0.0/8}, {kind: veth, name: b, mtu: 9000},"
			  " {kind: route, interface: b, dst: 11.0.0.1/8}, 5,"
			  " {kind: arp, interface: b, namespace: {type: pid, pid: 4}, ip: 10.0.0.1, mac: 02:00:00:00:00:01},"
			  " {kind: arp, interface: b, ip: 10.0.0.1, mac: 02:00:00:00:00:01}, {kind: 7}, {name: x}]}");
	struct nsp_fault fault;
	struct nsp_span span;

	CHECK_EQ(view.count, 10);
	CHECK_EQ(view.bulk, 5);
	CHECK_EQ(view.others, 3);
	CHECK_EQ(view.invalid, 2);
	CHECK_EQ(view.keys, 0);
	CHECK_EQ(frame->wishes[0].slot, frame->wishes[1].slot);
	CHECK_STR(slot(&frame->wishes[2]), "b");
	CHECK_STR(slot(&frame->wishes[3]), "b@pid:4");
	CHECK_STR(slot(&frame->wishes[4]), "b");
	CHECK_EQ(frame->wishes[3].index, 6);
	CHECK_EQ(frame->wishes[4].index, 7);

	CHECK_EQ(nsp_frame_other(frame, 0, &span), 0);
	CHECK_EQ(span.index, 3);
	CHECK_STR(shown(span.data, span.len), "{kind: veth, name: b, mtu: 9000}\n");
	CHECK_EQ(nsp_frame_other(frame, 1, &span), 0);
	CHECK_EQ(span.index, 8);
	CHECK_STR(shown(span.data, span.len), "{kind: 7}\n");
	CHECK_EQ(nsp_frame_other(frame, 4, &span), -ENOENT);
	CHECK_EQ(nsp_frame_fault(frame, 0, &fault), 0);
	CHECK_EQ(fault.index, 4);
	CHECK_STR(fault.field, "dst");
	CHECK_EQ(nsp_frame_fault(frame, 1, &fault), 0);
	CHECK_EQ(fault.index, 5);
	CHECK_STR(fault.text, "an item is a map");
	CHECK_EQ(nsp_frame_fault(frame, 2, &fault), -ENOENT);
}

/* So does one in a namespace, wherever in its item that stands, as long as it is said with the same bytes. */
static void test_runs_in_namespaces(void)
{
	static const struct {
		const char *where, *slot;
	} items[] = {
		{ "interface: a, namespace: {type: pid, pid: 4}", "a@pid:4" },
		{ "interface: a, namespace: {type: pid, pid: 4}", "a@pid:4" },
		{ "namespace: {type: pid, pid: 4}, interface: a", "a@pid:4" },
		{ "interface: b, namespace: {type: pid, pid: 4}", "b@pid:4" },
		{ "interface: b, namespace: {type: pid, pid: 41}", "b@pid:41" },
		{ "interface: b", "b" },
		{ "interface: b, namespace: {pid: 4, type: pid}", "b@pid:4" },
		{ "interface: b, namespace: {type: pid, pid: 4}", "b@pid:4" },
	};
	char text[1024];
	int n = snprintf(text, sizeof(text), "{items: [");

	for (unsigned i = 0; i < 8; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "{kind: route, dst: %u.0.0.0/8, %s}, ", 10 + i, items[i].where);
	snprintf(text + n, sizeof(text) - (size_t)n, "]}");
	read_text(text);
	CHECK_EQ(frame->wish_count, 8);
	for (unsigned i = 0; i < 8; i++)
		CHECK_STR(slot(&frame->wishes[i]), items[i].slot);
	CHECK_EQ(frame->wishes[0].slot, frame->wishes[1].slot);
	CHECK_EQ(frame->wishes[0].slot, frame->wishes[2].slot);
	CHECK(frame->wishes[0].slot != frame->wishes[3].slot);
}

/* ---- what is refused ---- */

#define ROUTE "kind: route, interface: web0, dst: 10.0.0.0/8"
#define ROUTE6 "kind: route, interface: web0, dst: fd00::/8"
#define ARP "kind: arp, interface: web0, ip: 10.0.0.9"

static void test_missing_and_unknown(void)
{
	refused("{kind: route, dst: 10.0.0.0/8}", "interface", "is missing");
	refused("{kind: route, interface: web0}", "dst", "is missing");
	refused("{kind: arp, interface: web0, mac: 02:00:00:00:00:01}", "ip", "is missing");
	refused("{" ARP "}", "mac", "is missing");
	refused("{" ROUTE ", gatway: 10.0.0.1}", "gatway", "route items have no such field");
	refused("{" ARP ", dst: 10.0.0.0/8}", "dst", "arp items have no such field");
	refused("{" ROUTE ", a-field-whose-name-is-much-too-long: 1}", "a-field-whose-name-is-mu", "have no such field");
	refused("{" ROUTE ", 'b\\x01\\xff': 1}", "b??", "have no such field");
	refused("{" ROUTE ", 7: 1}", "", "wants a string, not a number");
	/* Twice the same field. */
	refused("{" ROUTE ", metric: 1, metric: 1}", "metric", "is given twice");
	refused("{" ROUTE ", interface: web0}", "interface", "is given twice");
	refused("{" ROUTE ", kind: route}", "kind", "is given twice");
	refused("{" ROUTE ", namespace: {type: pid, pid: 1}, namespace: {type: pid, pid: 1}}", "namespace", "is given twice");
}

static void test_wrong_types(void)
{
	refused("{kind: route, interface: web0, dst: 7}", "dst", "wants a string, not a number");
	refused("{kind: route, interface: nil, dst: 10.0.0.0/8}", "interface", "is missing");
	refused("{" ROUTE ", gateway: [10.0.0.1]}", "gateway", "wants a string, not an array");
	refused("{" ROUTE ", prefsrc: {}}", "prefsrc", "wants a string, not a map");
	refused("{" ROUTE ", onlink: 1, gateway: 10.0.0.1}", "onlink", "wants a boolean, not a number");
	refused("{" ROUTE ", override: yes}", "override", "wants a boolean, not a string");
	refused("{" ROUTE ", metric: '1'}", "metric", "wants a number, not a string");
	refused("{" ROUTE ", metric: -1}", "metric", "-1 is less than 0");
	refused("{" ROUTE ", metric: 4294967296}", "metric", "4294967296 is not 0 to 4294967295");
	refused("{" ROUTE ", table: 0}", "table", "0 is not 1 to 4294967295");
	refused("{" ROUTE ", table: 4294967296}", "table", "4294967296 is not 1 to 4294967295");
	refused("{" ROUTE ", table: true}", "table", "wants a number, not a boolean");
	refused("{" ROUTE ", scope: 255}", "scope", "255 is not 0 to 254");
	refused("{" ROUTE ", scope: nowhere}", "scope", "'nowhere' is not global, site, link, host or a number");
	refused("{" ARP ", mac: 2}", "mac", "wants a string, not a number");
}

#define HOP(gateway) "{gateway: " gateway "}"
#define HOPS(list) "nexthops: [" list "]"

static void test_nexthops(void)
{
	refused("{" ROUTE ", nexthops: 10.0.0.1}", "nexthops", "wants an array, not a string");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1")) "}", "nexthops", "wants 2 to 64 next hops, not 1");
	refused("{" ROUTE ", " HOPS("10.0.0.1, 10.0.0.2") "}", "nexthops[0]", "wants a map, not a string");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1") ", {weight: 2}") "}", "nexthops[1].gateway", "is missing");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1") ", " HOP("nil")) "}", "nexthops[1].gateway", "is missing");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1") ", " HOP("10.0.0")) "}", "nexthops[1].gateway",
		"'10.0.0' is not an IP address");
	refused("{" ROUTE ", " HOPS(HOP("0.0.0.0") ", " HOP("10.0.0.1")) "}", "nexthops[0].gateway", "is no host's address");
	refused("{" ROUTE ", " HOPS(HOP("224.0.0.1") ", " HOP("10.0.0.1")) "}", "nexthops[0].gateway", "is a multicast address");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1") ", " HOP("fd00::1")) "}", "nexthops[1].gateway",
		"is IPv6, others of the list IPv4");
	refused("{" ROUTE ", " HOPS(HOP("fd00::2") ", " HOP("fd00::1")) "}", "nexthops", "is IPv6, the destination IPv4");
	refused("{" ROUTE ", " HOPS(HOP("10.0.0.1") ", " HOP("10.0.0.1")) "}", "nexthops", "has a gateway twice");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, weight: 0}, " HOP("10.0.0.2")) "}", "nexthops[0].weight",
		"0 is not 1 to 256");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, weight: 257}, " HOP("10.0.0.2")) "}", "nexthops[0].weight",
		"257 is not 1");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, weight: two}, " HOP("10.0.0.2")) "}", "nexthops[0].weight",
		"wants a number");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, onlink: 1}, " HOP("10.0.0.2")) "}", "nexthops[0].onlink",
		"wants a boolean");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, via: 1}, " HOP("10.0.0.2")) "}", "nexthops[0]", "have no such field");
	refused("{" ROUTE ", " HOPS("{gateway: 10.0.0.1, gateway: 10.0.0.3}, " HOP("10.0.0.2")) "}", "nexthops[0].gateway",
		"is given twice");
	refused("{" ROUTE ", gateway: 10.0.0.1, " HOPS(HOP("10.0.0.1") ", " HOP("10.0.0.2")) "}", "nexthops",
		"is not given beside gateway");
	refused("{" ROUTE ", onlink: true, " HOPS(HOP("10.0.0.1") ", " HOP("10.0.0.2")) "}", "onlink",
		"stands in each of nexthops");

	const struct wish *wish =
		item("{" ROUTE6 ", " HOPS("{gateway: fd01::2, weight: nil, onlink: nil}, {gateway: fd01::1, weight: 256}") "}");
	const uint8_t *set = wish_hops(wish, frame->text.data);
	struct nsp_hop hop;
	CHECK_EQ(hops_count(set, wish->hops_len), 2);
	hops_get(set, 0, &hop);
	CHECK_EQ(hop.weight, 256);
	CHECK_STR(ip(hop.gateway, true), "fd01::1");
	CHECK_STR(slot(wish), "web0");
	CHECK_EQ(wish->flags, ITEM_GATEWAY);
}

/* Nil is a field that is left out. */
static void test_nil(void)
{
	const struct wish *wish = item("{" ROUTE ", gateway: nil, metric: nil, table: nil, scope: nil, prefsrc: nil, onlink: nil,"
				       " nexthops: nil,"
				       " override: nil, namespace: nil}");

	CHECK_EQ(wish->flags, 0);
	CHECK_EQ(number_in(wish, "table"), 254);
	CHECK_STR(slot(wish), "web0");
	wish = item("{" ROUTE ", namespace: {pid: nil, type: name, path: nil, name: red, microservice: nil}}");
	CHECK_STR(slot(wish), "web0@name:red");
	refused("{" ROUTE ", metric: nil, metric: 1}", "metric", "is given twice");
	refused("{" ROUTE ", colour: nil}", "colour", "have no such field");
}

static struct mp_token whole(double value)
{
	struct mp_token token = { .type = MP_FLOAT };

	memcpy(&token.number, &value, sizeof(value));
	mp_whole(&token);
	return token;
}

static void test_floats_that_are_whole(void)
{
	static const uint8_t wide[] = { 0xca, 0x47, 0x88, 0xb8, 0 }; /* 70000 in four bytes */
	struct mp_in in = { wide, wide + sizeof(wide) };
	struct mp_token token;

	CHECK(mp_next(&in, &token) && token.type == MP_FLOAT);
	mp_whole(&token);
	CHECK_EQ(token.type, MP_UINT);
	CHECK_EQ(token.number, 70000);
	CHECK_EQ(whole(0).type, MP_UINT);
	CHECK_EQ(whole(-0.0).number, 0);
	CHECK_EQ(whole(-5).type, MP_INT);
	CHECK_EQ((int64_t)whole(-5).number, -5);
	CHECK_EQ(whole(0x1p63).number, 1ull << 63);
	CHECK_EQ((int64_t)whole(-0x1p63).number, INT64_MIN);
	double others[] = { 0.5, -0.5, 0x1p64, -0x1p64, 1e300, INFINITY, -INFINITY, NAN };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK_EQ(whole(others[i]).type, MP_FLOAT);
}

static void test_addresses(void)
{
	static const char *const no_network[] = { "''",		  "10.0.0/8",	   "010.0.0.0/8", "10.0.0.256/8",
						  "10.0.0.0.0/8", "'10.0.0.0 /8'", "fd00:/8",	  "1:2:3:4:5:6:7",
						  "web0",	  "'/8'",	   "10.0.0.-1/8", "'10.0.0.0\\x00'" };
	char text[256];

	for (size_t i = 0; i < sizeof(no_network) / sizeof(no_network[0]); i++) {
		snprintf(text, sizeof(text), "{kind: route, interface: web0, dst: %s}", no_network[i]);
		refused(text, "dst", "is not a network such as 10.0.0.0/8");
	}
	refused("{kind: route, interface: web0, dst: 10.0.0.0/33}", "dst", "'10.0.0.0/33' wants a prefix length of 0 to 32");
	refused("{kind: route, interface: web0, dst: fd00::/129}", "dst", "wants a prefix length of 0 to 128");
	refused("{kind: route, interface: web0, dst: 10.0.0.0/}", "dst", "wants a prefix length of 0 to 32");
	refused("{kind: route, interface: web0, dst: 10.0.0.0/08}", "dst", "wants a prefix length of 0 to 32");
	refused("{kind: route, interface: web0, dst: 10.0.0.0/-1}", "dst", "wants a prefix length of 0 to 32");
	refused("{kind: route, interface: web0, dst: 10.0.0.0/255.0.0.0}", "dst", "wants a prefix length of 0 to 32");
	refused("{kind: route, interface: web0, dst: 10.0.0.1/8}", "dst", "host bits set: the network is 10.0.0.0/8");
	refused("{kind: route, interface: web0, dst: 10.0.0.0/6}", "dst", "host bits set: the network is 8.0.0.0/6");
	refused("{kind: route, interface: web0, dst: fd00::1/64}", "dst", "host bits set: the network is fd00::/64");
	refused("{kind: route, interface: web0, dst: 1.2.3.4/0}", "dst", "the network is 0.0.0.0/0");

	refused("{" ROUTE ", gateway: 10.0.0.300}", "gateway", "'10.0.0.300' is not an IP address");
	refused("{" ROUTE ", gateway: 10.0.0.1/32}", "gateway", "is not an IP address");
	refused("{" ROUTE ", gateway: ''}", "gateway", "is not an IP address");
	refused("{" ROUTE ", gateway: 0.0.0.0}", "gateway", "'0.0.0.0' is no host's address");
	refused("{" ROUTE ", gateway: 224.0.0.1}", "gateway", "is a multicast address");
	refused("{" ROUTE6 ", gateway: ff02::1}", "gateway", "is a multicast address");
	refused("{" ROUTE6 ", gateway: '::'}", "gateway", "is no host's address");
	refused("{" ROUTE6 ", gateway: 'fe80::1%eth0'}", "gateway", "is not an IP address");
	refused("{" ROUTE ", gateway: fd00::1}", "gateway", "is IPv6, the destination IPv4");
	refused("{" ROUTE6 ", gateway: 10.0.0.1}", "gateway", "is IPv4, the destination IPv6");
	refused("{" ROUTE ", prefsrc: fd00::1}", "prefsrc", "is IPv6, the destination IPv4");
	refused("{" ROUTE ", prefsrc: 239.0.0.1}", "prefsrc", "is a multicast address");
	refused("{" ROUTE6 ", scope: link}", "scope", "is for IPv4 routes only");
	refused("{" ROUTE ", onlink: true}", "onlink", "wants a gateway");

	refused("{kind: arp, interface: web0, ip: 10.0.0.0/8, mac: 02:00:00:00:00:01}", "ip", "is not an IP address");
	refused("{kind: arp, interface: web0, ip: 0.0.0.0, mac: 02:00:00:00:00:01}", "ip", "is no host's address");
	refused("{kind: arp, interface: web0, ip: ff02::1, mac: 02:00:00:00:00:01}", "ip", "is a multicast address");
	refused("{" ARP ", mac: 02:00:00:00:00}", "mac", "'02:00:00:00:00' is not a MAC of six bytes");
	refused("{" ARP ", mac: 02:00:00:00:00:01:02}", "mac", "is not a MAC");
	refused("{" ARP ", mac: 02:00:00:00:00:0g}", "mac", "is not a MAC");
	refused("{" ARP ", mac: 0200.0000.000001x}", "mac", "is not a MAC");
	refused("{" ARP ", mac: ''}", "mac", "is not a MAC");
}

static void test_names(void)
{
	static const char *const bad_names[] = { "''",
						 "a/b",
						 "a@b",
						 "'a;b'",
						 "'a b'",
						 "'a\\x0ab'",
						 "'a\\x7f'",
						 "'\\xff'",
						 "'\\xc0\\x80'",
						 "'\\xed\\xa0\\x80'",
						 "'\\xc2\\x85'",
						 "'\\xe2\\x82'",
						 "'\\xf4\\x90\\x80\\x80'",
						 "'a\\x00'" };
	static const char *const bad_links[] = {
		"''",	    "a/b", "'a:b'",   "'a b'",		".",	       "..", "sixteen-bytes-xx",
		"'a\\x1f'", "all", "default", "'br\\xc3\\xa0'", "'\\xd0\\xa0'"
	};
	char longest[300], text[600];

	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		snprintf(text, sizeof(text), "{kind: route, interface: %s, dst: 10.0.0.0/8}", bad_names[i]);
		refused(text, "interface", "is not a name of 1 to 255 bytes");
	}
	memset(longest, 'n', 256);
	longest[256] = 0;
	snprintf(text, sizeof(text), "{kind: route, interface: %s, dst: 10.0.0.0/8}", longest);
	refused(text, "interface", "nnn...' is not a name of 1 to 255 bytes");
	for (size_t i = 0; i < sizeof(bad_links) / sizeof(bad_links[0]); i++) {
		snprintf(text, sizeof(text), "{kind: route, interface: %s, namespace: {type: name, name: red}, dst: 10.0.0.0/8}",
			 bad_links[i]);
		refused(text, "interface", "is not a link's name of 1 to 15 bytes");
	}
}

static void bad_namespace(const char *namespace, const char *field, const char *sentence)
{
	char text[1024];

	snprintf(text, sizeof(text), "{" ROUTE ", namespace: %s}", namespace);
	refused(text, field, sentence);
}

static void test_bad_namespaces(void)
{
	char longest[500], text[600];

	bad_namespace("red", "namespace", "wants a map, not a string");
	bad_namespace("{type: nil, name: red}", "namespace.type", "is missing");
	bad_namespace("{type: name, name: nil}", "namespace", "type name wants the field 'name'");
	bad_namespace("{type: name, name: red, colour: nil}", "namespace", "unknown field 'colour'");
	bad_namespace("{}", "namespace.type", "is missing");
	bad_namespace("{name: red}", "namespace.type", "is missing");
	bad_namespace("{type: colour, name: red}", "namespace.type", "wants name, pid, file or microservice");
	bad_namespace("{type: 4, name: red}", "namespace.type", "wants name, pid, file or microservice");
	bad_namespace("{type: [name], name: red}", "namespace.type", "wants name, pid, file or microservice");
	bad_namespace("{type: name}", "namespace", "type name wants the field 'name'");
	bad_namespace("{type: file, file: /a}", "namespace", "unknown field 'file'");
	bad_namespace("{type: name, path: /a}", "namespace", "type name wants the field 'name'");
	bad_namespace("{type: name, name: red, pid: 1}", "namespace", "'pid' is one reference too many");
	bad_namespace("{type: name, name: red, name: red}", "namespace", "'name' is one reference too many");
	bad_namespace("{type: name, name: red, type: name}", "namespace.type", "is given twice");
	bad_namespace("{type: name, name: red, type: [name]}", "namespace.type", "");
	bad_namespace("{type: name, 4: red}", "namespace", "wants a string, not a number");
	bad_namespace("{type: name, name: 4}", "namespace", "name wants a string");
	bad_namespace("{type: name, name: ''}", "namespace.name", "'' is not a name that can stand under /run/netns");
	bad_namespace("{type: name, name: a/b}", "namespace.name", "is not a name that can stand under /run/netns");
	bad_namespace("{type: name, name: ..}", "namespace.name", "is not a name that can stand under /run/netns");
	bad_namespace("{type: name, name: '\\xff'}", "namespace.name", "'?' is not a name");
	bad_namespace("{type: pid, pid: 0}", "namespace.pid", "wants a process number");
	bad_namespace("{type: pid, pid: -1}", "namespace.pid", "wants a process number");
	bad_namespace("{type: pid, pid: 2147483648}", "namespace.pid", "wants a process number");
	bad_namespace("{type: pid, pid: '1'}", "namespace.pid", "wants a process number");
	bad_namespace("{type: file, path: run/netns/a}", "namespace.path", "'run/netns/a' is not an absolute path");
	bad_namespace("{type: file, path: ''}", "namespace.path", "is not an absolute path");
	bad_namespace("{type: microservice, microservice: ''}", "namespace.microservice", "is not a label of 1 to 255 bytes");
	bad_namespace("{type: microservice, microservice: 'a\nb'}", "namespace.microservice", "bytes without control characters");
	bad_namespace("{type: file, path: '/a\nb'}", "namespace.path", "bytes without control characters");
	memset(longest, 'x', 401);
	longest[401] = 0;
	longest[0] = '/';
	snprintf(text, sizeof(text), "{type: file, path: %s}", longest);
	bad_namespace(text, "namespace", "path wants a string of at most 400 bytes");
	longest[256] = 0;
	snprintf(text, sizeof(text), "{type: microservice, microservice: %s}", longest);
	bad_namespace(text, "namespace.microservice", "is not a label of 1 to 255 bytes");
}

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

/* ---- keys ---- */

static void key_round_trip(const char *key, const char *of_slot, uint8_t kind)
{
	char request[4096], text[NSP_KEY_MAX];

	snprintf(request, sizeof(request), "{keys: ['%s']}", key);
	struct nsp_frame_view view = read_text(request);
	struct nsp_fault fault = { .text = "it is left to the engine" };
	nsp_frame_fault(frame, 0, &fault);
	if (view.bulk != 1 || view.keys != 1) {
		test_failed++;
		printf("%s: %s\n", key, fault.text);
		return;
	}
	const struct wish *wish = &frame->wishes[0];
	CHECK_EQ(wish->kind, kind);
	CHECK_STR(slot(wish), of_slot);
	CHECK_EQ(key_format(text, slot(wish), wish->kind, wish->body), strlen(key));
	CHECK_STR(text, key);
}

static void bad_key(const char *key, const char *sentence)
{
	char request[4096];
	struct nsp_fault fault = { 0 };

	snprintf(request, sizeof(request), "{keys: ['%s']}", key);
	struct nsp_frame_view view = read_text(request);
	CHECK_EQ(view.invalid, 1);
	CHECK_EQ(nsp_frame_fault(frame, 0, &fault), 0);
	CHECK_STR(fault.field, "key");
	CHECK_HAS(fault.text, sentence);
}

static void test_keys(void)
{
	uint8_t route4 = kind_id("route", AF_INET), route6 = kind_id("route", AF_INET6);
	uint8_t arp4 = kind_id("arp", AF_INET), arp6 = kind_id("arp", AF_INET6);

	key_round_trip("route/web0/10.0.0.0/8", "web0", route4);
	key_round_trip("route/web0/0.0.0.0/0", "web0", route4);
	key_round_trip("route/web0/10.0.0.0/8;metric=100", "web0", route4);
	key_round_trip("route/web0/10.0.0.0/8;table=7", "web0", route4);
	key_round_trip("route/web0/10.0.0.0/8;metric=4294967295;table=4294967295", "web0", route4);
	key_round_trip("route/web0/fd00::/8", "web0", route6);
	key_round_trip("route/web0/fd00::1/128;metric=1;table=7", "web0", route6);
	key_round_trip("arp/web0/10.0.0.9", "web0", arp4);
	key_round_trip("arp/web0/fd00::9", "web0", arp6);
	key_round_trip("fdb/p0/02:00:00:00:00:09", "p0", kind_id("fdb", AF_BRIDGE));
	key_round_trip("fdb/p0/02:00:00:00:00:09;vlan=7", "p0", kind_id("fdb", AF_BRIDGE));
	key_round_trip("fdb/vx/02:00:00:00:00:09;self;src_vni=5", "vx", kind_id("fdb", AF_BRIDGE));
	key_round_trip("fdb/vx/00:00:00:00:00:00;self;dst=192.0.2.9", "vx", kind_id("fdb", AF_BRIDGE));
	key_round_trip("fdb/vx/01:00:5e:00:00:09;self;dst=fd00::9;port=4790;vni=7;src_vni=5", "vx", kind_id("fdb", AF_BRIDGE));
	key_round_trip("arp/eth0@microservice:web/10.0.0.9", "eth0@microservice:web", arp4);
	key_round_trip("route/eth0@pid:17/10.0.0.0/8", "eth0@pid:17", route4);
	key_round_trip("route/a%3Bb%40c%25@file:%2Frun%2Fa/::/0", "a%3Bb%40c%25@file:%2Frun%2Fa", route6);
	key_round_trip("route/\xc3\xa9@name:\xe2\x82\xac/10.0.0.0/8", "\xc3\xa9@name:\xe2\x82\xac", route4);
}

static void test_bad_keys(void)
{
	struct nsp_frame_view view;
	struct nsp_fault fault;
	struct nsp_span span;

	bad_key("route/", "wants route/INTERFACE/NETWORK/LENGTH");
	bad_key("route/web0", "wants route/INTERFACE/NETWORK/LENGTH");
	bad_key("route//10.0.0.0/8", "wants route/INTERFACE/NETWORK/LENGTH");
	bad_key("arp/web0", "wants arp/INTERFACE/ADDRESS");
	bad_key("route/web0/", "is not a network");
	bad_key("route/web0/ten/8", "is not a network");
	bad_key("route/web0/10.0.0.1/8", "the network is 10.0.0.0/8");
	bad_key("route/web0/10.0.0.0/8;metric=", "wants a number behind ';metric='");
	bad_key("route/web0/10.0.0.0/8;metric=x", "wants a number behind ';metric='");
	bad_key("route/web0/10.0.0.0/8;table=4294967296", "wants a number behind ';table='");
	bad_key("route/web0/10.0.0.0/8;colour=1", "ends in other than ;metric=N;table=N");
	bad_key("route/web0/10.0.0.0/8;table=7;metric=1", "ends in other than ;metric=N;table=N");
	bad_key("route/web0/10.0.0.0/8;metric=1;metric=1", "ends in other than ;metric=N;table=N");
	/* One object has one key. */
	bad_key("route/web0/10.0.0.0/8;metric=0", "is written 'route/web0/10.0.0.0/8'");
	bad_key("route/web0/10.0.0.0/8;table=254", "is written 'route/web0/10.0.0.0/8'");
	bad_key("route/web0/fd00::/8;metric=1024", "is written 'route/web0/fd00::/8'");
	bad_key("route/web0/FD00:0::/8", "is written 'route/web0/fd00::/8'");
	bad_key("route/web0/10.0.0.1", "is written 'route/web0/10.0.0.1/32'");
	bad_key("arp/web0/10.0.0.9/32", "is written 'arp/web0/10.0.0.9'");
	bad_key("arp/web0/10.0.0.0/8", "is written");
	bad_key("arp/web0/10.0.0.9;metric=1", "");
	bad_key("fdb/vx/02:00:00:00:00:09;self;dst=192.0.2.9", "is written 'fdb/vx/02:00:00:00:00:09;self'");
	bad_key("fdb/vx/02-00-00-00-00-09", "is written 'fdb/vx/02:00:00:00:00:09'");
	bad_key("fdb/vx/02:00:00:00:00", "is not a MAC of six bytes");
	bad_key("fdb/vx/00:00:00:00:00:00;self;dst=ten", "wants an address behind ';dst='");
	bad_key("fdb/vx/02:00:00:00:00:09;selfish", "ends in other than ;vlan=N;self;dst=ADDRESS;port=N;vni=N;src_vni=N");
	bad_key("fdb/vx/02:00:00:00:00:09;self=1", "ends in other than ;vlan=N;self");
	bad_key("fdb/vx/02:00:00:00:00:09;vlan", "ends in other than ;vlan=N;self");
	/* What stands in the interface's place is such as an item has. */
	bad_key("route/we b0/10.0.0.0/8", "");
	bad_key("route/we;b0/10.0.0.0/8", "");
	bad_key("route/eth0@/10.0.0.0/8", "");
	bad_key("route/eth0@red/10.0.0.0/8", "");
	bad_key("route/eth0@colour:red/10.0.0.0/8", "");
	bad_key("route/eth0@name:/10.0.0.0/8", "");
	bad_key("route/eth0@pid:x/10.0.0.0/8", "");
	bad_key("route/eth0@pid:0/10.0.0.0/8", "");
	bad_key("route/@name:red/10.0.0.0/8", "");
	bad_key("route/eth0@file:%2frun/10.0.0.0/8", "");
	bad_key("route/eth0@name:%7/10.0.0.0/8", "");
	bad_key("route/eth0@name:%41/10.0.0.0/8", "");
	bad_key("route/web0/10.0.0.0/8\\x00", "");

	view = read_text("{keys: [interface/web0, 5, route/web0/10.0.0.0/8, 'rout', '']}");
	CHECK_EQ(view.count, 5);
	CHECK_EQ(view.bulk, 1);
	CHECK_EQ(view.invalid, 1);
	CHECK_EQ(view.others, 3);
	CHECK_EQ(nsp_frame_fault(frame, 0, &fault), 0);
	CHECK_EQ(fault.index, 1);
	CHECK_STR(fault.text, "a key is a string of UTF-8");
	CHECK_EQ(nsp_frame_other(frame, 0, &span), 0);
	CHECK_STR(shown(span.data, span.len), "interface/web0\n");
}

/* A key that is as long as one may be, with a destination that is written longer than it came. */
static void test_longest_keys(void)
{
	char key[1700], request[1800];

	for (size_t len = 1300; len < 1450; len++) {
		memset(key, 'x', sizeof(key));
		memcpy(key, "route/", 6);
		strcpy(key + len - 18, "/::ffff:7f7f:7f7f");
		snprintf(request, sizeof(request), "{keys: ['%s']}", key);
		CHECK_EQ(read_text(request).invalid, 1);
	}
}

/* ---- the request as a whole ---- */

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

/* Every number's width, and every length's, means the same. */
static void test_widths(void)
{
	static const uint8_t metrics[][9] = { { 0x07 },
					      { 0xcc, 7 },
					      { 0xcd, 0, 7 },
					      { 0xce, 0, 0, 0, 7 },
					      { 0xcf, 0, 0, 0, 0, 0, 0, 0, 7 },
					      { 0xd0, 7 },
					      { 0xd1, 0, 7 },
					      { 0xd2, 0, 0, 0, 7 },
					      { 0xd3, 0, 0, 0, 0, 0, 0, 0, 7 } };
	static const uint8_t lens[] = { 1, 2, 3, 5, 9, 2, 3, 5, 9 };

	for (size_t i = 0; i < sizeof(lens); i++) {
		bytes.len = 0;
		mp_put_raw(&bytes, "\xde\0\1\xd9\5items\xdc\0\1\xdf\0\0\0\4", 18);
		put_value(&bytes, "kind");
		put_value(&bytes, "route");
		mp_put_raw(&bytes, "\xda\0\x09interface\xdb\0\0\0\1a", 18);
		put_value(&bytes, "dst");
		put_value(&bytes, "10.0.0.0/8");
		put_value(&bytes, "metric");
		mp_put_raw(&bytes, metrics[i], lens[i]);
		CHECK_EQ(read_frame(bytes.data, bytes.len), 0);
		CHECK_EQ(frame->wish_count, 1);
		CHECK_EQ(number_in(&frame->wishes[0], "metric"), 7);
	}
}

static void test_fields(void)
{
	struct nsp_field_info info;
	uint32_t count[2] = { 0, 0 }, required = 0;

	for (uint32_t kind = 0; kind < 2; kind++)
		for (; nsp_schema_field(kind, count[kind], &info) == 0; count[kind]++) {
			CHECK_STR(info.kind, kind ? "arp" : "route");
			CHECK(info.name[0] && info.type[0] && info.about[0]);
			CHECK(strlen(info.about) < sizeof(info.about) - 1 && strlen(info.type) < sizeof(info.type) - 1);
			required += info.required;
		}
	CHECK_EQ(count[0], 12);
	CHECK_EQ(count[1], 6);
	CHECK_EQ(required, 7);
	CHECK_EQ(nsp_schema_field(kind_name_index((int)kind_count() - 1) + 1, 0, &info), -ENOENT);
}

int main(void)
{
	frame = nsp_frame_new();
	test_route();
	test_route6();
	test_arp();
	test_namespaces();
	test_runs();
	test_runs_in_namespaces();
	test_missing_and_unknown();
	test_wrong_types();
	test_nexthops();
	test_nil();
	test_floats_that_are_whole();
	test_addresses();
	test_names();
	test_bad_namespaces();
	test_items_of_other_kinds();
	test_keys();
	test_bad_keys();
	test_longest_keys();
	test_envelopes();
	test_bad_requests();
	test_too_many();
	test_truncated();
	test_widths();
	test_fields();
	read_frame(NULL, 0);
	nsp_frame_free(frame);
	mp_free(&bytes);
	return test_end();
}
