/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reference.h"

#include <stdio.h>

#include "wire/text.h"

static const struct {
	const char *type;
	const char *field;
} references[] = { { "name", "name" }, { "pid", "pid" }, { "file", "path" }, { "microservice", "microservice" } };

#define REFERENCE_MAX 400
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct reference {
	int type; /* index of references[] */
	uint8_t text[REFERENCE_MAX];
	uint32_t len;
};

static bool check_reference(const struct reference *ref, struct fault *fault)
{
	char text[64];

	switch (ref->type) {
	case 0:
		if (!text_is_netns(ref->text, ref->len))
			return fault_set(fault, "namespace.name", "'%s' is not a name that can stand under /run/netns",
					 fault_text(text, ref->text, ref->len));
		return true;
	case 2:
		if (!ref->len || ref->text[0] != '/' || !text_is_clean(ref->text, ref->len))
			return fault_set(fault, "namespace.path",
					 "'%s' is not an absolute path of at most 400 bytes without control characters",
					 fault_text(text, ref->text, ref->len));
		return true;
	case 3:
		if (ref->len < 1 || ref->len > 255 || !text_is_clean(ref->text, ref->len))
			return fault_set(fault, "namespace.microservice",
					 "'%s' is not a label of 1 to 255 bytes without control characters",
					 fault_text(text, ref->text, ref->len));
		return true;
	default:
		return true;
	}
}

static bool decode_reference(struct mp_in *in, struct reference *ref, struct fault *fault)
{
	struct mp_token map, key, token, value = { .type = MP_NIL };
	int given = -1;
	char text[64];

	ref->type = -1;
	if (!fault_want(in, &map, MP_MAP, "namespace", fault))
		return false;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!fault_want(in, &key, MP_STR, "namespace", fault))
			return false;
		bool is_type = text_is(key.data, key.len, "type");
		int field = -1;
		for (unsigned k = 0; k < COUNT(references); k++)
			if (text_is(key.data, key.len, references[k].field))
				field = (int)k;
		if (!is_type && field < 0)
			return fault_set(fault, "namespace", "unknown field '%s'", fault_text(text, key.data, key.len));
		if (mp_skip_nil(in)) /* left out */
			continue;
		struct mp_in at = *in;
		if (!mp_next(in, &token))
			return fault_set(fault, "namespace", "truncated msgpack");
		if (is_type) {
			if (ref->type >= 0)
				return fault_set(fault, "namespace.type", "is given twice");
			for (unsigned k = 0; token.type == MP_STR && k < COUNT(references); k++)
				if (text_is(token.data, token.len, references[k].type))
					ref->type = (int)k;
			if (ref->type < 0)
				return fault_set(fault, "namespace.type", "wants name, pid, file or microservice");
			continue;
		}
		if (given >= 0)
			return fault_set(fault, "namespace", "'%s' is one reference too many", fault_text(text, key.data, key.len));
		given = field;
		value = token;
		*in = at;
		if (!mp_skip(in))
			return fault_set(fault, "namespace", "truncated msgpack");
	}
	if (ref->type < 0)
		return fault_set(fault, "namespace.type", "is missing");
	if (given != ref->type)
		return fault_set(fault, "namespace", "type %s wants the field '%s'", references[ref->type].type,
				 references[ref->type].field);
	if (ref->type == 1) {
		mp_whole(&value);
		if (value.type != MP_UINT || value.number < 1 || value.number > INT32_MAX)
			return fault_set(fault, "namespace.pid", "wants a process number");
		ref->len = (uint32_t)snprintf((char *)ref->text, sizeof(ref->text), "%u", (unsigned)value.number);
		return true;
	}
	if (value.type != MP_STR || value.len > sizeof(ref->text))
		return fault_set(fault, "namespace", "%s wants a string of at most %zu bytes", references[ref->type].field,
				 sizeof(ref->text));
	memcpy(ref->text, value.data, value.len);
	ref->len = value.len;
	return check_reference(ref, fault);
}

/* LINK@TYPE:REFERENCE; `out` holds NSP_KEY_MAX bytes. Returns its length. */
static size_t write_slot(char *out, const uint8_t *link, size_t len, const struct reference *ref)
{
	size_t n = text_encode(out, link, len);

	n += (size_t)sprintf(out + n, "@%s:", references[ref->type].type);
	return n + text_encode(out + n, ref->text, ref->len);
}

/* A value's bytes say where it ends: what begins with those of the last one is that one again. */
bool reference_pass(struct mp_in *in, const struct slot_memo *memo, struct mp_in *namespace)
{
	size_t last = (size_t)(memo->namespace.end - memo->namespace.p);

	if (last && last <= (size_t)(in->end - in->p) && !memcmp(in->p, memo->namespace.p, last)) {
		*namespace = memo->namespace;
		in->p += last;
		return true;
	}
	namespace->p = in->p;
	if (!mp_skip(in))
		return false;
	namespace->end = in->p;
	return true;
}

static bool same_as_last(const struct slot_memo *memo, const struct mp_token *name, struct mp_in namespace)
{
	return memo->name && memo->name_len == name->len && memo->namespace.p == namespace.p &&
	       !memcmp(memo->name, name->data, name->len) && (name->len || name->type == MP_NIL);
}

static void note(struct slot_memo *memo, const struct mp_token *name, struct mp_in namespace, uint32_t slot)
{
	memo->name = name->data;
	memo->name_len = name->len;
	memo->offset = slot;
	memo->namespace = namespace;
}

/* @, or @TYPE:REFERENCE */
static bool decode_netns(struct mp_in namespace, struct mp_out *text, struct fault *fault)
{
	struct reference ref;

	if (!namespace.p) {
		mp_put_raw(text, "@", 2);
		return true;
	}
	if (!decode_reference(&namespace, &ref, fault))
		return false;
	text->len += write_slot((char *)mp_room(text, NSP_KEY_MAX), NULL, 0, &ref) + 1;
	return true;
}

/* Writes the slot's key: NAME, LINK@TYPE:REFERENCE, or without a link. */
bool reference_decode(const struct mp_token *name, struct mp_in namespace, uint32_t *slot, struct mp_out *text,
		      struct slot_memo *memo, struct fault *fault)
{
	struct reference ref;
	struct mp_in value = namespace;
	char part[64];

	if (same_as_last(memo, name, namespace)) {
		*slot = memo->offset;
		return true;
	}
	if (name->type == MP_NIL) {
		*slot = (uint32_t)text->len;
		if (!decode_netns(namespace, text, fault))
			return false;
		note(memo, name, namespace, *slot);
		return true;
	}
	if (!namespace.p) {
		if (!text_is_name(name->data, name->len))
			return fault_set(
				fault, "interface",
				"'%s' is not a name of 1 to 255 bytes without '/', '@', ';', spaces and control characters",
				fault_text(part, name->data, name->len));
		*slot = (uint32_t)text->len;
		mp_put_raw(text, name->data, name->len);
		mp_put_byte(text, 0);
		note(memo, name, namespace, *slot);
		return true;
	}
	if (!text_is_link(name->data, name->len))
		return fault_set(fault, "interface", "'%s' is not a link's name of 1 to 15 bytes",
				 fault_text(part, name->data, name->len));
	if (!decode_reference(&value, &ref, fault))
		return false;
	*slot = (uint32_t)text->len;
	text->len += write_slot((char *)mp_room(text, NSP_KEY_MAX), name->data, name->len, &ref) + 1;
	note(memo, name, namespace, *slot);
	return true;
}

/* Is this a slot's key as reference_decode writes it? */
bool reference_is_slot(const char *slot, size_t len)
{
	const char *at = memchr(slot, '@', len), *end = slot + len;
	const char *colon = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
	struct reference ref = { .type = -1 };
	char link[3 * 15], decoded[3 * REFERENCE_MAX], again[NSP_KEY_MAX];
	struct fault fault;
	uint64_t pid;

	if (!at)
		return text_is_name((const uint8_t *)slot, len);
	if (len == 1)
		return true;
	if (!colon || at - slot > (ptrdiff_t)sizeof(link) || end - colon - 1 > (ptrdiff_t)sizeof(decoded))
		return false;
	for (unsigned i = 0; i < COUNT(references); i++)
		if (text_is((const uint8_t *)at + 1, (size_t)(colon - at - 1), references[i].type))
			ref.type = (int)i;
	long link_len = text_decode(link, slot, (size_t)(at - slot)),
	     n = text_decode(decoded, colon + 1, (size_t)(end - colon - 1));
	bool is_link = at == slot || (link_len > 0 && text_is_link((const uint8_t *)link, (size_t)link_len));
	if (ref.type < 0 || !is_link || n < 0 || n > REFERENCE_MAX)
		return false;
	memcpy(ref.text, decoded, (size_t)n);
	ref.len = (uint32_t)n;
	if (ref.type == 1 ? !text_parse_number(decoded, (size_t)n, INT32_MAX, &pid) || !pid : !check_reference(&ref, &fault))
		return false;
	return write_slot(again, (const uint8_t *)link, (size_t)link_len, &ref) == len && !memcmp(again, slot, len);
}

uint32_t reference_put(struct mp_out *out, const char *slot)
{
	const char *at = strchr(slot, '@');
	char decoded[NSP_KEY_MAX];
	uint64_t pid;

	if (!reference_is_netns(slot))
		mp_put_literal(out, "interface");
	if (!at) {
		mp_put_text(out, slot);
		return 1;
	}
	if (!reference_is_netns(slot))
		mp_put_str(out, decoded, (size_t)text_decode(decoded, slot, (size_t)(at - slot)));
	else if (!at[1])
		return 0;
	const char *colon = strchr(at, ':');
	mp_put_literal(out, "namespace");
	mp_put_map(out, 2);
	mp_put_literal(out, "type");
	mp_put_str(out, at + 1, (size_t)(colon - at - 1));
	long n = text_decode(decoded, colon + 1, strlen(colon + 1));
	for (unsigned i = 0; i < COUNT(references); i++)
		if (text_is((const uint8_t *)at + 1, (size_t)(colon - at - 1), references[i].type))
			mp_put_text(out, references[i].field);
	if (!strncmp(at, "@pid:", 5) && text_parse_number(decoded, (size_t)n, INT32_MAX, &pid))
		mp_put_uint(out, pid);
	else
		mp_put_str(out, decoded, (size_t)n);
	return reference_is_netns(slot) ? 1 : 2;
}
