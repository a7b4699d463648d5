/* SPDX-License-Identifier: Apache-2.0 */
/* Routes, IPv4 and IPv6. */
#include "kinds/route.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "kinds/filter.h"
#include "kinds/kind.h"
#include "kinds/protocol.h"
#include "wire/prefix.h"

#define ROUTE_ONLINK ITEM_OWN
#define ROUTE_SCOPE ITEM_GIVEN /* it was given; the value has it in any case */

#define METRIC6 1024 /* what the kernel gives an IPv6 route that came without one */

struct route4 {
	uint8_t dst[4], dst_len;
	uint32_t metric, table;
	uint8_t scope;
	uint32_t set;
} __attribute__((packed));

struct route6 {
	uint8_t dst[16], dst_len;
	uint32_t metric, table;
	uint32_t set;
} __attribute__((packed));

static const union {
	uint8_t body[KIND_BODY_MAX];
	struct route4 route4;
	struct route6 route6;
} blank4 = { .route4 = { .table = RT_TABLE_MAIN } }, blank6 = { .route6 = { .table = RT_TABLE_MAIN, .metric = METRIC6 } };

static const struct field_word scopes[] = { { "global", RT_SCOPE_UNIVERSE },
					    { "site", RT_SCOPE_SITE },
					    { "link", RT_SCOPE_LINK },
					    { "host", RT_SCOPE_HOST },
					    { NULL, 0 } };

static const struct field_word types[] = {
	{ "unicast", RTN_UNICAST },   { "blackhole", RTN_BLACKHOLE }, { "unreachable", RTN_UNREACHABLE },
	{ "prohibit", RTN_PROHIBIT }, { "throw", RTN_THROW },	      { NULL, 0 }
};

/* clang-format off */
#define FIELDS(layout, scope_at, scope_size) {                                                                                     \
	FIELDS_HEAD("route", false),                                                                                                      \
	{ FIELD_NAME("dst"), FIELD_PREFIX, true, FIELD_AT(layout, dst), .shown = "prefix",                                         \
	  .about = "the destination network, 10.0.0.0/8 or fd00::/8; an address alone is a host route" },                          \
	{ FIELD_NAME("gateway"), FIELD_GATEWAY, FIELD_AT(layout, set), .flag = ITEM_GATEWAY, .waits = true,                       \
	  .shown = "address", .about = "the next hop, of the destination's family; without it the destination is on the link" },   \
	{ FIELD_NAME("nexthops"), FIELD_HOPS, FIELD_AT(layout, set), .shown = "nexthops",                                          \
	  .about = "2 to 64 next hops between which traffic is divided, in the place of `gateway`; their order says nothing" },    \
	{ FIELD_NAME("type"), FIELD_TYPE, .words = types, .shown = "type",                                                         \
	  .about = "unicast where left out; blackhole, unreachable, prohibit or throw in the place of an interface" },             \
	{ FIELD_NAME("metric"), FIELD_NUMBER, FIELD_AT(layout, metric), .max = UINT32_MAX, .shown = "integer",                     \
	  .about = "0 to 4294967295; IPv4 0, IPv6 1024 where left out or 0" },                                                     \
	{ FIELD_NAME("table"), FIELD_NUMBER, FIELD_AT(layout, table), .min = 1, .max = UINT32_MAX, .waits = true,                  \
	  .shown = "integer", .about = "the routing table, 1 to 4294967295; left out, or 254: that of the vrf that the interface is in, or else main" }, \
	FIELDS_NAMESPACE,                                                                                                          \
	{ FIELD_NAME("prefsrc"), FIELD_HOST, .flag = ITEM_SOURCE, .shown = "address", .about = "the preferred source address" },   \
	{ FIELD_NAME("scope"), FIELD_NUMBER, .offset = scope_at, .size = scope_size, .flag = ROUTE_SCOPE, .max = 254,              \
	  .words = scopes, .waits = true, .shown = "string or integer",                                                            \
	  .about = "global, site, link, host or a number to 254; IPv4 only" },                                                     \
	{ FIELD_NAME("onlink"), FIELD_FLAG, .flag = ROUTE_ONLINK, .shown = "boolean",                                              \
	  .about = "believe that the gateway is on the link, though no route says so" },                                           \
	{ FIELD_NAME("override"), FIELD_FLAG, .flag = ITEM_OVERRIDE, .shown = "boolean",                                           \
	  .about = "take the place of somebody else's route, which is put back at the end" },                                      \
}
/* clang-format on */

static const struct field fields4[] = FIELDS(struct route4, offsetof(struct route4, scope), 1);
static const struct field fields6[] = FIELDS(struct route6, 0, 0);

static bool settle(struct decoded *decoded, struct fault *fault)
{
	if (!(decoded->flags & ROUTE_ONLINK))
		return true;
	if (decoded->hops_len != 1 + hop_size(kinds[decoded->kind]->family))
		return fault_set(fault, "onlink",
				 decoded->hops_len > HOPS_TYPE_SIZE ? "stands in each of nexthops" : "wants a gateway");
	decoded->hops[decoded->hops_len - 1] = RTNH_F_ONLINK;
	return true;
}

static bool settle4(struct decoded *decoded, struct fault *fault)
{
	struct route4 *route = (struct route4 *)decoded->body;

	if (!(decoded->flags & ROUTE_SCOPE))
		route->scope = decoded->hops_len ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	return settle(decoded, fault);
}

static bool settle6(struct decoded *decoded, struct fault *fault)
{
	struct route6 *route = (struct route6 *)decoded->body;

	if (decoded->flags & ROUTE_SCOPE)
		return fault_set(fault, "scope", "is for IPv4 routes only");
	if (!route->metric)
		route->metric = METRIC6;
	return settle(decoded, fault);
}

static void unpack(const struct kind *kind, const uint8_t *body, struct nsp_route *route)
{
	const struct route4 *from4 = (const struct route4 *)body;
	const struct route6 *from6 = (const struct route6 *)body;

	route->family = kind->family;
	if (kind->family == AF_INET) {
		route->dst_len = from4->dst_len;
		route->metric = from4->metric;
		route->table = from4->table;
		route->scope = from4->scope;
		memcpy(route->dst, from4->dst, 4);
	} else {
		route->dst_len = from6->dst_len;
		route->metric = from6->metric;
		route->table = from6->table;
		memcpy(route->dst, from6->dst, 16);
	}
}

static int encode(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex, enum encode_mode mode)
{
	struct nsp_route route = { .proto = NSP_PROTOCOL, .oif = ifindex };
	bool deletes = mode == ENCODE_DELETE || mode == ENCODE_DELETE_ANY;
	bool by_links = hops_have_links(item->hops, item->hops_len);
	bool any = mode == ENCODE_DELETE_ANY || item->nexthop || (deletes && by_links);
	unsigned count = any ? 0 : hops_count(item->hops, item->hops_len);
	struct nsp_hop hops[HOPS_MAX];

	unpack(kind, item->body, &route);
	if (count == 1) {
		route.fields |= NSP_ROUTE_GATEWAY;
		memcpy(route.gateway, hops_address(item->hops, 0), nsp_address_len(kind->family));
	}
	for (unsigned i = 0; i < count && count > 1; i++) {
		hops_get(item->hops, i, &hops[i]);
		if (!by_links)
			hops[i].oif = ifindex;
	}
	/* An IPv4 route by an object is not one of a link. */
	if (deletes && item->by_object && kind->family == AF_INET) {
		route.oif = 0;
		return nsp_route_delete(batch, &route);
	}
	if (deletes)
		return count > 1 ? nsp_route_delete_hops(batch, &route, hops, count) : nsp_route_delete(batch, &route);
	if (item->flags & ROUTE_ONLINK)
		route.fields |= NSP_ROUTE_ONLINK;
	if (item->flags & ROUTE_SCOPE)
		route.fields |= NSP_ROUTE_SCOPE;
	if (item->flags & ITEM_SOURCE) {
		route.fields |= NSP_ROUTE_SOURCE;
		memcpy(route.source, item->source, 16);
	}
	int put = mode == ENCODE_NEW ? NSP_PUT_NEW : NSP_PUT_REPLACE;
	uint8_t type = hops_type(item->hops, item->hops_len);
	if (unlikely(type != RTN_UNICAST))
		return nsp_route_put_type(batch, &route, type, put);
	if (item->nexthop)
		return nsp_route_put_by(batch, &route, item->nexthop, put);
	return count > 1 ? nsp_route_put_hops(batch, &route, hops, count, put) : nsp_route_put(batch, &route, put);
}

/* Of metric 0 the kernel deletes the first of any metric: it has no way to say 0. */
static bool is_exact4(const uint8_t *key)
{
	return ((const struct route4 *)key)->metric;
}

/* ---- what the kernel tells ---- */

static const struct nlattr *find_attr(const struct nlmsghdr *msg, uint16_t type)
{
	const struct nlattr *attr;

	NSP_ATTR_EACH(attr, msg, sizeof(struct rtmsg))
		if (nsp_attr_type(attr) == type)
			return attr;
	return NULL;
}

bool route_read_key(const struct nlmsghdr *msg, struct nsp_route *route)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	const struct nlattr *attr;

	if ((msg->nlmsg_type != RTM_NEWROUTE && msg->nlmsg_type != RTM_DELROUTE) || !rtm || rtm->rtm_tos ||
	    !nsp_address_len(rtm->rtm_family))
		return false;
	*route = (struct nsp_route){
		.family = rtm->rtm_family,
		.dst_len = rtm->rtm_dst_len,
		.table = rtm->rtm_table,
	};
	NSP_ATTR_EACH(attr, msg, sizeof(*rtm)) {
		if (nsp_attr_type(attr) == RTA_DST)
			nsp_attr_get(attr, route->dst, nsp_address_len(rtm->rtm_family));
		else if (nsp_attr_type(attr) == RTA_PRIORITY)
			nsp_attr_get(attr, &route->metric, sizeof(route->metric));
		else if (nsp_attr_type(attr) == RTA_TABLE)
			nsp_attr_get(attr, &route->table, sizeof(route->table));
	}
	return true;
}

/* Of a route of several next hops the first is the one that has the route's protocol: IPv6 routes are put together from single ones. */
static bool read_first_hop(const struct nlmsghdr *msg, struct nsp_route *route)
{
	const struct nlattr *attr = find_attr(msg, RTA_MULTIPATH), *inner;
	struct rtnexthop hop;

	if (!attr || !nsp_attr_get(attr, &hop, sizeof(hop)) || hop.rtnh_len < sizeof(hop) || hop.rtnh_len > nsp_attr_len(attr))
		return false;
	route->oif = hop.rtnh_ifindex;
	const uint8_t *at = (const uint8_t *)(attr + 1) + sizeof(hop), *end = at + hop.rtnh_len - sizeof(hop);
	for (inner = (const struct nlattr *)(const void *)at; nsp_attr_ok(inner, end); inner = nsp_attr_next(inner))
		if (nsp_attr_type(inner) == RTA_GATEWAY && nsp_attr_get(inner, route->gateway, nsp_address_len(route->family)))
			route->fields |= NSP_ROUTE_GATEWAY;
	return true;
}

static void pack(const struct nsp_route *route, uint8_t *body)
{
	if (route->family == AF_INET) {
		struct route4 *to = (struct route4 *)body;
		*to = (struct route4){
			.dst_len = route->dst_len, .metric = route->metric, .table = route->table, .scope = route->scope
		};
		memcpy(to->dst, route->dst, 4);
	} else {
		struct route6 *to = (struct route6 *)body;
		*to = (struct route6){ .dst_len = route->dst_len, .metric = route->metric, .table = route->table };
		memcpy(to->dst, route->dst, 16);
	}
}

/* Has somebody appended a next hop to one of ours? It comes first then. */
static bool is_appended(const struct nlmsghdr *msg)
{
	return msg->nlmsg_type == RTM_NEWROUTE && (msg->nlmsg_flags & (NLM_F_REPLACE | NLM_F_APPEND)) == NLM_F_APPEND;
}

static bool are_on_one_link(const struct nsp_hop *hops, int count)
{
	for (int i = 1; i < count; i++)
		if (hops[i].oif != hops[0].oif)
			return false;
	return true;
}

static void take_hops(struct object *object, uint8_t family, const struct nsp_hop *hops, unsigned count)
{
	struct decoded *decoded = &object->decoded;
	bool by_links = !are_on_one_link(hops, (int)count);

	decoded->hops_len = by_links ? hops_pack_links(object->hops, family, hops, NULL, count) :
				       hops_pack(object->hops, family, hops, count);
	if (by_links)
		object->ifindex = 0;
	if (decoded->hops_len <= HOPS_SHORT)
		memcpy(decoded->hops, object->hops, decoded->hops_len);
	else
		memset(decoded->hops, 0, sizeof(decoded->hops)); /* it begins there */
}

/* All but its next hops. */
static void take_route(struct object *object, uint8_t protocol, const struct nsp_route *route)
{
	object->protocol = protocol;
	object->ifindex = route->oif;
	if (route->fields & NSP_ROUTE_SOURCE)
		object->decoded.flags |= ITEM_SOURCE;
	if (route->fields & NSP_ROUTE_SCOPE)
		object->decoded.flags |= ROUTE_SCOPE;
	memcpy(object->decoded.source, route->source, 16);
	pack(route, object->decoded.body);
}

uint32_t route_nexthop(const struct nlmsghdr *msg)
{
	const struct nlattr *attr = nsp_msg_body(msg, sizeof(struct rtmsg)) ? find_attr(msg, RTA_NH_ID) : NULL;
	uint32_t id = 0;

	if (attr)
		nsp_attr_get(attr, &id, sizeof(id));
	return id;
}

static bool read_route(const struct nlmsghdr *msg, struct object *object)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	struct nsp_hop hops[HOPS_MAX];
	struct nsp_route route;
	int count = nsp_route_read_hops(msg, &route, hops, HOPS_MAX);

	if (count < 0 && nsp_route_read_by(msg, &route, &object->nexthop) == 0) {
		take_route(object, rtm->rtm_protocol, &route);
		object->by_object = true;
		return true;
	}
	int type = count < 0 ? nsp_route_read_type(msg, &route) : -EOPNOTSUPP;

	if (type >= 0) {
		take_route(object, rtm->rtm_protocol, &route);
		object->decoded.hops_len = hops_pack_type(object->decoded.hops, (uint8_t)type);
		object->plain = true;
		return true;
	}
	object->plain = count >= 0;
	object->several = count > 0;
	if (count < 0) { /* of hops on no link or by tunnels, or of a type that no row has */
		if (!route_read_key(msg, &route))
			return false;
		object->several = read_first_hop(msg, &route);
	}
	take_route(object, rtm->rtm_protocol, &route);
	if (route.family == AF_INET6 && object->several && is_appended(msg)) {
		object->protocol = NSP_PROTOCOL;
		object->ifindex = 0;
	}
	if (route.fields & NSP_ROUTE_GATEWAY)
		object->decoded.flags |= ITEM_GATEWAY;
	if (count > 0)
		take_hops(object, route.family, hops, (unsigned)count);
	else if (route.fields & NSP_ROUTE_GATEWAY)
		object->decoded.hops_len =
			hops_pack_one(object->decoded.hops, route.family, route.gateway, route.fields & NSP_ROUTE_ONLINK);
	if (route.fields & NSP_ROUTE_ONLINK)
		object->decoded.flags |= ROUTE_ONLINK;
	return true;
}

/* Of a route that it drops the kernel tells, but not of IPv4: there it is ioctl(2), for which nobody is named either. */
static bool read_route6(const struct nlmsghdr *msg, struct object *object)
{
	object->by_kernel = !msg->nlmsg_pid;
	return read_route(msg, object);
}

/* Of one destination and metric there may be an IPv6 route without gateway, and one of several next hops: the kernel replaces one of the
 * same sort. */
static bool is_replaced6(const struct nlmsghdr *msg, uint8_t flags)
{
	bool inline_gateway = !find_attr(msg, RTA_NH_ID) && (find_attr(msg, RTA_GATEWAY) || find_attr(msg, RTA_MULTIPATH));

	return inline_gateway == !!(flags & ITEM_GATEWAY);
}

/* ---- what others do ----
 *
 *      RTM_NEWROUTE that replaced nothing               left out, unless it was appended: an IPv6 one becomes a next hop of another
 *      RTM_DELROUTE of another protocol than ours       left out
 */
static const struct sock_filter filter[] = {
	FILTER_LOAD16(FILTER_HEAD(nlmsg_type)),
	FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_DELROUTE), 2, 0),
	FILTER_LOAD16(FILTER_HEAD(nlmsg_flags)),
	FILTER_IF(BPF_JSET, FILTER_HOST16(NLM_F_REPLACE | NLM_F_APPEND), FILTER_PASS, FILTER_DROP),
	FILTER_LOAD8(FILTER_BODY(rtmsg, rtm_protocol)),
	FILTER_IF(BPF_JEQ, NSP_PROTOCOL, FILTER_PASS, FILTER_DROP),
};

static bool passes_filter(const struct nlmsghdr *msg)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));

	if (!rtm)
		return false;
	if (msg->nlmsg_type == RTM_DELROUTE)
		return rtm->rtm_protocol == NSP_PROTOCOL;
	return msg->nlmsg_flags & NLM_F_REPLACE ||
	       (rtm->rtm_family == AF_INET6 && is_appended(msg) && find_attr(msg, RTA_MULTIPATH));
}

/* ---- in words ---- */

/* " blackhole", or "" for a common one. */
static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[RTN_LOCAL] = " local",		[RTN_BROADCAST] = " broadcast", [RTN_ANYCAST] = "n anycast",
		[RTN_MULTICAST] = " multicast", [RTN_BLACKHOLE] = " blackhole", [RTN_UNREACHABLE] = "n unreachable",
		[RTN_PROHIBIT] = " prohibit",	[RTN_THROW] = " throw",		[RTN_NAT] = " nat",
	};

	return type < sizeof(names) / sizeof(*names) && names[type] ? names[type] : "";
}

static const char *ip_text(uint8_t family, const uint8_t *ip, bool given, char buf[INET6_ADDRSTRLEN])
{
	if (!given)
		return "none";
	prefix_format_ip(buf, family == AF_INET6, ip);
	return buf;
}

/* Behind what is there; what has no room is cut off. */
static void append(char *text, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t cap, const char *format, ...)
{
	size_t n = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + n, cap - n, format, args);
	va_end(args);
}

static void describe(const struct nlmsghdr *msg, const char *link, char *text, size_t cap)
{
	const struct rtmsg *rtm = nsp_msg_body(msg, sizeof(*rtm));
	char protocol[16], ip[INET6_ADDRSTRLEN];
	struct nsp_route route;

	snprintf(text, cap, "exists: a%s route of protocol %s", type_name(rtm->rtm_type),
		 protocol_name(rtm->rtm_protocol, protocol));
	if (nsp_route_read(msg, &route) == 0)
		append(text, cap, ", gateway %s", ip_text(route.family, route.gateway, route.fields & NSP_ROUTE_GATEWAY, ip));
	else if (find_attr(msg, RTA_NH_ID))
		append(text, cap, " by a nexthop object");
	else if (find_attr(msg, RTA_MULTIPATH))
		append(text, cap, " with several gateways");
	if (*link && rtm->rtm_type == RTN_UNICAST)
		append(text, cap, ", link %s", link);
}

static void describe_made(const struct kind *kind, const struct object *object, char *text, size_t cap)
{
	char gateway[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN];
	const uint8_t *set = decoded_hops(&object->decoded, object->hops);
	unsigned count = hops_count(set, object->decoded.hops_len);
	struct nsp_route route = { 0 };

	unpack(kind, object->decoded.body, &route);
	uint8_t type = hops_type(set, object->decoded.hops_len);
	if (type != RTN_UNICAST) {
		snprintf(text, cap, "the kernel makes a%s route of it", type_name(type));
		return;
	}
	const char *to = count > 1 ? "several" : ip_text(route.family, count ? hops_address(set, 0) : NULL, count, gateway);
	snprintf(text, cap, "the kernel makes another route of it: gateway %s, source %s, scope %u%s", to,
		 ip_text(route.family, object->decoded.source, object->decoded.flags & ITEM_SOURCE, source), route.scope,
		 object->plain ? "" : ", of another type");
}

/* ---- put back as it was: the kernel tells more of a route than it takes ----
 *
 *      flags that it sets itself, such as linkdown       left out, of each next hop too
 *      what a nexthop object stands for                  left out: the object's number says it
 *      how long it has to live                           counted on from when it was read, and then it is not put back
 */
#define FLAGS_KEPT (RTNH_F_ONLINK | RTNH_F_PERVASIVE)
#define CLOCK_TICKS 100 /* USER_HZ */

static void clear_hop_flags(uint8_t *hops, size_t len)
{
	struct rtnexthop hop;

	for (size_t at = 0; at + sizeof(hop) <= len; at += NSP_ALIGN((size_t)hop.rtnh_len)) {
		memcpy(&hop, hops + at, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop))
			return;
		hop.rtnh_flags &= FLAGS_KEPT;
		memcpy(hops + at, &hop, sizeof(hop));
	}
}

static void copy_attr(struct nsp_msg *msg, const struct nlattr *attr, bool by_object)
{
	const struct rta_cacheinfo *info = (const struct rta_cacheinfo *)(const void *)(attr + 1);
	uint8_t *data = msg->at + sizeof(*attr);

	switch (nsp_attr_type(attr)) {
	case RTA_CACHEINFO:
		if (nsp_attr_len(attr) >= sizeof(*info) && info->rta_expires > 0)
			nsp_attr_put_u32(msg, RTA_EXPIRES, ((uint32_t)info->rta_expires + CLOCK_TICKS - 1) / CLOCK_TICKS);
		return;
	case RTA_OIF:
	case RTA_GATEWAY:
	case RTA_VIA:
	case RTA_MULTIPATH:
	case RTA_ENCAP:
	case RTA_ENCAP_TYPE:
		if (by_object)
			return;
	}
	nsp_attr_put(msg, attr->nla_type, attr + 1, (uint32_t)nsp_attr_len(attr));
	if (nsp_attr_type(attr) == RTA_MULTIPATH && msg->head)
		clear_hop_flags(data, nsp_attr_len(attr));
}

static void keep(struct nsp_batch *batch, const struct nlmsghdr *msg, uint16_t flags)
{
	const struct nlattr *attr;
	struct nsp_msg built;
	struct rtmsg *rtm = nsp_msg_begin(&built, batch, RTM_NEWROUTE, flags, sizeof(*rtm));

	memcpy(rtm, msg + 1, sizeof(*rtm));
	rtm->rtm_flags &= FLAGS_KEPT;
	NSP_ATTR_EACH(attr, msg, sizeof(*rtm))
		copy_attr(&built, attr, find_attr(msg, RTA_NH_ID));
	nsp_msg_end(&built, batch);
}

static bool age(struct nlmsghdr *msg, uint32_t seconds)
{
	struct nlattr *attr = (struct nlattr *)(uintptr_t)find_attr(msg, RTA_EXPIRES);
	uint32_t left;

	if (!attr || !nsp_attr_get(attr, &left, sizeof(left)))
		return true;
	if (left <= seconds)
		return false;
	left -= seconds;
	memcpy(attr + 1, &left, sizeof(left));
	return true;
}

#define KEY_SIZE(layout) (offsetof(layout, table) + sizeof(((layout *)0)->table))
#define ROUTE(version, its_family)                                                                                                 \
	.name = "route", .key_form = "NETWORK/LENGTH", .family = its_family, .key_size = KEY_SIZE(struct route##version),          \
	.set = offsetof(struct route##version, set), .inline_flags = ROUTE_SCOPE, .onlink_flag = ROUTE_ONLINK,                     \
	.body_size = sizeof(struct route##version), .blank = blank##version.body, .address = 2, .fields = fields##version,         \
	.field_count = sizeof(fields##version) / sizeof(*fields##version), .rechecked = NSP_RECHECK_ROUTES##version,               \
	.makes_reachable = true, .deletes_ours = true, .echoed = true, .settle = settle##version, .encode = encode,                \
	.table = offsetof(struct route##version, table), .new_type = RTM_NEWROUTE, .del_type = RTM_DELROUTE,                       \
	.passes_filter = passes_filter, .filter = filter, .filter_len = sizeof(filter) / sizeof(*filter), .dump = NSP_DUMP_ROUTES, \
	.dump_protocol = NSP_PROTOCOL, .describe = describe, .describe_made = describe_made, .keep = keep, .age = age

extern const struct kind route4, route6;
const struct kind route4 = { ROUTE(4, AF_INET), .read = read_route, .is_exact = is_exact4, .deletes_spread = true,
			     .group = RTNLGRP_IPV4_ROUTE };
const struct kind route6 = { ROUTE(6, AF_INET6), .read = read_route6, .by_gateway = true, .is_replaced = is_replaced6,
			     .group = RTNLGRP_IPV6_ROUTE };
