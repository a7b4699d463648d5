/* SPDX-License-Identifier: Apache-2.0 */
/* Routes and neighbours as the kernel tells of them, in the words of a row. */
#include "core/object.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <stdio.h>

#include "wire/prefix.h"

static bool is_route(const struct nlmsghdr *msg)
{
	return msg->nlmsg_type == RTM_NEWROUTE || msg->nlmsg_type == RTM_DELROUTE;
}

bool route_has_attr(const struct nlmsghdr *msg, uint16_t type)
{
	const struct nlattr *attr;

	NSP_ATTR_EACH(attr, msg, sizeof(struct rtmsg))
		if (nsp_attr_type(attr) == type)
			return true;
	return false;
}

bool object_read_key(const struct nlmsghdr *msg, struct wish *key)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	const struct nlattr *attr;

	if (!is_route(msg) || !rtm || rtm->rtm_tos || (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return false;
	*key = (struct wish){
		.type = rtm->rtm_family == AF_INET ? WISH_ROUTE4 : WISH_ROUTE6,
		.dst_len = rtm->rtm_dst_len,
		.table = rtm->rtm_table,
	};
	NSP_ATTR_EACH(attr, msg, sizeof(*rtm)) {
		if (nsp_attr_type(attr) == RTA_DST)
			nsp_attr_get(attr, key->dst, nsp_address_len(rtm->rtm_family));
		else if (nsp_attr_type(attr) == RTA_PRIORITY)
			nsp_attr_get(attr, &key->metric, sizeof(key->metric));
		else if (nsp_attr_type(attr) == RTA_TABLE)
			nsp_attr_get(attr, &key->table, sizeof(key->table));
	}
	return true;
}

/* Of a route of several next hops the first is the one that has the route's protocol: IPv6 routes are put together from single ones. */
static void read_first_hop(const struct nlmsghdr *msg, struct object *object)
{
	struct rtnexthop hop;
	const struct nlattr *attr, *inner;

	NSP_ATTR_EACH(attr, msg, sizeof(struct rtmsg)) {
		if (nsp_attr_type(attr) != RTA_MULTIPATH || !nsp_attr_get(attr, &hop, sizeof(hop)) || hop.rtnh_len < sizeof(hop) ||
		    hop.rtnh_len > nsp_attr_len(attr))
			continue;
		object->several = true;
		object->ifindex = hop.rtnh_ifindex;
		const uint8_t *at = (const uint8_t *)(attr + 1) + sizeof(hop), *end = at + hop.rtnh_len - sizeof(hop);
		for (inner = (const struct nlattr *)(const void *)at; nsp_attr_ok(inner, end); inner = nsp_attr_next(inner))
			if (nsp_attr_type(inner) == RTA_GATEWAY &&
			    nsp_attr_get(inner, object->wish.via, WISH_TYPE_IS_V6(object->wish.type) ? 16 : 4))
				object->wish.flags |= WISH_VIA;
	}
}

static bool read_route(const struct nlmsghdr *msg, struct object *object)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	struct wish *wish = &object->wish;
	struct nsp_route route;

	if (!object_read_key(msg, wish))
		return false;
	object->protocol = rtm->rtm_protocol;
	if (nsp_route_read(msg, &route) < 0) { /* of several gateways, or of a type that no row has */
		read_first_hop(msg, object);
		return true;
	}
	object->plain = true;
	object->ifindex = route.oif;
	wish->scope = route.scope;
	if (route.fields & NSP_ROUTE_GATEWAY)
		wish->flags |= WISH_VIA;
	if (route.fields & NSP_ROUTE_ONLINK)
		wish->flags |= WISH_ONLINK;
	if (route.fields & NSP_ROUTE_SOURCE)
		wish->flags |= WISH_SOURCE;
	if (route.fields & NSP_ROUTE_SCOPE)
		wish->flags |= WISH_SCOPE;
	memcpy(wish->via, route.gateway, 16);
	memcpy(wish->source, route.source, 16);
	return true;
}

static bool read_neigh(const struct nlmsghdr *msg, struct object *object)
{
	struct nsp_neigh neigh;

	if (nsp_neigh_read(msg, &neigh) < 0 || neigh.flags & NTF_PROXY)
		return false;
	bool v6 = neigh.family == AF_INET6;
	object->ifindex = neigh.index;
	object->protocol = neigh.proto;
	object->plain = neigh.state == NUD_PERMANENT;
	object->gone = msg->nlmsg_type == RTM_DELNEIGH || neigh.state == NUD_FAILED || neigh.state == NUD_NONE;
	object->wish.type = v6 ? WISH_ARP6 : WISH_ARP4;
	object->wish.dst_len = v6 ? 128 : 32;
	object->wish.flags = WISH_VIA;
	memcpy(object->wish.dst, neigh.dst, 16);
	memcpy(object->wish.via, neigh.mac, 6);
	return true;
}

bool object_read(const struct nlmsghdr *msg, struct object *object)
{
	*object = (struct object){ .gone = msg->nlmsg_type == RTM_DELROUTE };
	return is_route(msg) ? read_route(msg, object) : read_neigh(msg, object);
}

/* What the kernel has where the row names none. */
static uint8_t scope_of(uint32_t flags, uint8_t scope)
{
	return flags & WISH_SCOPE ? scope : flags & WISH_VIA ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
}

bool object_is(const struct table *table, const struct object *object, const struct row *row)
{
	const struct wish *wish = &object->wish;
	uint32_t flags = WISH_VIA | WISH_ONLINK | WISH_SOURCE;

	if (!object->plain || (row->flags & flags) != (wish->flags & flags) || memcmp(row->via, wish->via, 16))
		return false;
	if (row->flags & WISH_SOURCE && memcmp(table->extras[row->extra].source, wish->source, 16))
		return false;
	return row->type != WISH_ROUTE4 || scope_of(row->flags, row->scope) == scope_of(wish->flags, wish->scope);
}

void object_describe(const struct object *object, char *text, size_t cap)
{
	const struct wish *wish = object ? &object->wish : NULL;
	char ip[INET6_ADDRSTRLEN] = "none", source[INET6_ADDRSTRLEN] = "none";

	if (!object) {
		snprintf(text, cap, "the kernel took it, and has it not");
	} else if (!WISH_TYPE_IS_ROUTE(wish->type)) {
		snprintf(text, cap, "the kernel makes another entry of it: %s, MAC %02x:%02x:%02x:%02x:%02x:%02x",
			 object->plain ? "permanent" : "not permanent", wish->via[0], wish->via[1], wish->via[2], wish->via[3],
			 wish->via[4], wish->via[5]);
	} else {
		if (wish->flags & WISH_VIA)
			prefix_format_ip(ip, WISH_TYPE_IS_V6(wish->type), wish->via);
		if (wish->flags & WISH_SOURCE)
			prefix_format_ip(source, WISH_TYPE_IS_V6(wish->type), wish->source);
		snprintf(text, cap, "the kernel makes another route of it: gateway %s, source %s, scope %u%s", ip, source,
			 wish->scope, object->plain ? "" : ", of another type");
	}
}
