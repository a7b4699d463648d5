/* SPDX-License-Identifier: Apache-2.0 */
/* The bulk kinds: what fields they have, and how one is decoded from msgpack. */
#ifndef NSP_SCHEMA_H
#define NSP_SCHEMA_H

#include "nsplane/core.h"
#include "wire/fault.h"
#include "wire/reference.h"
#include "wire/wish.h"

/* What kind an item map is of: 0 route, 1 arp, -1 another or none. `in` is at the item's first byte and is not moved. */
int schema_kind(struct mp_in in);

/* Decodes an item of a bulk kind; `in` is moved behind it. The slot's key is appended to `text`. false: `fault` says why. */
bool schema_decode(struct mp_in *in, int kind, struct wish *wish, struct mp_out *text, struct slot_memo *memo, struct fault *fault);

/* The name of a scope, or NULL for one that has a number only. */
const char *schema_scope_name(uint8_t scope);

#endif
