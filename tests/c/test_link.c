/* SPDX-License-Identifier: Apache-2.0 */
/* Links are born where they belong with what they can be given at birth, changed, renamed, enslaved and deleted. */
#include "test.h"

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };

static void test_pair_across_namespaces(void)
{
	struct world *here = world_new(), *there = world_new();
	struct nsp_link a = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_MAC | NSP_LINK_MTU | NSP_LINK_GROUP | NSP_LINK_UP,
			      .name = "a",
			      .kind = "veth",
			      .mtu = 1400,
			      .group = 7,
			      .up = 1 };
	struct nsp_link b = { .fields = NSP_LINK_NAME | NSP_LINK_MAC | NSP_LINK_MTU | NSP_LINK_GROUP | NSP_LINK_UP | NSP_LINK_ALIAS,
			      .name = "fifteen-bytes-x",
			      .mtu = 1300,
			      .group = 8,
			      .up = 1,
			      .alias = "not at birth" };
	struct nsp_link read;
	int index;

	memcpy(a.mac, mac_a, 6);
	memcpy(b.mac, mac_b, 6);
	CHECK_EQ(nsp_link_create(&here->batch, &a, &b, there->netns), 0);
	CHECK_EQ(world_send(here, NULL), 0);

	index = world_link(here, "a", &read);
	CHECK(index > 0);
	CHECK_EQ(read.fields & (NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_MTU | NSP_LINK_MAC | NSP_LINK_GROUP | NSP_LINK_OPERSTATE),
		 NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_MTU | NSP_LINK_MAC | NSP_LINK_GROUP | NSP_LINK_OPERSTATE);
	CHECK_STR(read.name, "a");
	CHECK_STR(read.kind, "veth");
	CHECK_EQ(read.mtu, 1400);
	CHECK_EQ(read.group, 7);
	CHECK_EQ(read.up, 1);
	CHECK_EQ(read.loopback, 0);
	CHECK_EQ(read.master, 0);
	CHECK(memcmp(read.mac, mac_a, 6) == 0);
	CHECK(read.fields & NSP_LINK_LINK && read.fields & NSP_LINK_LINK_NETNSID);
	CHECK(read.operstate != 6); /* IF_OPER_UP: not while the other end is down */

	CHECK(world_link(there, "fifteen-bytes-x", &read) > 0);
	CHECK_STR(read.name, "fifteen-bytes-x");
	CHECK_EQ(read.mtu, 1300);
	CHECK_EQ(read.group, 8);
	CHECK_EQ(read.up, 0);
	CHECK_EQ(read.link, index);
	CHECK(memcmp(read.mac, mac_b, 6) == 0);
	CHECK_STR(read.alias, "");

	CHECK_EQ(nsp_link_create(&here->batch, &a, &b, there->netns), 0);
	CHECK_EQ(world_send(here, NULL), EEXIST);

	CHECK_EQ(nsp_link_delete(&there->batch, &b), 0);
	CHECK_EQ(world_send(there, NULL), 0);
	CHECK_EQ(world_link(here, "a", &read), -ENODEV);
	CHECK_EQ(nsp_link_delete(&here->batch, &a), 0);
	CHECK_EQ(world_send(here, NULL), ENODEV);
	world_free(here);
	world_free(there);
}

static void test_change(void)
{
	struct nsp_link bridge = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "br", .kind = "bridge" };
	struct nsp_link change = { 0 }, read;
	struct world *world = world_new();
	int port = world_veth(world, "v0"), master;

	NEED(nsp_link_create(&world->batch, &bridge, NULL, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	master = world_link(world, "br", &read);
	CHECK_STR(read.kind, "bridge");

	/* Down at first: before Linux 6.2, one that is up is given no other name. */
	change = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_UP, .index = port };
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	change = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_NAME | NSP_LINK_UP | NSP_LINK_MTU | NSP_LINK_MAC |
					      NSP_LINK_MASTER | NSP_LINK_GROUP | NSP_LINK_ALIAS,
				    .index = port,
				    .name = "new",
				    .up = 1,
				    .mtu = 2000,
				    .master = master,
				    .group = 99,
				    .alias = "an alias, with spaces" };
	memcpy(change.mac, mac_b, 6);
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(world_link(world, "v0", &read), -ENODEV);
	CHECK_EQ(world_link(world, "new", &read), port);
	CHECK_EQ(read.up, 1);
	CHECK_EQ(read.mtu, 2000);
	CHECK_EQ(read.master, master);
	CHECK_EQ(read.group, 99);
	CHECK_STR(read.alias, "an alias, with spaces");
	CHECK(memcmp(read.mac, mac_b, 6) == 0);

	/* Taken away again; by name this time, and nothing else is touched. */
	change = (struct nsp_link){ .fields = NSP_LINK_NAME | NSP_LINK_UP | NSP_LINK_MASTER | NSP_LINK_ALIAS, .name = "new" };
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(world_link(world, "new", &read), port);
	CHECK_EQ(read.up, 0);
	CHECK_EQ(read.master, 0);
	CHECK_EQ(read.mtu, 2000);
	CHECK_STR(read.alias, "");

	/* An alias of the greatest length, which the read cuts. */
	change = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_ALIAS, .index = port };
	memset(change.alias, 'x', sizeof(change.alias));
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(world_link(world, "new", &read), port);
	CHECK_EQ(strlen(read.alias), sizeof(read.alias) - 1);
	world_free(world);
}

static void test_master_at_birth(void)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_UP, .name = "br", .kind = "bridge", .up = 1 };
	struct nsp_link peer = { .fields = NSP_LINK_NAME, .name = "p" }, read;
	struct world *world = world_new();
	int master;

	NEED(nsp_link_create(&world->batch, &link, NULL, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	master = world_link(world, "br", &read);
	CHECK_EQ(read.up, 1);
	link = (struct nsp_link){
		.fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_MASTER, .name = "v", .kind = "veth", .master = master
	};
	NEED(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK(world_link(world, "v", &read) > 0);
	CHECK_EQ(read.master, master);
	/* In one namespace the other end is named by its index alone. */
	CHECK(read.fields & NSP_LINK_LINK && !(read.fields & NSP_LINK_LINK_NETNSID));
	world_free(world);
}

static void test_addr_gen_mode(void)
{
	struct nsp_link change = { .fields = NSP_LINK_INDEX | NSP_LINK_ADDR_GEN_MODE, .addr_gen_mode = IN6_ADDR_GEN_MODE_NONE },
			read;
	struct world *world = world_new();

	change.index = world_veth(world, "v0");
	world_link(world, "v0", &read);
	CHECK(read.fields & NSP_LINK_ADDR_GEN_MODE);
	CHECK_EQ(read.addr_gen_mode, IN6_ADDR_GEN_MODE_EUI64);
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	world_link(world, "v0", &read);
	CHECK_EQ(read.addr_gen_mode, IN6_ADDR_GEN_MODE_NONE);

	/* With an MTU that is too small for IPv6 there is none. */
	change.fields = NSP_LINK_INDEX | NSP_LINK_MTU;
	change.mtu = 1279;
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	world_link(world, "v0", &read);
	CHECK(!(read.fields & NSP_LINK_ADDR_GEN_MODE));
	change.fields = NSP_LINK_INDEX | NSP_LINK_ADDR_GEN_MODE;
	CHECK_EQ(nsp_link_change(&world->batch, &change), 0);
	CHECK_EQ(world_send(world, NULL), EAFNOSUPPORT);
	world_free(world);
}

static void test_delete_group(void)
{
	struct world *world = world_new();
	struct nsp_link read;

	for (int i = 0; i < 20; i++) {
		struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND | NSP_LINK_GROUP, .kind = "veth", .group = 5 };
		struct nsp_link peer = { .fields = NSP_LINK_NAME };

		snprintf(link.name, sizeof(link.name), "a%d", i);
		snprintf(peer.name, sizeof(peer.name), "b%d", i);
		link.group = i < 15 ? 5 : 6;
		NEED(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT));
	}
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(nsp_link_delete_group(&world->batch, 5), 0);
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(world_link(world, "a0", &read), -ENODEV);
	CHECK_EQ(world_link(world, "b14", &read), -ENODEV);
	CHECK(world_link(world, "a15", &read) > 0);
	CHECK_EQ(nsp_link_delete_group(&world->batch, 5), 0);
	CHECK_EQ(world_send(world, NULL), ENODEV);
	world_free(world);
}

struct news {
	struct nlmsghdr head;
	struct ifinfomsg ifi;
	uint8_t attrs[1024];
};

static struct nlattr *attr_add(struct news *news, uint16_t type, const char *payload, size_t len)
{
	struct nlattr *attr = (struct nlattr *)(void *)((uint8_t *)news + news->head.nlmsg_len);

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(sizeof(*attr) + len);
	memcpy(attr + 1, payload, len);
	news->head.nlmsg_len += NLMSG_ALIGN(attr->nla_len);
	return attr;
}

/* Other names, however many and long. */
static void test_altnames(void)
{
	struct news news = { .head = { .nlmsg_len = offsetof(struct news, attrs), .nlmsg_type = RTM_NEWLINK } };
	const char *const names[] = { "uplink", NULL, NULL, "wan" };
	const struct nlattr *attr;
	size_t count = 0;
	struct nlattr *nest = attr_add(&news, IFLA_PROP_LIST | NLA_F_NESTED, "", 0);
	char longest[128] = "";
	struct nsp_link link;

	memset(longest, 'n', 127);
	attr_add(&news, IFLA_ALT_IFNAME, "uplink", 7);
	attr_add(&news, IFLA_ALT_IFNAME, longest, 128);
	attr_add(&news, IFLA_ALT_IFNAME, longest, 128);
	attr_add(&news, IFLA_ALT_IFNAME, "wan", 4);
	nest->nla_len = (uint16_t)((uint8_t *)&news + news.head.nlmsg_len - (uint8_t *)nest);
	CHECK_EQ(nsp_link_read(&news, &link), 0);
	CHECK(link.fields & NSP_LINK_ALTNAMES);
	NSP_ATTR_EACH_OF(attr, link.altnames.data, link.altnames.len)
	{
		CHECK_EQ(nsp_attr_type(attr), IFLA_ALT_IFNAME);
		CHECK_STR((const char *)(attr + 1), names[count] ? names[count] : longest);
		count++;
	}
	CHECK_EQ(count, 4);
}

/* Tunnels have an IP address for one, and some kinds have none. */
static void test_length_of_a_mac(void)
{
	static const uint8_t lens[] = { 4, 6, 16, 20, 32 };
	uint8_t mac[40];
	struct nsp_link link;

	for (size_t i = 0; i < sizeof(mac); i++)
		mac[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < sizeof(lens); i++) {
		struct news news = { .head = { .nlmsg_len = offsetof(struct news, attrs), .nlmsg_type = RTM_NEWLINK } };
		struct nsp_link sent = { .fields = NSP_LINK_INDEX | NSP_LINK_MAC, .index = 1, .mac_len = lens[i] };
		struct nsp_batch batch;
		uint32_t buf[64];

		attr_add(&news, IFLA_ADDRESS, (const char *)mac, lens[i]);
		CHECK_EQ(nsp_link_read(&news, &link), 0);
		CHECK(link.fields & NSP_LINK_MAC);
		CHECK_EQ(link.mac_len, lens[i]);
		CHECK(memcmp(link.mac, mac, lens[i]) == 0);

		memcpy(sent.mac, mac, lens[i]);
		nsp_batch_init(&batch, buf, sizeof(buf));
		CHECK_EQ(nsp_link_change(&batch, &sent), 0);
		CHECK_EQ(nsp_link_read(batch.buf, &link), 0);
		CHECK_EQ(link.mac_len, lens[i]);
		CHECK(memcmp(link.mac, mac, lens[i]) == 0);
	}
	for (size_t len = 0; len <= 33; len += 33) {
		struct news news = { .head = { .nlmsg_len = offsetof(struct news, attrs), .nlmsg_type = RTM_NEWLINK } };

		attr_add(&news, IFLA_ADDRESS, (const char *)mac, len);
		CHECK_EQ(nsp_link_read(&news, &link), 0);
		CHECK(!(link.fields & NSP_LINK_MAC));
		CHECK_EQ(link.mac_len, 0);
	}
}

static void test_refused(void)
{
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .kind = "veth" };
	struct nsp_link peer = { .fields = NSP_LINK_NAME, .name = "p" }, read;
	struct world *world = world_new();
	struct outcome outcome;

	CHECK_EQ(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT), -EINVAL); /* no name */
	memset(link.name, 'n', sizeof(link.name));
	CHECK_EQ(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT), -EINVAL); /* no end */
	CHECK_EQ(nsp_link_change(&world->batch, &link), -EINVAL);
	memset(&link, 0, sizeof(link));
	CHECK_EQ(nsp_link_create(&world->batch, &link, &peer, NSP_NETNS_CURRENT), -EINVAL);
	CHECK_EQ(nsp_link_change(&world->batch, &link), -EINVAL);
	CHECK_EQ(nsp_link_delete(&world->batch, &link), -EINVAL);
	CHECK_EQ(nsp_link_get(&world->batch, &link), -EINVAL);
	link.fields = NSP_LINK_INDEX; /* 0: the kernel would go by other attributes, such as a group */
	CHECK_EQ(nsp_link_delete(&world->batch, &link), -EINVAL);
	link = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_MAC, .index = 1, .mac_len = 33 };
	CHECK_EQ(nsp_link_change(&world->batch, &link), -EINVAL);
	link = (struct nsp_link){ .fields = NSP_LINK_INDEX | NSP_LINK_DATA, .index = 1 }; /* of what kind? */
	CHECK_EQ(nsp_link_change(&world->batch, &link), -EINVAL);
	CHECK_EQ(world->batch.len, 0);

	link = (struct nsp_link){ .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "x", .kind = "nosuchkind" };
	CHECK_EQ(nsp_link_create(&world->batch, &link, NULL, NSP_NETNS_CURRENT), 0);
	CHECK_EQ(world_send(world, &outcome), EOPNOTSUPP);
	CHECK_STR(outcome.text, "Unknown device type");

	/* Every length of room that is too short for it. */
	link = (struct nsp_link){ .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "x", .kind = "veth" };
	for (uint32_t cap = 0; cap < 256; cap++) {
		uint8_t *buf = malloc(cap + 1);
		struct nsp_batch batch;
		int ret;

		nsp_batch_init(&batch, buf, cap);
		ret = nsp_link_create(&batch, &link, &peer, 3);
		if (ret != (batch.len ? 0 : -ENOSPC) || batch.count != (batch.len ? 1U : 0U))
			CHECK_EQ(ret, -ENOSPC);
		free(buf);
	}

	struct nlmsghdr other = { .nlmsg_len = sizeof(other), .nlmsg_type = RTM_NEWLINK };

	CHECK_EQ(nsp_link_read(&other, &read), -EINVAL);
	other.nlmsg_type = RTM_NEWADDR;
	CHECK_EQ(nsp_link_read(&other, &read), -EINVAL);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_pair_across_namespaces();
	test_change();
	test_master_at_birth();
	test_addr_gen_mode();
	test_delete_group();
	test_altnames();
	test_length_of_a_mac();
	test_refused();
	return test_end();
}
