/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over a slot's rows passes each that stays on the list once, whatever else happens to the list. */
#include "rig.h"

#include "core/lock.h"
#include "core/row.h"

#define ROWS 6

/* The rows of a slot that is not ready, the first of the list in front. */
static struct rig *rig_with_rows(uint32_t ids[ROWS])
{
	struct rig *rig = rig_new();
	char *items = routes(0, ROWS, "");

	rig_lost(rig, "[interface/web0]", 0);
	rig_put(rig, items);
	free(items);
	ids[0] = rig->core->slots[rig->slot]->heads[LIST_OPEN];
	for (int i = 1; i < ROWS; i++)
		ids[i] = table_row(&rig->core->table, ids[i - 1])->next;
	core_lock(rig->core);
	return rig;
}

static void drop(struct rig *rig, uint32_t id)
{
	struct row *row = table_row(&rig->core->table, id);

	row->flags &= (uint16_t)~ROW_WANTED;
	row_drop(rig->core, id, row);
}

static void test_rows_leave(void)
{
	struct walk walk, behind;
	uint32_t ids[ROWS];
	struct rig *rig = rig_with_rows(ids);

	walk_begin(rig->core, &behind, rig->slot, LIST_OPEN);
	walk_begin(rig->core, &walk, rig->slot, LIST_OPEN);
	CHECK_EQ(walk_next(rig->core, &walk), ids[0]);
	drop(rig, ids[0]); /* where it is, */
	drop(rig, ids[2]); /* where it is going, */
	CHECK_EQ(walk_next(rig->core, &walk), ids[1]);
	CHECK_EQ(walk_next(rig->core, &walk), ids[3]);
	struct row *row = table_row(&rig->core->table, ids[4]);
	slot_unlink(rig->core, row); /* and onto another list */
	slot_link(rig->core, ids[4], row, LIST_DIRECT);
	row = table_row(&rig->core->table, ids[5]);
	slot_unlink(rig->core, row); /* and to the front */
	slot_link(rig->core, ids[5], row, LIST_OPEN);
	CHECK_EQ(walk_next(rig->core, &walk), NIL);

	/* The other that was under way. */
	CHECK(rig->core->walks == &behind);
	CHECK_EQ(walk_next(rig->core, &behind), ids[1]);
	drop(rig, ids[1]);
	drop(rig, ids[3]);
	drop(rig, ids[5]);
	CHECK_EQ(walk_next(rig->core, &behind), NIL);
	CHECK(!rig->core->walks);
	core_unlock(rig->core);
	rig_free(rig);
}

/* Of two threads the one that began first may end first. */
static void test_ends_in_any_order(void)
{
	struct walk walk, behind;
	uint32_t ids[ROWS];
	struct rig *rig = rig_with_rows(ids);

	walk_begin(rig->core, &behind, rig->slot, LIST_OPEN);
	walk_begin(rig->core, &walk, rig->slot, LIST_OPEN);
	walk_end(rig->core, &behind);
	for (int i = 0; i < ROWS; i++)
		CHECK_EQ(walk_next(rig->core, &walk), ids[i]);
	CHECK_EQ(walk_next(rig->core, &walk), NIL);
	CHECK(!rig->core->walks);
	core_unlock(rig->core);
	rig_free(rig);
}

int main(void)
{
	test_rows_leave();
	test_ends_in_any_order();
	return test_end();
}
