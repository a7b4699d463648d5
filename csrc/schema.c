/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>

#include "text.h"

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
	enum field_type type;
	bool required;
	const char *shown;
	const char *about;
};

static const struct field route_fields[] = {
	{ "kind", F_KIND, true, "\"route\"", "what the item is" },
	{ "interface", F_INTERFACE, true, "string",
	  "the logical name of an interface item or, with `namespace`, the kernel's name of a link there" },
	{ "dst", F_PREFIX, true, "prefix", "the destination network, 10.0.0.0/8 or fd00::/8; an address alone is a host route" },
	{ "gateway", F_GATEWAY, false, "address",
	  "the next hop, of the destination's family; without it the destination is on the link" },
	{ "metric", F_METRIC, false, "integer", "0 to 4294967295; IPv4 0, IPv6 1024 where left out or 0" },
	{ "table", F_TABLE, false, "integer", "the routing table, 1 to 4294967295; 254 (main) where left out" },
	{ "namespace", F_NAMESPACE, false, "namespace", "where `interface` is a link of the kernel" },
	{ "scope", F_SCOPE, false, "string or integer", "global, site, link, host or a number to 254; IPv4 only" },
	{ "prefsrc", F_SOURCE, false, "address", "the preferred source address" },
	{ "onlink", F_ONLINK, false, "boolean", "believe that the gateway is on the link, though no route says so" },
	{ "override", F_OVERRIDE, false, "boolean", "take the place of somebody else's route, which is put back at the end" },
};

static const struct field arp_fields[] = {
	{ "kind", F_KIND, true, "\"arp\"", "what the item is" },
	{ "interface", F_INTERFACE, true, "string",
	  "the logical name of an interface item or, with `namespace`, the kernel's name of a link there" },
	{ "ip", F_HOST, true, "address", "the neighbour's address, IPv4 or IPv6" },
	{ "mac", F_MAC, true, "mac", "the neighbour's link-layer address, six bytes" },
	{ "namespace", F_NAMESPACE, false, "namespace", "where `interface` is a link of the kernel" },
	{ "override", F_OVERRIDE, false, "boolean",
	  "take the place of somebody else's permanent entry, which is put back at the end" },
};

static const struct kind {
	const char *name;
	const struct field *fields;
	unsigned count;
} kinds[] = {
	{ "route", route_fields, sizeof(route_fields) / sizeof(*route_fields) },
	{ "arp", arp_fields, sizeof(arp_fields) / sizeof(*arp_fields) },
};

static const struct {
	const char *name;
	uint8_t value;
} scopes[] = { { "global", RT_SCOPE_UNIVERSE }, { "site", RT_SCOPE_SITE }, { "link", RT_SCOPE_LINK }, { "host", RT_SCOPE_HOST } };

static const struct {
	const char *type;
	const char *field;
} references[] = { { "name", "name" }, { "pid", "pid" }, { "file", "path" }, { "microservice", "microservice" } };

#define REFERENCE_MAX 400
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool same(const uint8_t *data, size_t len, const char *text)
{
	return strlen(text) == len && !memcmp(data, text, len);
}

__attribute__((format(printf, 3, 4))) static bool fail(struct fault *fault, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(fault->field, sizeof(fault->field), "%s", field);
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return false;
}

/* Text from outside, cut short for a message. */
static const char *shown(char out[64], const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < 48; i++)
		out[n++] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
	memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
	return out;
}

static bool want(struct mp_in *in, struct mp_token *token, enum mp_type type, const char *field, struct fault *fault)
{
	if (!mp_next(in, token))
		return fail(fault, field, "truncated msgpack");
	if (token->type != type)
		return fail(fault, field, "wants %s, not %s", mp_type_name(type), mp_type_name(token->type));
	return true;
}

static bool decode_number(struct mp_in *in, const char *field, uint64_t min, uint64_t max, uint32_t *value, struct fault *fault)
{
	struct mp_token token;

	if (!mp_next(in, &token))
		return fail(fault, field, "truncated msgpack");
	if (token.type == MP_INT)
		return fail(fault, field, "%lld is less than %llu", (long long)token.number, (unsigned long long)min);
	if (token.type != MP_UINT)
		return fail(fault, field, "wants a number, not %s", mp_type_name(token.type));
	if (token.number < min || token.number > max)
		return fail(fault, field, "%llu is not %llu to %llu", (unsigned long long)token.number, (unsigned long long)min,
			    (unsigned long long)max);
	*value = (uint32_t)token.number;
	return true;
}

static bool decode_flag(struct mp_in *in, const char *field, struct wish *wish, uint8_t flag, struct fault *fault)
{
	struct mp_token token;

	if (!want(in, &token, MP_BOOL, field, fault))
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

	if (!want(in, &token, MP_STR, field, fault))
		return 0;
	int family = text_parse_ip(token.data, token.len, ip);
	if (!family)
		fail(fault, field, "'%s' is not an IP address", shown(text, token.data, token.len));
	else if (is_unspecified(ip) || is_multicast(family, ip)) {
		fail(fault, field, "'%s' is %s", shown(text, token.data, token.len),
		     is_unspecified(ip) ? "no host's address" : "a multicast address");
		family = 0;
	}
	return family;
}

/* Clears what lies behind the prefix. true where it was clear. */
static bool mask(uint8_t ip[16], unsigned bits)
{
	bool clear = true;

	for (unsigned i = bits / 8; i < 16; i++) {
		uint8_t keep = i == bits / 8 ? (uint8_t)(0xff00 >> (bits % 8)) : 0;
		clear &= !(ip[i] & (uint8_t)~keep);
		ip[i] &= keep;
	}
	return clear;
}

static bool parse_prefix(const uint8_t *data, size_t len, const char *field, struct wish *wish, int *family, struct fault *fault)
{
	const uint8_t *slash = memchr(data, '/', len);
	size_t address = slash ? (size_t)(slash - data) : len;
	char text[64], network[46];
	uint64_t bits;

	*family = text_parse_ip(data, address, wish->dst);
	if (!*family)
		return fail(fault, field, "'%s' is not a network such as 10.0.0.0/8", shown(text, data, len));
	unsigned most = *family == 4 ? 32 : 128;
	if (!slash)
		bits = most;
	else if (!text_parse_number((const char *)slash + 1, len - address - 1, most, &bits))
		return fail(fault, field, "'%s' wants a prefix length of 0 to %u", shown(text, data, len), most);
	wish->dst_len = (uint8_t)bits;
	if (!mask(wish->dst, wish->dst_len)) {
		schema_format_ip(network, *family == 6, wish->dst);
		return fail(fault, field, "'%s' has host bits set: the network is %s/%u", shown(text, data, len), network,
			    wish->dst_len);
	}
	return true;
}

static bool decode_scope(struct mp_in *in, const char *field, struct wish *wish, struct fault *fault)
{
	struct mp_in again = *in;
	struct mp_token token;
	uint32_t value;
	char text[64];

	if (!mp_next(in, &token))
		return fail(fault, field, "truncated msgpack");
	wish->flags |= WISH_SCOPE;
	if (token.type != MP_STR) {
		*in = again;
		if (!decode_number(in, field, 0, 254, &value, fault))
			return false;
		wish->scope = (uint8_t)value;
		return true;
	}
	for (unsigned i = 0; i < COUNT(scopes); i++)
		if (same(token.data, token.len, scopes[i].name)) {
			wish->scope = scopes[i].value;
			return true;
		}
	return fail(fault, field, "'%s' is not global, site, link, host or a number", shown(text, token.data, token.len));
}

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
			return fail(fault, "namespace.name", "'%s' is not a name that can stand under /run/netns",
				    shown(text, ref->text, ref->len));
		return true;
	case 2:
		if (!ref->len || ref->text[0] != '/' || !text_is_clean(ref->text, ref->len))
			return fail(fault, "namespace.path", "'%s' is not an absolute path", shown(text, ref->text, ref->len));
		return true;
	case 3:
		if (ref->len < 1 || ref->len > 255 || !text_is_clean(ref->text, ref->len))
			return fail(fault, "namespace.microservice", "'%s' is not a label of 1 to 255 bytes",
				    shown(text, ref->text, ref->len));
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
	if (!want(in, &map, MP_MAP, "namespace", fault))
		return false;
	for (uint32_t i = 0; i < map.len; i++) {
		if (!want(in, &key, MP_STR, "namespace", fault))
			return false;
		struct mp_in at = *in;
		if (!mp_next(in, &token))
			return fail(fault, "namespace", "truncated msgpack");
		if (same(key.data, key.len, "type")) {
			if (ref->type >= 0)
				return fail(fault, "namespace.type", "is given twice");
			for (unsigned k = 0; token.type == MP_STR && k < COUNT(references); k++)
				if (same(token.data, token.len, references[k].type))
					ref->type = (int)k;
			if (ref->type < 0)
				return fail(fault, "namespace.type", "wants name, pid, file or microservice");
			continue;
		}
		int field = -1;
		for (unsigned k = 0; k < COUNT(references); k++)
			if (same(key.data, key.len, references[k].field))
				field = (int)k;
		if (field < 0 || given >= 0)
			return fail(fault, "namespace", field < 0 ? "unknown field '%s'" : "'%s' is one reference too many",
				    shown(text, key.data, key.len));
		given = field;
		value = token;
		*in = at;
		if (!mp_skip(in))
			return fail(fault, "namespace", "truncated msgpack");
	}
	if (ref->type < 0)
		return fail(fault, "namespace.type", "is missing");
	if (given != ref->type)
		return fail(fault, "namespace", "type %s wants the field '%s'", references[ref->type].type,
			    references[ref->type].field);
	if (ref->type == 1) {
		if (value.type != MP_UINT || value.number < 1 || value.number > INT32_MAX)
			return fail(fault, "namespace.pid", "wants a process number");
		ref->len = (uint32_t)snprintf((char *)ref->text, sizeof(ref->text), "%u", (unsigned)value.number);
		return true;
	}
	if (value.type != MP_STR || value.len > sizeof(ref->text))
		return fail(fault, "namespace", "%s wants a string of at most %zu bytes", references[ref->type].field,
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

static bool same_as_last(const struct slot_memo *memo, const struct mp_token *name)
{
	return memo->name && memo->name_len == name->len && !memcmp(memo->name, name->data, name->len);
}

/* Writes the slot's key: NAME, or LINK@TYPE:REFERENCE. */
static bool decode_slot(struct mp_token *name, struct mp_in *namespace, struct wish *wish, struct mp_out *text,
			struct slot_memo *memo, struct fault *fault)
{
	struct reference ref;
	char part[64];

	if (!namespace) {
		if (same_as_last(memo, name)) {
			wish->slot = memo->offset;
			return true;
		}
		if (!text_is_name(name->data, name->len))
			return fail(fault, "interface",
				    "'%s' is not a name of 1 to 255 bytes without '/', '@', ';', spaces and control characters",
				    shown(part, name->data, name->len));
		wish->slot = (uint32_t)text->len;
		mp_put_raw(text, name->data, name->len);
		mp_put_byte(text, 0);
		*memo = (struct slot_memo){ name->data, name->len, wish->slot };
		return true;
	}
	if (!text_is_link(name->data, name->len))
		return fail(fault, "interface", "'%s' is not a link's name of 1 to 15 bytes", shown(part, name->data, name->len));
	if (!decode_reference(namespace, &ref, fault))
		return false;
	wish->slot = (uint32_t)text->len;
	text->len += write_slot((char *)mp_room(text, NSP_KEY_MAX), name->data, name->len, &ref) + 1;
	return true;
}

/* Is this a slot's key as decode_slot writes it? */
static bool is_slot(const char *slot, size_t len)
{
	const char *at = memchr(slot, '@', len), *end = slot + len;
	const char *colon = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
	struct reference ref = { .type = -1 };
	char link[3 * 15], decoded[3 * REFERENCE_MAX], again[NSP_KEY_MAX];
	struct fault fault;
	uint64_t pid;

	if (!at)
		return text_is_name((const uint8_t *)slot, len);
	if (!colon || at - slot > (ptrdiff_t)sizeof(link) || end - colon - 1 > (ptrdiff_t)sizeof(decoded))
		return false;
	for (unsigned i = 0; i < COUNT(references); i++)
		if (same((const uint8_t *)at + 1, (size_t)(colon - at - 1), references[i].type))
			ref.type = (int)i;
	long link_len = text_decode(link, slot, (size_t)(at - slot)),
	     n = text_decode(decoded, colon + 1, (size_t)(end - colon - 1));
	if (ref.type < 0 || link_len < 0 || !text_is_link((const uint8_t *)link, (size_t)link_len) || n < 0 || n > REFERENCE_MAX)
		return false;
	memcpy(ref.text, decoded, (size_t)n);
	ref.len = (uint32_t)n;
	if (ref.type == 1 ? !text_parse_number(decoded, (size_t)n, INT32_MAX, &pid) || !pid : !check_reference(&ref, &fault))
		return false;
	return write_slot(again, (const uint8_t *)link, (size_t)link_len, &ref) == len && !memcmp(again, slot, len);
}

static const struct field *find_field(const struct kind *kind, const struct mp_token *key, unsigned *hint)
{
	for (unsigned i = 0; i < kind->count; i++) {
		unsigned at = (*hint + i) % kind->count;
		if (same(key->data, key->len, kind->fields[at].name)) {
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
		if (!same(key.data, key.len, "kind")) {
			if (!mp_skip(&in))
				return -1;
			continue;
		}
		if (!mp_next(&in, &value) || value.type != MP_STR)
			return -1;
		for (unsigned k = 0; k < COUNT(kinds); k++)
			if (same(value.data, value.len, kinds[k].name))
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
		return want(in, &token, MP_STR, field->name, fault) &&
		       parse_prefix(token.data, token.len, field->name, wish, &families->dst, fault);
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
		if (!want(in, &token, MP_STR, field->name, fault))
			return false;
		if (!text_parse_mac(token.data, token.len, wish->via))
			return fail(fault, field->name, "'%s' is not a MAC of six bytes such as 02:00:00:00:00:01",
				    shown(text, token.data, token.len));
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
		return fail(fault, "gateway", "is IPv%d, the destination IPv%d", families->gateway, families->dst);
	if (families->source && families->source != families->dst)
		return fail(fault, "prefsrc", "is IPv%d, the destination IPv%d", families->source, families->dst);
	if (v6 && wish->flags & WISH_SCOPE)
		return fail(fault, "scope", "is for IPv4 routes only");
	if (wish->flags & WISH_ONLINK && !(wish->flags & WISH_VIA))
		return fail(fault, "onlink", "wants a gateway");
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
	unsigned hint = 0, seen = 0;
	char part[64];

	if (!mp_next(&item, &map) || map.type != MP_MAP)
		return fail(fault, "", "an item is a map");
	*wish = (struct wish){ .table = kind_number == 0 ? SCHEMA_TABLE : 0 };
	for (uint32_t i = 0; i < map.len; i++) {
		if (!want(&item, &key, MP_STR, "", fault))
			return false;
		const struct field *field = find_field(kind, &key, &hint);
		if (!field)
			return fail(fault, shown(part, key.data, key.len > 24 ? 24 : key.len), "%s items have no such field",
				    kind->name);
		unsigned bit = 1u << (field - kind->fields);
		if (seen & bit)
			return fail(fault, field->name, "is given twice");
		seen |= bit;
		if (field->type == F_INTERFACE) {
			if (!want(&item, &name, MP_STR, field->name, fault))
				return false;
		} else if (field->type == F_NAMESPACE || field->type == F_KIND) {
			if (field->type == F_NAMESPACE)
				namespace = item;
			if (!mp_skip(&item))
				return fail(fault, field->name, "truncated msgpack");
		} else if (!decode_field(&item, field, wish, &families, fault)) {
			return false;
		}
	}
	for (unsigned i = 0; i < kind->count; i++)
		if (kind->fields[i].required && !(seen & 1u << i))
			return fail(fault, kind->fields[i].name, "is missing");
	if (!settle_family(wish, kind_number, &families, fault) ||
	    !decode_slot(&name, namespace.p ? &namespace : NULL, wish, text, memo, fault))
		return false;
	*in = item;
	return true;
}

bool schema_is_key(const char *key, size_t len)
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
			return fail(fault, "key", "wants a number behind '%s'", names[i]);
		*into[i] = (uint32_t)value;
		p = stop;
	}
	return p == end || fail(fault, "key", "ends in other than ;metric=N;table=N");
}

bool schema_parse_key(const char *key, size_t len, struct wish *wish, struct mp_out *text, struct fault *fault)
{
	int kind = key[0] == 'r' ? 0 : 1, family;
	const char *end = key + len, *slot = memchr(key, '/', len) + 1;
	const char *dst = memchr(slot, '/', (size_t)(end - slot));
	char canonical[NSP_KEY_MAX], part[64];

	*wish = (struct wish){ .table = kind == 0 ? SCHEMA_TABLE : 0 };
	if (len >= NSP_KEY_MAX || !dst || dst == slot || !text_is_clean((const uint8_t *)key, len))
		return fail(fault, "key", "wants %s", kind == 0 ? "route/INTERFACE/NETWORK/LENGTH" : "arp/INTERFACE/ADDRESS");
	if (!is_slot(slot, (size_t)(dst - slot)))
		return fail(fault, "key", "'%s' is not an interface as it stands in keys",
			    shown(part, (const uint8_t *)slot, (size_t)(dst - slot)));
	const char *stop = memchr(dst, ';', (size_t)(end - dst));
	if (!stop)
		stop = end;
	if (!parse_prefix((const uint8_t *)dst + 1, (size_t)(stop - dst - 1), "key", wish, &family, fault))
		return false;
	wish->type = (uint8_t)(kind << 1 | (family == 6));
	if (wish->type == WISH_ROUTE6)
		wish->metric = SCHEMA_METRIC6;
	if (!parse_suffix(stop, end, wish, fault))
		return false;
	wish->slot = (uint32_t)text->len;
	mp_put_raw(text, slot, (size_t)(dst - slot));
	mp_put_byte(text, 0);
	size_t n = schema_format_key(canonical, (char *)text->data + wish->slot, wish->type, wish->dst, wish->dst_len, wish->metric,
				     wish->table);
	if (n != len || memcmp(canonical, key, len))
		return fail(fault, "key", "is written '%.120s'", canonical);
	return true;
}

size_t schema_format_ip(char *out, bool v6, const uint8_t *ip)
{
	if (v6) {
		inet_ntop(AF_INET6, ip, out, INET6_ADDRSTRLEN);
		return strlen(out);
	}
	char *p = out;
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		if (ip[i] >= 100)
			*p++ = (char)('0' + ip[i] / 100);
		if (ip[i] >= 10)
			*p++ = (char)('0' + ip[i] / 10 % 10);
		*p++ = (char)('0' + ip[i] % 10);
	}
	*p = 0;
	return (size_t)(p - out);
}

size_t schema_format_key(char *out, const char *slot, uint8_t type, const uint8_t *dst, uint8_t dst_len, uint32_t metric,
			 uint32_t table)
{
	char *p = stpcpy(out, WISH_TYPE_IS_ROUTE(type) ? "route/" : "arp/");

	p = stpcpy(p, slot);
	*p++ = '/';
	p += schema_format_ip(p, WISH_TYPE_IS_V6(type), dst);
	if (!WISH_TYPE_IS_ROUTE(type))
		return (size_t)(p - out);
	p += sprintf(p, "/%u", dst_len);
	if (metric != (type == WISH_ROUTE6 ? SCHEMA_METRIC6 : 0))
		p += sprintf(p, ";metric=%u", metric);
	if (table != SCHEMA_TABLE)
		p += sprintf(p, ";table=%u", table);
	return (size_t)(p - out);
}

uint32_t schema_put_interface(struct mp_out *out, const char *slot)
{
	const char *at = strchr(slot, '@');
	char decoded[NSP_KEY_MAX];

	mp_put_literal(out, "interface");
	if (!at) {
		mp_put_text(out, slot);
		return 1;
	}
	mp_put_str(out, decoded, (size_t)text_decode(decoded, slot, (size_t)(at - slot)));
	const char *colon = strchr(at, ':');
	mp_put_literal(out, "namespace");
	mp_put_map(out, 2);
	mp_put_literal(out, "type");
	mp_put_str(out, at + 1, (size_t)(colon - at - 1));
	long n = text_decode(decoded, colon + 1, strlen(colon + 1));
	for (unsigned i = 0; i < COUNT(references); i++)
		if (same((const uint8_t *)at + 1, (size_t)(colon - at - 1), references[i].type))
			mp_put_text(out, references[i].field);
	uint64_t pid;
	if (!strncmp(at, "@pid:", 5) && text_parse_number(decoded, (size_t)n, INT32_MAX, &pid))
		mp_put_uint(out, pid);
	else
		mp_put_str(out, decoded, (size_t)n);
	return 2;
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
