/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in the way: a row met EEXIST. The kernel has no question for one exact route, so its table is read once for all such rows of
 * many batches. Then, by what is found:
 *
 *      nothing (it went meanwhile)             tried once more
 *      ours, of another row                    failed, naming that row, and takes over when that goes
 *      ours, of no row (an earlier life)       replaced
 *      a neighbour that the kernel learned     replaced
 *      somebody else's                         failed, naming it; with `override` remembered and replaced
 */
#include "core/conflict.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/replaced.h"
#include "core/request.h"
#include "core/row.h"
#include "core/slots.h"
#include "wire/key.h"
#include "wire/prefix.h"

static int compare(const void *left, const void *right)
{
	const struct wish *a = &((const struct conflict *)left)->key, *b = &((const struct conflict *)right)->key;
	int order = memcmp(a->dst, b->dst, 16);

	if (!order)
		order = (a->dst_len > b->dst_len) - (a->dst_len < b->dst_len);
	if (!order)
		order = (a->type > b->type) - (a->type < b->type);
	if (!order)
		order = (a->metric > b->metric) - (a->metric < b->metric);
	return order ? order : (a->table > b->table) - (a->table < b->table);
}

struct search {
	struct conflict *conflicts;
	uint32_t count;
	uint8_t type; /* of the routes that are being read */
};

static uint8_t *copy_message(const struct nlmsghdr *msg)
{
	uint8_t *copy = malloc(msg->nlmsg_len);

	if (!copy)
		abort();
	return memcpy(copy, msg, msg->nlmsg_len);
}

static void forget_found(struct search *search)
{
	for (uint32_t i = 0; i < search->count; i++) {
		if (search->conflicts[i].key.type != search->type)
			continue;
		free(search->conflicts[i].found);
		search->conflicts[i].found = NULL;
		search->conflicts[i].beside = false;
	}
}

static const struct nlmsghdr *as_message(const uint8_t *found)
{
	return (const struct nlmsghdr *)(const void *)found;
}

static bool has_gateway(const struct nlmsghdr *msg)
{
	return route_has_attr(msg, RTA_GATEWAY) || route_has_attr(msg, RTA_MULTIPATH);
}

/* Two rows of one batch may be in conflict with one object: they stand side by side. */
static void route_seen(void *arg, uint32_t index, const void *msg)
{
	struct search *search = arg;
	struct conflict wanted;

	(void)index;
	if (!msg) {
		forget_found(search);
		return;
	}
	if (!object_read_key(msg, &wanted.key))
		return;
	struct conflict *hit = bsearch(&wanted, search->conflicts, search->count, sizeof(wanted), compare);
	if (!hit)
		return;
	while (hit > search->conflicts && !compare(hit - 1, &wanted))
		hit--;
	for (; hit < search->conflicts + search->count && !compare(hit, &wanted); hit++) {
		hit->beside = hit->found;
		/* Of one destination and metric there may be an IPv6 route without gateway, and one of several next hops. */
		if (hit->found && (search->type != WISH_ROUTE6 || has_gateway(as_message(hit->found)) == hit->via ||
				   has_gateway(msg) != hit->via))
			continue;
		free(hit->found);
		hit->found = copy_message(msg);
	}
}

static void neigh_seen(void *arg, uint32_t index, const void *msg)
{
	struct conflict **asked = arg;

	if (!asked[index]->found)
		asked[index]->found = copy_message(msg);
}

#define NEIGHS_AT_ONCE 256

/* The kernel has a question for one neighbour. */
static int find_neighs(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct conflict *asked[NEIGHS_AT_ONCE];
	uint8_t buf[NEIGHS_AT_ONCE * 64];
	struct nsp_batch batch;
	int rc = 0;

	for (uint32_t i = 0; i < count && rc >= 0;) {
		nsp_batch_init(&batch, buf, sizeof(buf));
		for (; i < count && batch.count < NEIGHS_AT_ONCE; i++) {
			const struct wish *key = &conflicts[i].key;
			if (WISH_TYPE_IS_ROUTE(key->type))
				continue;
			struct nsp_neigh neigh = { .index = conflicts[i].ifindex,
						   .family = WISH_TYPE_IS_V6(key->type) ? AF_INET6 : AF_INET };
			memcpy(neigh.dst, key->dst, 16);
			asked[batch.count] = &conflicts[i];
			nsp_neigh_get(&batch, &neigh);
		}
		if (batch.count)
			rc = nsp_batch_send(sock, &batch, NULL, neigh_seen, asked, err);
	}
	return rc;
}

static void link_seen(void *arg, uint32_t index, const void *msg)
{
	struct conflict **asked = arg;
	struct nsp_link link;

	if (nsp_link_read(msg, &link) == 0)
		memcpy(asked[index]->link, link.name, sizeof(link.name));
}

#define NAMED_AT_ONCE 64

/* The names of the links of somebody else's routes; one that has gone has none. */
static int find_names(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct conflict *asked[NAMED_AT_ONCE];
	const struct conflict *last = NULL;
	uint8_t buf[NAMED_AT_ONCE * 64];
	struct nsp_batch batch;
	int rc = 0;

	nsp_batch_init(&batch, buf, sizeof(buf));
	for (uint32_t i = 0; i < count && rc >= 0; i++) {
		struct nsp_link link = { .fields = NSP_LINK_INDEX };
		struct object object;
		if (!conflicts[i].found || !object_read(as_message(conflicts[i].found), &object) || !object.ifindex ||
		    !WISH_TYPE_IS_ROUTE(object.wish.type) || object.protocol == NSP_PROTOCOL)
			continue;
		conflicts[i].oif = link.index = object.ifindex;
		if (last && last->oif == object.ifindex)
			continue;
		last = asked[batch.count] = &conflicts[i];
		nsp_link_get(&batch, &link);
		if (batch.count == NAMED_AT_ONCE) {
			rc = nsp_batch_send(sock, &batch, NULL, link_seen, asked, err);
			nsp_batch_reset(&batch);
		}
	}
	if (batch.count && rc >= 0)
		rc = nsp_batch_send(sock, &batch, NULL, link_seen, asked, err);
	last = NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (last && conflicts[i].oif == last->oif && !conflicts[i].link[0])
			memcpy(conflicts[i].link, last->link, sizeof(last->link));
		if (conflicts[i].oif)
			last = &conflicts[i];
	}
	return rc;
}

/* Reads the kernel, without the lock. */
static int find_holders(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct search search = { .conflicts = conflicts, .count = count };
	bool families[2] = { false, false };
	uint32_t table = conflicts[0].key.table;

	qsort(conflicts, count, sizeof(*conflicts), compare);
	for (uint32_t i = 0; i < count; i++)
		if (WISH_TYPE_IS_ROUTE(conflicts[i].key.type))
			families[WISH_TYPE_IS_V6(conflicts[i].key.type)] = true;
	for (uint32_t i = 1; i < count; i++)
		if (conflicts[i].key.table != table)
			table = 0; /* all of them */
	int rc = find_neighs(sock, conflicts, count, err);
	for (int v6 = 0; v6 < 2 && rc >= 0; v6++) {
		search.type = v6 ? WISH_ROUTE6 : WISH_ROUTE4;
		if (families[v6])
			rc = nsp_dump(sock, NSP_DUMP_ROUTES, v6 ? AF_INET6 : AF_INET, 0, table, route_seen, &search, err);
	}
	return rc < 0 ? rc : find_names(sock, conflicts, count, err);
}

/* The slots of a namespace by their links: with thousands of both, conflicts do not look through all slots. */
struct places {
	struct place {
		int32_t ifindex;
		uint32_t slot;
	} *list;
	uint32_t netns, count, cap;
};

static int by_link(const void *left, const void *right)
{
	int32_t a = ((const struct place *)left)->ifindex, b = ((const struct place *)right)->ifindex;

	return (a > b) - (a < b);
}

static struct places find_places(const struct nsp_core *core, uint32_t netns)
{
	struct places places = { .netns = netns };

	for (uint32_t s = core->netns[netns]->first_slot; s; s = core->slots[s]->next) {
		ARRAY_GROW(places.list, places.count, places.cap);
		places.list[places.count++] = (struct place){ core->slots[s]->ifindex, s };
	}
	if (places.count)
		qsort(places.list, places.count, sizeof(*places.list), by_link);
	return places;
}

static uint32_t first_place(const struct places *places, int32_t ifindex)
{
	uint32_t low = 0, high = places->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (places->list[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* On which link the object in the way is; 0 for a route of several. */
static int32_t link_of(const struct conflict *conflict)
{
	struct nsp_route route;

	if (!WISH_TYPE_IS_ROUTE(conflict->key.type))
		return conflict->ifindex;
	return nsp_route_read(conflict->found, &route) < 0 ? 0 : route.oif;
}

/* The row of ours that holds the object: of any slot of the namespace. */
static uint32_t find_row(const struct nsp_core *core, const struct places *places, const struct conflict *conflict)
{
	const struct wish *key = &conflict->key;
	int32_t ifindex = conflict->found ? link_of(conflict) : 0;

	for (uint32_t i = first_place(places, ifindex); conflict->found && i < places->count; i++) {
		const struct slot *slot = core->slots[places->list[i].slot];
		if (ifindex && places->list[i].ifindex != ifindex)
			break;
		if (!slot || !slot->ready || slot->netns != places->netns || slot->ifindex != places->list[i].ifindex)
			continue; /* since then it went */
		uint32_t id =
			table_find(&core->table, places->list[i].slot, key->type, key->dst, key->dst_len, key->metric, key->table);
		if (id && id != conflict->row && table_row(&core->table, id)->flags & ROW_HELD)
			return id;
	}
	return NIL;
}

static const char *protocol_name(uint8_t protocol, char buf[16])
{
	static const struct {
		uint8_t number;
		const char *name;
	} known[] = { { 2, "kernel" }, { 3, "boot" },  { 4, "static" }, { 9, "ra" },	{ 11, "zebra" },
		      { 12, "bird" },  { 16, "dhcp" }, { 186, "bgp" },	{ 188, "ospf" } };

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].number == protocol)
			return known[i].name;
	snprintf(buf, 16, "%u", protocol);
	return buf;
}

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

/* "exists: a route of protocol static, gateway 10.0.0.9, link eth0": what somebody else's object is. */
static void describe(const struct conflict *conflict, char *text, size_t cap)
{
	char protocol[16], ip[INET6_ADDRSTRLEN] = "none";
	struct nsp_route route;
	struct nsp_neigh neigh;

	if (!WISH_TYPE_IS_ROUTE(conflict->key.type)) {
		if (nsp_neigh_read(conflict->found, &neigh) < 0)
			neigh = (struct nsp_neigh){ 0 };
		snprintf(text, cap, "exists: a permanent entry of protocol %s with MAC %02x:%02x:%02x:%02x:%02x:%02x",
			 protocol_name(neigh.proto, protocol), neigh.mac[0], neigh.mac[1], neigh.mac[2], neigh.mac[3], neigh.mac[4],
			 neigh.mac[5]);
		return;
	}
	const struct rtmsg *rtm = nsp_msg_body(as_message(conflict->found), sizeof(*rtm));
	size_t n = (size_t)snprintf(text, cap, "exists: a%s route of protocol %s", type_name(rtm->rtm_type),
				    protocol_name(rtm->rtm_protocol, protocol));
	if (nsp_route_read(conflict->found, &route) == 0) {
		if (route.fields & NSP_ROUTE_GATEWAY)
			prefix_format_ip(ip, WISH_TYPE_IS_V6(conflict->key.type), route.gateway);
		n += (size_t)snprintf(text + n, cap - n, ", gateway %s", ip);
	} else if (route_has_attr(as_message(conflict->found), RTA_NH_ID)) {
		n += (size_t)snprintf(text + n, cap - n, " by a nexthop object");
	} else if (route_has_attr(as_message(conflict->found), RTA_MULTIPATH)) {
		n += (size_t)snprintf(text + n, cap - n, " with several gateways");
	}
	if (conflict->link[0] && rtm->rtm_type == RTN_UNICAST)
		snprintf(text + n, cap - n, ", link %s", conflict->link);
}

static bool is_ours(const struct conflict *conflict)
{
	struct nsp_neigh neigh;

	if (WISH_TYPE_IS_ROUTE(conflict->key.type)) { /* in whatever shape: others may have added next hops to it */
		const struct rtmsg *rtm = nsp_msg_body(as_message(conflict->found), sizeof(*rtm));
		return rtm->rtm_protocol == NSP_PROTOCOL;
	}
	return nsp_neigh_read(conflict->found, &neigh) == 0 &&
	       (neigh.proto == NSP_PROTOCOL || neigh.state != 0x80 /* NUD_PERMANENT */);
}

static void fail_row(struct nsp_core *core, const struct conflict *conflict, struct row *row, const char *text)
{
	row_state(core, conflict->row, row, NSP_STATE_FAILED, EEXIST, text);
	if (conflict->request)
		request_settle(core, conflict->request, row, NSP_STATE_FAILED);
}

/* Writes it again: over what is there, where the row now counts as holding it. */
static void again(struct nsp_core *core, const struct conflict *conflict, struct row *row, bool over)
{
	if (over)
		row->flags |= ROW_HELD;
	row_retry(core, conflict->row, row, conflict->request);
}

/* `error`: why the kernel could not be read, or NULL. */
static void settle(struct nsp_core *core, const struct places *places, struct conflict *conflict, const char *error)
{
	struct row *row = table_row(&core->table, conflict->row);
	char text[NSP_KEY_MAX + 32];

	if (core->slots[row->slot]->generation != conflict->generation || !(row->flags & ROW_WANTED)) {
		bool wanted = row->flags & ROW_WANTED;
		bool same = core->slots[row->slot]->generation == conflict->generation;
		if (same && conflict->found && is_ours(conflict) && !find_row(core, places, conflict))
			row->flags |= ROW_HELD;	  /* it is there after all, and its deletion is queued */
		else if (!same && conflict->lost) /* perhaps it is */
			row_withdraw(core, row, conflict->netns, conflict->ifindex);
		if (conflict->request)
			request_settle(core, conflict->request, row, wanted ? NSP_STATE_PENDING : NSP_STATE_SUPERSEDED);
		if (!wanted && !(row->flags & (ROW_QUEUED | ROW_HELD)))
			row_drop(core, conflict->row, row);
		return;
	}
	if (row->flags & ROW_QUEUED) { /* put again meanwhile: that will show */
		again(core, conflict, row, false);
		return;
	}
	if (error) {
		fail_row(core, conflict, row, error);
		return;
	}
	uint32_t holder = find_row(core, places, conflict);
	if (holder) {
		const struct row *other = table_row(&core->table, holder);
		memcpy(text, "held by ", 8);
		key_format(text + 8, core->slots[other->slot]->key, other->type, other->dst, other->dst_len, other->metric,
			   other->table);
		row_block(core, row);
		fail_row(core, conflict, row, text);
	} else if (!conflict->found && conflict->lost) {
		again(core, conflict, row, false);
	} else if (!conflict->found && !(row->flags & ROW_AGAIN)) {
		row->flags |= ROW_AGAIN;
		again(core, conflict, row, false);
	} else if (!conflict->found) {
		fail_row(core, conflict, row, "exists, but the kernel does not show it");
	} else if (is_ours(conflict)) {
		again(core, conflict, row, true);
	} else if (row->flags & WISH_OVERRIDE) {
		if (replaced_take(core, row, conflict->netns, as_message(conflict->found), conflict->beside))
			again(core, conflict, row, true);
		else if (conflict->request) /* nsp_core_replace */
			row_await_verdict(core, row, conflict->request);
	} else {
		describe(conflict, text, sizeof(text));
		fail_row(core, conflict, row, text);
	}
}

#define SETTLED_AT_ONCE 256

void conflict_resolve(struct nsp_core *core, struct nsp_socket *sock, uint32_t netns, struct conflict *conflicts, uint32_t count,
		      struct nsp_error *err)
{
	core_unlock(core);
	int rc = sock ? find_holders(sock, conflicts, count, err) : -err->code;
	core_lock(core);
	struct places places = find_places(core, netns);
	for (uint32_t i = 0; i < count; i++) {
		struct row *row = table_row(&core->table, conflicts[i].row);
		row->flags &= (uint16_t)~(ROW_SENT | ROW_UNDONE); /* it has just been looked at */
		settle(core, &places, &conflicts[i], rc < 0 ? err->text : NULL);
		free(conflicts[i].found);
		if (i % SETTLED_AT_ONCE == SETTLED_AT_ONCE - 1)
			core_yield(core);
	}
	free(places.list);
}
