/* SPDX-License-Identifier: Apache-2.0 */
/* Origins: a source of requests and a generation of it, under one number. */
#include "core/origin.h"

#include "core/lock.h"
#include "wire/text.h"

#define SOURCES_KEPT 256 /* more of them that have no rows make way for others */

uint32_t origin_make(struct nsp_core *core, const uint8_t *source, size_t len, uint64_t generation)
{
	uint32_t i, vacant = core->origin_count;

	for (i = 0; i < core->origin_count; i++) {
		if (core->origins[i].generation == generation && text_is(source, len, core->origins[i].source))
			break;
		if (!core->origins[i].rows && (core->origins[i].generation || core->origin_count > SOURCES_KEPT))
			vacant = i;
	}
	if (i == core->origin_count) {
		i = vacant;
		if (i == core->origin_count) {
			ARRAY_GROW(core->origins, core->origin_count, core->origin_cap);
			core->origin_count++;
		} else {
			free(core->origins[i].source);
		}
		core->origins[i] = (struct origin){ .source = strndup((const char *)source, len), .generation = generation };
		if (!core->origins[i].source)
			abort();
	}
	return i;
}

uint32_t nsp_core_origin(struct nsp_core *core, const char *source, uint64_t generation)
{
	core_lock(core);
	uint32_t number = origin_make(core, (const uint8_t *)source, strlen(source), generation);
	core_unlock(core);
	return number;
}

const char *nsp_core_origin_source(const struct nsp_core *core, uint32_t origin, uint64_t *generation)
{
	if (origin >= core->origin_count)
		return NULL;
	*generation = core->origins[origin].generation;
	return core->origins[origin].source;
}

void row_origin(struct nsp_core *core, struct row *row, uint32_t origin)
{
	core->origins[row->origin].rows--;
	core->origins[origin].rows++;
	row->origin = origin;
}

bool row_is_of_source(const struct nsp_core *core, const struct row *row, uint32_t origin)
{
	return row->origin == origin || !strcmp(core->origins[row->origin].source, core->origins[origin].source);
}
