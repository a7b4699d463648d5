/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_SLOTS_H
#define NSP_SLOTS_H

#include "core/core.h"

/* The slot of an interface as it stands in keys, or NIL. */
uint32_t slot_lookup(const struct nsp_core *core, const char *key);
uint32_t slot_make(struct nsp_core *core, const char *key);
void slot_link(struct nsp_core *core, uint32_t id, struct row *row, enum row_list list);
void slot_unlink(struct nsp_core *core, struct row *row);
/* It is ready in its namespace, or no more. */
void slot_enter_netns(struct nsp_core *core, uint32_t slot);
void slot_leave_netns(struct nsp_core *core, uint32_t slot);
/* The slots that are ready on a link of a namespace, one after another; NIL behind the last. */
uint32_t slot_on_link(const struct nsp_core *core, uint32_t netns, int32_t ifindex);
uint32_t slot_next_on_link(const struct nsp_core *core, uint32_t slot);
/* slot_rejudge when the queue is empty. */
void slot_rejudge_later(struct nsp_core *core, uint32_t slot, uint32_t which);

#endif
