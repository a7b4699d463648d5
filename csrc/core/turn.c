/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of many messages, decoded at once, and those among them that are plain carried out at once. */
#include "core/core.h"

#include "core/clock.h"
#include "core/completed.h"
#include "core/envelope.h"
#include "core/lock.h"
#include "core/origin.h"
#include "core/request.h"
#include "core/wanted.h"

#define TEXT_OF(number) #number
#define IN_TEXT(number) TEXT_OF(number)
#define KEPT_BYTES (1 << 20)
#define ITEMS_AT_ONCE 1024 /* the writer is not kept waiting for a whole turn */

struct turn_request {
	const uint8_t *data;
	size_t len;
	uint32_t message;
	uint32_t fault; /* an offset in the turn's `texts`, and 1 */
	bool gathered;
	bool plain;
	struct envelope envelope;
};

struct nsp_turn {
	struct nsp_frame **frames; /* one a request, used again */
	uint32_t frame_count, frame_cap;
	struct turn_request *requests;
	uint32_t count, cap;
	struct nsp_run *runs;
	uint32_t run_count, run_cap;
	struct mp_out texts;
	struct mp_out record;
};

struct nsp_turn *nsp_turn_new(void)
{
	struct nsp_turn *turn = calloc(1, sizeof(*turn));

	if (!turn)
		abort();
	return turn;
}

void nsp_turn_free(struct nsp_turn *turn)
{
	if (!turn)
		return;
	for (uint32_t i = 0; i < turn->frame_count; i++)
		nsp_frame_free(turn->frames[i]);
	free(turn->frames);
	free(turn->requests);
	free(turn->runs);
	mp_free(&turn->texts);
	mp_free(&turn->record);
	free(turn);
}

static void add_request(struct nsp_turn *turn, const uint8_t *data, size_t len, uint32_t message, bool gathered)
{
	ARRAY_GROW(turn->requests, turn->count, turn->cap);
	turn->requests[turn->count++] = (struct turn_request){ .data = data, .len = len, .message = message, .gathered = gathered };
}

static void refuse_request(struct nsp_turn *turn, struct turn_request *request, const char *text)
{
	request->fault = (uint32_t)turn->texts.len + 1;
	mp_put_raw(&turn->texts, text, strlen(text) + 1);
}

static const char *read_array(struct nsp_turn *turn, const uint8_t *data, size_t len, uint32_t message)
{
	struct mp_in in = { data, data + len };
	struct mp_token array;

	if (!mp_next(&in, &array))
		return "truncated msgpack";
	if (!array.len)
		return "an array of requests has at least one";
	if (array.len > NSP_GATHERED_MAX)
		return "an array has more requests than " IN_TEXT(NSP_GATHERED_MAX);
	for (uint32_t i = 0; i < array.len; i++) {
		const uint8_t *start = in.p;
		if (!mp_skip(&in))
			return "truncated msgpack";
		add_request(turn, start, (size_t)(in.p - start), message, true);
	}
	return in.p == in.end ? NULL : "something follows the array of requests";
}

static bool is_array(const uint8_t *data, size_t len)
{
	return len && ((data[0] & 0xf0) == 0x90 || data[0] == 0xdc || data[0] == 0xdd);
}

static struct nsp_frame *frame_of(struct nsp_turn *turn, uint32_t number)
{
	while (turn->frame_count <= number) {
		ARRAY_GROW(turn->frames, turn->frame_count, turn->frame_cap);
		turn->frames[turn->frame_count++] = nsp_frame_new();
	}
	return turn->frames[number];
}

static void decode(struct nsp_turn *turn, uint32_t number, bool only_one)
{
	struct turn_request *request = &turn->requests[number];
	struct nsp_frame *frame = frame_of(turn, number);
	struct nsp_error err;

	if (nsp_frame_read(frame, request->data, request->len, &err) < 0)
		refuse_request(turn, request, err.text);
	else
		request->plain = !only_one && !frame->other_count && envelope_read(frame, &request->envelope);
}

static bool alike(const struct turn_request *a, const struct turn_request *b)
{
	return a->plain == b->plain &&
	       (!a->plain || (a->envelope.deletes == b->envelope.deletes && a->envelope.source_len == b->envelope.source_len &&
			      !memcmp(a->envelope.source, b->envelope.source, a->envelope.source_len)));
}

static void find_runs(struct nsp_turn *turn)
{
	turn->run_count = 0;
	for (uint32_t i = 0; i < turn->count; i++) {
		const struct turn_request *request = &turn->requests[i];
		if (i && alike(request - 1, request)) {
			turn->runs[turn->run_count - 1].count++;
			continue;
		}
		ARRAY_GROW(turn->runs, turn->run_count, turn->run_cap);
		turn->runs[turn->run_count++] = (struct nsp_run){
			.first = i,
			.count = 1,
			.plain = request->plain,
			.deletes = request->envelope.deletes,
			.source_len = request->envelope.source_len,
			.source = request->envelope.source,
		};
	}
}

uint32_t nsp_turn_read(struct nsp_turn *turn, struct nsp_message *messages, uint32_t count, uint32_t only_one,
		       const struct nsp_run **runs)
{
	for (uint32_t i = 0; i < turn->count && i < turn->frame_count; i++)
		frame_trim(turn->frames[i]);
	turn->count = 0;
	turn->texts.len = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t first = turn->count;
		const char *wrong = NULL;
		bool gathered = !only_one && is_array(messages[i].data, messages[i].len);
		if (gathered)
			wrong = read_array(turn, messages[i].data, messages[i].len, i);
		if (wrong)
			turn->count = first;
		if (!gathered || wrong)
			add_request(turn, messages[i].data, messages[i].len, i, gathered);
		if (wrong)
			refuse_request(turn, &turn->requests[first], wrong);
		for (uint32_t k = first; k < turn->count && !wrong; k++)
			decode(turn, k, only_one);
		messages[i].requests = turn->count - first;
		messages[i].gathered = gathered;
	}
	find_runs(turn);
	*runs = turn->runs;
	return turn->run_count;
}

void nsp_turn_request(struct nsp_turn *turn, uint32_t number, struct nsp_turn_request *view)
{
	const struct turn_request *request = &turn->requests[number];

	*view = (struct nsp_turn_request){
		.data = request->data,
		.len = request->len,
		.message = request->message,
		.frame = request->fault ? NULL : turn->frames[number],
		.text = request->fault ? (const char *)turn->texts.data + request->fault - 1 : NULL,
	};
}

size_t nsp_turn_record(struct nsp_turn *turn, uint32_t first, uint32_t count, const uint8_t **data)
{
	struct mp_out *record = &turn->record;

	if (count == 1) {
		*data = turn->requests[first].data;
		return turn->requests[first].len;
	}
	if (record->cap > KEPT_BYTES)
		mp_free(record);
	record->len = 0;
	mp_put_array(record, count);
	for (uint32_t i = first; i < first + count; i++)
		mp_put_raw(record, turn->requests[i].data, turn->requests[i].len);
	*data = record->data;
	return record->len;
}

static void put_id(struct mp_out *out, const struct mp_token *id)
{
	switch (id->type) {
	case MP_UINT:
		mp_put_uint(out, id->number);
		break;
	case MP_INT:
		mp_put_negative(out, id->number);
		break;
	case MP_STR:
		mp_put_str(out, (const char *)id->data, id->len);
		break;
	case MP_BIN:
		mp_put_bin(out, id->data, id->len);
		break;
	default:
		mp_put_nil(out);
	}
}

void nsp_turn_commit(struct nsp_core *core, struct nsp_turn *turn, uint32_t first, uint32_t count, uint64_t revision,
		     const struct nsp_message *messages)
{
	uint64_t now = clock_ns(), generation = 0;
	uint32_t done = 0, origin = 0;
	bool known = false;

	core_lock(core);
	for (uint32_t i = first; i < first + count; i++) {
		const struct turn_request *taken = &turn->requests[i];
		const struct envelope *envelope = &taken->envelope;
		struct nsp_frame *frame = turn->frames[i];
		struct request *request = request_open(core);

		request->plain = true;
		request->gathered = taken->gathered;
		request->deletes = envelope->deletes;
		request->wait = (uint8_t)envelope->wait;
		request->message = messages[taken->message].number;
		request->revision = revision++;
		request->began = now;
		put_id(&request->id, &envelope->id);
		if (!known || generation != envelope->generation) { /* a run is of one source */
			origin = origin_make(core, envelope->source, envelope->source_len, generation = envelope->generation);
			known = true;
		}
		bool express = frame->count <= NSP_EXPRESS_ITEMS;
		if (envelope->deletes)
			frame_delete(core, frame, request, origin, envelope->force ? NSP_FORCE : 0, express);
		else
			frame_put(core, frame, request, origin, express);
		request_commit(core, request);
		if (request->outstanding && request->wait == WAIT_ACCEPTED)
			answer_push(core, request->serial);
		done += 1 + frame->bulk_count;
		if (done < ITEMS_AT_ONCE)
			continue;
		done = 0;
		core_yield(core);
	}
	core_unlock(core);
}
