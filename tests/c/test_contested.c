/* SPDX-License-Identifier: Apache-2.0 */
/* What is heard may be late, of a row that is being written, or of somebody who fights back. */
#include "listener.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/queue.h"
#include "core/verdict.h"

/* Deleted while it is being written: was that before it was put or after? It is put as new, which is right in both cases. */
static void test_while_it_is_written(void)
{
	struct listener listener = listener_with_all();
	struct nsp_core *core = listener.rig->core;
	long count;

	for (int before = 0; before < 2; before++) {
		uint32_t id = rig_find(listener.rig, "route/web0/10.0.0.0/8");
		struct row *row = table_row(&core->table, id);
		struct sent sent = {
			.row = id, .netns = listener.rig->netns, .ifindex = listener.rig->link, .due = DUE_REPLACE, .on_link = true
		};

		sent.generation = core->slots[row->slot]->generation;
		row->flags |= ROW_SENT; /* the writer sleeps */
		delete_route(&listener, "10.0.0.0", 8);
		if (before)
			replace_route(&listener, "10.0.0.0", 8, NULL, 110);
		send_all(&listener);
		while (nsp_monitor_read(&listener.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
			;
		CHECK_EQ(row->flags & (ROW_HELD | ROW_SENT | ROW_UNDONE), ROW_HELD | ROW_SENT | ROW_UNDONE);
		uint64_t written = totals(&listener).written;
		pthread_mutex_lock(&core->lock);
		CHECK(!verdict_take(core, &sent));
		CHECK_EQ(row->flags & (ROW_HELD | ROW_SENT | ROW_UNDONE | ROW_QUEUED), ROW_UNDONE | ROW_QUEUED);
		pthread_mutex_unlock(&core->lock);
		listen_in(&listener);
		check_all(listener.rig);
		CHECK_EQ(totals(&listener).written, written + 1 + (uint64_t)before);
	}
	rig_changes(listener.rig, &count);
	CHECK_EQ(count, 0);
	listener_free(&listener);
}
/* Deleted and put back before it was heard: what is not wanted any more by then, or withdrawn, is deleted all the same. */
static void test_heard_late(void)
{
	struct listener listener = listener_with_all();

	for (int withdrawn = 0; withdrawn < 2; withdrawn++) {
		nsp_core_pause(listener.rig->core, 1);
		delete_route(&listener, "10.0.0.0", 8);
		replace_route(&listener, "10.0.0.0", 8, NULL, 110);
		send_all(&listener);
		while (nsp_monitor_read(&listener.mon, (struct nsp_event[8]){ 0 }, 8, NULL) > 0)
			;
		if (withdrawn) {
			rig_lost(listener.rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
			nsp_core_pause(listener.rig->core, 0);
			rig_quiet(listener.rig);
			CHECK_EQ(ours_in_kernel(listener.rig), 0);
			continue;
		}
		uint32_t serial = rig_start_delete(listener.rig, "lab", "[route/web0/10.0.0.0/8]", 0);
		nsp_core_pause(listener.rig->core, 0);
		rig_end(listener.rig, serial);
		CHECK_EQ(listener.rig->counts[NSP_STATE_REMOVED], 1);
		CHECK_STR(in_kernel(listener.rig, "10.0.0.0/8"), "");
		rig_put(listener.rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	}
	listener_free(&listener);
}

static void test_fight(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	struct row *row;
	long count;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	listen_in(&listener);
	nsp_core_watch(rig->core, 1);
	row = table_row(&rig->core->table, rig_find(rig, "route/web0/10.0.0.0/8"));
	for (int i = 0; i < 5; i++) {
		delete_route(&listener, "10.0.0.0", 8);
		send_all(&listener);
		listen_in(&listener);
		CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
	}
	delete_route(&listener, "10.0.0.0", 8);
	send_all(&listener);
	uint64_t before = totals(&listener).written;
	listen_in(&listener);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_EQ(totals(&listener).written, before);
	CHECK_EQ(totals(&listener).rows[0][NSP_STATE_RETRYING], 1);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"),
		  "state: retrying, source: lab, missing: [], errno: nil, message: somebody else deletes it,");
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "tries: 1, item:");
	CHECK_EQ(row->list, LIST_OPEN);
	const char *text = rig_changes(rig, &count);
	CHECK_EQ(count, 6 + 1);
	CHECK_HAS(text, "item/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: retrying");
	CHECK_HAS(text, "tries: 1, item: {kind: route, interface: web0, dst: 10.0.0.0/8}, previous: configured}");

	/* Nothing that is judged again takes it along: it waits for its time. */
	delete_route(&listener, "11.0.0.0", 8);
	send_all(&listener);
	listen_in(&listener);
	nsp_core_recheck(rig->core, rig->netns, 0, NSP_RECHECK_REFUSED);
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "direct");
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");

	/* Tried again, and undone again: refused at once, and counted. */
	for (uint32_t tries = 2; tries < 5; tries++) {
		pthread_mutex_lock(&rig->core->lock);
		queue_row(rig->core, rig_find(rig, "route/web0/10.0.0.0/8"), row, false);
		pthread_mutex_unlock(&rig->core->lock);
		rig_quiet(rig);
		rig_quiet(rig);
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: configured");
		delete_route(&listener, "10.0.0.0", 8);
		send_all(&listener);
		listen_in(&listener);
		CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: retrying");
		CHECK_EQ(table_extra(&rig->core->table, row)->tries, tries);
	}

	/* There was calm for a while: it begins anew. (Its time is set back in place of waiting.) */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	pthread_mutex_lock(&rig->core->lock);
	table_extra(&rig->core->table, row)->configured -= 11000;
	table_extra(&rig->core->table, row)->repaired -= 11000;
	pthread_mutex_unlock(&rig->core->lock);
	replace_route(&listener, "10.0.0.0", 8, "192.0.2.9", 110);
	send_all(&listener);
	listen_in(&listener);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_EQ(table_extra(&rig->core->table, row)->repairs, 1);

	/* Five times in ten seconds, not five times in a day. */
	for (int i = 0; i < 12; i++) {
		pthread_mutex_lock(&rig->core->lock);
		table_extra(&rig->core->table, row)->contested -= 3000;
		pthread_mutex_unlock(&rig->core->lock);
		replace_route(&listener, "10.0.0.0", 8, "192.0.2.9", 110);
		send_all(&listener);
		listen_in(&listener);
		CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	}

	/* One that is changed again and again. */
	for (int i = 0; i < 6; i++) {
		replace_route(&listener, "11.0.0.0", 8, "192.0.2.9", 110);
		send_all(&listener);
		listen_in(&listener);
	}
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "state: retrying");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "message: somebody else changes it,");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via 192.0.2.9");
	rig_delete(rig, "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 2);
	CHECK_EQ(ours_in_kernel(rig), 0);
	listener_free(&listener);
}
struct enemy {
	struct rig *rig;
	atomic_bool ready, stop;
	atomic_uint deleted;
};
/* Deletes every route of ours as soon as it comes. */
static void *undo(void *arg)
{
	struct enemy *enemy = arg;
	struct nsp_socket sock;
	struct nsp_batch batch;
	int group = RTNLGRP_IPV4_ROUTE;
	uint32_t buf[64];
	uint8_t msg[4096];

	if (nsp_socket_open(&sock, enemy->rig->world->netns, NULL) < 0)
		return NULL;
	struct nsp_socket news;
	if (nsp_socket_open(&news, enemy->rig->world->netns, NULL) < 0 ||
	    setsockopt(news.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return NULL;
	atomic_store(&enemy->ready, true);
	while (!atomic_load(&enemy->stop)) {
		struct nsp_route route;
		struct pollfd fd = { .fd = news.fd, .events = POLLIN };
		if (poll(&fd, 1, 10) <= 0 || nsp_socket_receive(&news, msg, sizeof(msg)) < 0)
			continue;
		if (((struct nlmsghdr *)(void *)msg)->nlmsg_type != RTM_NEWROUTE || nsp_route_read(msg, &route) < 0 ||
		    route.proto != 110)
			continue;
		nsp_batch_init(&batch, buf, sizeof(buf));
		nsp_route_delete(&batch, &route);
		nsp_batch_send(&sock, &batch, NULL, NULL, NULL, NULL);
		atomic_fetch_add(&enemy->deleted, 1);
	}
	nsp_socket_close(&sock);
	nsp_socket_close(&news);
	return NULL;
}
/* An enemy that is as fast as the kernel: every row is given up for a while after a few tries, in flight or not, and when there is peace all
 * are there. */
static void test_fast_enemy(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	struct enemy enemy = { .rig = rig };
	char *items = routes(0, 500, "");
	pthread_t thread;

	pthread_create(&thread, NULL, undo, &enemy);
	while (!atomic_load(&enemy.ready))
		nap();
	rig_put(rig, items);
	for (int waited = 0; waited < WAIT_MS && totals(&listener).rows[0][NSP_STATE_RETRYING] < 500; waited += 50)
		listen_in(&listener);
	CHECK_EQ(totals(&listener).rows[0][NSP_STATE_RETRYING], 500);
	CHECK_EQ(ours_in_kernel(rig), 0);
	uint64_t before = totals(&listener).written;
	listen_in(&listener);
	CHECK_EQ(totals(&listener).written, before);
	CHECK(before <= 500 * 20);
	atomic_store(&enemy.stop, true);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&enemy.deleted) >= 500 * 6);
	rig_put(rig, items);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).rows[0][NSP_STATE_CONFIGURED], 500);
	CHECK_EQ(ours_in_kernel(rig), 500);
	free(items);
	listener_free(&listener);
}

int main(void)
{
	test_needs_root();
	test_while_it_is_written();
	test_heard_late();
	test_fight();
	test_fast_enemy();
	return test_end();
}
