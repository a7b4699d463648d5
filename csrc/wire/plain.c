/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/plain.h"

#include <stdio.h>

#include "wire/text.h"

#define DEPTH_MAX 8
#define FIELDS_MAX 64

bool plain_is(struct mp_in in)
{
	uint64_t left[DEPTH_MAX + 1] = { 1 };
	struct mp_token token;
	int depth = 0;

	while (depth >= 0) {
		if (!left[depth]--) {
			depth--;
			continue;
		}
		if (!mp_next(&in, &token) || token.type == MP_EXT || (token.type == MP_STR && !text_is_utf8(token.data, token.len)))
			return false;
		if (token.type != MP_ARRAY && token.type != MP_MAP)
			continue;
		if (++depth > DEPTH_MAX)
			return false;
		left[depth] = (uint64_t)token.len << (token.type == MP_MAP);
	}
	return true;
}

/* `at` is behind the map's header. `inside` is the field that the map is the value of, or NULL. */
static bool check_fields(struct mp_in *at, uint32_t count, const char *inside, struct fault *fault)
{
	struct mp_token keys[FIELDS_MAX], map;
	char part[64], name[sizeof(fault->field)];

	if (count > FIELDS_MAX)
		return fault_set(fault, inside ? inside : "", "%u fields are more than there are", count);
	for (uint32_t i = 0; i < count; i++) {
		if (!mp_next(at, &keys[i]))
			return fault_set(fault, "", "truncated msgpack");
		if (keys[i].type != MP_STR)
			return fault_set(fault, inside ? inside : "", "fields are named by strings, not %s",
					 mp_type_name(keys[i].type));
		fault_text(part, keys[i].data, keys[i].len);
		snprintf(name, sizeof(name), "%s%s%.24s", inside ? inside : "", inside ? "." : "", part);
		if (!text_is_utf8(keys[i].data, keys[i].len))
			return fault_set(fault, name, "is not UTF-8");
		for (uint32_t k = 0; k < i; k++)
			if (keys[k].len == keys[i].len && !memcmp(keys[k].data, keys[i].data, keys[i].len))
				return fault_set(fault, name, "is given twice");
		struct mp_in value = *at;
		if (!mp_skip(at))
			return fault_set(fault, name, "truncated msgpack");
		if (!plain_is(value))
			return fault_set(fault, name, "holds text that is not UTF-8, an extension, or more than %d levels",
					 DEPTH_MAX);
		if (!inside && mp_next(&value, &map) && map.type == MP_MAP && !check_fields(&value, map.len, name, fault))
			return false;
	}
	return true;
}

bool plain_check(struct mp_in item, struct fault *fault)
{
	struct mp_token map;

	if (!mp_next(&item, &map) || map.type != MP_MAP)
		return fault_set(fault, "", "an item is a map");
	return check_fields(&item, map.len, NULL, fault);
}
