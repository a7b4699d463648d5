/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.c - a publisher in C with nothing but libzmq: 2,048 routes and their gateway's ARP entry in one request of 10 KiB.
 *
 *     cc -o blocks examples/c/blocks.c -lzmq
 *     nsplane agent &
 *     ./blocks ipc:///run/nsplane/bus.sock
 *
 * The interface is a bridge that nsplane makes in a namespace of its own; all of it is removed at the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define ROUTES 2048

/* ---- msgpack: what a request needs of it ---- */

static uint8_t request[ROUTES * 5 + 1024];
static size_t len;

static void put_byte(uint8_t byte)
{
	request[len++] = byte;
}

/* Less than 16 pairs, or elements, follow. */
static void put_map(uint8_t pairs)
{
	put_byte(0x80 | pairs);
}

static void put_array(uint8_t elements)
{
	put_byte(0x90 | elements);
}

/* A string of up to 31 bytes. */
static void put_text(const char *text)
{
	size_t n = strlen(text);

	put_byte((uint8_t)(0xa0 | n));
	memcpy(request + len, text, n);
	len += n;
}

static void put_pair(const char *name, const char *value)
{
	put_text(name);
	put_text(value);
}

/* Binary of up to 64 KiB. Returns where it is to be written. */
static uint8_t *put_binary(size_t n)
{
	put_byte(0xc5);
	put_byte((uint8_t)(n >> 8));
	put_byte((uint8_t)n);
	len += n;
	return request + len - n;
}

/* ---- the request ---- */

/* {"kind": "bridge", "name": "blocks-br", "namespace": {"type": "name", "name": "nsplane-blocks"}, "addresses": ["10.0.0.1/24"]} */
static void put_bridge(void)
{
	put_map(4);
	put_pair("kind", "bridge");
	put_pair("name", "blocks-br");
	put_text("namespace");
	put_map(2);
	put_pair("type", "name");
	put_pair("name", "nsplane-blocks");
	put_text("addresses");
	put_array(1);
	put_text("10.0.0.1/24");
}

/* {"kind": "arp", "interface": "blocks-br", "block": {"ip": 4 bytes, "mac": 6 bytes}} */
static void put_neighbour(void)
{
	put_map(3);
	put_pair("kind", "arp");
	put_pair("interface", "blocks-br");
	put_text("block");
	put_map(2);
	put_text("ip");
	memcpy(put_binary(4), "\x0a\0\0\2", 4);
	put_text("mac");
	memcpy(put_binary(6), "\2\0\0\0\0\2", 6);
}

/* {"kind": "route", "interface": "blocks-br", "gateway": "10.0.0.2", "block": {"dst": 4 bytes each, "dst_len": 1 byte each}} */
static void put_routes(void)
{
	put_map(4);
	put_pair("kind", "route");
	put_pair("interface", "blocks-br");
	put_pair("gateway", "10.0.0.2");
	put_text("block");
	put_map(2);
	put_text("dst");
	uint8_t *dst = put_binary(ROUTES * 4);
	for (int i = 0; i < ROUTES; i++) { /* 100.64.0.0, 100.64.1.0, ... */
		*dst++ = 100;
		*dst++ = (uint8_t)(64 + i / 256);
		*dst++ = (uint8_t)i;
		*dst++ = 0;
	}
	put_text("dst_len");
	memset(put_binary(ROUTES), 24, ROUTES);
}

static void write_put(void)
{
	len = 0;
	put_map(3);
	put_pair("op", "put");
	put_pair("source", "blocks");
	put_text("items");
	put_array(3);
	put_bridge();
	put_neighbour();
	put_routes();
}

/* {"op": "replace", "source": "blocks", "items": []} */
static void write_nothing(void)
{
	len = 0;
	put_map(3);
	put_pair("op", "replace");
	put_pair("source", "blocks");
	put_text("items");
	put_array(0);
}

/* ---- the answer ---- */

static int has(const uint8_t *data, size_t size, const char *bytes, size_t n)
{
	for (size_t i = 0; i + n <= size; i++)
		if (!memcmp(data + i, bytes, n))
			return 1;
	return 0;
}

/* Sends the request. Has all that it names come into this state? Then the answer has {"counts": {STATE: 2050}, "items": []}. */
static int ask(void *bus, const char *state)
{
	static uint8_t reply[1 << 16];
	char counts[64];

	if (zmq_send(bus, request, len, 0) < 0)
		return -1;
	int size = zmq_recv(bus, reply, sizeof(reply), 0);
	if (size < 0 || (size_t)size > sizeof(reply))
		return -1;
	int n = snprintf(counts, sizeof(counts),
			 "\xa6"
			 "counts\x81%c%s\xcd%c%c",
			 (int)(0xa0 | strlen(state)), state, (ROUTES + 2) >> 8, (ROUTES + 2) & 0xff);
	if (!has(reply, (size_t)size, counts, (size_t)n))
		return -1;
	printf("%s: %d\n", state, ROUTES + 2);
	return 0;
}

int main(int argc, char **argv)
{
	int wait = 20000, linger = 0, rc = -1;
	void *context = zmq_ctx_new(), *bus = zmq_socket(context, ZMQ_DEALER);

	zmq_setsockopt(bus, ZMQ_RCVTIMEO, &wait, sizeof(wait));
	zmq_setsockopt(bus, ZMQ_LINGER, &linger, sizeof(linger));
	if (zmq_connect(bus, argc > 1 ? argv[1] : "ipc:///run/nsplane/bus.sock") == 0) {
		write_put();
		rc = ask(bus, "configured");
		write_nothing();
		if (ask(bus, "removed") < 0)
			rc = -1;
	}
	if (rc < 0)
		fprintf(stderr, "blocks: it was not done: %s\n", zmq_strerror(zmq_errno()));
	zmq_close(bus);
	zmq_ctx_term(context);
	return rc < 0;
}
