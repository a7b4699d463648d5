/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsplane/core.h - rows, slots, operations and requests: what nsplane's engine is made of.
 *
 * Unstable: functions, structs and numbers change with any release, under the same soname. They are in the version node NSPLANE_PRIVATE
 * of the library, and a program that uses them is built anew with each release. Errors are told as in nsplane/netlink.h.
 *
 * Memory
 * ------
 * Cores, frames and operations have memory of their own, which the functions ending in _free give back. Where memory cannot be had the
 * process is aborted: a table of items from which one is missing would be worse. What a function hands out a pointer to is the object's,
 * and valid as long as is said there.
 *
 * Threads
 * -------
 * One thread at a time calls the functions of a core and of its frames and operations; it is called the planner. The core has a thread
 * of its own, the writer, in which all signals are blocked. The two share a lock: a function waits for it while the writer fills a
 * batch or writes down what became of one (struct nsp_totals, longest_hold), never while the kernel works. The functions that wait for
 * the kernel themselves are nsp_core_netns_create and nsp_core_survey; nsp_core_free waits for the writer to finish its batch, and
 * nsp_core_wait as long as it is told.
 *
 * Fork
 * ----
 * After fork(2) a core is the parent's: its writer is not in the child, and its table may have been caught in mid-change. In the child
 * nsp_core_free does nothing, and no other function of the core may be called, nor one of an operation that was submitted to it. Frames
 * and other operations are plain memory there as well.
 */
#ifndef NSPLANE_CORE_H
#define NSPLANE_CORE_H

#include <nsplane/netlink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cdef: begin */
/* ---- frames: the one decoder of bulk items (frame.c, schema.c) ------------------------------------------------------------ */

/* A request as it came over the bus, one msgpack map, decoded: routes and ARP entries (or their keys), each for itself or in blocks, into
 * records, everything else left as spans of the frame for the engine. One frame object is used again for every request; not
 * thread-safe. */
struct nsp_frame;

struct nsp_frame_view {
	const uint8_t *envelope; /* the map without `items` and `keys` */
	size_t envelope_len;
	uint32_t count;	  /* items or keys in the request, each of a block for itself */
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

#define NSP_NO_OFFSET 0xffffffff

struct nsp_fault {
	uint32_t index;	 /* position in the request */
	uint32_t offset; /* and in the block that stands there; NSP_NO_OFFSET where that is none, or wrong as a whole */
	char field[32];	 /* "" where the item as a whole is wrong */
	char text[160];
	const char *key; /* where it can be read, or NULL */
	/* The item or key as it came, of a block the one item as a map of its own: `len` bytes of msgpack, or NULL where that is long. */
	const uint8_t *data;
	uint32_t len;
};

NSP_API struct nsp_frame *nsp_frame_new(void);
NSP_API void nsp_frame_free(struct nsp_frame *frame);

/* Decodes `data`, which has to stay where it is until the frame is read again. -EBADMSG where it is not one msgpack map or an
 * `items`/`keys` is not an array: err->text says where. Faulty items are no failure: they are counted in `invalid`, up to 65,536
 * of them in one request; as many may be left to the engine. With blocks, 1,048,576 are the most. */
NSP_API int nsp_frame_read(struct nsp_frame *frame, const uint8_t *data, size_t len, struct nsp_error *err);
NSP_API void nsp_frame_view(const struct nsp_frame *frame, struct nsp_frame_view *view);
NSP_API int nsp_frame_other(const struct nsp_frame *frame, uint32_t i, struct nsp_span *span);
/* What it points to is valid until the next call. */
NSP_API int nsp_frame_fault(struct nsp_frame *frame, uint32_t i, struct nsp_fault *fault);

/* nsp_frame_read, for who sends it: 1 where it is a plain request (see nsp_turn_read) in which nothing is refused here; else 0, and to be
 * looked at. */
NSP_API int nsp_frame_check(struct nsp_frame *frame, const uint8_t *data, size_t len);

/* The fields of the bulk kinds, for documents and stubs: field `field` of kind `kind` (both from 0), -ENOENT past the end. */
struct nsp_field_info {
	char kind[16];
	char name[16];
	char type[24];
	char about[120];
	uint32_t required;
	uint32_t min, max; /* of numbers */
	uint32_t width;	   /* of its values in a column of a block, where addresses are IPv4: bytes, or 0: it is none */
	uint32_t width6;   /* the same where they are IPv6 */
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

/* "configured" of NSP_STATE_CONFIGURED, as items and events have it: a constant. NULL for a number that is none of them. */
NSP_API const char *nsp_state_name(uint32_t state);

NSP_API struct nsp_core *nsp_core_new(struct nsp_error *err);

/* Stops the writer after the batch it is at and frees everything. The kernel is left as it is. In a forked child, which has a copy that
 * may have been caught in mid-change and no writer, it does nothing, and nothing else may be called: the core is the parent's. A monitor
 * that hears for the core (nsp_core_listen) is not to be read any more. */
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
NSP_API long nsp_core_survey(struct nsp_core *core, uint32_t id, struct nsp_event *events, long cap, struct nsp_room *room,
			     struct nsp_error *err);

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

/* ---- turns: many requests at once (turn.c, answers.c) ---- */

/* The requests of many messages. Plain ones - puts and deletes of bulk items or keys that are neither atomic nor to be confirmed and
 * have nothing unusual - are carried out by one call, and their answers fetched by one; the others are left to the engine. One turn
 * object is used again and again; not thread-safe. */
struct nsp_turn;

struct nsp_message {
	const uint8_t *data; /* one request, or a msgpack array of them; stays where it is as long as the turn is used */
	size_t len;
	uint64_t number;   /* the caller's own, which the answers have */
	uint32_t requests; /* given back: how many there are in it */
	uint32_t gathered; /* whether it is an array */
};

/* Requests one behind the other that are plain, of one op and one source; or that are not plain. */
struct nsp_run {
	uint32_t first;
	uint32_t count;
	uint32_t plain;
	uint32_t deletes;
	uint32_t source_len;
	const uint8_t *source; /* in a message, or a constant */
};

struct nsp_turn_request {
	const uint8_t *data; /* in its message */
	size_t len;
	uint32_t message;	 /* whose it is: an index of these */
	struct nsp_frame *frame; /* decoded; NULL where it is no request */
	const char *text;	 /* why it is none */
};

#define NSP_GATHERED_MAX 1024 /* requests in an array */
#define NSP_EXPRESS_ITEMS 16  /* a request of at most so many items may overtake what is queued for the writer */

NSP_API struct nsp_turn *nsp_turn_new(void);
NSP_API void nsp_turn_free(struct nsp_turn *turn);

/* Decodes messages. With `only_one` each is one request, and none is plain. What is no array of requests though it begins as one is one
 * request that is none. Returns the number of `runs`, which are valid until the next call. */
NSP_API uint32_t nsp_turn_read(struct nsp_turn *turn, struct nsp_message *messages, uint32_t count, uint32_t only_one,
			       const struct nsp_run **runs);
NSP_API void nsp_turn_request(struct nsp_turn *turn, uint32_t number, struct nsp_turn_request *view);

/* The bytes of `count` requests from `first` on: of one as they came, of more as a msgpack array. Returns how many there are; `data` is valid
 * until the next call. */
NSP_API size_t nsp_turn_record(struct nsp_turn *turn, uint32_t first, uint32_t count, const uint8_t **data);

/* Carries plain requests out, a run or a part of one: their revisions are `revision` and those that follow. */
NSP_API void nsp_turn_commit(struct nsp_core *core, struct nsp_turn *turn, uint32_t first, uint32_t count, uint64_t revision,
			     const struct nsp_message *messages);

/* What there is to say to plain requests of one message, one behind the other in `data`: the answer or, where it was an array, an array of
 * them. */
struct nsp_answer {
	uint64_t message;
	uint64_t requests;	    /* that this ends, for whoever counts them */
	uint64_t unanswered_errors; /* items that failed, of requests that want no answer */
	uint64_t answered;
	uint64_t len;
};

struct nsp_answers {
	uint32_t count;
	uint32_t ended; /* requests that have all their verdicts since the last call */
	const struct nsp_answer *list;
	const uint8_t *data;
	size_t len;
	const uint8_t *ends; /* of each that has ended [revision, counts, seconds, nil], msgpack, one behind the other */
	size_t ends_len;
	uint64_t last; /* the highest revision of these */
};

/* Fetches the answers that there are since the last call; all that is handed out is valid until the next. nsp_core_fd is readable when
 * there are some. */
NSP_API void nsp_core_answers(struct nsp_core *core, struct nsp_answers *answers);

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

/* The slot's key: NAME of an interface item, LINK@TYPE:REFERENCE of a kernel interface, @TYPE:REFERENCE of a namespace itself, or @ of the
 * agent's own. NULL for no such slot. Valid until the
 * slot is freed. */
NSP_API const char *nsp_slot_key(const struct nsp_core *core, uint32_t slot);

/* The slot of an interface, made where there is none. */
NSP_API uint32_t nsp_slot_find(struct nsp_core *core, const char *key);

/* The interface (of a namespace: 0) is there: everything wanted on the slot is written. */
NSP_API void nsp_slot_ready(struct nsp_core *core, uint32_t slot, uint32_t netns, int32_t ifindex);
/* The same of a link in a VRF of this routing table, to which its routes go that name no table; 0: in none. */
NSP_API void nsp_slot_ready_in_vrf(struct nsp_core *core, uint32_t slot, uint32_t netns, int32_t ifindex, uint32_t table);

#define NSP_SLOT_DEAD 1	    /* rows put before this are never written again unless put anew (their process has ended) */
#define NSP_SLOT_WITHDRAW 2 /* the link stays: what the kernel has of the rows is deleted */

/* The interface is not there for us, and the kernel's objects have gone with it (or are withdrawn): `state` is NSP_STATE_PENDING with `missing`, a msgpack
 * array of strings, or NSP_STATE_FAILED with errno and text. */
NSP_API void nsp_slot_lost(struct nsp_core *core, uint32_t slot, uint32_t state, const uint8_t *missing, uint32_t missing_len,
			   int32_t error, const char *text, uint32_t flags);

/* Gives the rows that were put on a slot that is not ready their verdict. */
NSP_API void nsp_slot_settle(struct nsp_core *core, uint32_t slot);

#define NSP_RECHECK_REFUSED 0x1	 /* what is pending or failed */
#define NSP_RECHECK_GATEWAYS 0x2 /* routes with a gateway or a source, which the kernel may have come to refuse */
#define NSP_RECHECK_ROUTES4 0x4	 /* all of these: the kernel has dropped them */
#define NSP_RECHECK_ROUTES6 0x8
#define NSP_RECHECK_NEIGHS 0x10
#define NSP_RECHECK_NEXTHOPS                                                                                                       \
	0x40 /* the kernel has dropped the nexthop objects of a link, and the routes by them: it had no carrier */
#define NSP_RECHECK_SOURCES 0x20 /* routes with a preferred source: they go with the address, wherever they leave */
#define NSP_RECHECK_FDB 0x40	 /* as the first ones */

/* Queues the rows that were refused and are due to be tried again: after a second, then after twice as long each time, up to a minute.
 * Returns in how many milliseconds to call it again, or -1: not before the next NSP_NOTICE_RETRY. */
NSP_API long nsp_slot_retry(struct nsp_core *core, uint32_t slot);

/* Has rows written again: of the slots on the link `ifindex` of a namespace or, where that is 0, of all its slots. */
NSP_API void nsp_core_recheck(struct nsp_core *core, uint32_t netns, int32_t ifindex, uint32_t which);

/* Whether routes that share their next hops go by nexthop objects, where the kernel has them: off at first. What was written otherwise stays
 * as it is. The caller then has to tell when a link of a route is without carrier: nsp_core_recheck with NSP_RECHECK_NEXTHOPS. */
NSP_API void nsp_core_nexthop_objects(struct nsp_core *core, uint32_t on);

/* Has the core hear, by nsp_monitor_read, what others do to its routes and neighbours: what was deleted or replaced is written again, and
 * told as "drift/KEY". What fights back is refused for a while: NSP_STATE_RETRYING. The monitor hears of these then, and of links and
 * addresses no more. Let it watch those namespaces only that have routes: each costs all others something for every route. */
NSP_API int nsp_core_listen(struct nsp_core *core, struct nsp_monitor *mon, struct nsp_error *err);

/* The monitor hears this namespace of the core under `nsid` (nsp_monitor_watch). */
NSP_API void nsp_core_netns_nsid(struct nsp_core *core, uint32_t netns, int32_t nsid);

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

/* Is a row of a slot that is ready, and is not configured, still to be written or just being written? The number of such a row, for the next
 * call, which looks at that one first (0 at first); 0 where there is none. */
NSP_API uint32_t nsp_slot_busy(struct nsp_core *core, uint32_t slot, uint32_t row);

/* Has the descriptor become readable when the writer has done something next, once. */
NSP_API void nsp_core_await_writer(struct nsp_core *core);

/* Forgets a slot that has no rows (-EBUSY otherwise). */
NSP_API int nsp_slot_free(struct nsp_core *core, uint32_t slot);

/* ---- what an override replaces ---- */

/* Has the core tell what an override is about to take the place of, and wait until that has been recorded (nsp_core_replace): in the
 * memory of this process alone it would be lost with it. Without, it is replaced at once. */
NSP_API void nsp_core_record_replaced(struct nsp_core *core, uint32_t on);

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

/* Rows by kind (the number that nsp_schema_field has for it) and state. */
struct nsp_totals {
	uint64_t rows[8][9];
	uint64_t queued;
	uint64_t written; /* messages sent to the kernel */
	uint64_t batches;
	uint64_t bytes;		      /* of memory held by rows and index */
	uint64_t dropped;	      /* changes that nobody fetched in time */
	uint64_t missing;	      /* rows that somebody was heard to have deleted */
	uint64_t altered;	      /* or changed, or replaced by something else */
	uint64_t longest_hold;	      /* of the lock between the planner and the writer, by either of them, in ns */
	uint64_t longest_hold_lately; /* the same of the last minute or two */
};
NSP_API void nsp_core_totals(struct nsp_core *core, struct nsp_totals *totals);

/* How long things took: how many up to each bound (nsp_bucket_bound) and above the one before, the last beyond all; and the sum. */
struct nsp_histogram {
	uint64_t counts[17];
	uint64_t nanoseconds;
};

/* In ns; 0 of the last, which has none. */
NSP_API uint64_t nsp_bucket_bound(uint32_t bucket);

#define NSP_BUSIEST 16
#define NSP_PERIOD_SECONDS 2

/* So many items were put on (or of, or deleted there) in the last whole period; 0 where there are no more. */
struct nsp_busy {
	uint32_t number;
	uint32_t items;
};

/* For whoever watches; more than nsp_core_totals, and dearer: it goes through all slots. */
struct nsp_figures {
	struct nsp_histogram requests[2]; /* plain ones, puts and deletes: from when they were taken in to their last verdict */
	struct nsp_histogram batches;	  /* of rows: for how long the kernel had one */
	uint64_t errors[8][256];	  /* how often rows were not as they should be since an errno, by kind as in nsp_totals */
	uint64_t drift[8][3];		  /* what was found missing, altered and stale, by kind */
	uint64_t taken;			  /* items */
	struct nsp_busy slots[16];	  /* the busiest first */
	struct nsp_busy netns[16];	  /* those of slots that are ready */
	struct nsp_busy origins[16];
};
NSP_API void nsp_core_figures(struct nsp_core *core, struct nsp_figures *figures);

/* The caller has taken so many items of an origin in that are no rows. */
NSP_API void nsp_core_took_others(struct nsp_core *core, uint32_t origin, uint32_t items);

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
	uint64_t nanoseconds; /* how long it took, without what nsp_op_inspect gave way to */
};

NSP_API struct nsp_op *nsp_op_new(uint64_t cookie);
NSP_API void nsp_op_free(struct nsp_op *op);

#define NSP_STAGE_ALWAYS 1  /* runs even where an earlier stage failed */
#define NSP_STAGE_TRY 2	    /* what fails in it is counted, and is no failure of the operation */
#define NSP_STAGE_GENERIC 4 /* its messages are of generic netlink (nsp_genl_put), and of no other sort */

/* Begins a stage: messages for one namespace, sent together. Returns the batch to append to (it grows by itself: call nsp_op_room
 * before each message). A failed stage ends the operation. A deletion of what is not there counts as done. An address whose index is 0 is for the link
 * that nsp_link_get asked for in an earlier stage: so a link can be made and given addresses at once. */
NSP_API struct nsp_batch *nsp_op_stage(struct nsp_op *op, uint32_t netns, uint32_t flags);

/* Makes room for one more message of up to 1 KiB in the current stage, or of up to so many bytes. */
NSP_API struct nsp_batch *nsp_op_room(struct nsp_op *op);
NSP_API struct nsp_batch *nsp_op_reserve(struct nsp_op *op, uint32_t bytes);

/* Has the current stage begin with a tun or tap that is made, or (not `create`) given to another owner and group. One that is made stays only
 * when all messages of the stage have been carried out. */
NSP_API void nsp_op_tun(struct nsp_op *op, const struct nsp_tun *tun, uint32_t create);

/* Makes an operation of one stage and no messages one that reads back what the kernel has of ours in the stage's namespace - routes and
 * permanent neighbours of protocol 110 - and compares it with the rows of the slots that are ready: what differs is written again, and
 * what is there already need not be. Routes that came with addresses of ours are looked for too. `error` says that the kernel could not be
 * read. */
NSP_API void nsp_op_readback(struct nsp_op *op);

/* Has a read back give way, every few hundred objects, to all else that there is to do: one that is made now and then, for what nobody was
 * heard to do. What is put or deleted meanwhile is not looked at. */
NSP_API void nsp_op_inspect(struct nsp_op *op);

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
NSP_API void nsp_core_pause(struct nsp_core *core, uint32_t on);

/* While this is on, small requests that are put or deleted do not wake the writer where it sleeps: a run of them is written together when
 * it is called with 0. A writer that is at work takes them as they come. */
NSP_API void nsp_core_defer_wakeup(struct nsp_core *core, uint32_t on);

/* What was completed: an operation (the caller frees it), or a request's serial. Returns 1, or 0 where there is nothing. */
struct nsp_done {
	struct nsp_op *op;
	uint32_t serial;
};
NSP_API int nsp_core_poll(struct nsp_core *core, struct nsp_done *done);

/* Blocks until something is completed or `milliseconds` have passed. */
NSP_API int nsp_core_wait(struct nsp_core *core, int milliseconds);

/* ---- what a loop of descriptors wants beside it (memory.c, timer.c, directories.c, survey.c) ---- */

/* Gives memory back to the system that was freed and that malloc keeps: of the whole process, some milliseconds of work; malloc_trim(3). */
NSP_API void nsp_trim(void);

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

/* Reads the routes of a namespace that bear another protocol than ours, of those that nsp_route_read takes. Returns how many there are;
 * what does not fit into `cap` is left out. */
NSP_API long nsp_route_survey(int netns_fd, struct nsp_route *routes, long cap, struct nsp_error *err);
/* cdef: end */

#ifdef __cplusplus
}
#endif

#endif
