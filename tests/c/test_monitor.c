/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor hears links and addresses of all namespaces that it watches, and what happened to a link on the way is not lost when
 * several of its events become one. */
#include "test.h"

#include <fcntl.h>
#include <poll.h>

#define CAP 256

static struct nsp_event events[CAP];

/* Notifications are in the queue when the command that causes them has been answered, except for those that the kernel defers. */
static int read_all(struct nsp_monitor *mon)
{
	struct nsp_error err = { 0 };
	int count = nsp_monitor_read(mon, events, CAP, &err);

	if (count < 0)
		printf("%s\n", err.text);
	return count;
}

/* Until nothing has come for 100 ms: addresses of IPv6 and carrier changes come later. */
static void quiet(struct nsp_monitor *mon)
{
	struct pollfd fd = { .fd = mon->fd, .events = POLLIN };

	while (poll(&fd, 1, 100) > 0)
		nsp_monitor_read(mon, events, CAP, NULL);
}

static const struct nsp_event *find(int count, uint32_t type, int nsid, int index)
{
	for (int i = 0; i < count; i++)
		if (events[i].type == type && events[i].nsid == nsid &&
		    (type == NSP_EVENT_LINK || type == NSP_EVENT_LINK_GONE ? events[i].link.index : events[i].addr.index) == index)
			return &events[i];
	return NULL;
}

static int count_of(int count, uint32_t type, int nsid, int index)
{
	int found = 0;

	for (int i = 0; i < count; i++)
		if (events[i].type == type && events[i].nsid == nsid &&
		    (type == NSP_EVENT_LINK || type == NSP_EVENT_LINK_GONE ? events[i].link.index : events[i].addr.index) == index)
			found++;
	return found;
}

static void change(struct world *world, int index, uint32_t fields, const struct nsp_link *values)
{
	struct nsp_link link = *values;

	link.fields = fields | NSP_LINK_INDEX;
	link.index = index;
	NEED(nsp_link_change(&world->batch, &link));
}

static void set_up(struct world *world, int index, uint32_t up)
{
	change(world, index, NSP_LINK_UP, &(struct nsp_link){ .up = up });
}

static void test_two_namespaces(void)
{
	struct world *a = world_new(), *b = world_new(), *unseen = world_new();
	struct nsp_error err = { 0 };
	struct nsp_monitor mon;
	struct nsp_addr addr;
	int nsid_a, nsid_b, in_a, in_b, count, other;
	const struct nsp_event *event;

	CHECK_EQ(nsp_monitor_open(&mon, &err), 0);
	nsid_a = nsp_monitor_watch(&mon, a->netns, &err);
	nsid_b = nsp_monitor_watch(&mon, b->netns, &err);
	CHECK(nsid_a >= 0 && nsid_b >= 0 && nsid_a != nsid_b);
	CHECK_EQ(nsp_monitor_watch(&mon, a->netns, &err), nsid_a); /* watched already */
	CHECK_EQ(read_all(&mon), 0);

	world_veth(unseen, "v0");
	CHECK_EQ(read_all(&mon), 0);

	in_a = world_veth(a, "v0");
	in_b = world_veth(b, "v0");
	addr = addr_of(in_a, "192.0.2.1", 24);
	NEED(nsp_addr_add(&a->batch, &addr));
	CHECK_EQ(world_send(a, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid_a, in_a);
	CHECK(event && strcmp(event->link.name, "v0") == 0 && strcmp(event->link.kind, "veth") == 0 && event->link.up);
	CHECK(find(count, NSP_EVENT_LINK, nsid_b, in_b));
	event = find(count, NSP_EVENT_ADDR, nsid_a, in_a);
	CHECK(event && memcmp(event->addr.local, addr.local, 16) == 0 && event->addr.prefix_len == 24);
	CHECK(!find(count, NSP_EVENT_ADDR, nsid_b, in_b));
	quiet(&mon);
	CHECK_EQ(read_all(&mon), 0);

	NEED(nsp_addr_delete(&a->batch, &addr));
	CHECK_EQ(world_send(a, NULL), 0);
	CHECK_EQ(read_all(&mon), 1);
	CHECK_EQ(events[0].type, NSP_EVENT_ADDR_GONE);
	CHECK_EQ(events[0].nsid, nsid_a);
	CHECK(memcmp(events[0].addr.local, addr.local, 16) == 0);

	NEED(other = open("/dev/null", O_RDONLY | O_CLOEXEC));
	CHECK(nsp_monitor_watch(&mon, other, &err) < 0);
	close(other);
	CHECK(strstr(err.text, "watch a network namespace"));
	nsp_monitor_close(&mon);
	CHECK_EQ(mon.fd, -1);
	world_free(a);
	world_free(b);
	world_free(unseen);
}

static void test_rename(void)
{
	struct world *world = world_new();
	struct nsp_monitor mon;
	int index = world_veth(world, "v0"), other = world_veth(world, "w0"), nsid, count, seen = 0;

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsid = nsp_monitor_watch(&mon, world->netns, NULL));
	set_up(world, index, 0); /* before Linux 6.2, one that is up is given no other name */
	set_up(world, other, 0);
	CHECK_EQ(world_send(world, NULL), 0);
	quiet(&mon); /* the links' carrier comes late */
	change(world, index, NSP_LINK_NAME, &(struct nsp_link){ .name = "v1" });
	change(world, index, NSP_LINK_NAME, &(struct nsp_link){ .name = "v2" });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	CHECK_EQ(count_of(count, NSP_EVENT_LINK, nsid, index), 1);
	CHECK_STR(events[0].link.name, "v2");
	CHECK_EQ(events[0].saw, NSP_SAW_DOWN);
	quiet(&mon);

	/* A name that goes from one link to the other is never reported of both at once. */
	change(world, index, NSP_LINK_NAME, &(struct nsp_link){ .name = "t" });
	change(world, other, NSP_LINK_NAME, &(struct nsp_link){ .name = "v2" });
	change(world, index, NSP_LINK_NAME, &(struct nsp_link){ .name = "w0" });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	for (int i = 0; i < count; i++) {
		if (events[i].link.index == index && strcmp(events[i].link.name, "t") == 0 && seen == 0)
			seen = 1;
		if (events[i].link.index == other && strcmp(events[i].link.name, "v2") == 0 && seen == 1)
			seen = 2;
		if (events[i].link.index == index && strcmp(events[i].link.name, "w0") == 0 && seen == 2)
			seen = 3;
	}
	CHECK_EQ(seen, 3);
	nsp_monitor_close(&mon);
	world_free(world);
}

/* Down and up between two reads, the link as it was before: one event, and it says so. */
static void test_down_and_up(void)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "v0", .kind = "veth" };
	struct nsp_link peer = { .fields = NSP_LINK_NAME, .name = "v0-p" };
	struct world *world = world_new();
	struct nsp_monitor mon;
	int index, nsid;

	/* The other end stays down: with a carrier IPv6 addresses would come and go in between. */
	NEED(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	index = world_link(world, "v0", &link);
	set_up(world, index, 1);
	CHECK_EQ(world_send(world, NULL), 0);
	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsid = nsp_monitor_watch(&mon, world->netns, NULL));
	quiet(&mon);
	set_up(world, index, 0);
	set_up(world, index, 1);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(read_all(&mon), 1);
	CHECK_EQ(events[0].nsid, nsid);
	CHECK_EQ(events[0].link.index, index);
	CHECK_EQ(events[0].link.up, 1);
	CHECK(events[0].saw & NSP_SAW_DOWN);
	nsp_monitor_close(&mon);
	world_free(world);
}

static void test_what_was_seen(void)
{
	struct nsp_link mac = { .mac = { 2, 0, 0, 0, 0, 1 } };
	struct world *world = world_new();
	struct nsp_monitor mon;
	int index = world_veth(world, "v0"), other = world_veth(world, "w0"), nsid, count;
	const struct nsp_event *event;
	struct nsp_addr addr = addr_of(index, "192.0.2.1", 24);

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsid = nsp_monitor_watch(&mon, world->netns, NULL));
	quiet(&mon);

	change(world, index, NSP_LINK_MTU, &(struct nsp_link){ .mtu = 1400 });
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(read_all(&mon), 1);
	CHECK_EQ(events[0].saw, 0);
	CHECK_EQ(events[0].link.mtu, 1400);
	quiet(&mon);

	set_up(world, index, 0);
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, index);
	CHECK(event && event->saw == NSP_SAW_DOWN && !event->link.up);
	quiet(&mon);
	set_up(world, index, 1);
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, index);
	CHECK(event && event->saw == 0 && event->link.up);
	quiet(&mon);

	/* Another MAC, and an MTU too low for IPv6, each for a moment; another link in between does not part them. */
	change(world, index, NSP_LINK_MAC, &mac);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK(read_all(&mon) > 0);
	CHECK_EQ(events[0].saw & NSP_SAW_MAC, 0);
	quiet(&mon);
	change(world, index, NSP_LINK_MTU, &(struct nsp_link){ .mtu = 1400 });
	change(world, index, NSP_LINK_GROUP, &(struct nsp_link){ .group = 4 });
	change(world, other, NSP_LINK_GROUP, &(struct nsp_link){ .group = 4 });
	mac.mac[5] = 2;
	change(world, index, NSP_LINK_MAC, &mac);
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	CHECK_EQ(count_of(count, NSP_EVENT_LINK, nsid, index), 1);
	event = find(count, NSP_EVENT_LINK, nsid, index);
	CHECK(event && event->saw == NSP_SAW_MAC && event->link.mac[5] == 2);
	quiet(&mon);
	change(world, other, NSP_LINK_MTU, &(struct nsp_link){ .mtu = 1279 });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, other);
	CHECK(event && event->saw & NSP_SAW_LOW_MTU);
	quiet(&mon);
	change(world, other, NSP_LINK_MTU, &(struct nsp_link){ .mtu = 1000 });
	change(world, other, NSP_LINK_MTU, &(struct nsp_link){ .mtu = 1500 });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, other);
	CHECK(event && event->saw & NSP_SAW_LOW_MTU);
	quiet(&mon);

	/* An address of the link that came in between keeps two events apart. */
	change(world, index, NSP_LINK_GROUP, &(struct nsp_link){ .group = 5 });
	NEED(nsp_addr_add(&world->batch, &addr));
	change(world, index, NSP_LINK_GROUP, &(struct nsp_link){ .group = 6 });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	CHECK_EQ(count, 3);
	CHECK_EQ(events[0].link.group, 5);
	CHECK_EQ(events[1].type, NSP_EVENT_ADDR);
	CHECK_EQ(events[2].link.group, 6);
	quiet(&mon);

	/* A link that is deleted takes its addresses first. */
	NEED(nsp_link_delete(&world->batch, &(struct nsp_link){ .fields = NSP_LINK_INDEX, .index = index }));
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	CHECK(find(count, NSP_EVENT_ADDR_GONE, nsid, index));
	CHECK(find(count, NSP_EVENT_LINK_GONE, nsid, index));
	CHECK_EQ(events[count - 1].type, NSP_EVENT_LINK_GONE);
	nsp_monitor_close(&mon);
	world_free(world);
}

/* A link that leaves its bridge is still there. */
static void test_ports(void)
{
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "br", .kind = "bridge" }, read;
	struct world *world = world_new();
	struct nsp_monitor mon;
	int index = world_veth(world, "v0"), nsid, master, count;
	const struct nsp_event *event;

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsid = nsp_monitor_watch(&mon, world->netns, NULL));
	NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	master = world_link(world, "br", &read);
	change(world, index, NSP_LINK_MASTER, &(struct nsp_link){ .master = master });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, index);
	CHECK(event && event->link.master == master);
	quiet(&mon);
	change(world, index, NSP_LINK_MASTER, &(struct nsp_link){ .master = 0 });
	CHECK_EQ(world_send(world, NULL), 0);
	count = read_all(&mon);
	event = find(count, NSP_EVENT_LINK, nsid, index);
	CHECK(event && event->link.master == 0);
	CHECK(!find(count, NSP_EVENT_LINK_GONE, nsid, index));
	nsp_monitor_close(&mon);
	world_free(world);
}

/* Fewer places than events: the rest comes with the next calls, nothing twice and nothing lost. */
static void test_small_reads(void)
{
	struct world *world = world_new();
	struct nsp_monitor mon;
	int index = world_veth(world, "v0"), n, got = 0;

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsp_monitor_watch(&mon, world->netns, NULL));
	quiet(&mon);
	for (int i = 1; i <= 50; i++) {
		struct nsp_addr addr = addr_of(index, "10.0.0.0", 32);

		addr.local[3] = (uint8_t)i;
		NEED(nsp_addr_add(&world->batch, &addr));
	}
	CHECK_EQ(world_send(world, NULL), 0);
	while ((n = nsp_monitor_read(&mon, events, 7, NULL)) > 0)
		for (int i = 0; i < n; i++)
			if (events[i].addr.local[3] == ++got)
				test_passed++;
	CHECK_EQ(n, 0);
	CHECK_EQ(got, 50);
	CHECK_EQ(nsp_monitor_read(&mon, events, 0, NULL), -EINVAL);
	nsp_monitor_close(&mon);
	world_free(world);
}

static void test_overflow(void)
{
	struct world *world = world_new();
	struct nsp_error err = { 0 };
	struct nsp_monitor mon;
	int index = world_veth(world, "v0"), size = 1, nsid, count;

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsid = nsp_monitor_watch(&mon, world->netns, NULL));
	quiet(&mon);
	NEED(setsockopt(mon.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	for (int i = 0; i < 100; i++)
		change(world, index, NSP_LINK_GROUP, &(struct nsp_link){ .group = (uint32_t)i });
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(nsp_monitor_read(&mon, events, CAP, &err), -ENOBUFS);
	CHECK_EQ(err.code, ENOBUFS);

	/* From then on it hears again: what happens while the tables are read must not be lost in silence. */
	change(world, index, NSP_LINK_GROUP, &(struct nsp_link){ .group = 777 });
	CHECK_EQ(world_send(world, NULL), 0);
	count = nsp_monitor_read(&mon, events, CAP, &err);
	CHECK_EQ(count, 1);
	CHECK_EQ(events[0].nsid, nsid);
	CHECK_EQ(events[0].link.group, 777);
	nsp_monitor_close(&mon);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_two_namespaces();
	test_rename();
	test_down_and_up();
	test_what_was_seen();
	test_ports();
	test_small_reads();
	test_overflow();
	return test_end();
}
