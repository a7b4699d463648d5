/* SPDX-License-Identifier: Apache-2.0 */
/* Places as they stand in keys: NAME of an interface item, LINK@TYPE:REFERENCE of a kernel interface in a namespace, @TYPE:REFERENCE of the
 * namespace itself, and @ of the agent's own. */
#ifndef NSP_REFERENCE_H
#define NSP_REFERENCE_H

#include "wire/fault.h"

#define NSP_KEY_MAX 1400 /* of a row, with its NUL */

/* What an item says in front of its address, as it came: the map's header, and so many of its pairs. */
struct opening {
	const uint8_t *data;
	size_t len; /* 0: not known */
	uint32_t pairs, passed;
	int kind;
	unsigned given; /* fields */
	struct mp_token name;
	struct mp_in namespace;
};

/* What was decoded last: publishers send runs of one interface, so its key is written once a run. */
struct slot_memo {
	const uint8_t *name;
	uint32_t name_len;
	uint32_t offset;
	struct mp_in namespace; /* as it came; empty where there was none */
	/* The same with a list of next hops: as it came, and the set in the text that was made of it. */
	const uint8_t *list;
	uint32_t list_len, set;
	uint16_t set_len;
	struct opening opening;
};

/* Passes over the field `namespace` and notes its value; where that is the last one's again, by a comparison of bytes. false: truncated. */
bool reference_pass(struct mp_in *in, const struct slot_memo *memo, struct mp_in *namespace);

/* Writes the key of an item's interface (or of its namespace, where `name` is MP_NIL, with data of no bytes) behind `text`, and where into
 * `slot`. `namespace` is as reference_pass noted it, or empty. */
bool reference_decode(const struct mp_token *name, struct mp_in namespace, uint32_t *slot, struct mp_out *text,
		      struct slot_memo *memo, struct fault *fault);

/* Does the key of a slot stand for a whole namespace? */
static inline bool reference_is_netns(const char *slot)
{
	return *slot == '@';
}

/* Is this as reference_decode writes it? */
bool reference_is_slot(const char *slot, size_t len);

/* The pairs `interface` and `namespace` of items on this slot, as far as there are. Returns the number of pairs. */
uint32_t reference_put(struct mp_out *out, const char *slot);

#endif
