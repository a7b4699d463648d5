/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on interfaces: stages in several namespaces, carried out in one order with the rows. */
#include "rig.h"

#include <linux/if_tun.h>

static struct nsp_link named(const char *name, uint32_t fields)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME | fields, .kind = "veth", .up = 1 };

	snprintf(link.name, sizeof(link.name), "%s", name);
	return link;
}

static void create(struct nsp_op *op, const char *name, const char *peer, int peer_netns)
{
	struct nsp_link link = named(name, NSP_LINK_KIND | NSP_LINK_UP), other = named(peer, 0);

	NEED(nsp_link_create(nsp_op_room(op), &link, &other, peer_netns));
}

static void up(struct nsp_op *op, const char *name)
{
	struct nsp_link link = named(name, NSP_LINK_UP);

	NEED(nsp_link_change(nsp_op_room(op), &link));
}

/* Carries one out. Returns the first error. */
static int run(struct rig *rig, struct nsp_op *op)
{
	uint64_t cookie = op->cookie;

	nsp_core_submit(rig->core, op, false);
	CHECK_EQ(rig_next(rig), 0);
	CHECK_EQ(rig->op->cookie, cookie);
	return rig->op->error;
}

static void test_pair_between_namespaces(void)
{
	struct rig *rig = rig_new();
	struct world *there = world_new();
	struct nsp_error err = { 0 };
	struct nsp_link link;
	uint32_t far;

	CHECK_EQ(nsp_core_netns_add(rig->core, there->netns, &far, &err), 0);
	struct nsp_op *op = nsp_op_new(42);
	nsp_op_stage(op, rig->netns, 0);
	create(op, "red", "blue", there->netns);
	nsp_op_stage(op, far, 0);
	up(op, "blue");
	CHECK_EQ(run(rig, op), 0);
	CHECK_EQ(rig->op->count, 2);
	CHECK_EQ(rig->op->failed, 0);
	CHECK_STR(rig->op->text, "");
	CHECK(world_link(rig->world, "red", &link) > 0);
	int index = world_link(there, "blue", &link);
	CHECK(index > 0);
	CHECK_EQ(link.up, 1);
	struct nsp_addr addr = addr_of(index, "198.51.100.2", 24);
	op = nsp_op_new(42);
	nsp_addr_add(nsp_op_stage(op, far, 0), &addr);
	CHECK_EQ(run(rig, op), 0);
	struct nsp_route route = route_of(index, "10.0.0.0", 8, "198.51.100.9");
	nsp_route_put(&there->batch, &route, NSP_PUT_NEW);
	CHECK_EQ(world_send(there, NULL), 0);

	/* Deleted, and deleted again: what is not there counts as done. So does an address that is there. */
	for (int i = 0; i < 2; i++) {
		op = nsp_op_new(43);
		link = named("red", 0);
		nsp_link_delete(nsp_op_stage(op, rig->netns, 0), &link);
		addr = addr_of(rig->link, "192.0.2.1", 24);
		nsp_addr_add(nsp_op_room(op), &addr);
		addr = addr_of(rig->link, "192.0.2.99", 24);
		nsp_addr_delete(nsp_op_room(op), &addr);
		route = route_of(rig->link, "10.0.0.0", 8, NULL);
		nsp_route_delete(nsp_op_room(op), &route);
		CHECK_EQ(run(rig, op), 0);
		CHECK_EQ(rig->op->failed, 0);
	}
	CHECK_EQ(world_link(there, "blue", &link), -ENODEV);
	world_free(there);
	rig_free(rig);
}

/* A stage that fails ends it; one that has to run whatever happens runs. */
static void test_failing_stages(void)
{
	struct rig *rig = rig_new();
	struct nsp_link link;

	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	create(op, "red", "blue", NSP_NETNS_CURRENT);
	nsp_op_stage(op, rig->netns, 0);
	create(op, "green", "red", NSP_NETNS_CURRENT); /* the name is taken */
	up(op, "none");
	up(op, "blue");
	nsp_op_stage(op, rig->netns, 0);
	create(op, "never", "made", NSP_NETNS_CURRENT);
	link = named("red", 0);
	nsp_link_delete(nsp_op_stage(op, rig->netns, NSP_STAGE_ALWAYS), &link);
	nsp_op_stage(op, rig->netns, 0);
	create(op, "never", "either", NSP_NETNS_CURRENT);
	CHECK_EQ(run(rig, op), EEXIST);
	CHECK_EQ(rig->op->count, 7);
	CHECK_EQ(rig->op->failed, 2);
	CHECK_EQ(rig->op->index, 1);
	CHECK(rig->op->text[0]);
	CHECK_EQ(world_link(rig->world, "never", &link), -ENODEV);
	CHECK_EQ(world_link(rig->world, "red", &link), -ENODEV);

	/* The kernel's own sentence, of the message that failed first. */
	op = nsp_op_new(2);
	struct nsp_link strange = named("strange", NSP_LINK_KIND);
	strcpy(strange.kind, "colour");
	nsp_link_create(nsp_op_stage(op, rig->netns, 0), &strange, NULL, NSP_NETNS_CURRENT);
	CHECK_EQ(run(rig, op), EOPNOTSUPP);
	CHECK_STR(rig->op->text, "Unknown device type");
	rig_free(rig);
}

/* A link gets its addresses in the operation that makes it; what is only tried does not fail it. */
static void test_addresses_at_birth(void)
{
	struct rig *rig = rig_new();
	struct nsp_addr first = addr_of(0, "198.51.100.1", 24), bad = addr_of(0, "198.51.100.2", 99),
			last = addr_of(0, "203.0.113.1", 24);
	struct nsp_link link;

	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, rig->netns, 0);
	create(op, "red", "blue", NSP_NETNS_CURRENT);
	nsp_op_stage(op, rig->netns, 0);
	up(op, "red");
	link = named("red", 0);
	NEED(nsp_link_get(nsp_op_room(op), &link));
	nsp_op_stage(op, rig->netns, NSP_STAGE_TRY);
	NEED(nsp_addr_add(nsp_op_room(op), &first));
	NEED(nsp_addr_add(nsp_op_room(op), &bad));
	NEED(nsp_addr_add(nsp_op_room(op), &last));
	nsp_op_stage(op, rig->netns, 0);
	up(op, "blue");
	CHECK_EQ(run(rig, op), 0);
	CHECK_EQ(rig->op->failed, 1);
	CHECK_EQ(world_link(rig->world, "blue", &link) > 0 && link.up, 1);

	/* The kernel judges gateways by them. */
	int index = world_link(rig->world, "red", &link);
	struct nsp_route routes[] = { route_of(index, "10.1.0.0", 16, "198.51.100.9"),
				      route_of(index, "10.2.0.0", 16, "203.0.113.9") };
	for (int i = 0; i < 2; i++)
		nsp_route_put(&rig->world->batch, &routes[i], NSP_PUT_NEW);
	CHECK_EQ(world_send(rig->world, NULL), 0);

	/* Without a link that was asked for there is none. */
	op = nsp_op_new(3);
	nsp_op_stage(op, rig->netns, 0);
	first.index = 0;
	NEED(nsp_addr_add(nsp_op_room(op), &first));
	CHECK_EQ(run(rig, op), ENODEV);
	rig_free(rig);
}

/* Behind the rows that were queued before it, and before those queued after. */
static void test_one_order(void)
{
	struct rig *rig = rig_new_ready();

	for (int i = 0; i < 5; i++) {
		uint32_t ballast = rig_ballast(rig, 5000);
		uint32_t before = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, prefsrc: 203.0.113.1}]");
		struct nsp_op *op = nsp_op_new(1);
		struct nsp_addr addr = addr_of(rig->link, "203.0.113.1", 24);
		nsp_addr_add(nsp_op_stage(op, rig->netns, 0), &addr);
		nsp_core_submit(rig->core, op, false);
		uint32_t after = rig_start(rig, "[{kind: route, interface: web0, dst: 11.0.0.0/8, prefsrc: 203.0.113.1}]");
		CHECK_EQ(rig_next(rig), ballast);
		CHECK_EQ(rig_next(rig), before);
		rig_result(rig, before);
		CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
		CHECK_EQ(rig_next(rig), 0);
		CHECK_EQ(rig_next(rig), after);
		rig_result(rig, after);
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);

		/* The express queue overtakes. */
		uint32_t more = rig_ballast(rig, 5000);
		op = nsp_op_new(2);
		nsp_addr_delete(nsp_op_stage(op, rig->netns, 0), &addr);
		nsp_core_submit(rig->core, op, true);
		uint32_t all = rig_start_delete(rig, "lab", "[route/web0/10.0.0.0/8, route/web0/11.0.0.0/8]", 0);
		uint32_t first = rig_next(rig);
		CHECK(first == 0 || first == more);
		while (first != all)
			first = rig_next(rig);
		nsp_core_request_close(rig->core, ballast);
		nsp_core_request_close(rig->core, before);
		nsp_core_request_close(rig->core, after);
		nsp_core_request_close(rig->core, more);
		nsp_core_request_close(rig->core, all);
	}
	rig_free(rig);
}

static void queue_pair(struct rig *rig, uint64_t cookie, uint32_t netns, bool express)
{
	struct nsp_op *op = nsp_op_new(cookie);
	char name[16], peer[16];

	snprintf(name, sizeof(name), "pair%u", (unsigned)cookie);
	snprintf(peer, sizeof(peer), "pair%u-p", (unsigned)cookie);
	nsp_op_stage(op, netns, 0);
	create(op, name, peer, NSP_NETNS_CURRENT);
	nsp_core_submit(rig->core, op, express);
}

static int fd_of(struct rig *rig, uint32_t netns)
{
	pthread_mutex_lock(&rig->core->lock);
	int fd = rig->core->netns[netns]->fd;
	pthread_mutex_unlock(&rig->core->lock);
	return fd;
}

/* What is queued for a namespace is done there, however often its number was taken back and given again meanwhile. */
static void test_namespace_that_comes_and_goes(void)
{
	struct rig *rig = rig_new();
	struct world *there = world_new(), *other = world_new();
	struct nsp_error err = { 0 };
	struct nsp_link link;
	uint32_t far, again, third;

	for (int express = 0; express < 2; express++) {
		/* The writer sleeps until all of it is queued. */
		nsp_core_pause(rig->core, 1);
		nsp_core_defer_wakeup(rig->core, 1);
		CHECK_EQ(nsp_core_netns_add(rig->core, there->netns, &far, &err), 0);
		nsp_core_netns_drop(rig->core, far);
		CHECK_EQ(nsp_core_netns_add(rig->core, there->netns, &again, &err), 0);
		CHECK_EQ(again, far);
		uint64_t first = express ? 4 : 1;
		for (uint64_t i = 0; i < 3; i++)
			queue_pair(rig, first + i, again, express);
		nsp_core_netns_drop(rig->core, again);
		CHECK_EQ(nsp_core_netns_add(rig->core, other->netns, &third, &err), 0);
		nsp_core_defer_wakeup(rig->core, 0);
		nsp_core_pause(rig->core, 0);
		for (uint64_t i = 0; i < 3; i++) {
			CHECK_EQ(rig_next(rig), 0);
			CHECK_EQ(rig->op->cookie, first + i);
			CHECK_EQ(rig->op->error, 0);
			char name[16];
			snprintf(name, sizeof(name), "pair%u", (unsigned)(first + i));
			CHECK(world_link(there, name, &link) > 0);
			CHECK_EQ(world_link(other, name, &link), -ENODEV);
		}
		rig_quiet(rig);
		CHECK_EQ(fd_of(rig, far), -1); /* and then it has been closed */
		nsp_core_netns_drop(rig->core, third);
		rig_quiet(rig);
	}
	world_free(there);
	world_free(other);
	rig_free(rig);
}

/* A slot that is ready holds its namespace, whoever else has let go of it. */
static void test_namespace_of_a_ready_slot(void)
{
	struct rig *rig = rig_new();
	struct nsp_error err = { 0 };
	uint32_t again;

	CHECK_EQ(nsp_core_netns_add(rig->core, rig->world->netns, &again, &err), 0);
	CHECK_EQ(again, rig->netns);
	rig_ready(rig);
	nsp_core_netns_drop(rig->core, rig->netns);
	nsp_core_netns_drop(rig->core, rig->netns);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK(fd_of(rig, rig->netns) >= 0);
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	for (int waited = 0; waited < WAIT_MS && fd_of(rig, rig->netns) >= 0; waited += 2)
		nap();
	CHECK_EQ(fd_of(rig, rig->netns), -1);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), ""); /* withdrawn before it was closed */
	rig_free(rig);
}

/* The caller's number of it may be any. */
static void test_every_operation_is_given_back(void)
{
	struct rig *rig = rig_new();
	struct nsp_op *op = nsp_op_new(0);

	nsp_op_stage(op, rig->netns, 0);
	CHECK_EQ(run(rig, op), 0);
	rig_free(rig);
}

/* A thousand messages in one stage: its memory grows. And one with none. */
static void test_large_and_empty(void)
{
	struct rig *rig = rig_new();
	struct nsp_op *op = nsp_op_new(1);

	nsp_op_stage(op, rig->netns, 0);
	for (int i = 0; i < 1000; i++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.%d.%d.1", i >> 8, i & 255);
		struct nsp_addr addr = addr_of(i == 500 ? 999 : rig->link, ip, 32);
		NEED(nsp_addr_add(nsp_op_room(op), &addr));
	}
	CHECK_EQ(run(rig, op), ENODEV);
	CHECK_EQ(rig->op->count, 1000);
	CHECK_EQ(rig->op->failed, 1);
	CHECK_EQ(rig->op->index, 500);
	CHECK_EQ(run(rig, nsp_op_new(2)), 0);
	op = nsp_op_new(3);
	nsp_op_stage(op, rig->netns, 0);
	CHECK_EQ(run(rig, op), 0);
	nsp_op_free(NULL);

	/* What is still queued when the core goes is freed with it. */
	for (int i = 0; i < 10; i++) {
		op = nsp_op_new((uint64_t)(i & 1));
		nsp_op_stage(op, rig->netns, 0);
		up(op, "v0");
		nsp_core_submit(rig->core, op, i & 2);
	}
	rig_free(rig);
}

/* A tun is there when all of its stage has been carried out, or not at all. */
static void test_tun(void)
{
	struct nsp_tun tun = { .name = "tun0", .flags = IFF_TUN, .owner = 7, .group = NSP_TUN_ANYBODY };
	struct nsp_link mark = named("tun0", NSP_LINK_ALIAS | NSP_LINK_MTU), link;
	struct rig *rig = rig_new();
	struct nsp_op *op;

	snprintf(mark.alias, sizeof(mark.alias), "a mark");
	mark.mtu = 1 << 20; /* more than it takes */
	op = nsp_op_new(42);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_tun(op, &tun, 1);
	NEED(nsp_link_change(nsp_op_room(op), &mark));
	CHECK_EQ(run(rig, op), EINVAL);
	CHECK_EQ(world_link(rig->world, "tun0", &link), -ENODEV);

	mark.mtu = 1400;
	op = nsp_op_new(42);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_tun(op, &tun, 1);
	NEED(nsp_link_change(nsp_op_room(op), &mark));
	CHECK_EQ(run(rig, op), 0);
	CHECK_EQ(rig->op->count, 1);
	CHECK(world_link(rig->world, "tun0", &link) > 0);
	CHECK_STR(link.alias, "a mark");
	CHECK_EQ(link.mtu, 1400);

	op = nsp_op_new(43);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_tun(op, &tun, 1);
	CHECK_EQ(run(rig, op), EEXIST);
	CHECK_STR(rig->op->text, "make the tun tun0: File exists");
	op = nsp_op_new(43);
	nsp_op_stage(op, rig->netns, 0);
	nsp_op_tun(op, &tun, 0);
	CHECK_EQ(run(rig, op), 0);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_pair_between_namespaces();
	test_failing_stages();
	test_addresses_at_birth();
	test_one_order();
	test_namespace_that_comes_and_goes();
	test_namespace_of_a_ready_slot();
	test_every_operation_is_given_back();
	test_large_and_empty();
	test_tun();
	return test_end();
}
