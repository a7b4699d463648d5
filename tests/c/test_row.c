/* SPDX-License-Identifier: Apache-2.0 */
/* What a row that comes out of the queue wants of the kernel: the table of docs/architecture.md, in every combination of flags. */
#include "test.h"

#include "core/row.h"

/* Whatever is not named may be set or not. */
static const struct {
	uint16_t set, clear;
	int ready, replaced; /* -1: either */
	enum row_due due;
} table[] = {
	{ 0, ROW_WANTED | ROW_HELD, -1, -1, DUE_DROP },
	{ ROW_WANTED, 0, 0, -1, DUE_NOTHING },
	{ ROW_HELD, 0, 0, -1, DUE_NOTHING },
	{ ROW_WANTED | ROW_BLOCKED, 0, 1, -1, DUE_NOTHING },
	{ ROW_HELD | ROW_BLOCKED, 0, 1, -1, DUE_NOTHING },
	{ ROW_WANTED | ROW_DEAD, 0, 1, -1, DUE_NOTHING },
	{ ROW_HELD | ROW_DEAD, 0, 1, -1, DUE_NOTHING },
	{ ROW_WANTED, ROW_HELD | ROW_BLOCKED | ROW_DEAD, 1, -1, DUE_ADD },
	{ ROW_WANTED | ROW_HELD, ROW_REFUSED | ROW_BLOCKED | ROW_DEAD, 1, 0, DUE_REPLACE },
	{ ROW_WANTED | ROW_HELD | ROW_REFUSED, ROW_BLOCKED | ROW_DEAD, 1, 0, DUE_DELETE },
	{ ROW_WANTED | ROW_HELD | ITEM_OVERRIDE, ROW_REFUSED | ROW_BLOCKED | ROW_DEAD, 1, 1, DUE_REPLACE },
	{ ROW_WANTED | ROW_HELD | ROW_REFUSED | ITEM_OVERRIDE, ROW_BLOCKED | ROW_DEAD, 1, 1, DUE_DELETE },
	{ ROW_WANTED | ROW_HELD, ITEM_OVERRIDE | ROW_BLOCKED | ROW_DEAD, 1, 1, DUE_GIVE_BACK },
	{ ROW_HELD, ROW_WANTED | ROW_BLOCKED | ROW_DEAD, 1, -1, DUE_DELETE },
};

static bool says(unsigned i, uint32_t flags, int ready, int replaced)
{
	return (flags & table[i].set) == table[i].set && !(flags & table[i].clear) &&
	       (table[i].ready < 0 || table[i].ready == ready) && (table[i].replaced < 0 || table[i].replaced == replaced);
}

int main(void)
{
	uint32_t unnamed = 0, contradicted = 0, wrong = 0;

	for (uint32_t flags = 0; flags <= UINT16_MAX; flags++)
		for (int which = 0; which < 4; which++) {
			const struct row row = { .flags = (uint16_t)flags };
			int ready = which & 1, replaced = which >> 1;
			enum row_due due = row_due(&row, ready, replaced), expected = due;
			bool named = false;

			for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
				if (!says(i, flags, ready, replaced))
					continue;
				contradicted += named && table[i].due != expected;
				expected = table[i].due;
				named = true;
			}
			unnamed += !named;
			wrong += due != expected;
		}
	CHECK_EQ(unnamed, 0);
	CHECK_EQ(contradicted, 0);
	CHECK_EQ(wrong, 0);
	return test_end();
}
