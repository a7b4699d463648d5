/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: every item gets exactly one verdict, and the request is completed with the last. */
#include "core/request.h"

#include "core/completed.h"
#include "core/entry.h"
#include "core/lock.h"

struct request *request_get(struct nsp_core *core, uint32_t serial)
{
	struct request *request = core->requests[serial & core->request_mask];

	return request && request->open && request->serial == serial ? request : NULL;
}

static void grow_requests(struct nsp_core *core)
{
	uint32_t size = (core->request_mask + 1) * 2;
	struct request **grown = calloc(size, sizeof(struct request *));

	if (!grown)
		abort();
	for (uint32_t i = 0; i <= core->request_mask; i++)
		if (core->requests[i])
			grown[core->requests[i]->serial & (size - 1)] = core->requests[i];
	free(core->requests);
	core->requests = grown;
	core->request_mask = size - 1;
}

struct request *request_open(struct nsp_core *core)
{
	uint32_t serial = ++core->next_serial;
	if (!serial)
		serial = ++core->next_serial; /* 0 is no request */
	for (;;) {
		struct request *at = core->requests[serial & core->request_mask];
		if (!at || !at->open)
			break;
		grow_requests(core);
	}
	struct request **place = &core->requests[serial & core->request_mask];
	if (!*place) {
		*place = calloc(1, sizeof(struct request));
		if (!*place)
			abort();
	}
	struct mp_out out = (*place)->out, summary = (*place)->summary, id = (*place)->id;
	out.len = id.len = 0;
	**place = (struct request){ .serial = serial, .open = true, .out = out, .summary = summary, .id = id };
	return *place;
}

uint32_t nsp_core_request_open(struct nsp_core *core)
{
	core_lock(core);
	uint32_t serial = request_open(core)->serial;
	core_unlock(core);
	return serial;
}

static void request_finish(struct nsp_core *core, struct request *request)
{
	if (!request->committed || request->outstanding)
		return;
	if (request->plain)
		answer_push(core, request->serial);
	else
		done_push(core, (struct nsp_done){ .serial = request->serial });
}

void request_commit(struct nsp_core *core, struct request *request)
{
	request->committed = true;
	request_finish(core, request);
}

void nsp_core_request_commit(struct nsp_core *core, uint32_t serial)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request && !request->committed)
		request_commit(core, request);
	core_unlock(core);
}

void request_summarise(struct request *request)
{
	uint32_t pairs = 0;

	request->summary.len = 0;
	for (uint32_t state = 0; state < NSP_STATES; state++)
		pairs += request->counts[state] != 0;
	mp_put_map(&request->summary, pairs);
	for (uint32_t state = 0; state < NSP_STATES; state++) {
		if (!request->counts[state])
			continue;
		state_put(&request->summary, state);
		mp_put_uint(&request->summary, request->counts[state]);
	}
}

int nsp_core_request_result(struct nsp_core *core, uint32_t serial, struct nsp_result *result)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request) {
		request_summarise(request);
		*result = (struct nsp_result){
			.serial = serial,
			.outstanding = request->outstanding,
			.entries = request->entries,
			.len = request->out.len,
			.data = request->out.data,
			.summary_len = request->summary.len,
			.summary = request->summary.data,
		};
		memcpy(result->counts, request->counts, sizeof(result->counts));
	}
	core_unlock(core);
	return request ? 0 : -ENOENT;
}

void request_close(struct request *request)
{
	request->open = false;
	if (request->out.cap > 65536)
		mp_free(&request->out);
}

void nsp_core_request_close(struct nsp_core *core, uint32_t serial)
{
	core_lock(core);
	struct request *request = request_get(core, serial);
	if (request)
		request_close(request);
	core_unlock(core);
}

void request_count(struct request *request, uint32_t state)
{
	request->counts[state]++;
}

struct mp_out *request_entry(struct request *request)
{
	request->entries++;
	return &request->out;
}

void request_settle(struct nsp_core *core, uint32_t serial, struct row *row, uint32_t state)
{
	struct request *request = request_get(core, serial);

	if (!request)
		return;
	if (state == NSP_STATE_RETRYING) /* that is yet to come: the verdict is about what was done */
		state = NSP_STATE_FAILED;
	request_count(request, state);
	if (state != NSP_STATE_CONFIGURED && state != NSP_STATE_REMOVED)
		entry_put(core, request_entry(request), row, state, NO_PREVIOUS);
	request->outstanding--;
	request_finish(core, request);
}
