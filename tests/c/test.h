/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - checks that print where they fail and go on, and namespaces to try things in.
 *
 *	int main(void)
 *	{
 *		test_needs_root();
 *		test_something();
 *		return test_end();
 *	}
 */
#ifndef TEST_H
#define TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nsplane/netlink.h>

static int test_passed, test_failed;

#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (condition) {                                                                                                   \
			test_passed++;                                                                                             \
		} else {                                                                                                           \
			test_failed++;                                                                                             \
			printf("%s:%d: %s: not so\n", __FILE__, __LINE__, #condition);                                             \
		}                                                                                                                  \
	} while (0)

#define CHECK_EQ(actual, expected)                                                                                                 \
	do {                                                                                                                       \
		long long is_ = (long long)(actual), should_ = (long long)(expected);                                              \
                                                                                                                                   \
		if (is_ == should_) {                                                                                              \
			test_passed++;                                                                                             \
		} else {                                                                                                           \
			test_failed++;                                                                                             \
			printf("%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__, #actual, is_, #expected, should_);        \
		}                                                                                                                  \
	} while (0)

#define CHECK_STR(actual, expected)                                                                                                \
	do {                                                                                                                       \
		const char *text_ = (actual);                                                                                      \
                                                                                                                                   \
		if (strcmp(text_, expected) == 0) {                                                                                \
			test_passed++;                                                                                             \
		} else {                                                                                                           \
			test_failed++;                                                                                             \
			printf("%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual, text_, expected);                 \
		}                                                                                                                  \
	} while (0)

/* What the rest of a test stands on: there is no going on without it. */
#define NEED(call)                                                                                                                 \
	do {                                                                                                                       \
		int got_ = (int)(call);                                                                                            \
                                                                                                                                   \
		if (got_ < 0) {                                                                                                    \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(got_ == -1 ? errno : -got_));                \
			exit(1);                                                                                                   \
		}                                                                                                                  \
	} while (0)

static inline void test_needs_root(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* so that no child prints it again */
	if (geteuid() != 0) {
		puts("skipped: needs root");
		exit(77);
	}
}

static inline int test_end(void)
{
	printf("%d passed, %d failed\n", test_passed, test_failed);
	return test_failed ? 1 : 0;
}

/* A namespace of its own, with a socket in it and room for a batch. */
struct world {
	int netns;
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint8_t buf[512 * 1024];
};

static inline struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct nsp_error err = { 0 };

	if (!world)
		exit(1);
	world->netns = nsp_netns_create_anonymous(&err);
	if (world->netns < 0 || nsp_socket_open(&world->sock, world->netns, &err) < 0) {
		printf("a namespace to test in: %s\n", err.text);
		exit(1);
	}
	nsp_batch_init(&world->batch, world->buf, sizeof(world->buf));
	return world;
}

static inline void world_free(struct world *world)
{
	nsp_socket_close(&world->sock);
	close(world->netns);
	free(world);
}

/* What nsp_batch_send told. */
struct outcome {
	int failures;
	uint32_t last_index;
	int error; /* of the first failure */
	char text[256];
	int replies;
	uint32_t reply_index;
	uint8_t reply[8192];
};

static inline void outcome_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct outcome *outcome = arg;

	if (outcome->failures++ == 0) {
		outcome->error = error;
		snprintf(outcome->text, sizeof(outcome->text), "%s", text);
	}
	outcome->last_index = index;
}

static inline void outcome_reply(void *arg, uint32_t index, const void *msg)
{
	struct outcome *outcome = arg;
	uint32_t len = ((const struct nlmsghdr *)msg)->nlmsg_len;

	outcome->replies++;
	outcome->reply_index = index;
	if (len <= sizeof(outcome->reply))
		memcpy(outcome->reply, msg, len);
}

/* Sends what is in the batch, empties it, and returns the first failure's errno or 0. */
static inline int world_send(struct world *world, struct outcome *outcome)
{
	static struct outcome spare;
	struct nsp_error err = { 0 };
	int ret;

	if (!outcome)
		outcome = &spare;
	memset(outcome, 0, sizeof(*outcome));
	ret = nsp_batch_send(&world->sock, &world->batch, outcome_failed, outcome_reply, outcome, &err);
	nsp_batch_reset(&world->batch);
	if (ret < 0)
		printf("nsp_batch_send: %s\n", err.text);
	return ret < 0 ? ret : outcome->error;
}

/* Reads one link by name. Returns its index, or a negative errno. */
static inline int world_link(struct world *world, const char *name, struct nsp_link *link)
{
	struct nsp_link asked = { .fields = NSP_LINK_NAME };
	static struct outcome outcome;
	int ret;

	snprintf(asked.name, sizeof(asked.name), "%s", name);
	nsp_link_get(&world->batch, &asked);
	ret = world_send(world, &outcome);
	if (ret)
		return -abs(ret);
	ret = nsp_link_read(outcome.reply, link);
	return ret < 0 ? ret : link->index;
}

/* A veth pair NAME and NAME-p in the world, both up. Returns the index of NAME. */
static inline int world_veth(struct world *world, const char *name)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_UP, .kind = "veth", .up = 1 };
	struct nsp_link peer = { .fields = NSP_LINK_NAME };

	snprintf(link.name, sizeof(link.name), "%s", name);
	snprintf(peer.name, sizeof(peer.name), "%.13s-p", name);
	NEED(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT));
	peer.fields |= NSP_LINK_UP;
	peer.up = 1;
	NEED(nsp_link_change(&world->batch, &peer));
	NEED(-abs(world_send(world, NULL)));
	return world_link(world, name, &link);
}

static inline struct nsp_addr addr_of(int index, const char *text, uint8_t prefix_len)
{
	struct nsp_addr addr = { .index = index, .prefix_len = prefix_len };

	addr.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(addr.family, text, addr.local) != 1)
		exit(1);
	return addr;
}

static inline struct nsp_route route_of(int oif, const char *dst, uint8_t dst_len, const char *gateway)
{
	struct nsp_route route = { .oif = oif, .dst_len = dst_len, .proto = 110, .table = RT_TABLE_MAIN };

	route.family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(route.family, dst, route.dst) != 1)
		exit(1);
	if (gateway) {
		route.fields |= NSP_ROUTE_GATEWAY;
		if (inet_pton(route.family, gateway, route.gateway) != 1)
			exit(1);
	}
	return route;
}

#endif
