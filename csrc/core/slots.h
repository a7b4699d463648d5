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
/* The row of a slot that an object of the kernel is of, and that has one of these flags; or NIL. */
uint32_t slot_row_of(const struct nsp_core *core, uint32_t slot, uint8_t kind, const uint8_t *key, uint32_t flags);
/* One more of its rows is blocked, or one less. */
void slot_block(struct nsp_core *core, uint32_t slot);
void slot_unblock(struct nsp_core *core, uint32_t slot);
/* slot_recheck when the queue is empty; of routes over this link and others too. */
void slot_recheck_later(struct nsp_core *core, uint32_t slot, uint32_t which);

/* A walk over a list of a slot's rows, of whatever length: now and then others have the lock. Then rows may leave the list, or come to
 * its front, where the walk does not see them; and the slot may be lost. */
struct walk {
	uint32_t next;
	uint32_t passed;
	struct walk *outer;
};

void walk_begin(struct nsp_core *core, struct walk *walk, uint32_t slot, enum row_list list);
/* The next row's number, or NIL: then it has ended. No row that was found before the call needs to be there any more. */
uint32_t walk_next(struct nsp_core *core, struct walk *walk);
/* Do others have the lock before the next row is found? */
bool walk_gives_way(const struct walk *walk);
/* Ends it before its time. */
void walk_end(struct nsp_core *core, struct walk *walk);

#endif
