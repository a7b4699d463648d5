/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_REFUSED_H
#define NSP_REFUSED_H

#include "core/frame.h"

/* Notes that what stands at `data` is refused: an item or key, or with `offset` one of the block that stands there. */
void frame_refuse(struct nsp_frame *frame, uint32_t index, uint32_t offset, const uint8_t *data, size_t len,
		  const struct fault *fault);

/* Notes the key of what was refused last. */
void frame_refuse_key(struct nsp_frame *frame, const char *key, size_t len);

#endif
