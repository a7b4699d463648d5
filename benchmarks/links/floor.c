/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - the least that wiring many namespaces takes, and taking it all away: no state kept, both ends of a pair born where they
 * belong, one send to each end's namespace, and the first error ends it. It shares no code with nsplane.
 *
 *	floor make|delete PREFIX NAMESPACES PORTS
 *
 * Of so many namespaces number N (from 0) is bound on /run/netns/PREFIX-N. Its eth0, with an address, a route and a permanent
 * neighbour, has its other end in /run/netns/PREFIX-hub, where portN is a port of the bridge benchB; each bridge B has PORTS of
 * them. lab.py says what the addresses are. Prints {"seconds": S}, from the first of it to the last.
 */
#define _GNU_SOURCE
#define BATCH_BYTES 1024
#include "wiring.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/neighbour.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define RUN_DIR "/run/netns"
#define PROTOCOL 110
#define INDEX 2		  /* of eth0, given at its birth so that nobody has to ask: lo is the first link of a namespace */
#define FIRST_PORT 100000 /* the ports' indices: those of the bridges are below */
#define NETWORK(bridge) (0x0a000000 | (bridge) << 16) /* 10.B.0.0/16 */
#define GATEWAY(bridge) (NETWORK(bridge) | 0xfffe)
#define DESTINATION 0x14000000 /* 20.0.0.0/8 */

struct lab {
	const char *prefix;
	uint32_t namespaces, ports;
};

/* ---- namespaces ---- */

static void path_of(char path[PATH_MAX], const struct lab *lab, const char *name)
{
	snprintf(path, PATH_MAX, RUN_DIR "/%s-%s", lab->prefix, name);
}

static void path_of_number(char path[PATH_MAX], const struct lab *lab, uint32_t number)
{
	snprintf(path, PATH_MAX, RUN_DIR "/%s-%u", lab->prefix, number);
}

/* A namespace that the thread is in then, and a rtnetlink socket in it. Returns a descriptor of the namespace. */
static int make_namespace(const char *path, int *rtnetlink)
{
	char source[32];
	int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	if (file < 0)
		die(path);
	close(file);
	if (unshare(CLONE_NEWNET) < 0)
		die("unshare");
	*rtnetlink = open_rtnetlink();
	int netns = ioctl(*rtnetlink, SIOCGSKNS);
	if (netns < 0)
		die("SIOCGSKNS");
	snprintf(source, sizeof(source), "/proc/self/fd/%d", netns);
	if (mount(source, path, "none", MS_BIND, NULL) < 0)
		die(path);
	return netns;
}

/* ---- making ---- */

static void set_up(int fd, uint32_t index)
{
	struct batch batch = { .len = 0 };

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) = link_up(index);
	carry_out(fd, &batch);
}

static void make_bridge(int hub, uint32_t bridge)
{
	struct batch batch = { .len = 0 };
	char name[IFNAMSIZ];
	int len = snprintf(name, sizeof(name), "bench%u", bridge);

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg)) =
		link_up(INDEX + bridge);
	append(&batch, IFLA_IFNAME, name, (size_t)len + 1);
	append_u32(&batch, IFLA_GROUP, GROUP);
	struct rtattr *info = append(&batch, IFLA_LINKINFO, NULL, 0);
	append(&batch, IFLA_INFO_KIND, "bridge", 6);
	end_nest(&batch, info);
	carry_out(hub, &batch);
}

/* Both ends of the pair where they belong, one of them a port. */
static void make_pair(int hub, uint32_t number, uint32_t bridge, int netns)
{
	struct batch batch = { .len = 0 };
	char port[IFNAMSIZ];
	int len = snprintf(port, sizeof(port), "port%u", number);

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg)) =
		(struct ifinfomsg){ .ifi_index = (int)(FIRST_PORT + number) };
	append(&batch, IFLA_IFNAME, port, (size_t)len + 1);
	append_u32(&batch, IFLA_MASTER, INDEX + bridge);
	append_u32(&batch, IFLA_GROUP, GROUP);
	struct rtattr *info = append(&batch, IFLA_LINKINFO, NULL, 0);
	append(&batch, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = append(&batch, IFLA_INFO_DATA, NULL, 0), *peer = append(&batch, VETH_INFO_PEER, NULL, 0);
	*(struct ifinfomsg *)extend(&batch, sizeof(struct ifinfomsg)) = (struct ifinfomsg){ .ifi_index = INDEX };
	append(&batch, IFLA_IFNAME, "eth0", 5);
	append_u32(&batch, IFLA_NET_NS_FD, (uint32_t)netns);
	end_nest(&batch, peer);
	end_nest(&batch, data);
	end_nest(&batch, info);
	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) =
		(struct ifinfomsg){ .ifi_index = (int)(FIRST_PORT + number) };
	append_no_link_local(&batch);
	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) = link_up(FIRST_PORT + number);
	carry_out(hub, &batch);
}

/* lo and eth0 go up, and eth0 gets its address, the route and the neighbour, in one send. */
static void furnish(int fd, uint32_t bridge, uint32_t host)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, protocol = PROTOCOL;
	uint32_t address = htonl(NETWORK(bridge) | host), gateway = htonl(GATEWAY(bridge));
	struct batch batch = { .len = 0 };

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) = link_up(1);
	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) = link_up(INDEX);
	*(struct ifaddrmsg *)begin(&batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg)) =
		(struct ifaddrmsg){ .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = INDEX };
	append_u32(&batch, IFA_LOCAL, address);
	append_u32(&batch, IFA_ADDRESS, address);
	*(struct rtmsg *)begin(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg)) =
		(struct rtmsg){ .rtm_family = AF_INET,
				.rtm_dst_len = 8,
				.rtm_table = RT_TABLE_MAIN,
				.rtm_protocol = PROTOCOL,
				.rtm_type = RTN_UNICAST };
	append_u32(&batch, RTA_DST, htonl(DESTINATION));
	append_u32(&batch, RTA_OIF, INDEX);
	append_u32(&batch, RTA_GATEWAY, gateway);
	*(struct ndmsg *)begin(&batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ndmsg)) =
		(struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = INDEX, .ndm_state = NUD_PERMANENT };
	append_u32(&batch, NDA_DST, gateway);
	append(&batch, NDA_LLADDR, mac, sizeof(mac));
	append(&batch, NDA_PROTOCOL, &protocol, sizeof(protocol));
	carry_out(fd, &batch);
}

static void make_all(const struct lab *lab)
{
	char path[PATH_MAX];
	int hub, fd;

	path_of(path, lab, "hub");
	close(make_namespace(path, &hub));
	set_up(hub, 1);
	for (uint32_t number = 0; number < lab->namespaces; number++) {
		uint32_t bridge = number / lab->ports, host = number % lab->ports + 1;
		if (host == 1)
			make_bridge(hub, bridge);
		path_of_number(path, lab, number);
		int netns = make_namespace(path, &fd);
		make_pair(hub, number, bridge, netns);
		furnish(fd, bridge, host);
		close(fd);
		close(netns);
	}
}

/* ---- deleting ---- */

static void delete_links(const struct lab *lab)
{
	struct batch batch = { .len = 0 };
	char path[PATH_MAX];
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	path_of(path, lab, "hub");
	int hub = open(path, O_RDONLY | O_CLOEXEC);
	if (before < 0 || hub < 0 || setns(hub, CLONE_NEWNET) < 0)
		die(path);
	append_delete_group(&batch);
	int fd = open_rtnetlink();
	carry_out(fd, &batch);
	close(fd);
	close(hub);
	if (setns(before, CLONE_NEWNET) < 0)
		die("setns");
	close(before);
}

static void delete_name(const char *path)
{
	if (umount2(path, MNT_DETACH) < 0 || unlink(path) < 0)
		die(path);
}

static void delete_names(const struct lab *lab)
{
	char path[PATH_MAX];

	for (uint32_t number = 0; number < lab->namespaces; number++) {
		path_of_number(path, lab, number);
		delete_name(path);
	}
	path_of(path, lab, "hub");
	delete_name(path);
}

int main(int argc, char **argv)
{
	if (argc != 5 || (strcmp(argv[1], "make") && strcmp(argv[1], "delete"))) {
		fputs("usage: floor make|delete PREFIX NAMESPACES PORTS\n", stderr);
		return 2;
	}
	struct lab lab = { .prefix = argv[2],
			   .namespaces = (uint32_t)strtoul(argv[3], NULL, 10),
			   .ports = (uint32_t)strtoul(argv[4], NULL, 10) };
	double began = now();
	if (!strcmp(argv[1], "make")) {
		make_all(&lab);
	} else {
		delete_links(&lab);
		delete_names(&lab);
	}
	printf("{\"seconds\": %.6f}\n", now() - began);
	return 0;
}
