/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_FRAME_H
#define NSP_FRAME_H

#include "wire/schema.h"
#include "wire/plain.h"
#include "wire/key.h"

struct frame_fault {
	struct nsp_fault what;
	const uint8_t *data; /* the item or key as it came, or NULL where it is long or cannot be shown as it is */
	uint32_t len;
	uint32_t key; /* its key, where it can be read: an offset in the frame's text, and 1 */
};

/* A place in the set of the wishes seen so far; 0 as the hash of an empty one. */
struct frame_seen {
	uint32_t hash, wish;
};

struct nsp_frame {
	struct mp_out envelope;
	struct mp_out text; /* the slots' keys that wishes point into */
	struct wish *wishes;
	struct nsp_span *others;
	struct frame_fault *faults;
	uint32_t count, wish_count, other_count, fault_count;
	uint32_t wish_cap, other_cap, fault_cap;
	uint32_t keys;
	struct frame_seen *seen;
	uint32_t seen_cap;
	uint64_t seed;
};

static inline const char *frame_slot(const struct nsp_frame *frame, const struct wish *wish)
{
	return (const char *)frame->text.data + wish->slot;
}

/* Notes that an item is refused. */
void frame_refuse(struct nsp_frame *frame, uint32_t index, const uint8_t *data, size_t len, const struct fault *fault);

/* Notes the key of what was refused last. */
void frame_refuse_key(struct nsp_frame *frame, const char *key, size_t len);

/* The key of what was refused, or NULL. */
const char *frame_fault_key(const struct nsp_frame *frame, const struct frame_fault *fault);

/* Refuses wishes whose key an earlier one has; `list` is where the items or keys begin. Returns how many there are. */
uint32_t frame_refuse_duplicates(struct nsp_frame *frame, struct mp_in list);

#endif
