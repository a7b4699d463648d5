/* SPDX-License-Identifier: Apache-2.0 */
/* A turn of many messages: which requests are plain, what their answers say, and to whom. */
#include "rig.h"

#define MESSAGES 8

struct turn {
	struct rig *rig;
	struct nsp_turn *turn;
	struct mp_out bytes[MESSAGES];
	struct nsp_message messages[MESSAGES];
	uint32_t count;
	const struct nsp_run *runs;
	uint32_t run_count;
	struct nsp_answers answers;
};

static struct turn turn_new(void)
{
	return (struct turn){ .rig = rig_new_ready(), .turn = nsp_turn_new() };
}

static void turn_free(struct turn *turn)
{
	nsp_turn_free(turn->turn);
	for (int i = 0; i < MESSAGES; i++)
		mp_free(&turn->bytes[i]);
	rig_free(turn->rig);
}

/* One more message, numbered from 100 on. */
static void add(struct turn *turn, const char *text)
{
	struct mp_out *out = &turn->bytes[turn->count];

	out->len = 0;
	put_value(out, text);
	turn->messages[turn->count] = (struct nsp_message){ .data = out->data, .len = out->len, .number = 100 + turn->count };
	turn->count++;
}

static void read_all(struct turn *turn, bool only_one)
{
	turn->run_count = nsp_turn_read(turn->turn, turn->messages, turn->count, only_one, &turn->runs);
	turn->count = 0;
}

static void commit(struct turn *turn, uint32_t run, uint64_t revision)
{
	nsp_turn_commit(turn->rig->core, turn->turn, turn->runs[run].first, turn->runs[run].count, revision, turn->messages);
}

/* Waits until so many requests have ended; the answers of the last call are in `answers`. */
static void wait_for(struct turn *turn, uint32_t ended)
{
	for (uint32_t seen = 0; seen < ended; seen += turn->answers.ended) {
		rig_settle(turn->rig);
		nsp_core_wait(turn->rig->core, 100);
		nsp_core_answers(turn->rig->core, &turn->answers);
	}
}

static void test_runs(void)
{
	struct turn turn = turn_new();

	add(&turn, "{op: put, source: a, items: [{kind: route, interface: web0, dst: 10.0.0.0/8}]}");
	add(&turn, "[{op: put, source: a, id: 1, items: []}, {op: put, source: b, items: []}]");
	add(&turn, "{op: delete, source: b, keys: [route/web0/10.0.0.0/8]}");
	add(&turn, "[{op: info}, 5, {op: put, atomic: true, items: []}]");
	read_all(&turn, false);
	CHECK_EQ(turn.run_count, 4);
	CHECK_EQ(turn.runs[0].count, 2);
	CHECK(turn.runs[0].plain && !turn.runs[0].deletes && turn.runs[0].source_len == 1 && *turn.runs[0].source == 'a');
	CHECK(turn.runs[1].plain && turn.runs[1].count == 1 && *turn.runs[1].source == 'b');
	CHECK(turn.runs[2].plain && turn.runs[2].deletes);
	CHECK(!turn.runs[3].plain && turn.runs[3].first == 4 && turn.runs[3].count == 3);
	CHECK_EQ(turn.messages[1].requests, 2);
	CHECK(turn.messages[1].gathered && !turn.messages[0].gathered);

	struct nsp_turn_request request;
	nsp_turn_request(turn.turn, 5, &request);
	CHECK(!request.frame && request.message == 3);
	CHECK_HAS(request.text, "a request is one msgpack map");
	nsp_turn_request(turn.turn, 6, &request);
	CHECK(request.frame && !request.text);
	turn_free(&turn);
}

static void test_no_arrays(void)
{
	static const char *const wrong[] = { "\x90", "\x92\x80", "\xdd\xff\xff\xff\xff", "\x91\x80\xc0" };
	struct turn turn = turn_new();
	struct nsp_turn_request request;

	for (size_t i = 0; i < 4; i++) {
		turn.messages[0] = (struct nsp_message){ (const uint8_t *)wrong[i], i == 2 ? 5 : strlen(wrong[i]), 1, 0, 0 };
		turn.count = 1;
		read_all(&turn, false);
		CHECK(turn.run_count == 1 && turn.runs[0].count == 1 && !turn.runs[0].plain && turn.messages[0].gathered);
		nsp_turn_request(turn.turn, 0, &request);
		CHECK(!request.frame && request.text);
	}
	add(&turn, "[{op: put, items: []}]");
	read_all(&turn, true);
	nsp_turn_request(turn.turn, 0, &request);
	CHECK(!request.frame);
	turn_free(&turn);
}

static void test_answers(void)
{
	struct turn turn = turn_new();
	const uint8_t *record;

	add(&turn, "[{op: put, id: x, items: [{kind: route, interface: web0, dst: 10.0.0.0/8}]},"
		   " {op: put, id: 2, wait: none, items: [{kind: route, interface: web0, dst: 10.0.0.1/8}]},"
		   " {op: put, items: [{kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 198.51.100.1}, {kind: arp}]}]");
	add(&turn, "{op: put, id: -7, items: []}");
	read_all(&turn, false);
	CHECK_EQ(turn.run_count, 1);
	size_t len = nsp_turn_record(turn.turn, 0, 2, &record);
	CHECK(len > 100 && record[0] == 0x92);
	CHECK_EQ(nsp_turn_record(turn.turn, 3, 1, &record), turn.messages[1].len);
	commit(&turn, 0, 40);
	uint32_t ended = 0;
	uint64_t requests[2] = { 0 }, errors = 0;
	while (ended < 4) {
		wait_for(&turn, 1);
		ended += turn.answers.ended;
		size_t at = 0;
		for (uint32_t i = 0; i < turn.answers.count; i++) {
			const struct nsp_answer *answer = &turn.answers.list[i];
			const char *text = shown(turn.answers.data + at, answer->len);
			requests[answer->message - 100] += answer->requests;
			errors += answer->unanswered_errors;
			if (answer->message == 101)
				CHECK_HAS(text, "{id: -7, ok: true, revision: 43, counts: {}, items: []}");
			else if (strstr(text, "id: x"))
				CHECK_HAS(text, "{id: x, ok: true, revision: 40, counts: {configured: 1}, items: []}");
			if (strstr(text, "id: nil"))
				CHECK_HAS(text, "revision: 42, counts: {pending: 1, invalid: 1}, items: [{key: ");
			at += answer->len;
		}
	}
	CHECK_EQ(requests[0], 3);
	CHECK_EQ(requests[1], 1);
	CHECK_EQ(errors, 1);
	CHECK_HAS(in_kernel(turn.rig, "10.0.0.0/8"), "direct");
	turn_free(&turn);
}

static void test_accepted_is_answered_once(void)
{
	struct turn turn = turn_new();

	rig_lost(turn.rig, "[interface/web0]", 0);
	add(&turn, "{op: put, wait: accepted, items: [{kind: route, interface: web0, dst: 10.0.0.0/8}]}");
	read_all(&turn, false);
	commit(&turn, 0, 1);
	nsp_core_answers(turn.rig->core, &turn.answers);
	CHECK(turn.answers.count == 1 && !turn.answers.ended);
	CHECK_HAS(shown(turn.answers.data, turn.answers.len), "counts: {}");
	wait_for(&turn, 1);
	CHECK_EQ(turn.answers.count, 0);
	CHECK_HAS(shown(turn.answers.ends, turn.answers.ends_len), "[1, {pending: 1}, ");
	turn_free(&turn);
}

static uint64_t sum_of(const struct nsp_histogram *histogram)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(histogram->counts) / sizeof(*histogram->counts); i++)
		sum += histogram->counts[i];
	return sum;
}

static void test_figures(void)
{
	struct turn turn = turn_new();
	struct nsp_figures figures;

	add(&turn, "[{op: put, source: a, items: [{kind: route, interface: web0, dst: 10.0.0.0/8}]},"
		   " {op: put, source: a, wait: none, items: [{kind: route, interface: web0, dst: 11.0.0.0/8},"
		   " {kind: route, interface: web0, dst: 12.0.0.0/8, gateway: 198.51.100.1}]}]");
	add(&turn, "{op: delete, source: a, keys: [route/web0/10.0.0.0/8]}");
	read_all(&turn, false);
	commit(&turn, 0, 1);
	wait_for(&turn, 2);
	commit(&turn, 1, 3);
	wait_for(&turn, 1);
	for (nsp_core_figures(turn.rig->core, &figures); !figures.slots[0].items; nsp_core_figures(turn.rig->core, &figures))
		usleep(10000); /* until the period has passed */
	CHECK_EQ(sum_of(&figures.requests[0]), 2);
	CHECK_EQ(sum_of(&figures.requests[1]), 1);
	CHECK(sum_of(&figures.batches) >= 2 && figures.batches.nanoseconds && figures.requests[0].nanoseconds);
	CHECK(figures.errors[0][ENETUNREACH] + figures.errors[0][EHOSTUNREACH] >= 1); /* perhaps it was tried again */
	CHECK_EQ(figures.taken, 4);
	/* A period may have ended in between. */
	CHECK(figures.slots[0].items <= 4 && figures.netns[0].items == figures.slots[0].items);
	CHECK_EQ(figures.origins[0].items, figures.slots[0].items);
	CHECK(!figures.slots[1].items && !figures.origins[1].items);
	CHECK(nsp_bucket_bound(0) == 100000 && nsp_bucket_bound(15) == 10000000000 && !nsp_bucket_bound(16));
	turn_free(&turn);
}

int main(void)
{
	test_runs();
	test_no_arrays();
	test_answers();
	test_accepted_is_answered_once();
	test_figures();
	return test_end();
}
