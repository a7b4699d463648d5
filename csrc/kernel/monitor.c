/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c - what happens to the links and addresses (or, for a core, whatever else) of many namespaces, on one socket.
 *
 * A netlink socket with NETLINK_LISTEN_ALL_NSID hears every namespace to which its own one has given a number (nsid), and gets that
 * number with each datagram. Numbers are visible and never taken back while both namespaces live, so they are given in a private
 * namespace that only the monitor's sockets hold. For each message of a group that it has joined the kernel looks through all of them
 * (peernet2id), wherever the message comes from.
 */
#include "kernel/internal.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

/* Taken only as far as it is filled: ten thousand links may go with one message. */
#define RECEIVE_BUFFER (64 * 1024 * 1024)

/* A link's notification is about 1.5 KiB; one that does not fit counts as lost. */
#define DATAGRAM_MAX 8192
#define DATAGRAMS 8

/* How many events back the former one about a link is looked for. */
#define LOOK_BACK 32

#define MTU_IPV6_MIN 1280

/* ---- opening and watching ---- */

static const int link_groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };
#define LINK_GROUPS (sizeof(link_groups) / sizeof(*link_groups))

static int join_groups(int fd, const int *groups, unsigned count, struct nsp_error *err)
{
	for (unsigned i = 0; i < count; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			return nsp_fail(err, errno, "join multicast group %d", groups[i]);
	return 0;
}

/* A socket that hears all namespaces with a number in this one. */
static int open_here(uint32_t portid, const struct sock_fprog *filter, const int *groups, unsigned count, struct nsp_error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_pid = portid };
	int size = RECEIVE_BUFFER, on = 1;
	cleanup_close int fd = -1;
	int ret;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return nsp_fail(err, errno, "open the monitor's socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return nsp_fail(err, errno, "make the monitor hear other namespaces");
	/* Before the groups are joined: nothing comes unfiltered. */
	if (filter && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) < 0)
		return nsp_fail(err, errno, "filter what the monitor hears");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return nsp_fail(err, errno, "bind the monitor's socket");
	ret = join_groups(fd, groups, count, err);
	return ret < 0 ? ret : nsp_steal_fd(&fd);
}

static int open_inside(void *arg, struct nsp_error *err)
{
	struct nsp_monitor *mon = arg;
	cleanup_close int fd = open_here(0, NULL, link_groups, LINK_GROUPS, err);

	if (fd < 0)
		return fd;
	int ret = nsp_socket_open(&mon->ids, NSP_NETNS_CURRENT, err);
	if (ret < 0)
		return ret;
	mon->fd = nsp_steal_fd(&fd);
	return 0;
}

int nsp_monitor_open(struct nsp_monitor *mon, struct nsp_error *err)
{
	*mon = (struct nsp_monitor){ .fd = -1, .ids = { .fd = -1 } };
	return nsp_in_new_netns(open_inside, mon, err);
}

struct listening {
	uint32_t portid;
	const struct sock_fprog *filter;
	const int *groups;
	unsigned count;
};

static int listen_inside(void *arg, struct nsp_error *err)
{
	const struct listening *listening = arg;

	return open_here(listening->portid, listening->filter, listening->groups, listening->count, err);
}

/* Its socket becomes another, under the same descriptor. That has the port id of the command sockets, and so the kernel can be asked not to
 * tell it what they do (NLM_F_ECHO). */
int nsp_monitor_listen(struct nsp_monitor *mon, const int *groups, unsigned count, const struct sock_fprog *filter, uint32_t portid,
		       nsp_heard_fn heard, void *arg, struct nsp_error *err)
{
	struct listening listening = { portid, filter, groups, count };
	cleanup_close int netns = ioctl(mon->ids.fd, SIOCGSKNS), fd = -1;

	if (netns < 0)
		return nsp_fail(err, errno, "open the monitor's namespace");
	fd = nsp_in_netns(netns, listen_inside, &listening, err);
	if (fd < 0)
		return fd;
	if (dup3(fd, mon->fd, O_CLOEXEC) < 0)
		return nsp_fail(err, errno, "take the place of the monitor's socket");
	mon->portid = portid;
	mon->heard = heard;
	mon->heard_arg = arg;
	return 0;
}

void nsp_monitor_close(struct nsp_monitor *mon)
{
	if (mon->fd >= 0)
		close(mon->fd);
	mon->fd = -1;
	nsp_socket_close(&mon->ids);
}

/* rtgenmsg is one byte; its attributes begin at the next multiple of four. */
static void nsid_put(struct nsp_batch *batch, uint16_t type, int netns_fd)
{
	struct nsp_msg msg;

	if (!nsp_msg_begin(&msg, batch, type, 0, sizeof(struct rtgenmsg)))
		return;
	nsp_attr_put_s32(&msg, NETNSA_FD, netns_fd);
	if (type == RTM_NEWNSID)
		nsp_attr_put_s32(&msg, NETNSA_NSID, NETNSA_NSID_NOT_ASSIGNED); /* any that is free */
	nsp_msg_end(&msg, batch);
}

struct watch {
	int errors[2]; /* of RTM_NEWNSID and RTM_GETNSID */
	int32_t nsid;
};

static void watch_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct watch *watch = arg;

	(void)text;
	watch->errors[index] = error;
}

static void watch_reply(void *arg, uint32_t index, const void *msg)
{
	struct watch *watch = arg;
	const struct nlmsghdr *head = msg;
	const struct nlattr *attr;

	(void)index;
	if (head->nlmsg_type != RTM_NEWNSID)
		return;
	NSP_ATTR_EACH(attr, head, sizeof(struct rtgenmsg)) {
		if (nsp_attr_type(attr) == NETNSA_NSID)
			nsp_attr_get(attr, &watch->nsid, sizeof(watch->nsid));
	}
}

int nsp_monitor_watch(struct nsp_monitor *mon, int netns_fd, struct nsp_error *err)
{
	struct watch watch = { .nsid = NETNSA_NSID_NOT_ASSIGNED };
	struct nsp_batch batch;
	uint32_t buf[32];
	int ret;

	nsp_batch_init(&batch, buf, sizeof(buf));
	nsid_put(&batch, RTM_NEWNSID, netns_fd);
	nsid_put(&batch, RTM_GETNSID, netns_fd);
	ret = nsp_batch_send(&mon->ids, &batch, watch_failed, watch_reply, &watch, err);
	if (ret < 0)
		return ret;
	/* EEXIST: it is watched already, under the number that comes now. */
	if (watch.errors[0] && watch.errors[0] != EEXIST)
		return nsp_fail(err, watch.errors[0], "watch a network namespace");
	if (watch.errors[1])
		return nsp_fail(err, watch.errors[1], "watch a network namespace");
	if (watch.nsid < 0)
		return nsp_refuse(err, EPROTO, "watch a network namespace: the kernel gave it no number");
	return watch.nsid;
}

/* ---- reading ---- */

struct reading {
	struct nsp_event *events;
	int count;
	int cap;
	struct nsp_room *room;
	bool lost;
};

static bool is_about(const struct nsp_event *event, int32_t nsid, int32_t index)
{
	int32_t of = event->type == NSP_EVENT_ADDR || event->type == NSP_EVENT_ADDR_GONE ? event->addr.index : event->link.index;

	return event->nsid == nsid && of == index;
}

static bool has_same_names(const struct nsp_link *a, const struct nsp_link *b)
{
	return !strcmp(a->name, b->name) && a->altnames.len == b->altnames.len &&
	       (!a->altnames.len || !memcmp(a->altnames.data, b->altnames.data, a->altnames.len));
}

static bool has_same_mac(const struct nsp_link *a, const struct nsp_link *b)
{
	return a->mac_len == b->mac_len && !memcmp(a->mac, b->mac, a->mac_len);
}

/* The event that a new one about this link may be merged into, or NULL. One that gives the link another name is merged with its
 * direct predecessor only: else the order would be lost in which links hand a name from one to the other. One that gives it another
 * master is not merged over VLANs, which are those that it had with the one before. */
static struct nsp_event *predecessor(const struct reading *reading, int32_t nsid, const struct nsp_link *link)
{
	bool is_over_vlans = false;
	int oldest = reading->count > LOOK_BACK ? reading->count - LOOK_BACK : 0;

	for (int i = reading->count - 1; i >= oldest; i--) {
		struct nsp_event *event = &reading->events[i];

		if (!is_about(event, nsid, link->index))
			continue;
		if (event->type == NSP_EVENT_VLANS) {
			is_over_vlans = true;
			continue;
		}
		if (event->type != NSP_EVENT_LINK || (is_over_vlans && link->master && event->link.master != link->master))
			return NULL;
		if (i != reading->count - 1 && !has_same_names(&event->link, link))
			return NULL;
		return event;
	}
	return NULL;
}

static struct nsp_event *append(struct reading *reading, uint32_t type, int32_t nsid)
{
	struct nsp_event *event;

	/* Datagrams carry one message each, and as many are read as there is room for; this is for a kernel that thinks otherwise. */
	if (reading->count == reading->cap) {
		reading->lost = true;
		return NULL;
	}
	event = &reading->events[reading->count++];
	memset(event, 0, sizeof(*event));
	event->type = type;
	event->nsid = nsid;
	return event;
}

/* Only what a bridge says of itself or a port is an event: with RTM_DELLINK the port leaves the bridge, which the link tells too. */
static void vlans_take(struct reading *reading, const struct nlmsghdr *head, int32_t nsid)
{
	int oldest = reading->count > LOOK_BACK ? reading->count - LOOK_BACK : 0;
	struct nsp_event *event = NULL;
	struct nsp_link link;

	if (head->nlmsg_type != RTM_NEWLINK || nsp_link_read(head, &link) < 0 || !(link.fields & NSP_LINK_VLANS))
		return;
	nsp_link_keep(&link, reading->room);
	for (int i = reading->count - 1; i >= oldest && !event; i--)
		if (is_about(&reading->events[i], nsid, link.index))
			event = &reading->events[i];
	if (!event || event->type != NSP_EVENT_VLANS)
		event = append(reading, NSP_EVENT_VLANS, nsid);
	if (event)
		event->link = link;
}

static void link_take(struct reading *reading, const struct nlmsghdr *head, int32_t nsid)
{
	const struct ifinfomsg *ifi = nsp_msg_body(head, sizeof(*ifi));
	struct nsp_event *event;
	struct nsp_link link;
	uint32_t saw = 0;

	if (ifi && ifi->ifi_family == AF_BRIDGE)
		vlans_take(reading, head, nsid);
	if (!ifi || ifi->ifi_family != AF_UNSPEC || nsp_link_read(head, &link) < 0)
		return;
	nsp_link_keep(&link, reading->room);
	if (head->nlmsg_type == RTM_DELLINK) {
		event = append(reading, NSP_EVENT_LINK_GONE, nsid);
		if (event)
			event->link = link;
		return;
	}

	if (!link.up)
		saw |= NSP_SAW_DOWN;
	else if (!(ifi->ifi_flags & (IFF_RUNNING | IFF_LOWER_UP)))
		saw |= NSP_SAW_NO_CARRIER;
	if (link.fields & NSP_LINK_MTU && link.mtu < MTU_IPV6_MIN)
		saw |= NSP_SAW_LOW_MTU;
	event = predecessor(reading, nsid, &link);
	if (event) {
		if (event->link.fields & link.fields & NSP_LINK_MAC && !has_same_mac(&event->link, &link))
			saw |= NSP_SAW_MAC;
	} else {
		event = append(reading, NSP_EVENT_LINK, nsid);
		if (!event)
			return;
	}
	event->link = link;
	event->saw |= saw;
}

static void addr_take(struct reading *reading, const struct nlmsghdr *head, int32_t nsid)
{
	struct nsp_event *event;
	struct nsp_addr addr;

	if (nsp_addr_read(head, &addr) < 0)
		return;
	event = append(reading, head->nlmsg_type == RTM_NEWADDR ? NSP_EVENT_ADDR : NSP_EVENT_ADDR_GONE, nsid);
	if (event)
		event->addr = addr;
}

static void datagram_take(const struct nsp_monitor *mon, struct reading *reading, const void *buf, size_t len, int32_t nsid)
{
	const struct nlmsghdr *head;

	NSP_MSG_EACH(head, buf, len) {
		switch (head->nlmsg_type) {
		case RTM_NEWLINK:
		case RTM_DELLINK:
			link_take(reading, head, nsid);
			break;
		case RTM_NEWADDR:
		case RTM_DELADDR:
			addr_take(reading, head, nsid);
			break;
		default:
			if (mon->heard && head->nlmsg_pid != mon->portid)
				mon->heard(mon->heard_arg, nsid, head);
		}
	}
}

union control {
	struct cmsghdr align;
	uint8_t buf[CMSG_SPACE(sizeof(int))];
};

/* -1: the datagram is of the monitor's own namespace. */
static int32_t nsid_of(struct msghdr *msg)
{
	int32_t nsid = NETNSA_NSID_NOT_ASSIGNED;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg))
		if (cmsg->cmsg_level == SOL_NETLINK && cmsg->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    cmsg->cmsg_len >= CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(cmsg), sizeof(nsid));
	return nsid;
}

/* After an overflow the kernel drops, without a further word, whatever comes before the queue has been empty. What is left in the
 * queue has to go before the tables are read, or what happens in between is lost for good. */
static void queue_empty(int fd)
{
	uint8_t scrap[1];

	while (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}

static int datagrams_receive(const struct nsp_monitor *mon, struct reading *reading, int most)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t bufs[DATAGRAMS][DATAGRAM_MAX];
	struct sockaddr_nl from[DATAGRAMS];
	union control controls[DATAGRAMS];
	struct mmsghdr msgs[DATAGRAMS];
	struct iovec iovs[DATAGRAMS];
	int n;

	for (int i = 0; i < most; i++) {
		iovs[i] = (struct iovec){ .iov_base = bufs[i], .iov_len = DATAGRAM_MAX };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
			.msg_control = controls[i].buf,
			.msg_controllen = sizeof(controls[i].buf),
		};
	}
	do
		n = recvmmsg(mon->fd, msgs, (unsigned int)most, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	for (int i = 0; i < n; i++) {
		int32_t nsid = nsid_of(&msgs[i].msg_hdr);

		if (from[i].nl_pid != 0 || nsid < 0)
			continue;
		if (msgs[i].msg_hdr.msg_flags & MSG_TRUNC)
			reading->lost = true;
		else
			datagram_take(mon, reading, bufs[i], msgs[i].msg_len, nsid);
	}
	return n;
}

/* As many datagrams as there is room for whatever they are. */
static int most_datagrams(const struct reading *reading)
{
	uint32_t most = (uint32_t)(reading->cap - reading->count), fit;

	if (most > DATAGRAMS)
		most = DATAGRAMS;
	if (reading->room->buf) {
		fit = (reading->room->cap - reading->room->len) / DATAGRAM_MAX;
		if (most > fit)
			most = fit;
	}
	return (int)most;
}

int nsp_monitor_read(struct nsp_monitor *mon, struct nsp_event *events, int cap, struct nsp_error *err)
{
	struct reading reading = { .events = events, .cap = cap, .room = &mon->room };
	int n, most;

	mon->room.len = 0;
	if (cap < 1 || (mon->room.buf && mon->room.cap < NSP_ROOM_MIN))
		return nsp_refuse(err, EINVAL, "read the monitor: there is no room for an event");
	most = most_datagrams(&reading);
	do {
		n = datagrams_receive(mon, &reading, most);
		if (n < most)
			break;
		most = most_datagrams(&reading);
	} while (most > 0);

	if (reading.lost || n == -ENOBUFS) {
		queue_empty(mon->fd);
		return nsp_refuse(err, ENOBUFS, "the monitor's receive buffer overflowed: events are lost");
	}
	if (n < 0 && n != -EAGAIN && reading.count == 0)
		return nsp_fail(err, -n, "read the monitor");
	return reading.count;
}
