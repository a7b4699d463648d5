/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deletion that hit another route. The kernel deletes an IPv4 route of metric 0 by a message that does not name the metric: if somebody
 * was quicker, it takes the next one of ours to the same destination. The echo tells which one has gone.
 *
 *      of a row that wants it          written again
 *      of a row that does not          left so: its deletion is queued
 *      of no row (another agent's)     put back as it was
 */
#include "core/misdeleted.h"

#include "core/nexthops.h"
#include "core/queue.h"
#include "core/replaced.h"
#include "core/slots.h"

void misdeleted_note(struct messages *misdeleted, const struct nlmsghdr *answer)
{
	struct object object;

	if (!object_read(answer, &object) || answer->nlmsg_type != kinds[object.decoded.kind]->del_type ||
	    !kind_may_be_hit(object.decoded.kind, object.decoded.body))
		return;
	ARRAY_GROW(misdeleted->list, misdeleted->count, misdeleted->cap);
	misdeleted->list[misdeleted->count++] = array_copy(answer, answer->nlmsg_len);
}

static struct row *find_row(const struct nsp_core *core, uint32_t netns, const struct object *object, uint32_t *id)
{
	for (uint32_t s = slot_on_link(core, netns, object->ifindex); s; s = slot_next_on_link(core, s)) {
		*id = slot_row_of(core, s, object->decoded.kind, object->decoded.body, ROW_WANTED | ROW_HELD | ROW_SENT);
		if (*id)
			return table_row(&core->table, *id);
	}
	return NULL;
}

void misdeleted_restore(struct nsp_core *core, uint32_t netns, struct messages *misdeleted)
{
	for (uint32_t i = 0; i < misdeleted->count; i++) {
		struct object object;
		uint32_t id;

		bool is = object_read(misdeleted->list[i], &object);
		if (is)
			nexthop_resolve(core, netns, &object);
		struct row *row = is ? find_row(core, netns, &object, &id) : NULL;
		if (!row) {
			struct nlmsghdr *kept = replaced_keep(misdeleted->list[i], false);
			replaced_put_back(core, netns, kept, NULL);
			free(kept);
		} else if (row->flags & ROW_SENT) {
			row->flags |= ROW_UNDONE; /* before or after, that is not known */
		} else if ((row->flags & (ROW_WANTED | ROW_HELD | ROW_REFUSED)) == (ROW_WANTED | ROW_HELD)) {
			row->flags = (uint16_t)((row->flags & ~ROW_HELD) | ROW_UNDONE);
			queue_row(core, id, row, true);
		}
		free(misdeleted->list[i]);
	}
	free(misdeleted->list);
	*misdeleted = (struct messages){ 0 };
}
