/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_FRAME_H
#define NSP_FRAME_H

#include "core/hash.h"
#include "kinds/kind.h"

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
	struct secret secret; /* of `seen` */
};

static inline const char *frame_slot(const struct nsp_frame *frame, const struct wish *wish)
{
	return (const char *)frame->text.data + wish->slot;
}

#endif
