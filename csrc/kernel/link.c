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
 *
 * What a link is of its kind (IFLA_INFO_DATA), and as a port of its master (IFLA_INFO_SLAVE_DATA), are attributes of which nothing is known
 * here: they are put as they are given and told as they stand.
 */
#include "kernel/internal.h"

#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>

/* Not in the headers of Linux 6.1. */
#define GSO_IPV4_MAX_SIZE 63
#define GRO_IPV4_MAX_SIZE 64

/* Numbers that a link has, or can be given at any time. */
static const struct number {
	uint32_t field;
	uint16_t type;
	size_t at;
} numbers[] = {
	{ NSP_LINK_MTU, IFLA_MTU, offsetof(struct nsp_link, mtu) },
	{ NSP_LINK_GROUP, IFLA_GROUP, offsetof(struct nsp_link, group) },
	{ NSP_LINK_TXQUEUELEN, IFLA_TXQLEN, offsetof(struct nsp_link, txqueuelen) },
	/* First, for the kernel has the IPv4 one follow it. */
	{ NSP_LINK_GSO_MAX_SIZE, IFLA_GSO_MAX_SIZE, offsetof(struct nsp_link, gso_max_size) },
	{ NSP_LINK_GSO_MAX_SEGS, IFLA_GSO_MAX_SEGS, offsetof(struct nsp_link, gso_max_segs) },
	{ NSP_LINK_GRO_MAX_SIZE, IFLA_GRO_MAX_SIZE, offsetof(struct nsp_link, gro_max_size) },
	{ NSP_LINK_GSO_IPV4_MAX_SIZE, GSO_IPV4_MAX_SIZE, offsetof(struct nsp_link, gso_ipv4_max_size) },
	{ NSP_LINK_GRO_IPV4_MAX_SIZE, GRO_IPV4_MAX_SIZE, offsetof(struct nsp_link, gro_ipv4_max_size) },
};
#define NUMBERS (sizeof(numbers) / sizeof(*numbers))

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
	if (has(link, NSP_LINK_MAC))
		nsp_attr_put(msg, IFLA_ADDRESS, link->mac, link->mac_len ? link->mac_len : ETH_ALEN);
	for (size_t i = 0; i < NUMBERS; i++) {
		uint32_t value;

		if (!has(link, numbers[i].field))
			continue;
		memcpy(&value, (const uint8_t *)link + numbers[i].at, sizeof(value));
		nsp_attr_put_u32(msg, numbers[i].type, value);
	}
}

/* Has it what can be put? */
static bool is_whole(const struct nsp_link *link)
{
	if (has(link, NSP_LINK_NAME) && !is_text(link->name, sizeof(link->name)))
		return false;
	if (has(link, NSP_LINK_KIND | NSP_LINK_DATA) && !is_text(link->kind, sizeof(link->kind)))
		return false;
	if (has(link, NSP_LINK_NETNS) && nsp_netns_check(link->netns, NULL) < 0)
		return false;
	return !has(link, NSP_LINK_MAC) || link->mac_len <= sizeof(link->mac);
}

static void raw_put(struct nsp_msg *msg, const struct nsp_attrs *attrs)
{
	void *copy = nsp_msg_take(msg, attrs->len);

	if (copy && attrs->len)
		memcpy(copy, attrs->data, attrs->len);
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
}

int nsp_link_create(struct nsp_batch *batch, const struct nsp_link *link, const struct nsp_link *peer, int netns)
{
	struct nlattr *info, *data;
	struct ifinfomsg *ifi;
	struct nsp_msg msg;

	if (!has(link, NSP_LINK_NAME) || !has(link, NSP_LINK_KIND) || has(link, NSP_LINK_NETNS) || !is_whole(link) ||
	    (peer && !is_whole(peer)))
		return -EINVAL;
	if (netns != NSP_NETNS_CURRENT && nsp_netns_check(netns, NULL) < 0)
		return -EBADF;
	ifi = nsp_msg_begin(&msg, batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
	if (!ifi)
		return -ENOSPC;
	ifi->ifi_index = has(link, NSP_LINK_INDEX) ? link->index : 0;
	flags_put(ifi, link);
	attrs_put(&msg, link);
	if (has(link, NSP_LINK_MASTER) && link->master)
		nsp_attr_put_s32(&msg, IFLA_MASTER, link->master);
	if (has(link, NSP_LINK_LINK))
		nsp_attr_put_s32(&msg, IFLA_LINK, link->link);
	if (has(link, NSP_LINK_LINK_NETNSID))
		nsp_attr_put_s32(&msg, IFLA_LINK_NETNSID, link->link_netnsid);
	if (!peer && netns != NSP_NETNS_CURRENT)
		nsp_attr_put_s32(&msg, IFLA_NET_NS_FD, netns);
	info = nsp_attr_nest(&msg, IFLA_LINKINFO);
	nsp_attr_put_str(&msg, IFLA_INFO_KIND, link->kind);
	data = peer || has(link, NSP_LINK_DATA) ? nsp_attr_nest(&msg, IFLA_INFO_DATA) : NULL;
	if (has(link, NSP_LINK_DATA))
		raw_put(&msg, &link->data);
	if (peer)
		peer_put(&msg, peer, netns);
	nsp_attr_nest_end(&msg, data);
	nsp_attr_nest_end(&msg, info);
	return nsp_msg_end(&msg, batch);
}

/* Begins a message about one existing link. A name is put here only where it says which link is meant. */
static int begin(struct nsp_msg *msg, struct ifinfomsg **ifi, struct nsp_batch *batch, uint16_t type, const struct nsp_link *link)
{
	bool by_index = has(link, NSP_LINK_INDEX);

	if ((by_index ? link->index <= 0 : !has(link, NSP_LINK_NAME)) || !is_whole(link))
		return -EINVAL;
	*ifi = nsp_msg_begin(msg, batch, type, 0, sizeof(**ifi));
	if (!*ifi)
		return -ENOSPC;
	if (by_index)
		(*ifi)->ifi_index = link->index;
	return 0;
}

static void info_put(struct nsp_msg *msg, const struct nsp_link *link)
{
	struct nlattr *info = nsp_attr_nest(msg, IFLA_LINKINFO), *nest;

	if (has(link, NSP_LINK_DATA)) {
		nsp_attr_put_str(msg, IFLA_INFO_KIND, link->kind);
		nest = nsp_attr_nest(msg, IFLA_INFO_DATA);
		raw_put(msg, &link->data);
		nsp_attr_nest_end(msg, nest);
	}
	if (has(link, NSP_LINK_SLAVE_DATA)) {
		nest = nsp_attr_nest(msg, IFLA_INFO_SLAVE_DATA);
		raw_put(msg, &link->slave_data);
		nsp_attr_nest_end(msg, nest);
	}
	nsp_attr_nest_end(msg, info);
}

int nsp_link_change(struct nsp_batch *batch, const struct nsp_link *link)
{
	struct ifinfomsg *ifi;
	struct nsp_msg msg;
	/* RTM_SETLINK does the same at the same cost, but that it does not look into IFLA_LINKINFO. */
	int ret = begin(&msg, &ifi, batch, RTM_NEWLINK, link);

	if (ret < 0)
		return ret;
	flags_put(ifi, link);
	attrs_put(&msg, link);
	if (has(link, NSP_LINK_MASTER))
		nsp_attr_put_s32(&msg, IFLA_MASTER, link->master);
	if (has(link, NSP_LINK_NETNS))
		nsp_attr_put_s32(&msg, IFLA_NET_NS_FD, link->netns);
	/* Without its NUL: an alias of length 0 is how one is taken away. */
	if (has(link, NSP_LINK_ALIAS))
		nsp_attr_put(&msg, IFLA_IFALIAS, link->alias, (uint32_t)strnlen(link->alias, sizeof(link->alias)));
	if (has(link, NSP_LINK_ADDR_GEN_MODE))
		addr_gen_mode_put(&msg, link->addr_gen_mode);
	if (has(link, NSP_LINK_DATA | NSP_LINK_SLAVE_DATA))
		info_put(&msg, link);
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

static int altnames_put(struct nsp_batch *batch, const struct nsp_link *link, uint16_t type, uint16_t flags)
{
	struct ifinfomsg *ifi;
	struct nlattr *nest;
	struct nsp_msg msg;
	int ret = begin(&msg, &ifi, batch, type, link);

	if (ret < 0)
		return ret;
	msg.head->nlmsg_flags |= flags;
	if (!has(link, NSP_LINK_INDEX))
		nsp_attr_put_str(&msg, IFLA_IFNAME, link->name);
	nest = nsp_attr_nest(&msg, IFLA_PROP_LIST | NLA_F_NESTED);
	raw_put(&msg, &link->altnames);
	nsp_attr_nest_end(&msg, nest);
	return nsp_msg_end(&msg, batch);
}

int nsp_link_altnames_add(struct nsp_batch *batch, const struct nsp_link *link)
{
	return altnames_put(batch, link, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
}

int nsp_link_altnames_delete(struct nsp_batch *batch, const struct nsp_link *link)
{
	return altnames_put(batch, link, RTM_DELLINKPROP, 0);
}

static int vlans_put(struct nsp_batch *batch, const struct nsp_link *link, uint16_t type)
{
	struct ifinfomsg *ifi;
	struct nlattr *nest;
	struct nsp_msg msg;
	int ret = has(link, NSP_LINK_INDEX) ? begin(&msg, &ifi, batch, type, link) : -EINVAL;

	if (ret < 0)
		return ret;
	ifi->ifi_family = AF_BRIDGE;
	nest = nsp_attr_nest(&msg, IFLA_AF_SPEC | NLA_F_NESTED);
	raw_put(&msg, &link->vlans);
	nsp_attr_nest_end(&msg, nest);
	return nsp_msg_end(&msg, batch);
}

int nsp_link_vlans_add(struct nsp_batch *batch, const struct nsp_link *link)
{
	return vlans_put(batch, link, RTM_SETLINK);
}

int nsp_link_vlans_delete(struct nsp_batch *batch, const struct nsp_link *link)
{
	return vlans_put(batch, link, RTM_DELLINK);
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

static uint32_t attrs_read(const struct nlattr *nest, struct nsp_attrs *attrs, uint32_t field)
{
	*attrs = (struct nsp_attrs){ .data = nest + 1, .len = (uint32_t)nsp_attr_len(nest) };
	return field;
}

static uint32_t info_read(const struct nlattr *info, struct nsp_link *link)
{
	const struct nlattr *attr;
	uint32_t fields = 0;

	NSP_ATTR_EACH_IN(attr, info) {
		switch (nsp_attr_type(attr)) {
		case IFLA_INFO_KIND:
			nsp_attr_get_str(attr, link->kind, sizeof(link->kind));
			fields |= NSP_LINK_KIND;
			break;
		case IFLA_INFO_DATA:
			fields |= attrs_read(attr, &link->data, NSP_LINK_DATA);
			break;
		case IFLA_INFO_SLAVE_KIND:
			nsp_attr_get_str(attr, link->slave_kind, sizeof(link->slave_kind));
			fields |= NSP_LINK_SLAVE_KIND;
			break;
		case IFLA_INFO_SLAVE_DATA:
			fields |= attrs_read(attr, &link->slave_data, NSP_LINK_SLAVE_DATA);
			break;
		}
	}
	return fields;
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

/* What a driver says of the bridge in its hardware has flags in front. */
static uint32_t vlans_read(const struct nlattr *spec, struct nsp_link *link)
{
	const struct nlattr *attr;

	NSP_ATTR_EACH_IN(attr, spec) {
		if (nsp_attr_type(attr) == IFLA_BRIDGE_FLAGS) {
			link->fields &= ~NSP_LINK_VLANS;
			return 0;
		}
	}
	return attrs_read(spec, &link->vlans, NSP_LINK_VLANS);
}

static uint32_t number_read(const struct nlattr *attr, struct nsp_link *link)
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (numbers[i].type == nsp_attr_type(attr))
			return nsp_attr_get(attr, (uint8_t *)link + numbers[i].at, sizeof(uint32_t)) ? numbers[i].field : 0;
	return 0;
}

static uint32_t mac_read(const struct nlattr *attr, struct nsp_link *link)
{
	size_t len = nsp_attr_len(attr);

	if (len == 0 || len > sizeof(link->mac))
		return 0;
	memcpy(link->mac, attr + 1, len);
	link->mac_len = (uint8_t)len;
	return NSP_LINK_MAC;
}

static uint32_t attr_read(const struct nlattr *attr, struct nsp_link *link)
{
	switch (nsp_attr_type(attr)) {
	case IFLA_IFNAME:
		nsp_attr_get_str(attr, link->name, sizeof(link->name));
		return NSP_LINK_NAME;
	case IFLA_ADDRESS:
		return mac_read(attr, link);
	case IFLA_MASTER:
		return nsp_attr_get(attr, &link->master, sizeof(link->master)) ? NSP_LINK_MASTER : 0;
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
		return info_read(attr, link);
	case IFLA_PARENT_DEV_NAME:
		nsp_attr_get_str(attr, link->parent_dev, sizeof(link->parent_dev));
		return NSP_LINK_PARENT_DEV;
	case IFLA_PROP_LIST:
		return attrs_read(attr, &link->altnames, NSP_LINK_ALTNAMES);
	case IFLA_AF_SPEC:
		return has(link, NSP_LINK_VLANS) ? vlans_read(attr, link) : addr_gen_mode_read(attr, link);
	default:
		return number_read(attr, link);
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
	if (ifi->ifi_family == AF_BRIDGE)
		link->fields |= NSP_LINK_VLANS;
	NSP_ATTR_EACH(attr, head, sizeof(*ifi)) {
		link->fields |= attr_read(attr, link);
	}
	return 0;
}

static void attrs_keep(struct nsp_link *link, uint32_t field, struct nsp_attrs *attrs, struct nsp_room *room)
{
	uint32_t len = NSP_ALIGN(attrs->len), at;

	if (!has(link, field))
		return;
	if (!attrs->len) {
		attrs->data = NULL;
		return;
	}
	if (room) {
		at = room->len;
		room->len += len;
		if (room->buf && room->len <= room->cap) {
			attrs->data = memcpy((uint8_t *)room->buf + at, attrs->data, attrs->len);
			return;
		}
	}
	link->fields &= ~field;
	*attrs = (struct nsp_attrs){ 0 };
}

void nsp_link_keep(struct nsp_link *link, struct nsp_room *room)
{
	attrs_keep(link, NSP_LINK_DATA, &link->data, room);
	attrs_keep(link, NSP_LINK_SLAVE_DATA, &link->slave_data, room);
	attrs_keep(link, NSP_LINK_ALTNAMES, &link->altnames, room);
	attrs_keep(link, NSP_LINK_VLANS, &link->vlans, room);
}
