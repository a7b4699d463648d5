/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_CONFLICT_H
#define NSP_CONFLICT_H

#include "core/core.h"

/* A row that met EEXIST, and what was found in its place. */
struct conflict {
	uint32_t row;
	uint32_t generation; /* of its slot */
	uint32_t request;    /* that waits for the verdict, or 0 */
	uint32_t netns;
	uint8_t kind, flags;
	uint8_t key[KIND_BODY_MAX]; /* the kernel's */
	int32_t ifindex;
	uint32_t table; /* as in `struct slot` */
	bool lost;	/* its verdict was lost: it may not have met anything */
	int32_t oif;	/* the link of somebody else's object, and its name */
	char link[16];
	bool beside;		/* there are several objects of this key */
	struct nlmsghdr *found; /* the message of the object in the way; NULL: none was there */
};

/* Looks up who is in the way of these rows of one namespace, which count as sent still, and settles them. Without a socket they fail:
 * `err` says why there is none. Called and returns with the lock held; lets go of it while the kernel is read, and now and then. */
void conflict_resolve(struct nsp_core *core, struct nsp_socket *sock, struct conflict *conflicts, uint32_t count,
		      struct nsp_error *err);

#endif
