/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every change comes back to whoever listens. To read all of that costs a third of the rate at which routes are written, so a filter in
 * the kernel drops what the command sockets have done, by their port id, and of what others do what each kind says.
 *
 * The filter looks at a datagram's first message. The kernel sends one in each; a datagram with room for a second is let through, and
 * whoever listens looks at each message again.
 */
#include "kinds/filter.h"

/* The number below 64 KiB, in the host's order, that was loaded into A and X: A. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FILTER_HOST16_OF_LOADED                                                                                                    \
	BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 24), BPF_STMT(BPF_ST, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0),                             \
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),                               \
		BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 0), BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0)
#else
#define FILTER_HOST16_OF_LOADED BPF_STMT(BPF_MISC | BPF_TXA, 0)
#endif
#define NEXT_KIND 0xfc
#define FAMILY_AT NLMSG_HDRLEN

static void add(struct filter *filter, const struct sock_filter *steps, unsigned count)
{
	memcpy(filter->code + filter->len, steps, count * sizeof(*steps));
	filter->len += count;
}

/* The jumps of the steps from `from` on that mean `target` lead to the step `to`. */
static void lead(struct filter *filter, unsigned from, uint8_t target, unsigned to)
{
	for (unsigned i = from; i < filter->len; i++) {
		struct sock_filter *step = &filter->code[i];
		if (BPF_CLASS(step->code) != BPF_JMP)
			continue;
		if (step->jt == target)
			step->jt = (uint8_t)(to - i - 1);
		if (step->jf == target)
			step->jf = (uint8_t)(to - i - 1);
	}
}

static void add_kind(struct filter *filter, const struct kind *kind)
{
	const struct sock_filter head[] = {
		FILTER_LOAD16(FILTER_HEAD(nlmsg_type)),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(kind->new_type), 1, 0),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(kind->del_type), 0, NEXT_KIND),
		FILTER_LOAD8(FAMILY_AT),
		FILTER_IF(BPF_JEQ, kind->family, 0, NEXT_KIND),
	};
	unsigned from = filter->len;

	add(filter, head, sizeof(head) / sizeof(*head));
	add(filter, kind->filter, kind->filter_len);
	lead(filter, from, NEXT_KIND, filter->len);
}

/* Nexthop objects: whatever somebody else does to one. */
static void add_nexthops(struct filter *filter)
{
	const struct sock_filter steps[] = {
		FILTER_LOAD16(FILTER_HEAD(nlmsg_type)),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_NEWNEXTHOP), FILTER_PASS, 0),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_DELNEXTHOP), FILTER_PASS, NEXT_KIND),
	};
	unsigned from = filter->len;

	add(filter, steps, sizeof(steps) / sizeof(*steps));
	lead(filter, from, NEXT_KIND, filter->len);
}

void filter_build(struct filter *filter, uint32_t portid)
{
	static const struct sock_filter second[] = {
		/* X = the first message's length, below 64 KiB; A = what there is without a second header */
		FILTER_LOAD32(FILTER_HEAD(nlmsg_len)),
		FILTER_IF(BPF_JSET, FILTER_HOST32(0xffff0000), FILTER_PASS, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		FILTER_HOST16_OF_LOADED,
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, NLMSG_HDRLEN),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, FILTER_PASS, 0),
	};
	/* Before the kinds, for most messages end here: each row that is written costs the kernel the steps up to this one. */
	const struct sock_filter own[] = {
		FILTER_LOAD32(FILTER_HEAD(nlmsg_pid)),
		FILTER_IF(BPF_JEQ, FILTER_HOST32(portid), FILTER_DROP, 0),
	};
	static const struct sock_filter ends[] = { BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, UINT32_MAX) };

	filter->len = 0;
	add(filter, second, sizeof(second) / sizeof(*second));
	add(filter, own, sizeof(own) / sizeof(*own));
	for (unsigned i = 0; i < KINDS_MAX && kinds[i]; i++)
		add_kind(filter, kinds[i]);
	add_nexthops(filter);
	lead(filter, 0, FILTER_DROP, filter->len);
	lead(filter, 0, FILTER_PASS, filter->len + 1);
	add(filter, ends, 2);
}

bool filter_passes(const struct nlmsghdr *msg, uint32_t portid)
{
	int kind = kind_of_message(msg);

	return kind >= 0 && msg->nlmsg_pid != portid && kinds[kind]->passes_filter(msg);
}

bool filter_is_nexthop(const struct nlmsghdr *msg)
{
	return msg->nlmsg_type == RTM_NEWNEXTHOP || msg->nlmsg_type == RTM_DELNEXTHOP;
}

unsigned filter_groups(int groups[FILTER_GROUPS_MAX])
{
	unsigned count = 0;

	groups[count++] = RTNLGRP_NEXTHOP;

	for (unsigned i = 0; i < KINDS_MAX && kinds[i]; i++) {
		unsigned at = 0;
		while (at < count && groups[at] != kinds[i]->group)
			at++;
		if (at == count)
			groups[count++] = kinds[i]->group;
	}
	return count;
}
