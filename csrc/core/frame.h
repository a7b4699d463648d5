/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_FRAME_H
#define NSP_FRAME_H

#include "core/duplicates.h"

struct frame_fault {
	struct nsp_fault what; /* `data` is the item or key as it came, of a block all of it */
	uint32_t key;	       /* its key, where it can be read: an offset in the frame's text, and 1 */
};

struct nsp_frame {
	struct mp_out envelope;
	struct mp_out text;  /* the slots' keys that items point into */
	struct mp_out shown; /* an item of a block that is refused, for itself */
	struct decoded *bulk;
	struct nsp_span *others;
	struct frame_fault *faults;
	uint32_t count, bulk_count, other_count, fault_count;
	uint32_t bulk_cap, other_cap, fault_cap;
	uint32_t keys;
	struct seen seen;
};

/* Gives back what a large request has taken; nothing of it is looked at any more. */
void frame_trim(struct nsp_frame *frame);

static inline const char *frame_slot(const struct nsp_frame *frame, const struct decoded *decoded)
{
	return (const char *)frame->text.data + decoded->slot;
}

#endif
