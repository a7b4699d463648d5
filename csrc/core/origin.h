/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_ORIGIN_H
#define NSP_ORIGIN_H

#include "core/core.h"

/* nsp_core_origin, with the lock held; `source` is `len` bytes without NUL. */
uint32_t origin_make(struct nsp_core *core, const uint8_t *source, size_t len, uint64_t generation);
/* The row is of this origin now. */
void row_origin(struct nsp_core *core, struct row *row, uint32_t origin);
bool row_is_of_source(const struct nsp_core *core, const struct row *row, uint32_t origin);

#endif
