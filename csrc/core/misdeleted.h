/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_MISDELETED_H
#define NSP_MISDELETED_H

#include "core/op.h"

void messages_add(struct messages *messages, const struct nlmsghdr *msg);
/* nsp_route_delete, and the answer tells what has gone where that is not certain. */
int misdeleted_ask(const struct netns *netns, struct nsp_batch *batch, const struct nsp_route *route);
/* The answer to a message that deletes a route. If another than the one that was meant has gone it is kept. */
void misdeleted_note(struct messages *misdeleted, const struct nlmsghdr *answer);
/* Has put back what a namespace has lost so, and empties the list. Called with the lock held, before the verdicts of rows that were sent are taken. */
void misdeleted_restore(struct nsp_core *core, uint32_t netns, struct messages *misdeleted);

#endif
