/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the fuzz targets share. Include it first. */
#ifndef FUZZ_H
#define FUZZ_H

#include "kernel/internal.h"

#include "wire/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What does not hold is a crash: the sanitizer prints where. */
static inline void need(bool holds)
{
	if (!holds)
		abort();
}

/* A copy of exactly this length, so that the sanitizer sees one byte too many. */
static inline void *exact(const void *data, size_t len)
{
	void *copy = malloc(len ? len : 1);

	need(copy);
	if (len)
		memcpy(copy, data, len);
	return copy;
}

/* Bytes of an input that are taken one by one; behind the end they are 0. */
struct bytes {
	const uint8_t *at, *end;
};

static inline size_t bytes_left(const struct bytes *bytes)
{
	return (size_t)(bytes->end - bytes->at);
}

static inline uint8_t take_byte(struct bytes *bytes)
{
	return bytes->at < bytes->end ? *bytes->at++ : 0;
}

/* As many as the next two bytes say, or as there are. */
static inline struct bytes take_part(struct bytes *bytes)
{
	size_t len = take_byte(bytes);

	len |= (size_t)take_byte(bytes) << 8;
	if (len > bytes_left(bytes))
		len = bytes_left(bytes);
	bytes->at += len;
	return (struct bytes){ bytes->at - len, bytes->at };
}

/* Whole values of msgpack, so many, and nothing behind them. */
static inline void need_values(const uint8_t *data, size_t len, long count)
{
	struct mp_in in = { data, data ? data + len : NULL };

	while (count--)
		need(mp_skip(&in));
	need(in.p == in.end);
}

#endif
