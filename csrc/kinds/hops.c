/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of next hops. */
#include "kinds/hops.h"

#include <stdio.h>

#include "wire/prefix.h"
#include "wire/text.h"

void hops_get(const uint8_t *set, unsigned i, struct nsp_hop *hop)
{
	const uint8_t *address = hops_address(set, i);
	size_t len = nsp_address_len(hops_family(set));

	*hop = (struct nsp_hop){ .weight = (uint16_t)(address[len] + 1), .onlink = !!address[len + 1] };
	memcpy(hop->gateway, address, len);
	if (set[0] & HOPS_RESOLVED)
		memcpy(&hop->oif, hops_link(set, i) + HOP_LINK - sizeof(hop->oif), sizeof(hop->oif));
}

static void put_link(uint8_t *out, const struct nsp_hop *hop, const char *link)
{
	memset(out, 0, HOP_LINK);
	if (link) {
		memcpy(out, link, HOP_LINK);
		return;
	}
	snprintf((char *)out, HOP_LINK - sizeof(hop->oif), "#%d", hop->oif);
	memcpy(out + HOP_LINK - sizeof(hop->oif), &hop->oif, sizeof(hop->oif));
}

/* Few, and mostly in order. */
static uint16_t pack(uint8_t *out, uint8_t first, const struct nsp_hop *hops, const char (*links)[HOP_LINK], unsigned count)
{
	size_t len = nsp_address_len(hops_family(&first)), size = hop_size(first);
	uint8_t packed[HOPS_SHORT + HOP_LINK];

	out[0] = first;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = i;
		memcpy(packed, hops[i].gateway, len);
		packed[len] = (uint8_t)(hops[i].weight - 1);
		packed[len + 1] = hops[i].onlink ? RTNH_F_ONLINK : 0;
		if (first & HOPS_LINKS)
			put_link(packed + len + 2, &hops[i], links ? links[i] : NULL);
		for (; at && memcmp(hops_address(out, at - 1), packed, size) > 0; at--)
			memcpy(out + 1 + at * size, out + 1 + (at - 1) * size, size);
		memcpy(out + 1 + at * size, packed, size);
	}
	return (uint16_t)(1 + count * size);
}

uint16_t hops_pack(uint8_t *out, uint8_t family, const struct nsp_hop *hops, unsigned count)
{
	return pack(out, family, hops, NULL, count);
}

uint16_t hops_pack_links(uint8_t *out, uint8_t family, const struct nsp_hop *hops, const char (*links)[HOP_LINK], unsigned count)
{
	return pack(out, (uint8_t)(family | HOPS_LINKS | (links ? 0 : HOPS_RESOLVED)), hops, links, count);
}

static bool decode_gateway(const struct mp_token *token, const char *path, struct nsp_hop *hop, int *family, struct fault *fault)
{
	static const uint8_t none[16];
	uint8_t address[16];
	char text[64];
	int of = text_parse_ip(token->data, token->len, address);

	fault_text(text, token->data, token->len);
	if (!of)
		return fault_set(fault, path, "'%s' is not an IP address", text);
	if (!memcmp(address, none, sizeof(none)))
		return fault_set(fault, path, "'%s' is no host's address", text);
	if (of == 4 ? (address[0] & 0xf0) == 0xe0 : address[0] == 0xff)
		return fault_set(fault, path, "'%s' is a multicast address", text);
	if (*family && *family != of)
		return fault_set(fault, path, "is IPv%d, others of the list IPv%d", of, *family);
	*family = of;
	memcpy(hop->gateway, address, sizeof(address));
	return true;
}

static bool decode_weight(const struct mp_token *token, const char *path, struct nsp_hop *hop, struct fault *fault)
{
	if (token->type != MP_UINT && token->type != MP_INT)
		return fault_set(fault, path, "wants a number, not %s", mp_type_name(token->type));
	if (token->type == MP_INT || token->number < 1 || token->number > 256)
		return fault_set(fault, path, "%lld is not 1 to 256", (long long)token->number);
	hop->weight = (uint16_t)token->number;
	return true;
}

static bool decode_link(const struct mp_token *token, const char *path, char link[HOP_LINK], struct fault *fault)
{
	char text[64];

	if (!text_is_link(token->data, token->len))
		return fault_set(fault, path, "'%s' is not a link's name of 1 to 15 bytes",
				 fault_text(text, token->data, token->len));
	memcpy(link, token->data, token->len);
	return true;
}

/* `link` is empty where none is given. */
static bool decode_hop(struct mp_in *in, const char *field, unsigned i, struct nsp_hop *hop, char link[HOP_LINK], int *family,
		       struct fault *fault)
{
	static const char *const names[] = { "gateway", "weight", "onlink", "interface" };
	struct mp_token map, key, value;
	unsigned seen = 0, given = 0;
	char path[sizeof(fault->field)];

	*hop = (struct nsp_hop){ .weight = 1 };
	memset(link, 0, HOP_LINK);
	snprintf(path, sizeof(path), "%s[%u]", field, i);
	if (!fault_want(in, &map, MP_MAP, path, fault))
		return false;
	for (uint32_t pair = 0; pair < map.len; pair++) {
		unsigned at = 0;
		if (!fault_want(in, &key, MP_STR, path, fault))
			return false;
		while (at < 4 && !text_is(key.data, key.len, names[at]))
			at++;
		if (at == 4)
			return fault_set(fault, path, "next hops have no such field, but gateway, weight, onlink and interface");
		snprintf(path, sizeof(path), "%s[%u].%s", field, i, names[at]);
		if (seen >> at & 1)
			return fault_set(fault, path, "is given twice");
		seen |= 1u << at;
		if (mp_skip_nil(in))
			continue;
		given |= 1u << at;
		if (at != 1 && !fault_want(in, &value, at == 2 ? MP_BOOL : MP_STR, path, fault))
			return false;
		if (at == 1 && !mp_next(in, &value))
			return fault_set(fault, path, "truncated msgpack");
		mp_whole(&value);
		if (at == 0 && !decode_gateway(&value, path, hop, family, fault))
			return false;
		if (at == 1 && !decode_weight(&value, path, hop, fault))
			return false;
		if (at == 2)
			hop->onlink = (uint16_t)value.number;
		if (at == 3 && !decode_link(&value, path, link, fault))
			return false;
		snprintf(path, sizeof(path), "%s[%u]", field, i);
	}
	snprintf(path, sizeof(path), "%s[%u].gateway", field, i);
	return given & 1 || fault_set(fault, path, "is missing");
}

/* The place of a hop that has the same gateway (and link) as one in front of it, or 0. */
static unsigned find_twice(const struct nsp_hop *hops, const char (*links)[HOP_LINK], unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		for (unsigned k = 0; k < i; k++)
			if (!memcmp(hops[i].gateway, hops[k].gateway, sizeof(hops[i].gateway)) &&
			    !memcmp(links[i], links[k], HOP_LINK))
				return i;
	return 0;
}

bool hops_decode(struct mp_in *in, const char *field, uint8_t out[HOPS_BYTES], uint16_t *len, struct fault *fault)
{
	struct nsp_hop hops[HOPS_MAX];
	char links[HOPS_MAX][HOP_LINK], path[48];
	struct mp_token list;
	int family = 0;

	if (!fault_want(in, &list, MP_ARRAY, field, fault))
		return false;
	if (list.len < 2 || list.len > HOPS_MAX)
		return fault_set(fault, field, "wants 2 to %d next hops, not %u", HOPS_MAX, list.len);
	for (unsigned i = 0; i < list.len; i++)
		if (!decode_hop(in, field, i, &hops[i], links[i], &family, fault))
			return false;
	if (find_twice(hops, links, list.len))
		return fault_set(fault, field, "has a gateway twice");
	for (unsigned i = 1; i < list.len; i++) {
		if (!links[i][0] == !links[0][0])
			continue;
		snprintf(path, sizeof(path), "%.15s[%u].interface", field, links[0][0] ? i : 0);
		return fault_set(fault, path, "is missing: others of the list have one");
	}
	family = family == 4 ? AF_INET : AF_INET6;
	*len = links[0][0] ? hops_pack_links(out, (uint8_t)family, hops, links, list.len) :
			     hops_pack(out, (uint8_t)family, hops, list.len);
	return true;
}

void hops_put(struct mp_out *out, const uint8_t *set, size_t len)
{
	unsigned count = hops_count(set, len);
	char text[INET6_ADDRSTRLEN];

	mp_put_array(out, count);
	for (unsigned i = 0; i < count; i++) {
		struct nsp_hop hop;
		hops_get(set, i, &hop);
		mp_put_map(out, 1u + (hop.weight > 1) + hop.onlink + hops_have_links(set, len));
		if (hops_have_links(set, len)) {
			mp_put_literal(out, "interface");
			mp_put_str(out, hops_link(set, i), strnlen(hops_link(set, i), HOP_LINK));
		}
		mp_put_literal(out, "gateway");
		mp_put_str(out, text, prefix_format_ip(text, hops_family(set) == AF_INET6, hop.gateway));
		if (hop.weight > 1) {
			mp_put_literal(out, "weight");
			mp_put_uint(out, hop.weight);
		}
		if (hop.onlink) {
			mp_put_literal(out, "onlink");
			mp_put_bool(out, true);
		}
	}
}
