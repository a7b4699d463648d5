/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in the way: a row met EEXIST. The kernel has no question for one exact route, so its table is read once for all such rows of
 * many batches. Then, by what is found:
 *
 *      nothing (it went meanwhile)             tried once more
 *      ours, of another row                    failed, naming that row, and takes over when that goes
 *      ours, of no row (an earlier life)       replaced
 *      of a kind without a protocol, as wanted taken for ours
 *      the same, and heard to be changed       altered: replaced
 *      a neighbour that the kernel learned     replaced
 *      somebody else's                         failed, naming it; with `override` remembered and replaced
 */
#include "core/conflict.h"

#include "core/changes.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/nexthops.h"
#include "core/replaced.h"
#include "core/request.h"
#include "core/row.h"
#include "core/slots.h"
#include "kinds/key.h"

static int compare(const void *left, const void *right)
{
	const struct conflict *a = left, *b = right;

	return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind) :
				    memcmp(a->key, b->key, kind_key_size(kinds[a->kind], a->key));
}

struct search {
	struct conflict *conflicts;
	uint32_t count;
	uint8_t kind; /* of what is being read */
};

static void forget_found(struct search *search)
{
	for (uint32_t i = 0; i < search->count; i++) {
		if (search->conflicts[i].kind != search->kind)
			continue;
		free(search->conflicts[i].found);
		search->conflicts[i].found = NULL;
		search->conflicts[i].beside = false;
	}
}

/* Of several objects of its key, is the one that has just come the one that is in the way? */
static bool is_nearer(const struct conflict *conflict, const struct nlmsghdr *msg)
{
	const struct kind *kind = kinds[conflict->kind];

	return !conflict->found || (kind->is_replaced && !kind->is_replaced(conflict->found, conflict->flags) &&
				    kind->is_replaced(msg, conflict->flags));
}

/* Two rows of one batch may be in conflict with one object: they stand side by side. */
static void object_seen(void *arg, uint32_t index, const void *msg)
{
	struct search *search = arg;
	struct conflict wanted;
	struct object object;

	(void)index;
	if (!msg) {
		forget_found(search);
		return;
	}
	if (!object_read(msg, &object))
		return;
	wanted.kind = object.decoded.kind;
	memcpy(wanted.key, object.decoded.body, sizeof(wanted.key));
	struct conflict *hit = bsearch(&wanted, search->conflicts, search->count, sizeof(wanted), compare);
	if (!hit)
		return;
	while (hit > search->conflicts && !compare(hit - 1, &wanted))
		hit--;
	for (; hit < search->conflicts + search->count && !compare(hit, &wanted); hit++) {
		hit->beside = hit->found;
		if (!is_nearer(hit, msg))
			continue;
		free(hit->found);
		hit->found = array_copy(msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
	}
}

/* An answer that is about something else is none. */
static void answer_seen(void *arg, uint32_t index, const void *msg)
{
	struct conflict **asked = arg;

	if (!asked[index]->found && kind_of_message(msg) == asked[index]->kind)
		asked[index]->found = array_copy(msg, ((const struct nlmsghdr *)msg)->nlmsg_len);
}

#define ASKED_AT_ONCE 256

/* Of some kinds the kernel can be asked for one object. */
static int ask(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct conflict *asked[ASKED_AT_ONCE];
	uint8_t buf[ASKED_AT_ONCE * 64];
	struct nsp_batch batch;
	int rc = 0;

	for (uint32_t i = 0; i < count && rc >= 0;) {
		nsp_batch_init(&batch, buf, sizeof(buf));
		for (; i < count && batch.count < ASKED_AT_ONCE; i++) {
			const struct kind *kind = kinds[conflicts[i].kind];
			if (!kind->ask)
				continue;
			asked[batch.count] = &conflicts[i];
			struct item item = { .kind = conflicts[i].kind, .flags = conflicts[i].flags, .body = conflicts[i].key };
			kind->ask(kind, &batch, &item, conflicts[i].ifindex);
		}
		if (batch.count)
			rc = nsp_batch_send(sock, &batch, NULL, answer_seen, asked, err);
	}
	return rc;
}

static void link_seen(void *arg, uint32_t index, const void *msg)
{
	struct conflict **asked = arg;
	struct nsp_link link;

	if (nsp_link_read(msg, &link) == 0)
		memcpy(asked[index]->link, link.name, sizeof(link.name));
}

#define NAMED_AT_ONCE 64

/* The names of the links of somebody else's objects; one that has gone has none. */
static int find_names(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct conflict *asked[NAMED_AT_ONCE];
	const struct conflict *last = NULL;
	uint8_t buf[NAMED_AT_ONCE * 64];
	struct nsp_batch batch;
	int rc = 0;

	nsp_batch_init(&batch, buf, sizeof(buf));
	for (uint32_t i = 0; i < count && rc >= 0; i++) {
		struct nsp_link link = { .fields = NSP_LINK_INDEX };
		struct object object;
		if (!conflicts[i].found || !object_read(conflicts[i].found, &object) || !object.ifindex ||
		    kinds[conflicts[i].kind]->per_link || object.protocol == NSP_PROTOCOL)
			continue;
		conflicts[i].oif = link.index = object.ifindex;
		if (last && last->oif == object.ifindex)
			continue;
		last = asked[batch.count] = &conflicts[i];
		nsp_link_get(&batch, &link);
		if (batch.count == NAMED_AT_ONCE) {
			rc = nsp_batch_send(sock, &batch, NULL, link_seen, asked, err);
			nsp_batch_reset(&batch);
		}
	}
	if (batch.count && rc >= 0)
		rc = nsp_batch_send(sock, &batch, NULL, link_seen, asked, err);
	last = NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (last && conflicts[i].oif == last->oif && !conflicts[i].link[0])
			memcpy(conflicts[i].link, last->link, sizeof(last->link));
		if (conflicts[i].oif)
			last = &conflicts[i];
	}
	return rc;
}

/* The routing table that all of the first conflict's kind are in, or 0. */
static uint32_t one_table(const struct conflict *conflicts, uint32_t count)
{
	const struct kind *kind = kinds[conflicts->kind];
	uint32_t table = kind_table(kind, conflicts->key);

	for (uint32_t i = 1; i < count && table && conflicts[i].kind == conflicts->kind; i++)
		if (kind_table(kind, conflicts[i].key) != table)
			return 0;
	return table;
}

/* Reads the kernel, without the lock. */
static int find_holders(struct nsp_socket *sock, struct conflict *conflicts, uint32_t count, struct nsp_error *err)
{
	struct search search = { .conflicts = conflicts, .count = count };

	qsort(conflicts, count, sizeof(*conflicts), compare);
	int rc = ask(sock, conflicts, count, err);
	for (uint32_t i = 0; i < count && rc >= 0; i++) {
		const struct kind *kind = kinds[conflicts[i].kind];
		if (kind->ask || (i && conflicts[i].kind == search.kind))
			continue;
		search.kind = conflicts[i].kind;
		rc = nsp_dump(sock, kind->dump, kind->family, 0, one_table(conflicts + i, count - i), object_seen, &search, err);
	}
	return rc < 0 ? rc : find_names(sock, conflicts, count, err);
}

static uint32_t holder_on(const struct nsp_core *core, uint32_t slot, const struct conflict *conflict)
{
	uint32_t id = slot_row_of(core, slot, conflict->kind, conflict->key, ROW_HELD);

	return id != conflict->row ? id : NIL;
}

/* The row of ours that holds the object: of any slot of the namespace, where the object is of several links. */
static uint32_t find_row(const struct nsp_core *core, const struct conflict *conflict)
{
	struct object object;
	uint32_t id = NIL;

	if (!conflict->found || !object_read(conflict->found, &object))
		return NIL;
	nexthop_resolve(core, conflict->netns, &object);
	if (object.plain || kinds[conflict->kind]->per_link)
		for (uint32_t s = slot_on_link(core, conflict->netns, object.ifindex); s && !id; s = slot_next_on_link(core, s))
			id = holder_on(core, s, conflict);
	if (!id && (!object.ifindex || !(object.plain || kinds[conflict->kind]->per_link)))
		for (uint32_t s = core->netns[conflict->netns]->first_slot; s && !id; s = core->slots[s]->next)
			id = holder_on(core, s, conflict);
	return id;
}

/* Is what was found as the row wants it, of a kind of which that is all that can be told? */
static bool is_as_wanted(const struct nsp_core *core, const struct conflict *conflict)
{
	const struct row *row = table_row(&core->table, conflict->row);
	struct item item = row_item(&core->table, row);
	struct object object;

	return kinds[row->kind]->unmarked && object_read(conflict->found, &object) && object.ifindex == conflict->ifindex &&
	       (!object.foreign || row->flags & ITEM_OVERRIDE) && object_is(&object, &item);
}

static bool is_ours(const struct nsp_core *core, const struct conflict *conflict)
{
	struct object object;

	return object_read(conflict->found, &object) &&
	       (object.protocol == NSP_PROTOCOL || object.gives_way || is_as_wanted(core, conflict));
}

static void fail_row(struct nsp_core *core, const struct conflict *conflict, struct row *row, const char *text)
{
	row_state(core, conflict->row, row, NSP_STATE_FAILED, EEXIST, text);
	if (conflict->request)
		request_settle(core, conflict->request, row, NSP_STATE_FAILED);
}

/* Writes it again: over what is there, where the row now counts as holding it. */
static void again(struct nsp_core *core, const struct conflict *conflict, struct row *row, bool over)
{
	if (over)
		row->flags |= ROW_HELD;
	row_retry(core, conflict->row, row, conflict->request);
}

/* It is not written again: a bridge's entry without a VLAN would go over those of others in its port's VLANs. */
static void take_as_it_is(struct nsp_core *core, const struct conflict *conflict, struct row *row)
{
	row->flags |= ROW_HELD;
	if (core->inspected == conflict->netns && row->kind >= core->inspected_kind)
		row->flags |= ROW_SEEN;
	row_state(core, conflict->row, row, NSP_STATE_CONFIGURED, 0, NULL);
	if (conflict->request)
		request_settle(core, conflict->request, row, NSP_STATE_CONFIGURED);
}

/* `error`: why the kernel could not be read, or NULL. */
static void settle(struct nsp_core *core, struct conflict *conflict, const char *error)
{
	struct row *row = table_row(&core->table, conflict->row);
	char text[NSP_KEY_MAX + 32];
	enum suspicion suspicion;

	if (core->slots[row->slot]->generation != conflict->generation || !(row->flags & ROW_WANTED)) {
		bool wanted = row->flags & ROW_WANTED;
		bool same = core->slots[row->slot]->generation == conflict->generation;
		if (same && conflict->found && is_ours(core, conflict) && !find_row(core, conflict))
			row->flags |= ROW_HELD;	  /* it is there after all, and its deletion is queued */
		else if (!same && conflict->lost) /* perhaps it is */
			row_withdraw(core, row, conflict->netns, conflict->ifindex, conflict->table);
		if (conflict->request)
			request_settle(core, conflict->request, row, wanted ? NSP_STATE_PENDING : NSP_STATE_SUPERSEDED);
		if (!wanted && !(row->flags & (ROW_QUEUED | ROW_HELD)))
			row_drop(core, conflict->row, row);
		return;
	}
	if (row->flags & ROW_QUEUED) { /* put again meanwhile: that will show */
		again(core, conflict, row, false);
		return;
	}
	if (error) {
		fail_row(core, conflict, row, error);
		return;
	}
	uint32_t holder = find_row(core, conflict);
	if (holder) {
		const struct row *other = table_row(&core->table, holder);
		memcpy(text, "held by ", 8);
		key_format(text + 8, core->slots[other->slot]->key, other->kind, other->body);
		row_block(core, row);
		fail_row(core, conflict, row, text);
	} else if (!conflict->found && conflict->lost) {
		again(core, conflict, row, false);
	} else if (!conflict->found && !(row->flags & ROW_AGAIN)) {
		row->flags |= ROW_AGAIN;
		again(core, conflict, row, false);
	} else if (!conflict->found) {
		fail_row(core, conflict, row, "exists, but the kernel does not show it");
	} else if (is_as_wanted(core, conflict)) {
		row_resolve(core, row, false);
		take_as_it_is(core, conflict, row);
	} else if (is_ours(core, conflict)) {
		row_resolve(core, row, true);
		again(core, conflict, row, true);
	} else if ((suspicion = row_resolve(core, row, true)) >= SUSPECT_ALTERED) {
		if (suspicion == SUSPECT_ALTERED) {
			core->altered++;
			entry_put_drift(core, row, "altered");
		}
		again(core, conflict, row, true);
	} else if (row->flags & ITEM_OVERRIDE) {
		if (replaced_take(core, row, conflict->netns, conflict->found, conflict->beside))
			again(core, conflict, row, true);
		else if (conflict->request) /* nsp_core_replace */
			row_await_verdict(core, row, conflict->request);
	} else {
		kinds[row->kind]->describe(conflict->found, conflict->link, text, sizeof(text));
		fail_row(core, conflict, row, text);
	}
}

#define SETTLED_AT_ONCE 256

void conflict_resolve(struct nsp_core *core, struct nsp_socket *sock, struct conflict *conflicts, uint32_t count,
		      struct nsp_error *err)
{
	core_unlock(core);
	int rc = sock ? find_holders(sock, conflicts, count, err) : -err->code;
	core_lock(core);
	for (uint32_t i = 0; i < count; i++) {
		struct row *row = table_row(&core->table, conflicts[i].row);
		row->flags &= (uint16_t)~(ROW_SENT | ROW_UNDONE); /* it has just been looked at */
		settle(core, &conflicts[i], rc < 0 ? err->text : NULL);
		free(conflicts[i].found);
		if (i % SETTLED_AT_ONCE == SETTLED_AT_ONCE - 1)
			core_yield(core);
	}
}
