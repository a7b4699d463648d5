/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_WRITER_H
#define NSP_WRITER_H

/* The writer's thread. */
void *writer_run(void *core);

#endif
