/* SPDX-License-Identifier: Apache-2.0 */
/* Where an item's interface is: names, namespaces, and runs of items in one place. */
#include "frame.h"

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
	CHECK_EQ(frame->bulk[0].slot, frame->bulk[1].slot);
	CHECK_STR(slot(&frame->bulk[2]), "b");
	CHECK_STR(slot(&frame->bulk[3]), "b@pid:4");
	CHECK_STR(slot(&frame->bulk[4]), "b");
	CHECK_EQ(frame->bulk[3].index, 6);
	CHECK_EQ(frame->bulk[4].index, 7);

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
	CHECK_EQ(frame->bulk_count, 8);
	for (unsigned i = 0; i < 8; i++)
		CHECK_STR(slot(&frame->bulk[i]), items[i].slot);
	CHECK_EQ(frame->bulk[0].slot, frame->bulk[1].slot);
	CHECK_EQ(frame->bulk[0].slot, frame->bulk[2].slot);
	CHECK(frame->bulk[0].slot != frame->bulk[3].slot);
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

int main(void)
{
	frame = nsp_frame_new();
	test_namespaces();
	test_runs();
	test_runs_in_namespaces();
	test_names();
	test_bad_namespaces();
	return frame_tests_end();
}
