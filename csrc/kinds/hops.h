/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of next hops as bytes: two sets are the same where these are.
 *
 *   | family 1 | address 4 or 16 | weight - 1 | flags | address ... |      sorted: the order of hops says nothing
 */
#ifndef NSP_KIND_HOPS_H
#define NSP_KIND_HOPS_H

#include "kernel/internal.h"
#include "wire/fault.h"

#define HOPS_MAX 64
#define HOPS_BYTES (1 + HOPS_MAX * 18)
#define HOPS_SHORT 19 /* a set of one of either family */
_Static_assert(HOPS_BYTES <= UINT16_MAX, "as its length has it");

static inline size_t hop_size(uint8_t family)
{
	return nsp_address_len(family) + 2;
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

static inline unsigned hops_count(const uint8_t *set, size_t len)
{
	return len ? (unsigned)((len - 1) / hop_size(set[0])) : 0;
}

static inline const uint8_t *hops_address(const uint8_t *set, unsigned i)
{
	return set + 1 + i * hop_size(set[0]);
}

void hops_get(const uint8_t *set, unsigned i, struct nsp_hop *hop);

/* Sorts them into a set of HOPS_BYTES at most; of their links it says nothing. Returns its length. */
uint16_t hops_pack(uint8_t *out, uint8_t family, const struct nsp_hop *hops, unsigned count);

/* Reads a list of maps {gateway, weight, onlink}: all of one family, each gateway once. */
bool hops_decode(struct mp_in *in, const char *field, uint8_t out[HOPS_BYTES], uint16_t *len, struct fault *fault);

/* The list that it can be read from. */
void hops_put(struct mp_out *out, const uint8_t *set, size_t len);

#endif
