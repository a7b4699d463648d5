/* SPDX-License-Identifier: Apache-2.0 */
/* ARP and IPv6 neighbour entries are put, replaced, asked for and deleted. */
#include "test.h"

#include <linux/neighbour.h>

static struct nsp_neigh neigh_of(int index, const char *text, uint8_t last)
{
	struct nsp_neigh neigh = { .index = index, .proto = 110, .mac_len = 6, .mac = { 2, 0, 0, 0, 0, last } };

	neigh.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(neigh.family, text, neigh.dst) != 1)
		exit(1);
	return neigh;
}

static int put(struct world *world, const struct nsp_neigh *neigh, int mode)
{
	NEED(nsp_neigh_put(&world->batch, neigh, mode));
	return world_send(world, NULL);
}

static int get(struct world *world, const struct nsp_neigh *neigh, struct nsp_neigh *read)
{
	static struct outcome outcome;
	int ret;

	NEED(nsp_neigh_get(&world->batch, neigh));
	ret = world_send(world, &outcome);
	return ret ? ret : nsp_neigh_read(outcome.reply, read);
}

static void test_family(const char *text)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_neigh neigh = neigh_of(index, text, 1), read;

	CHECK_EQ(get(world, &neigh, &read), ENOENT);
	CHECK_EQ(put(world, &neigh, NSP_PUT_NEW), 0);
	CHECK_EQ(get(world, &neigh, &read), 0);
	CHECK_EQ(read.index, index);
	CHECK_EQ(read.family, neigh.family);
	CHECK_EQ(read.state, NUD_PERMANENT);
	CHECK_EQ(read.proto, 110);
	CHECK_EQ(read.mac_len, 6);
	CHECK(memcmp(read.mac, neigh.mac, 6) == 0);
	CHECK(memcmp(read.dst, neigh.dst, 16) == 0);

	CHECK_EQ(put(world, &neigh, NSP_PUT_NEW), EEXIST);
	neigh.mac[5] = 2;
	CHECK_EQ(put(world, &neigh, NSP_PUT_REPLACE), 0);
	CHECK_EQ(get(world, &neigh, &read), 0);
	CHECK_EQ(read.mac[5], 2);

	NEED(nsp_neigh_delete(&world->batch, &neigh));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(get(world, &neigh, &read), ENOENT);
	NEED(nsp_neigh_delete(&world->batch, &neigh));
	CHECK_EQ(world_send(world, NULL), ENOENT);
	world_free(world);
}

static void test_state_and_flags(void)
{
	struct world *world = world_new();
	int index = world_veth(world, "v0");
	struct nsp_neigh neigh = neigh_of(index, "10.0.0.9", 1), proxy = neigh_of(index, "10.0.0.10", 0), read;

	neigh.state = NUD_STALE;
	neigh.flags = NTF_ROUTER;
	CHECK_EQ(put(world, &neigh, NSP_PUT_NEW), 0);
	CHECK_EQ(get(world, &neigh, &read), 0);
	CHECK_EQ(read.state, NUD_STALE);

	proxy.flags = NTF_PROXY;
	proxy.mac_len = 0;
	CHECK_EQ(put(world, &proxy, NSP_PUT_NEW), 0);
	CHECK_EQ(get(world, &proxy, &read), 0);
	CHECK(read.flags & NTF_PROXY);
	CHECK_EQ(read.mac_len, 0);
	NEED(nsp_neigh_delete(&world->batch, &proxy));
	CHECK_EQ(world_send(world, NULL), 0);
	world_free(world);
}

static void test_refused(void)
{
	struct world *world = world_new();
	struct nsp_neigh neigh = neigh_of(1000, "10.0.0.9", 1), read;
	struct {
		struct nlmsghdr head;
		struct ndmsg ndm;
	} msg = { .head = { .nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWNEIGH }, .ndm = { .ndm_family = AF_BRIDGE } };

	CHECK_EQ(put(world, &neigh, NSP_PUT_NEW), ENODEV);
	neigh.mac_len = 4;
	CHECK_EQ(nsp_neigh_put(&world->batch, &neigh, NSP_PUT_NEW), -EINVAL);
	neigh.mac_len = 6;
	neigh.family = AF_BRIDGE;
	CHECK_EQ(nsp_neigh_put(&world->batch, &neigh, NSP_PUT_NEW), -EINVAL);
	CHECK_EQ(nsp_neigh_delete(&world->batch, &neigh), -EINVAL);
	CHECK_EQ(nsp_neigh_get(&world->batch, &neigh), -EINVAL);
	CHECK_EQ(nsp_neigh_read(&msg, &read), -EINVAL);
	msg.ndm.ndm_family = AF_INET;
	CHECK_EQ(nsp_neigh_read(&msg, &read), -EINVAL); /* no address in it */
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_family("10.0.0.9");
	test_family("fd00::9");
	test_state_and_flags();
	test_refused();
	return test_end();
}
