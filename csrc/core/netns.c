/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces of the core: their numbers, who holds them, and the command sockets in them. */
#include "core/netns.h"

#include <fcntl.h>

#include "core/lock.h"
#include "core/queue.h"
#include "kinds/filter.h"

/* A known namespace by its identity, or one whose number is free. */
static uint32_t find_netns(const struct nsp_core *core, const struct nsp_netns_id *id, uint32_t *vacant)
{
	*vacant = NIL;
	for (uint32_t i = 1; i < core->netns_count; i++) {
		const struct netns *netns = core->netns[i];
		if (netns->fd < 0 && !netns->refs)
			*vacant = i;
		else if (netns->fd >= 0 && netns->id.ino == id->ino && netns->id.dev == id->dev)
			return i;
	}
	return NIL;
}

int nsp_core_netns_add(struct nsp_core *core, int fd, uint32_t *number, struct nsp_error *err)
{
	struct nsp_netns_id id;
	uint32_t vacant;
	int rc = nsp_netns_identify(fd, &id, err);

	if (rc < 0)
		return rc;
	core_lock(core);
	*number = find_netns(core, &id, &vacant);
	if (!*number) {
		int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (own < 0) {
			rc = nsp_fail(err, errno, "keep a namespace open");
		} else {
			if (!vacant) {
				ARRAY_GROW(core->netns, core->netns_count, core->netns_cap);
				vacant = core->netns_count++;
				core->netns[vacant] = malloc(sizeof(struct netns));
				if (!core->netns[vacant])
					abort();
			}
			*core->netns[vacant] = (struct netns){ .fd = own, .id = id, .nsid = -1 };
			*number = vacant;
		}
	}
	if (rc == 0)
		netns_hold(core, *number);
	core_unlock(core);
	return rc;
}

static void note_connected(struct nsp_core *core, struct netns *netns)
{
	if (netns->sock.portid != core->portid) /* somebody else has it there: whoever hears has to know this one */
		netns->portid = netns->sock.portid;
	netns->connected = true;
	netns->drops_echo = false;
	core->sockets_open++;
}

/* To the writer, which uses it when it has something to do there; unless it has one already, or enough of them. */
static void hand_over(struct nsp_core *core, uint32_t number, struct nsp_socket *sock)
{
	core_lock(core);
	struct netns *netns = core->netns[number];
	bool wanted = !netns->connected && core->sockets_open < core->sockets_kept;
	if (wanted) {
		netns->sock = *sock;
		netns->used = core->batches;
		note_connected(core, netns);
	}
	core_unlock(core);
	if (!wanted)
		nsp_socket_close(sock);
}

int nsp_core_netns_create(struct nsp_core *core, const char *name, const char *mark, struct nsp_monitor *mon, uint32_t *number,
			  int *nsid, uint64_t *cookie, struct nsp_event *events, long cap, long *count, struct nsp_error *err)
{
	struct nsp_socket sock = { .fd = -1, .portid = core->portid };
	struct nsp_birth birth = { .mark = mark, .mon = mon, .events = events, .cap = cap, .sock = &sock };
	int fd = nsp_netns_bear(name, &birth, err);

	if (fd < 0)
		return fd;
	int rc = nsp_core_netns_add(core, fd, number, err);
	if (rc < 0) {
		nsp_netns_delete(name, NULL);
		nsp_socket_close(&sock);
		close(fd);
		return rc;
	}
	hand_over(core, *number, &sock);
	*nsid = birth.nsid;
	*cookie = birth.cookie;
	*count = birth.count;
	return fd;
}

long nsp_core_survey(struct nsp_core *core, uint32_t number, struct nsp_event *events, long cap, struct nsp_room *room,
		     struct nsp_error *err)
{
	struct nsp_socket sock;

	core_lock(core);
	int fd = core->netns[number]->fd;
	core_unlock(core);
	int rc = nsp_socket_open_as(&sock, fd, core->portid, err);
	if (rc < 0)
		return rc;
	long count = nsp_survey(&sock, events, cap, room, err);
	hand_over(core, number, &sock);
	return count;
}

void netns_hold(struct nsp_core *core, uint32_t number)
{
	core->netns[number]->refs++;
}

void netns_release(struct nsp_core *core, uint32_t number)
{
	if (--core->netns[number]->refs == 0) /* the writer may be using it, so it closes it, unless it is held again by then */
		queue_push(&core->queue, ENTRY_CLOSE(number));
}

void nsp_core_netns_drop(struct nsp_core *core, uint32_t number)
{
	core_lock(core);
	netns_release(core, number);
	core_unlock(core);
}

void nsp_core_netns_nsid(struct nsp_core *core, uint32_t netns, int32_t nsid)
{
	core_lock(core);
	if (nsid >= 0) {
		uint32_t before = core->nsid_count;
		while (core->nsid_count <= (uint32_t)nsid)
			core->by_nsid = array_grow(core->by_nsid, &core->nsid_count, sizeof(*core->by_nsid));
		if (core->nsid_count != before)
			memset(core->by_nsid + before, 0, (core->nsid_count - before) * sizeof(*core->by_nsid));
		core->by_nsid[nsid] = netns;
	}
	core->netns[netns]->nsid = nsid;
	core_unlock(core);
}

void netns_disconnect(struct nsp_core *core, struct netns *netns)
{
	if (!netns->connected)
		return;
	nsp_socket_close(&netns->sock);
	netns->connected = false;
	core->sockets_open--;
}

/* Closes the socket that was not used for the longest time. */
static void close_oldest(struct nsp_core *core)
{
	struct netns *oldest = NULL;

	for (uint32_t i = 1; i < core->netns_count; i++)
		if (core->netns[i]->connected && (!oldest || core->netns[i]->used < oldest->used))
			oldest = core->netns[i];
	if (oldest)
		netns_disconnect(core, oldest);
}

int netns_fd(struct nsp_core *core, uint32_t number)
{
	core_lock(core);
	int fd = core->netns[number]->fd;
	core_unlock(core);
	return fd;
}

/* All but the messages of tables that are read; `told`: not what was deleted either. */
static bool drop_echo(const struct nsp_socket *sock, bool told)
{
	struct sock_filter steps[] = {
		FILTER_LOAD16(FILTER_HEAD(nlmsg_type)),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_NEWROUTE), 1, 0),
		FILTER_IF(BPF_JEQ, FILTER_HOST16(RTM_DELROUTE), told ? 2 : 3, 2),
		FILTER_LOAD16(FILTER_HEAD(nlmsg_flags)),
		FILTER_IF(BPF_JSET, FILTER_HOST16(NLM_F_MULTI), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = sizeof(steps) / sizeof(*steps), .filter = steps };

	return setsockopt(sock->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

void netns_drop_echo(struct nsp_core *core, struct netns *netns)
{
	if (core->monitored && netns->connected && !netns->portid && !netns->drops_echo)
		netns->drops_echo = drop_echo(&netns->sock, netns->inexact);
}

void netns_note_inexact(struct netns *netns)
{
	if (!netns->inexact && netns->drops_echo)
		drop_echo(&netns->sock, true);
	netns->inexact = true;
}

/* The command socket of a namespace, opened where it is not. Only the writer uses and closes these, but the planner may hand one over. */
struct nsp_socket *netns_socket(struct nsp_core *core, uint32_t number, struct nsp_error *err)
{
	struct nsp_socket sock;

	core_lock(core);
	struct netns *netns = core->netns[number];
	int fd = netns->fd;
	bool connected = netns->connected;
	netns->used = core->batches;
	if (!connected && core->sockets_open >= core->sockets_kept)
		close_oldest(core);
	core_unlock(core);

	if (connected)
		return &netns->sock;
	if (fd < 0) {
		nsp_refuse(err, ENODEV, "the namespace has been closed");
		return NULL;
	}
	if (nsp_socket_open_as(&sock, fd, core->portid, err) < 0)
		return NULL;
	core_lock(core);
	if (netns->connected) {
		nsp_socket_close(&sock);
	} else {
		netns->sock = sock;
		note_connected(core, netns);
	}
	core_unlock(core);
	return &netns->sock;
}

int netns_open_generic(struct nsp_core *core, uint32_t number, struct nsp_socket *sock, struct nsp_error *err)
{
	return nsp_genl_open(sock, netns_fd(core, number), err);
}

void netns_close(struct nsp_core *core, uint32_t number)
{
	struct netns *netns = core->netns[number];

	if (netns->refs || netns->fd < 0)
		return;
	netns_disconnect(core, netns);
	close(netns->fd);
	*netns = (struct netns){ .fd = -1, .nsid = -1 };
}
