/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_SLOT_H
#define NSP_SLOT_H

#include "core/core.h"

#define NSP_RECHECK_DROPPED 0x40000000 /* what counts as configured, and the kernel has dropped it */

/* Has rows of a slot written again: NSP_RECHECK_*. */
void slot_recheck(struct nsp_core *core, uint32_t slot, uint32_t which);

#endif
