/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind.h - what a bulk kind says of itself. Everything else is the same for all of them.
 *
 * What is wanted of an item lies in a body of plain bytes, the key in front of the value, where the kind's field table says. Two items are
 * the same where these bytes are.
 *
 * A kind is what items of one `kind` and one address family are: "route" is two of them, side by side, which differ in where their fields
 * lie.
 */
#ifndef NSP_KIND_H
#define NSP_KIND_H

#include "kernel/internal.h"
#include "nsplane/core.h"

#include "kinds/field.h"
#include "kinds/hops.h"
#include "wire/fault.h"

struct sock_filter;

#define KINDS_MAX 8
#define KIND_BODY_MAX 48
#define KIND_FIELDS_MAX 16
#define KIND_REQUIRED_MAX 4   /* of the fields in front: behind them none is required */
#define KIND_MESSAGE_MAX 2048 /* that puts or deletes an object, with as many next hops as it may have */

/* What is given, of the fields that need not be. They are the low bits of a row's flags. */
enum item_flag {
	ITEM_GATEWAY = 0x1,   /* goes by a gateway, which the kernel may not find yet or come to refuse */
	ITEM_OWN = 0x2,	      /* the kind's own */
	ITEM_SOURCE = 0x4,    /* has a preferred source, and goes with that address */
	ITEM_GIVEN = 0x8,     /* the kind's own: a field was given, and not filled in */
	ITEM_OVERRIDE = 0x10, /* takes the place of somebody else's object */
};
#define ITEM_FLAGS 0x1f

/* An item, wherever it lies. */
struct item {
	uint8_t kind;
	uint8_t flags;
	const uint8_t *body;
	const uint8_t *source; /* where ITEM_SOURCE is set */
	const uint8_t *hops;   /* where ITEM_GATEWAY is: see hops.h */
	uint32_t hops_len;
	uint32_t nexthop; /* the object that stands for them, by which it is put, or 0 */
	bool by_object;	  /* of a deletion: it was put by one, perhaps */
};

/* An item as it was decoded. */
struct decoded {
	uint8_t kind;
	uint8_t flags;
	uint16_t hops_len; /* of its set of next hops */
	uint32_t index;	   /* position in the request */
	uint32_t offset;   /* and in the block that stands there, or NSP_NO_OFFSET */
	uint32_t slot;	   /* offset of the slot's key in the frame's text */
	uint8_t source[16];
	uint8_t hops[HOPS_SHORT]; /* the set, or where it is longer its offset in the frame's text */
	uint8_t body[KIND_BODY_MAX];
};

/* Its set of next hops; `text`: the frame's, or where the longer set of an object is. */
static inline const uint8_t *decoded_hops(const struct decoded *decoded, const uint8_t *text)
{
	uint32_t offset;

	if (decoded->hops_len <= HOPS_SHORT)
		return decoded->hops;
	memcpy(&offset, decoded->hops, sizeof(offset));
	return text + offset;
}

static inline struct item decoded_item(const struct decoded *decoded, const uint8_t *text)
{
	return (struct item){ .kind = decoded->kind,
			      .flags = decoded->flags,
			      .body = decoded->body,
			      .source = decoded->source,
			      .hops = decoded_hops(decoded, text),
			      .hops_len = decoded->hops_len };
}

/* An object as the kernel tells of it. */
struct object {
	struct decoded decoded;
	int32_t ifindex;
	uint8_t protocol;
	bool plain;	  /* one that a row can mean; of another nothing but its key is known */
	uint32_t nexthop; /* the object by which a route goes, or 0: what that stands for is not known yet */
	bool several;	  /* a route of several next hops: the first, which has the protocol, is in `decoded` and `ifindex` */
	bool gone;	  /* it was deleted */
	bool by_kernel;	  /* of what was heard: the kernel did it by itself */
	bool gives_way;	  /* nobody has put it there, and it may be written over */
	bool foreign;	  /* somebody else's for certain, though it is as it is wanted */
	bool of_link;	  /* no row of another link can mean it, though for its kind one can */
	bool by_object;	  /* it goes by a nexthop object */
	uint8_t hops[HOPS_BYTES]; /* a set of next hops that is too long for `decoded` */
};

static inline struct item object_item(const struct object *object)
{
	struct item item = decoded_item(&object->decoded, object->hops);

	item.by_object = object->by_object;
	return item;
}

enum encode_mode { ENCODE_NEW, ENCODE_REPLACE, ENCODE_DELETE, ENCODE_DELETE_ANY /* whatever its gateway */ };

struct kind {
	const char *name;     /* of items and in keys */
	const char *key_form; /* what follows the interface in keys, for messages */
	uint8_t family;
	uint8_t key_size, body_size;
	uint8_t long_key_size; /* of the bodies that `has_long_key` says; 0: none */
	bool (*has_long_key)(const uint8_t *body);
	uint8_t order;		    /* in which a request is written: the lower first */
	const uint8_t *blank;	    /* the body of an item of which nothing is given: KIND_BODY_MAX bytes */
	const struct field *fields; /* what is required is among the first KIND_REQUIRED_MAX */
	uint8_t field_count;
	uint8_t address; /* which of them begins the key, behind the interface */
	uint8_t set; /* where in a row's body the number of its set of next hops is (of one that was decoded: 0); 0: it has none */
	uint8_t table;	      /* where in a key the routing table is; 0: it has none */
	uint8_t inline_flags; /* items with one of these flags do not go by a nexthop object */
	uint8_t onlink_flag;  /* the one next hop is on the link, as its set says too */
	uint32_t rechecked;   /* NSP_RECHECK_*: when the kernel drops all of them */

	bool per_link;	      /* the link is a part of the kernel's key; else rows of two slots may be the same object */
	bool makes_reachable; /* without a gateway of its own it may be the way to those of others */
	bool by_gateway;      /* its deletion names the gateway */
	bool deletes_ours;    /* its deletion names our protocol, and hits nobody else's object */
	bool unmarked;	      /* the kernel keeps no protocol, and no message names who changed one: whose it is nobody can tell */
	bool deletes_spread;  /* the kernel deletes many faster in strides than neighbour by neighbour */
	bool echoed;	      /* the kernel tells the author of a change by itself, where that asks for it (NLM_F_ECHO) */
	bool kept_otherwise;  /* on some links the kernel keeps it under another key than it was put with */
	bool outlives_down;   /* the kernel keeps it while the link is down */

	/* Completes and checks what was decoded, each field for itself being right. */
	bool (*settle)(struct decoded *decoded, struct fault *fault);
	/* Appends the message; its index, or -ENOSPC. */
	int (*encode)(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex,
		      enum encode_mode mode);
	/* Appends the question for the one object of an item's key (and flags: the value is not there), where the kernel has such a question;
	 * or NULL: a table is read. */
	int (*ask)(const struct kind *kind, struct nsp_batch *batch, const struct item *item, int32_t ifindex);
	/* What it waits for that is refused with this errno: a fact's name, before the interface's; NULL: nothing, or it fails. */
	const char *(*awaits)(const uint8_t *key, int error);
	/* Of an item's and an object's body of one key: is the object as the item is to be? NULL: where the bytes are the same. */
	bool (*is_as)(const uint8_t *wanted, const uint8_t *found);
	/* Does a deletion with this key hit this object and no other? NULL: always. */
	bool (*is_exact)(const uint8_t *key);
	/* Of several objects of one key: is this the one that an item with these flags replaces? NULL: the first. */
	bool (*is_replaced)(const struct nlmsghdr *msg, uint8_t flags);

	/* The kernel's messages about it. */
	uint16_t new_type, del_type;
	bool (*read)(const struct nlmsghdr *msg, struct object *object);
	int group; /* RTNLGRP_* */
	/* Is it, done by somebody else, something that may undo one of ours? The same as steps of a filter: see filter.h. */
	bool (*passes_filter)(const struct nlmsghdr *msg);
	const struct sock_filter *filter;
	uint8_t filter_len;
	int dump;	       /* NSP_DUMP_* */
	uint8_t dump_protocol; /* of which alone the kernel tells, where it can; or 0 */
	/* Somebody else's object in words; `link` is its link's name or "". */
	void (*describe)(const struct nlmsghdr *msg, const char *link, char *text, size_t cap);
	/* What the kernel has made of an item, in words. */
	void (*describe_made)(const struct kind *kind, const struct object *object, char *text, size_t cap);
	/* Appends what puts back an object that was told of by `msg`; NULL: the message as it is. */
	void (*keep)(struct nsp_batch *batch, const struct nlmsghdr *msg, uint16_t flags);
	/* Takes off the time that has passed from what it has to live. false: that is over. NULL: it has no end. */
	bool (*age)(struct nlmsghdr *msg, uint32_t seconds);
};

/* May its items be of a whole namespace, and not of an interface? */
static inline bool kind_has_netns(const struct kind *kind)
{
	return !kind->fields[1].required;
}

/* How many bytes of a body are its key. */
static inline size_t kind_key_size(const struct kind *kind, const uint8_t *body)
{
	return kind->long_key_size && kind->has_long_key(body) ? kind->long_key_size : kind->key_size;
}

/* The routing table that a key is in, or 0. */
static inline uint32_t kind_table(const struct kind *kind, const uint8_t *key)
{
	uint32_t table = 0;

	if (kind->table)
		memcpy(&table, key + kind->table, sizeof(table));
	return table;
}

/* ---- kinds.c ---- */
extern const struct kind *const kinds[KINDS_MAX];

/* How many there are. */
unsigned kind_count(void);

/* The first kind of this name, or -1. */
int kind_named(const uint8_t *name, size_t len);

/* The kind of the same name and this family, or -1. */
int kind_of_family(int kind, uint8_t family);

/* Which of the names it has, counted from 0 in their order. */
unsigned kind_name_index(int kind);

/* The kind that a message is about, or -1. The message has a whole body: all kinds have one of this length. */
#define KIND_MESSAGE_BODY sizeof(struct rtmsg)
_Static_assert(sizeof(struct rtmsg) == sizeof(struct ndmsg), "or each kind says how long it is");
int kind_of_message(const struct nlmsghdr *msg);

/* Does a deletion with this key hit its object and no other? May one that is not exact hit the object of this key? */
bool kind_is_exact(uint8_t kind, const uint8_t *key);
bool kind_may_be_hit(uint8_t kind, const uint8_t *key);

/* Appends a deletion (ENCODE_DELETE*). With `told` the kernel answers with what has gone, where that is not certain: it costs half as much
 * again. */
int kind_delete(struct nsp_batch *batch, const struct item *item, int32_t ifindex, enum encode_mode mode, bool told);

/* What the kernel tells of: false where no row can mean such a thing. */
bool object_read(const struct nlmsghdr *msg, struct object *object);

/* Is it as the item, which has the same key, is to be? */
bool object_is(const struct object *object, const struct item *item);

#endif
