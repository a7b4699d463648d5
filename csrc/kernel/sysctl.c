/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a namespace that have no netlink message. */
#include "kernel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct setting {
	const char *name;
	const char *value;
};

/* A name of a link may stand in it, so it is not looked at but for where it leads. */
static bool stays_below(const char *name)
{
	for (;;) {
		size_t len = strcspn(name, "/");

		if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		if (!name[len])
			return true;
		name += len + 1;
	}
}

/* /proc/sys/net shows each thread the settings of the namespace that it is in. */
static int write_inside(void *arg, struct nsp_error *err)
{
	const struct setting *setting = arg;
	cleanup_close int fd = -1;
	char path[256];

	if (snprintf(path, sizeof(path), "/proc/sys/net/%s", setting->name) >= (int)sizeof(path))
		return nsp_refuse(err, ENAMETOOLONG, "/proc/sys/net/%s: too long", setting->name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return nsp_fail(err, errno, "open %s", path);
	if (write(fd, setting->value, strlen(setting->value)) < 0)
		return nsp_fail(err, errno, "write %s to %s", setting->value, path);
	return 0;
}

int nsp_netns_sysctl(int fd, const char *name, const char *value, struct nsp_error *err)
{
	struct setting setting = { name, value };

	if (!stays_below(name))
		return nsp_refuse(err, EINVAL, "\"%.200s\" is not the name of a setting", name);
	return nsp_in_netns(fd, write_inside, &setting, err);
}
