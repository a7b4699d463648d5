/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_REQUEST_H
#define NSP_REQUEST_H

#include "core/core.h"

struct request *request_get(struct nsp_core *core, uint32_t serial);
/* Counts a verdict given at once. */
void request_count(struct request *request, uint32_t state);
/* Room for an entry: begin, write one msgpack map, and it is counted. */
struct mp_out *request_entry(struct request *request);
/* A row whose verdict is waited for gets `state`: with an entry where that is neither configured nor removed. */
void request_settle(struct nsp_core *core, uint32_t serial, struct row *row, uint32_t state);

#endif
