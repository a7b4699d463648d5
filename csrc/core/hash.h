/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes with a secret: what comes over the bus cannot be made to collide. */
#ifndef NSP_HASH_H
#define NSP_HASH_H

#include <stdint.h>
#include <string.h>

#include "core/bytes.h"

struct secret {
	uint64_t a, b;
};

/* Both halves of the product of two numbers, one over the other; by 32 bits at a time. */
static inline uint64_t hash_fold_by_halves(uint64_t x, uint64_t y)
{
	uint64_t x0 = (uint32_t)x, x1 = x >> 32, y0 = (uint32_t)y, y1 = y >> 32;
	uint64_t middle = x1 * y0 + (x0 * y0 >> 32), rest = x0 * y1 + (uint32_t)middle;

	return x * y ^ (x1 * y1 + (middle >> 32) + (rest >> 32));
}

static inline uint64_t hash_fold(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 product = (unsigned __int128)x * y;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	return hash_fold_by_halves(x, y);
#endif
}

static inline uint64_t hash_mix(const struct secret *secret, uint64_t x, uint64_t y)
{
	return hash_fold(x ^ secret->a ^ 0x9e3779b97f4a7c15u, y ^ secret->b ^ 0xe7037ed1a0b428dbu);
}

/* Of four bytes or more. */
static inline uint64_t hash_bytes(const struct secret *secret, uint64_t seed, const uint8_t *bytes, size_t len)
{
	uint64_t h = hash_mix(secret, seed, len);

	if (len < 8)
		return hash_mix(secret, h, (uint64_t)bytes_load4(bytes) << 32 | bytes_load4(bytes + len - 4));
	const uint8_t *last = bytes + len - 8;
	for (; last - bytes > 8; bytes += 16)
		h = hash_mix(secret, h ^ bytes_load8(bytes), bytes_load8(bytes + 8));
	return last < bytes ? h : hash_mix(secret, h ^ bytes_load8(bytes), bytes_load8(last));
}

static inline uint32_t hash_text(const struct secret *secret, const char *text)
{
	size_t left = strlen(text);
	uint64_t h = left;

	for (; left; text += 8) {
		uint64_t word = 0;
		size_t n = left < 8 ? left : 8;

		memcpy(&word, text, n);
		h = hash_mix(secret, h, word);
		left -= n;
	}
	return (uint32_t)(h >> 16);
}

#endif
