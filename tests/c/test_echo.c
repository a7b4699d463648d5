/* SPDX-License-Identifier: Apache-2.0 */
/* Where many routes are written, nobody is told of what we do ourselves; of what others do we are, and of what a deletion has hit. */
#include "listener.h"

#include <linux/filter.h>

#define MANY 80

/* So many routes of the network `first`.X.0 (or fdXX::) on from X = 0, as a request's items or keys. */
static const char *many(const char *form)
{
	static char text[MANY * 80];
	size_t n = 0;

	for (int i = 0; i < MANY; i++) {
		n += (size_t)sprintf(text + n, "%s", i ? ", " : "[");
		n += (size_t)sprintf(text + n, form, i);
	}
	sprintf(text + n, "]");
	return text;
}

#define ROUTES4 "{kind: route, interface: web0, dst: 10.7.%d.0/24}"
#define ROUTES6 "{kind: route, interface: web0, dst: 'fd07:%x::/32'}"

/* How many datagrams the monitor's socket has got, its filter aside. */
static int told(struct listener *listener)
{
	uint8_t scrap[8192];
	int count = 0;

	while (recv(listener->mon.fd, scrap, sizeof(scrap), MSG_DONTWAIT) >= 0)
		count++;
	return count;
}

static struct listener quiet_listener(void)
{
	struct listener listener = listener_new();

	rig_put(listener.rig, "[{kind: route, interface: web0, dst: 10.6.0.0/16}]"); /* there is a socket now */
	rig_put(listener.rig, many(ROUTES4));
	CHECK_EQ(listener.rig->counts[NSP_STATE_CONFIGURED], MANY);
	CHECK(listener.rig->core->netns[listener.rig->netns]->drops_echo);
	return listener;
}

static const struct nsp_op *read_back(struct rig *rig)
{
	struct nsp_op *op = nsp_op_new(100);

	nsp_op_stage(op, rig->netns, 0);
	nsp_op_readback(op);
	nsp_core_submit(rig->core, op, false);
	do
		rig_next(rig);
	while (!rig->op || rig->op->cookie != 100);
	return rig->op;
}

static void test_nobody_is_told(void)
{
	struct listener listener = quiet_listener();

	int none = 0;

	told(&listener);
	CHECK_EQ(setsockopt(listener.mon.fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)), 0);
	rig_put(listener.rig, many(ROUTES6));
	CHECK_EQ(listener.rig->counts[NSP_STATE_CONFIGURED], MANY);
	rig_delete(listener.rig, many("route/web0/10.7.%d.0/24"));
	CHECK_EQ(listener.rig->counts[NSP_STATE_REMOVED], MANY);
	CHECK_EQ(told(&listener), 0);
	rig_put(listener.rig,
		"[{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}]"); /* the kernel tells all of these */
	CHECK_EQ(told(&listener), 1);
	const struct nsp_op *op = read_back(listener.rig); /* which the kernel tells in messages of the same types */
	CHECK_EQ(op->error + op->missing + op->altered + op->stale, 0);
	listener_free(&listener);
}

static void test_verdicts_and_others(void)
{
	struct listener listener = quiet_listener();

	rig_put(listener.rig, "[{kind: route, interface: web0, dst: 10.8.0.0/16, gateway: 203.0.113.9}]");
	CHECK_EQ(listener.rig->counts[NSP_STATE_PENDING], 1);
	delete_route(&listener, "10.7.3.0", 24);
	send_all(&listener);
	listen_in(&listener);
	CHECK_EQ(totals(&listener).missing, 1);
	CHECK_STR(by_ip_shown(listener.rig, "route show 10.7.3.0/24"), "10.7.3.0/24 dev v0 proto 110 scope link \n");
	listener_free(&listener);
}

static void test_deletion_tells_what_it_hit(void)
{
	struct listener listener = quiet_listener();
	struct rig *rig = listener.rig;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.7.3.0/24, metric: 100}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	by_ip(rig, "route del 10.7.3.0/24 metric 0");
	rig_delete(rig, many("route/web0/10.7.%d.0/24"));
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], MANY);
	rig_quiet(rig);
	CHECK_STR(by_ip_shown(rig, "route show root 10.7.0.0/16"), "10.7.3.0/24 dev v0 proto 110 scope link metric 100 \n");
	listener_free(&listener);
}

int main(void)
{
	test_needs_root();
	test_nobody_is_told();
	test_verdicts_and_others();
	test_deletion_tells_what_it_hit();
	return test_end();
}
