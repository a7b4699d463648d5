/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.c - RTM_*ADDR.
 */
#include "kernel/internal.h"

#include <linux/if_addr.h>

static bool is_zero(const uint8_t address[16])
{
	static const uint8_t zero[16];

	return !memcmp(address, zero, sizeof(zero));
}

static void details_put(struct nsp_msg *msg, uint8_t family, const struct nsp_addr_details *details)
{
	if (details->fields & NSP_ADDR_METRIC)
		nsp_attr_put_u32(msg, IFA_RT_PRIORITY, details->metric);
	if (details->fields & NSP_ADDR_LIFETIME) {
		struct ifa_cacheinfo lifetime = { .ifa_prefered = details->preferred, .ifa_valid = details->valid };

		nsp_attr_put(msg, IFA_CACHEINFO, &lifetime, sizeof(lifetime));
	}
	if (details->fields & NSP_ADDR_BROADCAST && family == AF_INET)
		nsp_attr_put(msg, IFA_BROADCAST, details->broadcast, sizeof(details->broadcast));
	if (details->fields & NSP_ADDR_LABEL && family == AF_INET)
		nsp_attr_put_str(msg, IFA_LABEL, details->label);
}

static int put(struct nsp_batch *batch, const struct nsp_addr *addr, const struct nsp_addr_details *details, uint16_t type,
	       uint16_t flags)
{
	struct ifaddrmsg *ifa;
	struct nsp_msg msg;

	if (!nsp_address_len(addr->family))
		return -EINVAL;
	ifa = nsp_msg_begin(&msg, batch, type, flags, sizeof(*ifa));
	if (!ifa)
		return -ENOSPC;
	ifa->ifa_family = addr->family;
	ifa->ifa_prefixlen = addr->prefix_len;
	ifa->ifa_index = (uint32_t)addr->index;
	/* IFA_ADDRESS is that of the other end, or the same; IPv4 wants both to tell 10.0.0.1/24 from 10.0.0.1/16. */
	nsp_attr_put_address(&msg, IFA_LOCAL, addr->family, addr->local);
	nsp_attr_put_address(&msg, IFA_ADDRESS, addr->family, is_zero(addr->peer) ? addr->local : addr->peer);
	if (type == RTM_NEWADDR) {
		ifa->ifa_scope = addr->scope;
		ifa->ifa_flags = (uint8_t)addr->flags;
		if (addr->flags)
			nsp_attr_put_u32(&msg, IFA_FLAGS, addr->flags);
		if (addr->proto)
			nsp_attr_put_u8(&msg, IFA_PROTO, addr->proto);
		if (details)
			details_put(&msg, addr->family, details);
	}
	return nsp_msg_end(&msg, batch);
}

int nsp_addr_add(struct nsp_batch *batch, const struct nsp_addr *addr)
{
	return nsp_addr_put(batch, addr, NULL, NSP_PUT_NEW);
}

int nsp_addr_put(struct nsp_batch *batch, const struct nsp_addr *addr, const struct nsp_addr_details *details, int mode)
{
	return put(batch, addr, details, RTM_NEWADDR, NLM_F_CREATE | (mode == NSP_PUT_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL));
}

int nsp_addr_delete(struct nsp_batch *batch, const struct nsp_addr *addr)
{
	return put(batch, addr, NULL, RTM_DELADDR, 0);
}

static void lifetime_read(const struct nlattr *attr, struct nsp_addr_details *details)
{
	struct ifa_cacheinfo lifetime;

	if (!nsp_attr_get(attr, &lifetime, sizeof(lifetime)) ||
	    (lifetime.ifa_valid == NSP_FOREVER && lifetime.ifa_prefered == NSP_FOREVER))
		return;
	details->fields |= NSP_ADDR_LIFETIME;
	details->valid = lifetime.ifa_valid;
	details->preferred = lifetime.ifa_prefered;
}

int nsp_addr_read(const void *msg, struct nsp_addr *addr)
{
	struct nsp_addr_details details;

	return nsp_addr_read_details(msg, addr, &details);
}

int nsp_addr_read_details(const void *msg, struct nsp_addr *addr, struct nsp_addr_details *details)
{
	const struct nlmsghdr *head = msg;
	const struct ifaddrmsg *ifa = nsp_msg_body(head, sizeof(*ifa));
	bool has_local = false, has_address = false;
	const struct nlattr *attr;
	size_t len;

	if (!ifa || (head->nlmsg_type != RTM_NEWADDR && head->nlmsg_type != RTM_DELADDR))
		return -EINVAL;
	len = nsp_address_len(ifa->ifa_family);
	if (!len)
		return -EINVAL;
	*addr = (struct nsp_addr){
		.index = (int32_t)ifa->ifa_index,
		.family = ifa->ifa_family,
		.prefix_len = ifa->ifa_prefixlen,
		.scope = ifa->ifa_scope,
		.flags = ifa->ifa_flags,
	};
	*details = (struct nsp_addr_details){ 0 };
	NSP_ATTR_EACH(attr, head, sizeof(*ifa)) {
		switch (nsp_attr_type(attr)) {
		case IFA_LOCAL:
			has_local |= nsp_attr_get(attr, addr->local, len);
			break;
		case IFA_ADDRESS:
			has_address |= nsp_attr_get(attr, addr->peer, len);
			break;
		case IFA_FLAGS:
			nsp_attr_get(attr, &addr->flags, sizeof(addr->flags));
			break;
		case IFA_PROTO:
			nsp_attr_get(attr, &addr->proto, sizeof(addr->proto));
			break;
		case IFA_RT_PRIORITY:
			if (nsp_attr_get(attr, &details->metric, sizeof(details->metric)) && details->metric)
				details->fields |= NSP_ADDR_METRIC;
			break;
		case IFA_CACHEINFO:
			lifetime_read(attr, details);
			break;
		case IFA_BROADCAST:
			if (nsp_attr_get(attr, details->broadcast, sizeof(details->broadcast)))
				details->fields |= NSP_ADDR_BROADCAST;
			break;
		case IFA_LABEL:
			nsp_attr_get_str(attr, details->label, sizeof(details->label));
			details->fields |= NSP_ADDR_LABEL;
			break;
		}
	}
	if (!has_local && !has_address)
		return -EINVAL;
	/* IPv6 gives IFA_LOCAL only where there is another end, IPv4 always. */
	if (!has_local)
		memcpy(addr->local, addr->peer, sizeof(addr->local));
	if (!memcmp(addr->local, addr->peer, sizeof(addr->local)))
		memset(addr->peer, 0, sizeof(addr->peer));
	return 0;
}
