/* SPDX-License-Identifier: Apache-2.0 */
/* Items of the bulk kinds in msgpack, by their field tables. */
#ifndef NSP_KIND_ITEM_H
#define NSP_KIND_ITEM_H

#include "kinds/kind.h"
#include "wire/reference.h"

/* The first kind of the name that an item map gives as its `kind`, or -1. `in` is at the item's first byte and is not moved. */
int item_kind(struct mp_in in);

/* Decodes an item of a bulk kind (`kind` by item_kind); `in` is moved behind it. The slot's key is appended to `text`. false: `fault`
 * says why. */
bool item_decode(struct mp_in *in, int kind, struct wish *wish, struct mp_out *text, struct slot_memo *memo, struct fault *fault);

/* The item as its publisher could have written it: what is at its default is left out. */
void item_put(struct mp_out *out, const char *slot, const struct item *item);

#endif
