/* SPDX-License-Identifier: Apache-2.0 */
/* What comes and goes in directories. */
#include "kernel/internal.h"

#include "nsplane/core.h"

#include <sys/inotify.h>

int nsp_directories_open(struct nsp_error *err)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? nsp_fail(err, errno, "inotify_init1") : fd;
}

int nsp_directories_add(int fd, const char *path, struct nsp_error *err)
{
	int number = inotify_add_watch(fd, path, IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);

	return number < 0 ? nsp_fail(err, errno, "watch %s", path) : number;
}

void nsp_directories_remove(int fd, int number)
{
	inotify_rm_watch(fd, number); /* one that has been deleted is gone already */
}

void nsp_directories_drain(int fd)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, events, sizeof(events)) > 0)
		;
}
