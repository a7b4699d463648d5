/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_OBJECT_H
#define NSP_OBJECT_H

#include "core/table.h"

/* A route or neighbour as the kernel tells of it. */
struct object {
	struct wish wish; /* its flags: what the kernel has */
	int32_t ifindex;
	uint8_t protocol;
	bool plain;   /* one that a row can mean; of a route that is not, nothing but what identifies it is known */
	bool several; /* a route of several next hops: the first, which has the protocol, is in `wish` and `ifindex` */
	bool gone;    /* it was deleted */
};

/* Does a message about a route have this attribute (RTA_*)? */
bool route_has_attr(const struct nlmsghdr *msg, uint16_t type);
/* What identifies a route in the kernel. */
bool object_read_key(const struct nlmsghdr *msg, struct wish *key);
bool object_read(const struct nlmsghdr *msg, struct object *object);
/* Is it as the row, which has the same key, wants it? */
bool object_is(const struct table *table, const struct object *object, const struct row *row);
/* What the kernel has made of a row: an object, or NULL for none. */
void object_describe(const struct object *object, char *text, size_t cap);

#endif
