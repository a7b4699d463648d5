/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours: ARP entries and those of IPv6. */
#include "kinds/filter.h"

#include <linux/neighbour.h>
#include <stdio.h>

#include "kinds/protocol.h"

struct arp4 {
	uint8_t ip[4], mac[6];
} __attribute__((packed));

struct arp6 {
	uint8_t ip[16], mac[6];
} __attribute__((packed));

static const uint8_t blank[KIND_BODY_MAX];

/* clang-format off */
#define FIELDS(layout) {                                                                                                           \
	FIELDS_HEAD("arp", true),                                                                                                        \
	{ FIELD_NAME("ip"), FIELD_HOST, true, FIELD_AT(layout, ip), .shown = "address",                                            \
	  .about = "the neighbour's address, IPv4 or IPv6" },                                                                      \
	{ FIELD_NAME("mac"), FIELD_MAC, true, FIELD_AT(layout, mac), .shown = "mac",                                               \
	  .about = "the neighbour's link-layer address, six bytes" },                                                              \
	FIELDS_NAMESPACE,                                                                                                          \
	{ FIELD_NAME("override"), FIELD_FLAG, .flag = ITEM_OVERRIDE, .shown = "boolean",                                           \
	  .about = "take the place of somebody else's permanent entry, which is put back at the end" },                            \
}
/* clang-format on */

static const struct field fields4[] = FIELDS(struct arp4);
static const struct field fields6[] = FIELDS(struct arp6);

static struct nsp_neigh neigh_of(uint8_t family, const uint8_t *key, int32_t ifindex)
{
	struct nsp_neigh neigh = { .index = ifindex, .family = family };

	memcpy(neigh.dst, key, nsp_address_len(family));
	return neigh;
}

static int encode(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex, enum encode_mode mode)
{
	struct nsp_neigh neigh = neigh_of(kind->family, item->body, ifindex);

	if (mode == ENCODE_DELETE || mode == ENCODE_DELETE_ANY)
		return nsp_neigh_delete(batch, &neigh);
	neigh.proto = NSP_PROTOCOL;
	neigh.mac_len = 6;
	memcpy(neigh.mac, item->body + kind->key_size, 6);
	return nsp_neigh_put(batch, &neigh, mode == ENCODE_NEW ? NSP_PUT_NEW : NSP_PUT_REPLACE);
}

static int ask(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex)
{
	struct nsp_neigh neigh = neigh_of(kind->family, item->body, ifindex);

	return nsp_neigh_get(batch, &neigh);
}

static bool read_neigh(const struct nlmsghdr *msg, struct object *object)
{
	struct nsp_neigh neigh;

	if (nsp_neigh_read(msg, &neigh) < 0 || neigh.flags & NTF_PROXY)
		return false;
	size_t len = nsp_address_len(neigh.family);
	object->ifindex = neigh.index;
	object->protocol = neigh.proto;
	object->plain = neigh.state == NUD_PERMANENT;
	object->gives_way = !object->plain;
	object->gone = msg->nlmsg_type == RTM_DELNEIGH || neigh.state == NUD_FAILED || neigh.state == NUD_NONE;
	object->by_kernel = !msg->nlmsg_pid && msg->nlmsg_type == RTM_DELNEIGH;
	memcpy(object->decoded.body, neigh.dst, len);
	memcpy(object->decoded.body + len, neigh.mac, 6);
	return true;
}

/* ---- what others do ----
 *
 *      by nobody (port id 0)                     left out, unless of our protocol: by ioctl(2), or gone with their link
 *      RTM_DELNEIGH of one that had failed       left out: the last word on a deletion, after RTM_NEWNEIGH has named its author
 */
static const struct sock_filter filter[] = {
	FILTER_LOAD16(FILTER_HEAD(nlmsg_type)),
	FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_DELNEIGH), 0, 2),
	FILTER_LOAD16(FILTER_BODY(ndmsg, ndm_state)),
	FILTER_IF(BPF_JEQ, FILTER_HOST16(NUD_FAILED), FILTER_DROP, 0),
	FILTER_LOAD32(FILTER_HEAD(nlmsg_pid)),
	FILTER_IF(BPF_JEQ, 0, 0, FILTER_PASS),
	BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, NDA_PROTOCOL),
	BPF_STMT(BPF_LD | BPF_W | BPF_IMM, NLMSG_HDRLEN + sizeof(struct ndmsg)),
	FILTER_LOAD32((uint32_t)SKF_AD_OFF + SKF_AD_NLATTR),
	FILTER_IF(BPF_JEQ, 0, FILTER_DROP, 0),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_B | BPF_IND, sizeof(struct nlattr)),
	FILTER_IF(BPF_JEQ, NSP_PROTOCOL, FILTER_PASS, FILTER_DROP),
};

static bool passes_filter(const struct nlmsghdr *msg)
{
	struct nsp_neigh neigh;

	return nsp_neigh_read(msg, &neigh) == 0 && (msg->nlmsg_pid || neigh.proto == NSP_PROTOCOL) &&
	       (msg->nlmsg_type == RTM_NEWNEIGH || neigh.state != NUD_FAILED);
}

/* ---- in words ---- */

static const char *mac_text(const uint8_t *mac, char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return text;
}

static void describe(const struct nlmsghdr *msg, const char *link, char *text, size_t cap)
{
	char protocol[16], mac[18];
	struct nsp_neigh neigh;

	(void)link;
	if (nsp_neigh_read(msg, &neigh) < 0)
		neigh = (struct nsp_neigh){ 0 };
	snprintf(text, cap, "exists: a permanent entry of protocol %s with MAC %s", protocol_name(neigh.proto, protocol),
		 mac_text(neigh.mac, mac));
}

static void describe_made(const struct kind *kind, const struct object *object, char *text, size_t cap)
{
	char mac[18];

	snprintf(text, cap, "the kernel makes another entry of it: %s, MAC %s", object->plain ? "permanent" : "not permanent",
		 mac_text(object->decoded.body + kind->key_size, mac));
}

#define ARP(version, its_family)                                                                                                   \
	.name = "arp", .key_form = "ADDRESS", .family = its_family, .key_size = offsetof(struct arp##version, mac),                \
	.body_size = sizeof(struct arp##version), .blank = blank, .address = 2, .fields = fields##version,                         \
	.field_count = sizeof(fields##version) / sizeof(*fields##version), .rechecked = NSP_RECHECK_NEIGHS, .order = 2,            \
	.per_link = true, .kept_otherwise = true, .encode = encode, .ask = ask, .new_type = RTM_NEWNEIGH,                          \
	.del_type = RTM_DELNEIGH, .group = RTNLGRP_NEIGH, .passes_filter = passes_filter, .filter = filter,                        \
	.filter_len = sizeof(filter) / sizeof(*filter), .read = read_neigh, .dump = NSP_DUMP_NEIGHS, .describe = describe,         \
	.describe_made = describe_made

extern const struct kind arp4, arp6;
const struct kind arp4 = { ARP(4, AF_INET) };
const struct kind arp6 = { ARP(6, AF_INET6) };
