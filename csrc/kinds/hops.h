/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of next hops as bytes: two sets are the same where these are.
 *
 *   | family 1 | address 4 or 16 | weight - 1 | flags | address ... |      sorted: the order of hops says nothing
 *   | 0 | RTN_* | 0 | 0 |                                                  a route's type: it has no next hop, and no link
 *
 * Of a route over several links the first byte has HOPS_LINKS, and the flags of each hop are followed by its link's name (16 bytes) or, with
 * HOPS_RESOLVED, by "#NUMBER" and, in the last four of these, the number itself.
 */
#ifndef NSP_KIND_HOPS_H
#define NSP_KIND_HOPS_H

#include "kernel/internal.h"
#include "wire/fault.h"

#define HOPS_MAX 64
#define HOPS_LINKS 0x80
#define HOPS_RESOLVED 0x40
#define HOP_LINK 16
#define HOPS_BYTES (1 + HOPS_MAX * (18 + HOP_LINK))
#define HOPS_SHORT 19 /* a set of one of either family */
_Static_assert(HOPS_BYTES <= UINT16_MAX, "as its length has it");

static inline uint8_t hops_family(const uint8_t *set)
{
	return set[0] & (uint8_t)~(HOPS_LINKS | HOPS_RESOLVED);
}

/* Of a set that begins with this byte. */
static inline size_t hop_size(uint8_t first)
{
	return nsp_address_len(hops_family(&first)) + 2 + (first & HOPS_LINKS ? HOP_LINK : 0);
}

/* A set of one. Returns its length. */
static inline uint16_t hops_pack_one(uint8_t out[HOPS_SHORT], uint8_t family, const uint8_t *address, bool onlink)
{
	size_t len = nsp_address_len(family);

	out[0] = family;
	memcpy(out + 1, address, len);
	out[1 + len] = 0;
	out[2 + len] = onlink ? RTNH_F_ONLINK : 0;
	return (uint16_t)(3 + len);
}

#define HOPS_TYPE_SIZE 4

static inline uint16_t hops_pack_type(uint8_t out[HOPS_SHORT], uint8_t type)
{
	memcpy(out, (const uint8_t[HOPS_TYPE_SIZE]){ 0, type }, HOPS_TYPE_SIZE);
	return HOPS_TYPE_SIZE;
}

/* RTN_UNICAST of a set of next hops. */
static inline uint8_t hops_type(const uint8_t *set, size_t len)
{
	return len && !set[0] ? set[1] : RTN_UNICAST;
}

static inline unsigned hops_count(const uint8_t *set, size_t len)
{
	return len && set[0] ? (unsigned)((len - 1) / hop_size(set[0])) : 0;
}

/* Is it of no single link, but of its namespace? */
static inline bool hops_are_of_netns(const uint8_t *set, size_t len)
{
	return len && (!set[0] || set[0] & HOPS_LINKS);
}

static inline const uint8_t *hops_address(const uint8_t *set, unsigned i)
{
	return set + 1 + i * hop_size(set[0]);
}

static inline bool hops_have_links(const uint8_t *set, size_t len)
{
	return len && set[0] & HOPS_LINKS;
}

/* The name of a hop's link: HOP_LINK bytes with NULs behind it. */
static inline const char *hops_link(const uint8_t *set, unsigned i)
{
	return (const char *)hops_address(set, i) + nsp_address_len(hops_family(set)) + 2;
}

void hops_get(const uint8_t *set, unsigned i, struct nsp_hop *hop);

/* Sorts them into a set of HOPS_BYTES at most; of their links it says nothing. Returns its length. */
uint16_t hops_pack(uint8_t *out, uint8_t family, const struct nsp_hop *hops, unsigned count);
/* The same with the names of their links or, where `links` is NULL, with the numbers: HOPS_RESOLVED. */
uint16_t hops_pack_links(uint8_t *out, uint8_t family, const struct nsp_hop *hops, const char (*links)[HOP_LINK], unsigned count);

/* Reads a list of maps {interface, gateway, weight, onlink}: all of one family, all with an interface or none, each once. */
bool hops_decode(struct mp_in *in, const char *field, uint8_t out[HOPS_BYTES], uint16_t *len, struct fault *fault);

/* The list that it can be read from. */
void hops_put(struct mp_out *out, const uint8_t *set, size_t len);

#endif
