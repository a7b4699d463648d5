/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow by doubling. Without memory there is no state worth going on with: the process ends. */
#ifndef NSP_ARRAY_H
#define NSP_ARRAY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline void *array_grow(void *array, uint32_t *cap, size_t size)
{
	*cap = *cap ? *cap * 2 : 16;
	void *grown = realloc(array, *cap * size);
	if (!grown)
		abort();
	return grown;
}

/* Makes room for element `count`. */
#define ARRAY_GROW(array, count, cap)                                                                                              \
	do {                                                                                                                       \
		if ((count) == (cap))                                                                                              \
			(array) = array_grow((array), &(cap), sizeof(*(array)));                                                   \
	} while (0)

/* memcpy(3) into memory of its own. */
static inline void *array_copy(const void *data, size_t len)
{
	void *copy = malloc(len);

	if (!copy)
		abort();
	return memcpy(copy, data, len);
}

static inline char *text_copy(const char *text)
{
	return array_copy(text, strlen(text) + 1);
}

#endif
