/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that many have, such as sets of next hops: kept once, under a number, as long as somebody counts on it. */
#ifndef NSP_INTERNED_H
#define NSP_INTERNED_H

#include <stddef.h>

#include "core/hash.h"

struct interned_entry {
	uint8_t *bytes; /* NULL: the number is free */
	uint32_t len;	/* of a free one: the next */
	uint32_t hash;
	uint32_t count;
};

struct interned {
	struct interned_entry *entries; /* 0 is none */
	uint32_t count, cap, free;
	uint32_t *index; /* open addressing, linear probing */
	uint32_t index_mask, live;
	uint64_t bytes;
};

/* The number of these bytes (four or more), or 0. */
uint32_t interned_find(const struct interned *interned, const struct secret *secret, const uint8_t *bytes, size_t len);
/* The same, made where there is none; counted once more. */
uint32_t interned_take(struct interned *interned, const struct secret *secret, const uint8_t *bytes, size_t len);
/* Counted once more, or less: with the last its number is free. Of 0 nothing is done. */
void interned_hold(struct interned *interned, uint32_t number);
void interned_drop(struct interned *interned, uint32_t number);
uint64_t interned_memory(const struct interned *interned);
void interned_free(struct interned *interned);

#endif
