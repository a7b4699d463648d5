/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of this folder share: errors, clean-up, netlink messages and attributes. Include it first.
 *
 * A file calls those above it alone:
 *
 *	error.c                             what went wrong
 *	inside.c                            a short stay in a namespace
 *	socket.c                            datagrams
 *	batch.c                             messages, and a verdict for each
 *	link.c addr.c route.c neigh.c       what messages say
 *	dump.c                              whole tables
 *	monitor.c survey.c                  what happens; what there is
 *	netns.c sysctl.c                    namespaces, and their settings
 *	birth.c                             how a namespace is made
 */
#ifndef NSPLANE_INTERNAL_H
#define NSPLANE_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "nsplane/netlink.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- errors (error.c) ---- */

/* Fills `err` (may be NULL) with the sentence and, after ": ", the errno's own text. Returns -code. */
int nsp_fail(struct nsp_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same where the sentence says it all and the errno's text would only blur it. */
int nsp_refuse(struct nsp_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "ENOENT"; NULL for a number that has no name. */
const char *nsp_errno_name(int code);

/* The positive errno in the kernel's answer `code`, which is 0 or -1 to -4095. */
static inline int nsp_answer_errno(int code)
{
	if (code == 0)
		return 0;
	return code < 0 && code >= -4095 ? -code : EPROTO;
}

/* ---- clean-up at the end of a scope ---- */

static inline void nsp_cleanup_close(const int *fd)
{
	int kept = errno;

	if (*fd >= 0)
		close(*fd);
	errno = kept;
}

static inline void nsp_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define cleanup_close __attribute__((cleanup(nsp_cleanup_close)))
#define cleanup_free __attribute__((cleanup(nsp_cleanup_free)))
#define cleanup_socket __attribute__((cleanup(nsp_socket_close)))

/* Takes a descriptor out of the care of cleanup_close: `return nsp_steal_fd(&fd);`. */
static inline int nsp_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* ---- a short stay in a namespace (inside.c) ---- */

typedef int (*nsp_inside_fn)(void *arg, struct nsp_error *err);

/* Calls `fn` in a namespace: in a thread that enters it, has all signals blocked, and ends with the call; for NSP_NETNS_CURRENT right
 * here. Returns what `fn` returned, or a negative errno where it was not called. */
int nsp_in_netns(int netns_fd, nsp_inside_fn fn, void *arg, struct nsp_error *err);

/* The same in a new namespace, made for the call. */
int nsp_in_new_netns(nsp_inside_fn fn, void *arg, struct nsp_error *err);

/* -EBADF where it can be no descriptor: an error that was not looked at, or one that was closed. */
int nsp_netns_check(int netns_fd, struct nsp_error *err);

/* What marks our routes and neighbours. */
#define NSP_PROTOCOL 110

/* ---- the way of a datagram (socket.c, batch.c) ---- */

/* A command socket that is bound to this port id or, where somebody else in the namespace has it, to one that the kernel chooses:
 * sock->portid says which. */
int nsp_socket_open_as(struct nsp_socket *sock, int netns_fd, uint32_t portid, struct nsp_error *err);

/* No answer of the kernel is larger: dumps come in pieces of at most 32 KiB. */
#define NSP_DATAGRAM_MAX 65536

/* The next datagram from the kernel, without waiting: rtnetlink has put every answer into the queue when sendmsg returns, so -EAGAIN
 * means that it is not coming. Also -ENOBUFS (answers were lost) and -EMSGSIZE (it is larger than `cap`). */
ssize_t nsp_socket_receive(const struct nsp_socket *sock, void *buf, size_t cap);

/* Throws away what is in the queue, so that nothing late is taken for an answer to what is sent next. */
void nsp_socket_drain(const struct nsp_socket *sock);

/* ---- a dump that gives way (dump.c) ---- */

/* Called between the datagrams of a dump; false ends it. */
typedef bool (*nsp_between_fn)(void *arg);

/* nsp_dump of neighbours, or nsp_dump_protocol of routes, with a pause after each datagram. -ECANCELED where it was ended: what is left of
 * it is still to come, so the socket is to be closed. `between` may be NULL. */
int nsp_dump_paced(struct nsp_socket *sock, int what, int family, uint8_t protocol, nsp_reply_fn reply, void *arg,
		   nsp_between_fn between, struct nsp_error *err);

/* ---- the name of a namespace (netns.c) ---- */

#define NSP_NETNS_DIR "/run/netns"
#define NSP_NETNS_PATH_MAX (sizeof(NSP_NETNS_DIR) + 1 + NAME_MAX)

/* The path of a name that is fit for one; -EINVAL. */
int nsp_netns_path(char path[NSP_NETNS_PATH_MAX], const char *name, struct nsp_error *err);

/* ---- how a namespace is made (birth.c) ---- */

struct nsp_birth {
	const char *path;	  /* where it is bound: filled in */
	const char *mark;	  /* the alias of its lo, or NULL */
	struct nsp_monitor *mon;  /* begins to watch it before it is bound, or NULL */
	struct nsp_event *events; /* what is in it by then */
	long cap, count;
	int nsid;
	uint64_t cookie;	 /* as by nsp_netns_cookie */
	struct nsp_socket *sock; /* one with this port id is left open, or NULL */
};

/* nsp_netns_create, and what else is best done at once. */
int nsp_netns_bear(const char *name, struct nsp_birth *birth, struct nsp_error *err);

/* ---- what is there (survey.c) ---- */

/* nsp_monitor_survey of the socket's namespace. */
long nsp_survey(struct nsp_socket *sock, struct nsp_event *events, long cap, struct nsp_error *err);

/* ---- what somebody else does (monitor.c) ---- */

struct sock_fprog;

/* Has `heard` called, by nsp_monitor_read, with each message of these multicast groups that is not of this port id and that the filter lets
 * through; of links and addresses nothing is heard any more. */
int nsp_monitor_listen(struct nsp_monitor *mon, const int *groups, unsigned count, const struct sock_fprog *filter, uint32_t portid,
		       nsp_heard_fn heard, void *arg, struct nsp_error *err);

/* The answers to one chunk of a batch. */
struct nsp_verdicts {
	nsp_failed_fn failed;
	nsp_reply_fn reply;
	void *arg;
	uint32_t seq;	/* of message `first` */
	uint32_t first; /* index of the chunk's first message */
	uint32_t count; /* messages in the chunk */
	bool ended;	/* the last message's verdict is there */
};

/* Reads one datagram of answers. Whatever is malformed or about another chunk is skipped. */
void nsp_verdicts_parse(struct nsp_verdicts *verdicts, const void *buf, size_t len);

/* Sends a batch in which nothing may fail: the first failure is the result, its text after `what`. */
int nsp_batch_do(struct nsp_socket *sock, struct nsp_batch *batch, const char *what, struct nsp_error *err);

/* The kernel's sentence in a NLMSG_ERROR or NLMSG_DONE message, or "". `fixed` is the length of what is before the attributes. */
const char *nsp_ext_ack_text(const struct nlmsghdr *head, size_t fixed);

/*
 * ---- building messages ----
 *
 *   | nlmsghdr | body (rtmsg, ...) | nlattr | payload, padded to 4 bytes | nlattr | ...
 *   ^ head                                                                 ^ at          ^ end of the batch's buffer
 */
#define NSP_ALIGN(n) (((n) + 3U) & ~3U)

struct nsp_msg {
	struct nlmsghdr *head; /* NULL once something did not fit */
	uint8_t *at;
	uint8_t *end;
};

/* `len` bytes, not set, with the padding behind them zero. NULL where they do not fit. */
static inline void *nsp_msg_take(struct nsp_msg *msg, uint32_t len)
{
	uint32_t padded = NSP_ALIGN(len);
	uint8_t *taken = msg->at;

	if (unlikely((size_t)(msg->end - msg->at) < padded)) {
		msg->head = NULL;
		return NULL;
	}
	if (padded != len)
		memset(taken + padded - 4, 0, 4);
	msg->at += padded;
	return taken;
}

/* Begins a message at the end of the batch. Returns its body, all zero, or NULL where that does not fit. */
static inline void *nsp_msg_begin(struct nsp_msg *msg, struct nsp_batch *batch, uint16_t type, uint16_t flags, uint32_t body_len)
{
	uint32_t len = (uint32_t)sizeof(struct nlmsghdr) + NSP_ALIGN(body_len);

	if (unlikely(batch->cap - batch->len < len)) {
		msg->head = NULL;
		return NULL;
	}
	msg->head = (struct nlmsghdr *)(void *)(batch->buf + batch->len);
	msg->at = batch->buf + batch->len + len;
	msg->end = batch->buf + batch->cap;
	msg->head->nlmsg_type = type;
	msg->head->nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST);
	msg->head->nlmsg_seq = 0;
	msg->head->nlmsg_pid = 0;
	return memset(msg->head + 1, 0, len - sizeof(struct nlmsghdr));
}

/* Makes the message part of the batch. Returns its index, or -ENOSPC where a part of it did not fit. */
static inline int nsp_msg_end(struct nsp_msg *msg, struct nsp_batch *batch)
{
	if (unlikely(!msg->head))
		return -ENOSPC;
	msg->head->nlmsg_len = (uint32_t)(msg->at - (uint8_t *)msg->head);
	batch->last = batch->len;
	batch->len += msg->head->nlmsg_len;
	return (int)batch->count++;
}

static inline void nsp_attr_put(struct nsp_msg *msg, uint16_t type, const void *data, uint32_t len)
{
	struct nlattr *attr = nsp_msg_take(msg, (uint32_t)sizeof(*attr) + len);

	if (unlikely(!attr))
		return;
	attr->nla_len = (uint16_t)(sizeof(*attr) + len);
	attr->nla_type = type;
	memcpy(attr + 1, data, len);
}

static inline void nsp_attr_put_u8(struct nsp_msg *msg, uint16_t type, uint8_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

static inline void nsp_attr_put_u32(struct nsp_msg *msg, uint16_t type, uint32_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

static inline void nsp_attr_put_s32(struct nsp_msg *msg, uint16_t type, int32_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

/* A string with the NUL that ends it. */
static inline void nsp_attr_put_str(struct nsp_msg *msg, uint16_t type, const char *text)
{
	nsp_attr_put(msg, type, text, (uint32_t)strlen(text) + 1);
}

/* An IPv4 or IPv6 address; two branches of constant length are faster than one copy of a variable length. */
static inline void nsp_attr_put_address(struct nsp_msg *msg, uint16_t type, uint8_t family, const uint8_t address[16])
{
	if (family == AF_INET)
		nsp_attr_put(msg, type, address, 4);
	else
		nsp_attr_put(msg, type, address, 16);
}

/* Opens an attribute that holds attributes: put them, then close it. */
static inline struct nlattr *nsp_attr_nest(struct nsp_msg *msg, uint16_t type)
{
	struct nlattr *nest = nsp_msg_take(msg, sizeof(*nest));

	if (likely(nest))
		nest->nla_type = type;
	return nest;
}

static inline void nsp_attr_nest_end(struct nsp_msg *msg, struct nlattr *nest)
{
	if (likely(nest))
		nest->nla_len = (uint16_t)(msg->at - (uint8_t *)nest);
}

/* ---- reading messages: every length is checked against what is there ---- */

static inline bool nsp_msg_ok(const struct nlmsghdr *head, ptrdiff_t left)
{
	return left >= (ptrdiff_t)sizeof(*head) && head->nlmsg_len >= sizeof(*head) && head->nlmsg_len <= (size_t)left;
}

static inline const struct nlmsghdr *nsp_msg_next(const struct nlmsghdr *head)
{
	return (const struct nlmsghdr *)(const void *)((const uint8_t *)head + NSP_ALIGN((size_t)head->nlmsg_len));
}

/* All whole messages in [`from`, `from` + `len`). */
#define NSP_MSG_EACH(head, from, len)                                                                                              \
	for (head = (const struct nlmsghdr *)(from); nsp_msg_ok(head, (const uint8_t *)(from) + (len) - (const uint8_t *)head);    \
	     head = nsp_msg_next(head))

/* The body, or NULL where the message is too short to have it. */
static inline const void *nsp_msg_body(const struct nlmsghdr *head, size_t body_len)
{
	return head->nlmsg_len >= sizeof(*head) + body_len ? head + 1 : NULL;
}

static inline bool nsp_attr_ok(const struct nlattr *attr, const void *end)
{
	ptrdiff_t left = (const uint8_t *)end - (const uint8_t *)attr;

	return left >= (ptrdiff_t)sizeof(*attr) && attr->nla_len >= sizeof(*attr) && attr->nla_len <= left;
}

static inline const struct nlattr *nsp_attr_next(const struct nlattr *attr)
{
	return (const struct nlattr *)(const void *)((const uint8_t *)attr + NSP_ALIGN((size_t)attr->nla_len));
}

/* All whole attributes of a message behind a body of `body_len` bytes. */
#define NSP_ATTR_EACH(attr, head, body_len)                                                                                        \
	for (attr = (const struct nlattr *)(const void *)((const uint8_t *)((head) + 1) + NSP_ALIGN((size_t)(body_len)));          \
	     nsp_attr_ok(attr, (const uint8_t *)(head) + (head)->nlmsg_len); attr = nsp_attr_next(attr))

/* All whole attributes within an attribute. */
#define NSP_ATTR_EACH_IN(attr, nest)                                                                                               \
	for (attr = (nest) + 1; nsp_attr_ok(attr, (const uint8_t *)(nest) + (nest)->nla_len); attr = nsp_attr_next(attr))

static inline uint16_t nsp_attr_type(const struct nlattr *attr)
{
	return (uint16_t)(attr->nla_type & NLA_TYPE_MASK);
}

static inline size_t nsp_attr_len(const struct nlattr *attr)
{
	return attr->nla_len - sizeof(*attr);
}

/* Copies the first `len` bytes of the payload. False, and nothing copied, where it is shorter. */
static inline bool nsp_attr_get(const struct nlattr *attr, void *out, size_t len)
{
	if (unlikely(nsp_attr_len(attr) < len))
		return false;
	memcpy(out, attr + 1, len);
	return true;
}

/* Copies a string, with or without a NUL of its own, and ends it; what does not fit into `cap` bytes is cut off. */
static inline void nsp_attr_get_str(const struct nlattr *attr, char *out, size_t cap)
{
	size_t len = strnlen((const char *)(attr + 1), nsp_attr_len(attr));

	if (len > cap - 1)
		len = cap - 1;
	memcpy(out, attr + 1, len);
	out[len] = '\0';
}

static inline size_t nsp_address_len(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

#endif
