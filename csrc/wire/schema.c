/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "wire/prefix.h"
#include "wire/text.h"

enum field_type {
	F_KIND,
	F_INTERFACE,
	F_NAMESPACE,
	F_PREFIX,
	F_HOST,
	F_GATEWAY,
	F_SOURCE,
	F_MAC,
	F_METRIC,
	F_TABLE,
	F_SCOPE,
	F_ONLINK,
	F_OVERRIDE
};

struct field {
	const char *name;
	uint8_t name_len;
	enum field_type type;
	bool required;
	const char *shown;
	const char *about;
};

#define NAME(text) text, sizeof(text) - 1

static const struct field route_fields[] = {
	{ NAME("kind"), F_KIND, true, "\"route\"", "what the item is" },
	{ NAME("interface"), F_INTERFACE, true, "string",
	  "the logical name of an interface item or, with `namespace`, the kernel's name of a link there" },
	{ NAME("dst"), F_PREFIX, true, "prefix",
	  "the destination network, 10.0.0.0/8 or fd00::/8; an address alone is a host route" },
	{ NAME("gateway"), F_GATEWAY, false, "address",
	  "the next hop, of the destination's family; without it the destination is on the link" },
	{ NAME("metric"), F_METRIC, false, "integer", "0 to 4294967295; IPv4 0, IPv6 1024 where left out or 0" },
	{ NAME("table"), F_TABLE, false, "integer", "the routing table, 1 to 4294967295; 254 (main) where left out" },
	{ NAME("namespace"), F_NAMESPACE, false, "namespace", "where `interface` is a link of the kernel" },
	{ NAME("scope"), F_SCOPE, false, "string or integer", "global, site, link, host or a number to 254; IPv4 only" },
	{ NAME("prefsrc"), F_SOURCE, false, "address", "the preferred source address" },
	{ NAME("onlink"), F_ONLINK, false, "boolean", "believe that the gateway is on the link, though no route says so" },
	{ NAME("override"), F_OVERRIDE, false, "boolean", "take the place of somebody else's route, which is put back at the end" },
};

static const struct field arp_fields[] = {
	{ NAME("kind"), F_KIND, true, "\"arp\"", "what the item is" },
	{ NAME("interface"), F_INTERFACE, true, "string",
	  "the logical name of an interface item or, with `namespace`, the kernel's name of a link there" },
	{ NAME("ip"), F_HOST, true, "address", "the neighbour's address, IPv4 or IPv6" },
	{ NAME("mac"), F_MAC, true, "mac", "the neighbour's link-layer address, six bytes" },
	{ NAME("namespace"), F_NAMESPACE, false, "namespace", "where `interface` is a link of the kernel" },
	{ NAME("override"), F_OVERRIDE, false, "boolean",
	  "take the place of somebody else's permanent entry, which is put back at the end" },
};

static const struct kind {
	const char *name;
	uint8_t name_len;
	const struct field *fields;
	unsigned count;
} kinds[] = {
	{ NAME("route"), route_fields, sizeof(route_fields) / sizeof(*route_fields) },
	{ NAME("arp"), arp_fields, sizeof(arp_fields) / sizeof(*arp_fields) },
};

static const struct {
	const char *name;
	uint8_t value;
} scopes[] = { { "global", RT_SCOPE_UNIVERSE }, { "site", RT_SCOPE_SITE }, { "link", RT_SCOPE_LINK }, { "host", RT_SCOPE_HOST } };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool decode_number(struct mp_in *in, const char *field, uint64_t min, uint64_t max, uint32_t *value, struct fault *fault)
{
	struct mp_token token;

	if (!mp_next(in, &token))
		return fault_set(fault, field, "truncated msgpack");
	mp_whole(&token);
	if (token.type == MP_INT)
		return fault_set(fault, field, "%lld is less than %llu", (long long)token.number, (unsigned long long)min);
	if (token.type != MP_UINT)
		return fault_set(fault, field, "wants a number, not %s", mp_type_name(token.type));
	if (token.number < min || token.number > max)
		return fault_set(fault, field, "%llu is not %llu to %llu", (unsigned long long)token.number,
				 (unsigned long long)min, (unsigned long long)max);
	*value = (uint32_t)token.number;
	return true;
}

static bool decode_flag(struct mp_in *in, const char *field, struct wish *wish, uint8_t flag, struct fault *fault)
{
	struct mp_token token;

	if (!fault_want(in, &token, MP_BOOL, field, fault))
		return false;
	if (token.number)
		wish->flags |= flag;
	return true;
}

static bool is_multicast(int family, const uint8_t *ip)
{
	return family == 4 ? (ip[0] & 0xf0) == 0xe0 : ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t *ip)
{
	static const uint8_t none[16];
	return !memcmp(ip, none, 16);
}

/* A single host's address. Returns its family, or 0. */
static int decode_host(struct mp_in *in, const char *field, uint8_t ip[16], struct fault *fault)
{
	struct mp_token token;
	char text[64];

	if (!fault_want(in, &token, MP_STR, field, fault))
		return 0;
	int family = text_parse_ip(token.data, token.len, ip);
	if (!family)
		fault_set(fault, field, "'%s' is not an IP address", fault_text(text, token.data, token.len));
	else if (is_unspecified(ip) || is_multicast(family, ip)) {
		fault_set(fault, field, "'%s' is %s", fault_text(text, token.data, token.len),
			  is_unspecified(ip) ? "no host's address" : "a multicast address");
		family = 0;
	}
	return family;
}

static bool decode_scope(struct mp_in *in, const char *field, struct wish *wish, struct fault *fault)
{
	struct mp_in again = *in;
	struct mp_token token;
	uint32_t value;
	char text[64];

	if (!mp_next(in, &token))
		return fault_set(fault, field, "truncated msgpack");
	wish->flags |= WISH_SCOPE;
	if (token.type != MP_STR) {
		*in = again;
		if (!decode_number(in, field, 0, 254, &value, fault))
			return false;
		wish->scope = (uint8_t)value;
		return true;
	}
	for (unsigned i = 0; i < COUNT(scopes); i++)
		if (text_is(token.data, token.len, scopes[i].name)) {
			wish->scope = scopes[i].value;
			return true;
		}
	return fault_set(fault, field, "'%s' is not global, site, link, host or a number", fault_text(text, token.data, token.len));
}

static bool is_name(const struct mp_token *token, const char *name, size_t len)
{
	return token->len == len && !memcmp(token->data, name, len);
}

static const struct field *find_field(const struct kind *kind, const struct mp_token *key, unsigned *hint)
{
	for (unsigned i = 0; i < kind->count; i++) {
		unsigned at = (*hint + i) % kind->count;
		if (is_name(key, kind->fields[at].name, kind->fields[at].name_len)) {
			*hint = at + 1;
			return &kind->fields[at];
		}
	}
	return NULL;
}

int schema_kind(struct mp_in in)
{
	struct mp_token map, key, value;

	if (!mp_next(&in, &map) || map.type != MP_MAP)
		return -1;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!mp_next(&in, &key) || key.type != MP_STR)
			return -1;
		if (!text_is(key.data, key.len, "kind")) {
			if (!mp_skip(&in))
				return -1;
			continue;
		}
		if (!mp_next(&in, &value) || value.type != MP_STR)
			return -1;
		for (unsigned k = 0; k < COUNT(kinds); k++)
			if (is_name(&value, kinds[k].name, kinds[k].name_len))
				return (int)k;
		return -1;
	}
	return -1;
}

/* What one field says, and of which family it is. */
struct families {
	int dst;
	int gateway;
	int source;
};

static bool decode_field(struct mp_in *in, const struct field *field, struct wish *wish, struct families *families,
			 struct fault *fault)
{
	struct mp_token token;
	char text[64];

	switch (field->type) {
	case F_PREFIX:
		return fault_want(in, &token, MP_STR, field->name, fault) &&
		       prefix_parse(token.data, token.len, field->name, wish, &families->dst, fault);
	case F_HOST:
		families->dst = decode_host(in, field->name, wish->dst, fault);
		wish->dst_len = families->dst == 4 ? 32 : 128;
		return families->dst;
	case F_GATEWAY:
		wish->flags |= WISH_VIA;
		families->gateway = decode_host(in, field->name, wish->via, fault);
		return families->gateway;
	case F_SOURCE:
		wish->flags |= WISH_SOURCE;
		families->source = decode_host(in, field->name, wish->source, fault);
		return families->source;
	case F_MAC:
		wish->flags |= WISH_VIA;
		if (!fault_want(in, &token, MP_STR, field->name, fault))
			return false;
		if (!text_parse_mac(token.data, token.len, wish->via))
			return fault_set(fault, field->name, "'%s' is not a MAC of six bytes such as 02:00:00:00:00:01",
					 fault_text(text, token.data, token.len));
		return true;
	case F_METRIC:
		return decode_number(in, field->name, 0, UINT32_MAX, &wish->metric, fault);
	case F_TABLE:
		return decode_number(in, field->name, 1, UINT32_MAX, &wish->table, fault);
	case F_SCOPE:
		return decode_scope(in, field->name, wish, fault);
	case F_ONLINK:
		return decode_flag(in, field->name, wish, WISH_ONLINK, fault);
	case F_OVERRIDE:
		return decode_flag(in, field->name, wish, WISH_OVERRIDE, fault);
	default: /* kind, interface and namespace are the caller's */
		return true;
	}
}

static bool settle_family(struct wish *wish, int kind, const struct families *families, struct fault *fault)
{
	bool v6 = families->dst == 6;

	if (families->gateway && families->gateway != families->dst)
		return fault_set(fault, "gateway", "is IPv%d, the destination IPv%d", families->gateway, families->dst);
	if (families->source && families->source != families->dst)
		return fault_set(fault, "prefsrc", "is IPv%d, the destination IPv%d", families->source, families->dst);
	if (v6 && wish->flags & WISH_SCOPE)
		return fault_set(fault, "scope", "is for IPv4 routes only");
	if (wish->flags & WISH_ONLINK && !(wish->flags & WISH_VIA))
		return fault_set(fault, "onlink", "wants a gateway");
	wish->type = (uint8_t)(kind << 1 | v6);
	if (wish->type == WISH_ROUTE6 && !wish->metric)
		wish->metric = SCHEMA_METRIC6;
	return true;
}

bool schema_decode(struct mp_in *in, int kind_number, struct wish *wish, struct mp_out *text, struct slot_memo *memo,
		   struct fault *fault)
{
	const struct kind *kind = &kinds[kind_number];
	struct mp_in item = *in, namespace = { 0 };
	struct mp_token map, key, name = { .type = MP_NIL };
	struct families families = { 0 };
	unsigned hint = 0, seen = 0, given = 0;
	char part[64];

	if (!mp_next(&item, &map) || map.type != MP_MAP)
		return fault_set(fault, "", "an item is a map");
	*wish = (struct wish){ .table = kind_number == 0 ? SCHEMA_TABLE : 0 };
	for (uint32_t i = 0; i < map.len; i++) {
		if (!fault_want(&item, &key, MP_STR, "", fault))
			return false;
		const struct field *field = find_field(kind, &key, &hint);
		if (!field)
			return fault_set(fault, fault_text(part, key.data, key.len > 24 ? 24 : key.len),
					 "%s items have no such field", kind->name);
		unsigned bit = 1u << (field - kind->fields);
		if (seen & bit)
			return fault_set(fault, field->name, "is given twice");
		seen |= bit;
		if (mp_skip_nil(&item)) /* left out */
			continue;
		given |= bit;
		if (field->type == F_INTERFACE) {
			if (!fault_want(&item, &name, MP_STR, field->name, fault))
				return false;
		} else if (field->type == F_NAMESPACE || field->type == F_KIND) {
			if (field->type == F_NAMESPACE)
				namespace = item;
			if (!mp_skip(&item))
				return fault_set(fault, field->name, "truncated msgpack");
		} else if (!decode_field(&item, field, wish, &families, fault)) {
			return false;
		}
	}
	for (unsigned i = 0; i < kind->count; i++)
		if (kind->fields[i].required && !(given & 1u << i))
			return fault_set(fault, kind->fields[i].name, "is missing");
	if (!settle_family(wish, kind_number, &families, fault) ||
	    !reference_decode(&name, namespace.p ? &namespace : NULL, wish, text, memo, fault))
		return false;
	*in = item;
	return true;
}

const char *schema_scope_name(uint8_t scope)
{
	for (unsigned i = 0; i < COUNT(scopes); i++)
		if (scopes[i].value == scope)
			return scopes[i].name;
	return NULL;
}

int nsp_schema_field(uint32_t kind, uint32_t field, struct nsp_field_info *info)
{
	if (kind >= COUNT(kinds) || field >= kinds[kind].count)
		return -ENOENT;
	const struct field *from = &kinds[kind].fields[field];
	*info = (struct nsp_field_info){ .required = from->required };
	snprintf(info->kind, sizeof(info->kind), "%s", kinds[kind].name);
	snprintf(info->name, sizeof(info->name), "%s", from->name);
	snprintf(info->type, sizeof(info->type), "%s", from->shown);
	snprintf(info->about, sizeof(info->about), "%s", from->about);
	return 0;
}
