/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink.h - what the floors that make links have in common: messages one behind the other, sent at once, of which the last asks for an
 * ACK, and the first error ends the program. It shares no code with nsplane. BATCH_BYTES says how much a batch holds.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct batch {
	uint32_t len, seq;
	struct nlmsghdr *head;
	_Alignas(4) uint8_t bytes[BATCH_BYTES];
};

static void *begin(struct batch *batch, uint16_t type, uint16_t flags, uint32_t size)
{
	struct nlmsghdr *head = (struct nlmsghdr *)(batch->bytes + batch->len);

	memset(head, 0, NLMSG_SPACE(size));
	head->nlmsg_type = type;
	head->nlmsg_flags = NLM_F_REQUEST | flags;
	head->nlmsg_seq = ++batch->seq;
	head->nlmsg_len = NLMSG_SPACE(size);
	batch->head = head;
	batch->len += NLMSG_SPACE(size);
	return NLMSG_DATA(head);
}

/* Makes room for `size` bytes more in the message. */
static void *extend(struct batch *batch, size_t size)
{
	uint8_t *at = batch->bytes + batch->len;

	memset(at, 0, NLMSG_ALIGN(size));
	batch->len += (uint32_t)NLMSG_ALIGN(size);
	batch->head->nlmsg_len += (uint32_t)NLMSG_ALIGN(size);
	return at;
}

static struct rtattr *append(struct batch *batch, uint16_t type, const void *data, size_t size)
{
	struct rtattr *attr = extend(batch, RTA_LENGTH(size));

	*attr = (struct rtattr){ .rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type };
	if (size)
		memcpy(RTA_DATA(attr), data, size);
	return attr;
}

static void append_u32(struct batch *batch, uint16_t type, uint32_t value)
{
	append(batch, type, &value, sizeof(value));
}

static void end_nest(struct batch *batch, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)(batch->bytes + batch->len - (uint8_t *)nest);
}

/* In the namespace that the thread is in. */
static int open_rtnetlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		die("a rtnetlink socket");
	return fd;
}

/* Sends the batch with an ACK asked for on its last message, and reads until that is there. */
static void carry_out(int fd, struct batch *batch)
{
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_Alignas(4) uint8_t buf[8192];

	batch->head->nlmsg_flags |= NLM_F_ACK;
	if (sendto(fd, batch->bytes, batch->len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		die("send to the kernel");
	for (;;) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);
		if (got < 0)
			die("recv from the kernel");
		int left = (int)got;
		for (struct nlmsghdr *head = (void *)buf; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			const struct nlmsgerr *answer = NLMSG_DATA(head);
			if (head->nlmsg_type != NLMSG_ERROR)
				continue;
			if (answer->error) {
				errno = -answer->error;
				die("the kernel");
			}
			if (head->nlmsg_seq == batch->seq)
				return;
		}
	}
}

static struct ifinfomsg link_up(uint32_t index)
{
	return (struct ifinfomsg){ .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
}
