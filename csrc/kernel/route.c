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

int nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode)
{
	uint16_t flags = NLM_F_CREATE | (mode == NSP_PUT_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL);
	struct rtmsg *rtm;
	struct nsp_msg msg;

	if (unlikely(!nsp_address_len(route->family)))
		return -EINVAL;
	rtm = nsp_msg_begin(&msg, batch, RTM_NEWROUTE, flags, sizeof(*rtm));
	if (unlikely(!rtm))
		return -ENOSPC;
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_scope = route->fields & NSP_ROUTE_SCOPE ? route->scope : default_scope(route);
	if (route->fields & NSP_ROUTE_ONLINK)
		rtm->rtm_flags = RTNH_F_ONLINK;
	identity_put(&msg, rtm, route, route->metric);
	if (route->fields & NSP_ROUTE_GATEWAY)
		nsp_attr_put_address(&msg, RTA_GATEWAY, route->family, route->gateway);
	if (route->fields & NSP_ROUTE_SOURCE)
		nsp_attr_put_address(&msg, RTA_PREFSRC, route->family, route->source);
	return nsp_msg_end(&msg, batch);
}

int nsp_route_delete(struct nsp_batch *batch, const struct nsp_route *route)
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
	return nsp_msg_end(&msg, batch);
}

/* Returns 0 where the attribute is read or means nothing here, -EOPNOTSUPP where the route is of a sort that cannot be held. */
static int attr_read(const struct nlattr *attr, struct nsp_route *route, size_t len)
{
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
	case RTA_NH_ID:
	case RTA_VIA: /* an IPv4 route with an IPv6 gateway */
	case RTA_ENCAP:
	case RTA_SRC:
		return -EOPNOTSUPP;
	default:
		return 0;
	}
}

int nsp_route_read(const void *msg, struct nsp_route *route)
{
	const struct nlmsghdr *head = msg;
	const struct rtmsg *rtm = nsp_msg_body(head, sizeof(*rtm));
	const struct nlattr *attr;
	size_t len;

	if (!rtm || (head->nlmsg_type != RTM_NEWROUTE && head->nlmsg_type != RTM_DELROUTE))
		return -EINVAL;
	len = nsp_address_len(rtm->rtm_family);
	if (!len || rtm->rtm_type != RTN_UNICAST || rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_src_len || rtm->rtm_tos)
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
		int ret = attr_read(attr, route, len);

		if (ret < 0)
			return ret;
	}
	if (rtm->rtm_flags & RTNH_F_ONLINK)
		route->fields |= NSP_ROUTE_ONLINK;
	/* Named only where it has to be, so that a route reads back as it was put. */
	if (route->scope != default_scope(route))
		route->fields |= NSP_ROUTE_SCOPE;
	return 0;
}
