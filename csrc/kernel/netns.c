/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.c - opening, making and removing network namespaces.
 */
#include "kernel/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define RUN_DIR "/run/netns"
#define OWN_NETNS "/proc/thread-self/ns/net"
#define NAME_PATH_MAX (sizeof(RUN_DIR) + 1 + NAME_MAX)

/* A pidfd of a thread, from Linux 6.9 on. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* ---- a short stay ---- */

/* The stack holds nsp_batch_send's receive buffer; pages that are not touched cost nothing. */
#define INSIDE_STACK (1024 * 1024)

struct inside {
	int netns_fd;
	bool fresh; /* a new one, made for the call */
	nsp_inside_fn fn;
	void *arg;
	struct nsp_error *err;
	int result;
};

static void *inside_main(void *arg)
{
	struct inside *inside = arg;

	if (inside->fresh) {
		if (unshare(CLONE_NEWNET) < 0) {
			inside->result = nsp_fail(inside->err, errno, "make a network namespace");
			return NULL;
		}
	} else {
		inside->result = nsp_netns_enter(inside->netns_fd, inside->err);
		if (inside->result < 0)
			return NULL;
	}
	inside->result = inside->fn(inside->arg, inside->err);
	return NULL;
}

static int run_inside(struct inside *inside)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int ret;

	/* A thread is born with the mask of its maker: no handler of the host program may run in the wrong namespace. */
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, INSIDE_STACK);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, &attr, inside_main, inside);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (ret)
		return nsp_fail(inside->err, ret, "start a thread to enter a network namespace");
	pthread_join(thread, NULL);
	return inside->result;
}

int nsp_netns_check(int netns_fd, struct nsp_error *err)
{
	return netns_fd < 0 ? nsp_refuse(err, EBADF, "%d is not the descriptor of a network namespace", netns_fd) : 0;
}

int nsp_in_netns(int netns_fd, nsp_inside_fn fn, void *arg, struct nsp_error *err)
{
	struct inside inside = { .netns_fd = netns_fd, .fn = fn, .arg = arg, .err = err };
	int ret;

	if (netns_fd == NSP_NETNS_CURRENT)
		return fn(arg, err);
	ret = nsp_netns_check(netns_fd, err);
	return ret < 0 ? ret : run_inside(&inside);
}

int nsp_in_new_netns(nsp_inside_fn fn, void *arg, struct nsp_error *err)
{
	struct inside inside = { .fresh = true, .fn = fn, .arg = arg, .err = err };

	return run_inside(&inside);
}

/* lo is the first link of every namespace. */
static int lo_up(struct nsp_socket *sock, const char *mark, struct nsp_error *err)
{
	struct nsp_link lo = { .fields = NSP_LINK_INDEX | NSP_LINK_UP, .index = 1, .up = 1 };
	uint32_t buf[128];
	struct nsp_batch batch;
	int ret;

	if (mark) {
		if (strlen(mark) >= sizeof(lo.alias))
			return nsp_refuse(err, EINVAL, "the mark of a network namespace is too long");
		strcpy(lo.alias, mark);
		lo.fields |= NSP_LINK_ALIAS;
	}
	nsp_batch_init(&batch, buf, sizeof(buf));
	ret = nsp_link_change(&batch, &lo);
	if (ret < 0)
		return nsp_fail(err, -ret, "set lo up");
	return nsp_batch_do(sock, &batch, "set lo up", err);
}

static int cookie_read(int sock, uint64_t *cookie, struct nsp_error *err)
{
	socklen_t size = sizeof(*cookie);

	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &size) < 0)
		return nsp_fail(err, errno, "ask for the cookie of a network namespace");
	return 0;
}

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

/* Makes RUN_DIR/NAME of a name that is fit for it. */
static int name_path(char path[NAME_PATH_MAX], const char *name, struct nsp_error *err)
{
	size_t len = strlen(name);

	if (len == 0)
		return nsp_refuse(err, EINVAL, "the name of a network namespace is empty");
	if (len > NAME_MAX)
		return nsp_refuse(err, EINVAL, "the name of a network namespace is %zu bytes long, more than %d", len, NAME_MAX);
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return nsp_refuse(err, EINVAL, "\"%.200s\" cannot be the name of a network namespace", name);
	memcpy(path, RUN_DIR "/", sizeof(RUN_DIR));
	memcpy(path + sizeof(RUN_DIR), name, len + 1);
	return 0;
}

int nsp_netns_open_name(const char *name, struct nsp_error *err)
{
	char path[NAME_PATH_MAX];
	int ret = name_path(path, name, err);

	if (ret < 0)
		return ret;
	ret = nsp_netns_open(path, err);
	if (ret == -EINVAL)
		return nsp_refuse(err, EINVAL, "no network namespace is bound on %s", path);
	return ret;
}

/* ---- making and removing ---- */

/* As `ip netns add` does it, so that a namespace made by either reaches every mount namespace: RUN_DIR becomes a mount point of its
 * own that is shared. Two processes doing this at once would bind it twice, hence the lock. */
static int share_run_dir(struct nsp_error *err)
{
	cleanup_close int lock = -1;

	if (mkdir(RUN_DIR, 0755) < 0 && errno != EEXIST)
		return nsp_fail(err, errno, "mkdir " RUN_DIR);
	lock = open(RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return nsp_fail(err, errno, "open " RUN_DIR);
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return nsp_fail(err, errno, "lock " RUN_DIR);
	if (mount("", RUN_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return nsp_fail(err, errno, "make " RUN_DIR " a shared mount point");
	if (mount(RUN_DIR, RUN_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
		return nsp_fail(err, errno, "make " RUN_DIR " a mount point");
	if (mount("", RUN_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return nsp_fail(err, errno, "make " RUN_DIR " a shared mount point");
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
	ret = cookie_read(sock.fd, &birth->cookie, err);
	if (ret < 0)
		return ret;
	if (birth->mon) {
		birth->nsid = nsp_monitor_watch(birth->mon, fd, err);
		if (birth->nsid < 0)
			return birth->nsid;
		birth->count = nsp_survey(&sock, birth->events, birth->cap, err);
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
	char path[NAME_PATH_MAX];
	int fd, ret;

	ret = name_path(path, name, err);
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

int nsp_netns_delete(const char *name, struct nsp_error *err)
{
	char path[NAME_PATH_MAX];
	int ret = name_path(path, name, err);

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
	char path[NAME_PATH_MAX];
	const struct dirent *entry;
	size_t total = 0;
	long ret;
	DIR *dir;

	dir = opendir(RUN_DIR);
	if (!dir)
		return errno == ENOENT ? 0 : nsp_fail(err, errno, "open " RUN_DIR);
	while (errno = 0, (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name) + 1;
		int fd;

		if (name_path(path, entry->d_name, NULL) < 0)
			continue;
		fd = open_path(path, NULL);
		if (fd < 0)
			continue;
		close(fd);
		if (len <= cap && total <= cap - len)
			memcpy(buf + total, entry->d_name, len);
		total += len;
	}
	ret = errno ? nsp_fail(err, errno, "read " RUN_DIR) : (long)total;
	closedir(dir);
	return ret;
}

/* ---- identity and moving for good ---- */

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

	return sock < 0 ? nsp_fail(err, errno, "open a socket") : cookie_read(sock, arg, err);
}

int nsp_netns_cookie(int fd, uint64_t *cookie, struct nsp_error *err)
{
	return nsp_in_netns(fd, cookie_inside, cookie, err);
}

static bool is_here(int fd)
{
	struct stat there, here;

	return fstat(fd, &there) == 0 && stat(OWN_NETNS, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

int nsp_netns_enter(int fd, struct nsp_error *err)
{
	int code;

	if (setns(fd, CLONE_NEWNET) == 0)
		return 0;
	/* setns wants CAP_SYS_ADMIN even for the namespace that the thread is in. (Not looked at before, because a new thread's first
	 * look into its own part of /proc takes 70 us.) */
	code = errno;
	if (code == EPERM && is_here(fd))
		return 0;
	if (code == EINVAL)
		return nsp_refuse(err, EINVAL, "descriptor %d is not a network namespace", fd);
	return nsp_fail(err, code, "enter a network namespace");
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
