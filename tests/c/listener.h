/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - a rig and a monitor that hears its namespace; what others do to routes and neighbours of ours.
 */
#ifndef TEST_LISTENER_H
#define TEST_LISTENER_H

#include "rig.h"

#include <fcntl.h>
#include <linux/route.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>

/* A rig and what hears it. */
struct listener {
	struct rig *rig;
	struct nsp_monitor mon;
};
static inline struct listener listener_new(void)
{
	struct listener listener = { .rig = rig_new_ready() };
	struct nsp_error err = { 0 };

	NEED(nsp_monitor_open(&listener.mon, &err));
	NEED(nsp_core_listen(listener.rig->core, &listener.mon, &err));
	int nsid = nsp_monitor_watch(&listener.mon, listener.rig->world->netns, &err);
	NEED(nsid);
	nsp_core_netns_nsid(listener.rig->core, listener.rig->netns, nsid);
	return listener;
}
static inline void listener_free(struct listener *listener)
{
	rig_free(listener->rig);
	nsp_monitor_close(&listener->mon);
}
/* Takes in what has come, until nothing more does and the writer has done what follows from it. */
static inline void listen_in(struct listener *listener)
{
	static struct nsp_event events[64];
	struct pollfd fd = { .fd = listener->mon.fd, .events = POLLIN };

	do {
		while (nsp_monitor_read(&listener->mon, events, 64, NULL) > 0)
			;
		nsp_core_repair(listener->rig->core);
		rig_quiet(listener->rig);
		rig_quiet(listener->rig);
	} while (poll(&fd, 1, 50) > 0);
}
static inline void send_all(struct listener *listener)
{
	CHECK_EQ(world_send(listener->rig->world, NULL), 0);
}
static inline struct nsp_totals totals(struct listener *listener)
{
	struct nsp_totals totals;

	nsp_core_totals(listener->rig->core, &totals);
	return totals;
}
static inline struct nsp_route our_route(struct listener *listener, const char *dst, uint8_t len, const char *gateway)
{
	struct nsp_route route = route_of(listener->rig->link, dst, len, gateway);

	route.metric = route.family == AF_INET6 ? 1024 : 0;
	return route;
}
static inline void delete_route(struct listener *listener, const char *dst, uint8_t len)
{
	struct nsp_route route = our_route(listener, dst, len, NULL);

	NEED(nsp_route_delete(&listener->rig->world->batch, &route));
}
static inline void replace_route(struct listener *listener, const char *dst, uint8_t len, const char *gateway, uint8_t proto)
{
	struct nsp_route route = our_route(listener, dst, len, gateway);

	route.proto = proto;
	NEED(nsp_route_put(&listener->rig->world->batch, &route, NSP_PUT_REPLACE));
}
static inline struct nsp_neigh neigh_of(struct listener *listener, const char *ip, uint8_t last, uint8_t proto)
{
	struct nsp_neigh neigh = { .index = listener->rig->link, .proto = proto, .mac_len = 6, .mac = { 2, 0, 0, 0, 0, last } };

	neigh.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	inet_pton(neigh.family, ip, neigh.dst);
	return neigh;
}
static inline void delete_neigh(struct listener *listener, const char *ip)
{
	struct nsp_neigh neigh = neigh_of(listener, ip, 0, 0);

	NEED(nsp_neigh_delete(&listener->rig->world->batch, &neigh));
}
static inline void replace_neigh(struct listener *listener, const char *ip, uint8_t last, uint8_t proto, uint16_t state)
{
	struct nsp_neigh neigh = neigh_of(listener, ip, last, proto);

	neigh.state = state;
	NEED(nsp_neigh_put(&listener->rig->world->batch, &neigh, NSP_PUT_REPLACE));
}
/* Does in the rig's namespace what has no netlink message behind it. */
static inline int by_ioctl(struct listener *listener, unsigned long request, void *arg)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), rc;

	NEED(nsp_netns_enter(listener->rig->world->netns, NULL));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = ioctl(fd, request, arg);
	close(fd);
	NEED(nsp_netns_enter(own, NULL));
	close(own);
	return rc;
}
static inline struct arpreq arp_of(const char *ip, uint8_t last)
{
	struct arpreq arp = { .arp_flags = ATF_PERM | ATF_COM, .arp_dev = "v0" };
	struct sockaddr_in *address = (struct sockaddr_in *)(void *)&arp.arp_pa;

	address->sin_family = AF_INET;
	inet_pton(AF_INET, ip, &address->sin_addr);
	arp.arp_ha.sa_family = ARPHRD_ETHER;
	arp.arp_ha.sa_data[0] = 2;
	arp.arp_ha.sa_data[5] = (char)last;
	return arp;
}

#define ALL                                                                                                                        \
	"[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.1.0.0/16, gateway: 192.0.2.9},"  \
	" {kind: route, interface: web0, dst: fd00::/16}, {kind: route, interface: web0, dst: fd01::/16, gateway: 2001:db8::9},"   \
	" {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09},"                                                    \
	" {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]"

static inline struct listener listener_with_all(void)
{
	struct listener listener = listener_new();

	rig_put(listener.rig, ALL);
	CHECK_EQ(listener.rig->counts[NSP_STATE_CONFIGURED], 6);
	listen_in(&listener);
	nsp_core_watch(listener.rig->core, 1);
	return listener;
}
static inline void check_all(struct rig *rig)
{
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(in_kernel(rig, "10.1.0.0/16"), "via 192.0.2.9");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "direct");
	CHECK_HAS(in_kernel(rig, "fd01::/16"), "via 2001:db8::9");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "state 0x80");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");
	CHECK_EQ(ours_in_kernel(rig), 4);
}

#endif
