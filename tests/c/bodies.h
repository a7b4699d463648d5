/* SPDX-License-Identifier: Apache-2.0 */
/* bodies.h - what is in a body of a bulk kind, read and written by the names of its fields. */
#ifndef TEST_BODIES_H
#define TEST_BODIES_H

#include "test.h"

#include "kinds/kind.h"

/* The number of the kind of this name and family. */
static inline uint8_t kind_id(const char *name, uint8_t family)
{
	return (uint8_t)kind_of_family(kind_named((const uint8_t *)name, strlen(name)), family);
}

static inline const struct field *field_named(uint8_t kind, const char *name)
{
	for (unsigned i = 0; i < kinds[kind]->field_count; i++)
		if (!strcmp(kinds[kind]->fields[i].name, name))
			return &kinds[kind]->fields[i];
	printf("%s has no field %s\n", kinds[kind]->name, name);
	exit(1);
}

static inline uint32_t number_in(const struct decoded *decoded, const char *name)
{
	return field_number(field_named(decoded->kind, name), decoded->body);
}

/* An address, network or MAC. */
static inline const char *text_in(const struct decoded *decoded, const char *name)
{
	static char text[4][64];
	static int next;
	const struct field *field = field_named(decoded->kind, name);
	char *out = text[next++ & 3];

	field_text(field, kinds[decoded->kind]->family,
		   field->type == FIELD_GATEWAY ? hops_address(decoded_hops(decoded, NULL), 0) :
		   field->size			? decoded->body + field->offset :
						  decoded->source,
		   out);
	return out;
}

#endif
