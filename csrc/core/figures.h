/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted for whoever watches: how long things take, and who is busy. */
#ifndef NSP_FIGURES_H
#define NSP_FIGURES_H

#include "core/core.h"

void histogram_add(struct nsp_histogram *histogram, uint64_t nanoseconds);

/* So many items more, with the lock held: what counts is the last whole period. */
static inline void activity_add(const struct nsp_core *core, struct activity *activity, uint32_t items)
{
	if (activity->period != core->period) {
		activity->before = activity->period + 1 == core->period ? activity->items : 0;
		activity->items = 0;
		activity->period = core->period;
	}
	activity->items += items;
}

static inline void origin_took(struct nsp_core *core, uint32_t origin, uint32_t items)
{
	activity_add(core, &core->origins[origin].activity, items);
	core->taken += items;
}

#endif
