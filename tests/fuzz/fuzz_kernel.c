/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core and a kernel that does whatever the input says: refuses, loses answers, tells of what is not so, and has things changed by
 * others. Each request is answered all the same, and at the end, with a kernel that obeys, nothing is left.
 *
 *   | length, 2 bytes | what the planner does, step by step | what the kernel does, byte by byte: 0, as behind the end, is as it should |
 */
#include "disobedient.h"

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
