/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - the least that the kernel lets a program pay: a loop that sends messages which differ in the destination alone, 256 in a
 * send, one ACK on the last, on one rtnetlink socket. It decodes nothing, remembers nothing, and ends on the first error. It shares no
 * code with nsplane.
 *
 *	floor MODE NETNS LINK COUNT [GATEWAY]
 *
 *	routes     adds the routes 20.A.B.C/32, ABC being the item's number (from 0, below 2^24), over LINK or by GATEWAY
 *	routes6    adds the routes fd20::A:B/128, AB being the item's number
 *	multipath  adds the routes of `routes` by four gateways on LINK, 20.0.0.1 to .4, which stand in each message
 *	arps       adds the permanent neighbours 20.A.B.C of LINK, with the MAC 02:00:00:A:B:C
 *	delete-routes, delete-routes6, delete-multipath, delete-arps     deletes them
 *	count      counts the routes of protocol COUNT; count-arps: the neighbours
 *
 * NETNS is the path of a namespace. Routes are put with CREATE | EXCL into table main, with protocol 110 and metric 0. Prints
 * {"items": N, "seconds": S, "rate": R}: the seconds are from before the first message is made until the last ACK is there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
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

#define BATCH 256
#define PROTOCOL 110
#define RECEIVE_BUFFER (2 * 1024 * 1024)

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_socket(const char *netns)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int size = RECEIVE_BUFFER, on = 1, fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(netns);
	close(fd);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("a rtnetlink socket");
	/* Room for a failure of every message of a batch. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return fd;
}

/* A message that is copied for each item. `dst` is where the destination is in it, `mac` where the MAC is (0: nowhere). */
struct form {
	union {
		struct nlmsghdr head;
		uint8_t bytes[128];
	};
	uint32_t dst, dst_len, mac;
};

static void *append(struct form *form, uint16_t type, const void *data, uint16_t len)
{
	struct rtattr *attr = (struct rtattr *)(form->bytes + form->head.nlmsg_len);

	*attr = (struct rtattr){ .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };
	memcpy(RTA_DATA(attr), data, len);
	form->head.nlmsg_len += RTA_SPACE(len);
	return RTA_DATA(attr);
}

static void append_dst(struct form *form, uint16_t type, const void *first, uint32_t len)
{
	uint8_t *at = append(form, type, first, (uint16_t)len);

	form->dst = (uint32_t)(at - form->bytes);
	form->dst_len = len;
}

static void form_route(struct form *form, int family, int ifindex, const char *gateway, int delete)
{
	static const uint8_t first[2][16] = { { 20 }, { 0xfd, 0x20 } };
	uint32_t len = family == AF_INET ? 4 : 16;
	struct rtmsg *rtm = NLMSG_DATA(&form->head);
	uint8_t via[16];

	form->head = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(*rtm)), .nlmsg_flags = NLM_F_REQUEST };
	form->head.nlmsg_type = delete ? RTM_DELROUTE : RTM_NEWROUTE;
	*rtm = (struct rtmsg){ .rtm_family = (uint8_t)family, .rtm_dst_len = (uint8_t)(len * 8), .rtm_table = RT_TABLE_MAIN };
	rtm->rtm_protocol = PROTOCOL;
	rtm->rtm_scope = RT_SCOPE_NOWHERE;
	if (!delete) {
		form->head.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
		rtm->rtm_type = RTN_UNICAST;
		rtm->rtm_scope = gateway || family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	}
	append_dst(form, RTA_DST, first[family == AF_INET6], len);
	append(form, RTA_OIF, &ifindex, sizeof(ifindex));
	if (!gateway)
		return;
	if (inet_pton(family, gateway, via) != 1) {
		errno = EINVAL;
		die(gateway);
	}
	append(form, RTA_GATEWAY, via, (uint16_t)len);
}

/* Four gateways, believed to be on the link. */
static void form_multipath(struct form *form, int ifindex)
{
	struct {
		struct rtnexthop hop;
		struct rtattr attr;
		uint8_t gateway[4];
	} hops[4];

	form_route(form, AF_INET, ifindex, NULL, 0);
	((struct rtmsg *)NLMSG_DATA(&form->head))->rtm_scope = RT_SCOPE_UNIVERSE;
	form->head.nlmsg_len -= RTA_SPACE(sizeof(ifindex)); /* each of them says the link */
	for (int i = 0; i < 4; i++) {
		hops[i].hop =
			(struct rtnexthop){ .rtnh_len = sizeof(hops[i]), .rtnh_flags = RTNH_F_ONLINK, .rtnh_ifindex = ifindex };
		hops[i].attr = (struct rtattr){ .rta_len = RTA_LENGTH(4), .rta_type = RTA_GATEWAY };
		memcpy(hops[i].gateway, (uint8_t[]){ 20, 0, 0, (uint8_t)(i + 1) }, 4);
	}
	append(form, RTA_MULTIPATH, hops, sizeof(hops));
}

static void form_neighbour(struct form *form, int ifindex, int delete)
{
	static const uint8_t first[4] = { 20 }, mac[6] = { 2 }, protocol = PROTOCOL;
	struct ndmsg *ndm = NLMSG_DATA(&form->head);

	form->head = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(*ndm)), .nlmsg_flags = NLM_F_REQUEST };
	form->head.nlmsg_type = delete ? RTM_DELNEIGH : RTM_NEWNEIGH;
	*ndm = (struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = ifindex, .ndm_state = NUD_PERMANENT };
	append_dst(form, NDA_DST, first, sizeof(first));
	if (delete)
		return;
	form->head.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	form->mac = (uint32_t)((uint8_t *)append(form, NDA_LLADDR, mac, sizeof(mac)) - form->bytes);
	append(form, NDA_PROTOCOL, &protocol, sizeof(protocol));
}

static void make(uint8_t *at, const struct form *form, uint32_t item, uint32_t seq, int last)
{
	struct nlmsghdr *head = (struct nlmsghdr *)at;
	uint32_t number = htonl(item);

	memcpy(at, form->bytes, form->head.nlmsg_len);
	head->nlmsg_seq = seq;
	if (last)
		head->nlmsg_flags |= NLM_F_ACK;
	if (form->dst_len == 4)
		memcpy(at + form->dst + 1, (uint8_t *)&number + 1, 3);
	else
		memcpy(at + form->dst + 12, &number, 4);
	if (form->mac)
		memcpy(at + form->mac + 3, (uint8_t *)&number + 1, 3);
}

/* Reads until the answer to message `seq`. */
static void judge(int fd, uint32_t seq)
{
	static uint8_t buf[65536];

	for (;;) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);
		if (got < 0)
			die("recv");
		int left = (int)got;
		for (struct nlmsghdr *head = (void *)buf; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			const struct nlmsgerr *answer = NLMSG_DATA(head);
			if (head->nlmsg_type != NLMSG_ERROR)
				continue;
			if (answer->error) {
				errno = -answer->error;
				die("the kernel");
			}
			if (head->nlmsg_seq == seq)
				return;
		}
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double write_all(int fd, const struct form *form, uint32_t count)
{
	static uint8_t buf[BATCH * sizeof(form->bytes)];
	double start = now();

	for (uint32_t item = 0; item < count;) {
		uint32_t end = count - item < BATCH ? count : item + BATCH, len = 0;
		for (; item < end; item++, len += form->head.nlmsg_len)
			make(buf + len, form, item, item + 1, item + 1 == end);
		if (send(fd, buf, len, 0) < 0)
			die("send");
		judge(fd, end);
	}
	return now() - start;
}

static int is_of(uint32_t protocol, const struct nlmsghdr *head)
{
	const struct rtmsg *rtm = NLMSG_DATA(head);
	const struct ndmsg *ndm = NLMSG_DATA(head);
	int left = (int)NLMSG_PAYLOAD(head, sizeof(*ndm));

	if (head->nlmsg_type == RTM_NEWROUTE)
		return rtm->rtm_protocol == protocol;
	for (const struct rtattr *attr = (const void *)(ndm + 1); RTA_OK(attr, left); attr = RTA_NEXT(attr, left))
		if (attr->rta_type == NDA_PROTOCOL)
			return *(const uint8_t *)RTA_DATA(attr) == protocol;
	return head->nlmsg_type == RTM_NEWNEIGH && ndm->ndm_state == NUD_PERMANENT && !protocol;
}

/* The kernel's table as it is; nobody else is at work in it. */
static uint32_t count(int fd, uint32_t protocol, int type, int family)
{
	static uint8_t buf[65536];
	struct {
		struct nlmsghdr head;
		union {
			struct rtmsg rtm;
			struct ndmsg ndm;
		};
	} ask = { .head = { .nlmsg_len = sizeof(ask), .nlmsg_type = (uint16_t)type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	uint32_t found = 0;

	ask.rtm.rtm_family = (uint8_t)family;
	if (send(fd, &ask, sizeof(ask), 0) < 0)
		die("send");
	for (;;) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);
		if (got < 0)
			die("recv");
		int left = (int)got;
		for (struct nlmsghdr *head = (void *)buf; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			if (head->nlmsg_type == NLMSG_DONE)
				return found;
			if (head->nlmsg_type == NLMSG_ERROR) {
				errno = -((const struct nlmsgerr *)NLMSG_DATA(head))->error;
				die("dump");
			}
			found += (uint32_t)is_of(protocol, head);
		}
	}
}

int main(int argc, char **argv)
{
	struct form form = { .dst = 0 };

	if (argc < 5 || argc > 6) {
		fputs("usage: floor [delete-]routes|routes6|multipath|arps, or count|count-arps, NETNS LINK COUNT [GATEWAY]\n",
		      stderr);
		return 2;
	}
	const char *mode = argv[1], *gateway = argc > 5 ? argv[5] : NULL;
	uint32_t items = (uint32_t)strtoul(argv[4], NULL, 10);
	int fd = open_socket(argv[2]), ifindex = (int)if_nametoindex(argv[3]);

	if (!strcmp(mode, "count") || !strcmp(mode, "count-arps")) {
		uint32_t found = mode[5] ? count(fd, items, RTM_GETNEIGH, AF_INET) :
					   count(fd, items, RTM_GETROUTE, AF_INET) + count(fd, items, RTM_GETROUTE, AF_INET6);
		printf("{\"items\": %u}\n", found);
		return 0;
	}
	if (!ifindex)
		die(argv[3]);
	int delete = !strncmp(mode, "delete-", 7);
	mode += delete ? 7 : 0;
	if (!strcmp(mode, "arps"))
		form_neighbour(&form, ifindex, delete);
	else if (!strcmp(mode, "multipath") && !delete)
		form_multipath(&form, ifindex);
	else
		form_route(&form, strcmp(mode, "routes6") ? AF_INET : AF_INET6, ifindex, gateway, delete);
	double seconds = write_all(fd, &form, items);
	printf("{\"items\": %u, \"seconds\": %.6f, \"rate\": %.0f}\n", items, seconds, items / seconds);
	return 0;
}
