/* SPDX-License-Identifier: Apache-2.0 */
/* Items are decoded: each field of routes and ARP entries, and each refusal with its field and a sentence. */
#include "frame.h"

#include <math.h>

static void test_route(void)
{
	const struct decoded *decoded = item("{kind: route, interface: web0, dst: 10.0.0.0/8}");

	CHECK_EQ(decoded->kind, kind_id("route", AF_INET));
	CHECK_STR(slot(decoded), "web0");
	CHECK_STR(text_in(decoded, "dst"), "10.0.0.0/8");
	CHECK_EQ(decoded->flags, 0);
	CHECK_EQ(number_in(decoded, "metric"), 0);
	CHECK_EQ(number_in(decoded, "table"), 254);
	CHECK_EQ(decoded->index, 0);

	decoded = item("{kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 10.0.0.1, metric: 4294967295, table: 4294967295,"
		       " scope: site, prefsrc: 10.0.0.2, onlink: true, override: true}");
	CHECK_STR(text_in(decoded, "dst"), "0.0.0.0/0");
	CHECK_STR(text_in(decoded, "gateway"), "10.0.0.1");
	CHECK_STR(ip(decoded->source, false), "10.0.0.2");
	CHECK_EQ(number_in(decoded, "metric"), 4294967295);
	CHECK_EQ(number_in(decoded, "table"), 4294967295);
	CHECK_EQ(number_in(decoded, "scope"), RT_SCOPE_SITE);
	CHECK_EQ(decoded->flags, ITEM_FLAGS);

	/* In any order, `kind` last, and what is given as its default is as if left out. */
	decoded = item("{override: false, onlink: false, table: 254, metric: 0, dst: 10.1.2.3, interface: web0, kind: route}");
	CHECK_EQ(decoded->flags, 0);
	CHECK_STR(text_in(decoded, "dst"), "10.1.2.3/32");
	CHECK_EQ(number_in(decoded, "table"), 254);

	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: global}"), "scope"), RT_SCOPE_UNIVERSE);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: link}"), "scope"), RT_SCOPE_LINK);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: host}"), "scope"), RT_SCOPE_HOST);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: 254}"), "scope"), 254);
	CHECK_EQ(item("{kind: route, interface: a, dst: 10.0.0.0/8, scope: 0}")->flags, ITEM_GIVEN);
	CHECK_STR(text_in(item("{kind: route, interface: a, dst: 224.0.0.0/4}"), "dst"), "224.0.0.0/4");
}

static void test_route6(void)
{
	const struct decoded *decoded = item("{kind: route, interface: web0, dst: fd00::/8, gateway: fe80::1, prefsrc: fd00::2}");

	CHECK_EQ(decoded->kind, kind_id("route", AF_INET6));
	CHECK_STR(text_in(decoded, "dst"), "fd00::/8");
	CHECK_STR(text_in(decoded, "gateway"), "fe80::1");
	CHECK_STR(ip(decoded->source, true), "fd00::2");
	CHECK_EQ(number_in(decoded, "metric"), 1024);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: ::/0, metric: 0}"), "metric"), 1024);
	CHECK_EQ(number_in(item("{kind: route, interface: a, dst: ::/0, metric: 1}"), "metric"), 1);
	CHECK_STR(text_in(item("{kind: route, interface: a, dst: fd00::1}"), "dst"), "fd00::1/128");
	CHECK_EQ(item("{kind: route, interface: a, dst: ::ffff:1.2.3.4/128}")->kind, kind_id("route", AF_INET6));
}

static void test_arp(void)
{
	const struct decoded *decoded = item("{kind: arp, interface: web0, ip: 10.0.0.9, mac: 02:00:00:00:ab:CD}");

	CHECK_EQ(decoded->kind, kind_id("arp", AF_INET));
	CHECK_STR(slot(decoded), "web0");
	CHECK_STR(text_in(decoded, "ip"), "10.0.0.9");
	CHECK_EQ(decoded->flags, 0);
	CHECK_STR(text_in(decoded, "mac"), "02:00:00:00:ab:cd");

	decoded = item("{mac: 02-00-00-00-AB-cd, override: true, ip: fd00::9, namespace: {type: name, name: red}, interface: eth0, "
		       "kind: arp}");
	CHECK_EQ(decoded->kind, kind_id("arp", AF_INET6));
	CHECK_STR(slot(decoded), "eth0@name:red");
	CHECK_STR(text_in(decoded, "ip"), "fd00::9");
	CHECK_EQ(decoded->flags, ITEM_OVERRIDE);
	CHECK_STR(text_in(decoded, "mac"), "02:00:00:00:ab:cd");
}

static void test_types(void)
{
	const struct decoded *decoded = item("{kind: route, namespace: {type: name, name: red}, dst: 10.0.0.0/8, type: blackhole}");

	CHECK_STR(slot(decoded), "@name:red");
	CHECK_EQ(decoded->flags, 0);
	CHECK_EQ(number_in(decoded, "scope"), RT_SCOPE_UNIVERSE);
	CHECK_EQ(hops_type(decoded->hops, decoded->hops_len), RTN_BLACKHOLE);
	CHECK_STR(slot(item("{type: throw, dst: fd00::/8, kind: route}")), "@");
	CHECK_STR(slot(item("{kind: route, interface: nil, namespace: nil, dst: fd00::/8, type: prohibit}")), "@");
	CHECK_EQ(item("{" ROUTE ", type: unicast}")->hops_len, 0);
	CHECK_EQ(hops_type(item("{" ROUTE "}")->hops, 0), RTN_UNICAST);

	refused("{" ROUTE ", type: blackhole}", "interface", "such a route has none");
	refused("{kind: route, dst: 10.0.0.0/8}", "interface", "is missing");
	refused("{kind: route, interface: '', dst: 10.0.0.0/8}", "interface", "is not a name");
	refused("{kind: route, dst: 10.0.0.0/8, type: unicast}", "interface", "is missing");
	refused("{kind: route, namespace: {type: name, name: ''}, dst: 10.0.0.0/8, type: blackhole}", "namespace.name",
		"is not a name");
	refused("{" ROUTE ", type: local}", "type", "'local' is not unicast, blackhole, unreachable, prohibit or throw");
	refused("{" ROUTE ", type: 6}", "type", "wants a string, not a number");
	refused("{kind: route, dst: 10.0.0.0/8, gateway: 10.0.0.1, type: throw}", "type", "such a route has no next hop");
	refused("{kind: route, dst: 10.0.0.0/8, onlink: true, type: throw}", "onlink", "wants a gateway");
	refused("{kind: arp, ip: 10.0.0.9, mac: 02:00:00:00:00:09}", "interface", "is missing");
}

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

	const struct decoded *decoded =
		item("{" ROUTE6 ", " HOPS("{gateway: fd01::2, weight: nil, onlink: nil}, {gateway: fd01::1, weight: 256}") "}");
	const uint8_t *set = decoded_hops(decoded, frame->text.data);
	struct nsp_hop hop;
	CHECK_EQ(hops_count(set, decoded->hops_len), 2);
	hops_get(set, 0, &hop);
	CHECK_EQ(hop.weight, 256);
	CHECK_STR(ip(hop.gateway, true), "fd01::1");
	CHECK_STR(slot(decoded), "web0");
	CHECK_EQ(decoded->flags, ITEM_GATEWAY);
}

/* Nil is a field that is left out. */
static void test_nil(void)
{
	const struct decoded *decoded = item("{" ROUTE
					     ", gateway: nil, metric: nil, table: nil, scope: nil, prefsrc: nil, onlink: nil,"
					     " nexthops: nil,"
					     " override: nil, namespace: nil}");

	CHECK_EQ(decoded->flags, 0);
	CHECK_EQ(number_in(decoded, "table"), 254);
	CHECK_STR(slot(decoded), "web0");
	decoded = item("{" ROUTE ", namespace: {pid: nil, type: name, path: nil, name: red, microservice: nil}}");
	CHECK_STR(slot(decoded), "web0@name:red");
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
		CHECK_EQ(frame->bulk_count, 1);
		CHECK_EQ(number_in(&frame->bulk[0], "metric"), 7);
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
	CHECK_EQ(count[0], 13);
	CHECK_EQ(count[1], 6);
	CHECK_EQ(required, 6);
	CHECK_EQ(nsp_schema_field(kind_name_index((int)kind_count() - 1) + 1, 0, &info), -ENOENT);
}

int main(void)
{
	frame = nsp_frame_new();
	test_route();
	test_route6();
	test_arp();
	test_types();
	test_missing_and_unknown();
	test_wrong_types();
	test_nexthops();
	test_nil();
	test_floats_that_are_whole();
	test_addresses();
	test_widths();
	test_fields();
	return frame_tests_end();
}
