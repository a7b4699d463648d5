/* SPDX-License-Identifier: Apache-2.0 */
/* A field of a bulk kind: what it is called, what may be in it, and where it lies in the kind's body. */
#ifndef NSP_KIND_FIELD_H
#define NSP_KIND_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FIELD_KIND,
	FIELD_INTERFACE,
	FIELD_NAMESPACE,
	FIELD_PREFIX,  /* a network: an address, and its length in the byte behind it */
	FIELD_HOST,    /* an address of one host, of the kind's family */
	FIELD_GATEWAY, /* the same, of a set of one next hop */
	FIELD_HOPS,    /* a set of several */
	FIELD_TYPE,    /* what stands in the place of such a set: a word */
	FIELD_ADDRESS, /* the same of either family, IPv4 as ::ffff:0:0/96 */
	FIELD_MAC,
	FIELD_NUMBER,
	FIELD_FLAG, /* its bit is kept, or a byte that is 0 or 1 */
};

struct field_word {
	const char *word;
	uint8_t number;
};

struct field {
	const char *name;
	uint8_t name_len;
	enum field_type type;
	bool required;
	uint8_t offset, size; /* in the body; size 0: it is not there (of a host: the source) */
	uint8_t flag;	      /* enum item_flag */
	uint32_t min, max;
	const struct field_word *words; /* that stand for numbers; the last has none */
	bool waits;			/* rows that differ in it wait for different things */
	bool derived;			/* it follows from other fields, and stands in keys alone */
	const char *shown, *about;	/* in documents */
};
#define FIELD_NAME(text) .name = text, .name_len = sizeof(text) - 1
#define FIELD_AT(layout, member) .offset = offsetof(layout, member), .size = sizeof(((layout *)0)->member)

/* What items of all kinds begin with, and where their interface may be. `always`: they have one. */
#define FIELDS_HEAD(kind, always)                                                                                                  \
	{ FIELD_NAME("kind"), FIELD_KIND, true, .shown = "\"" kind "\"", .about = "what the item is" },                            \
		{ FIELD_NAME("interface"), FIELD_INTERFACE, always, .shown = "string",                                             \
		  .about = "the logical name of an interface item or, with `namespace`, the kernel's name of a link there" }
#define FIELDS_OF_HEAD 3u /* a bit each: they have no place in a body */
#define FIELDS_NAMESPACE                                                                                                           \
	{ FIELD_NAME("namespace"), FIELD_NAMESPACE, .shown = "namespace", .about = "where `interface` is a link of the kernel" }

/* Numbers of 1, 2 or 4 bytes; of a field that the body does not have, 0 and nothing. */
uint32_t field_number(const struct field *field, const uint8_t *body);
void field_put_number(const struct field *field, uint32_t number, uint8_t *body);

void field_put_address(const struct field *field, const uint8_t *ip, bool v6, uint8_t *body);

/* An address, network or MAC as text; `out` holds 54 bytes. Returns its length. */
size_t field_text(const struct field *field, uint8_t family, const uint8_t *at, char *out);

#endif
