/* SPDX-License-Identifier: Apache-2.0 */
/* The rows, and the index that finds one by its key. */
#include "core/table.h"

#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* From the system and back to it: malloc would keep what large tables leave, for itself and for ever. All of it will be used, so it
 * is filled in at once, and not by a fault for each page. */
static void *pages_take(size_t bytes)
{
	bool huge = bytes >= HUGE_PAGE;
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (huge ? 0 : MAP_POPULATE), -1, 0);

	if (pages == MAP_FAILED)
		abort();
	if (huge) { /* both are hints: the index is looked into at random */
		madvise(pages, bytes, MADV_HUGEPAGE);
		madvise(pages, bytes, MADV_POPULATE_WRITE);
	}
	return pages;
}

static void pages_give(void *pages, size_t bytes)
{
	if (pages)
		munmap(pages, bytes);
}

bool table_has(const struct table *table, uint32_t id)
{
	const struct chunk *chunk = &table->chunks[id >> CHUNK_BITS];

	return chunk->rows && (id & (CHUNK_ROWS - 1)) < chunk->used && table_row(table, id)->kind != FREE_ROW;
}

static uint32_t key_hash(const struct table *table, struct row_key key)
{
	uint64_t h = hash_bytes(&table->secret, (uint64_t)key.slot << 8 | key.kind, key.bytes,
				kind_key_size(kinds[key.kind], key.bytes));

	return (uint32_t)(h >> 16) | 1; /* 0 is an empty place */
}

static uint32_t row_hash(const struct table *table, const struct row *row)
{
	return key_hash(table, (struct row_key){ row->slot, row->kind, row->body });
}

void table_expect(const struct table *table, struct row_key key)
{
	if (table->index)
		__builtin_prefetch(&table->index[key_hash(table, key) & table->index_mask], 1);
}

static bool is_row(const struct row *row, struct row_key key)
{
	return row->slot == key.slot && row->kind == key.kind &&
	       bytes_are(row->body, key.bytes, kind_key_size(kinds[key.kind], key.bytes));
}

uint32_t table_find(const struct table *table, struct row_key key)
{
	if (!table->index)
		return NIL;
	uint32_t hash = key_hash(table, key);
	for (uint32_t at = hash & table->index_mask; table->index[at].hash; at = (at + 1) & table->index_mask)
		if (table->index[at].hash == hash && is_row(table_row(table, table->index[at].row), key))
			return table->index[at].row;
	for (uint32_t at = hash & table->old_mask; table->old && table->old[at].hash; at = (at + 1) & table->old_mask)
		if (table->old[at].hash == hash && table->old[at].row && at >= table->moved &&
		    is_row(table_row(table, table->old[at].row), key))
			return table->old[at].row;
	return NIL;
}

static void index_put(struct index_entry *index, uint32_t mask, struct index_entry entry)
{
	uint32_t at = entry.hash & mask;

	while (index[at].hash)
		at = (at + 1) & mask;
	index[at] = entry;
}

static void index_free(struct index_entry *index, uint32_t mask)
{
	pages_give(index, ((size_t)mask + 1) * sizeof(*index));
}

static void index_resize(struct table *table, uint32_t size)
{
	struct index_entry *grown = table->spare_size == size ? table->spare : pages_take(size * sizeof(*grown));

	if (table->spare && grown != table->spare)
		index_free(table->spare, table->spare_size - 1);
	table->spare = NULL;
	table->spare_size = 0;
	table->old = table->index;
	table->old_mask = table->index_mask;
	table->moved = 0;
	table->index = grown;
	table->index_mask = size - 1;
}

uint32_t table_wants(const struct table *table)
{
	uint64_t size = (uint64_t)table->index_mask + 1, next = size * 2;
	bool large = next * sizeof(struct index_entry) >= HUGE_PAGE;

	return large && !table->old && table->spare_size != next && (uint64_t)table->live * 10 >= size * 6 ? (uint32_t)next : 0;
}

void *table_pages(uint32_t size)
{
	return pages_take(size * sizeof(struct index_entry));
}

void table_give(struct table *table, void *pages, uint32_t size)
{
	if (table->spare)
		index_free(table->spare, table->spare_size - 1);
	table->spare = pages;
	table->spare_size = size;
}

/* With each row that comes or goes so much is moved that all of it has before the index is too full or too empty again. Moved entries
 * stay where they were, for those that they had pushed aside to be found behind them. */
#define MOVED_ENTRIES 8
#define MOVED_PLACES 64

static void index_move(struct table *table)
{
	if (!table->old)
		return;
	for (uint32_t places = 0, entries = 0; places < MOVED_PLACES && entries < MOVED_ENTRIES; places++) {
		const struct index_entry *entry = &table->old[table->moved];
		if (entry->row) {
			index_put(table->index, table->index_mask, *entry);
			entries++;
		}
		if (table->moved++ == table->old_mask) {
			index_free(table->old, table->old_mask);
			if (table->spare)
				index_free(table->spare, table->spare_size - 1);
			table->old = NULL;
			return;
		}
	}
}

/* An entry of the old index makes no room: nothing is put there any more. */
static void old_remove(struct table *table, uint32_t hash, uint32_t id)
{
	uint32_t at = hash & table->old_mask;

	while (table->old[at].row != id || at < table->moved)
		at = (at + 1) & table->old_mask;
	table->old[at].row = NIL;
}

/* Removes an entry and moves up those behind it that it had pushed aside, so that no probe ends early. */
static void index_remove(struct table *table, uint32_t hash, uint32_t id)
{
	uint32_t mask = table->index_mask, hole = hash & mask;

	while (table->index[hole].hash && table->index[hole].row != id)
		hole = (hole + 1) & mask;
	if (!table->index[hole].hash) {
		old_remove(table, hash, id);
		return;
	}
	for (uint32_t at = (hole + 1) & mask; table->index[at].hash; at = (at + 1) & mask) {
		uint32_t home = table->index[at].hash & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table->index[hole] = table->index[at];
			hole = at;
		}
	}
	table->index[hole] = (struct index_entry){ 0 };
}

static uint32_t row_stride(uint8_t kind)
{
	return (uint32_t)(offsetof(struct row, body) + kinds[kind]->body_size + 3) & ~3u;
}

static void list_chunk(struct table *table, uint32_t number)
{
	struct chunk *chunk = &table->chunks[number];
	struct open *open = &table->open[chunk->kind];

	if (chunk->listed)
		return;
	ARRAY_GROW(open->chunks, open->count, open->cap);
	open->chunks[open->count++] = number;
	chunk->listed = true;
}

/* A chunk with room: one that is open, or an empty number, or a new one. */
static uint32_t open_chunk(struct table *table, uint8_t kind)
{
	struct open *open = &table->open[kind];

	if (open->count) {
		uint32_t number = open->chunks[open->count - 1];
		if (table->chunks[number].rows)
			return number;
	} else {
		ARRAY_GROW(table->chunks, table->chunk_count, table->chunk_cap);
		table->chunks[table->chunk_count] = (struct chunk){ .kind = kind, .stride = row_stride(kind) };
		list_chunk(table, table->chunk_count++);
	}
	uint32_t number = open->chunks[open->count - 1];
	struct chunk *chunk = &table->chunks[number];
	chunk->rows = pages_take(CHUNK_ROWS * chunk->stride);
	chunk->used = number == 0 ? 1 : 0; /* row 0 is NIL */
	chunk->first_free = NIL;
	chunk->live = 0;
	return number;
}

static uint32_t take_row(struct table *table, uint8_t kind)
{
	uint32_t number = open_chunk(table, kind);
	struct chunk *chunk = &table->chunks[number];
	uint32_t id;

	if (chunk->first_free) {
		id = chunk->first_free;
		chunk->first_free = table_row(table, id)->next;
	} else {
		id = number << CHUNK_BITS | chunk->used++;
	}
	chunk->live++;
	if (!chunk->first_free && chunk->used == CHUNK_ROWS) {
		chunk->listed = false;
		table->open[kind].count--;
	}
	return id;
}

uint32_t table_insert(struct table *table, struct row_key key)
{
	index_move(table);
	if (!table->index)
		index_resize(table, 1024);
	else if (!table->old && (uint64_t)table->live * 10 >= (uint64_t)table->index_mask * 7)
		index_resize(table, (table->index_mask + 1) * 2);

	uint32_t id = take_row(table, key.kind);
	struct row *row = table_row(table, id);
	*row = (struct row){ .slot = key.slot, .kind = key.kind, .list = LISTS };
	bytes_copy(row->body, key.bytes, kinds[key.kind]->body_size);
	interned_hold(&table->sets, row_set(row));
	index_put(table->index, table->index_mask, (struct index_entry){ key_hash(table, key), id });
	table->live++;
	return id;
}

void table_remove(struct table *table, uint32_t id)
{
	struct row *row = table_row(table, id);
	struct chunk *chunk = &table->chunks[id >> CHUNK_BITS];

	table_extra_drop(table, row);
	interned_drop(&table->sets, row_set(row));
	index_remove(table, row_hash(table, row), id);
	row->kind = FREE_ROW;
	row->next = chunk->first_free;
	chunk->first_free = id;
	table->live--;
	if (--chunk->live == 0) {
		pages_give(chunk->rows, CHUNK_ROWS * chunk->stride);
		chunk->rows = NULL;
	}
	list_chunk(table, id >> CHUNK_BITS);
	index_move(table);
	/* By much, and so to little, which is soon filled in. */
	if (!table->old && table->index_mask >= 4096 && (uint64_t)table->live * 32 < table->index_mask)
		index_resize(table, (table->index_mask + 1) / 8);
}

struct item row_item(const struct table *table, const struct row *row)
{
	uint32_t set = row_set(row);
	const struct interned_entry *hops = set ? &table->sets.entries[set] : &(const struct interned_entry){ 0 };

	return (struct item){ .kind = row->kind,
			      .flags = row->flags & ITEM_FLAGS,
			      .body = row->body,
			      .source = row->extra ? table->extras[row->extra].source : NULL,
			      .hops = hops->bytes,
			      .hops_len = hops->len,
			      .by_object = row->by_object };
}

struct extra *table_extra(struct table *table, struct row *row)
{
	return row->extra ? &table->extras[row->extra] : NULL;
}

struct extra *table_extra_make(struct table *table, struct row *row)
{
	if (!row->extra) {
		if (!table->extra_count)
			table->extra_count = 1; /* 0 is none */
		if (table->extra_free) {
			row->extra = table->extra_free;
			table->extra_free = table->extras[row->extra].next_free;
		} else {
			while (table->extra_count >= table->extra_cap)
				table->extras = array_grow(table->extras, &table->extra_cap, sizeof(*table->extras));
			row->extra = table->extra_count++;
		}
		table->extras[row->extra] = (struct extra){ 0 };
	}
	return &table->extras[row->extra];
}

void table_extra_drop(struct table *table, struct row *row)
{
	if (!row->extra)
		return;
	struct extra *extra = &table->extras[row->extra];
	free(extra->text);
	free(extra->replaced);
	*extra = (struct extra){ .next_free = table->extra_free };
	table->extra_free = row->extra;
	row->extra = 0;
}

uint64_t table_bytes(const struct table *table)
{
	uint64_t bytes = ((uint64_t)table->index_mask + 1) * sizeof(struct index_entry) + table->extra_cap * sizeof(struct extra);

	bytes += interned_memory(&table->sets);
	bytes += (uint64_t)table->spare_size * sizeof(struct index_entry);
	if (table->old)
		bytes += ((uint64_t)table->old_mask + 1) * sizeof(struct index_entry);

	for (uint32_t i = 0; i < table->chunk_count; i++)
		bytes += table->chunks[i].rows ? CHUNK_ROWS * table->chunks[i].stride : 0;
	return bytes;
}

void table_free(struct table *table)
{
	for (uint32_t i = 1; i < table->extra_count; i++) {
		free(table->extras[i].text);
		free(table->extras[i].replaced);
	}
	for (uint32_t i = 0; i < table->chunk_count; i++)
		pages_give(table->chunks[i].rows, CHUNK_ROWS * table->chunks[i].stride);
	free(table->chunks);
	for (int kind = 0; kind < KINDS_MAX; kind++)
		free(table->open[kind].chunks);
	index_free(table->index, table->index_mask);
	index_free(table->old, table->old_mask);
	if (table->spare)
		index_free(table->spare, table->spare_size - 1);
	free(table->extras);
	interned_free(&table->sets);
}
