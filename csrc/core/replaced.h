/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_REPLACED_H
#define NSP_REPLACED_H

#include "core/op.h"

/* A copy of what is to be put back; `beside` others of the same destination and metric. */
struct nlmsghdr *replaced_keep(const struct nlmsghdr *msg, bool beside);
/* The row takes the place of what was found there. false: not before the planner has recorded it. */
bool replaced_take(struct nsp_core *core, struct row *row, uint32_t netns, const struct nlmsghdr *found, bool beside);
/* Before anything else that is queued. `row`: which had replaced it, or NULL. */
void replaced_put_back(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *kept, const struct row *row);
/* What the row had taken the place of is put back. */
void row_restore(struct nsp_core *core, struct row *row);
/* An operation that put something back has ended. */
void replaced_ended(struct nsp_core *core, const struct op *op);

#endif
