/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - what the planner (the caller's thread) and the writer share.
 *
 * A row is one wanted route or ARP entry. It lives in the table, belongs to one slot (an interface, or a namespace), and goes through
 *
 *      put ──> list of the slot ──(slot ready)──> queue ──> batch ──> kernel ──> verdict ──> state
 *                     ^                                                             |
 *                     └───────────── refused, and checked again later ──────────────┘
 *
 * `lock` guards all of it. The planner decodes without it and commits a frame under it; the writer holds it to fill a batch and to
 * write verdicts down, not while the kernel works.
 */
#ifndef NSP_CORE_H
#define NSP_CORE_H

#include <pthread.h>
#include "core/table.h"
#include "wire/msgpack.h"

#define PERIOD_NS ((uint64_t)NSP_PERIOD_SECONDS * 1000000000)

/* How many items came: in the current period, and in the whole one before (figures.c). */
struct activity {
	uint32_t items, before;
	uint32_t period; /* the current one, when something came last */
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
	int32_t ifindex; /* 0 of a slot that is a namespace itself */
	uint32_t table;	 /* of the VRF that its link is in, to which routes go that name none; or 0 */
	uint32_t heads[LISTS];
	uint32_t rows;
	uint32_t open;			     /* rows on LIST_OPEN */
	uint32_t blocked;		     /* rows */
	uint32_t next_blocked, prev_blocked; /* of the slots of its namespace that have such */
	uint32_t touched;		     /* the request that was last reported as touching it */
	uint32_t next, prev;		     /* in its namespace */
	uint32_t next_link;		     /* in its bucket of `slot_links` */
	uint32_t netns_slot;		     /* that of its namespace, where next hops there are on this link: see hop_links.h */
	uint32_t *links;		     /* of a namespace: these */
	uint32_t link_count, link_cap;
	uint32_t recheck; /* NSP_RECHECK_*: to be done when the queue is empty, since a route on the link came or went */
	struct activity activity;
	bool ready;
	bool leaving; /* not ready any more, and its rows are being told so */
	bool retried; /* the planner knows of rows that are to be tried again */
	bool dropped; /* listed in the core's `dropped_slots` */
};

/* An object of the kernel that stands for a set of next hops on a link. */
struct nexthop {
	uint32_t id; /* 0: free */
	uint32_t netns;
	uint32_t set;
	int32_t ifindex;
	uint32_t next_key, next_id; /* in their buckets; of what is free the next */
	bool made;		    /* or it is just being made */
	bool unsure;		    /* its gateways may have become unreachable */
	bool there, used;	    /* since the namespace is being read: told of; told of by a route, or written */
};

struct nexthops {
	bool on;
	struct nexthop *list; /* 0 is none */
	uint32_t count, cap, free, live;
	uint32_t *by_key, *by_id, mask;
	uint32_t last_id;
};

struct netns {
	int fd;
	int32_t nsid;	 /* the monitor's number, or -1 */
	uint32_t portid; /* of its command socket, where that is not the core's */
	struct nsp_netns_id id;
	struct nsp_socket sock;
	bool connected;
	bool drops_echo;   /* of routes that its command socket puts: see netns_drop_echo */
	uint64_t used;	   /* the writer's batch count at the last use */
	uint32_t refs;	   /* adds, slots that are ready in it, and stages of operations that are queued */
	uint32_t nexthops; /* how many of ours are in it */
	uint32_t first_slot;
	uint32_t first_blocked; /* of the slots that have rows which are blocked */
	bool inexact;		/* there have been objects of ours in it that an inexact deletion may hit: see misdeleted.c */
};

struct origin {
	char *source;
	uint64_t generation;
	uint32_t rows; /* of a generation with none the number is given to another */
	struct activity activity;
};

struct request {
	uint32_t serial;
	uint32_t outstanding;
	uint32_t counts[NSP_STATES];
	uint32_t entries;
	bool open, committed;
	struct mp_out out, summary;
	/* Of one that is answered from here (answers.c): */
	bool plain;
	bool gathered; /* its answer is an element of an array */
	bool answered;
	bool deletes;
	uint8_t wait;	  /* enum envelope_wait */
	uint64_t message; /* the caller's number of what it came with */
	uint64_t revision;
	uint64_t began; /* ns */
	struct mp_out id;
};

struct serials {
	uint32_t *serials;
	uint32_t count, cap;
};

struct queue {
	uint64_t *entries;
	uint32_t head, count, cap;
	uint32_t ordered; /* so many in front are in the order in which they are best served: see queue_spread */
};

struct nsp_core {
	pthread_mutex_t lock, turn; /* `turn`: of those who wait for the lock */
	uint64_t locked_at;	    /* ns */
	uint64_t date;		    /* see core_date */
	uint64_t longest_hold;
	uint64_t hold_lately[2]; /* the longest of this minute, and of the one before */
	uint64_t minute_began;	 /* ns */
	uint32_t period;	 /* of PERIOD_NS, that it is: see struct activity */
	pthread_cond_t work, completed;
	pthread_t thread;
	pid_t owner; /* a forked child has a copy, and no writer */
	bool stop, running, paused, defers_wakeup;
	bool idle;	/* the writer waits for work */
	bool monitored; /* there is who listens for what others do */
	bool awaited;	/* somebody wants to know when the writer has done something */
	bool signals;	/* something was completed, and is told of when the lock is let go of */
	bool signalled; /* the event is readable, or about to be; it may be though this is not set */
	int event;

	struct table table;

	struct slot **slots;
	uint32_t slot_count, slot_cap;
	uint32_t *slot_index; /* hash of the key -> slot */
	uint32_t *slot_links; /* hash of namespace and ifindex -> the first slot that is ready there */
	uint32_t slot_mask;
	uint32_t slot_generation; /* the last that a slot was given: none has one twice, whatever its number */
	struct walk *walks;	  /* over the rows of slots, under way */
	uint32_t *slot_free;
	uint32_t slot_free_count, slot_free_cap;

	struct netns **netns;
	uint32_t netns_count, netns_cap, sockets_open, sockets_kept;
	uint32_t portid; /* of the command sockets: by it the monitor knows what we did ourselves */

	uint32_t *by_nsid; /* the monitor's number -> namespace */
	uint32_t nsid_count;
	uint32_t *dropped_slots; /* of which the kernel has dropped rows by itself */
	uint32_t dropped_count, dropped_cap;

	struct origin *origins;
	uint32_t origin_count, origin_cap;

	struct request **requests; /* by serial & mask */
	uint32_t request_mask, next_serial;

	struct queue queue, express;
	struct queue withdrawals; /* operations that come before all of these */
	uint32_t hop_links;	  /* how many slots are of links that next hops name: see hop_links.h */
	uint32_t *recheck;	  /* slots with `recheck` set */
	uint32_t recheck_count, recheck_cap;
	uint64_t rechecked; /* when that was last done */
	uint32_t inspected; /* the namespace that is being inspected (nsp_op_inspect), or 0 */
	uint8_t inspected_kind;
	bool inspection_ended; /* it was read back meanwhile */

	struct nsp_done *done;
	uint32_t done_head, done_count, done_cap;
	struct serials to_answer[2]; /* plain requests: being filled, being read */
	struct mp_out answers, ends;
	struct nsp_answer *answer_list;
	uint32_t answer_cap;
	struct nsp_notice *notices;
	uint32_t notice_head, notice_count, notice_cap;

	bool watched;
	struct mp_out changes[2]; /* being filled, being read */
	uint32_t changes_count;
	struct mp_out rows_out;

	bool records_replaced; /* the planner records what is to be replaced */
	struct mp_out replaced;
	uint32_t replaced_count;

	struct nexthops nexthops;

	uint64_t rows_by_state[KINDS_MAX][NSP_STATES];
	uint64_t written, batches, dropped, missing, altered, taken;
	struct nsp_histogram request_times[2], batch_times;
	uint64_t errors[KINDS_MAX][UINT8_MAX + 1]; /* how often rows came into a state by one */
	uint64_t drift[KINDS_MAX][3];		   /* missing, altered, stale */
};

#endif
