/* SPDX-License-Identifier: Apache-2.0 */
/* A few bytes, more than four, at whatever place: faster than calls of memcpy(3) and memcmp(3), for whose lengths no constant is known. */
#ifndef NSP_BYTES_H
#define NSP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bytes_load4(const uint8_t *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline uint64_t bytes_load8(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* The last words overlap. */
static inline bool bytes_are(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (len < 8)
		return bytes_load4(a) == bytes_load4(b) && bytes_load4(a + len - 4) == bytes_load4(b + len - 4);
	for (size_t at = 0; at < len - 8; at += 8)
		if (bytes_load8(a + at) != bytes_load8(b + at))
			return false;
	return bytes_load8(a + len - 8) == bytes_load8(b + len - 8);
}

static inline void bytes_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len < 8) {
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
		return;
	}
	for (size_t at = 0; at < len - 8; at += 8)
		memcpy(to + at, from + at, 8);
	memcpy(to + len - 8, from + len - 8, 8);
}

#endif
