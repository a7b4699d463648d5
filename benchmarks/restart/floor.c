/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor_restart.c - the least that the kernel lets a program pay which wants to know whether all routes are still there: a dump in
 * each namespace, filtered by the kernel, and each route compared with the one that is expected. It puts nothing right, and looks at
 * no links, addresses and neighbours. It shares no code with nsplane.
 *
 *	floor_restart LINK ROUTES NETNS...
 *
 * NETNS are paths of namespaces. In the one with the number N (from 0) are expected, over LINK and by the gateway 10.A.B.1 (A.B being
 * N), ROUTES routes 20.A.B.C/32, A.B.C being N * ROUTES and the numbers behind it, of protocol 110 in table main with metric 0.
 *
 * Prints {"routes": those that are as expected, "missing": M, "altered": A, "unexpected": U, "seconds": S}. The seconds are from
 * before the first namespace is entered until the last route has been compared; what is expected is in a hash table by then.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL 110

struct route {
	uint32_t dst; /* 0: a free place */
	uint32_t gateway;
	uint32_t oif, table, metric;
	uint8_t dst_len;
	uint8_t seen;
};

/* What is expected in one namespace: open addressing. */
struct netns {
	const char *path;
	struct route *routes;
};

struct found {
	uint32_t same, missing, altered, unexpected;
};

static void die(const char *what)
{
	fprintf(stderr, "floor_restart: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	close(fd);
}

/* The place of a destination, or the free one where it would be. */
static struct route *find(struct route *routes, uint32_t mask, uint32_t dst)
{
	uint32_t at = (dst * 2654435769u) >> 7 & mask;

	while (routes[at].dst && routes[at].dst != dst)
		at = (at + 1) & mask;
	return &routes[at];
}

static void expect(struct netns *netns, uint32_t number, uint32_t count, uint32_t mask, const char *link)
{
	netns->routes = calloc(mask + 1, sizeof(*netns->routes));
	if (!netns->routes)
		die("memory");
	enter(netns->path);
	uint32_t oif = if_nametoindex(link);
	if (!oif)
		die(link);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t dst = htonl(20u << 24 | (number * count + i));
		*find(netns->routes, mask, dst) = (struct route){
			.dst = dst,
			.dst_len = 32,
			.gateway = htonl(10u << 24 | number << 8 | 1),
			.oif = oif,
			.table = RT_TABLE_MAIN,
		};
	}
}

static struct route read_route(const struct nlmsghdr *head)
{
	const struct rtmsg *rtm = NLMSG_DATA(head);
	struct route route = { .dst_len = rtm->rtm_dst_len, .table = rtm->rtm_table };
	int left = (int)RTM_PAYLOAD(head);

	for (const struct rtattr *attr = RTM_RTA(rtm); RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		uint32_t *to = attr->rta_type == RTA_DST      ? &route.dst :
			       attr->rta_type == RTA_GATEWAY  ? &route.gateway :
			       attr->rta_type == RTA_OIF      ? &route.oif :
			       attr->rta_type == RTA_TABLE    ? &route.table :
			       attr->rta_type == RTA_PRIORITY ? &route.metric :
								NULL;
		if (to)
			memcpy(to, RTA_DATA(attr), sizeof(*to));
	}
	return route;
}

static void compare(struct netns *netns, uint32_t mask, const struct nlmsghdr *head, struct found *found)
{
	struct route is = read_route(head), *expected = find(netns->routes, mask, is.dst);

	if (!expected->dst) {
		found->unexpected++;
		return;
	}
	expected->seen = 1;
	if (is.dst_len == expected->dst_len && is.gateway == expected->gateway && is.oif == expected->oif &&
	    is.table == expected->table && is.metric == expected->metric)
		found->same++;
	else
		found->altered++;
}

static int ask(void)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg rtm;
	} message = {
		.head = { .nlmsg_len = sizeof(message), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.rtm = { .rtm_family = AF_INET, .rtm_protocol = PROTOCOL }
	};
	int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	/* Strict: the kernel filters by the protocol. */
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ||
	    send(fd, &message, sizeof(message), 0) < 0)
		die("a dump of routes");
	return fd;
}

static void read_back(struct netns *netns, uint32_t mask, struct found *found)
{
	static uint8_t buf[65536]; /* the kernel fills 32 KiB of it at most */

	enter(netns->path);
	for (int fd = ask();;) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);
		if (got < 0)
			die("recv");
		int left = (int)got;
		for (struct nlmsghdr *head = (void *)buf; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			if (head->nlmsg_type == NLMSG_DONE) {
				close(fd);
				return;
			}
			if (head->nlmsg_type == NLMSG_ERROR) {
				errno = -((const struct nlmsgerr *)NLMSG_DATA(head))->error;
				die("dump");
			}
			if (head->nlmsg_flags & NLM_F_DUMP_INTR) {
				errno = EINTR;
				die("somebody else changes the routes");
			}
			compare(netns, mask, head, found);
		}
	}
}

int main(int argc, char **argv)
{
	struct found found = { 0 };
	uint32_t mask = 15;

	if (argc < 4) {
		fputs("usage: floor_restart LINK ROUTES NETNS...\n", stderr);
		return 2;
	}
	uint32_t routes = (uint32_t)strtoul(argv[2], NULL, 10), count = (uint32_t)argc - 3;
	struct netns *netns = calloc(count, sizeof(*netns));
	if (!netns)
		die("memory");
	while (mask + 1 < 2 * routes)
		mask = mask * 2 + 1;
	for (uint32_t i = 0; i < count; i++) {
		netns[i].path = argv[i + 3];
		expect(&netns[i], i, routes, mask, argv[1]);
	}
	double start = now();
	for (uint32_t i = 0; i < count; i++) {
		read_back(&netns[i], mask, &found);
		for (uint32_t at = 0; at <= mask; at++)
			found.missing += netns[i].routes[at].dst && !netns[i].routes[at].seen;
	}
	printf("{\"routes\": %u, \"missing\": %u, \"altered\": %u, \"unexpected\": %u, \"seconds\": %.6f}\n", found.same,
	       found.missing, found.altered, found.unexpected, now() - start);
	return 0;
}
