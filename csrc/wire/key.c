/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/key.h"

#include <stdio.h>

#include "wire/prefix.h"
#include "wire/reference.h"
#include "wire/text.h"

bool key_is_bulk(const char *key, size_t len)
{
	return (len >= 6 && !memcmp(key, "route/", 6)) || (len >= 4 && !memcmp(key, "arp/", 4));
}

/* ";metric=100;table=7": both optional, in this order, never the default. */
static bool parse_suffix(const char *p, const char *end, struct wish *wish, struct fault *fault)
{
	static const char *const names[] = { ";metric=", ";table=" };
	uint32_t *const into[] = { &wish->metric, &wish->table };

	for (int i = 0; i < 2 && p < end; i++) {
		size_t n = strlen(names[i]);
		if ((size_t)(end - p) < n || memcmp(p, names[i], n))
			continue;
		p += n;
		const char *stop = memchr(p, ';', (size_t)(end - p));
		if (!stop)
			stop = end;
		uint64_t value;
		if (!text_parse_number(p, (size_t)(stop - p), UINT32_MAX, &value))
			return fault_set(fault, "key", "wants a number behind '%s'", names[i]);
		*into[i] = (uint32_t)value;
		p = stop;
	}
	return p == end || fault_set(fault, "key", "ends in other than ;metric=N;table=N");
}

bool key_parse(const char *key, size_t len, struct wish *wish, struct mp_out *text, struct fault *fault)
{
	int kind = key[0] == 'r' ? 0 : 1, family;
	const char *end = key + len, *slot = memchr(key, '/', len) + 1;
	const char *dst = memchr(slot, '/', (size_t)(end - slot));
	char canonical[NSP_KEY_MAX], part[64];

	*wish = (struct wish){ .table = kind == 0 ? SCHEMA_TABLE : 0 };
	if (len >= NSP_KEY_MAX || !dst || dst == slot || !text_is_clean((const uint8_t *)key, len))
		return fault_set(fault, "key", "wants %s", kind == 0 ? "route/INTERFACE/NETWORK/LENGTH" : "arp/INTERFACE/ADDRESS");
	if (!reference_is_slot(slot, (size_t)(dst - slot)))
		return fault_set(fault, "key", "'%s' is not an interface as it stands in keys",
				 fault_text(part, (const uint8_t *)slot, (size_t)(dst - slot)));
	const char *stop = memchr(dst, ';', (size_t)(end - dst));
	if (!stop)
		stop = end;
	if (!prefix_parse((const uint8_t *)dst + 1, (size_t)(stop - dst - 1), "key", wish, &family, fault))
		return false;
	wish->type = (uint8_t)(kind << 1 | (family == 6));
	if (wish->type == WISH_ROUTE6)
		wish->metric = SCHEMA_METRIC6;
	if (!parse_suffix(stop, end, wish, fault))
		return false;
	wish->slot = (uint32_t)text->len;
	mp_put_raw(text, slot, (size_t)(dst - slot));
	mp_put_byte(text, 0);
	size_t n = key_format(canonical, (char *)text->data + wish->slot, wish->type, wish->dst, wish->dst_len, wish->metric,
			      wish->table);
	if (n != len || memcmp(canonical, key, len))
		return fault_set(fault, "key", "is written '%.120s'", canonical);
	return true;
}

size_t key_format(char *out, const char *slot, uint8_t type, const uint8_t *dst, uint8_t dst_len, uint32_t metric, uint32_t table)
{
	char *p = stpcpy(out, WISH_TYPE_IS_ROUTE(type) ? "route/" : "arp/");

	p = stpcpy(p, slot);
	*p++ = '/';
	p += prefix_format_ip(p, WISH_TYPE_IS_V6(type), dst);
	if (!WISH_TYPE_IS_ROUTE(type))
		return (size_t)(p - out);
	p += sprintf(p, "/%u", dst_len);
	if (metric != (type == WISH_ROUTE6 ? SCHEMA_METRIC6 : 0))
		p += sprintf(p, ";metric=%u", metric);
	if (table != SCHEMA_TABLE)
		p += sprintf(p, ";table=%u", table);
	return (size_t)(p - out);
}
