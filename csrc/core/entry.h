/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_ENTRY_H
#define NSP_ENTRY_H

#include "core/core.h"

#define NO_PREVIOUS NSP_STATES /* the entry is no event */
#define ENTRY_PAIRS 9

void state_put(struct mp_out *out, uint32_t state);
/* A row that had no verdict yet waits for the writer: pending. */
uint32_t row_shown_state(const struct row *row);
/* The row's key; `key` holds NSP_KEY_MAX bytes. Returns its length. */
size_t row_key_text(const struct nsp_core *core, const struct row *row, char *key);
/* The ENTRY_PAIRS pairs of an entry. */
void entry_put_pairs(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state);
void entry_put(struct nsp_core *core, struct mp_out *out, const struct row *row, uint32_t state, uint32_t previous);

#endif
