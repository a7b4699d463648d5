/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_ENVELOPE_H
#define NSP_ENVELOPE_H

#include "core/frame.h"

enum envelope_wait { WAIT_APPLIED, WAIT_ACCEPTED, WAIT_NONE };

/* What a plain request says besides its items or keys. */
struct envelope {
	bool deletes;
	bool force;
	enum envelope_wait wait;
	uint64_t generation;
	const uint8_t *source;
	uint32_t source_len;
	struct mp_token id; /* MP_NIL where there is none */
};

/* Reads the envelope of a plain request: a put or delete of bulk items that is neither atomic nor to be confirmed, and of which
 * everything has the type that it should have. false: of another, or a faulty one, which the engine takes. */
bool envelope_read(const struct nsp_frame *frame, struct envelope *envelope);

#endif
