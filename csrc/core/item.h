/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_ITEM_H
#define NSP_ITEM_H

#include "core/core.h"

/* The item as its publisher could have written it: what is at its default is left out. `source`: the preferred source, where the row
 * has one. */
void item_put(struct mp_out *out, const char *slot, const struct row *row, const uint8_t *source);

void item_put_row(const struct nsp_core *core, struct mp_out *out, const struct row *row);

#endif
