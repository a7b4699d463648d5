/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever bytes the kernel answers with, nothing is read outside of them. What is received comes from the input: the linker has the
 * library call what stands here in place of recvfrom(2) and its like.
 *
 *   | what is read, 1 byte | how it is, 1 byte | length, 2 bytes | a datagram: nlmsghdr, payload, nlmsghdr ... | length | a datagram ...
 */
#include "fuzz.h"

#include <linux/rtnetlink.h>

#include "core/array.h"
#include "core/replaced.h"
#include "kinds/filter.h"
#include "kinds/kind.h"
#include "kinds/route.h"
#include "nsplane/core.h"

/* ---- the kernel's side: each datagram of the input once; behind the last one nothing comes ---- */

#define LOST 0xffff	/* a length that stands for a loss: the buffer overflowed */
#define TOO_LONG 0xfffe /* for a datagram that is larger than what it is received into */
#define STRANGER 0xfffd /* for one that another process has sent */

static struct bytes input;

struct datagram {
	struct bytes bytes;
	size_t mark;
};

static bool next_datagram(struct datagram *datagram)
{
	if (input.at == input.end)
		return false;
	datagram->mark = bytes_left(&input) >= 2 ? (size_t)(input.at[0] | input.at[1] << 8) : 0;
	if (datagram->mark >= STRANGER) {
		input.at += 2;
		datagram->bytes = (struct bytes){ input.at, input.at };
	} else {
		datagram->bytes = take_part(&input);
	}
	return true;
}

static ssize_t receive(void *buf, size_t cap, struct sockaddr_nl *from, bool *truncated)
{
	struct datagram datagram;

	*truncated = false;
	*from = (struct sockaddr_nl){ .nl_family = AF_NETLINK };
	if (!next_datagram(&datagram) || datagram.mark == LOST) {
		errno = datagram.mark == LOST && input.at != input.end ? ENOBUFS : EAGAIN;
		return -1;
	}
	size_t len = bytes_left(&datagram.bytes);
	from->nl_pid = datagram.mark == STRANGER ? 4711 : 0;
	*truncated = datagram.mark == TOO_LONG || len > cap;
	memcpy(buf, datagram.bytes.at, *truncated && len > cap ? cap : len);
	return (ssize_t)(*truncated ? cap + 1 : len);
}

ssize_t __wrap_recvfrom(int fd, void *buf, size_t cap, int flags, struct sockaddr *address, socklen_t *len);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t cap, int flags, struct sockaddr *address, socklen_t *len)
{
	struct sockaddr_nl from;
	bool truncated;
	ssize_t received = receive(buf, cap, &from, &truncated);

	(void)fd;
	(void)flags;
	if (*len > sizeof(from))
		*len = sizeof(from);
	memcpy(address, &from, *len);
	return received;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags, struct timespec *timeout)
{
	unsigned int n = 0;

	(void)fd;
	(void)flags;
	(void)timeout;
	for (; n < count; n++) {
		struct msghdr *msg = &msgs[n].msg_hdr;
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
		bool truncated;
		ssize_t len = receive(msg->msg_iov->iov_base, msg->msg_iov->iov_len, msg->msg_name, &truncated);
		int nsid = (int)n - 1;

		if (len < 0)
			break;
		msg->msg_flags = truncated ? MSG_TRUNC : 0;
		msgs[n].msg_len = (unsigned int)(truncated ? (ssize_t)msg->msg_iov->iov_len : len);
		*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(nsid)),
					  .cmsg_level = SOL_NETLINK,
					  .cmsg_type = NETLINK_LISTEN_ALL_NSID };
		memcpy(CMSG_DATA(cmsg), &nsid, sizeof(nsid));
		msg->msg_controllen = n & 4 ? 0 : CMSG_SPACE(sizeof(nsid));
	}
	return n ? (int)n : -1;
}

ssize_t __wrap_recv(int fd, void *buf, size_t cap, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t cap, int flags)
{
	struct sockaddr_nl from;
	bool truncated;

	(void)fd;
	(void)flags;
	return receive(buf, cap, &from, &truncated);
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	(void)fd;
	(void)buf;
	(void)flags;
	return (ssize_t)len;
}

/* Answers to it bear the numbers from 1 on. */
static struct nsp_socket socket_here(void)
{
	return (struct nsp_socket){ .fd = -1, .window = 4 };
}

/* ---- single messages ---- */

static void need_text(const char *text, size_t cap)
{
	need(strnlen(text, cap) < cap);
}

/* Whatever is in them, and wherever they are. */
static void read_attributes(const struct nsp_attrs *attrs)
{
	const struct nlattr *attr, *inner;
	char text[16];

	NSP_ATTR_EACH_OF(attr, attrs->data, attrs->len)
	{
		nsp_attr_get_str(attr, text, sizeof(text));
		need_text(text, sizeof(text));
		NSP_ATTR_EACH_IN(inner, attr)
			nsp_attr_get(inner, text, 4);
	}
}

static void read_link(const struct nlmsghdr *msg)
{
	struct nsp_link link;
	struct nsp_room room = { .cap = msg->nlmsg_seq & 255 };

	if (nsp_link_read(msg, &link) < 0)
		return;
	need_text(link.name, sizeof(link.name));
	need_text(link.kind, sizeof(link.kind));
	need_text(link.slave_kind, sizeof(link.slave_kind));
	need_text(link.alias, sizeof(link.alias));
	need_text(link.parent_dev, sizeof(link.parent_dev));
	need(link.mac_len <= sizeof(link.mac));
	room.buf = malloc(room.cap + 1);
	need(room.buf);
	for (int i = 0; i < 2; i++) {
		read_attributes(&link.data);
		read_attributes(&link.slave_data);
		read_attributes(&link.altnames);
		read_attributes(&link.vlans);
		nsp_link_keep(&link, &room);
	}
	free(room.buf);
}

static void read_others(const struct nlmsghdr *msg)
{
	struct nsp_addr addr;
	struct nsp_addr_details details;
	struct nsp_route route;
	struct nsp_neigh neigh;
	struct nsp_hop hops[4];
	struct nsp_nexthop nexthop;
	struct nsp_nexthop_member members[4];
	struct nsp_genl genl;
	uint32_t id;

	if (nsp_addr_read_details(msg, &addr, &details) == 0) {
		need(addr.family == AF_INET || addr.family == AF_INET6);
		need_text(details.label, sizeof(details.label));
	}
	if (nsp_route_read(msg, &route) == 0)
		need(route.dst_len <= (route.family == AF_INET ? 32 : 128));
	need(nsp_route_read_hops(msg, &route, hops, 4) <= 4);
	need(nsp_route_read_by(msg, &route, &id) < 0 || id);
	int type = nsp_route_read_type(msg, &route);
	need(type < 0 || (type >= RTN_BLACKHOLE && type <= RTN_THROW));
	need(nsp_nexthop_read(msg, &nexthop, members, 4) <= 4);
	if (nsp_neigh_read(msg, &neigh) == 0)
		need(neigh.mac_len == 0 || neigh.mac_len == sizeof(neigh.mac));
	if (nsp_genl_read(msg, &genl) == 0)
		read_attributes(&genl.attrs);
	route_nexthop(msg);
}

/* One that the kernel may have told of is put as it was, asked for and deleted: the messages are whole. */
static void need_messages(const struct nsp_batch *batch)
{
	const struct nlmsghdr *head;
	uint32_t count = 0;

	NSP_MSG_EACH(head, batch->buf, batch->len)
		count++;
	need(count == batch->count && batch->len <= batch->cap);
}

static void encode(const struct object *object, enum encode_mode mode)
{
	struct item item = object_item(object);
	const struct kind *kind = kinds[item.kind];
	uint32_t buf[KIND_MESSAGE_MAX / 4];
	struct nsp_batch batch;

	nsp_batch_init(&batch, buf, sizeof(buf));
	kind->encode(kind, &batch, &item, object->ifindex, mode);
	if (kind->ask)
		kind->ask(kind, &batch, &item, object->ifindex);
	need_messages(&batch);
}

static void read_object(const struct nlmsghdr *msg)
{
	struct object object;
	char text[200];

	filter_passes(msg, 4711);
	if (!object_read(msg, &object))
		return;
	const struct kind *kind = kinds[object.decoded.kind];
	struct item item = object_item(&object);
	need(object.decoded.hops_len <= HOPS_BYTES);
	need(!object.plain || object.nexthop || kind->is_as || object_is(&object, &item));
	if (object.gone)
		return;
	for (size_t cap = 1; cap <= sizeof(text); cap += 40) {
		char *exactly = malloc(cap);
		need(exactly);
		kind->describe(msg, "a-link", exactly, cap);
		need_text(exactly, cap);
		kind->describe_made(kind, &object, exactly, cap);
		need_text(exactly, cap);
		free(exactly);
	}
	if (kind->is_replaced)
		kind->is_replaced(msg, 0);
	if (object.plain && !object.nexthop)
		encode(&object, ENCODE_REPLACE);
	encode(&object, ENCODE_DELETE);
	encode(&object, ENCODE_DELETE_ANY);

	/* Kept, told of by the journal of a later life, and put back. */
	if (msg->nlmsg_type != kind->new_type)
		return;
	struct nlmsghdr *kept = replaced_keep(msg, msg->nlmsg_seq & 1);
	struct nlmsghdr *copy = exact(kept, kept->nlmsg_len);
	struct nsp_op *op = nsp_op_new(1);
	nsp_op_stage(op, 1, 0);
	int rc = nsp_op_restore(op, (const uint8_t *)copy, copy->nlmsg_len);
	need(rc == 0 || rc == -EINVAL || rc == -ESTALE);
	need_messages(nsp_op_room(op));
	nsp_op_free(op);
	free(copy);
	free(kept);
}

static void read_message(const void *msg)
{
	const struct nlmsghdr *head = exact(msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
	struct nsp_batch batch;
	uint32_t buf[64];

	read_link(head);
	read_others(head);
	read_object(head);
	nsp_batch_init(&batch, buf, sizeof(buf));
	nsp_batch_copy(&batch, head, RTM_NEWROUTE, NLM_F_CREATE);
	nsp_batch_copy(&batch, head, head->nlmsg_type, 0);
	need_messages(&batch);
	free((void *)(uintptr_t)head);
}

static void read_each(const void *datagram, size_t len)
{
	const struct nlmsghdr *head;

	NSP_MSG_EACH(head, datagram, len)
		read_message(head);
}

/* ---- datagrams ---- */

#define FIRST 10
#define COUNT 4

static void failed(void *arg, uint32_t index, int error, const char *text)
{
	(void)arg;
	need(error > 0 && index >= FIRST && index < FIRST + COUNT && strlen(text) < NSP_DATAGRAM_MAX);
}

static void reply(void *arg, uint32_t index, const void *msg)
{
	(void)arg;
	need(index >= FIRST && index < FIRST + COUNT);
	read_message(msg);
}

/* Of a chunk of a batch of which the numbers may wrap around. */
static void read_verdicts(uint8_t how)
{
	struct nsp_verdicts verdicts = { .failed = failed, .reply = reply, .first = FIRST, .count = COUNT };
	struct datagram datagram;

	verdicts.seq = how & 1 ? UINT32_MAX - 1 : 1;
	while (next_datagram(&datagram)) {
		size_t len = bytes_left(&datagram.bytes);
		void *buf = exact(datagram.bytes.at, len);

		nsp_verdicts_parse(&verdicts, buf, len);
		read_each(buf, len);
		free(buf);
	}
}

static void seen(void *arg, uint32_t index, const void *msg)
{
	(void)arg;
	(void)index;
	if (msg)
		read_message(msg);
}

static void need_error(long rc, const struct nsp_error *err)
{
	need(rc >= 0 || (err->code == -rc && err->text[0]));
	need_text(err->text, sizeof(err->text));
}

static void dump(uint8_t how)
{
	struct nsp_socket sock = socket_here();
	struct nsp_error err = { 0 };
	int rc = how & 8 ? nsp_dump_protocol(&sock, 0, NSP_PROTOCOL, seen, NULL, &err) :
			   nsp_dump(&sock, how & 7, 0, how >> 4, how >> 6, seen, NULL, &err);

	need_error(rc, &err);
}

static void batch_failed(void *arg, uint32_t index, int error, const char *text)
{
	(void)arg;
	need(error > 0 && index < 6 && strlen(text) < NSP_DATAGRAM_MAX);
}

/* Six messages, in chunks of at most four. */
static void send_batch(uint8_t how)
{
	struct nsp_socket sock = socket_here();
	const struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = 1 };
	struct nsp_error err = { 0 };
	struct nsp_batch batch;
	uint32_t buf[128];

	nsp_batch_init(&batch, buf, sizeof(buf));
	for (int i = 0; i < 6; i++)
		nsp_link_delete(&batch, &link);
	int rc = how & 1 ? nsp_batch_do(&sock, &batch, "delete links", &err) :
			   nsp_batch_send(&sock, &batch, batch_failed, seen, NULL, &err);
	need_error(rc, &err);
}

static void ask_family(uint8_t how)
{
	struct nsp_socket sock = socket_here();
	struct nsp_genl request = { .family = 16, .command = 3, .version = 1 };
	uint32_t cap = how & 0xfc;
	struct nsp_room room = { .buf = malloc(cap + 1), .cap = cap };
	struct nsp_error err = { 0 };
	const struct nlmsghdr *head;
	long rc;

	need(room.buf);
	if (how & 1)
		rc = nsp_genl_family(&sock, "wireguard", &err);
	else
		rc = nsp_genl_request(&sock, &request, how & 2 ? NLM_F_DUMP : 0, &room, &err);
	need_error(rc, &err);
	if (rc >= 0 && room.len <= room.cap)
		NSP_MSG_EACH(head, room.buf, room.len)
			read_message(head);
	free(room.buf);
}

static void read_event(const struct nsp_event *event)
{
	need(event->type >= NSP_EVENT_LINK && event->type <= NSP_EVENT_VLANS);
	if (event->type == NSP_EVENT_ADDR || event->type == NSP_EVENT_ADDR_GONE)
		return;
	need_text(event->link.name, sizeof(event->link.name));
	need_text(event->link.kind, sizeof(event->link.kind));
	read_attributes(&event->link.data);
	read_attributes(&event->link.slave_data);
	read_attributes(&event->link.altnames);
	read_attributes(&event->link.vlans);
}

static void survey(uint8_t how)
{
	struct nsp_socket sock = socket_here();
	uint32_t cap = (uint32_t)how * 4;
	struct nsp_room room = { .buf = malloc(cap + 1), .cap = cap };
	struct nsp_event events[4];
	struct nsp_error err = { 0 };

	need(room.buf);
	long count = nsp_survey(&sock, events, 4, how & 1 ? &room : NULL, &err);
	need_error(count, &err);
	for (long i = 0; i < count && i < 4; i++)
		if (how & 1 ? room.len <= room.cap : !(events[i].link.fields & NSP_LINK_DATA))
			read_event(&events[i]);
	free(room.buf);
}

static void heard(void *arg, int32_t nsid, const void *msg)
{
	(void)arg;
	need(nsid >= 0);
	read_message(msg);
}

static void monitor(uint8_t how)
{
	struct nsp_monitor mon = { .fd = -1, .heard = how & 2 ? heard : NULL, .portid = 4711 };
	struct nsp_event events[16];
	struct nsp_error err = { 0 };

	if (how & 1) {
		mon.room.cap = 2 * NSP_ROOM_MIN;
		mon.room.buf = malloc(mon.room.cap);
		need(mon.room.buf);
	}
	while (input.at != input.end) {
		int count = nsp_monitor_read(&mon, events, how & 4 ? 3 : 16, &err);

		need_error(count, &err);
		for (int i = 0; i < count; i++)
			read_event(&events[i]);
	}
	free(mon.room.buf);
}

static void survey_routes(uint8_t how)
{
	struct nsp_socket sock = socket_here();
	struct nsp_error err = { 0 };

	need_error(nsp_dump_paced(&sock, how & 1 ? NSP_DUMP_ROUTES : NSP_DUMP_NEIGHS, 0, how, seen, NULL, NULL, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(
		uint8_t how) = { read_verdicts, dump, send_batch, ask_family, survey, monitor, survey_routes };
	uint8_t what, how;

	input = (struct bytes){ data, data + size };
	what = take_byte(&input);
	how = take_byte(&input);
	readers[what % (sizeof(readers) / sizeof(*readers))](how);
	return 0;
}
