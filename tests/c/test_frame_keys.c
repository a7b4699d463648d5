/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of routes and neighbours are decoded: each as it is written, and each refusal with a sentence. */
#include "frame.h"

#include "kinds/key.h"

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
	const struct decoded *decoded = &frame->bulk[0];
	CHECK_EQ(decoded->kind, kind);
	CHECK_STR(slot(decoded), of_slot);
	CHECK_EQ(key_format(text, slot(decoded), decoded->kind, decoded->body), strlen(key));
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
	key_round_trip("route/@name:red/10.0.0.0/8;metric=1", "@name:red", route4);
	key_round_trip("route/@file:%2Frun%2Fa/fd00::/8", "@file:%2Frun%2Fa", route6);
	key_round_trip("route/@/10.0.0.0/8", "@", route4);
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
	bad_key("arp/@name:red/10.0.0.9", "is not an interface");
	bad_key("arp/@/10.0.0.9", "is not an interface");
	bad_key("route/@name:/10.0.0.0/8", "");
	bad_key("route/@colour:red/10.0.0.0/8", "");
	bad_key("route/a@/10.0.0.0/8", "");
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

int main(void)
{
	frame = nsp_frame_new();
	test_keys();
	test_bad_keys();
	test_longest_keys();
	return frame_tests_end();
}
