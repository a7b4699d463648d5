/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are carried out, on interfaces that are not there: whatever was sent, each that is taken is answered, what was accepted is
 * what is listed, and at the end nothing is left.
 *
 *   | how it is listed, 2 bytes | length, 2 bytes | a message: a request or an array of them | length | a message ...
 */
#include "fuzz.h"

#include "core/core.h"
#include "core/frame.h"
#include "kinds/item.h"
#include "kinds/key.h"
#include "nsplane/core.h"

#define NUMBER 4711 /* of all messages, as the caller has it */
#define MESSAGES 8

static struct nsp_core *core;
static struct nsp_turn *turn;
static struct nsp_frame *frame;
static uint32_t plain_runs; /* of this input: what the first one has put is still there when it is looked at */

/* Gives what waits for interfaces that are not there its verdict, as the planner does. */
static void settle(void)
{
	struct nsp_notice notices[16];
	int count;

	while ((count = nsp_core_notices(core, notices, 16)) > 0)
		for (int i = 0; i < count; i++) {
			if (notices[i].what == NSP_NOTICE_TOUCHED && nsp_slot_key(core, notices[i].slot))
				nsp_slot_settle(core, notices[i].slot);
			else if (notices[i].what == NSP_NOTICE_EMPTY && nsp_slot_key(core, notices[i].slot))
				nsp_slot_free(core, notices[i].slot);
		}
}

/* As many requests as were carried out, all at an end, each answer whole. */
static void check_answers(uint32_t requests)
{
	struct nsp_answers answers;
	const uint8_t *at;

	settle();
	nsp_core_answers(core, &answers);
	need(answers.ended == requests);
	need_values(answers.ends, answers.ends_len, answers.ended);
	at = answers.data;
	for (uint32_t i = 0; i < answers.count; i++) {
		const struct nsp_answer *answer = &answers.list[i];

		need(answer->message == NUMBER && answer->answered <= answer->requests);
		need_values(at, answer->len, !!answer->answered);
		at += answer->len;
	}
	need((size_t)(at - answers.data) == answers.len);
}

/* A key or item that a row was made of leads to it. */
static void check_put(const struct nsp_frame *put)
{
	for (uint32_t i = 0; i < put->bulk_count && i < 16; i++) {
		const struct decoded *decoded = &put->bulk[i];
		char key[NSP_KEY_MAX];
		const uint8_t *data;

		key_format(key, frame_slot(put, decoded), decoded->kind, decoded->body);
		long len = nsp_core_row(core, key, &data);
		need(len > 0);
		need_values(data, (size_t)len, 1);
	}
}

/* Carries a run of plain requests out as the intake does; of the others what they would change is asked for. */
static uint32_t carry_out(const struct nsp_run *run, const struct nsp_message *message)
{
	const uint8_t *data;
	size_t len;

	if (run->plain) {
		nsp_turn_commit(core, turn, run->first, run->count, 1, message);
		plain_runs++;
		for (uint32_t i = run->first; !run->deletes && i < run->first + run->count; i++) {
			struct nsp_turn_request request;

			nsp_turn_request(turn, i, &request);
			if (run->count == 1 && plain_runs == 1)
				check_put(request.frame);
		}
		return run->count;
	}
	for (uint32_t i = run->first; i < run->first + run->count; i++) {
		struct nsp_turn_request request;
		uint32_t origin = nsp_core_origin(core, "lab", i & 3), serial;

		nsp_turn_request(turn, i, &request);
		need(!request.frame == !!request.text);
		if (!request.frame)
			continue;
		long count = nsp_core_compare(core, request.frame, origin, i & NSP_FORCE, &data, &len);
		need_values(data, len, count);
		count = nsp_core_compare_sweep(core, request.frame, origin, &data, &len);
		need_values(data, len, count);
		serial = nsp_core_request_open(core);
		nsp_core_check(core, request.frame, serial, origin);
		if (request.frame->keys)
			nsp_core_delete(core, request.frame, serial, origin, i & NSP_FORCE, 0);
		else
			nsp_core_put(core, request.frame, serial, origin, 0);
		nsp_core_sweep(core, serial, origin, i & 1);
		nsp_core_request_commit(core, serial);
		settle();

		struct nsp_result result;
		need(nsp_core_request_result(core, serial, &result) == 0 && !result.outstanding);
		need_values(result.data, result.len, result.entries);
		need_values(result.summary, result.summary_len, 1);
		nsp_core_request_close(core, serial);
	}
	return 0;
}

static uint64_t wanted(void)
{
	struct nsp_totals totals;
	uint64_t rows = 0;

	nsp_core_totals(core, &totals);
	for (int kind = 0; kind < KINDS_MAX; kind++)
		for (int state = 0; state < NSP_STATES; state++)
			rows += totals.rows[kind][state];
	return rows;
}

/* Piece by piece, from what an input says on. */
static void check_listing(uint8_t how, uint8_t states)
{
	static const char *const prefixes[] = { "", "route/", "route/v0/1", "arp/", "fdb/v0", "\xff", "route/v0@name:", "@" };
	const char *source = how & 8 ? "default" : NULL;
	uint64_t cursor = 0, rows = 0;
	const uint8_t *data;
	size_t len;

	do {
		long count = nsp_core_rows(core, prefixes[how & 7], states, source, &cursor, 1 + (how >> 4), 256, &data, &len);
		need_values(data, len, count);
		rows += (uint64_t)count;
	} while (cursor);
	need(rows <= wanted() && (how & 7 || source || states || rows == wanted()));
}

/* All that is wanted, as it could be put again: it is read, and says the same. */
static void check_items(void)
{
	uint64_t cursor = 0, rows = 0;
	struct mp_out request = { 0 };
	const uint8_t *data;
	uint32_t origin;
	size_t len;

	do {
		long count = nsp_core_items(core, &cursor, 4096, &origin, &data, &len);
		uint64_t generation;

		if (!count)
			continue;
		need(nsp_core_origin_source(core, origin, &generation));
		request.len = 0;
		mp_put_map(&request, 1);
		mp_put_literal(&request, "items");
		mp_put_array(&request, (uint32_t)count);
		mp_put_raw(&request, data, len);
		need(nsp_frame_read(frame, request.data, request.len, NULL) == 0);
		need(frame->bulk_count == (uint32_t)count && !frame->fault_count && !frame->other_count);
		count = nsp_core_compare(core, frame, origin, 0, &data, &len);
		struct mp_in in = { data, data + len };
		for (long i = 0; i < count; i++) { /* {key: KEY, action: unchanged, ... */
			struct mp_in at = in;
			struct mp_token token;
			for (int skipped = 0; skipped < 4; skipped++)
				need(mp_next(&at, &token));
			need(mp_next(&at, &token) && token.len == 9 && !memcmp(token.data, "unchanged", 9));
			need(mp_skip(&in));
		}
		rows += (uint64_t)count;
	} while (cursor);
	need(rows == wanted());
	mp_free(&request);
}

/* Deletes all, whosever it is. */
static void clear(void)
{
	uint64_t cursor = 0;
	const uint8_t *data;
	uint32_t origin;
	size_t len;

	while (nsp_core_items(core, &cursor, 65536, &origin, &data, &len)) {
		uint64_t generation;
		char *source = strdup(nsp_core_origin_source(core, origin, &generation));
		uint32_t serial = nsp_core_request_open(core);

		nsp_core_sweep(core, serial, nsp_core_origin(core, source, UINT64_MAX), 0);
		nsp_core_request_commit(core, serial);
		nsp_core_request_close(core, serial);
		free(source);
		cursor = 0;
	}
	settle();
	need(!wanted());
}

static void changes_check(void)
{
	const uint8_t *data;
	size_t len, at = 0;
	long count = nsp_core_changes(core, &data, &len);

	while (count--) {
		uint32_t n;

		memcpy(&n, data + at, sizeof(n));
		at += sizeof(n) + n;
		memcpy(&n, data + at, sizeof(n));
		need_values(data + at + sizeof(n), n, 1);
		at += sizeof(n) + n;
	}
	need(at == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, data + size };
	uint8_t how = take_byte(&bytes), states = take_byte(&bytes);
	uint8_t *copies[MESSAGES];
	unsigned count = 0;

	if (!core) {
		core = nsp_core_new(NULL);
		turn = nsp_turn_new();
		frame = nsp_frame_new();
		nsp_core_watch(core, 1);
	}
	plain_runs = 0;
	while (bytes.at < bytes.end && count < MESSAGES) {
		struct bytes part = take_part(&bytes);
		struct nsp_message message = { .data = copies[count] = exact(part.at, bytes_left(&part)),
					       .len = bytes_left(&part),
					       .number = NUMBER };
		const struct nsp_run *runs;
		uint32_t run_count = nsp_turn_read(turn, &message, 1, 0, &runs);

		for (uint32_t i = 0; i < run_count; i++) {
			const uint8_t *record;
			struct nsp_run run = runs[i];
			size_t len = nsp_turn_record(turn, run.first, run.count, &record);

			if (run.plain)
				need_values(record, len, 1);
			check_answers(carry_out(&run, &message));
		}
		changes_check();
		count++;
	}
	check_listing(how, states);
	check_items();
	clear();
	while (count--)
		free(copies[count]);
	return 0;
}
