/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_REQUEST_H
#define NSP_REQUEST_H

#include "core/core.h"

struct request *request_get(struct nsp_core *core, uint32_t serial);
/* A new one, with the lock held. */
struct request *request_open(struct nsp_core *core);
/* No more is coming under it. */
void request_commit(struct nsp_core *core, struct request *request);
/* Nobody asks for it any more. */
void request_close(struct request *request);
/* Its counts that are not 0, as a msgpack map by the states' names: in `summary`. */
void request_summarise(struct request *request);
/* Counts a verdict given at once. */
void request_count(struct request *request, uint32_t state);
/* Room for an entry: begin, write one msgpack map, and it is counted. */
struct mp_out *request_entry(struct request *request);
/* A row whose verdict is waited for gets `state`: with an entry where that is neither configured nor removed. */
void request_settle(struct nsp_core *core, uint32_t serial, struct row *row, uint32_t state);

#endif
