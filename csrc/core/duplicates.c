/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that stand in a request twice. */
#include "core/duplicates.h"

#include <stdlib.h>
#include <sys/random.h>

/* A place in the set; 0 as the hash of an empty one. */
struct seen_entry {
	uint32_t hash, wish;
};

static const char *slot_of(const struct mp_out *text, const struct wish *wish)
{
	return (const char *)text->data + wish->slot;
}

static uint32_t hash_wish(const struct seen *seen, uint32_t slot, const struct wish *wish)
{
	uint64_t h = hash_bytes(&seen->secret, (uint64_t)slot << 8 | wish->kind, wish->body,
				kind_key_size(kinds[wish->kind], wish->body));

	return (uint32_t)(h >> 16) | 1; /* 0 is an empty place */
}

static bool same_key(const struct mp_out *text, const struct wish *a, const struct wish *b)
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
static bool in_order(const struct wish *wishes, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		const struct wish *last = &wishes[i - 1], *wish = &wishes[i];
		if (wish->slot != last->slot || wish->kind != last->kind ||
		    memcmp(last->body, wish->body, kind_key_size(kinds[wish->kind], wish->body)) >= 0)
			return false;
	}
	return true;
}

uint32_t duplicates_drop(struct seen *seen, struct wish *wishes, uint32_t count, const struct mp_out *text,
			 void (*drop)(void *arg, const struct wish *wish), void *arg)
{
	uint32_t kept = 0, last_slot = UINT32_MAX, slot = 0;

	if (in_order(wishes, count))
		return count;
	uint32_t mask = seen_begin(seen, count);
	struct seen_entry *entries = seen->entries;
	for (uint32_t i = 0; i < count; i++) {
		const struct wish *wish = &wishes[i];
		if (wish->slot != last_slot) {
			last_slot = wish->slot;
			slot = hash_text(&seen->secret, slot_of(text, wish));
		}
		uint32_t hash = hash_wish(seen, slot, wish), at = hash & mask;
		while (entries[at].hash && !(entries[at].hash == hash && same_key(text, &wishes[entries[at].wish], wish)))
			at = (at + 1) & mask;
		if (entries[at].hash) {
			drop(arg, wish);
			continue;
		}
		entries[at] = (struct seen_entry){ hash, kept };
		if (kept != i)
			wishes[kept] = *wish;
		kept++;
	}
	return kept;
}
