/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - RTM_*LINK.
 *
 * A veth pair is one message, sent where the first end is to be:
 *
 *   | nlmsghdr | ifinfomsg | IFLA_IFNAME ... | IFLA_LINKINFO                                                             |
 *                                            | IFLA_INFO_KIND "veth" | IFLA_INFO_DATA                                    |
 *                                                                    | VETH_INFO_PEER                                    |
 *                                                                    | ifinfomsg | IFLA_IFNAME ... | IFLA_NET_NS_FD peer |
 */
#include "kernel/internal.h"

#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>

static bool has(const struct nsp_link *link, uint32_t field)
{
	return link->fields & field;
}

static bool is_text(const char *text, size_t cap)
{
	return text[0] && memchr(text, '\0', cap);
}

static void flags_put(struct ifinfomsg *ifi, const struct nsp_link *link)
{
	if (!has(link, NSP_LINK_UP))
		return;
	ifi->ifi_flags = link->up ? IFF_UP : 0;
	ifi->ifi_change = IFF_UP;
}

/* The attributes that both ends of a new link and a change of one may carry. */
static void attrs_put(struct nsp_msg *msg, const struct nsp_link *link)
{
	if (has(link, NSP_LINK_NAME))
		nsp_attr_put_str(msg, IFLA_IFNAME, link->name);
	if (has(link, NSP_LINK_MTU))
		nsp_attr_put_u32(msg, IFLA_MTU, link->mtu);
	if (has(link, NSP_LINK_MAC))
		nsp_attr_put(msg, IFLA_ADDRESS, link->mac, sizeof(link->mac));
	if (has(link, NSP_LINK_GROUP))
		nsp_attr_put_u32(msg, IFLA_GROUP, link->group);
}

static void addr_gen_mode_put(struct nsp_msg *msg, uint8_t mode)
{
	struct nlattr *families = nsp_attr_nest(msg, IFLA_AF_SPEC);
	struct nlattr *inet6 = nsp_attr_nest(msg, AF_INET6);

	nsp_attr_put(msg, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nsp_attr_nest_end(msg, inet6);
	nsp_attr_nest_end(msg, families);
}

static void peer_put(struct nsp_msg *msg, const struct nsp_link *peer, int peer_netns)
{
	struct nlattr *data = nsp_attr_nest(msg, IFLA_INFO_DATA);
	struct nlattr *nest = nsp_attr_nest(msg, VETH_INFO_PEER);
	struct ifinfomsg *ifi = nsp_msg_take(msg, sizeof(*ifi));

	if (!ifi)
		return;
	memset(ifi, 0, sizeof(*ifi));
	ifi->ifi_index = has(peer, NSP_LINK_INDEX) ? peer->index : 0;
	attrs_put(msg, peer);
	if (peer_netns != NSP_NETNS_CURRENT)
		nsp_attr_put_s32(msg, IFLA_NET_NS_FD, peer_netns);
	nsp_attr_nest_end(msg, nest);
	nsp_attr_nest_end(msg, data);
}

int nsp_link_create(struct nsp_batch *batch, const struct nsp_link *link, const struct nsp_link *peer, int peer_netns)
{
	struct ifinfomsg *ifi;
	struct nlattr *info;
	struct nsp_msg msg;

	if (!has(link, NSP_LINK_NAME) || !is_text(link->name, sizeof(link->name)))
		return -EINVAL;
	if (!has(link, NSP_LINK_KIND) || !is_text(link->kind, sizeof(link->kind)))
		return -EINVAL;
	if (peer && has(peer, NSP_LINK_NAME) && !is_text(peer->name, sizeof(peer->name)))
		return -EINVAL;
	if (peer && peer_netns != NSP_NETNS_CURRENT && nsp_netns_check(peer_netns, NULL) < 0)
		return -EBADF;
	ifi = nsp_msg_begin(&msg, batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
	if (!ifi)
		return -ENOSPC;
	ifi->ifi_index = has(link, NSP_LINK_INDEX) ? link->index : 0;
	flags_put(ifi, link);
	attrs_put(&msg, link);
	if (has(link, NSP_LINK_MASTER) && link->master)
		nsp_attr_put_s32(&msg, IFLA_MASTER, link->master);
	info = nsp_attr_nest(&msg, IFLA_LINKINFO);
	nsp_attr_put_str(&msg, IFLA_INFO_KIND, link->kind);
	if (peer)
		peer_put(&msg, peer, peer_netns);
	nsp_attr_nest_end(&msg, info);
	return nsp_msg_end(&msg, batch);
}

/* Begins a message about one existing link. A name is put here only where it says which link is meant. */
static int begin(struct nsp_msg *msg, struct ifinfomsg **ifi, struct nsp_batch *batch, uint16_t type, const struct nsp_link *link)
{
	bool by_index = has(link, NSP_LINK_INDEX);

	if (by_index ? link->index <= 0 : !has(link, NSP_LINK_NAME))
		return -EINVAL;
	if (has(link, NSP_LINK_NAME) && !is_text(link->name, sizeof(link->name)))
		return -EINVAL;
	*ifi = nsp_msg_begin(msg, batch, type, 0, sizeof(**ifi));
	if (!*ifi)
		return -ENOSPC;
	if (by_index)
		(*ifi)->ifi_index = link->index;
	return 0;
}

int nsp_link_change(struct nsp_batch *batch, const struct nsp_link *link)
{
	struct ifinfomsg *ifi;
	struct nsp_msg msg;
	int ret = begin(&msg, &ifi, batch, RTM_SETLINK, link);

	if (ret < 0)
		return ret;
	flags_put(ifi, link);
	attrs_put(&msg, link);
	if (has(link, NSP_LINK_MASTER))
		nsp_attr_put_s32(&msg, IFLA_MASTER, link->master);
	/* Without its NUL: an alias of length 0 is how one is taken away. */
	if (has(link, NSP_LINK_ALIAS))
		nsp_attr_put(&msg, IFLA_IFALIAS, link->alias, (uint32_t)strnlen(link->alias, sizeof(link->alias)));
	if (has(link, NSP_LINK_ADDR_GEN_MODE))
		addr_gen_mode_put(&msg, link->addr_gen_mode);
	return nsp_msg_end(&msg, batch);
}

int nsp_link_delete(struct nsp_batch *batch, const struct nsp_link *link)
{
	struct ifinfomsg *ifi;
	struct nsp_msg msg;
	int ret = begin(&msg, &ifi, batch, RTM_DELLINK, link);

	if (ret < 0)
		return ret;
	if (!has(link, NSP_LINK_INDEX))
		nsp_attr_put_str(&msg, IFLA_IFNAME, link->name);
	return nsp_msg_end(&msg, batch);
}

int nsp_link_delete_group(struct nsp_batch *batch, uint32_t group)
{
	struct nsp_msg msg;

	if (!nsp_msg_begin(&msg, batch, RTM_DELLINK, 0, sizeof(struct ifinfomsg)))
		return -ENOSPC;
	nsp_attr_put_u32(&msg, IFLA_GROUP, group);
	return nsp_msg_end(&msg, batch);
}

int nsp_link_get(struct nsp_batch *batch, const struct nsp_link *link)
{
	struct ifinfomsg *ifi;
	struct nsp_msg msg;
	int ret = begin(&msg, &ifi, batch, RTM_GETLINK, link);

	if (ret < 0)
		return ret;
	if (!has(link, NSP_LINK_INDEX))
		nsp_attr_put_str(&msg, IFLA_IFNAME, link->name);
	return nsp_msg_end(&msg, batch);
}

static uint32_t kind_read(const struct nlattr *info, struct nsp_link *link)
{
	const struct nlattr *attr;

	NSP_ATTR_EACH_IN(attr, info) {
		if (nsp_attr_type(attr) == IFLA_INFO_KIND) {
			nsp_attr_get_str(attr, link->kind, sizeof(link->kind));
			return NSP_LINK_KIND;
		}
	}
	return 0;
}

static uint32_t addr_gen_mode_read(const struct nlattr *families, struct nsp_link *link)
{
	const struct nlattr *family, *attr;

	NSP_ATTR_EACH_IN(family, families) {
		if (nsp_attr_type(family) != AF_INET6)
			continue;
		NSP_ATTR_EACH_IN(attr, family) {
			if (nsp_attr_type(attr) == IFLA_INET6_ADDR_GEN_MODE)
				return nsp_attr_get(attr, &link->addr_gen_mode, 1) ? NSP_LINK_ADDR_GEN_MODE : 0;
		}
	}
	return 0;
}

static uint32_t altnames_read(const struct nlattr *properties, struct nsp_link *link)
{
	const struct nlattr *attr;
	size_t used = 0;

	NSP_ATTR_EACH_IN(attr, properties) {
		size_t left = sizeof(link->altnames) - 1 - used, len = nsp_attr_len(attr);

		if (nsp_attr_type(attr) != IFLA_ALT_IFNAME || len < 2 || len > left)
			continue;
		nsp_attr_get_str(attr, link->altnames + used, left);
		used += strlen(link->altnames + used) + 1;
	}
	return NSP_LINK_ALTNAMES;
}

static uint32_t attr_read(const struct nlattr *attr, struct nsp_link *link)
{
	switch (nsp_attr_type(attr)) {
	case IFLA_IFNAME:
		nsp_attr_get_str(attr, link->name, sizeof(link->name));
		return NSP_LINK_NAME;
	case IFLA_MTU:
		return nsp_attr_get(attr, &link->mtu, sizeof(link->mtu)) ? NSP_LINK_MTU : 0;
	case IFLA_ADDRESS:
		/* Other kinds of links have addresses of other lengths: 4 (ipip), 16 (ip6tnl), 20 (infiniband). */
		if (nsp_attr_len(attr) != sizeof(link->mac))
			return 0;
		return nsp_attr_get(attr, link->mac, sizeof(link->mac)) ? NSP_LINK_MAC : 0;
	case IFLA_MASTER:
		return nsp_attr_get(attr, &link->master, sizeof(link->master)) ? NSP_LINK_MASTER : 0;
	case IFLA_GROUP:
		return nsp_attr_get(attr, &link->group, sizeof(link->group)) ? NSP_LINK_GROUP : 0;
	case IFLA_IFALIAS:
		nsp_attr_get_str(attr, link->alias, sizeof(link->alias));
		return NSP_LINK_ALIAS;
	case IFLA_LINK:
		return nsp_attr_get(attr, &link->link, sizeof(link->link)) ? NSP_LINK_LINK : 0;
	case IFLA_LINK_NETNSID:
		return nsp_attr_get(attr, &link->link_netnsid, sizeof(link->link_netnsid)) ? NSP_LINK_LINK_NETNSID : 0;
	case IFLA_OPERSTATE:
		return nsp_attr_get(attr, &link->operstate, sizeof(link->operstate)) ? NSP_LINK_OPERSTATE : 0;
	case IFLA_LINKINFO:
		return kind_read(attr, link);
	case IFLA_PROP_LIST:
		return altnames_read(attr, link);
	case IFLA_AF_SPEC:
		return addr_gen_mode_read(attr, link);
	default:
		return 0;
	}
}

int nsp_link_read(const void *msg, struct nsp_link *link)
{
	const struct nlmsghdr *head = msg;
	const struct ifinfomsg *ifi = nsp_msg_body(head, sizeof(*ifi));
	const struct nlattr *attr;

	if (!ifi || (head->nlmsg_type != RTM_NEWLINK && head->nlmsg_type != RTM_DELLINK))
		return -EINVAL;
	memset(link, 0, sizeof(*link));
	link->fields = NSP_LINK_INDEX | NSP_LINK_UP;
	link->index = ifi->ifi_index;
	link->up = !!(ifi->ifi_flags & IFF_UP);
	link->loopback = !!(ifi->ifi_flags & IFF_LOOPBACK);
	/* What a link does not have, the kernel leaves out. A bridge's message about its port leaves out more than that. */
	if (ifi->ifi_family == AF_UNSPEC)
		link->fields |= NSP_LINK_MASTER | NSP_LINK_ALIAS;
	NSP_ATTR_EACH(attr, head, sizeof(*ifi)) {
		link->fields |= attr_read(attr, link);
	}
	return 0;
}
