/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - RTM_*ROUTE.
 *
 *   | nlmsghdr 16 | rtmsg 12 | RTA_DST 8 or 20 | RTA_OIF 8 | RTA_PRIORITY 8 | RTA_GATEWAY 8 or 20 | ...
 */
#include "kernel/internal.h"

/* The metric that the kernel gives an IPv6 route which came without one. */
#define METRIC_IPV6_DEFAULT 1024

static uint8_t default_scope(const struct nsp_route *route)
{
	if (route->family == AF_INET && !(route->fields & NSP_ROUTE_GATEWAY))
		return RT_SCOPE_LINK;
	return RT_SCOPE_UNIVERSE;
}

/* What says which route is meant. `rtm` is still all zero. */
static inline void identity_put(struct nsp_msg *msg, struct rtmsg *rtm, const struct nsp_route *route, uint32_t metric)
{
	rtm->rtm_family = route->family;
	rtm->rtm_dst_len = route->dst_len;
	rtm->rtm_protocol = route->proto;
	if (route->dst_len)
		nsp_attr_put_address(msg, RTA_DST, route->family, route->dst);
	if (route->table < 256)
		rtm->rtm_table = (uint8_t)route->table;
	else
		nsp_attr_put_u32(msg, RTA_TABLE, route->table);
	if (route->oif)
		nsp_attr_put_s32(msg, RTA_OIF, route->oif);
	if (metric)
		nsp_attr_put_u32(msg, RTA_PRIORITY, metric);
}

static void hops_put(struct nsp_msg *msg, uint8_t family, const struct nsp_hop *hops, uint32_t count)
{
	struct nlattr *nest = nsp_attr_nest(msg, RTA_MULTIPATH);

	for (uint32_t i = 0; i < count; i++) {
		struct rtnexthop *hop = nsp_msg_take(msg, sizeof(*hop));

		if (!hop)
			return;
		*hop = (struct rtnexthop){ .rtnh_flags = hops[i].onlink ? RTNH_F_ONLINK : 0,
					   .rtnh_hops = (uint8_t)(hops[i].weight - 1),
					   .rtnh_ifindex = hops[i].oif };
		nsp_attr_put_address(msg, RTA_GATEWAY, family, hops[i].gateway);
		hop->rtnh_len = (uint16_t)(msg->at - (uint8_t *)hop);
	}
	nsp_attr_nest_end(msg, nest);
}

static inline int route_put(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops, uint32_t count,
			    uint32_t nexthop, uint8_t type, int mode)
{
	uint16_t flags = NLM_F_CREATE | (mode == NSP_PUT_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL);
	struct rtmsg *rtm;
	struct nsp_msg msg;

	if (unlikely(!nsp_address_len(route->family)))
		return -EINVAL;
	rtm = nsp_msg_begin(&msg, batch, RTM_NEWROUTE, flags, sizeof(*rtm));
	if (unlikely(!rtm))
		return -ENOSPC;
	rtm->rtm_type = type;
	rtm->rtm_scope = route->fields & NSP_ROUTE_SCOPE ? route->scope : default_scope(route);
	if (route->fields & NSP_ROUTE_ONLINK)
		rtm->rtm_flags = RTNH_F_ONLINK;
	identity_put(&msg, rtm, route, route->metric);
	if (route->fields & NSP_ROUTE_GATEWAY)
		nsp_attr_put_address(&msg, RTA_GATEWAY, route->family, route->gateway);
	if (route->fields & NSP_ROUTE_SOURCE)
		nsp_attr_put_address(&msg, RTA_PREFSRC, route->family, route->source);
	if (count)
		hops_put(&msg, route->family, hops, count);
	if (nexthop)
		nsp_attr_put_u32(&msg, RTA_NH_ID, nexthop);
	return nsp_msg_end(&msg, batch);
}

int nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode)
{
	return route_put(batch, route, NULL, 0, 0, RTN_UNICAST, mode);
}

/* The route as it is without a next hop of its own. */
static struct nsp_route without_hop(const struct nsp_route *route)
{
	struct nsp_route without = *route;

	without.oif = 0;
	without.fields &= ~(uint32_t)(NSP_ROUTE_GATEWAY | NSP_ROUTE_ONLINK);
	return without;
}

static struct nsp_route with_scope(const struct nsp_route *route)
{
	struct nsp_route with = without_hop(route);

	if (!(with.fields & NSP_ROUTE_SCOPE))
		with.scope = RT_SCOPE_UNIVERSE;
	with.fields |= NSP_ROUTE_SCOPE;
	return with;
}

int nsp_route_put_hops(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops, uint32_t count, int mode)
{
	struct nsp_route with = with_scope(route);

	return route_put(batch, &with, hops, count, 0, RTN_UNICAST, mode);
}

int nsp_route_put_by(struct nsp_batch *batch, const struct nsp_route *route, uint32_t nexthop, int mode)
{
	struct nsp_route with = with_scope(route);

	return route_put(batch, &with, NULL, 0, nexthop, RTN_UNICAST, mode);
}

static bool has_no_hop(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT || type == RTN_THROW;
}

int nsp_route_put_type(struct nsp_batch *batch, const struct nsp_route *route, uint8_t type, int mode)
{
	struct nsp_route with = with_scope(route);

	return has_no_hop(type) ? route_put(batch, &with, NULL, 0, 0, type, mode) : -EINVAL;
}

static int route_delete(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops, uint32_t count)
{
	bool v6 = route->family == AF_INET6;
	uint32_t metric = route->metric;
	struct rtmsg *rtm;
	struct nsp_msg msg;

	if (!nsp_address_len(route->family))
		return -EINVAL;
	rtm = nsp_msg_begin(&msg, batch, RTM_DELROUTE, 0, sizeof(*rtm));
	if (!rtm)
		return -ENOSPC;
	rtm->rtm_scope = RT_SCOPE_NOWHERE; /* any */
	/* Without a metric the kernel deletes the first route of any. For IPv4 that is one of metric 0, if there is one. */
	if (!metric && v6)
		metric = METRIC_IPV6_DEFAULT;
	identity_put(&msg, rtm, route, metric);
	/* Without a gateway an IPv6 route goes with all next hops that others have appended to it. */
	if (v6 && route->fields & NSP_ROUTE_GATEWAY)
		nsp_attr_put_address(&msg, RTA_GATEWAY, route->family, route->gateway);
	if (v6 && count)
		hops_put(&msg, route->family, hops, count);
	return nsp_msg_end(&msg, batch);
}

int nsp_route_delete(struct nsp_batch *batch, const struct nsp_route *route)
{
	return route_delete(batch, route, NULL, 0);
}

int nsp_route_delete_hops(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops, uint32_t count)
{
	struct nsp_route without = without_hop(route);

	if (route->family == AF_INET && count)
		without.oif = hops[0].oif;
	return route_delete(batch, &without, hops, count);
}

/* Where the attributes of several next hops are read into. */
struct hops_read {
	struct nsp_hop *hops;
	uint32_t count, cap;
	bool by;   /* only a route by a nexthop object is asked for */
	bool type; /* only one of a type that has no next hop */
	uint32_t nexthop;
};

static int hop_attrs_read(const uint8_t *at, const uint8_t *end, struct nsp_hop *hop, size_t len)
{
	const struct nlattr *attr;
	bool gateway = false;

	for (attr = (const struct nlattr *)(const void *)at; nsp_attr_ok(attr, end); attr = nsp_attr_next(attr)) {
		if (nsp_attr_type(attr) != RTA_GATEWAY) /* RTA_VIA, RTA_ENCAP, RTA_FLOW */
			return -EOPNOTSUPP;
		gateway = nsp_attr_get(attr, hop->gateway, len);
	}
	return gateway ? 0 : -EOPNOTSUPP;
}

static int several_read(const struct nlattr *attr, struct hops_read *read, size_t len)
{
	const uint8_t *at = (const uint8_t *)(attr + 1), *end = at + nsp_attr_len(attr);
	struct rtnexthop hop;

	for (; (size_t)(end - at) >= sizeof(hop); at += NSP_ALIGN((size_t)hop.rtnh_len)) {
		memcpy(&hop, at, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || NSP_ALIGN((size_t)hop.rtnh_len) > (size_t)(end - at))
			return -EINVAL;
		if (read->count == read->cap)
			return -EOPNOTSUPP;
		struct nsp_hop *into = &read->hops[read->count++];
		*into = (struct nsp_hop){ .oif = hop.rtnh_ifindex,
					  .weight = (uint16_t)(hop.rtnh_hops + 1),
					  .onlink = !!(hop.rtnh_flags & RTNH_F_ONLINK) };
		int ret = hop_attrs_read(at + sizeof(hop), at + hop.rtnh_len, into, len);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What the object stands for; the kernel tells of it too unless net.ipv4.nexthop_compat_mode is 0. */
static bool is_in_object(uint16_t type)
{
	return type == RTA_OIF || type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH || type == RTA_ENCAP ||
	       type == RTA_ENCAP_TYPE;
}

/* Returns 0 where the attribute is read or means nothing here, -EOPNOTSUPP where the route is of a sort that cannot be held. */
static int attr_read(const struct nlattr *attr, struct nsp_route *route, struct hops_read *read, size_t len)
{
	if (read && (read->by || read->type) && is_in_object(nsp_attr_type(attr))) /* of IPv6 a link, which is lo */
		return 0;
	switch (nsp_attr_type(attr)) {
	case RTA_DST:
		return nsp_attr_get(attr, route->dst, len) ? 0 : -EINVAL;
	case RTA_TABLE:
		return nsp_attr_get(attr, &route->table, sizeof(route->table)) ? 0 : -EINVAL;
	case RTA_PRIORITY:
		return nsp_attr_get(attr, &route->metric, sizeof(route->metric)) ? 0 : -EINVAL;
	case RTA_OIF:
		return nsp_attr_get(attr, &route->oif, sizeof(route->oif)) ? 0 : -EINVAL;
	case RTA_GATEWAY:
		route->fields |= NSP_ROUTE_GATEWAY;
		return nsp_attr_get(attr, route->gateway, len) ? 0 : -EINVAL;
	case RTA_PREFSRC:
		route->fields |= NSP_ROUTE_SOURCE;
		return nsp_attr_get(attr, route->source, len) ? 0 : -EINVAL;
	case RTA_MULTIPATH:
		return read ? several_read(attr, read, len) : -EOPNOTSUPP;
	case RTA_NH_ID:
		return read && read->by && nsp_attr_get(attr, &read->nexthop, sizeof(read->nexthop)) ? 0 : -EOPNOTSUPP;
	case RTA_VIA: /* an IPv4 route with an IPv6 gateway */
	case RTA_ENCAP:
	case RTA_SRC:
		return -EOPNOTSUPP;
	default:
		return 0;
	}
}

static int route_read(const void *msg, struct nsp_route *route, struct hops_read *read)
{
	const struct nlmsghdr *head = msg;
	const struct rtmsg *rtm = nsp_msg_body(head, sizeof(*rtm));
	const struct nlattr *attr;
	size_t len;

	if (!rtm || (head->nlmsg_type != RTM_NEWROUTE && head->nlmsg_type != RTM_DELROUTE))
		return -EINVAL;
	len = nsp_address_len(rtm->rtm_family);
	if (!len || (read && read->type ? !has_no_hop(rtm->rtm_type) : rtm->rtm_type != RTN_UNICAST) ||
	    rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_src_len || rtm->rtm_tos)
		return -EOPNOTSUPP;
	if (rtm->rtm_dst_len > len * 8)
		return -EINVAL;
	*route = (struct nsp_route){
		.family = rtm->rtm_family,
		.dst_len = rtm->rtm_dst_len,
		.scope = rtm->rtm_scope,
		.proto = rtm->rtm_protocol,
		.table = rtm->rtm_table,
	};
	NSP_ATTR_EACH(attr, head, sizeof(*rtm)) {
		int ret = attr_read(attr, route, read, len);

		if (ret < 0)
			return ret;
	}
	if (read && (read->by || read->type)) {
		if (read->by && !read->nexthop)
			return -EOPNOTSUPP;
		if (route->scope != RT_SCOPE_UNIVERSE)
			route->fields |= NSP_ROUTE_SCOPE;
		return 0;
	}
	if (read && read->count) {
		route->fields |= NSP_ROUTE_GATEWAY;
		route->oif = read->hops[0].oif;
		memcpy(route->gateway, read->hops[0].gateway, sizeof(route->gateway));
	} else if (rtm->rtm_flags & RTNH_F_ONLINK) {
		route->fields |= NSP_ROUTE_ONLINK;
	}
	/* Named only where it has to be, so that a route reads back as it was put. */
	if (route->scope != default_scope(route))
		route->fields |= NSP_ROUTE_SCOPE;
	return 0;
}

int nsp_route_read(const void *msg, struct nsp_route *route)
{
	return route_read(msg, route, NULL);
}

int nsp_route_read_hops(const void *msg, struct nsp_route *route, struct nsp_hop *hops, uint32_t cap)
{
	struct hops_read read = { .hops = hops, .cap = cap };
	int ret = route_read(msg, route, &read);

	return ret < 0 ? ret : (int)read.count;
}

int nsp_route_read_by(const void *msg, struct nsp_route *route, uint32_t *nexthop)
{
	struct hops_read read = { .by = true };
	int ret = route_read(msg, route, &read);

	*nexthop = read.nexthop;
	return ret;
}

int nsp_route_read_type(const void *msg, struct nsp_route *route)
{
	struct hops_read read = { .type = true };
	int ret = route_read(msg, route, &read);

	return ret < 0 ? ret : ((const struct rtmsg *)nsp_msg_body(msg, sizeof(struct rtmsg)))->rtm_type;
}
