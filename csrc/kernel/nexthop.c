/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.c - RTM_*NEXTHOP: next hops that many routes share, by their number.
 *
 *   | nlmsghdr 16 | nhmsg 8 | NHA_ID 8 | NHA_OIF 8 | NHA_GATEWAY 8 or 20 |        one
 *   | nlmsghdr 16 | nhmsg 8 | NHA_ID 8 | NHA_GROUP, 8 a member |                  several
 */
#include "kernel/internal.h"

#include <linux/nexthop.h>

static struct nhmsg *put_begin(struct nsp_msg *msg, struct nsp_batch *batch, uint32_t id, int mode)
{
	uint16_t flags = NLM_F_CREATE | (mode == NSP_PUT_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL);
	struct nhmsg *nhm = nsp_msg_begin(msg, batch, RTM_NEWNEXTHOP, flags, sizeof(*nhm));

	if (nhm)
		nsp_attr_put_u32(msg, NHA_ID, id);
	return nhm;
}

int nsp_nexthop_put(struct nsp_batch *batch, const struct nsp_nexthop *nexthop, int mode)
{
	struct nsp_msg msg;

	if (!nsp_address_len(nexthop->family))
		return -EINVAL;
	struct nhmsg *nhm = put_begin(&msg, batch, nexthop->id, mode);
	if (!nhm)
		return -ENOSPC;
	nhm->nh_family = nexthop->family;
	nhm->nh_protocol = nexthop->proto;
	nhm->nh_flags = nexthop->hop.onlink ? RTNH_F_ONLINK : 0;
	nsp_attr_put_s32(&msg, NHA_OIF, nexthop->hop.oif);
	nsp_attr_put_address(&msg, NHA_GATEWAY, nexthop->family, nexthop->hop.gateway);
	return nsp_msg_end(&msg, batch);
}

int nsp_nexthop_put_group(struct nsp_batch *batch, uint32_t id, uint8_t proto, const struct nsp_nexthop_member *members,
			  uint32_t count, int mode)
{
	struct nsp_msg msg;
	struct nhmsg *nhm = put_begin(&msg, batch, id, mode);

	if (!nhm)
		return -ENOSPC;
	nhm->nh_protocol = proto;
	struct nlattr *group = nsp_attr_nest(&msg, NHA_GROUP);
	for (uint32_t i = 0; i < count; i++) {
		struct nexthop_grp *member = nsp_msg_take(&msg, sizeof(*member));

		if (!member)
			break;
		*member = (struct nexthop_grp){ .id = members[i].id, .weight = (uint8_t)(members[i].weight - 1) };
	}
	nsp_attr_nest_end(&msg, group);
	return nsp_msg_end(&msg, batch);
}

int nsp_nexthop_delete(struct nsp_batch *batch, uint32_t id)
{
	struct nsp_msg msg;

	if (!nsp_msg_begin(&msg, batch, RTM_DELNEXTHOP, 0, sizeof(struct nhmsg)))
		return -ENOSPC;
	nsp_attr_put_u32(&msg, NHA_ID, id);
	return nsp_msg_end(&msg, batch);
}

static int group_read(const struct nlattr *attr, struct nsp_nexthop_member *members, uint32_t cap)
{
	const struct nexthop_grp *from = (const struct nexthop_grp *)(const void *)(attr + 1);
	size_t count = nsp_attr_len(attr) / sizeof(*from);

	if (count > cap)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < count; i++)
		members[i] = (struct nsp_nexthop_member){ .id = from[i].id, .weight = (uint16_t)(from[i].weight + 1) };
	return (int)count;
}

int nsp_nexthop_read(const void *msg, struct nsp_nexthop *nexthop, struct nsp_nexthop_member *members, uint32_t cap)
{
	const struct nlmsghdr *head = msg;
	const struct nhmsg *nhm = nsp_msg_body(head, sizeof(*nhm));
	const struct nlattr *attr;
	bool gateway = false;
	int count = 0, odd = 0;

	if (!nhm || (head->nlmsg_type != RTM_NEWNEXTHOP && head->nlmsg_type != RTM_DELNEXTHOP))
		return -EINVAL;
	*nexthop = (struct nsp_nexthop){ .family = nhm->nh_family,
					 .proto = nhm->nh_protocol,
					 .hop = { .weight = 1, .onlink = !!(nhm->nh_flags & RTNH_F_ONLINK) } };
	NSP_ATTR_EACH(attr, head, sizeof(*nhm)) {
		switch (nsp_attr_type(attr)) {
		case NHA_ID:
			if (!nsp_attr_get(attr, &nexthop->id, sizeof(nexthop->id)))
				return -EINVAL;
			break;
		case NHA_OIF:
			if (!nsp_attr_get(attr, &nexthop->hop.oif, sizeof(nexthop->hop.oif)))
				return -EINVAL;
			break;
		case NHA_GATEWAY: {
			size_t len = nsp_address_len(nhm->nh_family);

			gateway = len && nsp_attr_len(attr) == len && nsp_attr_get(attr, nexthop->hop.gateway, len);
			break;
		}
		case NHA_GROUP:
			count = group_read(attr, members, cap);
			break;
		case NHA_GROUP_TYPE:
			odd |= nsp_attr_len(attr) < 2 || *(const uint16_t *)(const void *)(attr + 1) != NEXTHOP_GRP_TYPE_MPATH;
			break;
		case NHA_BLACKHOLE:
		case NHA_ENCAP:
		case NHA_FDB:
			odd = 1;
		}
	}
	if (!nexthop->id)
		return -EINVAL;
	return count < 0 || odd || (!count && !gateway) ? -EOPNOTSUPP : count;
}
