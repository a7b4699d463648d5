/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.c - opening, removing, listing and telling apart network namespaces.
 */
#include "kernel/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* A pidfd of a thread, from Linux 6.9 on. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* ---- opening ---- */

static bool is_netns(int fd)
{
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

static int open_path(const char *path, struct nsp_error *err)
{
	cleanup_close int fd = -1;
	struct statfs fs;

	/* Looked at before it is opened: opening a FIFO or a device has effects of its own. */
	if (statfs(path, &fs) < 0)
		return nsp_fail(err, errno, "open %s", path);
	if ((unsigned long)fs.f_type != NSFS_MAGIC)
		return nsp_refuse(err, EINVAL, "%s is not a network namespace", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return nsp_fail(err, errno, "open %s", path);
	if (!is_netns(fd))
		return nsp_refuse(err, EINVAL, "%s is not a network namespace", path);
	return nsp_steal_fd(&fd);
}

static int open_inside(void *arg, struct nsp_error *err)
{
	cleanup_socket struct nsp_socket sock = { .fd = -1 };
	int fd = nsp_socket_open(&sock, NSP_NETNS_CURRENT, err);

	(void)arg;
	if (fd < 0)
		return fd;
	fd = ioctl(sock.fd, SIOCGSKNS);
	return fd < 0 ? nsp_fail(err, errno, "open a network namespace") : fd;
}

/* A descriptor that was opened by a bind mount keeps that mount busy: `umount` would be refused for as long as it is open. One that
 * comes from inside does not. */
int nsp_netns_open(const char *path, struct nsp_error *err)
{
	cleanup_close int fd = open_path(path, err);
	int inside;

	if (fd < 0)
		return fd;
	inside = nsp_in_netns(fd, open_inside, NULL, NULL);
	return inside < 0 ? nsp_steal_fd(&fd) : inside; /* who may not enter may still look */
}

/* Opens `path` and hands out `*held` as `pidfd` if that is still alive afterwards. `what` names it: "process 12". */
static int open_while_alive(const char *path, int *held, const char *what, int *pidfd, struct nsp_error *err)
{
	cleanup_close int fd = -1;
	struct pollfd ended = { .fd = *held, .events = POLLIN };
	int ret;

	fd = open_path(path, err);
	/* A process that has ended but was not waited for still has a directory in /proc, with nothing in it. */
	if (fd == -ENOENT || fd == -ESRCH)
		return nsp_fail(err, ESRCH, "%s", what);
	if (fd < 0)
		return fd;
	ret = poll(&ended, 1, 0);
	if (ret < 0)
		return nsp_fail(err, errno, "poll the pidfd of %s", what);
	if (ret > 0)
		return nsp_fail(err, ESRCH, "%s", what);
	*pidfd = nsp_steal_fd(held);
	return nsp_steal_fd(&fd);
}

static int pidfd_open(int pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int nsp_netns_open_pid(int pid, int *pidfd, struct nsp_error *err)
{
	cleanup_close int held = -1;
	char path[64], what[32];

	*pidfd = -1;
	snprintf(what, sizeof(what), "process %d", pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (pid <= 0)
		return nsp_refuse(err, EINVAL, "%d is not the number of a process", pid);
	held = pidfd_open(pid, 0);
	/* The number of a thread is answered with EINVAL or, by newer kernels, ENOENT. */
	if (held < 0 && (errno == EINVAL || errno == ENOENT))
		return nsp_refuse(err, ESRCH, "process %d: No such process (it is the number of a thread)", pid);
	if (held < 0)
		return nsp_fail(err, errno, "%s", what);
	return open_while_alive(path, &held, what, pidfd, err);
}

int nsp_netns_open_task(int pid, int tid, int *pidfd, struct nsp_error *err)
{
	cleanup_close int held = -1;
	char path[64], what[64];

	*pidfd = -1;
	snprintf(what, sizeof(what), "thread %d of process %d", tid, pid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", pid, tid);
	if (pid <= 0 || tid <= 0)
		return nsp_refuse(err, EINVAL, "%d and %d are not the numbers of a process and its thread", pid, tid);
	held = pidfd_open(tid, PIDFD_THREAD);
	if (held < 0 && errno == EINVAL)
		held = pidfd_open(pid, 0);
	if (held < 0)
		return nsp_fail(err, errno, "%s", what);
	return open_while_alive(path, &held, what, pidfd, err);
}

int nsp_netns_path(char path[NSP_NETNS_PATH_MAX], const char *name, struct nsp_error *err)
{
	size_t len = strlen(name);

	if (len == 0)
		return nsp_refuse(err, EINVAL, "the name of a network namespace is empty");
	if (len > NAME_MAX)
		return nsp_refuse(err, EINVAL, "the name of a network namespace is %zu bytes long, more than %d", len, NAME_MAX);
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return nsp_refuse(err, EINVAL, "\"%.200s\" cannot be the name of a network namespace", name);
	memcpy(path, NSP_NETNS_DIR "/", sizeof(NSP_NETNS_DIR));
	memcpy(path + sizeof(NSP_NETNS_DIR), name, len + 1);
	return 0;
}

int nsp_netns_open_name(const char *name, struct nsp_error *err)
{
	char path[NSP_NETNS_PATH_MAX];
	int ret = nsp_netns_path(path, name, err);

	if (ret < 0)
		return ret;
	ret = nsp_netns_open(path, err);
	if (ret == -EINVAL)
		return nsp_refuse(err, EINVAL, "no network namespace is bound on %s", path);
	return ret;
}
/* ---- removing and listing ---- */

int nsp_netns_delete(const char *name, struct nsp_error *err)
{
	char path[NSP_NETNS_PATH_MAX];
	int ret = nsp_netns_path(path, name, err);

	if (ret < 0)
		return ret;
	/* EINVAL: nothing is bound there. Whatever else goes wrong, the file is busy then and unlink says so. */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (unlink(path) < 0)
		return nsp_fail(err, errno, "remove %s", path);
	return 0;
}

long nsp_netns_list(char *buf, size_t cap, struct nsp_error *err)
{
	char path[NSP_NETNS_PATH_MAX];
	const struct dirent *entry;
	size_t total = 0;
	long ret;
	DIR *dir;

	dir = opendir(NSP_NETNS_DIR);
	if (!dir)
		return errno == ENOENT ? 0 : nsp_fail(err, errno, "open " NSP_NETNS_DIR);
	while (errno = 0, (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name) + 1;
		int fd;

		if (nsp_netns_path(path, entry->d_name, NULL) < 0)
			continue;
		fd = open_path(path, NULL);
		if (fd < 0)
			continue;
		close(fd);
		if (len <= cap && total <= cap - len)
			memcpy(buf + total, entry->d_name, len);
		total += len;
	}
	ret = errno ? nsp_fail(err, errno, "read " NSP_NETNS_DIR) : (long)total;
	closedir(dir);
	return ret;
}
/* ---- identity ---- */

int nsp_netns_identify(int fd, struct nsp_netns_id *id, struct nsp_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return nsp_fail(err, errno, "stat a network namespace");
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	return 0;
}
static int cookie_inside(void *arg, struct nsp_error *err)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t *cookie = arg;
	socklen_t size = sizeof(*cookie);

	if (sock < 0)
		return nsp_fail(err, errno, "open a socket");
	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &size) < 0)
		return nsp_fail(err, errno, "ask for the cookie of a network namespace");
	return 0;
}

int nsp_netns_cookie(int fd, uint64_t *cookie, struct nsp_error *err)
{
	return nsp_in_netns(fd, cookie_inside, cookie, err);
}
