/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_COMPLETED_H
#define NSP_COMPLETED_H

#include "core/core.h"

/* Something that the planner is to fetch with nsp_core_poll. */
void done_push(struct nsp_core *core, struct nsp_done done);
void core_notice(struct nsp_core *core, uint32_t slot, uint32_t what);

#endif
