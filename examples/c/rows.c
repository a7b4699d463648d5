/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c - an agent in C on the engine's core: 1,000 routes are wanted and stay so, and it is told what has become of each.
 *
 *     export PKG_CONFIG_PATH=$(python -m nsplane --pkgconfigdir)
 *     cc -o rows examples/c/rows.c $(pkg-config --cflags --libs nsplane)
 *
 * Needs root. The namespace ends with the program, and everything in it. (nsplane/core.h promises nothing to the next release.)
 */
#include <nsplane/core.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUTES 1000
#define BAD 471 /* has a gateway to which nothing leads */

static int fail(const char *what, const struct nsp_error *err)
{
	fprintf(stderr, "rows: %s: %s\n", what, err->text);
	return -1;
}

/* ---- a request, as it comes over the bus: one msgpack map ---- */

static uint8_t request[ROUTES * 96];
static size_t request_len;

/* A string of up to 31 bytes. */
static void put_text(const char *text)
{
	size_t len = strlen(text);

	request[request_len++] = (uint8_t)(0xa0 | len);
	memcpy(request + request_len, text, len);
	request_len += len;
}

static void put_pair(const char *name, const char *value)
{
	put_text(name);
	put_text(value);
}

/* {"items": [{"kind": "route", "interface": "port", "dst": ..., "gateway": ...}, ...]} */
static void write_request(void)
{
	char dst[32];

	request[request_len++] = 0x81; /* a map of one pair */
	put_text("items");
	request[request_len++] = 0xdc; /* a list, its length in two bytes */
	request[request_len++] = ROUTES >> 8;
	request[request_len++] = ROUTES & 0xff;
	for (int i = 0; i < ROUTES; i++) {
		snprintf(dst, sizeof(dst), "100.64.%d.%d/32", i / 256, i % 256);
		request[request_len++] = 0x84; /* a map of four */
		put_pair("kind", "route");
		put_pair("interface", "port");
		put_pair("dst", dst);
		put_pair("gateway", i == BAD ? "192.0.2.1" : "10.0.0.2");
	}
}

/* ---- the interface: with nsplane/netlink.h, which comes with nsplane/core.h ---- */

static void take_failure(void *arg, uint32_t index, int error, const char *text)
{
	(void)text;
	(void)index;
	*(int *)arg = -error;
}

static void take_index(void *arg, uint32_t index, const void *msg)
{
	struct nsp_link link;

	(void)index;
	if (nsp_link_read(msg, &link) == 0)
		*(int *)arg = link.index;
}

/* A bridge that is up and has 10.0.0.1/24. Returns its ifindex. */
static int make_bridge(int netns, struct nsp_error *err)
{
	struct nsp_link bridge = {
		.fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_UP, .name = "br0", .kind = "bridge", .up = 1
	};
	struct nsp_addr address = { .family = AF_INET, .prefix_len = 24, .local = { 10, 0, 0, 1 } };
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint8_t buffer[1024];
	int index = -1;

	if (nsp_socket_open(&sock, netns, err) < 0)
		return fail("a socket", err);
	nsp_batch_init(&batch, buffer, sizeof(buffer));
	nsp_link_create(&batch, &bridge, NULL, NSP_NETNS_CURRENT);
	nsp_link_get(&batch, &bridge);
	if (nsp_batch_send(&sock, &batch, take_failure, take_index, &index, err) == 0 && index > 0) {
		nsp_batch_reset(&batch);
		address.index = index;
		nsp_addr_add(&batch, &address);
		nsp_batch_send(&sock, &batch, take_failure, NULL, &index, err);
	}
	nsp_socket_close(&sock);
	return index;
}

/* ---- the core ---- */

/* Waits until every row of the request has its verdict, and tells how many have which. */
static int tell_result(struct nsp_core *core, uint32_t serial)
{
	struct nsp_result result;
	struct nsp_done done = { 0 };

	while (done.serial != serial)
		if (!nsp_core_poll(core, &done))
			nsp_core_wait(core, 1000);
	if (nsp_core_request_result(core, serial, &result) < 0)
		return -1;
	for (uint32_t state = 0; state < NSP_STATES; state++)
		if (result.counts[state])
			printf("%s: %u\n", nsp_state_name(state), result.counts[state]);
	int as_expected = result.counts[NSP_STATE_CONFIGURED] == ROUTES - 1 && result.counts[NSP_STATE_PENDING] == 1;
	nsp_core_request_close(core, serial);
	return as_expected ? 0 : -1;
}

static int run(struct nsp_core *core, struct nsp_frame *frame, int netns, struct nsp_error *err)
{
	uint32_t number, slot, serial;
	int ifindex = make_bridge(netns, err);

	if (ifindex < 0)
		return -1;
	write_request();
	if (nsp_frame_read(frame, request, request_len, err) < 0)
		return fail("the request", err);
	if (nsp_core_netns_add(core, netns, &number, err) < 0)
		return fail("the namespace", err);

	/* The interface that the items call "port" is that bridge. Rows that come before this is said wait for it. */
	slot = nsp_slot_find(core, "port");
	nsp_slot_ready(core, slot, number, ifindex);
	serial = nsp_core_request_open(core);
	nsp_core_put(core, frame, serial, nsp_core_origin(core, "example", 0), 0);
	nsp_core_request_commit(core, serial);
	int rc = tell_result(core, serial);
	nsp_core_netns_drop(core, number);
	return rc;
}

int main(void)
{
	struct nsp_error err;
	struct nsp_core *core = NULL;
	struct nsp_frame *frame = nsp_frame_new();
	int rc = -1, netns = nsp_netns_create_anonymous(&err);

	if (netns < 0)
		fail("a namespace", &err);
	else if (!(core = nsp_core_new(&err)))
		fail("the core", &err);
	else
		rc = run(core, frame, netns, &err);
	nsp_core_free(core);
	nsp_frame_free(frame);
	close(netns);
	return rc < 0;
}
