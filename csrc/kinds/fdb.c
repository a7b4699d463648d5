/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of forwarding tables: of a bridge, on its port, or with `dst` of a vxlan link itself, which has a table of its own.
 *
 *      of a bridge                       one for a MAC and VLAN, on whatever port; a port that leaves loses those on it
 *      of a vxlan link                   one for a MAC, with one other end
 *      the same of a group or zero MAC   as many as there are other ends: frames go to each
 *
 * The kernel keeps no protocol of them, and its messages name nobody: whoever changed one, the port id is 0.
 */
#include "kinds/filter.h"

#include <linux/neighbour.h>
#include <stdio.h>

struct fdb {
	uint8_t mac[6];
	uint16_t vlan;
	uint32_t src_vni;
	uint8_t self; /* the link's own table: `dst` is given */
	/* Of a group the key goes on. */
	uint8_t dst[16]; /* IPv4 as ::ffff:0:0/96 */
	uint16_t port;
	uint32_t vni;
	/* In any case the value. */
	uint8_t local, sticky, router;
	uint8_t unused; /* a value has four bytes at least */
} __attribute__((packed));

static const uint8_t blank[KIND_BODY_MAX];

/* clang-format off */
static const struct field fields[] = {
	FIELDS_HEAD("fdb", true),
	{ FIELD_NAME("mac"), FIELD_MAC, true, FIELD_AT(struct fdb, mac), .shown = "mac",
	  .about = "to whom the frames are; of all zeros, with `dst`: to whom nothing else is known" },
	{ FIELD_NAME("vlan"), FIELD_NUMBER, FIELD_AT(struct fdb, vlan), .min = 1, .max = 4094, .shown = "integer",
	  .about = "in this VLAN of the bridge; where left out in all of the port" },
	FIELDS_NAMESPACE,
	{ FIELD_NAME("self"), FIELD_FLAG, FIELD_AT(struct fdb, self), .derived = true },
	{ FIELD_NAME("dst"), FIELD_ADDRESS, FIELD_AT(struct fdb, dst), .shown = "address",
	  .about = "of a vxlan interface: the address of the tunnel's other end; without it the entry is the bridge's" },
	{ FIELD_NAME("port"), FIELD_NUMBER, FIELD_AT(struct fdb, port), .min = 1, .max = 65535, .shown = "integer",
	  .about = "its UDP port, where that is not the interface's" },
	{ FIELD_NAME("vni"), FIELD_NUMBER, FIELD_AT(struct fdb, vni), .min = 1, .max = 16777215, .shown = "integer",
	  .about = "its VNI, where that is not the interface's" },
	{ FIELD_NAME("src_vni"), FIELD_NUMBER, FIELD_AT(struct fdb, src_vni), .min = 1, .max = 16777215, .shown = "integer",
	  .about = "of an `external` vxlan: of frames in this VNI" },
	{ FIELD_NAME("local"), FIELD_FLAG, FIELD_AT(struct fdb, local), .shown = "boolean",
	  .about = "frames are for the bridge itself, and are not forwarded (`ip`'s permanent)" },
	{ FIELD_NAME("sticky"), FIELD_FLAG, FIELD_AT(struct fdb, sticky), .shown = "boolean",
	  .about = "stays on its port, wherever frames from the MAC come in" },
	{ FIELD_NAME("router"), FIELD_FLAG, FIELD_AT(struct fdb, router), .shown = "boolean",
	  .about = "of a vxlan with `rsc`: the MAC is a router's" },
	{ FIELD_NAME("override"), FIELD_FLAG, .flag = ITEM_OVERRIDE, .shown = "boolean",
	  .about = "take the place of somebody else's entry, which is put back at the end" },
};
/* clang-format on */

static bool is_zero(const void *bytes, size_t len)
{
	return !memcmp(bytes, blank, len);
}

static bool has_several_ends(const uint8_t *body)
{
	const struct fdb *fdb = (const struct fdb *)body;

	return fdb->self && (fdb->mac[0] & 1 || is_zero(fdb->mac, sizeof(fdb->mac)));
}

static bool settle(struct decoded *decoded, struct fault *fault)
{
	struct fdb *fdb = (struct fdb *)decoded->body;

	fdb->self = !is_zero(fdb->dst, sizeof(fdb->dst));
	if (!fdb->self && (fdb->port || fdb->vni || fdb->src_vni || fdb->router))
		return fault_set(fault, fdb->port ? "port" : fdb->vni ? "vni" : fdb->src_vni ? "src_vni" : "router", "wants a dst");
	if (!fdb->self && is_zero(fdb->mac, sizeof(fdb->mac)))
		return fault_set(fault, "mac", "of all zeros wants a dst");
	if (fdb->self && (fdb->vlan || fdb->local || fdb->sticky))
		return fault_set(fault,
				 fdb->vlan  ? "vlan" :
				 fdb->local ? "local" :
					      "sticky",
				 "is for entries of a bridge, and those have no dst");
	if (fdb->local && fdb->sticky)
		return fault_set(fault, "sticky", "cannot be with local");
	return true;
}

/* ---- messages ----
 *
 * Of a group an entry is appended to what is there already, and that is no error where it is there itself. The state is the one that
 * `bridge fdb` calls static. A link that has no such table refuses it: what is permanent it would take, as one more MAC of its own.
 */
#define STATIC (NUD_NOARP | NUD_REACHABLE)
#define KEPT (NUD_PERMANENT | NUD_NOARP) /* what has neither was learned, or ages */

static int build(struct nsp_batch *batch, const struct fdb *fdb, int32_t ifindex, uint16_t type, uint16_t flags, bool whole)
{
	struct nsp_msg msg;
	struct ndmsg *ndm = nsp_msg_begin(&msg, batch, type, flags, sizeof(*ndm));

	if (!ndm)
		return -ENOSPC;
	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = fdb->self ? NTF_SELF : NTF_MASTER;
	nsp_attr_put(&msg, NDA_LLADDR, fdb->mac, sizeof(fdb->mac));
	if (fdb->vlan)
		nsp_attr_put(&msg, NDA_VLAN, &fdb->vlan, sizeof(fdb->vlan));
	if (fdb->src_vni) /* a question names it otherwise */
		nsp_attr_put_u32(&msg, type == RTM_GETNEIGH ? NDA_VNI : NDA_SRC_VNI, fdb->src_vni);
	if (type == RTM_NEWNEIGH) {
		ndm->ndm_state = fdb->self ? STATIC : fdb->local ? NUD_PERMANENT : NUD_NOARP;
		ndm->ndm_flags |= (uint8_t)((fdb->sticky ? NTF_STICKY : 0) | (fdb->router ? NTF_ROUTER : 0));
	}
	if (fdb->self && whole) {
		bool v4 = fdb->dst[10] && is_zero(fdb->dst, 10);
		nsp_attr_put_address(&msg, NDA_DST, v4 ? AF_INET : AF_INET6, fdb->dst + (v4 ? 12 : 0));
		if (fdb->port)
			nsp_attr_put_be16(&msg, NDA_PORT, fdb->port);
		if (fdb->vni)
			nsp_attr_put_u32(&msg, NDA_VNI, fdb->vni);
	}
	return nsp_msg_end(&msg, batch);
}

static int encode(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex, enum encode_mode mode)
{
	const struct fdb *fdb = (const struct fdb *)item->body;
	bool several = has_several_ends(item->body);

	(void)kind;
	if (mode == ENCODE_DELETE || mode == ENCODE_DELETE_ANY)
		return build(batch, fdb, ifindex, RTM_DELNEIGH, 0, true);
	return build(batch, fdb, ifindex, RTM_NEWNEIGH,
		     NLM_F_CREATE | (several		? NLM_F_APPEND :
				     mode == ENCODE_NEW ? NLM_F_EXCL :
							  NLM_F_REPLACE),
		     true);
}

static int ask(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex)
{
	(void)kind;
	return build(batch, (const struct fdb *)item->body, ifindex, RTM_GETNEIGH, 0, false);
}

/* ---- what the kernel tells ---- */

static void read_attr(const struct nlattr *attr, struct fdb *fdb)
{
	size_t len = nsp_attr_len(attr);
	uint16_t port;

	switch (nsp_attr_type(attr)) {
	case NDA_LLADDR:
		nsp_attr_get(attr, fdb->mac, sizeof(fdb->mac));
		break;
	case NDA_VLAN:
		nsp_attr_get(attr, &fdb->vlan, sizeof(fdb->vlan));
		break;
	case NDA_DST:
		if (len == 4)
			fdb->dst[10] = fdb->dst[11] = 0xff;
		nsp_attr_get(attr, len == 4 ? fdb->dst + 12 : fdb->dst, len == 4 ? 4 : sizeof(fdb->dst));
		break;
	case NDA_PORT:
		if (nsp_attr_get(attr, &port, sizeof(port)))
			fdb->port = ntohs(port);
		break;
	case NDA_VNI:
		nsp_attr_get(attr, &fdb->vni, sizeof(fdb->vni));
		break;
	case NDA_SRC_VNI:
		nsp_attr_get(attr, &fdb->src_vni, sizeof(fdb->src_vni));
		break;
	}
}

/* Of a link's own table those alone that lead somewhere: the others are what it listens to. */
static bool read_fdb(const struct nlmsghdr *msg, struct object *object)
{
	const struct ndmsg *ndm = nsp_msg_body(msg, sizeof(*ndm));
	struct fdb *fdb = (struct fdb *)object->decoded.body;
	const struct nlattr *attr;

	if (!ndm)
		return false;
	NSP_ATTR_EACH(attr, msg, sizeof(*ndm))
		read_attr(attr, fdb);
	fdb->self = !!(ndm->ndm_flags & NTF_SELF);
	fdb->sticky = !!(ndm->ndm_flags & NTF_STICKY) && !fdb->self;
	fdb->router = !!(ndm->ndm_flags & NTF_ROUTER);
	fdb->local = !!(ndm->ndm_state & NUD_PERMANENT) && !fdb->self;
	object->ifindex = ndm->ndm_ifindex;
	object->plain = ndm->ndm_state & KEPT;
	object->foreign = ndm->ndm_flags & NTF_EXT_LEARNED; /* which it stays when it is written over */
	object->gives_way = !object->plain && !object->foreign;
	object->of_link = fdb->self;
	return !fdb->self || !is_zero(fdb->dst, sizeof(fdb->dst));
}

/* What is the interface's own the kernel does not tell of. */
static bool is_as(const uint8_t *wanted_body, const uint8_t *found_body)
{
	const struct fdb *wanted = (const struct fdb *)wanted_body, *found = (const struct fdb *)found_body;

	return !memcmp(wanted->dst, found->dst, sizeof(wanted->dst)) && (!found->port || wanted->port == found->port) &&
	       (!found->vni || wanted->vni == found->vni) && wanted->local == found->local && wanted->sticky == found->sticky &&
	       wanted->router == found->router;
}

static const char *awaits(const uint8_t *key, int error)
{
	return error == EOPNOTSUPP && !((const struct fdb *)key)->self ? "master" : NULL;
}

/* ---- what others do: one that was learned, or that ages, is nobody's ---- */

static const struct sock_filter filter[] = {
	FILTER_LOAD16(FILTER_BODY(ndmsg, ndm_state)),
	FILTER_IF(BPF_JSET, FILTER_HOST16(KEPT), FILTER_PASS, FILTER_DROP),
};

static bool passes_filter(const struct nlmsghdr *msg)
{
	const struct ndmsg *ndm = nsp_msg_body(msg, sizeof(*ndm));

	return ndm && ndm->ndm_state & KEPT;
}

/* ---- in words ---- */

static const char *state_name(const struct ndmsg *ndm)
{
	if (ndm->ndm_flags & NTF_EXT_LEARNED)
		return "an externally learned";
	return ndm->ndm_state & NUD_PERMANENT ? "a permanent" : ndm->ndm_state & NUD_NOARP ? "a static" : "a dynamic";
}

static void describe(const struct nlmsghdr *msg, const char *link, char *text, size_t cap)
{
	static const struct field dst = { FIELD_AT(struct fdb, dst), .type = FIELD_ADDRESS };
	const struct ndmsg *ndm = nsp_msg_body(msg, sizeof(*ndm));
	struct object object;
	char address[54];

	object_read(msg, &object);
	if (((const struct fdb *)object.decoded.body)->self) {
		field_text(&dst, 0, object.decoded.body + dst.offset, address);
		snprintf(text, cap, "exists: %s entry, dst %s", state_name(ndm), address);
	} else {
		snprintf(text, cap, "exists: %s entry%s%s", state_name(ndm), *link ? ", link " : "", link);
	}
}

static void describe_made(const struct kind *kind, const struct object *object, char *text, size_t cap)
{
	const struct fdb *fdb = (const struct fdb *)object->decoded.body;

	(void)kind;
	snprintf(text, cap, "the kernel makes another entry of it: %s%s%s%s", object->plain ? "static" : "dynamic",
		 fdb->local ? ", local" : "", fdb->sticky ? ", sticky" : "", fdb->router ? ", router" : "");
}

/* ---- put back as it was: the kernel tells more of an entry than it takes ---- */

static void keep(struct nsp_batch *batch, const struct nlmsghdr *msg, uint16_t flags)
{
	const struct nlattr *attr;
	struct nsp_msg built;
	struct ndmsg *ndm = nsp_msg_begin(&built, batch, RTM_NEWNEIGH, flags, sizeof(*ndm));

	memcpy(ndm, msg + 1, sizeof(*ndm));
	if (!(ndm->ndm_flags & NTF_SELF))
		ndm->ndm_flags |= NTF_MASTER;
	NSP_ATTR_EACH(attr, msg, sizeof(*ndm)) {
		uint16_t type = nsp_attr_type(attr);
		if (type != NDA_CACHEINFO && type != NDA_MASTER && type != NDA_FLAGS_EXT)
			nsp_attr_put(&built, attr->nla_type, attr + 1, (uint32_t)nsp_attr_len(attr));
	}
	nsp_msg_end(&built, batch);
}

extern const struct kind fdb;
const struct kind fdb = {
	.name = "fdb",
	.key_form = "MAC",
	.family = AF_BRIDGE,
	.key_size = offsetof(struct fdb, dst),
	.long_key_size = offsetof(struct fdb, local),
	.has_long_key = has_several_ends,
	.body_size = sizeof(struct fdb),
	.order = 2,
	.blank = blank,
	.fields = fields,
	.field_count = sizeof(fields) / sizeof(*fields),
	.address = 2,
	.rechecked = NSP_RECHECK_FDB,
	.unmarked = true,
	.kept_otherwise = true,
	.outlives_down = true,
	.settle = settle,
	.encode = encode,
	.ask = ask,
	.awaits = awaits,
	.is_as = is_as,
	.new_type = RTM_NEWNEIGH,
	.del_type = RTM_DELNEIGH,
	.read = read_fdb,
	.group = RTNLGRP_NEIGH,
	.passes_filter = passes_filter,
	.filter = filter,
	.filter_len = sizeof(filter) / sizeof(*filter),
	.dump = NSP_DUMP_NEIGHS,
	.describe = describe,
	.describe_made = describe_made,
	.keep = keep,
};
