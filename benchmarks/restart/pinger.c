/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinger.c - an ICMP echo request each millisecond to each address, until its standard input is closed.
 *
 *	pinger NETNS ADDRESS...
 *
 * NETNS is the path of a namespace, the addresses are IPv4. Prints `ready` when each has answered once; at the end, when the last
 * answers have had a second to come, {"sent": N, "lost": those that were not answered or could not be sent}, of the time since then.
 * Where others have the processor for longer than a millisecond, there are fewer requests: they are not made up for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/icmp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL 1000000 /* ns */
#define PATIENCE 1000000000
#define READY_PATIENCE 60000000000

static void die(const char *what)
{
	fprintf(stderr, "pinger: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* An address, and what was sent to it and answered. Requests are answered in their order. */
struct path {
	struct sockaddr_in address;
	uint32_t sent, answered;
};

static struct path *paths;
static int count;
static uint16_t identifier; /* of the requests that count */

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int open_socket(const char *netns)
{
	struct icmp_filter only = { ~(1u << ICMP_ECHOREPLY) };
	int room = 1 << 20, fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(netns);
	close(fd);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (fd < 0 || setsockopt(fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		die("a raw socket");
	return fd;
}

/* RFC 1071, of an even number of bytes. */
static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *words = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The number of the path follows the header. */
struct echo {
	struct icmphdr head;
	uint32_t path;
};

static void ping(int fd, uint32_t path)
{
	struct echo echo = { .head = { .type = ICMP_ECHO }, .path = path };

	echo.head.un.echo.id = identifier;
	echo.head.un.echo.sequence = (uint16_t)paths[path].sent++;
	echo.head.checksum = checksum(&echo, sizeof(echo));
	/* What cannot be sent is not answered. */
	(void)!sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&paths[path].address, sizeof(paths[path].address));
}

static void read_answers(int fd)
{
	union {
		struct iphdr ip;
		uint8_t bytes[256];
	} packet;
	ssize_t got;

	while ((got = recv(fd, &packet, sizeof(packet), 0)) > 0) {
		struct echo echo;
		if ((size_t)got < packet.ip.ihl * 4 + sizeof(echo))
			continue;
		memcpy(&echo, packet.bytes + packet.ip.ihl * 4, sizeof(echo));
		if (echo.head.un.echo.id == identifier && echo.path < (uint32_t)count)
			paths[echo.path].answered++;
	}
}

static void wait_until(int fd, int64_t when)
{
	for (int64_t left = when - now(); left > 0; left = when - now()) {
		struct pollfd poll = { fd, POLLIN, 0 };
		struct timespec time = { left / 1000000000, left % 1000000000 };
		if (ppoll(&poll, 1, &time, NULL) < 0 && errno != EINTR)
			die("poll");
		read_answers(fd);
	}
}

static uint32_t lost(void)
{
	uint32_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += paths[i].sent - paths[i].answered;
	return sum;
}

/* The first requests may be lost: the neighbours are not known yet. */
static void wait_for_all(int fd)
{
	int64_t end = now() + READY_PATIENCE;

	for (int i = 0; i < count; i++)
		for (; !paths[i].answered; wait_until(fd, now() + 10 * INTERVAL)) {
			if (now() > end) {
				errno = ETIMEDOUT;
				die(inet_ntoa(paths[i].address.sin_addr));
			}
			ping(fd, (uint32_t)i);
		}
	identifier++;
	for (int i = 0; i < count; i++)
		paths[i].sent = paths[i].answered = 0;
	puts("ready");
	fflush(stdout);
}

static int is_closed(int fd)
{
	struct pollfd input = { fd, POLLIN, 0 };

	return poll(&input, 1, 0) > 0;
}

int main(int argc, char **argv)
{
	uint64_t sent = 0;

	if (argc < 3) {
		fputs("usage: pinger NETNS ADDRESS...\n", stderr);
		return 2;
	}
	int fd = open_socket(argv[1]);
	identifier = (uint16_t)getpid();
	count = argc - 2;
	paths = calloc((size_t)count, sizeof(*paths));
	if (!paths)
		die("memory");
	for (int i = 0; i < count; i++) {
		paths[i].address.sin_family = AF_INET;
		if (inet_pton(AF_INET, argv[i + 2], &paths[i].address.sin_addr) != 1) {
			errno = EINVAL;
			die(argv[i + 2]);
		}
	}
	wait_for_all(fd);
	for (int64_t due = now(); !is_closed(STDIN_FILENO); due = due + INTERVAL > now() ? due + INTERVAL : now()) {
		wait_until(fd, due);
		for (int i = 0; i < count; i++)
			ping(fd, (uint32_t)i);
		read_answers(fd);
	}
	for (int64_t end = now() + PATIENCE; lost() && now() < end;)
		wait_until(fd, now() + INTERVAL);
	for (int i = 0; i < count; i++)
		sent += paths[i].sent;
	printf("{\"sent\": %llu, \"lost\": %u}\n", (unsigned long long)sent, lost());
	return 0;
}
