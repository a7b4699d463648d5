/* SPDX-License-Identifier: Apache-2.0 */
/*
 * back.h - reading a rig's namespace back, and what others have done to it before.
 */
#ifndef TEST_BACK_H
#define TEST_BACK_H

#include "rig.h"

/* Of every sort of route and neighbour one, and others that the kernel adds fields to. */
#define ALL                                                                                                                        \
	"[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.1.0.0/16, gateway: 192.0.2.9},"  \
	" {kind: route, interface: web0, dst: 10.2.0.0/16, gateway: 192.0.2.9, metric: 5, table: 1000, prefsrc: 192.0.2.1,"        \
	" scope: site}, {kind: route, interface: web0, dst: 10.3.0.0/16, gateway: 198.51.100.1, onlink: true},"                    \
	" {kind: route, interface: web0, dst: 10.4.0.0/16, scope: link}, {kind: route, interface: web0, dst: 10.5.0.0/16, scope: " \
	"host}, {kind: route, interface: web0, dst: 10.6.0.0/16, gateway: 192.0.2.9, scope: global},"                              \
	" {kind: route, interface: web0, dst: 10.7.0.0/16, scope: global}, {kind: route, interface: web0, dst: 10.8.0.1/32, "      \
	"prefsrc: 192.0.2.1, table: 77}, {kind: route, interface: web0, dst: 0.0.0.0/0, gateway: 192.0.2.9},"                      \
	" {kind: route, interface: web0, dst: fd00::/16}, {kind: route, interface: web0, dst: fd01::/16, gateway: 2001:db8::9},"   \
	" {kind: route, interface: web0, dst: fd02::/16, gateway: 2001:db8::9, metric: 5, table: 1000, prefsrc: 2001:db8::1},"     \
	" {kind: route, interface: web0, dst: fd03::/16, gateway: fd99::1, onlink: true},"                                         \
	" {kind: route, interface: web0, dst: fd04::/16, gateway: fe80::9, metric: 7}, {kind: route, interface: web0, dst: ::/0, " \
	"gateway: 2001:db8::9}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"                              \
	" {kind: arp, interface: web0, ip: 192.0.2.10, mac: 02:00:00:00:00:0a},"                                                   \
	" {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]"
#define ALL_COUNT 19

static inline uint64_t written(struct rig *rig)
{
	struct nsp_totals totals;

	nsp_core_totals(rig->core, &totals);
	return totals.written;
}
static inline struct nsp_op *reading(struct rig *rig)
{
	static uint64_t cookie = 100;
	struct nsp_op *op = nsp_op_new(++cookie);

	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	return op;
}
static inline void await(struct rig *rig, uint64_t cookie)
{
	do
		rig_next(rig);
	while (!rig->op || rig->op->cookie != cookie);
}
/* Carries one out and waits for its end; its result is in rig->op. */
static inline void carry_out(struct rig *rig, struct nsp_op *op)
{
	uint64_t cookie = op->cookie;

	nsp_core_submit(rig->core, op, false);
	await(rig, cookie);
	CHECK_EQ(rig->op->error, 0);
	CHECK_STR(rig->op->text, "");
}
static inline void check_found(struct rig *rig, uint32_t missing, uint32_t altered, uint32_t stale)
{
	CHECK_EQ(rig->op->missing, missing);
	CHECK_EQ(rig->op->altered, altered);
	CHECK_EQ(rig->op->stale, stale);
}
/* Reads back, and waits until everything that follows from it has been done. */
static inline void read_back(struct rig *rig)
{
	carry_out(rig, reading(rig));
	struct nsp_op found = *rig->op;
	rig_quiet(rig);
	rig_quiet(rig);
	*rig->op = found;
}
static inline void delete_route(struct rig *rig, const char *dst, uint8_t len, uint32_t table, uint32_t metric)
{
	struct nsp_route route = route_of(rig->link, dst, len, NULL);

	route.table = table;
	route.metric = metric;
	NEED(nsp_route_delete(&rig->world->batch, &route));
}
static inline void put_route(struct rig *rig, const char *dst, uint8_t len, const char *gateway, uint8_t proto)
{
	struct nsp_route route = route_of(rig->link, dst, len, gateway);

	route.proto = proto;
	route.metric = route.family == AF_INET6 ? 1024 : 0;
	NEED(nsp_route_put(&rig->world->batch, &route, NSP_PUT_REPLACE));
}
static inline struct nsp_neigh neigh_of(struct rig *rig, const char *ip, uint8_t last)
{
	struct nsp_neigh neigh = { .index = rig->link, .mac_len = 6, .mac = { 2, 0, 0, 0, 0, last } };

	neigh.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	inet_pton(neigh.family, ip, neigh.dst);
	return neigh;
}
static inline void delete_neigh(struct rig *rig, const char *ip)
{
	struct nsp_neigh neigh = neigh_of(rig, ip, 0);

	NEED(nsp_neigh_delete(&rig->world->batch, &neigh));
}
static inline void put_neigh(struct rig *rig, const char *ip, uint8_t last, uint8_t proto, uint16_t state)
{
	struct nsp_neigh neigh = neigh_of(rig, ip, last);

	neigh.proto = proto;
	neigh.state = state;
	NEED(nsp_neigh_put(&rig->world->batch, &neigh, NSP_PUT_REPLACE));
}
static inline void change(struct rig *rig)
{
	CHECK_EQ(world_send(rig->world, NULL), 0);
}

#endif
