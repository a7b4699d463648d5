/* SPDX-License-Identifier: Apache-2.0 */
/* The nexthop objects of ours: found by what they stand for, and by their number. */
#ifndef NSP_NEXTHOP_TABLE_H
#define NSP_NEXTHOP_TABLE_H

#include "core/core.h"

#define NEXTHOP_RANGE 0x6e000000u /* of their numbers, as far as the lowest three bytes go */
#define NEXTHOP_RANGE_MASK 0xff000000u

struct nexthop *nexthop_find(const struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex);
struct nexthop *nexthop_find_id(const struct nsp_core *core, uint32_t netns, uint32_t id);
/* One that is yet to be made; it counts on its set. */
struct nexthop *nexthop_insert(struct nsp_core *core, uint32_t netns, uint32_t set, int32_t ifindex, uint32_t id);
void nexthop_forget(struct nsp_core *core, struct nexthop *nexthop);
/* A number that none of ours in the namespace has; and another one for one of them. */
uint32_t nexthop_next_id(struct nsp_core *core, uint32_t netns);
void nexthop_renumber(struct nsp_core *core, struct nexthop *nexthop);
/* Calls it with each of a namespace's that are on the link or, with 0, on any. */
void nexthops_each(struct nsp_core *core, uint32_t netns, int32_t ifindex,
		   void (*fn)(struct nsp_core *core, struct nexthop *nexthop));

bool nexthop_is_group(const struct nsp_core *core, const struct nexthop *nexthop);
/* Appends the message that makes or replaces (NSP_PUT_*) one of hop `i` of a set. */
void nexthop_put_one(struct nsp_batch *batch, const uint8_t *set, unsigned i, int32_t ifindex, uint32_t id, int mode);
/* The number of the set that has this hop alone, whatever its weight; counted once more. */
uint32_t nexthop_take_member(struct nsp_core *core, uint32_t set, unsigned i);

#endif
