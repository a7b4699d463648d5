/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_DUPLICATES_H
#define NSP_DUPLICATES_H

#include "core/frame.h"

/* Refuses wishes whose key an earlier one has; `list` is where the items or keys begin. Returns how many there are. */
uint32_t frame_refuse_duplicates(struct nsp_frame *frame, struct mp_in list);

#endif
