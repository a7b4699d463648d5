/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - command sockets of netlink.
 */
#include "kernel/internal.h"

/* What an answer takes of the receive buffer at worst: the sk_buff and its data as the kernel allocates them, for an error with an
 * extended-ack sentence (skb->truesize; a bare ACK takes 832). */
#define VERDICT_TRUESIZE 1280
#define WINDOW_MAX 256

#define RECEIVE_BUFFER (2 * 1024 * 1024)
#define SEND_BUFFER (512 * 1024)

/* The FORCE option goes beyond net.core.[rw]mem_max but wants CAP_NET_ADMIN of the first user namespace. */
static void set_buffer(int fd, int force, int plain, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

static int open_here(struct nsp_socket *sock, int protocol, struct nsp_error *err)
{
	static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK };
	const char *name = protocol == NETLINK_ROUTE ? "rtnetlink" : "generic netlink";
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_pid = sock->portid };
	cleanup_close int fd = -1;
	socklen_t len;
	int size = 0;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return nsp_fail(err, errno, "open a %s socket", name);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int on = 1;

		if (setsockopt(fd, SOL_NETLINK, options[i], &on, sizeof(on)) < 0)
			return nsp_fail(err, errno, "set option %d of a %s socket", options[i], name);
	}
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		address.nl_pid = 0;
		if (errno != EADDRINUSE || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
			return nsp_fail(err, errno, "bind a %s socket", name);
	}
	len = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return nsp_fail(err, errno, "read the address of a %s socket", name);
	/* The kernel tells the size that it counts with: twice what was asked for, or twice the limit. */
	len = sizeof(size);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) < 0)
		return nsp_fail(err, errno, "read the buffer size of a %s socket", name);

	sock->fd = nsp_steal_fd(&fd);
	sock->portid = address.nl_pid;
	sock->seq = 0;
	sock->window = (uint32_t)size / VERDICT_TRUESIZE;
	if (sock->window > WINDOW_MAX)
		sock->window = WINDOW_MAX;
	if (sock->window < 1)
		sock->window = 1;
	return 0;
}

static int open_route(void *arg, struct nsp_error *err)
{
	return open_here(arg, NETLINK_ROUTE, err);
}

static int open_generic(void *arg, struct nsp_error *err)
{
	return open_here(arg, NETLINK_GENERIC, err);
}

int nsp_socket_open_as(struct nsp_socket *sock, int netns_fd, uint32_t portid, struct nsp_error *err)
{
	*sock = (struct nsp_socket){ .fd = -1, .portid = portid };
	return nsp_in_netns(netns_fd, open_route, sock, err);
}

int nsp_genl_open(struct nsp_socket *sock, int netns_fd, struct nsp_error *err)
{
	*sock = (struct nsp_socket){ .fd = -1 };
	return nsp_in_netns(netns_fd, open_generic, sock, err);
}

int nsp_socket_open(struct nsp_socket *sock, int netns_fd, struct nsp_error *err)
{
	return nsp_socket_open_as(sock, netns_fd, 0, err);
}

void nsp_socket_close(struct nsp_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
}

ssize_t nsp_socket_receive(const struct nsp_socket *sock, void *buf, size_t cap)
{
	for (;;) {
		struct sockaddr_nl from = { .nl_family = AF_UNSPEC };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(sock->fd, buf, cap, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_len);

		if (len < 0) {
			if (errno != EINTR)
				return -errno;
		} else if (from.nl_pid == 0) {
			/* Zero is the kernel; any other number a process that has nothing to say here. */
			return (size_t)len > cap ? -EMSGSIZE : len;
		}
	}
}

void nsp_socket_drain(const struct nsp_socket *sock)
{
	uint32_t scrap[16];
	ssize_t len;

	do
		len = nsp_socket_receive(sock, scrap, sizeof(scrap));
	while (len >= 0 || len == -ENOBUFS || len == -EMSGSIZE);
}
