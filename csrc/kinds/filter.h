/* SPDX-License-Identifier: Apache-2.0 */
/* What of the kernel's messages is let through to whoever listens for what others do: a BPF program (socket(7)), made of the kinds. */
#ifndef NSP_KIND_FILTER_H
#define NSP_KIND_FILTER_H

#include <linux/filter.h>

#include "kinds/kind.h"

/* Steps of a kind's part. It is reached with a message of the kind, changed by somebody else, and ends in FILTER_PASS or FILTER_DROP. */
#define FILTER_DROP 0xfd
#define FILTER_PASS 0xfe

#define FILTER_LOAD8(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define FILTER_LOAD16(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define FILTER_LOAD32(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define FILTER_HEAD(field) offsetof(struct nlmsghdr, field)
#define FILTER_BODY(type, field) (NLMSG_HDRLEN + offsetof(struct type, field))
/* What was loaded is compared (BPF_JEQ, BPF_JSET) with a constant; `yes` and `no`: how many steps are left out. */
#define FILTER_IF(how, value, yes, no) BPF_JUMP(BPF_JMP | (how) | BPF_K, value, yes, no)

/* Loads are in network byte order, headers in the host's. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FILTER_HOST16(value) __builtin_bswap16(value)
#define FILTER_HOST32(value) __builtin_bswap32(value)
#else
#define FILTER_HOST16(value) (value)
#define FILTER_HOST32(value) (value)
#endif

struct filter {
	struct sock_filter code[256];
	unsigned len;
};

/* Lets through what somebody else than this port id has done to what may be ours. */
void filter_build(struct filter *filter, uint32_t portid);

/* Says so of one message: the filter looks at the first of a datagram. */
bool filter_passes(const struct nlmsghdr *msg, uint32_t portid);

/* Is it about a nexthop object? */
bool filter_is_nexthop(const struct nlmsghdr *msg);

/* The multicast groups in which the kernel tells of the kinds and of nexthop objects, each once. Returns how many. */
#define FILTER_GROUPS_MAX (KINDS_MAX + 1)
unsigned filter_groups(int groups[FILTER_GROUPS_MAX]);

#endif
