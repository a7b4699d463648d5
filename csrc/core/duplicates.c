/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that stand in a frame twice: the second is a fault of the frame, whatever is to be done with it. */
#include "core/duplicates.h"

#include <sys/random.h>

#include "core/refused.h"
#include "kinds/key.h"

static uint32_t hash_wish(const struct nsp_frame *frame, uint32_t slot, const struct wish *wish)
{
	uint64_t h = hash_bytes(&frame->secret, (uint64_t)slot << 8 | wish->kind, wish->body, kinds[wish->kind]->key_size);

	return (uint32_t)(h >> 16) | 1; /* 0 is an empty place */
}

static bool same_key(const struct nsp_frame *frame, const struct wish *a, const struct wish *b)
{
	return a->kind == b->kind && !memcmp(a->body, b->body, kinds[a->kind]->key_size) &&
	       (a->slot == b->slot || !strcmp(frame_slot(frame, a), frame_slot(frame, b)));
}

/* An empty set of the wishes seen so far, with room for all. Who sends a frame does not know the secret, and so not what collides. */
static struct frame_seen *seen_begin(struct nsp_frame *frame, uint32_t *mask)
{
	uint32_t size = 64;

	while (size < frame->wish_count * 2)
		size *= 2;
	if (size > frame->seen_cap) {
		free(frame->seen);
		frame->seen = malloc(size * sizeof(*frame->seen));
		if (!frame->seen)
			abort();
		frame->seen_cap = size;
	}
	if (!frame->secret.a) {
		struct secret secret = { (uint64_t)(uintptr_t)frame->seen, 0 };
		if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) < 0) /* at boot: it stays the address */
			secret.b = secret.a;
		frame->secret = secret;
	}
	memset(frame->seen, 0, size * sizeof(*frame->seen));
	*mask = size - 1;
	return frame->seen;
}

/* One kind on one link in the order of their keys, as most are sent: none is there twice. */
static bool in_order(const struct nsp_frame *frame)
{
	for (uint32_t i = 1; i < frame->wish_count; i++) {
		const struct wish *last = &frame->wishes[i - 1], *wish = &frame->wishes[i];
		if (wish->slot != last->slot || wish->kind != last->kind ||
		    memcmp(last->body, wish->body, kinds[wish->kind]->key_size) >= 0)
			return false;
	}
	return true;
}

uint32_t frame_refuse_duplicates(struct nsp_frame *frame, struct mp_in list)
{
	struct fault fault = { .field = "key", .text = "is in this request twice" };
	uint32_t mask, kept = 0, last_slot = UINT32_MAX, position = 0, slot = 0;

	if (in_order(frame))
		return 0;
	struct frame_seen *seen = seen_begin(frame, &mask);
	for (uint32_t i = 0; i < frame->wish_count; i++) {
		const struct wish *wish = &frame->wishes[i];
		if (wish->slot != last_slot) {
			last_slot = wish->slot;
			slot = hash_text(&frame->secret, frame_slot(frame, wish));
		}
		uint32_t hash = hash_wish(frame, slot, wish), at = hash & mask;
		while (seen[at].hash && !(seen[at].hash == hash && same_key(frame, &frame->wishes[seen[at].wish], wish)))
			at = (at + 1) & mask;
		if (!seen[at].hash) {
			seen[at] = (struct frame_seen){ hash, kept };
			if (kept != i)
				frame->wishes[kept] = *wish;
			kept++;
			continue;
		}
		char key[NSP_KEY_MAX];
		size_t len = key_format(key, frame_slot(frame, wish), wish->kind, wish->body);
		while (position < wish->index && mp_skip(&list))
			position++;
		struct mp_in item = list;
		mp_skip(&list);
		position++;
		frame_refuse(frame, wish->index, item.p, (size_t)(list.p - item.p), &fault);
		frame_refuse_key(frame, key, len);
	}
	uint32_t duplicates = frame->wish_count - kept;
	frame->wish_count = kept;
	return duplicates;
}
