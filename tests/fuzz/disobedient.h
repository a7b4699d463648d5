/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disobedient.h - a kernel that does what a script says, byte by byte: 0, as behind the end, is as it should. The linker has the core
 * call it in place of its sockets.
 */
#ifndef FUZZ_DISOBEDIENT_H
#define FUZZ_DISOBEDIENT_H

#include "fuzz.h"

#include <fcntl.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <pthread.h>

#include "nsplane/core.h"

#define OBJECTS 32
#define ANSWERS 512

static struct {
	pthread_mutex_t lock;
	struct bytes script;
	struct nlmsghdr *objects[OBJECTS];
	unsigned next_object;
	struct nlmsghdr *answers[ANSWERS];
	unsigned first_answer, answer_count;
	bool lost;
	bool obeys;
} kernel = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint8_t kernel_byte(void)
{
	return kernel.obeys ? 0 : take_byte(&kernel.script);
}

static void answer(struct nlmsghdr *msg)
{
	if (kernel.answer_count == ANSWERS) {
		kernel.lost = true;
		free(msg);
		return;
	}
	kernel.answers[(kernel.first_answer + kernel.answer_count++) % ANSWERS] = msg;
}

static void forget_answers(void)
{
	for (; kernel.answer_count; kernel.answer_count--)
		free(kernel.answers[kernel.first_answer++ % ANSWERS]);
	kernel.lost = false;
}

static struct nlmsghdr *copy_of(const struct nlmsghdr *msg, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr *copy = exact(msg, msg->nlmsg_len);

	copy->nlmsg_type = type;
	copy->nlmsg_flags = flags;
	copy->nlmsg_seq = seq;
	copy->nlmsg_pid = 0;
	return copy;
}

static void answer_error(const struct nlmsghdr *msg, int error)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr body;
		struct nlattr attr;
		char text[8];
	} error_message = {
		.head = { .nlmsg_len = sizeof(error_message),
			  .nlmsg_type = NLMSG_ERROR,
			  .nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS,
			  .nlmsg_seq = msg->nlmsg_seq },
		.body = { .error = -error },
		.attr = { .nla_len = 12, .nla_type = NLMSGERR_ATTR_MSG },
		.text = "because",
	};

	answer(exact(&error_message, sizeof(error_message)));
}

/* The object that a message of ours is about: the same body's family, and the same first attribute. */
static bool is_about(const struct nlmsghdr *object, const struct nlmsghdr *msg)
{
	size_t body = object->nlmsg_type == RTM_NEWNEXTHOP ? sizeof(struct nhmsg) : sizeof(struct rtmsg);
	const struct nlattr *a = (const void *)((const uint8_t *)(object + 1) + body);
	const struct nlattr *b = (const void *)((const uint8_t *)(msg + 1) + body);
	const uint8_t *family = (const uint8_t *)(msg + 1);

	return (object->nlmsg_type & ~3) == (msg->nlmsg_type & ~3) && *(const uint8_t *)(object + 1) == *family &&
	       nsp_attr_ok(a, (const uint8_t *)object + object->nlmsg_len) &&
	       nsp_attr_ok(b, (const uint8_t *)msg + msg->nlmsg_len) && a->nla_len == b->nla_len && !memcmp(a, b, a->nla_len);
}

static struct nlmsghdr **find_object(const struct nlmsghdr *msg)
{
	for (unsigned i = 0; i < OBJECTS; i++)
		if (kernel.objects[i] && is_about(kernel.objects[i], msg))
			return &kernel.objects[i];
	return NULL;
}

/* One byte of it is another, perhaps. */
static struct nlmsghdr *told_of(struct nlmsghdr *copy, uint8_t how)
{
	size_t at = sizeof(*copy) + kernel_byte();

	if (how == 2 && at < copy->nlmsg_len)
		((uint8_t *)copy)[at] = kernel_byte();
	return copy;
}

/* Whatever stands in the script, as far as it is whole messages. */
static void answer_raw(uint32_t seq)
{
	struct bytes part = take_part(&kernel.script);
	void *copy = exact(part.at, bytes_left(&part));
	const struct nlmsghdr *head;

	NSP_MSG_EACH(head, copy, bytes_left(&part))
		answer(copy_of(head, head->nlmsg_type, head->nlmsg_flags, seq));
	free(copy);
}

static void dump(const struct nlmsghdr *msg)
{
	uint16_t type = (uint16_t)(msg->nlmsg_type & ~3);
	uint8_t family = *(const uint8_t *)(msg + 1), how;
	struct {
		struct nlmsghdr head;
		int error;
	} done = { { .nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE, .nlmsg_seq = msg->nlmsg_seq }, 0 };

	for (unsigned i = 0; i < OBJECTS; i++) {
		struct nlmsghdr *object = kernel.objects[i];
		if (!object || object->nlmsg_type != type || (family && *(uint8_t *)(object + 1) != family))
			continue;
		how = kernel_byte();
		if (how != 1)
			answer(told_of(copy_of(object, type, NLM_F_MULTI, msg->nlmsg_seq), how));
	}
	how = kernel_byte();
	if (how == 1)
		answer_raw(msg->nlmsg_seq);
	if (how == 2)
		done.head.nlmsg_flags = NLM_F_DUMP_INTR;
	if (how == 3)
		done.error = -ENOMEM;
	if (how == 4)
		kernel.lost = true;
	answer(exact(&done, sizeof(done)));
}

static void ask(const struct nlmsghdr *msg)
{
	struct nlmsghdr **object = find_object(msg);
	uint8_t how = kernel_byte();

	if (how == 1) {
		answer_raw(msg->nlmsg_seq);
	} else if (msg->nlmsg_type == RTM_GETLINK) {
		struct {
			struct nlmsghdr head;
			struct ifinfomsg ifi;
			struct nlattr attr;
			char name[4];
		} link = { { .nlmsg_len = sizeof(link), .nlmsg_type = RTM_NEWLINK, .nlmsg_seq = msg->nlmsg_seq },
			   { .ifi_index = ((const struct ifinfomsg *)(msg + 1))->ifi_index },
			   { .nla_len = 8, .nla_type = IFLA_IFNAME },
			   "eth" };
		answer(exact(&link, sizeof(link)));
	} else if (object) {
		answer(told_of(copy_of(*object, (uint16_t)(msg->nlmsg_type & ~3), 0, msg->nlmsg_seq), how));
	} else {
		answer_error(msg, ENOENT);
		return;
	}
	if (msg->nlmsg_flags & NLM_F_ACK)
		answer_error(msg, 0);
}

static int change(const struct nlmsghdr *msg)
{
	static const int errors[] = { EEXIST, ESRCH,  ENOENT,	  ENETUNREACH, EHOSTUNREACH, EINVAL, ENODEV,
				      EBUSY,  ENOMEM, EOPNOTSUPP, ENETDOWN,    EPERM,	     EAGAIN, 4095 };
	struct nlmsghdr **object = find_object(msg);
	uint8_t how = kernel_byte();

	if (how > 1 && how < 2 + sizeof(errors) / sizeof(*errors))
		return errors[how - 2];
	if (how == 0xff)
		kernel.lost = true;
	if (how == 0xfe) /* it is done, and no word of it: the same as lost, but that no one says so */
		return -1;
	if ((msg->nlmsg_type & 3) == 1) {
		if (!object)
			return kernel.obeys ? msg->nlmsg_type == RTM_DELROUTE ? ESRCH : ENOENT : 0;
		if (msg->nlmsg_flags & NLM_F_ECHO)
			answer(copy_of(*object, msg->nlmsg_type, 0, msg->nlmsg_seq));
		free(*object);
		*object = NULL;
		return 0;
	}
	if (!object) {
		object = &kernel.objects[kernel.next_object++ % OBJECTS];
	} else if (msg->nlmsg_flags & NLM_F_EXCL) {
		return EEXIST;
	}
	free(*object);
	*object = copy_of(msg, (uint16_t)(msg->nlmsg_type & ~3), 0, 0);
	return 0;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	const struct nlmsghdr *msg;

	(void)fd;
	(void)flags;
	pthread_mutex_lock(&kernel.lock);
	forget_answers();
	NSP_MSG_EACH(msg, buf, len) {
		if ((msg->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP && (msg->nlmsg_type & 3) == 2) {
			dump(msg);
		} else if ((msg->nlmsg_type & 3) == 2) {
			ask(msg);
		} else {
			int error = change(msg);
			if (error > 0 || (error == 0 && msg->nlmsg_flags & NLM_F_ACK))
				answer_error(msg, error);
		}
	}
	pthread_mutex_unlock(&kernel.lock);
	return (ssize_t)len;
}

ssize_t __wrap_recvfrom(int fd, void *buf, size_t cap, int flags, struct sockaddr *address, socklen_t *len);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t cap, int flags, struct sockaddr *address, socklen_t *len)
{
	struct nlmsghdr *msg = NULL;
	bool lost;

	(void)fd;
	(void)flags;
	memset(address, 0, *len);
	pthread_mutex_lock(&kernel.lock);
	lost = kernel.lost;
	kernel.lost = false;
	if (!lost && kernel.answer_count) {
		kernel.answer_count--;
		msg = kernel.answers[kernel.first_answer++ % ANSWERS];
	}
	pthread_mutex_unlock(&kernel.lock);
	if (!msg) {
		errno = lost ? ENOBUFS : EAGAIN;
		return -1;
	}
	size_t size = msg->nlmsg_len;
	need(size <= cap);
	memcpy(buf, msg, size);
	free(msg);
	return (ssize_t)size;
}

int __wrap_nsp_socket_open_as(struct nsp_socket *sock, int netns_fd, uint32_t portid, struct nsp_error *err);
int __wrap_nsp_socket_open_as(struct nsp_socket *sock, int netns_fd, uint32_t portid, struct nsp_error *err)
{
	uint8_t how;

	(void)netns_fd;
	pthread_mutex_lock(&kernel.lock);
	how = kernel_byte();
	pthread_mutex_unlock(&kernel.lock);
	*sock = (struct nsp_socket){ .fd = -1, .portid = portid, .window = 8 };
	if (how == 1)
		sock->portid = 4711;
	return how == 2 ? nsp_refuse(err, EMFILE, "too many files") : 0;
}

static nsp_heard_fn heard;
static void *heard_arg;

int __wrap_nsp_monitor_listen(struct nsp_monitor *mon, const int *groups, unsigned count, const struct sock_fprog *filter,
			      uint32_t portid, nsp_heard_fn fn, void *arg, struct nsp_error *err);
int __wrap_nsp_monitor_listen(struct nsp_monitor *mon, const int *groups, unsigned count, const struct sock_fprog *filter,
			      uint32_t portid, nsp_heard_fn fn, void *arg, struct nsp_error *err)
{
	(void)mon;
	(void)groups;
	(void)count;
	(void)filter;
	(void)portid;
	(void)err;
	heard = fn;
	heard_arg = arg;
	return 0;
}

static void kernel_begin(struct bytes script)
{
	kernel.script = script;
	kernel.obeys = false;
}

static void kernel_obeys(void)
{
	pthread_mutex_lock(&kernel.lock);
	kernel.obeys = true;
	pthread_mutex_unlock(&kernel.lock);
}

static void kernel_end(void)
{
	forget_answers();
	for (unsigned i = 0; i < OBJECTS; i++) {
		free(kernel.objects[i]);
		kernel.objects[i] = NULL;
	}
	kernel.next_object = 0;
}

#endif
