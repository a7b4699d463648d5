/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inside.c - a short stay inside another network namespace, and a move for good.
 */
#include "kernel/internal.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#define OWN_NETNS "/proc/thread-self/ns/net"

/* ---- for good ---- */

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
