/* SPDX-License-Identifier: Apache-2.0 */
/* Items of the bulk kinds in msgpack, by their field tables. */
#ifndef NSP_KIND_ITEM_H
#define NSP_KIND_ITEM_H

#include "kinds/value.h"
#include "wire/reference.h"

/* The first kind of the name that an item map gives as its `kind`, or -1. `in` is at the item's first byte and is not moved; `memo` is of
 * the item before. */
int item_kind(struct mp_in in, const struct slot_memo *memo);

/* What a map of an item says. */
struct fields {
	int kind;		       /* the first of its name */
	unsigned given;		       /* the fields that are, by their places in the kind's table */
	struct mp_token name;	       /* of the interface; MP_NIL where none is given */
	struct mp_in namespace, block; /* their values, or nothing */
	struct value values[KIND_FIELDS_MAX];
};

/* Reads the map of an item of a bulk kind (`kind` by item_kind); `in` is moved behind it. false: `fault` says why. What is too
 * long for a value is appended to `text`; `memo` is of the item before. */
bool item_read(struct mp_in *in, int kind, struct fields *fields, struct mp_out *text, struct slot_memo *memo, struct fault *fault);

/* Makes an item of a map without `block`. The slot's key is appended to `text`. */
bool item_make(struct fields *fields, struct decoded *decoded, struct mp_out *text, struct slot_memo *memo, struct fault *fault);

/* The field of this name, or NULL; `hint` is where it is looked for first, and next time. */
const struct field *item_field(const struct kind *kind, const struct mp_token *key, unsigned *hint);

/* Finds the slot: of an item that is of its whole namespace that of the namespace; of `keys`, which do not say it, where no interface is
 * given. The slot's key is appended to `text`. */
bool item_place(const struct fields *fields, bool keys, struct decoded *decoded, struct mp_out *text, struct slot_memo *memo,
		struct fault *fault);

/* Puts what is given where it belongs. The family of an item is that of the address in its key, and all its addresses are of it. */
bool item_store(const struct fields *fields, const struct kind *kind, struct decoded *decoded, struct fault *fault);

/* The item as its publisher could have written it: what is at its default is left out. */
void item_put(struct mp_out *out, const char *slot, const struct item *item);

#endif
