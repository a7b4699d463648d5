/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rows: 100,000 keys come and go in random order and are found or not found; memory that is not needed goes back. */
#include "test.h"

#include "core/table.h"

#define ROWS 100000

static struct table table;
static uint32_t ids[ROWS + 1]; /* what should be found: the row's number, or 0 */

static uint32_t random_number(void)
{
	static uint64_t state = 88172645463325252u; /* xorshift64 */

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

/* Keys of which many differ in one part only. */
static struct row_key key(uint32_t i)
{
	static uint8_t bytes[KIND_BODY_MAX];
	uint8_t kind = (uint8_t)(i & 3);
	uint32_t size = kinds[kind]->key_size, dst = size > 8 ? i >> 10 : i;

	for (uint32_t at = 4; at < size; at++) /* in as many places as there are */
		bytes[at] = at >= size - 6 ? (uint8_t)(i >> 2 * (at - (size - 6)) & 3) : 0;
	memcpy(bytes, &dst, sizeof(dst));
	memset(bytes + size, 0, sizeof(bytes) - size);
	return (struct row_key){ 1 + i % 7, kind, bytes };
}

static uint32_t find(uint32_t i)
{
	return table_find(&table, key(i));
}

static uint32_t insert(uint32_t i)
{
	return table_insert(&table, key(i));
}

static bool is_whole(uint32_t i)
{
	const struct row *row = table_row(&table, ids[i]);
	struct row_key whole = key(i);

	return row->slot == whole.slot && row->kind == whole.kind && !memcmp(row->body, whole.bytes, kinds[row->kind]->key_size) &&
	       !row->extra && !row->flags && row->list == LISTS;
}

static uint32_t wrong(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < ROWS; i++)
		count += find(i) != ids[i] || (ids[i] && (!table_has(&table, ids[i]) || !is_whole(i)));
	return count;
}

static void shuffle(uint32_t order[ROWS])
{
	for (uint32_t i = 0; i < ROWS; i++)
		order[i] = i;
	for (uint32_t i = ROWS - 1; i > 0; i--) {
		uint32_t k = random_number() % (i + 1), swapped = order[i];

		order[i] = order[k];
		order[k] = swapped;
	}
}

static uint32_t chunks_held(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < table.chunk_count; i++)
		count += table.chunks[i].rows != NULL;
	return count;
}

static void test_empty(void)
{
	CHECK_EQ(find(0), 0);
	CHECK_EQ(table_bytes(&table) <= sizeof(struct index_entry), true);
}

static void test_random_order(void)
{
	static uint32_t order[ROWS];
	uint32_t numbered_twice = 0, live = 0;

	shuffle(order);
	for (uint32_t i = 0; i < ROWS; i++) {
		ids[order[i]] = insert(order[i]);
		numbered_twice += !ids[order[i]];
	}
	CHECK_EQ(numbered_twice, 0); /* 0 is no row's number */
	CHECK_EQ(table.live, ROWS);
	CHECK_EQ(wrong(), 0);

	/* Half a million steps back and forth. */
	for (uint32_t step = 0; step < 5 * ROWS; step++) {
		uint32_t i = random_number() % ROWS;

		if (ids[i]) {
			table_remove(&table, ids[i]);
			ids[i] = 0;
		} else {
			ids[i] = insert(i);
		}
		if (find(i) != ids[i])
			CHECK_EQ(find(i), ids[i]);
	}
	for (uint32_t i = 0; i < ROWS; i++)
		live += ids[i] != 0;
	CHECK_EQ(table.live, live);
	CHECK_EQ(wrong(), 0);

	shuffle(order);
	for (uint32_t i = 0; i < ROWS; i++) {
		if (!ids[order[i]])
			continue;
		table_remove(&table, ids[order[i]]);
		CHECK(!table_has(&table, ids[order[i]]));
		ids[order[i]] = 0;
		if (i % 20000 == 0)
			CHECK_EQ(wrong(), 0);
	}
	CHECK_EQ(table.live, 0);
	CHECK_EQ(wrong(), 0);
}

static void test_memory_goes_back(void)
{
	CHECK_EQ(chunks_held(), 0);
	CHECK(table.index_mask < 4096);
	CHECK(table_bytes(&table) < 64 * 1024);

	/* What comes again takes the numbers that are free. */
	uint32_t numbers = table.chunk_count;
	for (uint32_t i = 0; i < ROWS; i++)
		ids[i] = insert(i);
	CHECK_EQ(wrong(), 0);
	CHECK(table.chunk_count <= numbers);
	CHECK_EQ(chunks_held(), 4 * ((ROWS / 4 + CHUNK_ROWS) / CHUNK_ROWS)); /* each of one kind */
	CHECK((table.index_mask + 1) * 7 / 10 >= ROWS);
	CHECK(table.index_mask < 4 * ROWS);

	/* One row alone keeps its own chunk, and no other. */
	for (uint32_t i = 0; i < ROWS; i++) {
		if (i == ROWS / 2)
			continue;
		table_remove(&table, ids[i]);
		ids[i] = 0;
	}
	CHECK_EQ(chunks_held(), 1);
	CHECK_EQ(wrong(), 0);
	for (uint32_t i = 0; i < 10; i++)
		ids[i] = insert(i);
	CHECK_EQ(wrong(), 0);
	for (uint32_t i = 0; i < ROWS; i++)
		if (ids[i]) {
			table_remove(&table, ids[i]);
			ids[i] = 0;
		}
	CHECK_EQ(chunks_held(), 0);

	/* A number of a row that has gone with its chunk is none of a row, though the chunk has come again. */
	for (uint32_t i = 0; i < 100; i++)
		ids[i] = insert(i);
	uint32_t last = ids[99];
	for (uint32_t i = 0; i < 100; i++)
		table_remove(&table, ids[i]);
	memset(ids, 0, sizeof(ids));
	ids[0] = insert(0);
	CHECK(table_has(&table, ids[0]));
	CHECK(!table_has(&table, last));
	table_remove(&table, ids[0]);
	ids[0] = 0;
}

/* An index that grows or shrinks moves over with the rows that come and go, a little with each, and loses none meanwhile. */
static void test_index_moves_little_by_little(void)
{
	uint32_t most = 0, moves = 0, next = 0;

	while (next < ROWS || table.live) {
		bool moving = table.old;
		uint32_t before = table.moved;

		if (next < ROWS) {
			ids[next] = insert(next);
			next++;
		} else {
			uint32_t i = table.live - 1; /* from the last, and of the early ones some already went */
			while (!ids[i])
				i++;
			table_remove(&table, ids[i]);
			ids[i] = 0;
		}
		if (moving && table.old && table.moved - before > most)
			most = table.moved - before;
		moves += !moving && table.old;
		if (!table.old || next % 8)
			continue;
		/* Of the rows that have moved and of those that have not some go, and come again. */
		uint32_t i = random_number() % (next < ROWS ? next : ROWS);
		CHECK_EQ(find(i), ids[i]);
		if (ids[i] && next < ROWS) {
			table_remove(&table, ids[i]);
			ids[i] = 0;
			CHECK_EQ(find(i), 0);
			ids[i] = insert(i);
			CHECK_EQ(find(i), ids[i]);
		}
		if (table.live % 4999 == 0)
			CHECK_EQ(wrong(), 0);
	}
	CHECK(moves >= 8);
	CHECK(most > 0 && most <= 64);
	CHECK_EQ(wrong(), 0);
}

/* What few rows have is handed from one that goes to one that comes, empty. */
static void test_extras(void)
{
	struct row *rows[100];

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 100; i++) {
			ids[i] = insert(i);
			rows[i] = table_row(&table, ids[i]);
			CHECK(!table_extra(&table, rows[i]));
			struct extra *extra = table_extra_make(&table, rows[i]);
			CHECK(!extra->text && !extra->replaced && !extra->tries);
			extra->tries = i;
			extra->text = strdup("a sentence");
			extra->replaced = malloc(20);
		}
		for (uint32_t i = 0; i < 100; i++)
			CHECK_EQ(table_extra(&table, rows[i])->tries, i);
		CHECK(table_extra_make(&table, rows[7]) == table_extra(&table, rows[7]));
		table_extra_drop(&table, rows[7]);
		CHECK(!table_extra(&table, rows[7]));
		for (uint32_t i = 0; i < 100; i++)
			table_remove(&table, ids[i]);
		CHECK_EQ(table.extra_count, 101);
	}
	ids[0] = insert(0); /* what is still there at the end is freed with the table */
	table_extra_make(&table, table_row(&table, ids[0]))->text = strdup("a sentence");
}

int main(void)
{
	test_empty();
	test_random_order();
	test_memory_goes_back();
	test_index_moves_little_by_little();
	test_extras();
	table_free(&table);
	return test_end();
}
