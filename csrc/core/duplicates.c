/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that stand in a request twice. */
#include "core/duplicates.h"

#include <stdlib.h>
#include <sys/random.h>

/* A place in the set; 0 as the hash of an empty one. */
struct seen_entry {
	uint32_t hash, item;
};

static const char *slot_of(const struct mp_out *text, const struct decoded *decoded)
{
	return (const char *)text->data + decoded->slot;
}

static uint32_t hash_key(const struct seen *seen, uint32_t slot, const struct decoded *decoded)
{
	uint64_t h = hash_bytes(&seen->secret, (uint64_t)slot << 8 | decoded->kind, decoded->body,
				kind_key_size(kinds[decoded->kind], decoded->body));

	return (uint32_t)(h >> 16) | 1; /* 0 is an empty place */
}

static bool same_key(const struct mp_out *text, const struct decoded *a, const struct decoded *b)
{
	return a->kind == b->kind && !memcmp(a->body, b->body, kind_key_size(kinds[a->kind], a->body)) &&
	       (a->slot == b->slot || !strcmp(slot_of(text, a), slot_of(text, b)));
}

/* Empty, with room for so many. Who sends a request does not know the secret, and so not what collides. */
static uint32_t seen_begin(struct seen *seen, uint32_t count)
{
	uint32_t size = 64;

	while (size < count * 2)
		size *= 2;
	if (size > seen->cap) {
		free(seen->entries);
		seen->entries = malloc(size * sizeof(*seen->entries));
		if (!seen->entries)
			abort();
		seen->cap = size;
	}
	if (!seen->secret.a) {
		struct secret secret = { (uint64_t)(uintptr_t)seen->entries, 0 };
		if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) < 0) /* at boot: it stays the address */
			secret.b = secret.a;
		seen->secret = secret;
	}
	memset(seen->entries, 0, size * sizeof(*seen->entries));
	return size - 1;
}

void seen_free(struct seen *seen)
{
	free(seen->entries);
	seen->entries = NULL;
	seen->cap = 0;
}

/* One kind on one link in the order of their keys, as most are sent: none is there twice. */
static bool in_order(const struct decoded *list, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		const struct decoded *last = &list[i - 1], *decoded = &list[i];
		if (decoded->slot != last->slot || decoded->kind != last->kind ||
		    memcmp(last->body, decoded->body, kind_key_size(kinds[decoded->kind], decoded->body)) >= 0)
			return false;
	}
	return true;
}

uint32_t duplicates_drop(struct seen *seen, struct decoded *list, uint32_t count, const struct mp_out *text,
			 void (*drop)(void *arg, const struct decoded *decoded), void *arg)
{
	uint32_t kept = 0, last_slot = UINT32_MAX, slot = 0;

	if (in_order(list, count))
		return count;
	uint32_t mask = seen_begin(seen, count);
	struct seen_entry *entries = seen->entries;
	for (uint32_t i = 0; i < count; i++) {
		const struct decoded *decoded = &list[i];
		if (decoded->slot != last_slot) {
			last_slot = decoded->slot;
			slot = hash_text(&seen->secret, slot_of(text, decoded));
		}
		uint32_t hash = hash_key(seen, slot, decoded), at = hash & mask;
		while (entries[at].hash && !(entries[at].hash == hash && same_key(text, &list[entries[at].item], decoded)))
			at = (at + 1) & mask;
		if (entries[at].hash) {
			drop(arg, decoded);
			continue;
		}
		entries[at] = (struct seen_entry){ hash, kept };
		if (kept != i)
			list[kept] = *decoded;
		kept++;
	}
	return kept;
}
