/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/internal.h"

#include "nsplane/core.h"

#include <sys/timerfd.h>

int nsp_timer_open(struct nsp_error *err)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? nsp_fail(err, errno, "timerfd_create") : fd;
}

int nsp_timer_set(int fd, uint64_t milliseconds)
{
	struct itimerspec when = { .it_value = { (time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000L } };

	return timerfd_settime(fd, 0, &when, NULL) < 0 ? -errno : 0;
}
