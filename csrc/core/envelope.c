/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes of the common form. What is unusual is left to the engine, which says what is wrong: here nothing has a second meaning. */
#include "core/envelope.h"

#include "wire/text.h"

#define SOURCE_MAX 255
#define ID_MAX 1024

static bool read_op(const struct mp_token *value, struct envelope *envelope)
{
	if (value->type != MP_STR)
		return false;
	envelope->deletes = text_is(value->data, value->len, "delete");
	return envelope->deletes || text_is(value->data, value->len, "put");
}

static bool read_id(const struct mp_token *value, struct envelope *envelope)
{
	envelope->id = *value;
	if (value->type == MP_STR)
		return value->len <= ID_MAX && text_is_utf8(value->data, value->len);
	if (value->type == MP_BIN)
		return value->len <= ID_MAX;
	return value->type == MP_UINT || value->type == MP_INT;
}

static bool read_source(const struct mp_token *value, struct envelope *envelope)
{
	envelope->source = value->data;
	envelope->source_len = value->len;
	return value->type == MP_STR && value->len && value->len <= SOURCE_MAX && text_is_utf8(value->data, value->len) &&
	       !memchr(value->data, 0, value->len);
}

static bool read_wait(const struct mp_token *value, struct envelope *envelope)
{
	static const char *const names[] = { [WAIT_APPLIED] = "applied", [WAIT_ACCEPTED] = "accepted", [WAIT_NONE] = "none" };

	if (value->type != MP_STR)
		return false;
	for (uint32_t wait = WAIT_APPLIED; wait <= WAIT_NONE; wait++) {
		if (!text_is(value->data, value->len, names[wait]))
			continue;
		envelope->wait = wait;
		return true;
	}
	return false;
}

static bool read_generation(const struct mp_token *value, struct envelope *envelope)
{
	envelope->generation = value->number;
	return value->type == MP_UINT && value->number <= INT64_MAX;
}

static bool read_force(const struct mp_token *value, struct envelope *envelope)
{
	envelope->force = value->number;
	return value->type == MP_BOOL;
}

static bool read_atomic(const struct mp_token *value, struct envelope *envelope)
{
	(void)envelope;
	return value->type == MP_BOOL && !value->number;
}

static const struct {
	const char *name;
	bool (*read)(const struct mp_token *value, struct envelope *envelope);
	bool of_put, of_delete;
} fields[] = {
	{ "op", read_op, true, true },
	{ "id", read_id, true, true },
	{ "source", read_source, true, true },
	{ "wait", read_wait, true, true },
	{ "generation", read_generation, true, false },
	{ "force", read_force, false, true },
	{ "atomic", read_atomic, true, true },
};
#define FIELDS (sizeof(fields) / sizeof(*fields))

bool envelope_read(const struct nsp_frame *frame, struct envelope *envelope)
{
	struct mp_in in = { frame->envelope.data, frame->envelope.data + frame->envelope.len };
	struct mp_token map, key, value;
	bool given[FIELDS] = { false };

	*envelope = (struct envelope){ .source = (const uint8_t *)"default", .source_len = 7, .id.type = MP_NIL };
	if (!mp_next(&in, &map))
		return false;
	for (uint32_t i = 0; i < map.len; i++) {
		uint32_t at = 0;
		if (!mp_next(&in, &key) || !mp_next(&in, &value))
			return false;
		while (at < FIELDS && !text_is(key.data, key.len, fields[at].name))
			at++;
		if (at == FIELDS || !fields[at].read(&value, envelope))
			return false;
		given[at] = true;
	}
	for (uint32_t at = 0; at < FIELDS; at++)
		if (given[at] && !(envelope->deletes ? fields[at].of_delete : fields[at].of_put))
			return false;
	return given[0] && (envelope->deletes ? frame->keys || !frame->count : !frame->keys);
}

int nsp_frame_check(struct nsp_frame *frame, const uint8_t *data, size_t len)
{
	struct envelope envelope;

	return nsp_frame_read(frame, data, len, NULL) == 0 && !frame->other_count && !frame->fault_count &&
	       envelope_read(frame, &envelope);
}
