/* SPDX-License-Identifier: Apache-2.0 */
/* The rows, and the index that finds one by its key. */
#ifndef NSP_TABLE_H
#define NSP_TABLE_H

#include "kernel/internal.h"
#include "core/array.h"
#include "core/hash.h"
#include "core/interned.h"
#include "kinds/kind.h"

#define NIL 0u

enum row_flag {
	/* the low bits are enum item_flag */
	ROW_WANTED = 0x20,
	ROW_HELD = 0x40,	 /* the kernel has it, and it is ours */
	ROW_QUEUED = 0x80,	 /* an entry of a queue refers to it */
	ROW_SENT = 0x100,	 /* it is in the batch that the kernel works on */
	ROW_VERDICT_DUE = 0x200, /* `request` waits for its verdict */
	ROW_REFUSED = 0x400,	 /* the kernel refused it: what it holds of it is to be deleted */
	ROW_BLOCKED = 0x800,	 /* another row of ours is the same kernel object */
	ROW_DEAD = 0x1000,	 /* not written again until it is put anew */
	ROW_AGAIN = 0x2000,	 /* a conflict was gone when it was looked at: tried once more */
	ROW_SEEN = 0x4000,	 /* the kernel was read back and has it */
	ROW_UNDONE = 0x8000, /* somebody was heard to undo it: it has gone, unless it was put again since, or is just being put */
};

/* The lists of a slot: what is not configured, and what is, with and without a gateway or source that the kernel may come to refuse. */
enum row_list { LIST_OPEN, LIST_DIRECT, LIST_VIA, LISTS };

/* The head that rows of all kinds have; the body is laid out by the kind. */
struct row {
	uint64_t since __attribute__((packed, aligned(4))); /* ms since the epoch: when it came into its state */
	uint32_t slot;
	uint32_t next, prev; /* in the slot's list */
	uint32_t request;    /* that put it last */
	uint32_t origin;
	uint32_t extra; /* index of what few rows have */
	uint16_t flags;
	uint8_t kind;  /* of a free row: FREE_ROW */
	uint8_t state; /* NSP_STATE_* */
	uint8_t error;
	uint8_t list : 2;
	uint8_t by_object : 1; /* what the kernel has goes by a nexthop object, perhaps */
	uint8_t inlined : 1;   /* it was refused by one: it is written without */
	uint8_t body[];	       /* key and value */
};

#define FREE_ROW 0xff

/* What identifies a row; `bytes` is the body, or as much of it as the kind's key takes. */
struct row_key {
	uint32_t slot;
	uint8_t kind;
	const uint8_t *bytes;
};

static inline struct row_key decoded_key(uint32_t slot, const struct decoded *decoded)
{
	return (struct row_key){ slot, decoded->kind, decoded->body };
}

/* Is it a row that makes the gateways of others reachable? */
static inline bool row_is_on_link(const struct row *row)
{
	return kinds[row->kind]->makes_reachable && !(row->flags & ITEM_GATEWAY);
}

/* Somebody undoes it again and again: it is not put for a while. */
static inline bool row_is_contested(const struct row *row)
{
	return row->state == NSP_STATE_RETRYING && !row->error;
}

/* The fact that it waits for, though its link is there; or NULL. */
static inline const char *row_awaits(const struct row *row)
{
	return row->error && kinds[row->kind]->awaits ? kinds[row->kind]->awaits(row->body, row->error) : NULL;
}

/* Is there something of it in the kernel, perhaps? What was heard last may be from before it was put again, and the deletion of what
 * has gone may hit nobody else's. */
static inline bool row_may_be_held(const struct row *row)
{
	return row->flags & ROW_HELD || ((row->flags & (ROW_UNDONE | ROW_SENT)) == ROW_UNDONE &&
					 (kinds[row->kind]->deletes_ours || kinds[row->kind]->unmarked));
}

/* Of kinds whose messages name nobody: it may have been we. The row is put as new, and so the kernel asked. */
enum suspicion {
	SUSPECT_NOTHING,
	SUSPECT_MISSING,
	SUSPECT_ALTERED,
	SUSPECT_OVERTAKEN, /* the row has been put with another value since: it is written over, and nobody is said to have changed it */
};

struct extra {
	uint8_t source[16];
	char *text;		   /* the kernel's sentence, or who is in the way */
	struct nlmsghdr *replaced; /* the foreign object that an override took the place of: see replaced.c */
	bool unrecorded;	   /* until the planner has recorded it */
	bool differed;		   /* when it was read back last it was not as it was written, and nobody was heard since */
	uint8_t suspicion;	   /* enum suspicion: what was heard, and is not certain */
	uint64_t tried;		   /* clock_ms() when it was refused last */
	uint32_t tries;
	uint32_t next_free;
	uint64_t contested;  /* clock_ms() when somebody began to undo it */
	uint64_t configured; /* when a retry succeeded last */
	uint64_t repaired;   /* when that was last put right */
	uint32_t repairs;    /* since then */
};

/* Rows lie in chunks of one kind that never move; a chunk that is empty goes back to the system. */
#define CHUNK_BITS 12
#define CHUNK_ROWS (1u << CHUNK_BITS)

struct chunk {
	uint8_t *rows;
	uint32_t stride; /* bytes a row */
	uint32_t live;
	uint32_t used;	     /* rows ever handed out */
	uint32_t first_free; /* row id, chained by `next` */
	uint8_t kind;
	bool listed; /* in `open` */
};

struct index_entry {
	uint32_t hash;
	uint32_t row;
};

struct table {
	struct secret secret;
	struct chunk *chunks;
	uint32_t chunk_count, chunk_cap;
	struct open {
		uint32_t *chunks; /* with room, by kind */
		uint32_t count, cap;
	} open[KINDS_MAX];
	struct index_entry *index; /* open addressing, linear probing */
	uint32_t index_mask;
	struct index_entry *old; /* of another size: it moves over little by little, and what is in front of `moved` has */
	uint32_t old_mask, moved;
	struct index_entry *spare; /* for when it grows: the pages of a large one take the system milliseconds */
	uint32_t spare_size;
	uint32_t live;
	struct interned sets; /* of next hops */
	struct extra *extras;
	uint32_t extra_count, extra_cap, extra_free;
};

static inline struct row *chunk_row(const struct chunk *chunk, uint32_t at)
{
	return (struct row *)(void *)(chunk->rows + at * chunk->stride);
}

static inline struct row *table_row(const struct table *table, uint32_t id)
{
	return chunk_row(&table->chunks[id >> CHUNK_BITS], id & (CHUNK_ROWS - 1));
}

/* Is this number one of a row? (A queue may hold numbers of rows that have gone.) */
bool table_has(const struct table *table, uint32_t id);
/* A row of this key will soon be looked for. */
void table_expect(const struct table *table, struct row_key key);
uint32_t table_find(const struct table *table, struct row_key key);
/* A row of this key and of the value that follows it. */
uint32_t table_insert(struct table *table, struct row_key key);
/* How many entries the next index has, where a large one will soon be wanted and is not there yet; else 0. Its pages are taken without
 * the lock, and given with it. */
uint32_t table_wants(const struct table *table);
void *table_pages(uint32_t size);
void table_give(struct table *table, void *pages, uint32_t size);
void table_remove(struct table *table, uint32_t id);
struct extra *table_extra(struct table *table, struct row *row); /* NULL where it has none */
struct extra *table_extra_make(struct table *table, struct row *row);
void table_extra_drop(struct table *table, struct row *row);
/* The number of its set of next hops, or 0. */
static inline uint32_t row_set(const struct row *row)
{
	uint8_t at = kinds[row->kind]->set;

	return at ? bytes_load4(row->body + at) : 0;
}

/* What the row says of its item. */
struct item row_item(const struct table *table, const struct row *row);
uint64_t table_bytes(const struct table *table);
void table_free(struct table *table);

#endif
