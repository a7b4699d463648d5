/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_DUPLICATES_H
#define NSP_DUPLICATES_H

#include "core/hash.h"
#include "kinds/kind.h"

/* A set of keys, which is used again for each request. */
struct seen {
	struct seen_entry *entries;
	uint32_t cap;
	struct secret secret;
};

void seen_free(struct seen *seen);

/* Takes the items out whose key an earlier one has, and tells of each in its turn. `text` is where their slots' keys are, and may move
 * meanwhile. Returns how many are left. */
uint32_t duplicates_drop(struct seen *seen, struct decoded *list, uint32_t count, const struct mp_out *text,
			 void (*drop)(void *arg, const struct decoded *decoded), void *arg);

#endif
