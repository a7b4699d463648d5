/* SPDX-License-Identifier: Apache-2.0 */
/* Links of which a process reads and writes the packets. They are made by /dev/net/tun alone: rtnetlink changes them, and makes none. */
#include "kernel/internal.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#define DEVICE "/dev/net/tun"
#define FLAGS (IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE)

_Static_assert(sizeof(((struct nsp_tun *)0)->name) == IFNAMSIZ, "a link's name");

static const char *kind_of(const struct nsp_tun *tun)
{
	return tun->flags & IFF_TAP ? "tap" : "tun";
}

/* A queue of no link yet, which will be of one in the namespace that the caller is in. */
static int open_queue(struct nsp_error *err)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return nsp_refuse(err, EOPNOTSUPP,
				  "there is no " DEVICE
				  ", which makes tun and tap: the kernel lacks it, or a container was not given it");
	return nsp_fail(err, errno, "open " DEVICE);
}

/* Returns 0, or an errno. */
static int attach(int fd, const struct nsp_tun *tun, uint32_t more)
{
	struct ifreq request = { .ifr_flags = (short)(tun->flags | more) };

	memcpy(request.ifr_name, tun->name, sizeof(tun->name));
	return ioctl(fd, TUNSETIFF, &request) < 0 ? errno : 0;
}

static int give(int fd, const struct nsp_tun *tun, struct nsp_error *err)
{
	if (tun->owner != NSP_TUN_ANYBODY && ioctl(fd, TUNSETOWNER, (unsigned long)tun->owner) < 0)
		return nsp_fail(err, errno, "give the %s %s to user %u", kind_of(tun), tun->name, tun->owner);
	if (tun->group != NSP_TUN_ANYBODY && ioctl(fd, TUNSETGROUP, (unsigned long)tun->group) < 0)
		return nsp_fail(err, errno, "give the %s %s to group %u", kind_of(tun), tun->name, tun->group);
	return 0;
}

static int create_inside(void *arg, struct nsp_error *err)
{
	const struct nsp_tun *tun = arg;
	cleanup_close int fd = open_queue(err);
	int code;

	if (fd < 0)
		return fd;
	code = attach(fd, tun, IFF_TUN_EXCL);
	if (code) /* what is there is said to be busy, whatever it is */
		return nsp_fail(err, code == EBUSY ? EEXIST : code, "make the %s %s", kind_of(tun), tun->name);
	code = give(fd, tun, err);
	return code < 0 ? code : nsp_steal_fd(&fd);
}

static int change_inside(void *arg, struct nsp_error *err)
{
	const struct nsp_tun *tun = arg;
	cleanup_close int fd = -1;
	int code;

	/* The ioctl would make one that is not there. */
	if (!if_nametoindex(tun->name))
		return nsp_fail(err, ENODEV, "change the %s %s", kind_of(tun), tun->name);
	fd = open_queue(err);
	if (fd < 0)
		return fd;
	code = attach(fd, tun, 0);
	if (code)
		return nsp_fail(err, code, "change the %s %s%s", kind_of(tun), tun->name,
				code == EBUSY ? ", which a process has open" : "");
	return give(fd, tun, err);
}

/* Can it be one? A % in a name would have the kernel choose another. */
static int check(const struct nsp_tun *tun, struct nsp_error *err)
{
	uint32_t kind = tun->flags & (IFF_TUN | IFF_TAP);

	if (!tun->name[0] || !memchr(tun->name, 0, sizeof(tun->name)) || strchr(tun->name, '%'))
		return nsp_refuse(err, EINVAL, "a tun or tap has a name of 1 to %zu bytes without %%", sizeof(tun->name) - 1);
	if (tun->flags & ~(uint32_t)FLAGS || (kind != IFF_TUN && kind != IFF_TAP))
		return nsp_refuse(err, EINVAL, "0x%x are no flags of a tun or tap", tun->flags);
	return 0;
}

int nsp_tun_create(int netns_fd, const struct nsp_tun *tun, struct nsp_error *err)
{
	struct nsp_tun copy = *tun;
	int ret = check(tun, err);

	return ret < 0 ? ret : nsp_in_netns(netns_fd, create_inside, &copy, err);
}

int nsp_tun_change(int netns_fd, const struct nsp_tun *tun, struct nsp_error *err)
{
	struct nsp_tun copy = *tun;
	int ret = check(tun, err);

	return ret < 0 ? ret : nsp_in_netns(netns_fd, change_inside, &copy, err);
}

int nsp_tun_persist(int fd, struct nsp_error *err)
{
	return ioctl(fd, TUNSETPERSIST, 1UL) < 0 ? nsp_fail(err, errno, "keep a tun or tap") : 0;
}
