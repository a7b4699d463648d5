/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that many have: one number for the same, another for others, free again with the last who counts on it. */
#include "test.h"

#include "core/interned.h"

static const struct secret secret = { 1, 2 };
static struct interned interned;

static uint32_t take(const char *text)
{
	return interned_take(&interned, &secret, (const uint8_t *)text, strlen(text));
}

static uint32_t find(const char *text)
{
	return interned_find(&interned, &secret, (const uint8_t *)text, strlen(text));
}

static void test_counts(void)
{
	CHECK_EQ(find("gateway"), 0);
	uint32_t number = take("gateway"), other = take("gatewaz");
	CHECK(number && other && number != other);
	CHECK_EQ(take("gateway"), number);
	CHECK_EQ(find("gateway"), number);
	CHECK_EQ(find("gatew"), 0);
	CHECK(!memcmp(interned.entries[number].bytes, "gateway", 7) && interned.entries[number].len == 7);

	interned_drop(&interned, number);
	CHECK_EQ(find("gateway"), number);
	interned_hold(&interned, number);
	interned_drop(&interned, number);
	interned_drop(&interned, number);
	CHECK_EQ(find("gateway"), 0);
	CHECK_EQ(find("gatewaz"), other);
	CHECK_EQ(take("another"), number); /* the number is given again */
	interned_drop(&interned, number);
	interned_drop(&interned, other);
	interned_hold(&interned, 0);
	interned_drop(&interned, 0);
	CHECK_EQ(interned_memory(&interned), 0);
}

#define MANY 20000

static void number_text(uint32_t i, char text[16])
{
	snprintf(text, 16, "set %u", i);
}

/* Half of many go, in another order than they came in. */
static void test_many(void)
{
	static uint32_t numbers[MANY];
	char text[16];
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		number_text(i, text);
		numbers[i] = take(text);
	}
	CHECK_EQ(interned.live, MANY);
	for (uint32_t k = 0; k < MANY; k++) {
		uint32_t i = k * 7919u % MANY;
		if (i & 1)
			interned_drop(&interned, numbers[i]);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		number_text(i, text);
		wrong += find(text) != (i & 1 ? 0 : numbers[i]);
	}
	CHECK_EQ(wrong, 0);
	for (uint32_t i = 0; i < MANY; i += 2)
		interned_drop(&interned, numbers[i]);
	CHECK_EQ(interned_memory(&interned), 0);
}

int main(void)
{
	test_counts();
	test_many();
	interned_free(&interned);
	return test_end();
}
