/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hear.c - routes and neighbours on the monitor's socket, without the echo of our own.
 *
 * Every change comes back to whoever listens. To read all of that costs a third of the rate at which routes are written, so a filter in
 * the kernel lets through only what somebody else has done to what may be ours:
 *
 *      by the command sockets' port id                     dropped
 *      RTM_NEWROUTE that replaced nothing                  dropped, unless it was appended: an IPv6 one becomes a next hop of another
 *      RTM_DELROUTE of another protocol than ours          dropped
 *      neighbours by nobody (port id 0)                    dropped, unless of our protocol: by ioctl(2), or gone with their link
 *      RTM_DELNEIGH of one that had failed                 dropped: the last word on a deletion, after RTM_NEWNEIGH has named its author
 *
 * The filter looks at a datagram's first message. The kernel sends one in each; a datagram with room for a second is let through, and
 * whoever hears looks at each message again.
 */
#include "kernel/internal.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/neighbour.h>

/* The steps of the filter: their order is that of the program, where one falls through to the next. */
enum step {
	LENGTH_3,
	LENGTH_3_IF,
	LENGTH_2,
	LENGTH_2_IF,
	LENGTH_1,
	LENGTH_SHIFT,
	LENGTH_SAVE,
	LENGTH_0,
	LENGTH_JOIN,
	LENGTH_KEEP,
	REST,
	REST_LESS,
	REST_IF,
	TYPE,
	TYPE_NEWROUTE,
	TYPE_DELROUTE,
	TYPE_NEWNEIGH,
	TYPE_DELNEIGH,
	NEWROUTE_PID,
	NEWROUTE_PID_IF,
	NEWROUTE_FLAGS,
	NEWROUTE_FLAGS_IF,
	DELROUTE_PID,
	DELROUTE_PID_IF,
	DELROUTE_PROTOCOL,
	DELROUTE_PROTOCOL_IF,
	DELNEIGH_STATE,
	DELNEIGH_STATE_IF,
	NEIGH_FAMILY,
	NEIGH_FAMILY_IF,
	NEIGH_PID,
	NEIGH_PID_OWN,
	NEIGH_PID_NOBODY,
	ATTR_TYPE,
	ATTR_FROM,
	ATTR_FIND,
	ATTR_FOUND_IF,
	ATTR_KEEP,
	ATTR_VALUE,
	ATTR_VALUE_IF,
	DROPPED,
	PASSED,
	STEPS
};

#define LOAD8(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define LOAD16(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define LOAD32(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define HEAD(field) offsetof(struct nlmsghdr, field)
#define BODY(type, field) (NLMSG_HDRLEN + offsetof(struct type, field))

#define JUMP(from, to) ((uint8_t)((to) - (from) - 1))
/* [STEP] = IF(...): what is loaded is compared with a constant. */
#define IF(step, how, value, yes, no) [step] = BPF_JUMP(BPF_JMP | (how) | BPF_K, value, JUMP(step, yes), JUMP(step, no))

/* Byte `n` of a number of the host's, from the lowest on. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE(n) (n)
#else
#define BYTE(n) (3 - (n))
#endif

int nsp_hear_filter(int fd, uint32_t portid)
{
	/* Loads are in network byte order, headers in the host's. */
	const uint32_t own = htonl(portid), nobody = 0;
	struct sock_filter code[STEPS] = {
		/* X = the first message's length, A = what there is without a second header */
		[LENGTH_3] = LOAD8(HEAD(nlmsg_len) + BYTE(3)),
		IF(LENGTH_3_IF, BPF_JEQ, 0, LENGTH_2, PASSED),
		[LENGTH_2] = LOAD8(HEAD(nlmsg_len) + BYTE(2)),
		IF(LENGTH_2_IF, BPF_JEQ, 0, LENGTH_1, PASSED),
		[LENGTH_1] = LOAD8(HEAD(nlmsg_len) + BYTE(1)),
		[LENGTH_SHIFT] = BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 8),
		[LENGTH_SAVE] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
		[LENGTH_0] = LOAD8(HEAD(nlmsg_len) + BYTE(0)),
		[LENGTH_JOIN] = BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
		[LENGTH_KEEP] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
		[REST] = BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		[REST_LESS] = BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, NLMSG_HDRLEN),
		[REST_IF] = BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, JUMP(REST_IF, PASSED), JUMP(REST_IF, TYPE)),

		[TYPE] = LOAD16(HEAD(nlmsg_type)),
		IF(TYPE_NEWROUTE, BPF_JEQ, htons(RTM_NEWROUTE), NEWROUTE_PID, TYPE_DELROUTE),
		IF(TYPE_DELROUTE, BPF_JEQ, htons(RTM_DELROUTE), DELROUTE_PID, TYPE_NEWNEIGH),
		IF(TYPE_NEWNEIGH, BPF_JEQ, htons(RTM_NEWNEIGH), NEIGH_FAMILY, TYPE_DELNEIGH),
		IF(TYPE_DELNEIGH, BPF_JEQ, htons(RTM_DELNEIGH), DELNEIGH_STATE, PASSED),

		[NEWROUTE_PID] = LOAD32(HEAD(nlmsg_pid)),
		IF(NEWROUTE_PID_IF, BPF_JEQ, own, DROPPED, NEWROUTE_FLAGS),
		[NEWROUTE_FLAGS] = LOAD16(HEAD(nlmsg_flags)),
		IF(NEWROUTE_FLAGS_IF, BPF_JSET, htons(NLM_F_REPLACE | NLM_F_APPEND), PASSED, DROPPED),

		[DELROUTE_PID] = LOAD32(HEAD(nlmsg_pid)),
		IF(DELROUTE_PID_IF, BPF_JEQ, own, DROPPED, DELROUTE_PROTOCOL),
		[DELROUTE_PROTOCOL] = LOAD8(BODY(rtmsg, rtm_protocol)),
		IF(DELROUTE_PROTOCOL_IF, BPF_JEQ, NSP_PROTOCOL, PASSED, DROPPED),

		[DELNEIGH_STATE] = LOAD16(BODY(ndmsg, ndm_state)),
		IF(DELNEIGH_STATE_IF, BPF_JEQ, htons(NUD_FAILED), DROPPED, NEIGH_FAMILY),

		/* AF_BRIDGE: the forwarding tables of bridges, which come in the same messages */
		[NEIGH_FAMILY] = LOAD8(BODY(ndmsg, ndm_family)),
		IF(NEIGH_FAMILY_IF, BPF_JEQ, AF_BRIDGE, DROPPED, NEIGH_PID),
		[NEIGH_PID] = LOAD32(HEAD(nlmsg_pid)),
		IF(NEIGH_PID_OWN, BPF_JEQ, own, DROPPED, NEIGH_PID_NOBODY),
		IF(NEIGH_PID_NOBODY, BPF_JEQ, nobody, ATTR_TYPE, PASSED),
		[ATTR_TYPE] = BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, NDA_PROTOCOL),
		[ATTR_FROM] = BPF_STMT(BPF_LD | BPF_W | BPF_IMM, NLMSG_HDRLEN + sizeof(struct ndmsg)),
		[ATTR_FIND] = LOAD32((uint32_t)SKF_AD_OFF + SKF_AD_NLATTR),
		IF(ATTR_FOUND_IF, BPF_JEQ, 0, DROPPED, ATTR_KEEP),
		[ATTR_KEEP] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
		[ATTR_VALUE] = BPF_STMT(BPF_LD | BPF_B | BPF_IND, sizeof(struct nlattr)),
		IF(ATTR_VALUE_IF, BPF_JEQ, NSP_PROTOCOL, PASSED, DROPPED),

		[DROPPED] = BPF_STMT(BPF_RET | BPF_K, 0),
		[PASSED] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { .len = STEPS, .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

bool nsp_heard_appended(const struct nlmsghdr *msg)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	const struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWROUTE || (msg->nlmsg_flags & (NLM_F_REPLACE | NLM_F_APPEND)) != NLM_F_APPEND || !rtm ||
	    rtm->rtm_family != AF_INET6)
		return false;
	NSP_ATTR_EACH(attr, msg, sizeof(*rtm))
		if (nsp_attr_type(attr) == RTA_MULTIPATH)
			return true;
	return false;
}

bool nsp_heard_matters(const struct nlmsghdr *msg, uint32_t portid)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	struct nsp_neigh neigh;

	if (msg->nlmsg_pid == portid)
		return false;
	switch (msg->nlmsg_type) {
	case RTM_NEWROUTE:
		return rtm && (msg->nlmsg_flags & NLM_F_REPLACE || nsp_heard_appended(msg));
	case RTM_DELROUTE:
		return rtm && rtm->rtm_protocol == NSP_PROTOCOL;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return nsp_neigh_read(msg, &neigh) == 0 && (msg->nlmsg_pid || neigh.proto == NSP_PROTOCOL) &&
		       (msg->nlmsg_type == RTM_NEWNEIGH || neigh.state != NUD_FAILED);
	default:
		return false;
	}
}
