/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - finds values in JSON (RFC 8259) without making anything of the rest.
 *
 * What is looked into comes from a container engine, and its reader is small: brackets are counted, strings are skipped, and the rest of
 * the syntax is left to whoever made it. Every function takes bytes and their number, reads nothing beyond, and needs no terminator.
 */
#ifndef NSPLANE_GATE_JSON_H
#define NSPLANE_GATE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	const char *at;
	size_t len;
};

/* The members of an object, or the elements of an array, one after another. */
struct json_walk {
	const char *at, *end;
	bool object, first, broken;
};

/* The one value in a text, without what is around it. False where there is none, or something behind it. */
bool json_value(const char *text, size_t len, struct json *value);

/* False where the value is neither an object nor an array. */
bool json_open(struct json value, struct json_walk *walk);

/* The next one: its name (with its quotes; of an element nothing) and its value. False at the end, and where it is `broken`. */
bool json_next(struct json_walk *walk, struct json *name, struct json *value);

/* The first member of this name, which is plain ASCII. False where there is none, or the value is no object. */
bool json_member(struct json object, const char *name, struct json *value);

/* What stands in a string, ended by a NUL. False where it is no string, has a NUL or half a surrogate in it, or does not fit. */
bool json_string(struct json value, char *text, size_t size);

/* False where it is no whole number from 0 to INT64_MAX. */
bool json_number(struct json value, int64_t *number);

/* Writes a text as a string, with quotes; what is not UTF-8 as '?'. Ends with a NUL and returns the length; what does not fit is left out.
 * `size` is 3 at the least. */
size_t json_quote(const char *text, char *quoted, size_t size);

#endif
