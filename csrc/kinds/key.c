/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/key.h"

#include <stdio.h>

#include "wire/prefix.h"
#include "wire/text.h"

/* KIND/INTERFACE/ADDRESS, and behind it ";metric=100;table=7" or ";self;dst=192.0.2.1": the other fields of the key, in the order of the
 * table, never the default. */
static bool is_key_field(const struct kind *kind, const struct field *field, size_t key_size)
{
	return field != &kind->fields[kind->address] && field->size && field->offset < key_size;
}

static int kind_of_key(const char *key, size_t len)
{
	const char *slash = memchr(key, '/', len);

	return slash ? kind_named((const uint8_t *)key, (size_t)(slash - key)) : -1;
}

bool key_is_bulk(const char *key, size_t len)
{
	return kind_of_key(key, len) >= 0;
}

/* What stands behind ";NAME=". */
static bool parse_value(const char *text, size_t len, const struct field *field, uint8_t *body, struct fault *fault)
{
	uint8_t ip[16];
	uint64_t value;

	if (field->type == FIELD_ADDRESS) {
		int family = text_parse_ip((const uint8_t *)text, len, ip);
		if (!family)
			return fault_set(fault, "key", "wants an address behind ';%s='", field->name);
		field_put_address(field, ip, family == 6, body);
		return true;
	}
	if (!text_parse_number(text, len, field->max, &value))
		return fault_set(fault, "key", "wants a number behind ';%s='", field->name);
	field_put_number(field, (uint32_t)value, body);
	return true;
}

static const char *form_of(const struct field *field)
{
	return field->type == FIELD_FLAG ? "" : field->type == FIELD_ADDRESS ? "=ADDRESS" : "=N";
}

static bool parse_fields(const char *p, const char *end, const struct kind *kind, uint8_t *body, struct fault *fault)
{
	size_t key_size = kind->long_key_size ? kind->long_key_size : kind->key_size, n = 0;
	char form[96] = "";

	for (unsigned i = 0; i < kind->field_count; i++) {
		const struct field *field = &kind->fields[i];
		if (!is_key_field(kind, field, key_size))
			continue;
		n += (size_t)snprintf(form + n, sizeof(form) - n, ";%s%s", field->name, form_of(field));
		size_t len = field->name_len + 1u;
		if ((size_t)(end - p) < len || p[0] != ';' || memcmp(p + 1, field->name, field->name_len))
			continue;
		const char *stop = memchr(p + len, ';', (size_t)(end - p) - len);
		if (!stop)
			stop = end;
		if (field->type == FIELD_FLAG && p + len == stop)
			field_put_number(field, 1, body);
		else if (field->type == FIELD_FLAG || p + len == stop || p[len] != '=')
			continue;
		else if (!parse_value(p + len + 1, (size_t)(stop - p) - len - 1, field, body, fault))
			return false;
		p = stop;
	}
	return !n || p == end || fault_set(fault, "key", "ends in other than %s", form);
}

bool key_parse(const char *key, size_t len, struct decoded *decoded, struct mp_out *text, struct fault *fault)
{
	int number = kind_of_key(key, len);
	const struct kind *kind = kinds[number];
	const struct field *address = &kind->fields[kind->address];
	const char *end = key + len, *slot = memchr(key, '/', len) + 1;
	const char *dst = memchr(slot, '/', (size_t)(end - slot));
	char canonical[NSP_KEY_MAX], part[64];
	uint8_t bytes[16], prefix_len = 0, family = 0;

	if (len >= NSP_KEY_MAX || !dst || dst == slot || !text_is_clean((const uint8_t *)key, len))
		return fault_set(fault, "key", "wants %s/INTERFACE/%s", kind->name, kind->key_form);
	if (!reference_is_slot(slot, (size_t)(dst - slot)) || (reference_is_netns(slot) && !kind_has_netns(kind)))
		return fault_set(fault, "key", "'%s' is not an interface as it stands in keys",
				 fault_text(part, (const uint8_t *)slot, (size_t)(dst - slot)));
	const char *stop = memchr(dst, ';', (size_t)(end - dst));
	if (!stop)
		stop = end;
	const uint8_t *at = (const uint8_t *)dst + 1;
	size_t at_len = (size_t)(stop - dst - 1);
	if (address->type == FIELD_MAC) {
		if (!text_parse_mac(at, at_len, bytes))
			return fault_set(fault, "key", "'%s' is not a MAC of six bytes such as 02:00:00:00:00:01",
					 fault_text(part, at, at_len));
	} else {
		if (!prefix_parse(at, at_len, "key", bytes, &prefix_len, &family, fault))
			return false;
		number = kind_of_family(number, family == 4 ? AF_INET : AF_INET6);
		kind = kinds[number];
		address = &kind->fields[kind->address];
	}
	*decoded = (struct decoded){ .kind = (uint8_t)number };
	memcpy(decoded->body, kind->blank, kind->body_size);
	memcpy(decoded->body + address->offset, bytes, address->size);
	if (address->type == FIELD_PREFIX)
		decoded->body[address->offset + address->size] = prefix_len;
	if (!parse_fields(stop, end, kind, decoded->body, fault))
		return false;
	decoded->slot = (uint32_t)text->len;
	mp_put_raw(text, slot, (size_t)(dst - slot));
	mp_put_byte(text, 0);
	size_t n = key_format(canonical, (char *)text->data + decoded->slot, decoded->kind, decoded->body);
	if (n != len || memcmp(canonical, key, len))
		return fault_set(fault, "key", "is written '%.120s'", canonical);
	return true;
}

size_t key_format(char *out, const char *slot, uint8_t number, const uint8_t *body)
{
	const struct kind *kind = kinds[number];
	const struct field *address = &kind->fields[kind->address];
	char *p = stpcpy(stpcpy(out, kind->name), "/");

	p = stpcpy(stpcpy(p, slot), "/");
	p += field_text(address, kind->family, body + address->offset, p);
	for (const struct field *field = kind->fields; field < kind->fields + kind->field_count; field++) {
		if (!is_key_field(kind, field, kind_key_size(kind, body)) ||
		    !memcmp(body + field->offset, kind->blank + field->offset, field->size))
			continue;
		p += sprintf(p, ";%s%s", field->name, field->type == FIELD_FLAG ? "" : "=");
		if (field->type == FIELD_ADDRESS)
			p += field_text(field, kind->family, body + field->offset, p);
		else if (field->type == FIELD_NUMBER)
			p += sprintf(p, "%u", field_number(field, body));
	}
	return (size_t)(p - out);
}
