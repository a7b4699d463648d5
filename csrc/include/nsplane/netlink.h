/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsplane/netlink.h - Linux network namespaces and rtnetlink at high rate, for agents in C.
 *
 * Stable: a program that was compiled with this header runs with every later library of the same soname. The functions have symbol
 * versions (NSPLANE_0.1: since release 0.1), and structs keep their layout: what is reserved in them is 0, for what is to come.
 *
 * Errors
 * ------
 * A function that can fail returns a negative errno (-ENOENT, -EPERM, ...) and zero or a useful positive number (a descriptor,
 * a count) otherwise. Where the last argument is `struct nsp_error *err` it is filled in on failure only: `code` is the positive
 * errno and `text` a sentence that names the object ("open /run/netns/red: No such file or directory"). `err` may be NULL.
 * Functions without that argument fail in one documented way.
 *
 * Memory
 * ------
 * The caller owns every buffer: a batch wraps memory that it is given, a socket and a monitor are plain structs that hold nothing but
 * descriptors. No function prints, exits or aborts. Where the system has no more memory, descriptors or threads, that is an error as
 * others are (-ENOMEM, -EMFILE, -EAGAIN). Descriptors are opened with O_CLOEXEC.
 *
 * Threads and signals
 * -------------------
 * There is no state outside the objects that the caller holds, and no lock: every function may be called by any thread. One object - a
 * socket, a batch, a monitor - is used by one thread at a time. Callbacks are called by the caller's thread before the function returns,
 * and may not use the socket, batch or monitor that the function was given.
 *
 * The calling thread stays in its namespace, except with nsp_netns_enter and nsp_netns_unshare. What must be done inside another one
 * is done by a thread that enters, acts, and ends before the function returns: nsp_netns_open, _open_name, _create, _create_anonymous,
 * _cookie and _sysctl, nsp_socket_open, nsp_genl_open and nsp_monitor_survey with a descriptor, nsp_monitor_open, nsp_tun_create and
 * _change. All signals are blocked in it.
 *
 * Functions wait for the kernel, which carries out a message before it answers, and for nothing else; nsp_netns_create also for whoever
 * holds /run/netns locked (flock(2)), as `ip netns add` does. A signal cuts no function short. A thread that is in a function must not be
 * cancelled (pthread_cancel(3)).
 *
 * Fork
 * ----
 * After fork(2) parent and child share a socket and what is in its queue: one of them goes on with it, the other closes its copy and
 * opens its own. In the child of a process with several threads only this may be called before exec(3): nsp_netns_enter and
 * nsp_netns_unshare with `err` NULL, the functions that close, and those that build or read messages.
 *
 * Sources: rtnetlink(7), netlink(7), netns(7), setns(2), pidfd_open(2), linux/rtnetlink.h, linux/if_link.h, linux/net_namespace.h.
 */
#ifndef NSPLANE_NETLINK_H
#define NSPLANE_NETLINK_H

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

/* "0.1": of the library that is loaded, which may be newer than this header. A constant. */
NSP_API const char *nsp_version(void);

/* ---- namespaces (netns.c) ---------------------------------------------------------------------------------------------- */

/* A namespace's identity: a path or a PID is only a way to it (stat(2) of the nsfs file). */
struct nsp_netns_id {
	uint64_t dev;
	uint64_t ino;
};

/* In place of a descriptor: the namespace that the caller is in or, of a link's peer, the one that the link is made in. No errno and no
 * descriptor has this value, and any other negative number in place of one is -EBADF. */
#define NSP_NETNS_CURRENT (-10000)

/* Opens a network namespace by an nsfs path. -EINVAL where the file is something else. Returns the descriptor, which the caller closes,
 * as of all functions that open or create. */
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

/* The identity of an open namespace. */
NSP_API int nsp_netns_identify(int fd, struct nsp_netns_id *id, struct nsp_error *err);

/* The number that the kernel gives to a namespace and to no other until the next boot (SO_NETNS_COOKIE, socket(7)): an inode is
 * given to another one as soon as nothing holds the first. */
NSP_API int nsp_netns_cookie(int fd, uint64_t *cookie, struct nsp_error *err);

/* Moves the calling thread, for good, into a namespace: for the child between fork and exec. Nothing happens where the thread is
 * there already (setns would want privileges for it all the same). The process's other threads stay where they are. */
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

/* Does nothing where it is closed already or could not be opened. */
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

/* Makes an empty batch in `cap` bytes at `buf`, which stay the caller's and have to be there as long as the batch is used. */
NSP_API void nsp_batch_init(struct nsp_batch *batch, void *buf, uint32_t cap);

/* Empties it: sending leaves the messages in it. */
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

/* Appends a message as it is (a struct nlmsghdr with its payload, as a dump gave it) as a request of `type` with `flags`: how a
 * remembered object is restored. */
NSP_API int nsp_batch_copy(struct nsp_batch *batch, const void *msg, uint16_t type, uint16_t flags);

#define NSP_DUMP_LINKS 1
#define NSP_DUMP_ADDRS 2
#define NSP_DUMP_ROUTES 3
#define NSP_DUMP_NEIGHS 4
#define NSP_DUMP_NEXTHOPS 5 /* of all families and links */
#define NSP_DUMP_VLANS 6    /* of all bridges and their ports: nsp_link_read reads them */

/* Reads a whole table; repeated (see nsp_reply_fn) when the kernel says that it changed meanwhile, at most 100 times (-EINTR).
 * `family` is 0 for both, AF_INET or AF_INET6; `ifindex` 0 for all; `table` 0 for all (routes only). */
NSP_API int nsp_dump(struct nsp_socket *sock, int what, int family, int ifindex, uint32_t table, nsp_reply_fn reply, void *arg,
		     struct nsp_error *err);

/* Reads the routes of all tables that bear one protocol (RTPROT_*): the kernel leaves the others out. */
NSP_API int nsp_dump_protocol(struct nsp_socket *sock, int family, uint8_t protocol, nsp_reply_fn reply, void *arg,
			      struct nsp_error *err);

/* ---- messages and attributes (message.c) ---------------------------------------------------------------------------------- */

struct nlmsghdr; /* of linux/netlink.h */
struct nlattr;

/* A message, or attributes alone, while they are built. What does not fit is left out and leaves `head` NULL, so it is enough that
 * the end is looked at.
 *
 *	struct tcmsg *tc = nsp_msg_begin(&msg, &batch, RTM_NEWQDISC, NLM_F_CREATE, sizeof(*tc));
 *
 *	if (tc)
 *		tc->tcm_ifindex = index, tc->tcm_parent = TC_H_ROOT;
 *	nsp_attr_put_str(&msg, TCA_KIND, "fq");
 *	rc = nsp_msg_end(&msg, &batch);
 */
struct nsp_msg {
	struct nlmsghdr *head;
	uint8_t *at;
	uint8_t *end;
};

/* Begins a message at the end of the batch, NLM_F_REQUEST being among its flags. Returns its body, all zero, or NULL where that does
 * not fit. Until the message has ended nothing else is to be appended to the batch. */
NSP_API void *nsp_msg_begin(struct nsp_msg *msg, struct nsp_batch *batch, uint16_t type, uint16_t flags, uint32_t body_len);

/* Makes the message part of the batch. Returns its index, or -ENOSPC where a part of it did not fit: the batch is then as before. */
NSP_API int nsp_msg_end(struct nsp_msg *msg, struct nsp_batch *batch);

/* `len` bytes more of the message (not set; the padding behind them is): for what is no attribute, such as a struct rtnexthop. NULL where
 * they do not fit. */
NSP_API void *nsp_msg_take(struct nsp_msg *msg, uint32_t len);

/* Attributes as they stand in a message, `len` bytes: NSP_ATTR_EACH_OF goes through them. */
struct nsp_attrs {
	const void *data;
	uint32_t len;
};

/* Begins attributes that are to be part of a message to come, in `cap` bytes at `buf`, which stay the caller's. */
NSP_API void nsp_attrs_begin(struct nsp_msg *msg, uint32_t *buf, uint32_t cap);

/* Has `attrs` point to them. -ENOSPC where one did not fit. */
NSP_API int nsp_attrs_end(const struct nsp_msg *msg, struct nsp_attrs *attrs);

/* Append an attribute: bytes, a number in the order of the host, one given in the order of the host and put in that of the network, a
 * string with the NUL that ends it. A flag is an attribute of no bytes. */
NSP_API void nsp_attr_put(struct nsp_msg *msg, uint16_t type, const void *data, uint32_t len);
NSP_API void nsp_attr_put_u8(struct nsp_msg *msg, uint16_t type, uint8_t value);
NSP_API void nsp_attr_put_u16(struct nsp_msg *msg, uint16_t type, uint16_t value);
NSP_API void nsp_attr_put_u32(struct nsp_msg *msg, uint16_t type, uint32_t value);
NSP_API void nsp_attr_put_u64(struct nsp_msg *msg, uint16_t type, uint64_t value);
NSP_API void nsp_attr_put_s32(struct nsp_msg *msg, uint16_t type, int32_t value);
NSP_API void nsp_attr_put_be16(struct nsp_msg *msg, uint16_t type, uint16_t value);
NSP_API void nsp_attr_put_be32(struct nsp_msg *msg, uint16_t type, uint32_t value);
NSP_API void nsp_attr_put_str(struct nsp_msg *msg, uint16_t type, const char *text);

/* Opens an attribute that holds attributes: put them, then close it. Some parts of the kernel want NLA_F_NESTED in its type. */
NSP_API struct nlattr *nsp_attr_nest(struct nsp_msg *msg, uint16_t type);
NSP_API void nsp_attr_nest_end(struct nsp_msg *msg, struct nlattr *nest);

/* The body of a message that was received, or NULL where the message is too short to have it. */
NSP_API const void *nsp_msg_body(const struct nlmsghdr *msg, size_t body_len);

/* Is there a whole attribute before `end`? The next one: to be asked of in its turn. See NSP_ATTR_EACH. */
NSP_API int nsp_attr_ok(const struct nlattr *attr, const void *end);
NSP_API const struct nlattr *nsp_attr_next(const struct nlattr *attr);

/* Its type without flags, and the length of its payload, which is attr + 1. */
NSP_API uint16_t nsp_attr_type(const struct nlattr *attr);
NSP_API size_t nsp_attr_len(const struct nlattr *attr);

/* Copies the first `len` bytes of the payload. Returns 1, or 0 where it is shorter: nothing is copied then. */
NSP_API int nsp_attr_get(const struct nlattr *attr, void *out, size_t len);

/* Copies a string, with or without a NUL of its own, and ends it; what does not fit into `cap` bytes (at least 1) is cut off. */
NSP_API void nsp_attr_get_str(const struct nlattr *attr, char *out, size_t cap);
/* cdef: end */

/* All whole attributes of a message behind a body of `body_len` bytes; of `len` bytes at `from`; within an attribute. They want
 * linux/netlink.h. */
#define NSP_ATTR_EACH(attr, msg, body_len)                                                                                         \
	for (attr = (const struct nlattr *)(const void *)((const uint8_t *)((msg) + 1) + (((size_t)(body_len) + 3) & ~(size_t)3)); \
	     nsp_attr_ok(attr, (const uint8_t *)(msg) + (msg)->nlmsg_len); attr = nsp_attr_next(attr))
#define NSP_ATTR_EACH_OF(attr, from, len)                                                                                          \
	for (attr = (const struct nlattr *)(const void *)(from); (len) > 0 && nsp_attr_ok(attr, (const uint8_t *)(from) + (len));  \
	     attr = nsp_attr_next(attr))
#define NSP_ATTR_EACH_IN(attr, nest) NSP_ATTR_EACH_OF(attr, (nest) + 1, nsp_attr_len(nest))

/* cdef: begin */
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
#define NSP_LINK_LINK 0x200
#define NSP_LINK_LINK_NETNSID 0x400
#define NSP_LINK_OPERSTATE 0x800
#define NSP_LINK_ADDR_GEN_MODE 0x1000
#define NSP_LINK_ALTNAMES 0x2000
#define NSP_LINK_DATA 0x4000
#define NSP_LINK_SLAVE_KIND 0x8000
#define NSP_LINK_SLAVE_DATA 0x10000
#define NSP_LINK_NETNS 0x20000
#define NSP_LINK_VLANS 0x40000
#define NSP_LINK_TXQUEUELEN 0x80000
#define NSP_LINK_GSO_MAX_SIZE 0x100000
#define NSP_LINK_GSO_MAX_SEGS 0x200000
#define NSP_LINK_GRO_MAX_SIZE 0x400000
#define NSP_LINK_GSO_IPV4_MAX_SIZE 0x800000
#define NSP_LINK_GRO_IPV4_MAX_SIZE 0x1000000
#define NSP_LINK_PARENT_DEV 0x8000000

struct nsp_link {
	uint32_t fields; /* NSP_LINK_*: which of these are given */
	int32_t index;
	char name[16];
	char kind[16];
	char slave_kind[16]; /* read only: its master's */
	uint32_t up;	     /* IFF_UP: 0 or 1 */
	uint32_t mtu;
	uint8_t mac[32];
	uint8_t mac_len; /* 6, which may be given as 0, or what a kind other than Ethernet has: 4, 16 (tunnels), 20 (infiniband) */
	uint8_t addr_gen_mode; /* IN6_ADDR_GEN_MODE_*: what a link-local address is made of, 1 for none */
	uint8_t operstate;     /* read only: IF_OPER_*, RFC 2863 */
	uint8_t loopback;      /* read only: IFF_LOOPBACK */
	int32_t master;	       /* an ifindex; 0 is none */
	uint32_t group;
	int32_t link;		     /* the lower link's index, given at birth only; read also: the other end's */
	int32_t link_netnsid;	     /* where that is, where it is another namespace: the number that it has in this one */
	int32_t netns;		     /* where it is moved to by nsp_link_change: a descriptor, open until the message is sent */
	struct nsp_attrs data;	     /* what it is of its kind: IFLA_INFO_DATA */
	struct nsp_attrs slave_data; /* and as a port of its master: IFLA_INFO_SLAVE_DATA */
	struct nsp_attrs altnames;   /* its other names, each IFLA_ALT_IFNAME: given to nsp_link_altnames_add and _delete only */
	char alias[128];
	char parent_dev[32]; /* read only: the device that it is a link of, such as 0000:3b:00.0; what is longer is cut off */
	/* IFLA_AF_SPEC of a bridge or its port, to a bridge: given to nsp_link_vlans_add and _delete only */
	struct nsp_attrs vlans;
	uint32_t txqueuelen;
	uint32_t gso_max_size;
	uint32_t gso_max_segs;
	uint32_t gro_max_size;
	/* Since Linux 6.3: an older kernel takes these two without a word, and tells of none. */
	uint32_t gso_ipv4_max_size;
	uint32_t gro_ipv4_max_size;
	uint32_t reserved[14]; /* 0: the fields to come */
};

/* RTM_NEWLINK that creates `link` (NAME and KIND are needed). `peer`, for a veth and its like, is born in the namespace `netns`, a
 * descriptor that has to stay open until the message is sent, or NSP_NETNS_CURRENT: where the batch is sent. Without `peer`, `link` itself
 * is born there, and LINK is looked for where the batch is sent: so a link may stand on one of another namespace. Honoured on both ends at
 * birth: NAME, MAC, MTU, GROUP, TXQUEUELEN, G[SR]O_*. UP, MASTER, LINK, LINK_NETNSID and DATA only on `link`; ALIAS, ADDR_GEN_MODE and SLAVE_DATA on neither
 * (the kernel ignores them in silence), so follow it with nsp_link_change. Where a link is born elsewhere, or stands on one elsewhere, older
 * kernels (6.12) want NAME to be free in both namespaces. */
NSP_API int nsp_link_create(struct nsp_batch *batch, const struct nsp_link *link, const struct nsp_link *peer, int netns);

/* RTM_NEWLINK without NLM_F_CREATE: sets the fields given. The link is INDEX, where given, and NAME then is its new name; otherwise NAME.
 * DATA wants KIND beside it. What is not among the attributes of DATA or SLAVE_DATA stays as it is. SLAVE_DATA is for the master that the
 * link had before the message. The kernel sets UP before ADDR_GEN_MODE: of a link that goes up with the same message, the link-local
 * address is made nevertheless. LINK and LINK_NETNSID stay as they were at birth. With NETNS the link is moved, and goes by NAME there. */
NSP_API int nsp_link_change(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_DELLINK of INDEX or, where not given, of NAME. */
NSP_API int nsp_link_delete(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_DELLINK of all links in `group`, together: one grace period in place of one a link. */
NSP_API int nsp_link_delete_group(struct nsp_batch *batch, uint32_t group);

/* RTM_NEWLINKPROP and RTM_DELLINKPROP: gives INDEX or NAME these ALTNAMES (-EEXIST where a link has one as a name), or takes them away. */
NSP_API int nsp_link_altnames_add(struct nsp_batch *batch, const struct nsp_link *link);
NSP_API int nsp_link_altnames_delete(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_SETLINK and RTM_DELLINK of AF_BRIDGE: has INDEX, a bridge or a port of one, be in VLANS, or no more. They are IFLA_BRIDGE_VLAN_INFO,
 * and of a bridge itself IFLA_BRIDGE_FLAGS with BRIDGE_FLAGS_SELF besides (linux/if_bridge.h); the VLANs that are not named stay. The
 * verdict of a kernel without VLANs of bridges is -EOPNOTSUPP. */
NSP_API int nsp_link_vlans_add(struct nsp_batch *batch, const struct nsp_link *link);
NSP_API int nsp_link_vlans_delete(struct nsp_batch *batch, const struct nsp_link *link);

/* RTM_GETLINK of INDEX or NAME. */
NSP_API int nsp_link_get(struct nsp_batch *batch, const struct nsp_link *link);

/* Reads a RTM_NEWLINK or RTM_DELLINK message. -EINVAL where it is another or malformed. The attributes stay where they are, in the
 * message. VLANS, which may be none, are in the messages of bridges (AF_BRIDGE) alone. */
NSP_API int nsp_link_read(const void *msg, struct nsp_link *link);

/* ---- tun and tap (tun.c): links of which a process reads and writes the packets; /dev/net/tun makes them, and no message ------- */

#define NSP_TUN_ANYBODY 0xffffffffu

struct nsp_tun {
	char name[16];
	uint32_t flags; /* of linux/if_tun.h: IFF_TUN or IFF_TAP, with IFF_NO_PI, IFF_VNET_HDR and IFF_MULTI_QUEUE */
	uint32_t owner; /* a user and a group without whom it takes CAP_NET_ADMIN to open it; without either anybody may */
	uint32_t group;
	uint32_t reserved[5]; /* 0 */
};

/* Makes one in the namespace `netns_fd` (or NSP_NETNS_CURRENT) and returns a descriptor of its first queue, which the caller reads, writes
 * and closes. The link goes with its last descriptor, unless it is told to stay: so it can be given what else it needs before. -EEXIST
 * where a link has the name, of whatever kind; -EOPNOTSUPP where there is no /dev/net/tun or no driver behind it; -EINVAL of a name or
 * flags that cannot be. */
NSP_API int nsp_tun_create(int netns_fd, const struct nsp_tun *tun, struct nsp_error *err);

/* Has the link of this descriptor stay when the last one is closed, until it is deleted as others are. */
NSP_API int nsp_tun_persist(int fd, struct nsp_error *err);

/* Gives one that is there, with the name and flags that it has, to another owner and group; NSP_TUN_ANYBODY leaves what it has: the kernel
 * takes neither away. It is opened for that: -EBUSY where a process has the only queue. -ENODEV where there is none of this name, -EINVAL
 * where it is no such link or has other flags (IFF_NO_PI and IFF_VNET_HDR are set as they are given). */
NSP_API int nsp_tun_change(int netns_fd, const struct nsp_tun *tun, struct nsp_error *err);

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

/* RTM_DELADDR of the address with this link, local address, peer and prefix length. */
NSP_API int nsp_addr_delete(struct nsp_batch *batch, const struct nsp_addr *addr);

/* Reads a RTM_NEWADDR or RTM_DELADDR message. -EINVAL where it is another or malformed. */
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

/* RTM_NEWROUTE. -EINVAL, and nothing is appended, where `family` is neither AF_INET nor AF_INET6: so of all that has one. */
NSP_API int nsp_route_put(struct nsp_batch *batch, const struct nsp_route *route, int mode);

/* RTM_DELROUTE of the route with this destination, table, metric, output link and protocol (where not 0), whatever its source. Of an
 * IPv6 route with NSP_ROUTE_GATEWAY this next hop goes alone, without it all of them; of an IPv4 route the gateway is not looked at.
 * An IPv4 route of metric 0 cannot be told from others: where there is none, the kernel deletes the first of another metric. With
 * NLM_F_ECHO set on the message, a reply tells which has gone: the RTM_DELROUTE of that. */
NSP_API int nsp_route_delete(struct nsp_batch *batch, const struct nsp_route *route);

/* -EINVAL: not a route message; -EOPNOTSUPP: a route that this struct cannot hold (multipath, cloned, another type or family). */
NSP_API int nsp_route_read(const void *msg, struct nsp_route *route);

/* One of several next hops. */
struct nsp_hop {
	int32_t oif;
	uint16_t weight; /* 1 to 256 */
	uint16_t onlink; /* 1: the gateway is on the link, though no route says so */
	uint8_t gateway[16];
};

/* The same with several next hops, which the route's own (`oif`, `gateway`, NSP_ROUTE_GATEWAY and _ONLINK) is not one of. Deleted goes an
 * IPv4 route that has the first of them, whatever the others; of an IPv6 one these go, and others that it has stay. */
NSP_API int nsp_route_put_hops(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops, uint32_t count,
			       int mode);
NSP_API int nsp_route_delete_hops(struct nsp_batch *batch, const struct nsp_route *route, const struct nsp_hop *hops,
				  uint32_t count);

/* nsp_route_read of a route of several next hops too: returns how many they are, 0 of any other. The route's own is then the first of
 * them. -EOPNOTSUPP where they are more than `cap`, or one of them is such as the struct cannot hold. */
NSP_API int nsp_route_read_hops(const void *msg, struct nsp_route *route, struct nsp_hop *hops, uint32_t cap);

/* A route by the number of a nexthop object, which its `oif` and `gateway` have no say in; NSP_PUT_* as above. */
NSP_API int nsp_route_put_by(struct nsp_batch *batch, const struct nsp_route *route, uint32_t nexthop, int mode);

/* Reads such a route, and the number: of the next hops that it stands for the route says nothing. -EOPNOTSUPP of any other. */
NSP_API int nsp_route_read_by(const void *msg, struct nsp_route *route, uint32_t *nexthop);

/* A route of the whole namespace, by which packets go nowhere: `type` is RTN_BLACKHOLE, _UNREACHABLE, _PROHIBIT or _THROW, -EINVAL for
 * another. `oif` and `gateway` have no say in it. */
NSP_API int nsp_route_put_type(struct nsp_batch *batch, const struct nsp_route *route, uint8_t type, int mode);

/* Reads such a route, and returns its type. -EOPNOTSUPP of any other. */
NSP_API int nsp_route_read_type(const void *msg, struct nsp_route *route);

/* ---- nexthop objects (nexthop.c): what many routes share; it goes with its link, and its routes with it. ------------------ */

struct nsp_nexthop {
	uint32_t id; /* not 0 */
	uint8_t family;
	uint8_t proto;
	uint16_t reserved;
	struct nsp_hop hop; /* its weight says nothing */
};

/* One of a group. */
struct nsp_nexthop_member {
	uint32_t id;
	uint16_t weight; /* 1 to 256 */
	uint16_t reserved;
};

/* RTM_NEWNEXTHOP of one next hop, and of a group of such. */
NSP_API int nsp_nexthop_put(struct nsp_batch *batch, const struct nsp_nexthop *nexthop, int mode);
NSP_API int nsp_nexthop_put_group(struct nsp_batch *batch, uint32_t id, uint8_t proto, const struct nsp_nexthop_member *members,
				  uint32_t count, int mode);

/* RTM_DELNEXTHOP: all routes by it go too, without a word. */
NSP_API int nsp_nexthop_delete(struct nsp_batch *batch, uint32_t id);

/* Returns how many members it has, 0 where it is one next hop itself; -EINVAL: not a message of a nexthop; -EOPNOTSUPP: one without a
 * gateway, with a tunnel, of another sort of group or of more than `cap` members: its `id` and `proto` are read all the same. */
NSP_API int nsp_nexthop_read(const void *msg, struct nsp_nexthop *nexthop, struct nsp_nexthop_member *members, uint32_t cap);

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

/* RTM_NEWNEIGH; `mode` as of a route. */
NSP_API int nsp_neigh_put(struct nsp_batch *batch, const struct nsp_neigh *neigh, int mode);

/* RTM_DELNEIGH and RTM_GETNEIGH of the neighbour with this link and `dst`. */
NSP_API int nsp_neigh_delete(struct nsp_batch *batch, const struct nsp_neigh *neigh);
NSP_API int nsp_neigh_get(struct nsp_batch *batch, const struct nsp_neigh *neigh);

/* Reads a RTM_NEWNEIGH or RTM_DELNEIGH message. -EINVAL where it is another or malformed. */
NSP_API int nsp_neigh_read(const void *msg, struct nsp_neigh *neigh);

/* ---- monitor (monitor.c) --------------------------------------------------------------------------------------------------- */

/* What somebody did to a route or neighbour (a struct nlmsghdr; valid during the call): see nsp_core_listen in nsplane/core.h. */
typedef void (*nsp_heard_fn)(void *arg, int32_t nsid, const void *msg);

/* Where the attributes of links are put that events point to: `cap` bytes at `buf`, of which `len` are used. With `buf` NULL they are put
 * nowhere: links have no DATA, SLAVE_DATA, ALTNAMES and VLANS then. */
struct nsp_room {
	uint32_t *buf;
	uint32_t cap;
	uint32_t len;
};

/* Hears links and addresses of many namespaces on one socket (NETLINK_LISTEN_ALL_NSID). The socket lives in a namespace of its
 * own, in which the watched ones get their nsids, so nothing is left in anybody else's. `room` has no memory when it is opened; the caller
 * may give it some, NSP_ROOM_MIN bytes or more. */
struct nsp_monitor {
	int fd;
	struct nsp_room room;  /* filled anew by each nsp_monitor_read */
	struct nsp_socket ids; /* where nsids are given */
	uint32_t portid;       /* whose changes are not heard */
	nsp_heard_fn heard;    /* of a core; NULL otherwise */
	void *heard_arg;
};

#define NSP_ROOM_MIN 16384

#define NSP_EVENT_LINK 1
#define NSP_EVENT_LINK_GONE 2
#define NSP_EVENT_ADDR 3
#define NSP_EVENT_ADDR_GONE 4
#define NSP_EVENT_VLANS 5 /* in which a bridge, or a port of one, is now: the link's INDEX and VLANS */

#define NSP_SAW_DOWN 0x1       /* the link was seen down */
#define NSP_SAW_MAC 0x2	       /* more than one MAC was seen */
#define NSP_SAW_LOW_MTU 0x4    /* an MTU under 1280 was seen */
#define NSP_SAW_NO_CARRIER 0x8 /* it was seen up and without carrier */

struct nsp_event {
	uint32_t type; /* NSP_EVENT_* */
	int32_t nsid;
	uint32_t saw; /* NSP_SAW_*: consecutive events of one link are one here, and this is what happened on the way */
	struct nsp_link link;
	struct nsp_addr addr;
};

NSP_API int nsp_monitor_open(struct nsp_monitor *mon, struct nsp_error *err);

/* Does nothing where it is closed already or could not be opened. */
NSP_API void nsp_monitor_close(struct nsp_monitor *mon);

/* Begins to hear a namespace. Returns its nsid (zero or more). Read its tables after this call, not before. */
NSP_API int nsp_monitor_watch(struct nsp_monitor *mon, int netns_fd, struct nsp_error *err);

/* Reads what came, without waiting, as much as there is room for. Returns the number of events, 0 where there is nothing, -ENOBUFS
 * where some were lost: read the tables of all watched namespaces again. */
NSP_API int nsp_monitor_read(struct nsp_monitor *mon, struct nsp_event *events, int cap, struct nsp_error *err);

/* Reads the links and then the addresses of a namespace, and the VLANs of bridges, as events. Returns how many there are, and leaves in room->len how many bytes
 * their attributes take. What does not fit is left out, so call again with more where either is larger than what was given. `room`
 * may be NULL. */
NSP_API long nsp_monitor_survey(int netns_fd, struct nsp_event *events, long cap, struct nsp_room *room, struct nsp_error *err);

/* ---- generic netlink (genl.c): families by name, such as `ethtool` and `wireguard` ---------------------------------------- */

/* A request to a family, or what came in answer. The attributes are the family's own: build them with nsp_attrs_begin, read them with
 * NSP_ATTR_EACH_OF. */
struct nsp_genl {
	uint16_t family; /* its number: nsp_genl_family */
	uint8_t command;
	uint8_t version; /* 1 of most families */
	struct nsp_attrs attrs;
};

/* Opens a socket of generic netlink in the namespace `netns_fd` (or NSP_NETNS_CURRENT). It takes batches of nsp_genl_put as another one
 * takes those of links, and is closed as another one. */
NSP_API int nsp_genl_open(struct nsp_socket *sock, int netns_fd, struct nsp_error *err);

/* The number of the family with this name: the same in all namespaces, and until its module is unloaded. -ENOENT where the kernel has none,
 * nor a module for it. */
NSP_API int nsp_genl_family(struct nsp_socket *sock, const char *name, struct nsp_error *err);

/* Appends a request with these flags (NLM_F_*). For nsp_batch_send, which takes no dumps. */
NSP_API int nsp_genl_put(struct nsp_batch *batch, const struct nsp_genl *request, uint16_t flags);

/* Sends one request and waits for what comes of it. Returns how many answers there were, and leaves them in the room: whole messages, one
 * behind the other (NLMSG_NEXT), to be read with nsp_genl_read. With NLM_F_DUMP among the flags all that the family has is read, as often as
 * the kernel says that it changed meanwhile. room->len says what all of them take; what does not fit is left out, so ask again with more.
 * `room` may be NULL. What the kernel refuses is the error, with its own sentence. */
NSP_API long nsp_genl_request(struct nsp_socket *sock, const struct nsp_genl *request, uint16_t flags, struct nsp_room *room,
			      struct nsp_error *err);

/* Reads a message of a family. -EINVAL where it is too short. The attributes stay where they are, in the message. */
NSP_API int nsp_genl_read(const void *msg, struct nsp_genl *genl);
/* cdef: end */

#ifdef __cplusplus
}
#endif

#endif
