/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has a program that uses the library write down what comes in from outside, as inputs of the fuzz targets: `make corpus`.
 *
 *	LD_PRELOAD=record.so RECORD=FOLDER PROGRAM
 *
 * One of each shape: messages of the kernel with the same attributes are one input.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nsplane/core.h"

#define LARGEST 4096

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	return hash;
}

static void keep(const char *target, uint64_t shape, const void *head, size_t head_len, const void *data, size_t len)
{
	const char *folder = getenv("RECORD");
	char path[512];

	if (!folder || len > LARGEST)
		return;
	snprintf(path, sizeof(path), "%s/%s/%016llx", folder, target, (unsigned long long)shape);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	uint8_t size[2] = { (uint8_t)len, (uint8_t)(len >> 8) };
	if (write(fd, head, head_len) < 0 || (strcmp(target, "frame") && write(fd, size, 2) < 0) || write(fd, data, len) < 0)
		unlink(path);
	close(fd);
}

/* ---- messages of the kernel ---- */

static uint64_t attributes_shape(uint64_t hash, const uint8_t *at, const uint8_t *end, int depth)
{
	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attr = (const void *)at;
		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > end - at)
			break;
		hash = mix(hash, &attr->nla_type, sizeof(attr->nla_type));
		if (depth)
			hash = attributes_shape(hash, at + NLA_HDRLEN, at + attr->nla_len, depth - 1);
		at += NLA_ALIGN(attr->nla_len);
	}
	return hash;
}

/* What fuzz_netlink is to read them with: a dump for what is one of many, verdicts for what a batch is answered with. */
static void keep_datagram(const void *buf, size_t len, bool is_event)
{
	uint8_t copy[LARGEST];
	uint64_t shape = 0xcbf29ce484222325;
	const uint8_t *end = copy + len;
	uint8_t head[2] = { 0, 0 };

	if (len > sizeof(copy))
		return;
	memcpy(copy, buf, len);
	for (struct nlmsghdr *msg = (void *)copy; NLMSG_OK(msg, end - (uint8_t *)msg);
	     msg = (void *)((uint8_t *)msg + NLMSG_ALIGN(msg->nlmsg_len))) {
		static const uint8_t tables[] = { NSP_DUMP_LINKS, NSP_DUMP_ADDRS, NSP_DUMP_ROUTES, NSP_DUMP_NEIGHS };
		unsigned table = (unsigned)(msg->nlmsg_type - RTM_BASE) / 4;

		msg->nlmsg_seq = 1;
		shape = mix(shape, &msg->nlmsg_type, sizeof(msg->nlmsg_type));
		shape = mix(shape, msg + 1, 1);
		shape = attributes_shape(shape, (uint8_t *)(msg + 1) + (table ? 12 : 16), (uint8_t *)msg + msg->nlmsg_len, 2);
		if (msg->nlmsg_flags & NLM_F_MULTI)
			head[0] = 1, head[1] = table < sizeof(tables) ? tables[table] : NSP_DUMP_NEXTHOPS;
	}
	if (is_event)
		head[0] = 5, head[1] = 3;
	keep("netlink", mix(shape, head, 1), head, sizeof(head), copy, len);
}

ssize_t recvfrom(int fd, void *buf, size_t cap, int flags, struct sockaddr *address, socklen_t *address_len)
{
	ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "recvfrom");
	ssize_t len = real(fd, buf, cap, flags, address, address_len);

	if (len > 0 && (size_t)len <= cap && address && address->sa_family == AF_NETLINK)
		keep_datagram(buf, (size_t)len, false);
	return len;
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags, struct timespec *timeout)
{
	int (*real)(int, struct mmsghdr *, unsigned int, int, struct timespec *) = dlsym(RTLD_NEXT, "recvmmsg");
	int n = real(fd, msgs, count, flags, timeout);

	for (int i = 0; i < n; i++)
		keep_datagram(msgs[i].msg_hdr.msg_iov->iov_base, msgs[i].msg_len, true);
	return n;
}

/* ---- requests ---- */

uint32_t nsp_turn_read(struct nsp_turn *turn, struct nsp_message *messages, uint32_t count, uint32_t only_one,
		       const struct nsp_run **runs)
{
	uint32_t (*real)(struct nsp_turn *, struct nsp_message *, uint32_t, uint32_t, const struct nsp_run **) =
		dlsym(dlopen("libnsplane.so.0", RTLD_LAZY | RTLD_NOLOAD), "nsp_turn_read"); /* which is of a module's own scope */

	for (uint32_t i = 0; i < count; i++) {
		uint64_t shape = mix(0xcbf29ce484222325, messages[i].data, messages[i].len);
		keep("core", shape, "\0\0", 2, messages[i].data, messages[i].len);
		keep("frame", shape, "\0", 1, messages[i].data, messages[i].len);
	}
	return real(turn, messages, count, only_one, runs);
}
