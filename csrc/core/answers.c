/* SPDX-License-Identifier: Apache-2.0 */
/* The answers to plain requests, as they stand on the wire. */
#include "core/core.h"

#include "core/clock.h"
#include "core/envelope.h"
#include "core/figures.h"
#include "core/lock.h"
#include "core/request.h"

#define ANSWERS_AT_ONCE 256 /* the writer is not kept waiting for all of them */
#define KEPT_BYTES (1 << 20)

static void begin(struct mp_out *out)
{
	if (out->cap > KEPT_BYTES)
		mp_free(out);
	out->len = 0;
}

static void put_answer(struct mp_out *out, struct request *request)
{
	mp_put_map(out, 5);
	mp_put_literal(out, "id");
	mp_put_raw(out, request->id.data, request->id.len);
	mp_put_literal(out, "ok");
	mp_put_bool(out, true);
	mp_put_literal(out, "revision");
	mp_put_uint(out, request->revision);
	mp_put_literal(out, "counts");
	mp_put_raw(out, request->summary.data, request->summary.len);
	mp_put_literal(out, "items");
	mp_put_array(out, request->entries);
	mp_put_raw(out, request->out.data, request->out.len);
}

static void put_end(struct mp_out *out, const struct request *request, uint64_t now)
{
	mp_put_array(out, 4);
	mp_put_uint(out, request->revision);
	mp_put_raw(out, request->summary.data, request->summary.len);
	mp_put_float(out, (double)(now - request->began) / 1e9);
	mp_put_nil(out);
}

static uint32_t failures(const struct request *request)
{
	return request->counts[NSP_STATE_FAILED] + request->counts[NSP_STATE_INVALID] + request->counts[NSP_STATE_CONFLICT];
}

/* The answer that this request's is to be in: that of its message, where the last one was of the same, or a new one. */
static struct nsp_answer *answer_of(struct nsp_core *core, const struct request *request, uint32_t *count)
{
	if (!*count || core->answer_list[*count - 1].message != request->message) {
		ARRAY_GROW(core->answer_list, *count, core->answer_cap);
		core->answer_list[(*count)++] = (struct nsp_answer){ .message = request->message };
	}
	return &core->answer_list[*count - 1];
}

/* The elements of an array are counted when they are known: its header is written in its longest form, in front of them. */
static void count_element(struct mp_out *out, size_t begin, uint64_t elements)
{
	if (out->len == begin)
		mp_put_raw(out, "\xdd\0\0\0\0", 5);
	for (int i = 0; i < 4; i++)
		out->data[begin + 1 + i] = (uint8_t)(elements >> (24 - 8 * i));
}

static void answer(struct nsp_core *core, struct request *request, struct nsp_answers *answers)
{
	struct mp_out *out = &core->answers;
	struct nsp_answer *answer = answer_of(core, request, &answers->count);

	answer->requests++;
	if (request->wait == WAIT_NONE) {
		answer->unanswered_errors += failures(request);
		return;
	}
	size_t begin = out->len - answer->len;
	answer->answered++;
	if (request->gathered)
		count_element(out, begin, answer->answered);
	put_answer(out, request);
	answer->len = out->len - begin;
}

void nsp_core_answers(struct nsp_core *core, struct nsp_answers *answers)
{
	uint64_t now = clock_ns();

	*answers = (struct nsp_answers){ 0 };
	begin(&core->answers);
	begin(&core->ends);
	core_lock(core);
	struct serials list = core->to_answer[0];
	core->to_answer[0] = core->to_answer[1];
	core->to_answer[0].count = 0;
	core->to_answer[1] = list;
	for (uint32_t i = 0; i < list.count; i++) {
		struct request *request = request_get(core, list.serials[i]);
		if (!request)
			continue;
		bool ended = !request->outstanding;
		request_summarise(request);
		if (!request->answered)
			answer(core, request, answers);
		request->answered = true;
		if (ended) {
			put_end(&core->ends, request, now);
			histogram_add(&core->request_times[request->deletes], now - request->began);
			answers->ended++;
			if (request->revision > answers->last)
				answers->last = request->revision;
			request_close(request);
		}
		if (i % ANSWERS_AT_ONCE == ANSWERS_AT_ONCE - 1)
			core_yield(core);
	}
	core_unlock(core);
	answers->list = core->answer_list;
	answers->data = core->answers.data;
	answers->len = core->answers.len;
	answers->ends = core->ends.data;
	answers->ends_len = core->ends.len;
}
