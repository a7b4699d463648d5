/* SPDX-License-Identifier: Apache-2.0 */
/* A row whose message cannot be built is refused, and neither it nor what is beside it stays under way. */
#include "rig.h"

/* The linker has the core call this in place of nsp_route_put. */
int __real_nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode);
int __wrap_nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode);

static bool refuses; /* destinations whose last byte is odd */

int __wrap_nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode)
{
	return refuses && route->dst[3] & 1 ? -ENOSPC : __real_nsp_route_put(batch, route, mode);
}

static void test_refused_among_others(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 600, "");
	struct nsp_slot_info info;

	refuses = true;
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 300);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 300);
	CHECK_HAS(rig->entries, "key: route/web0/20.0.0.1/32, state: failed, source: lab, missing: [], errno: ENOSPC");
	CHECK_EQ(ours_in_kernel(rig), 300);

	/* They are free to be changed and deleted. */
	refuses = false;
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 600);
	refuses = true;
	char *changed = routes(0, 600, ", gateway: 192.0.2.9");
	rig_put(rig, changed);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 300);
	refuses = false;
	rig_delete(rig, "[route/web0/20.0.0.1/32, route/web0/20.0.0.2/32]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	rig_quiet(rig);
	CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
	CHECK_EQ(info.rows, 598);
	free(changed);
	free(items);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_refused_among_others();
	return test_end();
}
