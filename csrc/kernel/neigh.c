/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neigh.c - RTM_*NEIGH: ARP and IPv6 neighbours.
 */
#include "kernel/internal.h"

#include <linux/neighbour.h>

/* What says which neighbour is meant. NULL where it does not fit. */
static inline struct ndmsg *identity_put(struct nsp_msg *msg, struct nsp_batch *batch, const struct nsp_neigh *neigh, uint16_t type,
					 uint16_t flags)
{
	struct ndmsg *ndm = nsp_msg_begin(msg, batch, type, flags, sizeof(*ndm));

	if (unlikely(!ndm))
		return NULL;
	ndm->ndm_family = neigh->family;
	ndm->ndm_ifindex = neigh->index;
	/* A proxy entry is of another table. */
	ndm->ndm_flags = neigh->flags & NTF_PROXY;
	nsp_attr_put_address(msg, NDA_DST, neigh->family, neigh->dst);
	return ndm;
}

int nsp_neigh_put(struct nsp_batch *batch, const struct nsp_neigh *neigh, int mode)
{
	uint16_t flags = NLM_F_CREATE | (mode == NSP_PUT_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL);
	struct ndmsg *ndm;
	struct nsp_msg msg;

	if (unlikely(!nsp_address_len(neigh->family) || (neigh->mac_len && neigh->mac_len != sizeof(neigh->mac))))
		return -EINVAL;
	ndm = identity_put(&msg, batch, neigh, RTM_NEWNEIGH, flags);
	if (unlikely(!ndm))
		return -ENOSPC;
	ndm->ndm_state = neigh->state ? neigh->state : NUD_PERMANENT;
	ndm->ndm_flags = neigh->flags;
	if (neigh->mac_len)
		nsp_attr_put(&msg, NDA_LLADDR, neigh->mac, sizeof(neigh->mac));
	if (neigh->proto)
		nsp_attr_put_u8(&msg, NDA_PROTOCOL, neigh->proto);
	return nsp_msg_end(&msg, batch);
}

static int ask(struct nsp_batch *batch, const struct nsp_neigh *neigh, uint16_t type)
{
	struct nsp_msg msg;

	if (!nsp_address_len(neigh->family))
		return -EINVAL;
	if (!identity_put(&msg, batch, neigh, type, 0))
		return -ENOSPC;
	return nsp_msg_end(&msg, batch);
}

int nsp_neigh_delete(struct nsp_batch *batch, const struct nsp_neigh *neigh)
{
	return ask(batch, neigh, RTM_DELNEIGH);
}

int nsp_neigh_get(struct nsp_batch *batch, const struct nsp_neigh *neigh)
{
	return ask(batch, neigh, RTM_GETNEIGH);
}

int nsp_neigh_read(const void *msg, struct nsp_neigh *neigh)
{
	const struct nlmsghdr *head = msg;
	const struct ndmsg *ndm = nsp_msg_body(head, sizeof(*ndm));
	const struct nlattr *attr;
	bool has_dst = false;
	size_t len;

	if (!ndm || (head->nlmsg_type != RTM_NEWNEIGH && head->nlmsg_type != RTM_DELNEIGH))
		return -EINVAL;
	/* AF_BRIDGE: an entry of a forwarding table, which comes in the same messages. */
	len = nsp_address_len(ndm->ndm_family);
	if (!len)
		return -EINVAL;
	*neigh = (struct nsp_neigh){
		.index = ndm->ndm_ifindex,
		.family = ndm->ndm_family,
		.state = ndm->ndm_state,
		.flags = ndm->ndm_flags,
	};
	NSP_ATTR_EACH(attr, head, sizeof(*ndm)) {
		switch (nsp_attr_type(attr)) {
		case NDA_DST:
			has_dst |= nsp_attr_get(attr, neigh->dst, len);
			break;
		case NDA_LLADDR:
			if (nsp_attr_len(attr) == sizeof(neigh->mac) && nsp_attr_get(attr, neigh->mac, sizeof(neigh->mac)))
				neigh->mac_len = sizeof(neigh->mac);
			break;
		case NDA_PROTOCOL:
			nsp_attr_get(attr, &neigh->proto, sizeof(neigh->proto));
			break;
		}
	}
	return has_dst ? 0 : -EINVAL;
}
