/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core and a kernel that does whatever the input says: refuses, loses answers, tells of what is not so, and has things changed by
 * others. Each request is answered all the same, and at the end, with a kernel that obeys, nothing is left.
 *
 *   | length, 2 bytes | what the planner does, step by step | what the kernel does, byte by byte: 0, as behind the end, is as it should |
 */
#include "fuzz.h"

#include <fcntl.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "core/core.h"
#include "core/frame.h"
#include "core/lock.h"
#include "core/writer.h"
#include "kinds/key.h"
#include "nsplane/core.h"

/* ---- the kernel: the linker has the core call it in place of its sockets ---- */

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

/* ---- the planner ---- */

#define SLOTS 4
static const char *const slots[SLOTS] = { "web0", "web1", "v2@name:red", "@name:red" };
static const char *const sources[2] = { "lab", "field" };

static struct nsp_core *core;
static struct nsp_frame *frame;
static uint32_t netns[2];
static bool is_ready[SLOTS];
static uint32_t opened, completed;
static bool was_quiet;
#define QUIET 4711 /* the cookie of an operation that does nothing */

static void put_text(struct mp_out *out, const char *name, const char *value)
{
	mp_put_text(out, name);
	mp_put_text(out, value);
}

static void put_hops(struct mp_out *out, bool v6, bool links)
{
	static const char *const gateways[2][2] = { { "10.9.0.1", "10.9.0.2" }, { "fd09::1", "fd09::2" } };

	mp_put_text(out, "nexthops");
	mp_put_array(out, 2);
	for (int i = 0; i < 2; i++) {
		mp_put_map(out, links ? 2 : 1);
		put_text(out, "gateway", gateways[v6][i]);
		if (links)
			put_text(out, "interface", i ? "v2" : "v3");
	}
}

/* One of a few thousand items, so that the same ones come again. Its interface is one of the slots. */
static void put_item(struct mp_out *out, uint8_t what, uint8_t how)
{
	static const char *const dsts[2][4] = { { "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "10.9.0.0/24" },
						{ "fd00::/8", "fd01::/16", "::/0", "fd09::/64" } };
	static const char *const neighbours[] = { "10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2" };
	static const char *const macs[] = { "02:00:00:00:00:01", "00:00:00:00:00:00", "01:00:5e:00:00:01", "02:00:00:00:00:02" };
	unsigned slot = what & 3, which = what >> 2 & 3, kind = what >> 4 & 3;
	struct mp_out fields = { 0 };
	uint32_t pairs = 1;
	bool v6 = kind == 1;

	if (slot == 3) {
		mp_put_text(&fields, "namespace");
		mp_put_map(&fields, 2);
		put_text(&fields, "type", "name");
		put_text(&fields, "name", "red");
	} else {
		put_text(&fields, "interface", slot == 2 ? "v2" : slots[slot]);
		if (slot == 2) {
			mp_put_text(&fields, "namespace");
			mp_put_map(&fields, 2);
			put_text(&fields, "type", "name");
			put_text(&fields, "name", "red");
			pairs++;
		}
	}
	if (how & 1) {
		mp_put_text(&fields, "override");
		mp_put_bool(&fields, true);
		pairs++;
	}
	if (kind < 2) {
		put_text(&fields, "dst", dsts[v6][which]);
		pairs++;
		if (slot == 3 && how & 2) {
			put_text(&fields, "type", how & 4 ? "blackhole" : "throw");
			pairs++;
		} else if (slot == 3 || (how & 6) == 6) {
			put_hops(&fields, v6, slot == 3);
			pairs++;
		} else if (how & 6) {
			put_text(&fields, "gateway", v6 ? (how & 2 ? "fd09::1" : "fd09::2") : (how & 2 ? "10.9.0.1" : "10.9.0.2"));
			pairs++;
		}
		if (how & 8) {
			mp_put_text(&fields, "metric");
			mp_put_uint(&fields, 5);
			pairs++;
		}
		if (how & 16) {
			mp_put_text(&fields, "table");
			mp_put_uint(&fields, 1000);
			pairs++;
		}
		if (how & 32) {
			put_text(&fields, "prefsrc", v6 ? "fd09::9" : "10.9.0.9");
			pairs++;
		}
		if (how & 64) {
			mp_put_text(&fields, "onlink");
			mp_put_bool(&fields, true);
			pairs++;
		}
	} else if (kind == 2) {
		put_text(&fields, "ip", neighbours[which]);
		put_text(&fields, "mac", macs[how & 2 ? 0 : 3]);
		pairs += 2;
	} else {
		put_text(&fields, "mac", macs[which]);
		pairs++;
		if (how & 2) {
			put_text(&fields, "dst", how & 4 ? "10.9.0.1" : "fd09::2");
			pairs++;
		}
		if (how & 8) {
			mp_put_text(&fields, "vlan");
			mp_put_uint(&fields, 7);
			pairs++;
		}
	}
	mp_put_map(out, pairs + 1);
	put_text(out, "kind", kind < 2 ? "route" : kind == 2 ? "arp" : "fdb");
	mp_put_raw(out, fields.data, fields.len);
	mp_free(&fields);
}

/* Reads a few items, or their keys, into the frame, which points into `request`. */
static void read_request(struct mp_out *request, struct bytes *steps, bool keys)
{
	uint32_t count = 1 + (take_byte(steps) & 3);

	request->len = 0;
	mp_put_map(request, 1);
	mp_put_text(request, "items");
	mp_put_array(request, count);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t what = take_byte(steps);
		put_item(request, what, take_byte(steps));
	}
	need(nsp_frame_read(frame, request->data, request->len, NULL) == 0 && !frame->other_count);
	if (!keys)
		return;
	struct mp_out named = { 0 };
	mp_put_map(&named, 1);
	mp_put_text(&named, "keys");
	mp_put_array(&named, frame->bulk_count);
	for (uint32_t i = 0; i < frame->bulk_count; i++) {
		char key[NSP_KEY_MAX];
		mp_put_str(&named, key,
			   key_format(key, frame_slot(frame, &frame->bulk[i]), frame->bulk[i].kind, frame->bulk[i].body));
	}
	mp_free(request);
	*request = named;
	need(nsp_frame_read(frame, request->data, request->len, NULL) == 0 && !frame->fault_count);
}

static void lose(unsigned i, uint8_t how)
{
	static const uint8_t missing[] = { 0x91, 0xa4, 'l', 'i', 'n', 'k' };
	uint32_t slot = nsp_slot_find(core, slots[i]);

	if (!is_ready[i])
		return;
	is_ready[i] = false;
	if (how & 4)
		nsp_slot_lost(core, slot, NSP_STATE_FAILED, NULL, 0, EINVAL, "because", how & 3);
	else
		nsp_slot_lost(core, slot, NSP_STATE_PENDING, missing, sizeof(missing), 0, NULL, how & 3);
}

static void make_ready(uint8_t how)
{
	unsigned i = how & 3;

	lose(i, how >> 4);
	if (i == 3)
		nsp_slot_ready(core, nsp_slot_find(core, slots[i]), netns[0], 0);
	else
		nsp_slot_ready_in_vrf(core, nsp_slot_find(core, slots[i]), netns[how >> 2 & 1], 2 + (how >> 3 & 1),
				      how & 0x80 ? 77 : 0);
	is_ready[i] = true;
}

/* What an override is about to take the place of has been recorded. */
static void record_replaced(void)
{
	const uint8_t *data;
	size_t len;
	long count = nsp_core_replaced(core, &data, &len);
	struct mp_in in = { data, data + len };
	char *keys[64];
	int named = 0;

	for (long i = 0; i < count; i++) {
		struct mp_in at = in;
		struct mp_token token;

		need(mp_next(&at, &token) && mp_next(&at, &token) && mp_next(&at, &token) && mp_skip(&in));
		if (named < 64)
			keys[named++] = strndup((const char *)token.data, token.len);
	}
	need(in.p == in.end);
	while (named--) {
		nsp_core_replace(core, keys[named]);
		free(keys[named]);
	}
}

static void take_notices(void)
{
	struct nsp_notice notices[16];
	int count;

	while ((count = nsp_core_notices(core, notices, 16)) > 0)
		for (int i = 0; i < count; i++) {
			const char *key = nsp_slot_key(core, notices[i].slot);

			if (notices[i].what == NSP_NOTICE_REPLACED)
				record_replaced();
			else if (key && notices[i].what == NSP_NOTICE_TOUCHED)
				nsp_slot_settle(core, notices[i].slot);
			else if (key && notices[i].what == NSP_NOTICE_RETRY)
				nsp_slot_retry(core, notices[i].slot);
		}
}

static void take_completed(void)
{
	struct nsp_done done;

	while (nsp_core_poll(core, &done)) {
		if (done.op) {
			was_quiet |= done.op->cookie == QUIET;
			nsp_op_free(done.op);
			continue;
		}
		struct nsp_result result;
		need(nsp_core_request_result(core, done.serial, &result) == 0 && !result.outstanding);
		need_values(result.data, result.len, result.entries);
		nsp_core_request_close(core, done.serial);
		completed++;
	}
}

/* Until the writer has nothing to do. */
static void quiet(void)
{
	struct nsp_op *op = nsp_op_new(QUIET);

	was_quiet = false;
	nsp_op_stage(op, netns[0], 0);
	nsp_core_submit(core, op, 0);
	for (int waited = 0; !was_quiet; waited++) {
		need(waited < 600); /* a minute */
		nsp_core_wait(core, 100);
		take_completed();
		take_notices();
	}
}

static void commit(uint32_t serial)
{
	nsp_core_request_commit(core, serial);
	opened++;
}

static void sweep(uint8_t how)
{
	uint32_t serial = nsp_core_request_open(core);

	nsp_core_sweep(core, serial, nsp_core_origin(core, sources[how & 1], how >> 2), how >> 1 & 1);
	commit(serial);
}

/* Somebody has done something to an object that is there, or to whatever the input says. */
static void hear(struct bytes *steps)
{
	uint8_t how = take_byte(steps), at = take_byte(steps), value = take_byte(steps);
	struct nlmsghdr *msg = NULL;

	if (how & 1) {
		struct bytes part = take_part(steps);
		if (bytes_left(&part) >= sizeof(*msg)) {
			msg = exact(part.at, bytes_left(&part));
			msg->nlmsg_len = (uint32_t)bytes_left(&part);
		}
	} else {
		pthread_mutex_lock(&kernel.lock);
		const struct nlmsghdr *object = kernel.objects[(how >> 4) % OBJECTS];
		if (object)
			msg = copy_of(object, (uint16_t)(object->nlmsg_type | (how >> 1 & 1)),
				      how & 4 ? NLM_F_REPLACE : NLM_F_APPEND, 0);
		pthread_mutex_unlock(&kernel.lock);
		if (msg && at && sizeof(*msg) + at - 1 < msg->nlmsg_len)
			((uint8_t *)msg)[sizeof(*msg) + at - 1] = value;
		if (msg)
			msg->nlmsg_pid = how & 8 ? 0 : 99;
	}
	if (msg)
		heard(heard_arg, how >> 2 & 1, msg);
	free(msg);
}

static void read_back(uint8_t how)
{
	struct nsp_op *op = nsp_op_new(1);

	nsp_op_stage(op, netns[how & 1], 0);
	nsp_op_readback(op);
	if (how & 2)
		nsp_op_inspect(op);
	if (how & 4)
		nsp_op_confirm(op);
	if (how & 8)
		nsp_op_sweep(op, 2, "web0");
	if (how & 16)
		nsp_op_sweep(op, 3, "v2@name:red");
	nsp_core_submit(core, op, how & 32);
}

/* Messages as they are, and one that an earlier life has left. */
static void operate(struct bytes *steps)
{
	struct nsp_op *op = nsp_op_new(2);
	uint8_t how = take_byte(steps);
	struct bytes part = take_part(steps);
	void *copy = exact(part.at, bytes_left(&part));
	const struct nlmsghdr *head;

	nsp_op_stage(op, netns[how & 1], how & 2 ? NSP_STAGE_TRY : 0);
	if (how & 4) {
		nsp_op_restore(op, copy, bytes_left(&part));
	} else {
		NSP_MSG_EACH(head, copy, bytes_left(&part))
			nsp_batch_copy(nsp_op_reserve(op, NSP_ALIGN(head->nlmsg_len) + 16), head, head->nlmsg_type, NLM_F_REQUEST);
	}
	nsp_core_remember(core, how & 8 ? "route/web0/10.0.0.0/8" : "arp/web0/10.9.0.1", copy, bytes_left(&part));
	nsp_core_submit(core, op, how & 16);
	free(copy);
}

/* Whatever is asked while the writer is at work. */
static void list(uint8_t how)
{
	static struct nsp_figures figures;
	struct nsp_slot_info info;
	uint64_t cursor = 0, generation;
	const uint8_t *data;
	uint32_t origin;
	size_t len;

	do {
		long count = nsp_core_rows(core, how & 1 ? "route/" : "", how >> 2, NULL, &cursor, 4, 1024, &data, &len);
		need_values(data, len, count);
	} while (cursor);
	do {
		long count = nsp_core_items(core, &cursor, 1024, &origin, &data, &len);
		need_values(data, len, count);
		need(!count || nsp_core_origin_source(core, origin, &generation));
	} while (cursor);
	long count = nsp_core_compare_sweep(core, NULL, nsp_core_origin(core, sources[how & 1], 3), &data, &len);
	need_values(data, len, count);
	for (unsigned i = 0; i < SLOTS; i++) {
		uint32_t slot = nsp_slot_find(core, slots[i]);
		need(nsp_slot_info(core, slot, &info) == 0 && info.ready == is_ready[i] &&
		     !strcmp(nsp_slot_key(core, slot), slots[i]));
	}
	nsp_core_figures(core, &figures);
	nsp_core_watch(core, how & 2);
	nsp_core_changes(core, &data, &len);
}

static void step(struct bytes *steps, struct mp_out *request)
{
	uint8_t what = take_byte(steps), how = take_byte(steps);
	uint32_t serial;

	switch (what % 16) {
	case 0:
	case 1:
	case 2:
		read_request(request, steps, false);
		serial = nsp_core_request_open(core);
		nsp_core_put(core, frame, serial, nsp_core_origin(core, sources[how & 1], how >> 2 & 3), how & 2);
		commit(serial);
		break;
	case 3:
	case 4:
		read_request(request, steps, true);
		serial = nsp_core_request_open(core);
		nsp_core_delete(core, frame, serial, nsp_core_origin(core, sources[how & 1], 0), how & 4 ? NSP_FORCE : 0, how & 2);
		commit(serial);
		break;
	case 5:
		sweep(how & 0x0f);
		break;
	case 6:
	case 7:
		make_ready(how);
		break;
	case 8:
		lose(how & 3, how >> 2);
		break;
	case 9:
	case 10:
		hear(steps);
		break;
	case 11:
		read_back(how);
		break;
	case 12:
		nsp_core_recheck(core, netns[how & 1], how & 2 ? 2 : 0, how >> 2 | (how & 1 ? NSP_RECHECK_REFUSED : 0));
		nsp_core_repair(core);
		break;
	case 13:
		operate(steps);
		break;
	case 14:
		if (how & 0x80)
			nsp_core_nexthop_objects(core, how & 1);
		else if (how & 0x40)
			nsp_core_record_replaced(core, how & 1);
		else if (how & 0x20)
			nsp_core_pause(core, how & 1);
		else if (how & 0x10)
			nsp_core_defer_wakeup(core, how & 1);
		else
			list(how);
		break;
	default:
		nsp_core_pause(core, 0);
		nsp_core_defer_wakeup(core, 0);
		quiet();
	}
	take_completed();
	if (what & 0x80)
		take_notices();
	core_lock(core); /* the writer takes from the queue meanwhile */
	bool waits = core->queue.count && !core->paused;
	core_unlock(core);
	if (what & 0x40 && waits)
		quiet();
}

static uint64_t wanted(void)
{
	struct nsp_totals totals;
	uint64_t rows = 0;

	nsp_core_totals(core, &totals);
	for (int kind = 0; kind < KINDS_MAX; kind++)
		for (int state = 0; state < NSP_STATES; state++)
			rows += totals.rows[kind][state];
	return rows;
}

static void begin(void)
{
	struct nsp_monitor mon = { .fd = -1 };
	int files[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC) };

	core = nsp_core_new(NULL);
	need(core && files[0] >= 0 && files[1] >= 0);
	need(nsp_core_listen(core, &mon, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		need(nsp_core_netns_add(core, files[i], &netns[i], NULL) == 0);
		close(files[i]);
		nsp_core_netns_nsid(core, netns[i], i);
	}
	if (!frame)
		frame = nsp_frame_new();
	opened = completed = 0;
	memset(is_ready, 0, sizeof(is_ready));
}

/* All requests are answered, and all that is wanted can be taken back. */
static void end(void)
{
	kernel_obeys();
	nsp_core_pause(core, 0);
	nsp_core_defer_wakeup(core, 0);
	quiet();
	for (int i = 0; i < 2; i++)
		sweep((uint8_t)(0xfc | i)); /* of no generation so late */
	for (int i = 0; i < 8 && (completed < opened || wanted()); i++)
		quiet();
	need(completed == opened);
	need(!wanted());
	for (unsigned i = 0; i < SLOTS; i++)
		lose(i, 0);
	for (int i = 0; i < 2; i++)
		nsp_core_netns_drop(core, netns[i]);
	nsp_core_free(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, data + size }, steps = take_part(&bytes);
	struct mp_out request = { 0 };

	kernel_begin(bytes);
	begin();
	for (int i = 0; i < 64 && steps.at < steps.end; i++)
		step(&steps, &request);
	end();
	kernel_end();
	mp_free(&request);
	return 0;
}
