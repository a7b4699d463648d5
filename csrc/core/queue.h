/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_QUEUE_H
#define NSP_QUEUE_H

#include "core/core.h"

/* Entries: a row's number, a pointer to an operation (its two low bits are 0), or the number of a namespace to close. */
#define ENTRY_ROW(id) ((uint64_t)(id) << 2 | 1)
#define ENTRY_OP(op) ((uint64_t)(uintptr_t)(op))
#define ENTRY_CLOSE(netns) ((uint64_t)(netns) << 2 | 2)
#define ENTRY_SPREADS ((uint64_t)1 << 40) /* of a row: one of a kind that deletes_spread is to be deleted */

/* Of many deletions of a kind that deletes_spread every so manieth is carried out, then those behind these, and so on. Less than so
 * many are not worth it. */
#define SPREAD_STEP 8
#define SPREAD_LEAST 4096

void queue_push(struct queue *queue, uint64_t entry);
uint64_t queue_pop(struct queue *queue);
/* Puts the deletions in front into the order in which the kernel likes them, once they are in front. */
void queue_spread(struct queue *queue);
/* Queues a row, which has one place there at most. */
void queue_row(struct nsp_core *core, uint32_t id, struct row *row, bool express);

#endif
