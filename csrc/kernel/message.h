/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - netlink messages and attributes, built in memory that is the caller's and read where they lie.
 *
 *   | nlmsghdr | body (rtmsg, ...) | nlattr | payload, padded to 4 bytes | nlattr | ...
 *   ^ head                                                                 ^ at          ^ end of the room
 *
 * What has NSP_BOTH is public: inside the library a call of it is inlined, and message.c has the function that others call.
 */
#ifndef NSPLANE_MESSAGE_H
#define NSPLANE_MESSAGE_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "nsplane/netlink.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef NSP_BOTH
#define NSP_BOTH extern inline __attribute__((gnu_inline, always_inline))
#endif

/* ---- building ---- */

#define NSP_ALIGN(n) (((n) + 3U) & ~3U)
#define NSP_ALIGN_LONG(n) (((uint64_t)(n) + 3U) & ~UINT64_C(3))

NSP_BOTH void *nsp_msg_take(struct nsp_msg *msg, uint32_t len)
{
	uint64_t padded = NSP_ALIGN_LONG(len);
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

NSP_BOTH void *nsp_msg_begin(struct nsp_msg *msg, struct nsp_batch *batch, uint16_t type, uint16_t flags, uint32_t body_len)
{
	uint64_t len = sizeof(struct nlmsghdr) + NSP_ALIGN_LONG(body_len);

	if (unlikely(batch->cap - batch->len < len)) {
		*msg = (struct nsp_msg){ 0 };
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

NSP_BOTH int nsp_msg_end(struct nsp_msg *msg, struct nsp_batch *batch)
{
	if (unlikely(!msg->head))
		return -ENOSPC;
	msg->head->nlmsg_len = (uint32_t)(msg->at - (uint8_t *)msg->head);
	batch->last = batch->len;
	batch->len += msg->head->nlmsg_len;
	return (int)batch->count++;
}

NSP_BOTH void nsp_attr_put(struct nsp_msg *msg, uint16_t type, const void *data, uint32_t len)
{
	struct nlattr *attr;

	if (unlikely(len > UINT16_MAX - sizeof(*attr))) {
		msg->head = NULL;
		return;
	}
	attr = nsp_msg_take(msg, (uint32_t)sizeof(*attr) + len);
	if (unlikely(!attr))
		return;
	attr->nla_len = (uint16_t)(sizeof(*attr) + len);
	attr->nla_type = type;
	if (len)
		memcpy(attr + 1, data, len);
}

NSP_BOTH void nsp_attr_put_u8(struct nsp_msg *msg, uint16_t type, uint8_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

NSP_BOTH void nsp_attr_put_u16(struct nsp_msg *msg, uint16_t type, uint16_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

NSP_BOTH void nsp_attr_put_u32(struct nsp_msg *msg, uint16_t type, uint32_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

NSP_BOTH void nsp_attr_put_u64(struct nsp_msg *msg, uint16_t type, uint64_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

NSP_BOTH void nsp_attr_put_s32(struct nsp_msg *msg, uint16_t type, int32_t value)
{
	nsp_attr_put(msg, type, &value, sizeof(value));
}

NSP_BOTH void nsp_attr_put_be16(struct nsp_msg *msg, uint16_t type, uint16_t value)
{
	nsp_attr_put_u16(msg, type, htons(value));
}

NSP_BOTH void nsp_attr_put_be32(struct nsp_msg *msg, uint16_t type, uint32_t value)
{
	nsp_attr_put_u32(msg, type, htonl(value));
}

NSP_BOTH void nsp_attr_put_str(struct nsp_msg *msg, uint16_t type, const char *text)
{
	nsp_attr_put(msg, type, text, (uint32_t)strlen(text) + 1);
}

NSP_BOTH struct nlattr *nsp_attr_nest(struct nsp_msg *msg, uint16_t type)
{
	struct nlattr *nest = nsp_msg_take(msg, sizeof(*nest));

	if (likely(nest))
		nest->nla_type = type;
	return nest;
}

NSP_BOTH void nsp_attr_nest_end(struct nsp_msg *msg, struct nlattr *nest)
{
	ptrdiff_t len;

	if (unlikely(!nest))
		return;
	len = msg->at - (uint8_t *)nest;
	if (unlikely(len > UINT16_MAX))
		msg->head = NULL;
	nest->nla_len = (uint16_t)len;
}

NSP_BOTH void nsp_attrs_begin(struct nsp_msg *msg, uint32_t *buf, uint32_t cap)
{
	*msg = (struct nsp_msg){ .head = (struct nlmsghdr *)(void *)buf, .at = (uint8_t *)buf, .end = (uint8_t *)buf + cap };
}

NSP_BOTH int nsp_attrs_end(const struct nsp_msg *msg, struct nsp_attrs *attrs)
{
	*attrs = (struct nsp_attrs){ 0 };
	if (!msg->head)
		return -ENOSPC;
	*attrs = (struct nsp_attrs){ .data = msg->head, .len = (uint32_t)(msg->at - (const uint8_t *)msg->head) };
	return 0;
}

/* An IPv4 or IPv6 address; two branches of constant length are faster than one copy of a variable length. */
static inline void nsp_attr_put_address(struct nsp_msg *msg, uint16_t type, uint8_t family, const uint8_t address[16])
{
	if (family == AF_INET)
		nsp_attr_put(msg, type, address, 4);
	else
		nsp_attr_put(msg, type, address, 16);
}

static inline size_t nsp_address_len(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* ---- reading: every length is checked against what is there ---- */

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

NSP_BOTH const void *nsp_msg_body(const struct nlmsghdr *head, size_t body_len)
{
	return head->nlmsg_len >= sizeof(*head) + body_len ? head + 1 : NULL;
}

NSP_BOTH int nsp_attr_ok(const struct nlattr *attr, const void *end)
{
	ptrdiff_t left = (const uint8_t *)end - (const uint8_t *)attr;

	return left >= (ptrdiff_t)sizeof(*attr) && attr->nla_len >= sizeof(*attr) && attr->nla_len <= left;
}

NSP_BOTH const struct nlattr *nsp_attr_next(const struct nlattr *attr)
{
	return (const struct nlattr *)(const void *)((const uint8_t *)attr + NSP_ALIGN((size_t)attr->nla_len));
}

NSP_BOTH uint16_t nsp_attr_type(const struct nlattr *attr)
{
	return (uint16_t)(attr->nla_type & NLA_TYPE_MASK);
}

NSP_BOTH size_t nsp_attr_len(const struct nlattr *attr)
{
	return attr->nla_len - sizeof(*attr);
}

NSP_BOTH int nsp_attr_get(const struct nlattr *attr, void *out, size_t len)
{
	if (unlikely(nsp_attr_len(attr) < len))
		return 0;
	memcpy(out, attr + 1, len);
	return 1;
}

NSP_BOTH void nsp_attr_get_str(const struct nlattr *attr, char *out, size_t cap)
{
	size_t len = strnlen((const char *)(attr + 1), nsp_attr_len(attr));

	if (len > cap - 1)
		len = cap - 1;
	memcpy(out, attr + 1, len);
	out[len] = '\0';
}

#endif
