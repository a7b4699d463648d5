/* SPDX-License-Identifier: Apache-2.0 */
/* A tun or tap is made in a namespace, and goes with its descriptor unless it is told to stay. */
#include "test.h"

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>

static struct nsp_tun tun_of(const char *name, uint32_t flags)
{
	struct nsp_tun tun = { .flags = flags, .owner = NSP_TUN_ANYBODY, .group = NSP_TUN_ANYBODY };

	snprintf(tun.name, sizeof(tun.name), "%s", name);
	return tun;
}

/* The number in an attribute of the link, -1 where it is not there. */
static long number_of(struct world *world, const char *name, uint16_t type)
{
	const struct nlattr *attr;
	struct nsp_link link;
	uint32_t number = 0;

	NEED(world_link(world, name, &link));
	CHECK_STR(link.kind, "tun");
	NSP_ATTR_EACH_OF(attr, link.data.data, link.data.len)
	if (nsp_attr_type(attr) == type && nsp_attr_len(attr) <= sizeof(number) && nsp_attr_get(attr, &number, nsp_attr_len(attr)))
		return number;
	return -1;
}

static void test_life(struct world *world)
{
	struct nsp_tun tun = tun_of("tap0", IFF_TAP | IFF_NO_PI);
	struct nsp_link link;
	int fd = nsp_tun_create(world->netns, &tun, NULL);

	CHECK(fd >= 0);
	CHECK(world_link(world, "tap0", &link) > 0);
	CHECK_EQ(number_of(world, "tap0", IFLA_TUN_PERSIST), 0);
	CHECK_EQ(number_of(world, "tap0", IFLA_TUN_TYPE), IFF_TAP);
	close(fd);
	CHECK_EQ(world_link(world, "tap0", &link), -ENODEV);

	tun = tun_of("tun0", IFF_TUN | IFF_MULTI_QUEUE | IFF_VNET_HDR);
	fd = nsp_tun_create(world->netns, &tun, NULL);
	CHECK_EQ(nsp_tun_persist(fd, NULL), 0);
	close(fd);
	CHECK(world_link(world, "tun0", &link) > 0);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_TYPE), IFF_TUN);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_PI), 1);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_VNET_HDR), 1);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_MULTI_QUEUE), 1);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_OWNER), -1);
	CHECK_EQ(number_of(world, "tun0", IFLA_TUN_GROUP), -1);
	CHECK_EQ(nsp_link_delete(&world->batch, &link), 0);
	CHECK_EQ(world_send(world, NULL), 0);
}

static void test_owner(struct world *world)
{
	struct nsp_tun tun = tun_of("tap1", IFF_TAP);
	struct nsp_error err = { 0 };
	int fd;

	tun.owner = 7;
	fd = nsp_tun_create(world->netns, &tun, NULL);
	CHECK_EQ(nsp_tun_persist(fd, NULL), 0);
	CHECK_EQ(number_of(world, "tap1", IFLA_TUN_OWNER), 7);
	CHECK_EQ(number_of(world, "tap1", IFLA_TUN_GROUP), -1);

	tun.owner = NSP_TUN_ANYBODY;
	tun.group = 8;
	CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), -EBUSY);
	CHECK_STR(err.text, "change the tap tap1, which a process has open: Device or resource busy");
	close(fd);
	CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), 0);
	CHECK_EQ(number_of(world, "tap1", IFLA_TUN_OWNER), 7);
	CHECK_EQ(number_of(world, "tap1", IFLA_TUN_GROUP), 8);

	tun.flags = IFF_TUN;
	CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), -EINVAL);
}

static void test_what_cannot_be(struct world *world)
{
	static const uint32_t flags[] = { 0, IFF_TUN | IFF_TAP, IFF_NO_PI, IFF_TAP | IFF_TUN_EXCL, IFF_TUN | 0x10000 };
	static const char *const names[] = { "", "tap%d" };
	struct nsp_tun tun;
	struct nsp_error err;

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		tun = tun_of("tap2", flags[i]);
		CHECK_EQ(nsp_tun_create(world->netns, &tun, &err), -EINVAL);
		CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		tun = tun_of(names[i], IFF_TAP);
		CHECK_EQ(nsp_tun_create(world->netns, &tun, &err), -EINVAL);
		CHECK_STR(err.text, "a tun or tap has a name of 1 to 15 bytes without %");
	}
	tun = tun_of("", IFF_TAP);
	memset(tun.name, 'n', sizeof(tun.name));
	CHECK_EQ(nsp_tun_create(world->netns, &tun, &err), -EINVAL);

	world_veth(world, "v0");
	tun = tun_of("v0", IFF_TAP);
	CHECK_EQ(nsp_tun_create(world->netns, &tun, &err), -EEXIST);
	CHECK_STR(err.text, "make the tap v0: File exists");
	CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), -EINVAL);
	tun = tun_of("nobody", IFF_TAP);
	CHECK_EQ(nsp_tun_change(world->netns, &tun, &err), -ENODEV);
	CHECK_STR(err.text, "change the tap nobody: No such device");
	CHECK_EQ(nsp_tun_create(-1, &tun, &err), -EBADF);
	CHECK_EQ(if_nametoindex("tap0"), 0);
	CHECK_EQ(if_nametoindex("nobody"), 0);
}

int main(void)
{
	struct world *world;

	test_needs_root();
	world = world_new();
	test_life(world);
	test_owner(world);
	test_what_cannot_be(world);
	world_free(world);
	return test_end();
}
