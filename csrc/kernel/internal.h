/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of this folder share: errors, clean-up, netlink messages and attributes. Include it first.
 *
 * A file calls those above it alone:
 *
 *	error.c                             what went wrong
 *	inside.c                            a short stay in a namespace
 *	socket.c                            datagrams
 *	batch.c                             messages, and a verdict for each
 *	link.c addr.c route.c nexthop.c neigh.c   what messages say
 *	dump.c                              whole tables
 *	genl.c                              generic netlink
 *	monitor.c survey.c                  what happens; what there is
 *	netns.c sysctl.c tun.c              namespaces, their settings, and links that no message makes
 *	birth.c                             how a namespace is made
 */
#ifndef NSPLANE_INTERNAL_H
#define NSPLANE_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "kernel/message.h"
#include "nsplane/netlink.h"

/* ---- errors (error.c) ---- */

/* Fills `err` (may be NULL) with the sentence and, after ": ", the errno's own text. Returns -code. */
int nsp_fail(struct nsp_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same where the sentence says it all and the errno's text would only blur it. */
int nsp_refuse(struct nsp_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "ENOENT"; NULL for a number that has no name. */
const char *nsp_errno_name(int code);

/* The positive errno in the kernel's answer `code`, which is 0 or -1 to -4095. */
static inline int nsp_answer_errno(int code)
{
	if (code == 0)
		return 0;
	return code < 0 && code >= -4095 ? -code : EPROTO;
}

/* ---- clean-up at the end of a scope ---- */

static inline void nsp_cleanup_close(const int *fd)
{
	int kept = errno;

	if (*fd >= 0)
		close(*fd);
	errno = kept;
}

static inline void nsp_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define cleanup_close __attribute__((cleanup(nsp_cleanup_close)))
#define cleanup_free __attribute__((cleanup(nsp_cleanup_free)))
#define cleanup_socket __attribute__((cleanup(nsp_socket_close)))

/* Takes a descriptor out of the care of cleanup_close: `return nsp_steal_fd(&fd);`. */
static inline int nsp_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* ---- a short stay in a namespace (inside.c) ---- */

typedef int (*nsp_inside_fn)(void *arg, struct nsp_error *err);

/* Calls `fn` in a namespace: in a thread that enters it, has all signals blocked, and ends with the call; for NSP_NETNS_CURRENT right
 * here. Returns what `fn` returned, or a negative errno where it was not called. */
int nsp_in_netns(int netns_fd, nsp_inside_fn fn, void *arg, struct nsp_error *err);

/* The same in a new namespace, made for the call. */
int nsp_in_new_netns(nsp_inside_fn fn, void *arg, struct nsp_error *err);

/* -EBADF where it can be no descriptor: an error that was not looked at, or one that was closed. */
int nsp_netns_check(int netns_fd, struct nsp_error *err);

/* What marks our routes and neighbours. */
#define NSP_PROTOCOL 110

/* ---- the way of a datagram (socket.c, batch.c) ---- */

/* A command socket that is bound to this port id or, where somebody else in the namespace has it, to one that the kernel chooses:
 * sock->portid says which. */
int nsp_socket_open_as(struct nsp_socket *sock, int netns_fd, uint32_t portid, struct nsp_error *err);

/* No answer of the kernel is larger: dumps come in pieces of at most 32 KiB. */
#define NSP_DATAGRAM_MAX 65536

/* The next datagram from the kernel, without waiting: rtnetlink has put every answer into the queue when sendmsg returns, so -EAGAIN
 * means that it is not coming. Also -ENOBUFS (answers were lost) and -EMSGSIZE (it is larger than `cap`). */
ssize_t nsp_socket_receive(const struct nsp_socket *sock, void *buf, size_t cap);

/* Throws away what is in the queue, so that nothing late is taken for an answer to what is sent next. */
void nsp_socket_drain(const struct nsp_socket *sock);

/* ---- a dump that gives way (dump.c) ---- */

/* Called between the datagrams of a dump; false ends it. */
typedef bool (*nsp_between_fn)(void *arg);

/* nsp_dump of neighbours, or nsp_dump_protocol of routes, with a pause after each datagram. -ECANCELED where it was ended: what is left of
 * it is still to come, so the socket is to be closed. `between` may be NULL. */
int nsp_dump_paced(struct nsp_socket *sock, int what, int family, uint8_t protocol, nsp_reply_fn reply, void *arg,
		   nsp_between_fn between, struct nsp_error *err);

/* The same of the one request in the batch, which has NLM_F_DUMP; `name` says in errors what it asks for. */
int nsp_dump_request(struct nsp_socket *sock, const struct nsp_batch *request, const char *name, nsp_reply_fn reply, void *arg,
		     struct nsp_error *err);

/* ---- the name of a namespace (netns.c) ---- */

#define NSP_NETNS_DIR "/run/netns"
#define NSP_NETNS_PATH_MAX (sizeof(NSP_NETNS_DIR) + 1 + NAME_MAX)

/* The path of a name that is fit for one; -EINVAL. */
int nsp_netns_path(char path[NSP_NETNS_PATH_MAX], const char *name, struct nsp_error *err);

/* ---- how a namespace is made (birth.c) ---- */

struct nsp_birth {
	const char *path;	  /* where it is bound: filled in */
	const char *mark;	  /* the alias of its lo, or NULL */
	struct nsp_monitor *mon;  /* begins to watch it before it is bound, or NULL */
	struct nsp_event *events; /* what is in it by then */
	long cap, count;
	int nsid;
	uint64_t cookie;	 /* as by nsp_netns_cookie */
	struct nsp_socket *sock; /* one with this port id is left open, or NULL */
};

/* nsp_netns_create, and what else is best done at once. */
int nsp_netns_bear(const char *name, struct nsp_birth *birth, struct nsp_error *err);

/* ---- what messages say of links (link.c) ---- */

/* Moves the attributes that the link points to from the message into the room, behind what is there, or drops them where it is NULL, has no
 * memory or is full: room->len says then what it would have taken. */
void nsp_link_keep(struct nsp_link *link, struct nsp_room *room);

/* ---- what is there (survey.c) ---- */

/* nsp_monitor_survey of the socket's namespace. */
long nsp_survey(struct nsp_socket *sock, struct nsp_event *events, long cap, struct nsp_room *room, struct nsp_error *err);

/* ---- what somebody else does (monitor.c) ---- */

struct sock_fprog;

/* Has `heard` called, by nsp_monitor_read, with each message of these multicast groups that is not of this port id and that the filter lets
 * through; of links and addresses nothing is heard any more. */
int nsp_monitor_listen(struct nsp_monitor *mon, const int *groups, unsigned count, const struct sock_fprog *filter, uint32_t portid,
		       nsp_heard_fn heard, void *arg, struct nsp_error *err);

/* The answers to one chunk of a batch. */
struct nsp_verdicts {
	nsp_failed_fn failed;
	nsp_reply_fn reply;
	void *arg;
	uint32_t seq;	/* of message `first` */
	uint32_t first; /* index of the chunk's first message */
	uint32_t count; /* messages in the chunk */
	bool ended;	/* the last message's verdict is there */
};

/* Reads one datagram of answers. Whatever is malformed or about another chunk is skipped. */
void nsp_verdicts_parse(struct nsp_verdicts *verdicts, const void *buf, size_t len);

/* Sends a batch in which nothing may fail: the first failure is the result, its text after `what`. */
int nsp_batch_do(struct nsp_socket *sock, struct nsp_batch *batch, const char *what, struct nsp_error *err);

/* The kernel's sentence in a NLMSG_ERROR or NLMSG_DONE message, or "". `fixed` is the length of what is before the attributes. */
const char *nsp_ext_ack_text(const struct nlmsghdr *head, size_t fixed);

#endif
