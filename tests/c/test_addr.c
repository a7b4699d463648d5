/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses are added once, with their prefix, scope, flags and maker, and deleted. */
#include "test.h"

#include <linux/if_addr.h>

struct found {
	struct nsp_addr wanted;
	struct nsp_addr addr;
	struct nsp_addr_details details;
	int count;
};

static void find(void *arg, uint32_t index, const void *msg)
{
	struct found *found = arg;
	struct nsp_addr_details details;
	struct nsp_addr addr;

	(void)index;
	if (!msg) {
		found->count = 0;
		return;
	}
	if (nsp_addr_read_details(msg, &addr, &details) < 0 || addr.family != found->wanted.family ||
	    memcmp(addr.local, found->wanted.local, 16) != 0)
		return;
	found->addr = addr;
	found->details = details;
	found->count++;
}

static int look(struct world *world, const struct nsp_addr *wanted, struct nsp_addr *addr)
{
	struct found found = { .wanted = *wanted };

	NEED(nsp_dump(&world->sock, NSP_DUMP_ADDRS, 0, wanted->index, 0, find, &found, NULL));
	*addr = found.addr;
	return found.count;
}

static void test_family(const char *text, uint8_t prefix_len, uint32_t flags)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr addr = addr_of(index, text, prefix_len), read;

	addr.proto = 110;
	addr.flags = flags;
	CHECK_EQ(nsp_addr_add(&world->batch, &addr), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &addr, &read), 1);
	CHECK_EQ(read.index, index);
	CHECK_EQ(read.prefix_len, prefix_len);
	CHECK_EQ(read.scope, RT_SCOPE_UNIVERSE);
	CHECK_EQ(read.proto, 110);
	CHECK_EQ(read.flags & flags, flags);
	CHECK_EQ(read.flags & IFA_F_TENTATIVE, 0);
	CHECK(read.flags & IFA_F_PERMANENT);

	CHECK_EQ(nsp_addr_add(&world->batch, &addr), 0);
	CHECK_EQ(world_send(world, NULL), EEXIST);
	CHECK_EQ(nsp_addr_delete(&world->batch, &addr), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &addr, &read), 0);
	CHECK_EQ(nsp_addr_delete(&world->batch, &addr), 0);
	CHECK_EQ(world_send(world, NULL), EADDRNOTAVAIL);
	world_free(world);
}

static void test_scope_and_flags(void)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr addr = addr_of(index, "10.1.2.3", 24), read;

	addr.scope = RT_SCOPE_LINK;
	addr.flags = IFA_F_NOPREFIXROUTE; /* needs the 32 bits of IFA_FLAGS */
	NEED(nsp_addr_add(&world->batch, &addr));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &addr, &read), 1);
	CHECK_EQ(read.scope, RT_SCOPE_LINK);
	CHECK(read.flags & IFA_F_NOPREFIXROUTE);
	CHECK_EQ(read.proto, 0);
	world_free(world);
}

/* The same address with two prefixes is two addresses, and the right one goes. */
static void test_two_prefixes(void)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr wide = addr_of(index, "10.0.0.1", 16), narrow = addr_of(index, "10.0.0.1", 24), read;

	NEED(nsp_addr_add(&world->batch, &wide));
	NEED(nsp_addr_add(&world->batch, &narrow));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &wide, &read), 2);
	NEED(nsp_addr_delete(&world->batch, &narrow));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &wide, &read), 1);
	CHECK_EQ(read.prefix_len, 16);
	world_free(world);
}

/* An address with another end is told from one without, and each is deleted alone. */
static void test_peer(const char *text, const char *peer, uint8_t prefix_len)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr plain = addr_of(index, text, prefix_len), far = addr_of(index, peer, prefix_len), read;
	uint8_t zero[16] = { 0 };

	memcpy(far.peer, far.local, sizeof(far.peer));
	memcpy(far.local, plain.local, sizeof(far.local));
	far.flags = plain.flags = plain.family == AF_INET6 ? IFA_F_NODAD : 0;
	NEED(nsp_addr_add(&world->batch, &far));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &far, &read), 1);
	CHECK(memcmp(read.peer, far.peer, 16) == 0 && memcmp(read.local, far.local, 16) == 0);
	NEED(nsp_addr_delete(&world->batch, &far));
	NEED(nsp_addr_add(&world->batch, &plain));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, &plain, &read), 1);
	CHECK(memcmp(read.peer, zero, 16) == 0);
	world_free(world);
}

static struct nsp_addr_details details_of(struct world *world, const struct nsp_addr *wanted)
{
	struct found found = { .wanted = *wanted };

	NEED(nsp_dump(&world->sock, NSP_DUMP_ADDRS, 0, wanted->index, 0, find, &found, NULL));
	CHECK_EQ(found.count, 1);
	return found.details;
}

static void test_details(const char *text, uint8_t prefix_len)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr addr = addr_of(index, text, prefix_len), read;
	struct nsp_addr_details details = { .fields = NSP_ADDR_METRIC | NSP_ADDR_LIFETIME | NSP_ADDR_BROADCAST | NSP_ADDR_LABEL,
					    .metric = 7,
					    .valid = 5000,
					    .preferred = 3000,
					    .broadcast = { 10, 1, 2, 99 },
					    .label = "v0:one" };
	bool is_ipv4 = addr.family == AF_INET;

	addr.proto = 110;
	addr.flags = is_ipv4 ? 0 : IFA_F_NODAD;
	CHECK_EQ(nsp_addr_put(&world->batch, &addr, &details, NSP_PUT_NEW), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	struct nsp_addr_details has = details_of(world, &addr);
	CHECK_EQ(has.fields, is_ipv4 ? details.fields : NSP_ADDR_METRIC | NSP_ADDR_LIFETIME);
	CHECK_EQ(has.metric, 7);
	CHECK(has.valid > 4900 && has.valid <= 5000);
	CHECK(has.preferred > 2900 && has.preferred <= 3000);
	CHECK_STR(has.label, is_ipv4 ? "v0:one" : "");
	CHECK_EQ(has.broadcast[3], is_ipv4 ? 99 : 0);
	NEED(nsp_addr_put(&world->batch, &addr, &details, NSP_PUT_NEW));
	CHECK_EQ(world_send(world, NULL), EEXIST);

	/* In place: the rest stays. */
	details = (struct nsp_addr_details){ .fields = NSP_ADDR_METRIC, .metric = 9 };
	addr.proto = 9;
	NEED(nsp_addr_put(&world->batch, &addr, &details, NSP_PUT_REPLACE));
	CHECK_EQ(world_send(world, NULL), 0);
	has = details_of(world, &addr);
	CHECK_EQ(has.fields, NSP_ADDR_METRIC | (is_ipv4 ? NSP_ADDR_BROADCAST | NSP_ADDR_LABEL : 0));
	CHECK_EQ(has.metric, 9);
	CHECK_EQ(look(world, &addr, &read), 1);
	CHECK(read.proto == 9 || (is_ipv4 && read.proto == 110)); /* Linux 6.1 leaves that of IPv4 */
	CHECK(read.flags & IFA_F_PERMANENT);

	/* And without details, where it is not there. */
	NEED(nsp_addr_delete(&world->batch, &addr));
	NEED(nsp_addr_put(&world->batch, &addr, NULL, NSP_PUT_REPLACE));
	CHECK_EQ(world_send(world, NULL), 0);
	has = details_of(world, &addr);
	CHECK_EQ(has.fields, is_ipv4 ? NSP_ADDR_LABEL : 0);
	CHECK_STR(has.label, is_ipv4 ? "v0" : "");

	/* One that is deprecated from the start. */
	details = (struct nsp_addr_details){ .fields = NSP_ADDR_LIFETIME, .valid = 50, .preferred = 0 };
	NEED(nsp_addr_put(&world->batch, &addr, &details, NSP_PUT_REPLACE));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(details_of(world, &addr).preferred, 0);
	CHECK_EQ(look(world, &addr, &read), 1);
	CHECK(read.flags & IFA_F_DEPRECATED);
	world_free(world);
}

/* The monitor and a survey tell of them. */
static void test_details_in_events(void)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_addr addr = addr_of(index, "10.1.2.3", 24);
	struct nsp_addr_details details = { .fields = NSP_ADDR_METRIC, .metric = 7 };
	struct nsp_event events[16];
	struct nsp_monitor monitor;
	int told = 0;

	NEED(nsp_monitor_open(&monitor, NULL));
	NEED(nsp_monitor_watch(&monitor, world->netns, NULL));
	NEED(nsp_addr_put(&world->batch, &addr, &details, NSP_PUT_NEW));
	CHECK_EQ(world_send(world, NULL), 0);
	for (int n = nsp_monitor_read(&monitor, events, 16, NULL); n > 0; n = nsp_monitor_read(&monitor, events, 16, NULL))
		for (int i = 0; i < n; i++)
			told += events[i].type == NSP_EVENT_ADDR && events[i].addr.index == index && events[i].details.metric == 7;
	CHECK_EQ(told, 1);
	told = 0;
	long count = nsp_monitor_survey(world->netns, events, 16, NULL, NULL);
	CHECK(count > 0 && count <= 16);
	for (long i = 0; i < count; i++)
		told += events[i].type == NSP_EVENT_ADDR && events[i].addr.index == index && events[i].details.metric == 7;
	CHECK_EQ(told, 1);
	nsp_monitor_close(&monitor);
	world_free(world);
}

static void test_refused(void)
{
	struct world *world = world_new();
	struct nsp_addr addr = addr_of(1, "10.0.0.1", 24), read;
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg ifa;
	} msg = { .head = { .nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWADDR }, .ifa = { .ifa_family = AF_INET } };

	addr.family = AF_BRIDGE;
	CHECK_EQ(nsp_addr_add(&world->batch, &addr), -EINVAL);
	CHECK_EQ(nsp_addr_delete(&world->batch, &addr), -EINVAL);
	addr = addr_of(1000, "10.0.0.1", 24);
	CHECK_EQ(nsp_addr_add(&world->batch, &addr), 0);
	CHECK_EQ(world_send(world, NULL), ENODEV);

	CHECK_EQ(nsp_addr_read(&msg, &read), -EINVAL); /* no address in it */
	msg.head.nlmsg_type = RTM_NEWROUTE;
	CHECK_EQ(nsp_addr_read(&msg, &read), -EINVAL);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_family("10.1.2.3", 24, 0);
	test_family("10.1.2.3", 32, 0);
	test_family("fd00::1", 64, IFA_F_NODAD);
	test_scope_and_flags();
	test_two_prefixes();
	test_peer("10.1.1.1", "192.168.7.1", 24);
	test_peer("fd01::1", "fd99::1", 64);
	test_details("10.1.2.3", 24);
	test_details("fd00::1", 64);
	test_details_in_events();
	test_refused();
	return test_end();
}
