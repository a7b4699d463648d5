/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsplane.h - Linux network namespaces and rtnetlink at high rate.
 *
 * The error contract
 * ------------------
 * A function that can fail returns a negative errno (-ENOENT, -EPERM, ...) and zero or a useful positive number (a descriptor,
 * a count) otherwise. Where the last argument is `struct nsp_error *err` it is filled in on failure only: `code` is the positive
 * errno and `text` a sentence that names the object ("open /run/netns/red: No such file or directory"). `err` may be NULL.
 * Functions without that argument fail in one documented way.
 *
 * Nothing here prints, exits (but where memory cannot be had: then it aborts), keeps state between calls outside the objects the caller holds, or leaves a thread that lives on in
 * another namespace than it was in: what must be done inside a namespace is done by a short-lived thread that enters, acts, ends.
 * Descriptors are opened with O_CLOEXEC. Objects are not thread-safe unless their description says so.
 *
 * The caller owns every buffer: a `struct nsp_batch` wraps memory it is given, a socket is a plain struct. The one object with
 * memory and a thread of its own is `struct nsp_core` (the row table, its slots and the writer).
 *
 * Sources: rtnetlink(7), netlink(7), netns(7), setns(2), pidfd_open(2), linux/rtnetlink.h, linux/if_link.h, linux/net_namespace.h.
 */
#ifndef NSPLANE_H
#define NSPLANE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NSP_API __attribute__((visibility("default")))
#else
#define NSP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* cdef: begin */
#define NSP_VERSION_MAJOR 0
#define NSP_VERSION_MINOR 1

struct nsp_error {
	int code;
	char text[252];
};

/* "0.1": of the library that is loaded, which may be newer than this header. */
NSP_API const char *nsp_version(void);

/* Gives memory back to the system that was freed and that malloc keeps: of the whole process, some milliseconds of work; malloc_trim(3). */
NSP_API void nsp_trim(void);

/* ---- namespaces (netns.c) ---------------------------------------------------------------------------------------------- */

/* A namespace's identity: a path or a PID is only a way to it (stat(2) of the nsfs file). */
struct nsp_netns_id {
	uint64_t dev;
	uint64_t ino;
};

/* In place of a descriptor: the namespace that the caller is in or, of a link's peer, the one that the link is made in. No errno and no
 * descriptor has this value, and any other negative number in place of one is -EBADF. */
#define NSP_NETNS_CURRENT (-10000)

/* Opens a network namespace by an nsfs path. -EINVAL where the file is something else. Returns the descriptor. */
NSP_API int nsp_netns_open(const char *path, struct nsp_error *err);

/* Opens the namespace of a process. `pidfd` receives a pidfd of it that was alive after the namespace was opened, so the number
 * was not reused in between; the caller closes both. -ESRCH: no such process, or it has ended. */
NSP_API int nsp_netns_open_pid(int pid, int *pidfd, struct nsp_error *err);

/* The same for one thread: /proc/PID/task/TID/ns/net. Where the kernel has no pidfd of a thread (before 6.9), `pidfd` is of the
 * process. */
NSP_API int nsp_netns_open_task(int pid, int tid, int *pidfd, struct nsp_error *err);

/* Opens /run/netns/NAME. -EINVAL for a name that `ip netns` would not make: empty, longer than 255 bytes, with '/', "." or "..";
 * -ENOENT where there is none; -EINVAL where the file is there but nothing is bound on it (yet). */
NSP_API int nsp_netns_open_name(const char *name, struct nsp_error *err);

/* Creates a namespace as `ip netns add` does - /run/netns a shared mount point, the file made with O_EXCL, the new namespace bound
 * on it - and sets its `lo` up. Returns a descriptor of it. -EEXIST where the name is taken. Nothing stays behind on failure. */
NSP_API int nsp_netns_create(const char *name, struct nsp_error *err);

/* Deletes the name as `ip netns del` does: the namespace itself lives on while processes or descriptors hold it. -ENOENT. */
NSP_API int nsp_netns_delete(const char *name, struct nsp_error *err);

/* Creates a namespace without a name, held by the returned descriptor alone, with its `lo` up. */
NSP_API int nsp_netns_create_anonymous(struct nsp_error *err);

/* The names under /run/netns on which a namespace is bound, each followed by a NUL. Returns the number of bytes that all of them
 * take; what does not fit into `cap` is left out, so call again with more where the result is larger. */
NSP_API long nsp_netns_list(char *buf, size_t cap, struct nsp_error *err);

NSP_API int nsp_netns_identify(int fd, struct nsp_netns_id *id, struct nsp_error *err);

/* The number that the kernel gives to a namespace and to no other until the next boot (SO_NETNS_COOKIE, socket(7)): an inode is
 * given to another one as soon as nothing holds the first. */
NSP_API int nsp_netns_cookie(int fd, uint64_t *cookie, struct nsp_error *err);

/* Moves the calling thread, for good, into a namespace: for the child between fork and exec. Nothing happens where the thread is
 * there already (setns would want privileges for it all the same). */
NSP_API int nsp_netns_enter(int fd, struct nsp_error *err);

/* Moves the calling thread, for good, into a new namespace and sets its `lo` up: for the child between fork and exec. */
NSP_API int nsp_netns_unshare(struct nsp_error *err);

/* Writes a setting of a namespace: `name` is its path below /proc/sys/net, such as "ipv6/conf/eth0/disable_ipv6"; -EINVAL for one that
 * may lead elsewhere (empty, "." or ".." between its slashes). -ENOENT where there is none, -EROFS where /proc/sys may not be written. */
NSP_API int nsp_netns_sysctl(int fd, const char *name, const char *value, struct nsp_error *err);

/* ---- sockets and batches (socket.c, batch.c) ---------------------------------------------------------------------------- */

/* A rtnetlink command socket. `window` is how many messages one sendmsg may carry so that an answer to each fits the receive
 * buffer (at most 256). It is halved when answers are lost all the same, and doubled again, up to what it was, after 1,024 sendmsgs
 * without a loss. */
struct nsp_socket {
	int fd;
	uint32_t portid;
	uint32_t seq;
	uint32_t window;
	uint32_t window_before; /* the losses */
	uint32_t calm;		/* sendmsgs since the last */
};

/* Opens a socket in the namespace `netns_fd` (or NSP_NETNS_CURRENT). */
NSP_API int nsp_socket_open(struct nsp_socket *sock, int netns_fd, struct nsp_error *err);
NSP_API void nsp_socket_close(struct nsp_socket *sock);

/* Messages to be sent together. The builders below append one message and return its index, or -ENOSPC where it does not fit
 * (the batch is then as before). */
struct nsp_batch {
	uint8_t *buf;
	uint32_t cap;
	uint32_t len;
	uint32_t count;
	uint32_t last; /* offset of the last message */
};

NSP_API void nsp_batch_init(struct nsp_batch *batch, void *buf, uint32_t cap);
NSP_API void nsp_batch_reset(struct nsp_batch *batch);

/* What became of message `index`: called once for every message that failed, `error` a positive errno, `text` the kernel's
 * extended-ack sentence or "". */
typedef void (*nsp_failed_fn)(void *arg, uint32_t index, int error, const char *text);

/* A message that the kernel sent in answer to message `index` (a struct nlmsghdr; valid during the call). From a dump NULL means:
 * the table changed under the dump, forget what came so far, all of it comes again. */
typedef void (*nsp_reply_fn)(void *arg, uint32_t index, const void *msg);

/* Sends the whole batch, in chunks of at most `window` messages with one ACK each, and waits for the verdicts: a message for which
 * `failed` was not called has been carried out. Any length and any number of failures. A negative return means that the socket
 * itself failed and the verdicts are incomplete; -ENOBUFS that verdicts were lost and the kernel has to be read back. Either
 * callback may be NULL. */
NSP_API int nsp_batch_send(struct nsp_socket *sock, struct nsp_batch *batch, nsp_failed_fn failed, nsp_reply_fn reply, void *arg,
			   struct nsp_error *err);

#define NSP_DUMP_LINKS 1
#define NSP_DUMP_ADDRS 2
#define NSP_DUMP_ROUTES 3
#define NSP_DUMP_NEIGHS 4

/* Reads a whole table; repeated (see nsp_reply_fn) when the kernel says that it changed meanwhile, at most 100 times (-EINTR). `family` is 0 for both, AF_INET
 * or AF_INET6; `ifindex` 0 for all; `table` 0 for all (routes only). */
NSP_API int nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
		     struct nsp_error *err);

/* Reads the routes of all tables that bear one protocol (RTPROT_*): the kernel leaves the others out. */
NSP_API int nsp_dump_protocol(struct nsp_socket *sock, int family, uint8_t protocol, nsp_reply_fn reply, void *arg,
			      struct nsp_error *err);

/* ---- links (link.c) ------------------------------------------------------------------------------------------------------- */

#define NSP_LINK_INDEX 0x1
#define NSP_LINK_NAME 0x2
#define NSP_LINK_KIND 0x4
#define NSP_LINK_UP 0x8
#define NSP_LINK_MTU 0x10
#define NSP_LINK_MAC 0x20
#define NSP_LINK_MASTER 0x40
#define NSP_LINK_GROUP 0x80
#define NSP_LINK_ALIAS 0x100
#define NSP_LINK_LINK 0x200	    /* read only: the other end's or lower link's index */
#define NSP_LINK_LINK_NETNSID 0x400 /* read only: where that is, where it is another namespace */
#define NSP_LINK_OPERSTATE 0x800    /* read only: IF_OPER_*, RFC 2863 */
#define NSP_LINK_ADDR_GEN_MODE 0x1000
#define NSP_LINK_ALTNAMES 0x2000 /* read only */

struct nsp_link {
	uint32_t fields; /* NSP_LINK_*: which of these are given */
	int32_t index;
	char name[16];
	char kind[16];
	uint32_t up; /* IFF_UP: 0 or 1 */
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t operstate;
	uint8_t loopback; /* read only: IFF_LOOPBACK */
	int32_t master;	  /* an ifindex; 0 is none */
	uint32_t group;
	int32_t link;
	int32_t link_netnsid;
	char alias[128];
	uint8_t addr_gen_mode; /* IN6_ADDR_GEN_MODE_*: what a link-local address is made of, 1 for none */
	char altnames[256];    /* its other names, each with its NUL, as many as fit; the empty one ends them */
};

/* RTM_NEWLINK that creates `link` (NAME and KIND are needed) where the batch is sent. `peer`, for a veth, is born in the namespace
 * `peer_netns`, a descriptor that has to stay open until the message is sent, or NSP_NETNS_CURRENT. Honoured on both ends at birth: NAME, MAC, MTU, GROUP. UP and MASTER only on `link`; ALIAS and
 * ADDR_GEN_MODE on neither (the kernel ignores them in silence), so follow it with nsp_link_change. */
NSP_API int nsp_link_create(struct nsp_batch *batch, const struct nsp_link *link, const struct nsp_link *peer, int peer_netns);

/* RTM_SETLINK: sets the fields given. The link is INDEX, where given, and NAME then is its new name; otherwise NAME. The kernel sets
 * UP before ADDR_GEN_MODE: of a link that goes up with the same message, the link-local address is made nevertheless. */
NSP_API int nsp_link_change(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_DELLINK of INDEX or, where not given, of NAME. */
NSP_API int nsp_link_delete(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_DELLINK of all links in `group`, together: one grace period in place of one a link. */
NSP_API int nsp_link_delete_group(struct nsp_batch *batch, uint32_t group);

/* RTM_GETLINK of INDEX or NAME. */
NSP_API int nsp_link_get(struct nsp_batch *batch, const struct nsp_link *link);

/* Reads a RTM_NEWLINK or RTM_DELLINK message. -EINVAL where it is another or malformed. */
NSP_API int nsp_link_read(const void *msg, struct nsp_link *link);

/* ---- addresses (addr.c) --------------------------------------------------------------------------------------------------- */

struct nsp_addr {
	int32_t index; /* the link's */
	uint8_t family;
	uint8_t prefix_len;
	uint8_t scope;
	uint8_t proto;	/* IFA_PROTO: who made it (kernel 5.18 and later) */
	uint32_t flags; /* IFA_F_* */
	uint8_t local[16];
	uint8_t peer[16]; /* the other end's, or all zero */
};

/* RTM_NEWADDR, created and not replaced: -EEXIST is the verdict where it is there. IPv6 gets IFA_F_NODAD from `flags` only. */
NSP_API int nsp_addr_add(struct nsp_batch *batch, const struct nsp_addr *addr);
NSP_API int nsp_addr_delete(struct nsp_batch *batch, const struct nsp_addr *addr);
NSP_API int nsp_addr_read(const void *msg, struct nsp_addr *addr);

/* ---- routes and neighbours (route.c, neigh.c) ----------------------------------------------------------------------------- */

#define NSP_PUT_NEW 0	  /* CREATE | EXCL */
#define NSP_PUT_REPLACE 1 /* CREATE | REPLACE */

#define NSP_ROUTE_GATEWAY 0x1
#define NSP_ROUTE_ONLINK 0x2 /* RTNH_F_ONLINK: believe that the gateway is on the link */
#define NSP_ROUTE_SOURCE 0x4
#define NSP_ROUTE_SCOPE 0x8 /* otherwise what the kernel's own tools choose: link without gateway, global with one */

struct nsp_route {
	uint8_t family;
	uint8_t dst_len;
	uint8_t scope;
	uint8_t proto;
	uint32_t fields; /* NSP_ROUTE_* */
	uint32_t table;
	uint32_t metric;
	int32_t oif;
	uint8_t dst[16];
	uint8_t gateway[16];
	uint8_t source[16]; /* preferred source */
};

NSP_API int nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode);

/* RTM_DELROUTE of the route with this destination, table, metric, output link and protocol (where not 0), whatever its source. Of an
 * IPv6 route with NSP_ROUTE_GATEWAY this next hop goes alone, without it all of them; of an IPv4 route the gateway is not looked at.
 * An IPv4 route of metric 0 cannot be told from others: where there is none, the kernel deletes the first of another metric. With
 * NLM_F_ECHO set on the message, a reply tells which has gone: the RTM_DELROUTE of that. */
NSP_API int nsp_route_delete(struct nsp_batch *batch, const struct nsp_route *route);

/* -EINVAL: not a route message; -EOPNOTSUPP: a route that this struct cannot hold (multipath, cloned, another type or family). */
NSP_API int nsp_route_read(const void *msg, struct nsp_route *route);

/* Reads the routes of a namespace that bear another protocol than ours, of those that nsp_route_read takes. Returns how many there are;
 * what does not fit into `cap` is left out. */
NSP_API long nsp_route_survey(int netns_fd, struct nsp_route *routes, long cap, struct nsp_error *err);

struct nsp_neigh {
	int32_t index; /* the link's */
	uint8_t family;
	uint8_t proto;	 /* NDA_PROTOCOL */
	uint16_t state;	 /* NUD_*; 0 on a put means NUD_PERMANENT */
	uint8_t flags;	 /* NTF_* */
	uint8_t mac_len; /* 0 or 6 */
	uint8_t mac[6];
	uint8_t dst[16];
};

NSP_API int nsp_neigh_put(struct nsp_batch *batch, const struct nsp_neigh *neigh, int mode);
NSP_API int nsp_neigh_delete(struct nsp_batch *batch, const struct nsp_neigh *neigh);
NSP_API int nsp_neigh_get(struct nsp_batch *batch, const struct nsp_neigh *neigh);
NSP_API int nsp_neigh_read(const void *msg, struct nsp_neigh *neigh);

/* Appends a message as it is (a struct nlmsghdr with its payload, as a dump gave it) as a request of `type` with `flags`: how a
 * remembered object is restored. */
NSP_API int nsp_batch_copy(struct nsp_batch *batch, const void *msg, uint16_t type, uint16_t flags);

/* ---- monitor (monitor.c) --------------------------------------------------------------------------------------------------- */

/* What somebody did to a route or neighbour (a struct nlmsghdr; valid during the call): see nsp_core_hear. */
typedef void (*nsp_heard_fn)(void *arg, int32_t nsid, const void *msg);

/* Hears links and addresses of many namespaces on one socket (NETLINK_LISTEN_ALL_NSID). The socket lives in a namespace of its
 * own, in which the watched ones get their nsids, so nothing is left in anybody else's. */
struct nsp_monitor {
	int fd;
	struct nsp_socket ids; /* where nsids are given */
	uint32_t portid;       /* whose changes are not heard */
	nsp_heard_fn heard;
	void *heard_arg;
};

#define NSP_EVENT_LINK 1
#define NSP_EVENT_LINK_GONE 2
#define NSP_EVENT_ADDR 3
#define NSP_EVENT_ADDR_GONE 4

#define NSP_SAW_DOWN 0x1    /* the link was seen down */
#define NSP_SAW_MAC 0x2	    /* more than one MAC was seen */
#define NSP_SAW_LOW_MTU 0x4 /* an MTU under 1280 was seen */

struct nsp_event {
	uint32_t type; /* NSP_EVENT_* */
	int32_t nsid;
	uint32_t saw; /* NSP_SAW_*: consecutive events of one link are one here, and this is what happened on the way */
	struct nsp_link link;
	struct nsp_addr addr;
};

NSP_API int nsp_monitor_open(struct nsp_monitor *mon, struct nsp_error *err);
NSP_API void nsp_monitor_close(struct nsp_monitor *mon);

/* Begins to hear a namespace. Returns its nsid (zero or more). Read its tables after this call, not before. */
NSP_API int nsp_monitor_watch(struct nsp_monitor *mon, int netns_fd, struct nsp_error *err);

/* Reads what came, without waiting. Returns the number of events, 0 where there is nothing, -ENOBUFS where some were lost: read the
 * tables of all watched namespaces again. */
NSP_API int nsp_monitor_read(struct nsp_monitor *mon, struct nsp_event *events, int cap, struct nsp_error *err);

/* Reads the links and then the addresses of a namespace as events. Returns how many there are; what does not fit into `cap` is
 * left out, so call again with more where the result is larger. */
NSP_API long nsp_monitor_survey(int netns_fd, struct nsp_event *events, long cap, struct nsp_error *err);

/* A timerfd(2) for a loop of descriptors: nsp_timer_set makes it readable after `milliseconds`, once; 0 stops it. */
NSP_API int nsp_timer_open(struct nsp_error *err);
NSP_API int nsp_timer_set(int fd, uint64_t milliseconds);

/* An inotify(7) descriptor that is readable when something came or went in a directory that was added, or the directory itself
 * went. nsp_directories_add returns the directory's number, the same each time; -ENOSPC where the user has too many. What exactly
 * has happened is not told: nsp_directories_drain empties it, then look. */
NSP_API int nsp_directories_open(struct nsp_error *err);
NSP_API int nsp_directories_add(int fd, const char *path, struct nsp_error *err);
NSP_API void nsp_directories_remove(int fd, int number);
NSP_API void nsp_directories_drain(int fd);
/* cdef: end */

/* cdef: begin */
/* ---- frames: the one decoder of bulk items (frame.c, schema.c) ------------------------------------------------------------ */

/* A request as it came over the bus, one msgpack map, decoded: routes and ARP entries (or their keys) into records, everything else
 * left as spans of the frame for the engine. One frame object is used again for every request; not thread-safe. */
struct nsp_frame;

struct nsp_frame_view {
	const uint8_t *envelope; /* the map without `items` and `keys` */
	size_t envelope_len;
	uint32_t count;	  /* items or keys in the request */
	uint32_t bulk;	  /* of these, decoded here */
	uint32_t others;  /* left to the engine: see nsp_frame_other */
	uint32_t invalid; /* refused here: see nsp_frame_fault */
	uint32_t keys;	  /* 1: the request has `keys`, 0: `items` or neither */
};

struct nsp_span {
	uint32_t index; /* position in the request */
	uint32_t len;
	const uint8_t *data;
};

struct nsp_fault {
	uint32_t index;
	char field[32]; /* "" where the item as a whole is wrong */
	char text[160];
	const char *key;     /* where it can be read, or NULL */
	const uint8_t *data; /* the item or key as it came, `len` bytes of msgpack, or NULL where it is long */
	uint32_t len;
};

NSP_API struct nsp_frame *nsp_frame_new(void);
NSP_API void nsp_frame_free(struct nsp_frame *frame);

/* Decodes `data`, which has to stay where it is until the frame is read again. -EBADMSG where it is not one msgpack map or an
 * `items`/`keys` is not an array: err->text says where. Faulty items are no failure: they are counted in `invalid`, up to 65,536
 * of them in one request; as many may be left to the engine. */
NSP_API int nsp_frame_read(struct nsp_frame *frame, const uint8_t *data, size_t len, struct nsp_error *err);
NSP_API void nsp_frame_view(const struct nsp_frame *frame, struct nsp_frame_view *view);
NSP_API int nsp_frame_other(const struct nsp_frame *frame, uint32_t i, struct nsp_span *span);
NSP_API int nsp_frame_fault(const struct nsp_frame *frame, uint32_t i, struct nsp_fault *fault);

/* The fields of the bulk kinds, for documents and stubs: field `field` of kind `kind` (both from 0), -ENOENT past the end. */
struct nsp_field_info {
	char kind[16];
	char name[16];
	char type[24];
	char about[120];
	uint32_t required;
};
NSP_API int nsp_schema_field(uint32_t kind, uint32_t field, struct nsp_field_info *info);

/* ---- the core: rows, slots and the writer (table.c, slot.c, writer.c) ------------------------------------------------------ */

/* Numbers - of namespaces, slots, requests, origins - are those that functions here have given and not taken back; another is the
 * caller's mistake and is not looked for. */

/* Everything that is wanted of the bulk kinds, and the thread that writes it. Its functions are called by one thread, the planner;
 * the writer shares the rows under a lock of its own. */
struct nsp_core;

#define NSP_STATE_NONE 0
#define NSP_STATE_CONFIGURED 1
#define NSP_STATE_PENDING 2
#define NSP_STATE_FAILED 3
#define NSP_STATE_RETRYING 4
#define NSP_STATE_INVALID 5 /* verdicts only, from here on */
#define NSP_STATE_CONFLICT 6
#define NSP_STATE_SUPERSEDED 7
#define NSP_STATE_REMOVED 8
#define NSP_STATES 9

NSP_API struct nsp_core *nsp_core_new(struct nsp_error *err);

/* Stops the writer after the batch it is at and frees everything. The kernel is left as it is. In a forked child, which has a copy that
 * may have been caught in mid-change and no writer, it does nothing, and nothing else may be called: the core is the parent's. A monitor
 * that hears for the core (nsp_core_hear) is not to be read any more. */
NSP_API void nsp_core_free(struct nsp_core *core);

/* An eventfd: readable when something was completed. nsp_core_poll empties it. */
NSP_API int nsp_core_fd(const struct nsp_core *core);

/* Makes a namespace known and keeps it open (a duplicate of `fd`). `id` is the same for the same namespace; each add wants a
 * drop. It stays open, and the number stays its own, until the last of these, of the slots that are ready in it and of the operations
 * that were submitted for it has let go. Command sockets are opened at the first use and, beyond a quarter of the descriptors that the process may have, closed again least recently used first. */
NSP_API int nsp_core_netns_add(struct nsp_core *core, int fd, uint32_t *id, struct nsp_error *err);
NSP_API void nsp_core_netns_drop(struct nsp_core *core, uint32_t id);

/* nsp_netns_create and nsp_core_netns_add, and `mon` watches the namespace from before anybody else can be in it: `nsid` as by
 * nsp_monitor_watch, `cookie` as by nsp_netns_cookie, and what is there by then in `events` and `count`, as by nsp_core_survey. `mark` is the alias that its `lo`
 * bears, or NULL. Returns a descriptor of it. */
NSP_API int nsp_core_netns_create(struct nsp_core *core, const char *name, const char *mark, struct nsp_monitor *mon, uint32_t *id,
				  int *nsid, uint64_t *cookie, struct nsp_event *events, long cap, long *count,
				  struct nsp_error *err);

/* nsp_monitor_survey by a socket that the core keeps for what comes: to be called before anything is queued for the namespace. */
NSP_API long nsp_core_survey(struct nsp_core *core, uint32_t id, struct nsp_event *events, long cap, struct nsp_error *err);

/* Who wants a row: a source and the generation it was put with. The number is good until the next call or, where rows have it, as
 * long as they do. */
NSP_API uint32_t nsp_core_origin(struct nsp_core *core, const char *source, uint64_t generation);

/* Opens a request and returns its serial: what is put, deleted and swept under it is accounted to it. */
NSP_API uint32_t nsp_core_request_open(struct nsp_core *core);

/* No more is coming under this request: it is completed when every row has its verdict. */
NSP_API void nsp_core_request_commit(struct nsp_core *core, uint32_t serial);

/* What was counted so far, without waiting. */
struct nsp_result {
	uint32_t serial;
	uint32_t outstanding;
	uint32_t counts[9]; /* by NSP_STATE_* */
	uint32_t entries;   /* in `data`: items neither configured nor removed, each a msgpack map */
	size_t len;
	const uint8_t *data; /* valid until the request is closed or goes on */
	size_t summary_len;
	const uint8_t *summary; /* as long: the counts that are not 0, a msgpack map by the states' names */
};
NSP_API int nsp_core_request_result(struct nsp_core *core, uint32_t serial, struct nsp_result *result);
NSP_API void nsp_core_request_close(struct nsp_core *core, uint32_t serial);

/* Counts, and adds to the request as verdicts, what of the frame is invalid or in conflict; nothing else happens. */
NSP_API long nsp_core_check(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin);

#define NSP_FORCE 1 /* cross sources */

/* Makes the frame's rows wanted. `express` lets a small request overtake what is queued. */
NSP_API void nsp_core_put(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin, uint32_t express);

/* Makes the rows of the frame's keys unwanted. */
NSP_API void nsp_core_delete(struct nsp_core *core, struct nsp_frame *frame, uint32_t serial, uint32_t origin, uint32_t flags,
			     uint32_t express);

/* Removes the rows of the origin's source that are of a generation below the origin's or, with `untouched`, that this request has not
 * put. Returns how many. */
NSP_API long nsp_core_sweep(struct nsp_core *core, uint32_t serial, uint32_t origin, uint32_t untouched);

/* ---- slots ---- */

#define NSP_NOTICE_TOUCHED 1  /* rows were put on a slot that is not ready: settle it */
#define NSP_NOTICE_EMPTY 2    /* the last row has gone */
#define NSP_NOTICE_RETRY 3    /* a row was refused, and is to be tried again: call nsp_slot_retry in a second */
#define NSP_NOTICE_REPLACED 4 /* nsp_core_replaced has something to tell */

struct nsp_notice {
	uint32_t slot;
	uint32_t what;
};

/* Fetches what happened to slots. Returns the number of notices; call until 0. */
NSP_API int nsp_core_notices(struct nsp_core *core, struct nsp_notice *notices, int cap);

/* The slot's key: NAME of an interface item, or LINK@TYPE:REFERENCE of a kernel interface. NULL for no such slot. Valid until the
 * slot is freed. */
NSP_API const char *nsp_slot_key(const struct nsp_core *core, uint32_t slot);

/* The slot of an interface, made where there is none. */
NSP_API uint32_t nsp_slot_find(struct nsp_core *core, const char *key);

/* The interface is there: everything wanted on the slot is written. */
NSP_API void nsp_slot_ready(struct nsp_core *core, uint32_t slot, uint32_t netns, int32_t ifindex);

#define NSP_SLOT_DEAD 1	    /* rows put before this are never written again unless put anew (their process has ended) */
#define NSP_SLOT_WITHDRAW 2 /* the link stays: what the kernel has of the rows is deleted */

/* The interface is not there for us, and the kernel's objects have gone with it (or are withdrawn): `state` is NSP_STATE_PENDING with `missing`, a msgpack
 * array of strings, or NSP_STATE_FAILED with errno and text. */
NSP_API void nsp_slot_lost(struct nsp_core *core, uint32_t slot, uint32_t state, const uint8_t *missing, uint32_t missing_len,
			   int32_t error, const char *text, uint32_t flags);

/* Gives the rows that were put on a slot that is not ready their verdict. */
NSP_API void nsp_slot_settle(struct nsp_core *core, uint32_t slot);

#define NSP_JUDGE_REFUSED 0x1  /* what is pending or failed */
#define NSP_JUDGE_GATEWAYS 0x2 /* routes with a gateway or a source, which the kernel may have come to refuse */
#define NSP_JUDGE_ROUTES4 0x4  /* all of these: the kernel has dropped them */
#define NSP_JUDGE_ROUTES6 0x8
#define NSP_JUDGE_NEIGHS 0x10
#define NSP_JUDGE_SOURCES 0x20 /* routes with a preferred source: they go with the address, wherever they leave */

/* Queues the rows that were refused and are due to be tried again: after a second, then after twice as long each time, up to a minute.
 * Returns in how many milliseconds to call it again, or -1: not before the next NSP_NOTICE_RETRY. */
NSP_API long nsp_slot_retry(struct nsp_core *core, uint32_t slot);

/* Has rows written again: of the slots on the link `ifindex` of a namespace or, where that is 0, of all its slots. */
NSP_API void nsp_core_rejudge(struct nsp_core *core, uint32_t netns, int32_t ifindex, uint32_t which);

/* Has the core hear, by nsp_monitor_read, what others do to its routes and neighbours: what was deleted or replaced is written again, and
 * told as "drift/KEY". What fights back is refused for a while: NSP_STATE_RETRYING. The monitor hears of these then, and of links and
 * addresses no more. Let it watch those namespaces only that have routes: each costs all others something for every route. */
NSP_API int nsp_core_hear(struct nsp_core *core, struct nsp_monitor *mon, struct nsp_error *err);

/* The monitor hears this namespace of the core under `nsid` (nsp_monitor_watch). */
NSP_API void nsp_core_netns_heard(struct nsp_core *core, uint32_t netns, int32_t nsid);

/* Has written again what the kernel was heard to drop by itself, on slots that are ready still: to be called when the slots on links that
 * went at the same time have been said to be lost. */
NSP_API void nsp_core_repair(struct nsp_core *core);

struct nsp_slot_info {
	uint32_t ready;
	uint32_t netns;
	int32_t ifindex;
	uint32_t rows;
	uint32_t unsettled; /* rows that are not configured */
};
NSP_API int nsp_slot_info(const struct nsp_core *core, uint32_t slot, struct nsp_slot_info *info);

/* Forgets a slot that has no rows (-EBUSY otherwise). */
NSP_API int nsp_slot_free(struct nsp_core *core, uint32_t slot);

/* ---- what an override replaces ---- */

/* Has the core tell what an override is about to take the place of, and wait until that has been recorded (nsp_core_replace): in the
 * memory of this process alone it would be lost with it. Without, it is replaced at once. */
NSP_API void nsp_core_guard(struct nsp_core *core, uint32_t on);

/* What is to be known since the last call: msgpack maps {key, netns, message, errno, text}, one behind the other. With `message` (bytes) it
 * is to be recorded, with nil forgotten: it has been put back or, with an errno and the kernel's words, could not be. Returns the
 * number of maps; `data` is valid until the next call of a function that reads rows. */
NSP_API long nsp_core_replaced(struct nsp_core *core, const uint8_t **data, size_t *len);

/* The row of this key may take its place now. */
NSP_API void nsp_core_replace(struct nsp_core *core, const char *key);

/* The row has replaced this in an earlier life (in the namespace in which its slot will be ready), and puts it back. -ENOENT where no such
 * row is wanted, -EINVAL where the message is none. */
NSP_API int nsp_core_remember(struct nsp_core *core, const char *key, const uint8_t *message, size_t len);

/* ---- reading rows ---- */

/* Appends, to a buffer of the core, entries of rows whose key begins with `prefix`, in the states of the bit mask `states`
 * (0: all) and of `source` (NULL: all), from `cursor` (0 at first) on: at most `most` (at least 1), and until `bytes` are exceeded.
 * Returns their number; `cursor` is moved, to 0 at the end. `data` is valid until the next call. */
NSP_API long nsp_core_rows(struct nsp_core *core, const char *prefix, uint32_t states, const char *source, uint64_t *cursor,
			   uint32_t most, size_t bytes, const uint8_t **data, size_t *len);

/* The entry of one row by its key: its length, or -ENOENT. */
NSP_API long nsp_core_row(struct nsp_core *core, const char *key, const uint8_t **data);

/* The items (msgpack maps as a `put` has them) of a run of rows of one `origin`, from `cursor` (0 at first) on, until `bytes` are
 * exceeded: together, all that is wanted. Returns their number; `cursor` is moved, to 0 at the end. `data` as above. */
NSP_API long nsp_core_items(struct nsp_core *core, uint64_t *cursor, size_t bytes, uint32_t *origin, const uint8_t **data,
			    size_t *len);

/* The source of an origin, and its generation; NULL where there is no such number. All have one, from 0 on. */
NSP_API const char *nsp_core_origin_source(const struct nsp_core *core, uint32_t origin, uint64_t *generation);

/* What the frame's bulk items or keys would change: a map for each, {key, action, interface, source, generation, state, before, after},
 * where `action` is create, change, unchanged, delete, absent or conflict (with another source; not with NSP_FORCE). `source`,
 * `generation` and `state` are of what there is now (`before`). Returns the number of maps; `data` as above. */
NSP_API long nsp_core_compare(struct nsp_core *core, const struct nsp_frame *frame, uint32_t origin, uint32_t flags,
			      const uint8_t **data, size_t *len);

/* The same for what a sweep would remove: rows of the origin's source that the frame does not name or, where `frame` is NULL, of older
 * generations. */
NSP_API long nsp_core_compare_sweep(struct nsp_core *core, const struct nsp_frame *frame, uint32_t origin, const uint8_t **data,
				    size_t *len);

/* Rows by kind (0 route, 1 arp) and state. */
struct nsp_totals {
	uint64_t rows[2][9];
	uint64_t queued;
	uint64_t written; /* messages sent to the kernel */
	uint64_t batches;
	uint64_t bytes;	       /* of memory held by rows and index */
	uint64_t dropped;      /* changes that nobody fetched in time */
	uint64_t missing;      /* rows that somebody was heard to have deleted */
	uint64_t altered;      /* or changed, or replaced by something else */
	uint64_t longest_hold; /* of the lock between the planner and the writer, by either of them, in ns */
};
NSP_API void nsp_core_totals(struct nsp_core *core, struct nsp_totals *totals);

/* Whether changes of state are noted. */
NSP_API void nsp_core_watch(struct nsp_core *core, uint32_t on);

/* The changes noted since the last call: records of u32 topic length, topic, u32 entry length, entry: "item/KEY" with the pair `previous`,
 * or "drift/KEY" with `found`: missing, altered, stale. Returns their number; `data` is valid until the next call. */
NSP_API long nsp_core_changes(struct nsp_core *core, const uint8_t **data, size_t *len);

/* ---- operations on interfaces, in one queue with the rows ---- */

struct nsp_op {
	uint64_t cookie;
	uint32_t count;	 /* messages */
	uint32_t failed; /* messages that failed */
	int32_t error;	 /* of the first failure, a positive errno; 0 for none */
	uint32_t index;	 /* the message it was, counted over all stages */
	char text[252];
	uint32_t missing;     /* of nsp_op_readback: rows that the kernel had no more */
	uint32_t altered;     /* rows that it had otherwise */
	uint32_t stale;	      /* objects that no row wanted, which were deleted */
	uint64_t nanoseconds; /* how long it took, without what nsp_op_look gave way to */
};

NSP_API struct nsp_op *nsp_op_new(uint64_t cookie);
NSP_API void nsp_op_free(struct nsp_op *op);

#define NSP_STAGE_ALWAYS 1 /* runs even where an earlier stage failed */
#define NSP_STAGE_TRY 2	   /* what fails in it is counted, and is no failure of the operation */

/* Begins a stage: messages for one namespace, sent together. Returns the batch to append to (it grows by itself: call nsp_op_room
 * before each message). A failed stage ends the operation. A deletion of what is not there counts as done. An address whose index is 0 is for the link
 * that nsp_link_get asked for in an earlier stage: so a link can be made and given addresses at once. */
NSP_API struct nsp_batch *nsp_op_stage(struct nsp_op *op, uint32_t netns, uint32_t flags);

/* Makes room for one more message of up to 1 KiB in the current stage. */
NSP_API struct nsp_batch *nsp_op_room(struct nsp_op *op);

/* Makes an operation of one stage and no messages one that reads back what the kernel has of ours in the stage's namespace - routes and
 * permanent neighbours of protocol 110 - and compares it with the rows of the slots that are ready: what differs is written again, and
 * what is there already need not be. Routes that came with addresses of ours are looked for too. `error` says that the kernel could not be
 * read. */
NSP_API void nsp_op_readback(struct nsp_op *op);

/* Has a read back give way, every few hundred objects, to all else that there is to do: one that is made now and then, for what nobody was
 * heard to do. What is put or deleted meanwhile is not looked at. */
NSP_API void nsp_op_look(struct nsp_op *op);

/* Says of a read back that it comes directly behind what another has repaired: what is not as it is to be again has been made so by the
 * kernel. Such rows are NSP_STATE_FAILED with EOPNOTSUPP and say what the kernel has, and are not repaired. */
NSP_API void nsp_op_confirm(struct nsp_op *op);

/* When it is given back: the `i`th address of ours (from 0) whose network had no route to its link any more (the kernel's, which came with
 * the address), and has it again; they are counted in `missing`. -ENOENT past the end. */
NSP_API int nsp_op_lost(const struct nsp_op *op, uint32_t i, struct nsp_addr *addr);

/* Names a link on which it deletes what no row wants (elsewhere such objects may be another agent's). `key` is the interface as it stands
 * in keys: that slot's rows are wanted there, ready or not. Several keys may name one link. */
NSP_API void nsp_op_sweep(struct nsp_op *op, int32_t ifindex, const char *key);

/* Appends to the current stage what an override of an earlier life had replaced (nsp_core_replaced), to be put back in place of ours,
 * though no row is there any more. -ESTALE: its lifetime is over. */
NSP_API int nsp_op_restore(struct nsp_op *op, const uint8_t *message, size_t len);

/* Queues the operation behind everything queued before it, or (`express`) behind other small ones; the core owns it until nsp_core_poll
 * gives it back, whatever its cookie. */
NSP_API void nsp_core_submit(struct nsp_core *core, struct nsp_op *op, uint32_t express);

/* Has the writer begun with an operation that was submitted and not given back? If not, it will find whatever has happened until now. */
NSP_API int nsp_core_has_begun(struct nsp_core *core, const struct nsp_op *op);

/* Has the writer leave the queue alone until it is called with 0: what is submitted and becomes ready meanwhile is found by what is in front
 * of it, such as nsp_op_readback. Small requests and operations go on. */
NSP_API void nsp_core_hold(struct nsp_core *core, uint32_t on);

/* While this is on, small requests that are put or deleted do not wake the writer where it sleeps: a run of them is written together when
 * it is called with 0. A writer that is at work takes them as they come. */
NSP_API void nsp_core_gather(struct nsp_core *core, uint32_t on);

/* What was completed: an operation (the caller frees it), or a request's serial. Returns 1, or 0 where there is nothing. */
struct nsp_done {
	struct nsp_op *op;
	uint32_t serial;
};
NSP_API int nsp_core_poll(struct nsp_core *core, struct nsp_done *done);

/* Blocks until something is completed or `milliseconds` have passed. */
NSP_API int nsp_core_wait(struct nsp_core *core, int milliseconds);
/* cdef: end */

#ifdef __cplusplus
}
#endif

#endif
