/* SPDX-License-Identifier: Apache-2.0 */
#include "core/interned.h"

#include <stdbool.h>

#include "core/array.h"

static uint32_t hash_of(const struct secret *secret, const uint8_t *bytes, size_t len)
{
	return (uint32_t)(hash_bytes(secret, len, bytes, len) >> 16);
}

/* The place of these bytes in the index, or the empty one where they belong. */
static uint32_t *find_place(const struct interned *interned, uint32_t hash, const uint8_t *bytes, size_t len)
{
	uint32_t at = hash & interned->index_mask;

	for (; interned->index[at]; at = (at + 1) & interned->index_mask) {
		const struct interned_entry *entry = &interned->entries[interned->index[at]];
		if (entry->hash == hash && entry->len == len && !memcmp(entry->bytes, bytes, len))
			break;
	}
	return &interned->index[at];
}

static void resize(struct interned *interned, uint32_t size)
{
	free(interned->index);
	interned->index = calloc(size, sizeof(*interned->index));
	if (!interned->index)
		abort();
	interned->index_mask = size - 1;
	for (uint32_t i = 1; i < interned->count; i++) {
		const struct interned_entry *entry = &interned->entries[i];
		if (entry->bytes)
			*find_place(interned, entry->hash, entry->bytes, entry->len) = i;
	}
}

uint32_t interned_find(const struct interned *interned, const struct secret *secret, const uint8_t *bytes, size_t len)
{
	return interned->index ? *find_place(interned, hash_of(secret, bytes, len), bytes, len) : 0;
}

static uint32_t take_number(struct interned *interned)
{
	uint32_t number = interned->free;

	if (number) {
		interned->free = interned->entries[number].len;
		return number;
	}
	if (!interned->count)
		interned->count = 1;
	while (interned->count >= interned->cap)
		interned->entries = array_grow(interned->entries, &interned->cap, sizeof(*interned->entries));
	return interned->count++;
}

uint32_t interned_take(struct interned *interned, const struct secret *secret, const uint8_t *bytes, size_t len)
{
	uint32_t hash = hash_of(secret, bytes, len);

	if (!interned->index)
		resize(interned, 64);
	else if (interned->live * 3 >= interned->index_mask * 2)
		resize(interned, (interned->index_mask + 1) * 2);
	uint32_t *place = find_place(interned, hash, bytes, len);
	if (!*place) {
		uint32_t number = take_number(interned);
		interned->entries[number] =
			(struct interned_entry){ .bytes = array_copy(bytes, len), .len = (uint32_t)len, .hash = hash };
		interned->live++;
		interned->bytes += len;
		*place = number;
	}
	interned->entries[*place].count++;
	return *place;
}

void interned_hold(struct interned *interned, uint32_t number)
{
	if (number)
		interned->entries[number].count++;
}

/* Moves up those that it had pushed aside (as table.c does with rows). */
static void index_remove(struct interned *interned, uint32_t number)
{
	uint32_t mask = interned->index_mask, hole = interned->entries[number].hash & mask;

	while (interned->index[hole] != number)
		hole = (hole + 1) & mask;
	for (uint32_t at = (hole + 1) & mask; interned->index[at]; at = (at + 1) & mask) {
		uint32_t home = interned->entries[interned->index[at]].hash & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			interned->index[hole] = interned->index[at];
			hole = at;
		}
	}
	interned->index[hole] = 0;
}

void interned_drop(struct interned *interned, uint32_t number)
{
	struct interned_entry *entry = number ? &interned->entries[number] : NULL;

	if (!entry || --entry->count)
		return;
	index_remove(interned, number);
	interned->live--;
	interned->bytes -= entry->len;
	free(entry->bytes);
	*entry = (struct interned_entry){ .len = interned->free };
	interned->free = number;
	if (!interned->live) { /* what many took is given back */
		interned_free(interned);
		*interned = (struct interned){ 0 };
	}
}

uint64_t interned_memory(const struct interned *interned)
{
	return interned->bytes + (uint64_t)interned->cap * sizeof(struct interned_entry) +
	       (interned->index ? ((uint64_t)interned->index_mask + 1) * sizeof(*interned->index) : 0);
}

void interned_free(struct interned *interned)
{
	for (uint32_t i = 1; i < interned->count; i++)
		free(interned->entries[i].bytes);
	free(interned->entries);
	free(interned->index);
}
