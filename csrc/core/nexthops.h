/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's nexthop objects of ours: a set of next hops that many rows have is one on each link, and their routes go by its number.
 *
 * An object is made before its first route and deleted when no route has it any more, which only reading tells: see nexthops_sweep. Its
 * number is of a range of our own, and where somebody else has it, it is the next one. The kernel drops it, and all routes by it, when
 * its link goes down or has no carrier. A row whose object cannot be made, or that is refused by it, is written without.
 */
#ifndef NSP_NEXTHOPS_H
#define NSP_NEXTHOPS_H

#include "core/core.h"

/* May the row go by one? */
bool nexthop_suits(const struct nsp_core *core, const struct row *row);
/* The number of the object that it is written by, or 0. */
uint32_t nexthop_of(struct nsp_core *core, const struct row *row);
/* What it stands for, where it is one of ours. */
void nexthop_resolve(const struct nsp_core *core, uint32_t netns, struct object *object);

/* The writer's: makes those that these rows of the namespace, which are about to be written, want. Called and returns with the lock held;
 * lets go of it where there is something to be made. */
void nexthops_make(struct nsp_core *core, uint32_t netns, const uint32_t *rows, uint32_t count);

/* The kernel has dropped all of a link: their routes are written again. */
void nexthops_dropped(struct nsp_core *core, uint32_t netns, int32_t ifindex);
/* The same, without their routes. */
void nexthops_forget(struct nsp_core *core, uint32_t netns, int32_t ifindex);
/* Their gateways may have become unreachable: that is looked at before more is written by them. */
void nexthops_doubt(struct nsp_core *core, uint32_t netns, int32_t ifindex);
/* Somebody else has changed or deleted one. */
void nexthop_changed(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *msg);

/* Reading a namespace: what there is of ours, then each route's, and at the end those that no route has are deleted. Called without the
 * lock. */
int nexthops_read(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock, struct nsp_error *err);
void nexthop_seen(struct nsp_core *core, uint32_t netns, uint32_t id);
int nexthops_mark(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock, struct nsp_error *err);
void nexthops_sweep(struct nsp_core *core, uint32_t netns, struct nsp_socket *sock);
/* Nobody wants anything there any more: those that no route has go. Called and returns with the lock held. */
void nexthops_leave(struct nsp_core *core, uint32_t netns);

void nexthops_free(struct nexthops *nexthops);

#endif
