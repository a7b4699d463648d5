/* SPDX-License-Identifier: Apache-2.0 */
/* What a link is of its kind, and as a port of its master, goes into the kernel and comes back as it stands, whatever it is. */
#include "test.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>

static uint32_t room_memory[65536];

static struct nsp_room room_new(uint32_t cap)
{
	return (struct nsp_room){ .buf = room_memory, .cap = cap };
}

/* The number in an attribute, -1 where it is not there. */
static long number_of(const struct nsp_attrs *attrs, uint16_t type)
{
	const struct nlattr *attr;
	uint32_t number = 0;

	NSP_ATTR_EACH_OF(attr, attrs->data, attrs->len)
	if (nsp_attr_type(attr) == type && nsp_attr_len(attr) <= sizeof(number) && nsp_attr_get(attr, &number, nsp_attr_len(attr)))
		return number;
	return -1;
}

static struct nsp_link bridge_of(const char *name, uint32_t *buf, uint32_t ageing, uint16_t priority)
{
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_DATA, .kind = "bridge" };
	struct nsp_msg msg;

	snprintf(bridge.name, sizeof(bridge.name), "%s", name);
	nsp_attrs_begin(&msg, buf, 64);
	if (ageing)
		nsp_attr_put_u32(&msg, IFLA_BR_AGEING_TIME, ageing);
	if (priority)
		nsp_attr_put_u16(&msg, IFLA_BR_PRIORITY, priority);
	NEED(nsp_attrs_end(&msg, &bridge.data));
	return bridge;
}

static void test_bridge(void)
{
	struct world *world = world_new();
	struct outcome outcome;
	struct nsp_link bridge, read;
	uint32_t buf[16];
	int index;

	bridge = bridge_of("br", buf, 12300, 4096);
	CHECK_EQ(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	index = world_link(world, "br", &read);
	CHECK(index > 0 && read.fields & NSP_LINK_DATA);
	CHECK_EQ(number_of(&read.data, IFLA_BR_AGEING_TIME), 12300);
	CHECK_EQ(number_of(&read.data, IFLA_BR_PRIORITY), 4096);
	CHECK(!(read.fields & (NSP_LINK_SLAVE_KIND | NSP_LINK_SLAVE_DATA)));

	/* What is not named stays, and what else the message says is done too. */
	bridge = bridge_of("new", buf, 45600, 0);
	bridge.fields |= NSP_LINK_INDEX | NSP_LINK_MTU | NSP_LINK_ALIAS | NSP_LINK_UP;
	bridge.index = index;
	bridge.mtu = 1400;
	bridge.up = 1;
	snprintf(bridge.alias, sizeof(bridge.alias), "an alias");
	CHECK_EQ(nsp_link_change(&world->batch, &bridge), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(world_link(world, "new", &read), index);
	CHECK_EQ(number_of(&read.data, IFLA_BR_AGEING_TIME), 45600);
	CHECK_EQ(number_of(&read.data, IFLA_BR_PRIORITY), 4096);
	CHECK_EQ(read.mtu, 1400);
	CHECK_EQ(read.up, 1);
	CHECK_STR(read.alias, "an alias");

	/* The kernel says what it does not take. */
	bridge = bridge_of("new", buf, 1, 0);
	snprintf(bridge.kind, sizeof(bridge.kind), "veth");
	CHECK_EQ(nsp_link_change(&world->batch, &bridge), 0);
	CHECK_EQ(world_send(world, NULL), EOPNOTSUPP);
	bridge = bridge_of("nobody", buf, 1, 0);
	bridge.fields |= NSP_LINK_GROUP;
	CHECK_EQ(nsp_link_change(&world->batch, &bridge), 0);
	CHECK_EQ(world_send(world, &outcome), ENODEV); /* and is not taken for all links of a group */
	world_free(world);
}

static void test_port(void)
{
	struct world *world = world_new();
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "br", .kind = "bridge" }, read, port = { 0 };
	struct nsp_link peer = { .fields = NSP_LINK_NAME, .name = "peer" };
	struct nsp_attrs cost;
	struct nsp_msg msg;
	uint32_t buf[16];

	NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_u32(&msg, IFLA_BRPORT_COST, 77);
	nsp_attr_put_u16(&msg, IFLA_BRPORT_PRIORITY, 5);
	CHECK_EQ(nsp_attrs_end(&msg, &cost), 0);

	/* At birth it is no port yet. */
	port = (struct nsp_link){ .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_MASTER | NSP_LINK_SLAVE_DATA,
				  .name = "port",
				  .kind = "veth",
				  .master = world_link(world, "br", &read),
				  .slave_data = cost };
	CHECK_EQ(nsp_link_create(&world->batch, &port, &peer, NSP_NETNS_CURRENT), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK(world_link(world, "port", &read) > 0);
	CHECK_EQ(read.master, port.master);
	CHECK(read.fields & NSP_LINK_SLAVE_KIND);
	CHECK_STR(read.slave_kind, "bridge");
	CHECK(number_of(&read.slave_data, IFLA_BRPORT_COST) > 0 && number_of(&read.slave_data, IFLA_BRPORT_COST) != 77);
	CHECK(!(read.fields & NSP_LINK_DATA)); /* a veth says nothing of its kind */

	port.fields = NSP_LINK_NAME | NSP_LINK_SLAVE_DATA | NSP_LINK_MTU;
	port.mtu = 1450;
	CHECK_EQ(nsp_link_change(&world->batch, &port), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK(world_link(world, "port", &read) > 0);
	CHECK_EQ(number_of(&read.slave_data, IFLA_BRPORT_COST), 77);
	CHECK_EQ(number_of(&read.slave_data, IFLA_BRPORT_PRIORITY), 5);
	CHECK_EQ(read.mtu, 1450);

	/* Of a link that is no port it is refused. */
	port.fields = NSP_LINK_NAME | NSP_LINK_SLAVE_DATA;
	snprintf(port.name, sizeof(port.name), "peer");
	CHECK_EQ(nsp_link_change(&world->batch, &port), 0);
	CHECK(world_send(world, NULL) > 0);
	world_free(world);
}

/* Gives namespace `netns` a number in the world's. */
static int nsid_of(struct world *world, int netns, int32_t nsid)
{
	struct nsp_msg msg;

	if (!nsp_msg_begin(&msg, &world->batch, RTM_NEWNSID, 0, sizeof(struct rtgenmsg)))
		return -1;
	nsp_attr_put_s32(&msg, NETNSA_FD, netns);
	nsp_attr_put_s32(&msg, NETNSA_NSID, nsid);
	NEED(nsp_msg_end(&msg, &world->batch));
	return world_send(world, NULL);
}

/* On a link of its own namespace, and on one of another. */
static void test_upper_link(void)
{
	struct world *below = world_new(), *above = world_new();
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_LINK | NSP_LINK_DATA,
				 .name = "up",
				 .kind = "macvlan" };
	struct nsp_link read;
	struct nsp_msg msg;
	uint32_t buf[16];

	link.link = world_veth(below, "v0");
	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_u32(&msg, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	CHECK_EQ(nsp_attrs_end(&msg, &link.data), 0);
	CHECK_EQ(nsp_link_create(&below->batch, &link, NULL, NSP_NETNS_CURRENT), 0);
	CHECK_EQ(world_send(below, NULL), 0);
	CHECK(world_link(below, "up", &read) > 0);
	CHECK_EQ(read.link, link.link);
	CHECK(!(read.fields & NSP_LINK_LINK_NETNSID));
	CHECK_EQ(number_of(&read.data, IFLA_MACVLAN_MODE), MACVLAN_MODE_BRIDGE);

	CHECK_EQ(nsid_of(above, below->netns, 7), 0);
	link.fields |= NSP_LINK_LINK_NETNSID;
	snprintf(link.name, sizeof(link.name),
		 "other"); /* older kernels make it there, and then move it: the name has to be free */
	link.link_netnsid = 7;
	CHECK_EQ(nsp_link_create(&above->batch, &link, NULL, NSP_NETNS_CURRENT), 0);
	CHECK_EQ(world_send(above, NULL), 0);
	CHECK(world_link(above, "other", &read) > 0);
	CHECK_EQ(read.link, link.link);
	CHECK(read.fields & NSP_LINK_LINK_NETNSID);
	CHECK_EQ(read.link_netnsid, 7);
	world_free(above);
	world_free(below);
}

/* Born elsewhere than what it stands on, and moved on from there, under another name. */
static void test_namespace_of_a_link(void)
{
	struct world *below = world_new(), *above = world_new(), *further = world_new();
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_LINK, .name = "up", .kind = "macvlan" };
	struct nsp_link read;

	link.link = world_veth(below, "v0");
	CHECK_EQ(nsp_link_create(&below->batch, &link, NULL, above->netns), 0);
	CHECK_EQ(world_send(below, NULL), 0);
	CHECK(world_link(above, "up", &read) > 0);
	CHECK_EQ(read.link, link.link);
	CHECK(read.fields & NSP_LINK_LINK_NETNSID);

	link = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_NAME | NSP_LINK_NETNS,
				  .index = read.index,
				  .name = "moved",
				  .netns = further->netns };
	CHECK_EQ(nsp_link_change(&above->batch, &link), 0);
	CHECK_EQ(world_send(above, NULL), 0);
	CHECK_EQ(world_link(above, "up", &read), -ENODEV);
	CHECK(world_link(further, "moved", &read) > 0);
	link.netns = -1;
	CHECK_EQ(nsp_link_change(&above->batch, &link), -EINVAL);
	link = (struct nsp_link){
		.fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_NETNS, .name = "x", .kind = "ifb", .netns = 3
	};
	CHECK_EQ(nsp_link_create(&above->batch, &link, NULL, NSP_NETNS_CURRENT), -EINVAL);
	world_free(further);
	world_free(above);
	world_free(below);
}

static const struct nsp_event *event_of(const struct nsp_event *events, long count, const char *name)
{
	for (long i = count - 1; i >= 0; i--)
		if (events[i].type == NSP_EVENT_LINK && !strcmp(events[i].link.name, name))
			return &events[i];
	return NULL;
}

/* Makes bridges, each with its number as priority. */
static void make_bridges(struct world *world, uint16_t first, uint16_t last)
{
	uint32_t buf[16];
	char name[16];

	for (uint16_t i = first; i <= last; i++) {
		snprintf(name, sizeof(name), "br%u", i);
		struct nsp_link bridge = bridge_of(name, buf, 0, i);
		NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	}
	CHECK_EQ(world_send(world, NULL), 0);
}

static void test_monitor(void)
{
	static struct nsp_event events[64];
	struct world *world = world_new();
	const struct nsp_event *event;
	struct nsp_monitor mon;
	int count, seen = 0;

	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsp_monitor_watch(&mon, world->netns, NULL));
	make_bridges(world, 1, 1);
	count = nsp_monitor_read(&mon, events, 64, NULL);
	event = event_of(events, count, "br1");
	CHECK(event && !(event->link.fields & NSP_LINK_DATA) && !event->link.data.len); /* there is nowhere to put it */

	mon.room = room_new(NSP_ROOM_MIN - 1);
	CHECK_EQ(nsp_monitor_read(&mon, events, 64, NULL), -EINVAL);

	/* In a room for few of them as in a large one: every event has its own. */
	mon.room = room_new(NSP_ROOM_MIN);
	make_bridges(world, 2, 20);
	while ((count = nsp_monitor_read(&mon, events, 64, NULL)) > 0)
		for (int i = 0; i < count; i++) {
			int number = atoi(events[i].link.name + 2);

			if (number_of(&events[i].link.data, IFLA_BR_PRIORITY) == number)
				seen |= 1 << number;
			else if (strncmp(events[i].link.name, "br", 2) == 0)
				CHECK_EQ(number_of(&events[i].link.data, IFLA_BR_PRIORITY), number);
		}
	CHECK_EQ(count, 0);
	CHECK_EQ(seen, 0x1ffffc);
	nsp_monitor_close(&mon);
	world_free(world);
}

static void test_survey(void)
{
	static struct nsp_event events[64];
	struct world *world = world_new();
	struct nsp_room room = room_new(1024);
	char name[16];
	long count;

	make_bridges(world, 1, 20);
	count = nsp_monitor_survey(world->netns, events, 64, &room, NULL);
	CHECK(count > 20);
	CHECK(room.len > room.cap);
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "br%d", i);
		const struct nsp_event *event = event_of(events, count, name);
		/* Some have found room, the others have none of it. */
		CHECK(event && (event->link.fields & NSP_LINK_DATA ? number_of(&event->link.data, IFLA_BR_PRIORITY) == i :
								     !event->link.data.len));
	}
	room = room_new(room.len);
	CHECK_EQ(nsp_monitor_survey(world->netns, events, 64, &room, NULL), count);
	CHECK_EQ(room.len, room.cap);
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "br%d", i);
		const struct nsp_event *event = event_of(events, count, name);
		CHECK(event && number_of(&event->link.data, IFLA_BR_PRIORITY) == i);
	}
	CHECK_EQ(nsp_monitor_survey(world->netns, events, 64, NULL, NULL), count);
	CHECK(!event_of(events, count, "br1")->link.data.len);
	world_free(world);
}

/* Other names of a link, more and longer ones than any buffer was made for. */
static void test_altnames(void)
{
	static struct nsp_event events[64];
	struct nsp_room room = room_new(sizeof(room_memory));
	struct world *world = world_new();
	const struct nlattr *attr;
	struct nsp_msg msg;
	char name[128];
	int index = world_veth(world, "v0"), seen = 0;

	struct ifinfomsg *ifi = nsp_msg_begin(&msg, &world->batch, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi));
	NEED(ifi ? 0 : -1);
	ifi->ifi_index = index;
	struct nlattr *nest = nsp_attr_nest(&msg, IFLA_PROP_LIST | NLA_F_NESTED);
	for (int i = 0; i < 20; i++) {
		memset(name, 'a' + i, 120);
		name[120] = 0;
		nsp_attr_put_str(&msg, IFLA_ALT_IFNAME, name);
	}
	nsp_attr_nest_end(&msg, nest);
	NEED(nsp_msg_end(&msg, &world->batch));
	CHECK_EQ(world_send(world, NULL), 0);

	long count = nsp_monitor_survey(world->netns, events, 64, &room, NULL);
	const struct nsp_event *event = event_of(events, count, "v0");
	CHECK(event && event->link.fields & NSP_LINK_ALTNAMES);
	NSP_ATTR_EACH_OF(attr, event->link.altnames.data, event->link.altnames.len)
	{
		CHECK_EQ(nsp_attr_len(attr), 121);
		nsp_attr_get_str(attr, name, sizeof(name));
		seen |= 1 << (name[60] - 'a');
	}
	CHECK_EQ(seen, 0xfffff);
	world_free(world);
}

static void altname_put(struct world *world, int (*put)(struct nsp_batch *, const struct nsp_link *), const char *name, int verdict)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME, .name = "v0" };
	struct nsp_msg msg;
	uint32_t buf[16];

	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_str(&msg, IFLA_ALT_IFNAME, name);
	NEED(nsp_attrs_end(&msg, &link.altnames));
	NEED(put(&world->batch, &link));
	CHECK_EQ(world_send(world, NULL), verdict);
}

static void test_altnames_given(void)
{
	struct world *world = world_new();
	struct nsp_link read;
	int index = world_veth(world, "v0");

	altname_put(world, nsp_link_altnames_add, "another name of it", 0);
	CHECK_EQ(world_link(world, "v0", &read), index);
	CHECK(read.fields & NSP_LINK_ALTNAMES);
	altname_put(world, nsp_link_altnames_add, "another name of it", EEXIST);
	altname_put(world, nsp_link_altnames_add, "v0-p", EEXIST);
	altname_put(world, nsp_link_altnames_delete, "another name of it", 0);
	altname_put(world, nsp_link_altnames_delete, "another name of it", ENOENT);
	CHECK_EQ(world_link(world, "v0", &read), index);
	CHECK(!(read.fields & NSP_LINK_ALTNAMES));
	CHECK_EQ(nsp_link_altnames_add(&world->batch, &(struct nsp_link){ 0 }), -EINVAL);
	world_free(world);
}

/* At birth and later. */
static void test_limits(void)
{
	struct world *world = world_new();
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_TXQUEUELEN | NSP_LINK_GSO_MAX_SIZE |
					   NSP_LINK_GSO_MAX_SEGS | NSP_LINK_GRO_MAX_SIZE | NSP_LINK_GSO_IPV4_MAX_SIZE |
					   NSP_LINK_GRO_IPV4_MAX_SIZE,
				 .name = "v",
				 .kind = "ifb",
				 .txqueuelen = 7,
				 .gso_max_size = 50000,
				 .gso_max_segs = 60,
				 .gro_max_size = 40000,
				 .gso_ipv4_max_size = 30000,
				 .gro_ipv4_max_size = 20000 };
	struct nsp_link read;

	for (int i = 0; i < 2; i++) {
		NEED(i ? nsp_link_change(&world->batch, &link) : nsp_link_create(&world->batch, &link, NULL, NSP_NETNS_CURRENT));
		CHECK_EQ(world_send(world, NULL), 0);
		CHECK(world_link(world, "v", &read) > 0);
		CHECK_EQ(read.txqueuelen, link.txqueuelen);
		CHECK_EQ(read.gso_max_size, link.gso_max_size);
		CHECK_EQ(read.gso_max_segs, link.gso_max_segs);
		CHECK_EQ(read.gro_max_size, link.gro_max_size);
		if (read.fields & NSP_LINK_GSO_IPV4_MAX_SIZE) { /* since Linux 6.3 */
			CHECK_EQ(read.gso_ipv4_max_size, link.gso_ipv4_max_size);
			CHECK_EQ(read.gro_ipv4_max_size, link.gro_ipv4_max_size);
		}
		link.txqueuelen++;
		link.gso_max_size++;
		link.gso_max_segs++;
		link.gro_max_size++;
		link.gso_ipv4_max_size++;
		link.gro_ipv4_max_size++;
	}
	world_free(world);
}

/* The VLANs in a list of them: a bit for each. */
static unsigned vlans_of(const struct nsp_link *link)
{
	const struct nlattr *attr;
	struct bridge_vlan_info info;
	unsigned found = 0;

	NSP_ATTR_EACH_OF(attr, link->vlans.data, link->vlans.len)
	if (nsp_attr_type(attr) == IFLA_BRIDGE_VLAN_INFO && nsp_attr_get(attr, &info, sizeof(info)))
		found |= 1U << info.vid;
	return found;
}

static const struct nsp_event *vlans_event(const struct nsp_event *events, long count, int index)
{
	for (long i = count - 1; i >= 0; i--)
		if (events[i].type == NSP_EVENT_VLANS && events[i].link.index == index)
			return &events[i];
	return NULL;
}

/* This machine's kernel may have no VLANs of bridges, and says so; a port is told of with none then. */
static void test_vlans(void)
{
	static struct nsp_event events[64];
	struct world *world = world_new();
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "br", .kind = "bridge" }, read;
	struct nsp_link vlans = { .fields = NSP_LINK_INDEX | NSP_LINK_VLANS };
	struct bridge_vlan_info info = { .vid = 7 };
	struct nsp_monitor mon;
	struct nsp_msg msg;
	uint32_t buf[16];
	long count;

	NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	NEED(nsp_monitor_open(&mon, NULL));
	NEED(nsp_monitor_watch(&mon, world->netns, NULL));
	vlans.index = world_veth(world, "v0");
	NEED(nsp_link_change(&world->batch, &(struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_MASTER,
								.index = vlans.index,
								.master = world_link(world, "br", &read) }));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK(world_link(world, "v0", &read) > 0);
	CHECK(!(read.fields & NSP_LINK_VLANS)); /* a link says nothing of them itself */

	mon.room = room_new(sizeof(room_memory));
	count = nsp_monitor_read(&mon, events, 64, NULL);
	const struct nsp_event *event = vlans_event(events, count, vlans.index);
	CHECK(event && event->link.fields & NSP_LINK_VLANS);
	unsigned before = event ? vlans_of(&event->link) : 0;

	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put(&msg, IFLA_BRIDGE_VLAN_INFO, &info, sizeof(info));
	NEED(nsp_attrs_end(&msg, &vlans.vlans));
	NEED(nsp_link_vlans_add(&world->batch, &vlans));
	int verdict = world_send(world, NULL);
	CHECK_EQ(verdict, before ? 0 : EOPNOTSUPP);
	unsigned added = before ? before | 1U << info.vid : 0;
	if (!verdict) {
		count = nsp_monitor_read(&mon, events, 64, NULL);
		event = vlans_event(events, count, vlans.index);
		CHECK(event && vlans_of(&event->link) == added);
	}
	struct nsp_room room = room_new(sizeof(room_memory));
	count = nsp_monitor_survey(world->netns, events, 64, &room, NULL);
	event = vlans_event(events, count, vlans.index);
	CHECK(event && vlans_of(&event->link) == added);
	if (!verdict) {
		NEED(nsp_link_vlans_delete(&world->batch, &vlans));
		CHECK_EQ(world_send(world, NULL), 0);
		room = room_new(sizeof(room_memory));
		count = nsp_monitor_survey(world->netns, events, 64, &room, NULL);
		event = vlans_event(events, count, vlans.index);
		CHECK(event && vlans_of(&event->link) == before);
	}
	CHECK_EQ(nsp_link_vlans_add(&world->batch, &bridge), -EINVAL);
	nsp_monitor_close(&mon);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_bridge();
	test_port();
	test_upper_link();
	test_namespace_of_a_link();
	test_monitor();
	test_survey();
	test_altnames();
	test_altnames_given();
	test_limits();
	test_vlans();
	return test_end();
}
