/* SPDX-License-Identifier: Apache-2.0 */
/* The one lock of the core: whoever waits for it gets it before whoever would take it again. */
#include "core/lock.h"

#include <sys/eventfd.h>

#include "core/clock.h"

void core_signal(struct nsp_core *core)
{
	core->signals = true;
}

bool core_has_work(const struct nsp_core *core)
{
	return core->stop || core->withdrawals.count || (core->queue.count ? !core->paused : core->recheck_count) ||
	       (core->express.count && !core->defers_wakeup);
}

#define MINUTE_NS (uint64_t)60000000000

void core_locked(struct nsp_core *core)
{
	core->date = 0;
	core->locked_at = clock_ns();
	core->period = (uint32_t)(core->locked_at / PERIOD_NS);
	uint64_t minute = core->locked_at - core->minute_began;
	if (minute <= MINUTE_NS)
		return;
	core->hold_lately[1] = minute > 2 * MINUTE_NS ? 0 : core->hold_lately[0];
	core->hold_lately[0] = 0;
	core->minute_began = core->locked_at;
}

uint64_t core_date(struct nsp_core *core)
{
	if (!core->date)
		core->date = clock_date();
	return core->date;
}

/* Whoever has to wait for the lock has the turn meanwhile: one who would take it again at once waits for that. */
static void lock_in_turn(struct nsp_core *core)
{
	pthread_mutex_lock(&core->turn);
	pthread_mutex_lock(&core->lock);
	pthread_mutex_unlock(&core->turn);
	core_locked(core);
}

void core_lock(struct nsp_core *core)
{
	if (pthread_mutex_trylock(&core->lock))
		lock_in_turn(core);
	else
		core_locked(core);
}

void core_yield(struct nsp_core *core)
{
	core_unlock(core);
	lock_in_turn(core);
}

static void measure_hold(struct nsp_core *core)
{
	uint64_t held = core->locked_at ? clock_ns() - core->locked_at : 0;

	if (held > core->longest_hold)
		core->longest_hold = held;
	if (held > core->hold_lately[0])
		core->hold_lately[0] = held;
	core->locked_at = 0;
}

void core_unlock(struct nsp_core *core)
{
	bool work = core->idle && core_has_work(core), completed = core->signals, write = completed && !core->signalled;

	if (work)
		core->idle = false;
	core->signals = false;
	core->signalled |= write;
	measure_hold(core);
	pthread_mutex_unlock(&core->lock);
	/* Whoever is woken while the lock is held runs into it. */
	if (work)
		pthread_cond_signal(&core->work);
	if (completed)
		pthread_cond_signal(&core->completed);
	if (write)
		eventfd_write(core->event, 1);
}
