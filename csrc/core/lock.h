/* SPDX-License-Identifier: Apache-2.0 */
/* All that takes the lock is short, or lets others have it in between. */
#ifndef NSP_LOCK_H
#define NSP_LOCK_H

#include "core/core.h"

void core_lock(struct nsp_core *core);
/* Lets go of the lock, and wakes the writer where it has work, and whoever waits for what was completed. */
void core_unlock(struct nsp_core *core);
/* Lets those have it who wait for it. */
void core_yield(struct nsp_core *core);
/* It is taken again after a wait on a condition. */
void core_locked(struct nsp_core *core);
/* Milliseconds since the epoch, when that was asked for first since the lock was taken: the clock is not asked for each row. */
uint64_t core_date(struct nsp_core *core);
bool core_has_work(const struct nsp_core *core);
/* Something was completed: who waits for that is woken when the lock is let go of. */
void core_signal(struct nsp_core *core);

#endif
