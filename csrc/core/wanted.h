/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_WANTED_H
#define NSP_WANTED_H

#include "core/core.h"
#include "core/frame.h"

/* The frame's rows are wanted, or those of its keys no more. They are called with the lock held, and yield it now and then. */
void frame_put(struct nsp_core *core, struct nsp_frame *frame, struct request *request, uint32_t origin, bool express);
void frame_delete(struct nsp_core *core, struct nsp_frame *frame, struct request *request, uint32_t origin, uint32_t flags,
		  bool express);

#endif
