/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_MISDELETED_H
#define NSP_MISDELETED_H

#include "core/op.h"

/* The answer to a deletion. If another object than the one that was meant has gone it is kept. */
void misdeleted_note(struct messages *misdeleted, const struct nlmsghdr *answer);
/* Has put back what a namespace has lost so, and empties the list. Called with the lock held, before the verdicts of rows that were sent
 * are taken. */
void misdeleted_restore(struct nsp_core *core, uint32_t netns, struct messages *misdeleted);

#endif
