/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_CLOCK_H
#define NSP_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* By the clock that nobody sets: ns and ms. */
static inline uint64_t clock_ns(void)
{
	return clock_nanoseconds(CLOCK_MONOTONIC);
}

static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* Milliseconds since the epoch: for what is shown and nothing else. */
static inline uint64_t clock_date(void)
{
	return clock_nanoseconds(CLOCK_REALTIME) / 1000000;
}

#endif
