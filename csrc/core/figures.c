/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted for whoever watches: how long things take, what was refused and repaired, and who is busy. */
#include "core/figures.h"

#include "core/clock.h"
#include "core/lock.h"
#include "kinds/kind.h"

#define MS (uint64_t)1000000

static const uint64_t bounds[] = { MS / 10, MS / 4,   MS / 2,	MS,	  5 * MS / 2, 5 * MS,	 10 * MS,   25 * MS,
				   50 * MS, 100 * MS, 250 * MS, 500 * MS, 1000 * MS,  2500 * MS, 5000 * MS, 10000 * MS };
#define BOUNDS (sizeof(bounds) / sizeof(*bounds))

_Static_assert(BOUNDS + 1 == sizeof(((struct nsp_histogram *)0)->counts) / sizeof(uint64_t), "one beyond the last bound");
_Static_assert(sizeof(((struct nsp_figures *)0)->errors) / sizeof(((struct nsp_figures *)0)->errors[0]) == KINDS_MAX,
	       "one for each kind");

_Static_assert(sizeof(((struct nsp_figures *)0)->slots) / sizeof(struct nsp_busy) == NSP_BUSIEST, "as many as are ranked");

uint64_t nsp_bucket_bound(uint32_t bucket)
{
	return bucket < BOUNDS ? bounds[bucket] : 0;
}

void histogram_add(struct nsp_histogram *histogram, uint64_t nanoseconds)
{
	uint32_t bucket = 0;

	while (bucket < BOUNDS && nanoseconds > bounds[bucket])
		bucket++;
	histogram->counts[bucket]++;
	histogram->nanoseconds += nanoseconds;
}

static uint32_t in_last_period(const struct activity *activity, uint32_t period)
{
	return activity->period == period ? activity->before : activity->period + 1 == period ? activity->items : 0;
}

static void rank(struct nsp_busy ranking[NSP_BUSIEST], uint32_t number, uint32_t items)
{
	uint32_t at = NSP_BUSIEST - 1;

	if (items <= ranking[at].items)
		return;
	for (; at && ranking[at - 1].items < items; at--)
		ranking[at] = ranking[at - 1];
	ranking[at] = (struct nsp_busy){ number, items };
}

/* Without the lock: slots and sources come, go and are counted by the caller's thread alone. */
static void find_busiest(const struct nsp_core *core, struct nsp_figures *figures)
{
	uint32_t period = (uint32_t)(clock_ns() / PERIOD_NS);
	uint32_t *by_netns = calloc(core->netns_count, sizeof(*by_netns));

	if (!by_netns)
		abort();
	for (uint32_t i = 1; i < core->slot_count; i++) {
		const struct slot *slot = core->slots[i];
		uint32_t items = slot ? in_last_period(&slot->activity, period) : 0;
		if (!items)
			continue;
		rank(figures->slots, i, items);
		by_netns[slot->netns] += items;
	}
	for (uint32_t i = 1; i < core->netns_count; i++) /* 0: it is not known where the link is */
		rank(figures->netns, i, by_netns[i]);
	for (uint32_t i = 0; i < core->origin_count; i++)
		rank(figures->origins, i, in_last_period(&core->origins[i].activity, period));
	free(by_netns);
}

void nsp_core_figures(struct nsp_core *core, struct nsp_figures *figures)
{
	*figures = (struct nsp_figures){ 0 };
	core_lock(core);
	memcpy(figures->requests, core->request_times, sizeof(figures->requests));
	figures->batches = core->batch_times;
	figures->taken = core->taken;
	for (uint8_t kind = 0; kind < kind_count(); kind++) {
		unsigned name = kind_name_index(kind);
		for (uint32_t error = 0; error < 256; error++)
			figures->errors[name][error] += core->errors[kind][error];
		for (uint32_t found = 0; found < 3; found++)
			figures->drift[name][found] += core->drift[kind][found];
	}
	core_unlock(core);
	find_busiest(core, figures);
}

void nsp_core_took_others(struct nsp_core *core, uint32_t origin, uint32_t items)
{
	core_lock(core);
	if (origin < core->origin_count)
		origin_took(core, origin, items);
	core_unlock(core);
}
