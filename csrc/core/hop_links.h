/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes over several links. They are on the slot of their namespace, and each next hop names a link there, which has a slot of its own
 * as long as there are such routes: the route is written when all of these are ready, with the numbers of their links. Until then its
 * verdict waits as on a slot that is not ready: for nsp_slot_settle of these.
 *
 * When a link goes, the kernel leaves the other next hops, or deletes the route: so what it has then is not known, and the row waits.
 */
#ifndef NSP_HOP_LINKS_H
#define NSP_HOP_LINKS_H

#include "core/core.h"

bool row_has_links(const struct nsp_core *core, const struct row *row);
/* Is there a link among them that is not ready? */
bool row_lacks_link(const struct nsp_core *core, const struct row *row);
/* Is one of them the link of this slot? */
bool row_is_by(const struct nsp_core *core, const struct row *row, uint32_t link_slot);
/* A request puts a row on the slot of a namespace: the slots of its links are there from now on, until the last row has gone. */
void hop_links_take(struct nsp_core *core, uint32_t slot, const uint8_t *set, size_t len, uint32_t request);
void hop_links_release(struct nsp_core *core, struct slot *slot);
/* What the row says of its item, the names of its links replaced by their numbers, in `hops`. false: one is not ready. */
bool row_item_resolved(const struct nsp_core *core, const struct row *row, struct item *item, uint8_t hops[HOPS_BYTES]);
/* Appends the facts that it waits for, where it lacks a link, as an array: "link/eth1@name:red". */
void hop_links_put_missing(const struct nsp_core *core, struct mp_out *out, const struct row *row);

#endif
