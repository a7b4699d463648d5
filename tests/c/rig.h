/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a core and a namespace with a veth `v0` (192.0.2.1/24, 2001:db8::1/64) to which the slot `web0` belongs; requests as text,
 * rows and the kernel's tables read as text.
 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "items.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <sched.h>
#include <time.h>

#include "core/frame.h"
#include "core/slots.h"
#include "kinds/key.h"
#include "wire/prefix.h"

#define WAIT_MS 60000 /* for what has to come; sanitizers are slow */

struct rig {
	struct world *world;
	struct nsp_core *core;
	struct nsp_frame *frame;
	struct mp_out bytes;
	uint32_t netns;
	int32_t link, peer;
	uint32_t slot;
	uint32_t counts[NSP_STATES]; /* of the last request */
	char *entries;		     /* its, one a line */
	struct nsp_op *op;	     /* the last that was completed */
};

static inline void rig_addr(struct rig *rig, int32_t index, const char *ip, uint8_t prefix_len)
{
	struct nsp_addr addr = addr_of(index, ip, prefix_len);

	addr.flags = addr.family == AF_INET6 ? IFA_F_NODAD : 0;
	NEED(nsp_addr_add(&rig->world->batch, &addr));
	NEED(-abs(world_send(rig->world, NULL)));
}

static inline struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct nsp_error err = { 0 };
	struct nsp_link link;

	rig->world = world_new();
	rig->link = world_veth(rig->world, "v0");
	rig->peer = world_link(rig->world, "v0-p", &link);
	rig_addr(rig, rig->link, "192.0.2.1", 24);
	rig_addr(rig, rig->link, "2001:db8::1", 64);
	rig->core = nsp_core_new(&err);
	rig->frame = nsp_frame_new();
	if (!rig->core || nsp_core_netns_add(rig->core, rig->world->netns, &rig->netns, &err) < 0) {
		printf("a core: %s\n", err.text);
		exit(1);
	}
	rig->slot = nsp_slot_find(rig->core, "web0");
	return rig;
}

static inline void rig_free(struct rig *rig)
{
	nsp_core_free(rig->core);
	nsp_frame_free(rig->frame);
	nsp_op_free(rig->op);
	mp_free(&rig->bytes);
	free(rig->entries);
	world_free(rig->world);
	free(rig);
}

static inline void rig_ready(struct rig *rig)
{
	nsp_slot_ready(rig->core, rig->slot, rig->netns, rig->link);
}

/* A rig whose slot is ready. */
static inline struct rig *rig_new_ready(void)
{
	struct rig *rig = rig_new();

	rig_ready(rig);
	return rig;
}

/* The interface is not there: `missing` is what it waits for. */
static inline void rig_lost(struct rig *rig, const char *missing, uint32_t flags)
{
	struct mp_out out = { 0 };

	put_value(&out, missing);
	nsp_slot_lost(rig->core, rig->slot, NSP_STATE_PENDING, out.data, (uint32_t)out.len, 0, NULL, flags);
	mp_free(&out);
}

/* ---- requests ---- */

static inline void rig_read(struct rig *rig, const char *list, const char *text)
{
	struct nsp_error err = { 0 };

	rig->bytes.len = 0;
	mp_put_map(&rig->bytes, 1);
	mp_put_text(&rig->bytes, list);
	put_value(&rig->bytes, text);
	if (nsp_frame_read(rig->frame, rig->bytes.data, rig->bytes.len, &err) < 0) {
		printf("%s: %s\n", text, err.text);
		exit(1);
	}
}

/* Gives rows on slots that are not ready their verdict, as the planner does. */
static inline void rig_settle(struct rig *rig)
{
	struct nsp_notice notices[16];
	int count;

	while ((count = nsp_core_notices(rig->core, notices, 16)) > 0)
		for (int i = 0; i < count; i++)
			if (notices[i].what == NSP_NOTICE_TOUCHED && nsp_slot_key(rig->core, notices[i].slot))
				nsp_slot_settle(rig->core, notices[i].slot);
}

/* Begins a request that puts `items`; it is not waited for. */
static inline uint32_t rig_start_as(struct rig *rig, const char *source, uint64_t generation, const char *items, bool express)
{
	uint32_t serial = nsp_core_request_open(rig->core);

	rig_read(rig, "items", items);
	nsp_core_put(rig->core, rig->frame, serial, nsp_core_origin(rig->core, source, generation), express);
	nsp_core_request_commit(rig->core, serial);
	rig_settle(rig);
	return serial;
}

static inline uint32_t rig_start(struct rig *rig, const char *items)
{
	return rig_start_as(rig, "lab", 0, items, false);
}

static inline uint32_t rig_start_delete(struct rig *rig, const char *source, const char *keys, uint32_t flags)
{
	uint32_t serial = nsp_core_request_open(rig->core);

	rig_read(rig, "keys", keys);
	nsp_core_delete(rig->core, rig->frame, serial, nsp_core_origin(rig->core, source, 0), flags, false);
	nsp_core_request_commit(rig->core, serial);
	return serial;
}

/* What was counted so far, and the entries. */
static inline uint32_t rig_result(struct rig *rig, uint32_t serial)
{
	struct nsp_result result = { 0 };

	if (nsp_core_request_result(rig->core, serial, &result) < 0) {
		printf("request %u is not there\n", serial);
		exit(1);
	}
	memcpy(rig->counts, result.counts, sizeof(rig->counts));
	free(rig->entries);
	rig->entries = strdup(shown(result.data, result.len));
	return result.outstanding;
}

/* Waits for the next completion: a request's serial, or 0 for an operation, which is kept in rig->op. */
static inline uint32_t rig_next(struct rig *rig)
{
	struct nsp_done done;

	for (int waited = 0; !nsp_core_poll(rig->core, &done); waited += 100) {
		rig_settle(rig);
		if (waited >= WAIT_MS) {
			puts("nothing is completed");
			exit(1);
		}
		nsp_core_wait(rig->core, 100);
	}
	if (done.op) {
		nsp_op_free(rig->op);
		rig->op = done.op;
	}
	return done.serial;
}

/* Waits for one request, takes its result, and closes it. Others that are completed meanwhile are left to rig_result. */
static inline void rig_end(struct rig *rig, uint32_t serial)
{
	while (rig_next(rig) != serial)
		;
	CHECK_EQ(rig_result(rig, serial), 0);
	nsp_core_request_close(rig->core, serial);
}

static inline void rig_put_as(struct rig *rig, const char *source, const char *items)
{
	rig_end(rig, rig_start_as(rig, source, 0, items, false));
}

static inline void rig_put(struct rig *rig, const char *items)
{
	rig_put_as(rig, "lab", items);
}

static inline void rig_delete(struct rig *rig, const char *keys)
{
	rig_end(rig, rig_start_delete(rig, "lab", keys, 0));
}

/* "[...]" of `count` host routes from 20.0.0.0 on, `rest` being their other fields. */
static inline char *routes(uint32_t first, uint32_t count, const char *rest)
{
	size_t cap = (size_t)count * (64 + strlen(rest)) + 8, len = 1;
	char *text = malloc(cap);

	text[0] = '[';
	for (uint32_t i = first; i < first + count; i++)
		len += (size_t)snprintf(text + len, cap - len, "{kind: route, interface: web0, dst: 20.%u.%u.%u/32%s}, ",
					i >> 16 & 255, i >> 8 & 255, i & 255, rest);
	snprintf(text + len, cap - len, "]");
	return text;
}

/* Puts that many routes and does not wait: the writer has something to do for a while. */
static inline uint32_t rig_ballast(struct rig *rig, uint32_t count)
{
	char *items = routes(0, count, "");
	uint32_t serial = rig_start_as(rig, "ballast", 0, items, false);

	free(items);
	return serial;
}

/* ---- what became of it ---- */

/* The number of the row of this key. */
static inline uint32_t rig_find(struct rig *rig, const char *key)
{
	struct mp_out text = { 0 };
	struct fault fault;
	struct decoded decoded;
	uint32_t id = NIL;

	if (key_parse(key, strlen(key), &decoded, &text, &fault))
		id = table_find(&rig->core->table, decoded_key(slot_lookup(rig->core, (char *)text.data + decoded.slot), &decoded));
	mp_free(&text);
	return id;
}

/* The entry of a row, or "none". */
static inline const char *rig_row(struct rig *rig, const char *key)
{
	const uint8_t *data;
	long len = nsp_core_row(rig->core, key, &data);

	return len < 0 ? "none" : shown(data, (size_t)len);
}

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* Waits until the entry of a row has `part`. */
static inline const char *rig_await(struct rig *rig, const char *key, const char *part)
{
	const char *text = "";

	for (int waited = 0; waited < WAIT_MS; waited += 2) {
		text = rig_row(rig, key);
		if (strstr(text, part))
			break;
		nap();
	}
	return text;
}

/* The changes noted since the last call, "TOPIC: ENTRY" a line. */
static inline const char *rig_changes(struct rig *rig, long *count)
{
	static char text[65536];
	const uint8_t *data;
	size_t len, at = 0, n = 0;

	*count = nsp_core_changes(rig->core, &data, &len);
	text[0] = 0;
	for (long i = 0; i < *count && n < sizeof(text); i++) {
		uint32_t key_len, entry_len;

		memcpy(&key_len, data + at, 4);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s: ", (int)key_len, (const char *)data + at + 4);
		at += 4 + key_len;
		memcpy(&entry_len, data + at, 4);
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", shown(data + at + 4, entry_len));
		at += 4 + entry_len;
	}
	return text;
}

/* Waits until the queue is empty and the writer idle. */
static inline void rig_quiet(struct rig *rig)
{
	struct nsp_op *op = nsp_op_new(1);

	nsp_op_stage(op, rig->netns, 0);
	nsp_core_submit(rig->core, op, false);
	while (rig_next(rig))
		;
}

/* ---- the kernel ---- */

struct kernel_text {
	char *text;
	size_t len;
	FILE *file;
	const char *wanted;
	uint32_t count; /* ours */
};

static inline void kernel_route(void *arg, uint32_t index, const void *msg)
{
	struct kernel_text *out = arg;
	char dst[64], gateway[64] = "";
	struct nsp_route route;

	(void)index;
	if (!msg) {
		rewind(out->file);
		out->count = 0;
		return;
	}
	if (nsp_route_read(msg, &route) < 0)
		return;
	out->count += route.proto == NSP_PROTOCOL;
	size_t n = prefix_format_ip(dst, route.family == AF_INET6, route.dst);
	snprintf(dst + n, sizeof(dst) - n, "/%u", route.dst_len);
	if (!out->wanted || strcmp(dst, out->wanted) != 0)
		return;
	if (route.fields & NSP_ROUTE_GATEWAY)
		prefix_format_ip(gateway, route.family == AF_INET6, route.gateway);
	fprintf(out->file, "%s%s dev %d proto %u metric %u table %u scope %u\n", gateway[0] ? "via " : "direct", gateway, route.oif,
		route.proto, route.metric, route.table, route.scope);
}

static inline void kernel_neigh(void *arg, uint32_t index, const void *msg)
{
	struct kernel_text *out = arg;
	struct nsp_neigh neigh;
	char ip[64];

	(void)index;
	if (!msg) {
		rewind(out->file);
		return;
	}
	if (nsp_neigh_read(msg, &neigh) < 0)
		return;
	prefix_format_ip(ip, neigh.family == AF_INET6, neigh.dst);
	if (strcmp(ip, out->wanted) == 0)
		fprintf(out->file, "mac %02x:%02x:%02x:%02x:%02x:%02x dev %d proto %u state 0x%x\n", neigh.mac[0], neigh.mac[1],
			neigh.mac[2], neigh.mac[3], neigh.mac[4], neigh.mac[5], neigh.index, neigh.proto, neigh.state);
}

static inline const char *kernel_read(struct rig *rig, int what, const char *wanted, uint32_t *count)
{
	static char *text;
	struct kernel_text out = { .wanted = wanted };

	free(text);
	out.file = open_memstream(&out.text, &out.len);
	NEED(nsp_dump(&rig->world->sock, what, 0, 0, 0, what == NSP_DUMP_ROUTES ? kernel_route : kernel_neigh, &out, NULL));
	fclose(out.file);
	text = out.text;
	if (count)
		*count = out.count;
	return text;
}

/* The routes to one destination, one a line; "" for none. */
static inline const char *in_kernel(struct rig *rig, const char *dst)
{
	return kernel_read(rig, NSP_DUMP_ROUTES, dst, NULL);
}

static inline const char *neigh_in_kernel(struct rig *rig, const char *ip)
{
	return kernel_read(rig, NSP_DUMP_NEIGHS, ip, NULL);
}

/* How many routes of ours there are. */
static inline uint32_t ours_in_kernel(struct rig *rig)
{
	uint32_t count;

	kernel_read(rig, NSP_DUMP_ROUTES, NULL, &count);
	return count;
}

/* What somebody does with the kernel in a rig's namespace. */
static inline void by_ip(struct rig *rig, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "nsenter --net=/proc/%d/fd/%d sh -c 'ip %s'", getpid(), rig->world->netns, command);
	CHECK_EQ(system(line), 0);
}

/* What ip(8) shows there. */
static inline const char *by_ip_shown(struct rig *rig, const char *what)
{
	static char text[4096];
	char line[512];

	snprintf(line, sizeof(line), "nsenter --net=/proc/%d/fd/%d ip %s", getpid(), rig->world->netns, what);
	FILE *pipe = popen(line, "r");
	size_t len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = 0;
	pclose(pipe);
	return text;
}

/* Somebody else's route or neighbour. */
static inline void foreign_route(struct rig *rig, const char *dst, uint8_t len, const char *gateway)
{
	struct nsp_route route = route_of(rig->link, dst, len, gateway);

	route.proto = RTPROT_STATIC;
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_NEW));
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

static inline void foreign_route_gone(struct rig *rig, const char *dst, uint8_t len)
{
	struct nsp_route route = route_of(rig->link, dst, len, NULL);

	route.proto = RTPROT_STATIC;
	NEED(nsp_route_delete(&rig->world->batch, &route));
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

static inline void foreign_neigh(struct rig *rig, const char *ip, uint8_t last, uint16_t state)
{
	struct nsp_neigh neigh = {
		.index = rig->link, .family = strchr(ip, ':') ? AF_INET6 : AF_INET, .state = state, .mac_len = 6
	};

	neigh.mac[0] = 2;
	neigh.mac[5] = last;
	inet_pton(neigh.family, ip, neigh.dst);
	NEED(nsp_neigh_put(&rig->world->batch, &neigh, NSP_PUT_NEW));
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

#endif
