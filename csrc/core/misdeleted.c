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

#include "core/object.h"
#include "core/queue.h"
#include "core/replaced.h"
#include "core/slots.h"

void messages_add(struct messages *messages, const struct nlmsghdr *msg)
{
	struct nlmsghdr *copy = malloc(msg->nlmsg_len);

	if (!copy)
		abort();
	memcpy(copy, msg, msg->nlmsg_len);
	ARRAY_GROW(messages->list, messages->count, messages->cap);
	messages->list[messages->count++] = copy;
}

/* An echo costs half as much as the deletion. */
int misdeleted_ask(const struct netns *netns, struct nsp_batch *batch, const struct nsp_route *route)
{
	int index = nsp_route_delete(batch, route);

	if (index >= 0 && netns->metrics && route->family == AF_INET && !route->metric)
		((struct nlmsghdr *)(void *)(batch->buf + batch->last))->nlmsg_flags |= NLM_F_ECHO;
	return index;
}

void misdeleted_note(struct messages *misdeleted, const struct nlmsghdr *answer)
{
	struct wish key;

	if (answer->nlmsg_type == RTM_DELROUTE && object_read_key(answer, &key) && key.metric)
		messages_add(misdeleted, answer);
}

static struct row *find_row(const struct nsp_core *core, uint32_t netns, const struct object *object, uint32_t *id)
{
	const struct wish *key = &object->wish;

	for (uint32_t s = core->netns[netns]->first_slot; s; s = core->slots[s]->next) {
		if (core->slots[s]->ifindex != object->ifindex)
			continue;
		*id = table_find(&core->table, s, key->type, key->dst, key->dst_len, key->metric, key->table);
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

		struct row *row = object_read(misdeleted->list[i], &object) ? find_row(core, netns, &object, &id) : NULL;
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
