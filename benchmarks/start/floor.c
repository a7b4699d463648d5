/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor_start.c - the least that wiring a container at its start takes: the engine's event, one inspect, one message that makes both
 * ends of a veth pair where they belong, and one send with all the others. It knows beforehand what it is to make, remembers nothing,
 * and ends on the first error. It shares no code with nsplane.
 *
 *	floor_start SOCKET LABEL NETNS BRIDGE
 *
 * SOCKET is the engine's, LABEL (NAME=VALUE) the label of the containers that are meant, NETNS the path of the namespace in which
 * BRIDGE is. Container number N (from 0, in the order of their starts) gets eth1, whose other end is the bridge's port portN, the
 * address 10.50.0.1 + N (/16) on it, the permanent neighbour 10.50.255.254, and ten routes 10.60.R.0/24 by way of that. Prints `ready`
 * when it hears events, and then for each container ID, the event's time stamp, and the time at which the last ACK was there, both in
 * nanoseconds since the epoch.
 */
#define _GNU_SOURCE
#define BATCH_BYTES 4096
#include "../rtnetlink.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <sched.h>
#include <sys/un.h>
#include <time.h>

#define PROTOCOL 110
#define ROUTES 10
#define INDEX 1000 /* of eth1, given at its birth so that nobody has to ask; the kernel takes it where the other end has one too */
#define GATEWAY 0x0a32fffe
#define TEXT_ROOM 65536

static void bad(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	exit(1);
}

/* ---- HTTP/1.1 ---- */

struct stream {
	int fd;
	size_t at, have;
	char buf[TEXT_ROOM];
};

static void open_stream(struct stream *stream, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		bad("the socket's path is too long");
	strcpy(address.sun_path, path);
	stream->at = stream->have = 0;
	stream->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stream->fd < 0 || connect(stream->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(path);
}

static void ask(struct stream *stream, const char *path)
{
	char request[2048];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: docker\r\n\r\n", path);

	if (len >= (int)sizeof(request))
		bad("the request is too long");
	if (send(stream->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		die("send to the engine");
}

static char next(struct stream *stream)
{
	if (stream->at == stream->have) {
		ssize_t got = recv(stream->fd, stream->buf, sizeof(stream->buf), 0);
		if (got < 0)
			die("recv from the engine");
		if (got == 0)
			bad("the engine has closed the connection");
		stream->at = 0;
		stream->have = (size_t)got;
	}
	return stream->buf[stream->at++];
}

static void read_line(struct stream *stream, char *line, size_t room)
{
	size_t len = 0;

	for (char c; (c = next(stream)) != '\n';) {
		if (len + 1 == room)
			bad("the engine's line is too long");
		line[len++] = c;
	}
	line[len && line[len - 1] == '\r' ? len - 1 : len] = 0;
}

/* Reads an answer's head. Returns its body's length, -1 where that comes in chunks. */
static long read_head(struct stream *stream)
{
	static const char length_field[] = "content-length:", chunked[] = "transfer-encoding: chunked";
	char line[4096];
	long length = 0;

	read_line(stream, line, sizeof(line));
	if (strncmp(line, "HTTP/1.1 200 ", 13))
		bad(line);
	for (;;) {
		read_line(stream, line, sizeof(line));
		if (!line[0])
			return length;
		if (!strncasecmp(line, length_field, sizeof(length_field) - 1))
			length = strtol(line + sizeof(length_field) - 1, NULL, 10);
		if (!strcasecmp(line, chunked))
			length = -1;
	}
}

static size_t read_bytes(struct stream *stream, char *text, size_t at, size_t count)
{
	if (count >= TEXT_ROOM - at)
		bad("the engine's answer is too long");
	while (count--)
		text[at++] = next(stream);
	text[at] = 0;
	return at;
}

/* Appends a chunk to text. Returns where it ends: `at` after the last. */
static size_t read_chunk(struct stream *stream, char *text, size_t at)
{
	char line[64];

	read_line(stream, line, sizeof(line));
	at = read_bytes(stream, text, at, strtoul(line, NULL, 16));
	read_line(stream, line, sizeof(line));
	return at;
}

static void read_answer(struct stream *stream, char *text)
{
	long length = read_head(stream);
	size_t at = 0, before;

	text[0] = 0;
	if (length >= 0) {
		read_bytes(stream, text, 0, (size_t)length);
		return;
	}
	do {
		before = at;
		at = read_chunk(stream, text, at);
	} while (at != before);
}

/* What follows `name` in JSON that is known to have it once. */
static const char *find(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	if (!found)
		bad(name);
	return found + strlen(name);
}

static void follow(struct stream *stream, const char *label)
{
	char filters[512], path[2048] = "/events?filters=";
	int len = snprintf(filters, sizeof(filters), "{\"type\":[\"container\"],\"event\":[\"start\"],\"label\":[\"%s\"]}", label);
	char *at = path + strlen(path);

	if (len >= (int)sizeof(filters))
		bad("the label is too long");
	for (const char *c = filters; *c; c++)
		at += sprintf(at, isalnum((unsigned char)*c) ? "%c" : "%%%02X", (unsigned char)*c);
	ask(stream, path);
	if (read_head(stream) != -1)
		bad("the events do not come in chunks");
}

/* ---- rtnetlink ---- */

static int enter(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns");
	return open_rtnetlink();
}

/* Both ends of the pair where they belong, one of them up and a port; the kernel does not let the other be born up. */
static void make_pair(int fd, uint32_t number, uint32_t bridge, int container)
{
	struct batch batch = { .len = 0 };
	char port[IFNAMSIZ];
	int len = snprintf(port, sizeof(port), "port%u", number);

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg)) =
		link_up(INDEX + (int)number);
	append(&batch, IFLA_IFNAME, port, (size_t)len + 1);
	append_u32(&batch, IFLA_MASTER, bridge);
	struct rtattr *info = append(&batch, IFLA_LINKINFO, NULL, 0);
	append(&batch, IFLA_INFO_KIND, "veth", 5);
	struct rtattr *data = append(&batch, IFLA_INFO_DATA, NULL, 0), *peer = append(&batch, VETH_INFO_PEER, NULL, 0);
	*(struct ifinfomsg *)extend(&batch, sizeof(struct ifinfomsg)) = (struct ifinfomsg){ .ifi_index = INDEX };
	append(&batch, IFLA_IFNAME, "eth1", 5);
	append_u32(&batch, IFLA_NET_NS_FD, (uint32_t)container);
	end_nest(&batch, peer);
	end_nest(&batch, data);
	end_nest(&batch, info);
	carry_out(fd, &batch);
}

/* The link goes up and gets the address, the routes and the neighbour, in one send. */
static void furnish(int fd, uint32_t number)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, protocol = PROTOCOL;
	uint32_t address = htonl((0x0a320000 | number) + 1), gateway = htonl(GATEWAY);
	struct batch batch = { .len = 0 };

	*(struct ifinfomsg *)begin(&batch, RTM_NEWLINK, 0, sizeof(struct ifinfomsg)) = link_up(INDEX);
	*(struct ifaddrmsg *)begin(&batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg)) =
		(struct ifaddrmsg){ .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = INDEX };
	append_u32(&batch, IFA_LOCAL, address);
	append_u32(&batch, IFA_ADDRESS, address);
	for (uint32_t route = 0; route < ROUTES; route++) {
		*(struct rtmsg *)begin(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg)) =
			(struct rtmsg){ .rtm_family = AF_INET,
					.rtm_dst_len = 24,
					.rtm_table = RT_TABLE_MAIN,
					.rtm_protocol = PROTOCOL,
					.rtm_type = RTN_UNICAST };
		append_u32(&batch, RTA_DST, htonl(0x0a3c0000 | route << 8));
		append_u32(&batch, RTA_OIF, INDEX);
		append_u32(&batch, RTA_GATEWAY, gateway);
	}
	*(struct ndmsg *)begin(&batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ndmsg)) =
		(struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = INDEX, .ndm_state = NUD_PERMANENT };
	append_u32(&batch, NDA_DST, gateway);
	append(&batch, NDA_LLADDR, mac, sizeof(mac));
	append(&batch, NDA_PROTOCOL, &protocol, sizeof(protocol));
	carry_out(fd, &batch);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Returns when the last ACK was there. */
static long long wire(int bench, uint32_t bridge, uint32_t number, long pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	int netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		die(path);
	make_pair(bench, number, bridge, netns);
	int fd = enter(netns);
	furnish(fd, number);
	long long end = now();
	close(fd);
	close(netns);
	return end;
}

/* An event, one line of JSON. */
static void handle(struct stream *inspects, const char *event, int bench, uint32_t bridge, uint32_t number)
{
	static char text[TEXT_ROOM];
	const char *id = find(event, "\"ID\":\"");
	char path[256];
	int len = (int)strcspn(id, "\"");

	snprintf(path, sizeof(path), "/containers/%.*s/json", len, id);
	ask(inspects, path);
	read_answer(inspects, text);
	long long end = wire(bench, bridge, number, strtol(find(text, "\"Pid\":"), NULL, 10));
	printf("%.*s %lld %lld\n", len, id, strtoll(find(event, "\"timeNano\":"), NULL, 10), end);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct stream events, inspects;
	static char text[TEXT_ROOM];
	uint32_t number = 0;

	if (argc != 5) {
		fputs("usage: floor_start SOCKET LABEL NETNS BRIDGE\n", stderr);
		return 2;
	}
	int netns = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		die(argv[3]);
	int bench = enter(netns);
	uint32_t bridge = if_nametoindex(argv[4]);
	if (!bridge)
		die(argv[4]);
	open_stream(&inspects, argv[1]);
	ask(&inspects, "/_ping"); /* The connection is there: what follows is not about it. */
	read_answer(&inspects, text);
	open_stream(&events, argv[1]);
	follow(&events, argv[2]);
	puts("ready");
	fflush(stdout);
	for (size_t have = 0;;) {
		have = read_chunk(&events, text, have);
		char *at = text;
		for (char *end; (end = strchr(at, '\n')); at = end + 1) {
			*end = 0;
			handle(&inspects, at, bench, bridge, number++);
		}
		have -= (size_t)(at - text);
		memmove(text, at, have + 1);
	}
}
