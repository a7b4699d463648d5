/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_CHANGES_H
#define NSP_CHANGES_H

#include "core/core.h"

void entry_put_change(struct nsp_core *core, const struct row *row, uint32_t state, uint32_t previous);
/* What was found wrong with a row: "missing" or "altered". */
void entry_put_drift(struct nsp_core *core, const struct row *row, const char *found);
/* An object of ours that no row wants has been deleted; `slot` is its interface in keys. */
void entry_put_stale(struct nsp_core *core, const char *slot, const struct item *item);

#endif
