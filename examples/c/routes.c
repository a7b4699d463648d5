/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.c - an agent in C with libnsplane alone: 10,000 routes in a namespace without a name, one of them impossible.
 *
 *     export PKG_CONFIG_PATH=$(python -m nsplane --pkgconfigdir)
 *     cc -o routes examples/c/routes.c $(pkg-config --cflags --libs nsplane)
 *
 * Needs root. The namespace ends with the program, and everything in it.
 */
#include <nsplane/netlink.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUTES 10000
#define BAD 4711
#define PROTOCOL 200 /* marks the routes as this program's: rtm_protocol */

/* What is sent together: the caller owns the buffer. */
static uint8_t buffer[ROUTES * 128];

struct verdicts {
	int failed;
	uint32_t index; /* of the first failure */
	int error;
	char text[128];
};

static void take_failure(void *arg, uint32_t index, int error, const char *text)
{
	struct verdicts *verdicts = arg;

	if (verdicts->failed++)
		return;
	verdicts->index = index;
	verdicts->error = error;
	snprintf(verdicts->text, sizeof(verdicts->text), "%s", text);
}

static void take_index(void *arg, uint32_t index, const void *msg)
{
	struct nsp_link link;

	(void)index;
	if (nsp_link_read(msg, &link) == 0)
		*(int32_t *)arg = link.index;
}

static void count_routes(void *arg, uint32_t index, const void *msg)
{
	struct nsp_route route;
	int *count = arg;

	(void)index;
	if (!msg) /* the table changed under the dump: it comes again */
		*count = 0;
	else if (nsp_route_read(msg, &route) == 0 && route.proto == PROTOCOL)
		++*count;
}

/* The error contract: negative is an errno, and `err` holds a sentence. */
static int fail(const struct nsp_error *err)
{
	fprintf(stderr, "routes: %s\n", err->text);
	return -1;
}

/* A veth pair, both ends up, with 10.0.0.1/24. Returns the ifindex of the first end. */
static int make_link(struct nsp_socket *sock, struct nsp_batch *batch, struct nsp_error *err)
{
	struct nsp_link ends[2] = {
		{ .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "port", .kind = "veth" },
		{ .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "peer", .kind = "veth" },
	};
	struct nsp_link up[2] = {
		{ .fields = NSP_LINK_NAME | NSP_LINK_UP, .name = "port", .up = 1 },
		{ .fields = NSP_LINK_NAME | NSP_LINK_UP, .name = "peer", .up = 1 },
	};
	struct nsp_addr address = { .family = AF_INET, .prefix_len = 24, .local = { 10, 0, 0, 1 } };
	struct verdicts verdicts = { 0 };

	nsp_link_create(batch, &ends[0], &ends[1], NSP_NETNS_CURRENT);
	nsp_link_change(batch, &up[0]);
	nsp_link_change(batch, &up[1]);
	nsp_link_get(batch, &up[0]);
	if (nsp_batch_send(sock, batch, take_failure, take_index, &address.index, err) < 0)
		return fail(err);
	nsp_batch_reset(batch);
	nsp_addr_add(batch, &address);
	if (nsp_batch_send(sock, batch, take_failure, NULL, &verdicts, err) < 0)
		return fail(err);
	nsp_batch_reset(batch);
	return verdicts.failed ? -1 : address.index;
}

static void add_route(struct nsp_batch *batch, int number, int32_t oif)
{
	struct nsp_route route = {
		.family = AF_INET,
		.fields = NSP_ROUTE_GATEWAY,
		.proto = PROTOCOL,
		.table = 254,
		.oif = oif,
		.dst = { 100, (uint8_t)(64 + number / 256), (uint8_t)number, 0 },
		.dst_len = 24,
		.gateway = { 10, 0, 0, 2 },
	};

	if (number == BAD) /* no route leads there */
		memcpy(route.gateway, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	nsp_route_put(batch, &route, NSP_PUT_NEW);
}

static int run(struct nsp_socket *sock, struct nsp_error *err)
{
	struct verdicts verdicts = { 0 };
	struct timespec begin, end;
	struct nsp_batch batch;
	int count = 0;

	nsp_batch_init(&batch, buffer, sizeof(buffer));
	int oif = make_link(sock, &batch, err);
	if (oif < 0)
		return -1;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < ROUTES; i++)
		add_route(&batch, i, oif);
	if (nsp_batch_send(sock, &batch, take_failure, NULL, &verdicts, err) < 0)
		return fail(err);
	clock_gettime(CLOCK_MONOTONIC, &end);
	double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;

	if (nsp_dump(sock, NSP_DUMP_ROUTES, AF_INET, 0, 254, count_routes, &count, err) < 0)
		return fail(err);
	printf("%d routes sent in %.1f ms, %d are in the kernel, %d failed\n", ROUTES, ms, count, verdicts.failed);
	printf("message %u: %s: %s\n", verdicts.index, strerror(verdicts.error), verdicts.text);
	return verdicts.failed == 1 && verdicts.index == BAD && count == ROUTES - 1 ? 0 : -1;
}

int main(void)
{
	struct nsp_error err;
	struct nsp_socket sock;

	int netns = nsp_netns_create_anonymous(&err);
	if (netns < 0)
		return fail(&err) < 0;
	if (nsp_socket_open(&sock, netns, &err) < 0) {
		close(netns);
		return fail(&err) < 0;
	}
	int rc = run(&sock, &err);
	nsp_socket_close(&sock);
	close(netns);
	return rc < 0;
}
