/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_COMPLETED_H
#define NSP_COMPLETED_H

#include "core/core.h"

/* Something that the planner is to fetch with nsp_core_poll. */
void done_push(struct nsp_core *core, struct nsp_done done);
/* A plain request that nsp_core_answers is to look at. */
void answer_push(struct nsp_core *core, uint32_t serial);
void core_notice(struct nsp_core *core, uint32_t slot, uint32_t what);

#endif
