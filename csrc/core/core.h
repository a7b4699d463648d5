/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - what the planner (the caller's thread) and the writer share.
 *
 * A row is one wanted route or ARP entry. It lives in the table, belongs to one slot (an interface in a namespace), and goes through
 *
 *      put ──> list of the slot ──(slot ready)──> queue ──> batch ──> kernel ──> verdict ──> state
 *                     ^                                                             |
 *                     └───────────── refused, and judged again later ───────────────┘
 *
 * `lock` guards all of it. The planner decodes without it and commits a frame under it; the writer holds it to fill a batch and to
 * write verdicts down, not while the kernel works.
 */
#ifndef NSP_CORE_H
#define NSP_CORE_H

#include "kernel/internal.h"

#include <pthread.h>

#include "nsplane/core.h"

#include "core/hash.h"
#include "wire/frame.h"
#include "wire/msgpack.h"
#include "wire/schema.h"
#include "wire/prefix.h"
#include "wire/key.h"

#define NIL 0u

#define NSP_JUDGE_DROPPED 0x40000000 /* what counts as configured, and the kernel has dropped it */

enum row_flag {
	/* the low bits are enum wish_flag */
	ROW_WANTED = 0x20,
	ROW_HELD = 0x40,      /* the kernel has it, and it is ours */
	ROW_QUEUED = 0x80,    /* an entry of a queue refers to it */
	ROW_INFLIGHT = 0x100, /* it is in the batch that the kernel works on */
	ROW_OWED = 0x200,     /* `request` waits for its verdict */
	ROW_REFUSED = 0x400,  /* the kernel refused it: what it holds of it is to be deleted */
	ROW_BLOCKED = 0x800,  /* another row of ours is the same kernel object */
	ROW_DEAD = 0x1000,    /* not written again until it is put anew */
	ROW_AGAIN = 0x2000,   /* a conflict was gone when it was looked at: tried once more */
	ROW_SEEN = 0x4000,    /* the kernel was read back and has it */
	ROW_SHAKEN = 0x8000,  /* somebody was heard to undo it: it has gone, unless it was put again since, or is just being put */
};

/* The lists of a slot: what is not configured, and what is, with and without a gateway or source that the kernel may come to refuse. */
enum row_list { LIST_OPEN, LIST_DIRECT, LIST_VIA, LISTS };

struct row {
	uint8_t dst[16];
	uint8_t via[16]; /* the gateway; of an ARP entry: the MAC */
	uint64_t since;	 /* ms since the epoch: when it came into its state */
	uint32_t slot;
	uint32_t next, prev; /* in the slot's list */
	uint32_t request;    /* that put it last */
	uint32_t metric;
	uint32_t table;
	uint32_t origin;
	uint32_t extra; /* index of what few rows have */
	uint16_t flags;
	uint8_t type; /* enum wish_type; of a free row: FREE_ROW */
	uint8_t dst_len;
	uint8_t scope;
	uint8_t state; /* NSP_STATE_* */
	uint8_t error;
	uint8_t list;
};

#define FREE_ROW 0xff

/* Somebody undoes it again and again: it is not put for a while. */
static inline bool row_is_fought(const struct row *row)
{
	return row->state == NSP_STATE_RETRYING && !row->error;
}

/* Is there something of it in the kernel, perhaps? What was heard last may be from before it was put again, and the deletion of a route
 * that has gone hits nobody else's. (Of a neighbour it might.) */
static inline bool row_may_be_held(const struct row *row)
{
	return row->flags & ROW_HELD || ((row->flags & (ROW_SHAKEN | ROW_INFLIGHT)) == ROW_SHAKEN && WISH_TYPE_IS_ROUTE(row->type));
}

struct extra {
	uint8_t source[16];
	char *text;		 /* the kernel's sentence, or who is in the way */
	struct nlmsghdr *stolen; /* the foreign object that an override took the place of: see replaced.c */
	bool waits;		 /* until the planner has recorded it */
	bool doubted;		 /* when it was read back last it was not as it was written, and nobody was heard since */
	uint64_t tried;		 /* core_now() when it was refused last */
	uint32_t tries;
	uint32_t next_free;
	uint64_t fight;	     /* core_now() when somebody began to undo it */
	uint64_t configured; /* when a retry succeeded last */
	uint64_t repaired;   /* when that was last put right */
	uint32_t repairs;    /* since then */
};

/* Rows lie in chunks that never move; a chunk that is empty goes back to the system. */
#define CHUNK_BITS 12
#define CHUNK_ROWS (1u << CHUNK_BITS)
#define CHUNK_BYTES (CHUNK_ROWS * sizeof(struct row))

struct chunk {
	struct row *rows;
	uint32_t live;
	uint32_t used;	     /* rows ever handed out */
	uint32_t first_free; /* row id, chained by `next` */
	bool listed;	     /* in `open` */
};

struct index_entry {
	uint32_t hash;
	uint32_t row;
};

struct table {
	struct secret secret;
	struct chunk *chunks;
	uint32_t chunk_count, chunk_cap;
	uint32_t *open; /* chunks with room */
	uint32_t open_count, open_cap;
	struct index_entry *index; /* open addressing, linear probing */
	uint32_t index_mask;
	struct index_entry *old; /* of another size: it moves over little by little, and what is in front of `moved` has */
	uint32_t old_mask, moved;
	struct index_entry *spare; /* for when it grows: the pages of a large one take the system milliseconds */
	uint32_t spare_size;
	uint32_t live;
	struct extra *extras;
	uint32_t extra_count, extra_cap, extra_free;
};

struct slot {
	char *key;
	uint32_t hash;
	struct mp_out missing; /* msgpack array: what it waits for */
	char *text;	       /* why it failed */
	uint32_t state;	       /* of its rows while it is not ready: PENDING or FAILED */
	int32_t error;
	uint32_t generation; /* another when it gets ready or is lost: a verdict of another generation says nothing */
	uint32_t netns;
	int32_t ifindex;
	uint32_t heads[LISTS];
	uint32_t rows;
	uint32_t open; /* rows on LIST_OPEN */
	uint32_t blocked;
	uint32_t touched;    /* the request that was last reported as touching it */
	uint32_t next, prev; /* in its namespace */
	uint32_t rejudge;    /* NSP_JUDGE_*: to be done when the queue is empty, since a route on the link came or went */
	bool ready;
	bool retried; /* the planner knows of rows that are to be tried again */
	bool dropped; /* listed in the core's `dropped_slots` */
};

struct netns {
	int fd;
	int32_t nsid;	 /* the monitor's number, or -1 */
	uint32_t portid; /* of its command socket, where that is not the core's */
	struct nsp_netns_id id;
	struct nsp_socket sock;
	bool connected;
	uint64_t used; /* the writer's batch count at the last use */
	uint32_t refs; /* adds, slots that are ready in it, and stages of operations that are queued */
	uint32_t first_slot;
	uint32_t blocked; /* rows of its slots */
	bool metrics;	  /* IPv4 routes of our protocol with a metric have been in it */
};

struct origin {
	char *source;
	uint64_t generation;
	uint32_t rows; /* of a generation with none the number is given to another */
};

struct request {
	uint32_t serial;
	uint32_t outstanding;
	uint32_t counts[NSP_STATES];
	uint32_t entries;
	bool open, committed;
	struct mp_out out, summary;
};

/* A queue's entries: a row's number, a pointer to an operation (its two low bits are 0), or the number of a namespace to close. */
#define ENTRY_ROW(id) ((uint64_t)(id) << 2 | 1)
#define ENTRY_OP(op) ((uint64_t)(uintptr_t)(op))
#define ENTRY_CLOSE(netns) ((uint64_t)(netns) << 2 | 2)

struct queue {
	uint64_t *entries;
	uint32_t head, count, cap;
};

struct nsp_core {
	pthread_mutex_t lock, turn; /* `turn`: of those who wait for the lock */
	uint64_t locked_at;	    /* ns */
	uint64_t longest_hold;
	pthread_cond_t work, completed;
	pthread_t thread;
	pid_t owner; /* a forked child has a copy, and no writer */
	bool stop, running, held, gathers;
	bool idle;	/* the writer waits for work */
	bool signals;	/* something was completed, and is told of when the lock is let go of */
	bool signalled; /* the event is readable, or about to be; it may be though this is not set */
	int event;

	struct table table;

	struct slot **slots;
	uint32_t slot_count, slot_cap;
	uint32_t *slot_index; /* hash of the key -> slot */
	uint32_t slot_mask;
	uint32_t slot_generation; /* the last that a slot was given: none has one twice, whatever its number */
	uint32_t *slot_free;
	uint32_t slot_free_count, slot_free_cap;

	struct netns **netns;
	uint32_t netns_count, netns_cap, sockets_open, sockets_kept;
	uint32_t portid; /* of the command sockets: by it the monitor knows what we did ourselves */

	uint32_t *by_nsid; /* the monitor's number -> namespace */
	uint32_t nsid_count;
	uint32_t last_heard;	 /* the slot that was last heard of: the next is most likely of the same */
	uint32_t *dropped_slots; /* of which the kernel has dropped rows by itself */
	uint32_t dropped_count, dropped_cap;

	struct origin *origins;
	uint32_t origin_count, origin_cap;

	struct request **requests; /* by serial & mask */
	uint32_t request_mask, next_serial;

	struct queue queue, express;
	struct queue withdrawals; /* operations that come before all of these */
	uint32_t *rejudge;	  /* slots with `rejudge` set */
	uint32_t rejudge_count, rejudge_cap;
	uint64_t rejudged; /* when that was last done */
	uint32_t looking;  /* the namespace that is being looked at (nsp_op_look), or 0 */
	uint8_t looking_type;
	bool look_spoilt; /* it was read back meanwhile */

	struct nsp_done *done;
	uint32_t done_head, done_count, done_cap;
	struct nsp_notice *notices;
	uint32_t notice_head, notice_count, notice_cap;

	bool watched;
	struct mp_out changes[2]; /* being filled, being read */
	uint32_t changes_count;
	struct mp_out rows_out;

	bool guards; /* the planner records what is to be replaced */
	struct mp_out replaced;
	uint32_t replaced_count;

	uint64_t rows_by_state[2][NSP_STATES];
	uint64_t written, batches, dropped, missing, altered;
};

/* Makes room for element `count` of an array that grows by doubling. */
#define CORE_GROW(array, count, cap)                                                                                               \
	do {                                                                                                                       \
		if ((count) == (cap))                                                                                              \
			(array) = core_grow((array), &(cap), sizeof(*(array)));                                                    \
	} while (0)
void *core_grow(void *array, uint32_t *cap, size_t size);
/* strdup(3), but for a lack of memory. */
char *core_copy(const char *text);

/* All that takes the lock is short, or lets others have it in between. */
void core_lock(struct nsp_core *core);
void core_breathe(struct nsp_core *core);
/* It is taken again after a wait on a condition. */
void core_locked(struct nsp_core *core);
/* Lets go of the lock, and wakes the writer where it has work, and whoever waits for what was completed. */
void core_unlock(struct nsp_core *core);
bool core_has_work(const struct nsp_core *core);
void core_signal(struct nsp_core *core);
void core_notice(struct nsp_core *core, uint32_t slot, uint32_t what);
/* Milliseconds: by the clock that nobody sets, for what comes when; and since the epoch, for what is shown and nothing else. */
uint64_t core_now(void);
uint64_t core_date(void);
uint64_t core_clock(void); /* ns, monotonic */

/* ---- table.c ---- */
struct row *table_row(const struct table *table, uint32_t id);
uint32_t table_hash(const struct table *table, uint32_t slot, uint8_t type, const uint8_t dst[16], uint8_t dst_len, uint32_t metric,
		    uint32_t table_id);
/* Is this number one of a row? (A queue may hold numbers of rows that have gone.) */
bool table_has(const struct table *table, uint32_t id);
/* A row of this key will soon be looked for. */
void table_expect(const struct table *table, uint32_t slot, const struct wish *wish);
uint32_t table_find(const struct table *table, uint32_t slot, uint8_t type, const uint8_t dst[16], uint8_t dst_len, uint32_t metric,
		    uint32_t table_id);
uint32_t table_insert(struct table *table, uint32_t slot, const struct wish *wish);
/* How many entries the next index has, where a large one will soon be wanted and is not there yet; else 0. Its pages are taken without
 * the lock, and given with it. */
uint32_t table_wants(const struct table *table);
void *table_pages(uint32_t size);
void table_give(struct table *table, void *pages, uint32_t size);
void table_remove(struct table *table, uint32_t id);
struct extra *table_extra(struct table *table, struct row *row); /* NULL where it has none */
struct extra *table_extra_make(struct table *table, struct row *row);
void table_extra_drop(struct table *table, struct row *row);
uint64_t table_bytes(const struct table *table);
void table_free(struct table *table);

/* Its socket is open. */
void netns_connected(struct nsp_core *core, struct netns *netns);
/* Whoever names it by its number holds it: until the last has let go, the number means this namespace and no other. */
void netns_hold(struct nsp_core *core, uint32_t number);
void netns_release(struct nsp_core *core, uint32_t number);

/* ---- object.c ---- */

/* A route or neighbour as the kernel tells of it. */
struct object {
	struct wish wish; /* its flags: what the kernel has */
	int32_t ifindex;
	uint8_t protocol;
	bool plain;   /* one that a row can mean; of a route that is not, nothing but what identifies it is known */
	bool several; /* a route of several next hops: the first, which has the protocol, is in `wish` and `ifindex` */
	bool gone;    /* it was deleted */
};

/* Does a message about a route have this attribute (RTA_*)? */
bool route_has_attr(const struct nlmsghdr *msg, uint16_t type);
/* What identifies a route in the kernel. */
bool object_read_key(const struct nlmsghdr *msg, struct wish *key);
bool object_read(const struct nlmsghdr *msg, struct object *object);
/* Is it as the row, which has the same key, wants it? */
bool object_is(const struct table *table, const struct object *object, const struct row *row);
/* What the kernel has made of a row: an object, or NULL for none. */
void object_describe(const struct object *object, char *text, size_t cap);

/* ---- request.c ---- */
struct request *request_get(struct nsp_core *core, uint32_t serial);
/* Counts a verdict given at once. */
void request_count(struct request *request, uint32_t state);
/* Room for an entry: begin, write one msgpack map, and it is counted. */
struct mp_out *request_entry(struct request *request);
/* A row that is owed a verdict gets `state`; with an entry where that is neither configured nor removed. */
void request_settle(struct nsp_core *core, uint32_t serial, struct row *row, uint32_t state);
/* Something that the planner is to fetch with nsp_core_poll. */
void done_push(struct nsp_core *core, struct nsp_done done);
void request_finish(struct nsp_core *core, struct request *request);

/* ---- item.c ---- */
/* The item as its publisher could have written it: what is at its default is left out. `source`: the preferred source, where the row
 * has one. */
void item_put(struct mp_out *out, const char *slot, const struct row *row, const uint8_t *source);

/* ---- entry.c ---- */
#define NO_PREVIOUS NSP_STATES /* the entry is no event */
void state_put(struct mp_out *out, uint32_t state);
void entry_put(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state, uint32_t previous);
void entry_put_change(struct nsp_core *core, const struct row *row, uint32_t state, uint32_t previous);
/* What was found wrong with a row: "missing" or "altered". */
void entry_put_drift(struct nsp_core *core, const struct row *row, const char *found);
/* An object of ours that no row wants has been deleted; `slot` is its interface in keys. */
void entry_put_stale(struct nsp_core *core, const char *slot, const struct object *object);

/* ---- slot.c ---- */
uint32_t slot_lookup(const struct nsp_core *core, const char *key);
uint32_t slot_make(struct nsp_core *core, const char *key);
void slot_link(struct nsp_core *core, uint32_t id, struct row *row, enum row_list list);
void slot_unlink(struct nsp_core *core, struct row *row);
void slot_rejudge(struct nsp_core *core, uint32_t slot, uint32_t which);
/* The same when the queue is empty. */
void slot_rejudge_later(struct nsp_core *core, uint32_t slot, uint32_t which);

/* ---- wanted.c ---- */
/* Is exactly this wanted already? */
bool row_is_as(const struct nsp_core *core, const struct row *row, const struct wish *wish);
bool row_is_of_source(const struct nsp_core *core, const struct row *row, uint32_t origin);

/* ---- row.c: what happens to a row ---- */
void row_queue(struct nsp_core *core, uint32_t id, struct row *row, bool express);
/* It is of this origin now. */
void row_origin(struct nsp_core *core, struct row *row, uint32_t origin);
/* The kernel's object of a row that was to be deleted has gone: nothing is left to do. */
void row_gone(struct nsp_core *core, uint32_t id, struct row *row);
/* Somebody undid it: it is written again, unless that goes on and on. */
void row_repair(struct nsp_core *core, uint32_t id, struct row *row, const char *why);
/* A request waits for its next verdict, unless a newer one does. */
void row_owe(struct nsp_core *core, struct row *row, uint32_t request);
/* Queues it again before others; `request` (or 0) is still owed the verdict. */
void row_retry(struct nsp_core *core, uint32_t id, struct row *row, uint32_t request);
/* Is it pending (its state, or the one that it is to have) since the kernel finds no way to its gateway? Somebody else may make one. */
bool row_is_unreachable(const struct nsp_core *core, const struct row *row, uint32_t state);
/* Puts a row into a state, and on the list that belongs to it. */
void row_state(struct nsp_core *core, uint32_t id, struct row *row, uint32_t state, int error, const char *text);
/* Pays the verdict that is owed. */
void row_pay(struct nsp_core *core, struct row *row, uint32_t state);
/* Nobody wants it any more and the kernel does not have it. */
void row_drop(struct nsp_core *core, uint32_t id, struct row *row);
/* It is not to be any more: deleted, or dropped at once where the kernel does not have it. */
void row_unwant(struct nsp_core *core, uint32_t id, struct row *row, struct request *request, bool express);
void row_block(struct nsp_core *core, struct row *row);
void row_unblock(struct nsp_core *core, struct row *row);
/* The kernel's object has gone: a row that was blocked by it takes over, and what it had taken the place of is put back. */
void row_released(struct nsp_core *core, struct row *row);
#define ROW_ANY_GATEWAY 1 /* an IPv6 route that was perhaps written with another gateway than the row has now */

/* Appends the message that puts a row (`mode`: NSP_PUT_*) or deletes it (0 or ROW_ANY_GATEWAY); -ENOSPC where it does not fit. */
int row_encode(const struct nsp_core *core, struct nsp_batch *batch, const struct row *row, int32_t ifindex, bool deletes,
	       int mode);
/* Has it deleted from the kernel, before anything else is written, though nobody waits for that. */
void row_withdraw(struct nsp_core *core, const struct row *row, uint32_t netns, int32_t ifindex);

/* ---- replaced.c ---- */
/* A copy of what is to be put back; `beside` others of the same destination and metric. */
struct nlmsghdr *replaced_keep(const struct nlmsghdr *msg, bool beside);
/* The row takes the place of what was found there. false: not before the planner has recorded it. */
bool replaced_take(struct nsp_core *core, struct row *row, uint32_t netns, const struct nlmsghdr *found, bool beside);
/* Before anything else that is queued. `row`: which had replaced it, or NULL. */
void replaced_put_back(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *kept, const struct row *row);
/* What the row had taken the place of is put back. */
void row_restore(struct nsp_core *core, struct row *row);

/* ---- astray.c ---- */

/* Copies of messages of the kernel. */
struct messages {
	struct nlmsghdr **list;
	uint32_t count, cap;
};
void messages_add(struct messages *messages, const struct nlmsghdr *msg);
/* nsp_route_delete, and the answer tells what has gone where that is not certain. */
int astray_delete(const struct netns *netns, struct nsp_batch *batch, const struct nsp_route *route);
/* The answer to a message that deletes a route. If another than the one that was meant has gone it is kept. */
void astray_note(struct messages *astray, const struct nlmsghdr *answer);
/* Has put back what a namespace has lost so, and empties the list. Called with the lock held, when rows in flight have not landed. */
void astray_restore(struct nsp_core *core, uint32_t netns, struct messages *astray);

/* ---- writer.c ---- */
void *writer_run(void *core);
void queue_push(struct queue *queue, uint64_t entry);

/* ---- conflict.c ---- */

/* A row that met EEXIST, and what was found in its place. */
struct conflict {
	uint32_t row;
	uint32_t generation; /* of its slot */
	uint32_t request;    /* that is owed the verdict, or 0 */
	uint32_t netns;
	struct wish key;
	int32_t ifindex;
	bool lost;   /* its verdict was lost: it may not have met anything */
	bool via;    /* it has a gateway: the kernel replaces an IPv6 route by one of the same sort */
	int32_t oif; /* the link of somebody else's route, and its name */
	char link[16];
	bool beside;	/* there are several objects of this key */
	uint8_t *found; /* the message of the object in the way; NULL: none was there */
};

/* Looks up who is in the way of these rows of one namespace, which are in flight still, and settles them. Without a socket they fail:
 * `err` says why there is none. Called and returns with the lock held; lets go of it while the kernel is read, and now and then. */
void conflict_resolve(struct nsp_core *core, struct nsp_socket *sock, uint32_t netns, struct conflict *conflicts, uint32_t count,
		      struct nsp_error *err);

#endif
