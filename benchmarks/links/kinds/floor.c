/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - the least that making many links of one kind takes, and deleting them: no state kept, many messages a send, and the first
 * error ends it. It shares no code with nsplane.
 *
 *	floor make|delete NAMESPACE KIND NUMBER
 *
 * In the namespace on that path number N (from 0) is the link KINDN, up: on the link `lower`, if that is what its kind stands on; of a bridge
 * with portN in it. lab.py says what they are besides. Prints {"seconds": S}, from the first of it to the last.
 */
#define _GNU_SOURCE
#define BATCH_BYTES 32768
#include "../wiring.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>

#define MESSAGE_BYTES 256
#define FIRST 1000 /* the links' indices, given at their birth so that nobody has to ask */
#define FIRST_PORT 100000
#define VXLAN_PORT 4789

static struct batch batch;

/* Sends what there is, where there is no room for so many more. */
static void make_room(int fd, uint32_t messages)
{
	if (sizeof(batch.bytes) - batch.len >= messages * MESSAGE_BYTES)
		return;
	carry_out(fd, &batch);
	batch.len = 0;
}

static struct rtattr *begin_link(const char *kind, uint32_t number, struct ifinfomsg ifi, uint32_t beside, uint16_t type)
{
	char name[IFNAMSIZ];
	int len = snprintf(name, sizeof(name), "%s%u", kind, number);

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(ifi)) = ifi;
	append(&batch, IFLA_IFNAME, name, (size_t)len + 1);
	append_u32(&batch, IFLA_GROUP, GROUP);
	if (type)
		append_u32(&batch, type, beside);
	return append(&batch, IFLA_LINKINFO, NULL, 0);
}

static struct rtattr *begin_data(const char *kind)
{
	append(&batch, IFLA_INFO_KIND, kind, strlen(kind));
	return append(&batch, IFLA_INFO_DATA, NULL, 0);
}

static void append_data(const char *kind, uint32_t number)
{
	if (!strcmp(kind, "vlan")) {
		append(&batch, IFLA_VLAN_ID, &(uint16_t){ (uint16_t)(number + 1) }, 2);
	} else if (!strcmp(kind, "macvlan")) {
		append_u32(&batch, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	} else if (!strcmp(kind, "vxlan")) {
		append_u32(&batch, IFLA_VXLAN_ID, number + 1);
		append(&batch, IFLA_VXLAN_PORT, &(uint16_t){ htons(VXLAN_PORT) }, 2);
	}
}

/* Without a link-local address, as the ports of all sides are. */
static void make_port(uint32_t number)
{
	struct ifinfomsg ifi = { .ifi_index = (int)(FIRST_PORT + number) };
	struct rtattr *info = begin_link("port", number, ifi, FIRST + number, IFLA_MASTER);

	append(&batch, IFLA_INFO_KIND, "ifb", 3);
	end_nest(&batch, info);
	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(ifi)) = ifi;
	append_no_link_local(&batch);
	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(ifi)) = link_up(FIRST_PORT + number);
}

static void make_all(int fd, const char *kind, uint32_t number)
{
	bool is_bridge = !strcmp(kind, "bridge"), is_on_lower = !strcmp(kind, "vlan") || !strcmp(kind, "macvlan");
	uint32_t lower = if_nametoindex("lower");

	if (!lower)
		die("lower");
	for (uint32_t i = 0; i < number; i++) {
		make_room(fd, 4);
		struct rtattr *info = begin_link(kind, i, link_up(FIRST + i), lower, is_on_lower ? IFLA_LINK : 0);
		struct rtattr *data = begin_data(kind);
		append_data(kind, i);
		end_nest(&batch, data);
		end_nest(&batch, info);
		if (is_bridge)
			make_port(i);
	}
	carry_out(fd, &batch);
}

static void delete_all(int fd)
{
	append_delete_group(&batch);
	carry_out(fd, &batch);
}

int main(int argc, char **argv)
{
	if (argc != 5 || (strcmp(argv[1], "make") && strcmp(argv[1], "delete"))) {
		fputs("usage: floor make|delete NAMESPACE KIND NUMBER\n", stderr);
		return 2;
	}
	int netns = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		die(argv[2]);
	int fd = open_rtnetlink();
	double began = now();
	if (!strcmp(argv[1], "make"))
		make_all(fd, argv[3], (uint32_t)strtoul(argv[4], NULL, 10));
	else
		delete_all(fd);
	printf("{\"seconds\": %.6f}\n", now() - began);
	return 0;
}
