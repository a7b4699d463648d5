/* SPDX-License-Identifier: Apache-2.0 */
/* What all bulk kinds have in common, for what reads their tables relies on it. */
#include "bodies.h"

static bool is_in_body(const struct kind *kind, const struct field *field)
{
	size_t size = field->size + (size_t)(field->type == FIELD_PREFIX);

	return field->offset + size <= kind->body_size &&
	       (field->offset >= kind->key_size || field->offset + size <= kind->key_size);
}

static void test_fields(const struct kind *kind)
{
	uint8_t flags = 0;

	CHECK(kind->field_count <= KIND_FIELDS_MAX);
	CHECK_EQ(kind->fields[0].type, FIELD_KIND);
	CHECK_EQ(kind->fields[1].type, FIELD_INTERFACE);
	for (unsigned i = 0; i < kind->field_count; i++) {
		const struct field *field = &kind->fields[i];

		CHECK(i < KIND_REQUIRED_MAX || !field->required);
		CHECK_EQ(strlen(field->name), field->name_len);
		CHECK(field->derived || (field->shown && field->about));
		CHECK(is_in_body(kind, field));
		CHECK(!(flags & field->flag));
		flags |= field->flag;
	}
}

static void test_kind(const struct kind *kind)
{
	const struct field *address = &kind->fields[kind->address];

	/* As long as hash_bytes and bytes_are want it. */
	CHECK(kind->key_size >= 4 && kind->body_size - kind->key_size >= 4 && kind->body_size <= KIND_BODY_MAX);
	CHECK_EQ(address->offset, 0); /* the address begins the key, by which most requests are in order */
	CHECK(address->required && (address->type == FIELD_PREFIX || address->type == FIELD_HOST || address->type == FIELD_MAC));
	CHECK(kind->encode && kind->read && kind->passes_filter && kind->describe && kind->describe_made);
	CHECK(kind->filter_len > 0);
	/* Otherwise its table is read, and the conflicts of all links are found by one key. */
	CHECK(!kind->per_link || kind->ask);
}

/* An item is of the kind of its address's family: until that is known its fields are read by the first of its name. */
static void test_siblings(int first)
{
	for (int i = first + 1; i < (int)kind_count() && kind_name_index(i) == kind_name_index(first); i++) {
		CHECK_EQ(kinds[i]->field_count, kinds[first]->field_count);
		CHECK(kinds[i]->family != kinds[first]->family);
		for (unsigned f = 0; f < kinds[first]->field_count; f++) {
			const struct field *a = &kinds[first]->fields[f], *b = &kinds[i]->fields[f];

			CHECK_STR(a->name, b->name);
			CHECK_EQ(a->type, b->type);
			CHECK_EQ(a->flag, b->flag);
		}
	}
}

int main(void)
{
	for (int i = 0; i < (int)kind_count(); i++) {
		test_fields(kinds[i]);
		test_kind(kinds[i]);
		test_siblings(kind_named((const uint8_t *)kinds[i]->name, strlen(kinds[i]->name)));
	}
	CHECK_EQ(kind_named((const uint8_t *)"veth", 4), -1);
	CHECK_EQ(kind_of_family(kind_id("route", AF_INET), AF_BRIDGE), -1);
	CHECK_EQ(kind_name_index(kind_id("arp", AF_INET6)), 1);
	return test_end();
}
