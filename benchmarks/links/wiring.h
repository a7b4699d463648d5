/* SPDX-License-Identifier: Apache-2.0 */
/* wiring.h - what the floors of links have in common besides: ports, groups of links, and the clock. */
#include "../rtnetlink.h"

#include <linux/if_link.h>
#include <time.h>

#define GROUP 110 /* of all that is made in one namespace, so that one message deletes it */

/* A port's, before it goes up: the kernel takes that of a link that is there only, and makes a link-local address for whatever goes up
 * without. */
static void append_no_link_local(struct batch *batch)
{
	struct rtattr *families = append(batch, IFLA_AF_SPEC, NULL, 0), *inet6 = append(batch, AF_INET6, NULL, 0);

	append(batch, IFLA_INET6_ADDR_GEN_MODE, &(uint8_t){ IN6_ADDR_GEN_MODE_NONE }, 1);
	end_nest(batch, inet6);
	end_nest(batch, families);
}

static void append_delete_group(struct batch *batch)
{
	begin(batch, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	append_u32(batch, IFLA_GROUP, GROUP);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}
