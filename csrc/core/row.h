/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a row. */
#ifndef NSP_ROW_H
#define NSP_ROW_H

#include "core/core.h"

/* What a row that comes out of the queue wants of the kernel. */
enum row_due {
	DUE_NOTHING, /* not now: its slot is not ready, it is blocked or dead */
	DUE_DROP,    /* nothing ever again */
	DUE_ADD,     /* put as new: somebody else's object is never replaced */
	DUE_REPLACE, /* put over itself */
	DUE_DELETE,
	DUE_GIVE_BACK, /* deleted for what it had taken the place of, and tried again without override */
};

/* `ready`: its slot is. `replaced`: it has taken the place of somebody else's object. */
enum row_due row_due(const struct row *row, bool ready, bool replaced);
/* The kernel's object of a row that was to be deleted has gone: nothing is left to do. */
void row_gone(struct nsp_core *core, uint32_t id, struct row *row);
/* Somebody undid it: it is written again, unless that goes on and on. */
void row_repair(struct nsp_core *core, uint32_t id, struct row *row, const char *why);
/* A request waits for its next verdict, unless a newer one does. */
void row_await_verdict(struct nsp_core *core, struct row *row, uint32_t request);
/* It may have been undone, who knows: the kernel is asked, by putting it as new. */
void row_suspect(struct nsp_core *core, uint32_t id, struct row *row);
/* The kernel has told: `undone`, or it was a false alarm. Returns what had been suspected. */
enum suspicion row_resolve(struct nsp_core *core, struct row *row, bool undone);
/* Queues it again before others; `request` (or 0) still waits for the verdict. */
void row_retry(struct nsp_core *core, uint32_t id, struct row *row, uint32_t request);
/* Is it pending (its state, or the one that it is to have) since the kernel finds no way to its gateway? Somebody else may make one. */
bool row_is_unreachable(const struct nsp_core *core, const struct row *row, uint32_t state);
/* Puts a row into a state, and on the list that belongs to it. */
void row_state(struct nsp_core *core, uint32_t id, struct row *row, uint32_t state, int error, const char *text);
/* Gives whoever waits for it the verdict. */
void row_give_verdict(struct nsp_core *core, struct row *row, uint32_t state);
/* Nobody wants it any more and the kernel does not have it. */
void row_drop(struct nsp_core *core, uint32_t id, struct row *row);
/* It is not to be any more: deleted, or dropped at once where the kernel does not have it. */
void row_unwant(struct nsp_core *core, uint32_t id, struct row *row, struct request *request, bool express);
void row_block(struct nsp_core *core, struct row *row);
void row_unblock(struct nsp_core *core, struct row *row);
/* The kernel's object has gone: a row that was blocked by it takes over, and what it had taken the place of is put back. */
void row_released(struct nsp_core *core, struct row *row);
/* The body that the kernel has of it, where routes that name no table go to this one (`struct slot`): its own, or a copy in `body`, of
 * KIND_BODY_MAX bytes. */
const uint8_t *row_kernel_body(const struct row *row, uint32_t table, uint8_t *body);
/* Appends the message that puts (by a nexthop object, where that is not 0) or deletes a row; -ENOSPC where it does not fit. */
int row_encode(const struct nsp_core *core, struct nsp_batch *batch, const struct row *row, int32_t ifindex, uint32_t table,
	       enum encode_mode mode, uint32_t nexthop);
/* Has it deleted from the kernel, before anything else is written, though nobody waits for that. */
void row_withdraw(struct nsp_core *core, const struct row *row, uint32_t netns, int32_t ifindex, uint32_t table);
/* Is exactly this wanted already? */
bool row_is_as(const struct nsp_core *core, const struct row *row, const struct decoded *decoded);

#endif
