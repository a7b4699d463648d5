/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_KIND_ROUTE_H
#define NSP_KIND_ROUTE_H

#include "kernel/internal.h"

/* What identifies a route in the kernel, of whatever type and with however many next hops. false: it is no route, or one with a TOS. */
bool route_read_key(const struct nlmsghdr *msg, struct nsp_route *route);

/* The number of the nexthop object by which a route goes, or 0. */
uint32_t route_nexthop(const struct nlmsghdr *msg);

#endif
