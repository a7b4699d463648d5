/* SPDX-License-Identifier: Apache-2.0 */
/*
 * birth.c - making network namespaces, which begin with `lo` up.
 */
#include "kernel/internal.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* lo is the first link of every namespace. */
static int lo_up(struct nsp_socket *sock, const char *mark, struct nsp_error *err)
{
	struct nsp_link lo = { .fields = NSP_LINK_INDEX | NSP_LINK_ALIAS, .index = 1 };
	uint32_t buf[128];
	struct nsp_batch batch;
	int ret = 0;

	nsp_batch_init(&batch, buf, sizeof(buf));
	if (mark) { /* before it is up, for then an alias is one more event to the whole kernel */
		if (strlen(mark) >= sizeof(lo.alias))
			return nsp_refuse(err, EINVAL, "the mark of a network namespace is too long");
		strcpy(lo.alias, mark);
		ret = nsp_link_change(&batch, &lo);
	}
	lo.fields = NSP_LINK_INDEX | NSP_LINK_UP;
	lo.up = 1;
	if (ret >= 0)
		ret = nsp_link_change(&batch, &lo);
	if (ret < 0)
		return nsp_fail(err, -ret, "set lo up");
	return nsp_batch_do(sock, &batch, "set lo up", err);
}

/* As `ip netns add` does it, so that a namespace made by either reaches every mount namespace: NSP_NETNS_DIR becomes a mount point of its
 * own that is shared. Two processes doing this at once would bind it twice, hence the lock. */
static int share_run_dir(struct nsp_error *err)
{
	cleanup_close int lock = -1;

	if (mkdir(NSP_NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return nsp_fail(err, errno, "mkdir " NSP_NETNS_DIR);
	lock = open(NSP_NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return nsp_fail(err, errno, "open " NSP_NETNS_DIR);
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return nsp_fail(err, errno, "lock " NSP_NETNS_DIR);
	if (mount("", NSP_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return nsp_fail(err, errno, "make " NSP_NETNS_DIR " a shared mount point");
	if (mount(NSP_NETNS_DIR, NSP_NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
		return nsp_fail(err, errno, "make " NSP_NETNS_DIR " a mount point");
	if (mount("", NSP_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return nsp_fail(err, errno, "make " NSP_NETNS_DIR " a shared mount point");
	return 0;
}

/* In the new namespace. Binding comes last, so there is nothing to undo here, and nobody else has been in it. */
static int create_inside(void *arg, struct nsp_error *err)
{
	struct nsp_birth *birth = arg;
	cleanup_socket struct nsp_socket sock = { .fd = -1 };
	cleanup_close int fd = -1;
	char source[32];
	int ret;

	ret = nsp_socket_open_as(&sock, NSP_NETNS_CURRENT, birth->sock ? birth->sock->portid : 0, err);
	if (ret < 0)
		return ret;
	/* What /proc/thread-self/ns/net would open, at a tenth of the cost in a thread as young as this. */
	fd = ioctl(sock.fd, SIOCGSKNS);
	if (fd < 0)
		return nsp_fail(err, errno, "open the new network namespace");
	ret = lo_up(&sock, birth->mark, err);
	if (ret < 0)
		return ret;
	ret = nsp_netns_cookie(NSP_NETNS_CURRENT, &birth->cookie, err);
	if (ret < 0)
		return ret;
	if (birth->mon) {
		birth->nsid = nsp_monitor_watch(birth->mon, fd, err);
		if (birth->nsid < 0)
			return birth->nsid;
		birth->count = nsp_survey(&sock, birth->events, birth->cap, NULL, err);
		if (birth->count < 0)
			return (int)birth->count;
	}
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	if (birth->path && mount(source, birth->path, "none", MS_BIND, NULL) < 0)
		return nsp_fail(err, errno, "bind the new network namespace on %s", birth->path);
	if (birth->sock) {
		*birth->sock = sock;
		sock.fd = -1;
	}
	return nsp_steal_fd(&fd);
}

int nsp_netns_bear(const char *name, struct nsp_birth *birth, struct nsp_error *err)
{
	char path[NSP_NETNS_PATH_MAX];
	int fd, ret;

	ret = nsp_netns_path(path, name, err);
	if (ret < 0)
		return ret;
	ret = share_run_dir(err);
	if (ret < 0)
		return ret;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return nsp_fail(err, errno, "create %s", path);
	close(fd);

	birth->path = path;
	ret = nsp_in_new_netns(create_inside, birth, err);
	if (ret < 0)
		unlink(path);
	return ret;
}

int nsp_netns_create(const char *name, struct nsp_error *err)
{
	return nsp_netns_bear(name, &(struct nsp_birth){ 0 }, err);
}

int nsp_netns_create_anonymous(struct nsp_error *err)
{
	return nsp_in_new_netns(create_inside, &(struct nsp_birth){ 0 }, err);
}

int nsp_netns_unshare(struct nsp_error *err)
{
	cleanup_socket struct nsp_socket sock = { .fd = -1 };
	int ret;

	if (unshare(CLONE_NEWNET) < 0)
		return nsp_fail(err, errno, "make a network namespace");
	ret = nsp_socket_open(&sock, NSP_NETNS_CURRENT, err);
	if (ret < 0)
		return ret;
	return lo_up(&sock, NULL, err);
}
