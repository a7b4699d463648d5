/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_REFUSED_H
#define NSP_REFUSED_H

#include "core/frame.h"

/* Notes that an item of a frame is refused. */
void frame_refuse(struct nsp_frame *frame, uint32_t index, const uint8_t *data, size_t len, const struct fault *fault);

/* Notes the key of what was refused last. */
void frame_refuse_key(struct nsp_frame *frame, const char *key, size_t len);

/* The key of what was refused, or NULL. */
const char *frame_fault_key(const struct nsp_frame *frame, const struct frame_fault *fault);

#endif
