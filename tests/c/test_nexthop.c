/* SPDX-License-Identifier: Apache-2.0 */
/* Nexthop objects and routes by them, of both families: put, read back, deleted. */
#include "test.h"

#include <linux/rtnetlink.h>

struct found {
	uint32_t id;
	struct nsp_nexthop nexthop;
	struct nsp_nexthop_member members[4];
	int count;
	bool there;
};

static void find(void *arg, uint32_t index, const void *msg)
{
	struct found *found = arg;
	struct nsp_nexthop_member members[4];
	struct nsp_nexthop nexthop;

	(void)index;
	int count = msg ? nsp_nexthop_read(msg, &nexthop, members, 4) : -1;
	if (count < 0 || nexthop.id != found->id)
		return;
	*found = (struct found){ .id = found->id, .nexthop = nexthop, .count = count, .there = true };
	memcpy(found->members, members, sizeof(members));
}

static struct found look(struct world *world, uint32_t id)
{
	struct found found = { .id = id };

	NEED(nsp_dump(&world->sock, NSP_DUMP_NEXTHOPS, 0, 0, 0, find, &found, NULL));
	return found;
}

struct route_by {
	struct nsp_route route;
	uint32_t nexthop, count;
};

static void find_route(void *arg, uint32_t index, const void *msg)
{
	struct route_by *found = arg;
	struct nsp_route route;
	uint32_t nexthop;

	(void)index;
	if (msg && nsp_route_read_by(msg, &route, &nexthop) == 0)
		*found = (struct route_by){ route, nexthop, found->count + 1 };
}

static struct route_by look_route(struct world *world)
{
	struct route_by found = { 0 };

	NEED(nsp_dump(&world->sock, NSP_DUMP_ROUTES, 0, 0, 0, find_route, &found, NULL));
	return found;
}

static struct nsp_nexthop nexthop_of(uint32_t id, int oif, const char *gateway)
{
	struct nsp_nexthop nexthop = { .id = id, .family = strchr(gateway, ':') ? AF_INET6 : AF_INET, .proto = 110 };

	nexthop.hop.oif = oif;
	inet_pton(nexthop.family, gateway, nexthop.hop.gateway);
	return nexthop;
}

static int put(struct world *world, const struct nsp_nexthop *nexthop, int mode)
{
	NEED(nsp_nexthop_put(&world->batch, nexthop, mode));
	return world_send(world, NULL);
}

static void test_one_and_a_group(const char *dst, const char *first, const char *second, const char *nowhere)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0");
	struct nsp_addr v4 = addr_of(oif, "192.0.2.1", 24), v6 = addr_of(oif, "2001:db8::1", 64);
	struct nsp_nexthop one = nexthop_of(1000, oif, first), other = nexthop_of(1001, oif, second),
			   far = nexthop_of(1002, oif, nowhere);
	struct nsp_nexthop_member members[] = { { .id = 1000, .weight = 1 }, { .id = 1001, .weight = 256 } };
	struct nsp_route route = route_of(oif, dst, 16, first);

	v6.flags = 0x02; /* IFA_F_NODAD */
	NEED(nsp_addr_add(&world->batch, &v4));
	NEED(nsp_addr_add(&world->batch, &v6));
	CHECK_EQ(world_send(world, NULL), 0);

	CHECK_EQ(put(world, &one, NSP_PUT_NEW), 0);
	CHECK_EQ(put(world, &one, NSP_PUT_NEW), EEXIST);
	CHECK_EQ(put(world, &other, NSP_PUT_NEW), 0);
	CHECK(put(world, &far, NSP_PUT_NEW) != 0);
	far.hop.onlink = 1;
	CHECK_EQ(put(world, &far, NSP_PUT_NEW), 0);
	NEED(nsp_nexthop_put_group(&world->batch, 1010, 110, members, 2, NSP_PUT_NEW));
	CHECK_EQ(world_send(world, NULL), 0);

	struct found found = look(world, 1000);
	CHECK(found.there && !found.count && found.nexthop.family == one.family && found.nexthop.proto == 110);
	CHECK(found.nexthop.hop.oif == oif && !memcmp(found.nexthop.hop.gateway, one.hop.gateway, 16));
	CHECK_EQ(found.nexthop.hop.onlink, 0);
	CHECK_EQ(look(world, 1002).nexthop.hop.onlink, 1);
	found = look(world, 1010);
	CHECK_EQ(found.count, 2);
	CHECK_EQ(found.members[1].id, 1001);
	CHECK_EQ(found.members[1].weight, 256);

	NEED(nsp_route_put_by(&world->batch, &route, 1000, NSP_PUT_NEW));
	CHECK_EQ(world_send(world, NULL), 0);
	NEED(nsp_route_put_by(&world->batch, &route, 1010, NSP_PUT_REPLACE));
	CHECK_EQ(world_send(world, NULL), 0);
	NEED(nsp_route_put_by(&world->batch, &route, 4711, NSP_PUT_REPLACE));
	CHECK_EQ(world_send(world, NULL), EINVAL);
	struct route_by by = look_route(world);
	CHECK_EQ(by.count, 1);
	CHECK_EQ(by.nexthop, 1010);
	CHECK(by.route.dst_len == 16 && !memcmp(by.route.dst, route.dst, 16) && by.route.proto == route.proto);
	CHECK_EQ(by.route.fields, 0);

	/* The route goes with it, and one of the group leaves it. */
	NEED(nsp_nexthop_delete(&world->batch, 1001));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look(world, 1010).count, 1);
	NEED(nsp_nexthop_delete(&world->batch, 1010));
	CHECK_EQ(world_send(world, NULL), 0);
	CHECK_EQ(look_route(world).count, 0);
	NEED(nsp_nexthop_delete(&world->batch, 1010));
	CHECK_EQ(world_send(world, NULL), ENOENT);
	world_free(world);
}

int main(void)
{
	test_one_and_a_group("10.1.0.0", "192.0.2.9", "192.0.2.10", "198.51.100.1");
	test_one_and_a_group("fd01::", "2001:db8::9", "2001:db8::10", "2001:db8:1::1");
	return test_end();
}
