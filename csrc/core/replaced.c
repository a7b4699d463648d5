/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of others that are put back as they were: what an override has taken the place of, and what a deletion hit by mistake. */
#include "core/replaced.h"

#include "core/clock.h"
#include "core/completed.h"
#include "core/entry.h"
#include "core/lock.h"
#include "core/queue.h"
#include "core/slots.h"
#include "kinds/key.h"
#include "wire/text.h"

static uint32_t boot_seconds(void)
{
	return (uint32_t)(clock_nanoseconds(CLOCK_BOOTTIME) / 1000000000);
}

/* How long it has to live is counted on from when it was read: nlmsg_seq. */
struct nlmsghdr *replaced_keep(const struct nlmsghdr *msg, bool beside)
{
	/* Where there are others of its destination and metric it was the first of them. */
	uint16_t flags = beside ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_EXCL;
	const struct kind *kind = kinds[kind_of_message(msg)];
	uint32_t cap = NSP_ALIGN(msg->nlmsg_len) + 16;
	struct nlmsghdr *copy = malloc(cap);
	struct nsp_batch batch;

	if (!copy)
		abort();
	nsp_batch_init(&batch, copy, cap);
	if (kind->keep)
		kind->keep(&batch, msg, flags);
	else
		nsp_batch_copy(&batch, msg, kind->new_type, flags);
	copy->nlmsg_seq = boot_seconds();
	return copy;
}

/* Appends the message that puts it back. false: it has outlived its time. */
static bool encode(struct nsp_op *op, const struct nlmsghdr *kept, uint16_t flags)
{
	const struct kind *kind = kinds[kind_of_message(kept)];
	struct nsp_batch *batch = op_room(op, NSP_ALIGN(kept->nlmsg_len));
	uint32_t before = batch->len;

	nsp_batch_copy(batch, kept, kept->nlmsg_type, flags);
	if (!kind->age || kind->age((struct nlmsghdr *)(void *)(batch->buf + before), boot_seconds() - kept->nlmsg_seq))
		return true;
	batch->len = before;
	batch->count--;
	return false;
}

/* For the planner, where it wants to know: {key, netns, message, errno, text}. */
static void tell(struct nsp_core *core, uint32_t slot, const char *key, uint32_t netns, const struct nlmsghdr *kept, int error,
		 const char *text)
{
	struct mp_out *out = &core->replaced;

	if (!core->records_replaced)
		return;
	mp_put_map(out, 5);
	mp_put_literal(out, "key");
	mp_put_text(out, key);
	mp_put_literal(out, "netns");
	mp_put_uint(out, netns);
	mp_put_literal(out, "message");
	if (kept) {
		uint32_t len = kept->nlmsg_len;
		const uint8_t head[] = { 0xc6, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
		mp_put_raw(out, head, sizeof(head));
		mp_put_raw(out, kept, len);
	} else {
		mp_put_nil(out);
	}
	mp_put_literal(out, "errno");
	mp_put_uint(out, (uint32_t)error);
	mp_put_literal(out, "text");
	mp_put_text(out, text);
	core->replaced_count++;
	core_notice(core, slot, NSP_NOTICE_REPLACED);
}

bool replaced_take(struct nsp_core *core, struct row *row, uint32_t netns, const struct nlmsghdr *found, bool beside)
{
	struct extra *extra = table_extra_make(&core->table, row);
	char key[NSP_KEY_MAX];

	free(extra->replaced);
	extra->replaced = replaced_keep(found, beside);
	row_key_text(core, row, key);
	tell(core, row->slot, key, netns, extra->replaced, 0, "");
	extra->unrecorded = core->records_replaced;
	return !core->records_replaced;
}

void replaced_put_back(struct nsp_core *core, uint32_t netns, const struct nlmsghdr *kept, const struct row *row)
{
	struct nsp_op *op = op_new_unasked();
	char key[NSP_KEY_MAX];

	nsp_op_stage(op, netns, 0);
	if (row) {
		row_key_text(core, row, key);
		((struct op *)op)->restores = row->slot;
		((struct op *)op)->restored = text_copy(key);
	}
	if (encode(op, kept, kept->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL))) {
		queue_push_op(core, &core->withdrawals, op);
		return;
	}
	replaced_ended(core, (struct op *)op);
	nsp_op_free(op);
}

void replaced_ended(struct nsp_core *core, const struct op *op)
{
	bool failed = op->head.error && op->head.error != EEXIST; /* somebody has it there again */

	if (op->restored)
		tell(core, op->restores, op->restored, op->stages[0].netns, NULL, failed ? op->head.error : 0,
		     failed ? op->head.text : "");
}

void row_restore(struct nsp_core *core, struct row *row)
{
	struct extra *extra = table_extra(&core->table, row);

	if (!extra || !extra->replaced)
		return;
	replaced_put_back(core, core->slots[row->slot]->netns, extra->replaced, row);
	free(extra->replaced);
	extra->replaced = NULL;
	extra->unrecorded = false;
}

/* ---- the planner's side ---- */

void nsp_core_record_replaced(struct nsp_core *core, uint32_t on)
{
	core_lock(core);
	core->records_replaced = on;
	core_unlock(core);
}

long nsp_core_replaced(struct nsp_core *core, const uint8_t **data, size_t *len)
{
	struct mp_out *out = &core->rows_out;

	out->len = 0;
	core_lock(core);
	long count = core->replaced_count;
	mp_put_raw(out, core->replaced.data, core->replaced.len);
	mp_free(&core->replaced);
	core->replaced_count = 0;
	core_unlock(core);
	*data = out->data;
	*len = out->len;
	return count;
}

static struct row *find_row(struct nsp_core *core, const char *key, uint32_t *id)
{
	struct mp_out text = { 0 };
	struct fault fault;
	struct decoded decoded;

	*id = NIL;
	if (key_is_bulk(key, strlen(key)) && key_parse(key, strlen(key), &decoded, &text, &fault)) {
		uint32_t slot = slot_lookup(core, (char *)text.data + decoded.slot);
		*id = slot ? table_find(&core->table, decoded_key(slot, &decoded)) : NIL;
	}
	mp_free(&text);
	return *id ? table_row(&core->table, *id) : NULL;
}

void nsp_core_replace(struct nsp_core *core, const char *key)
{
	const uint32_t flags = ROW_WANTED | ROW_HELD | ROW_QUEUED | ROW_SENT | ROW_BLOCKED | ROW_DEAD;
	uint32_t id;

	core_lock(core);
	struct row *row = find_row(core, key, &id);
	struct extra *extra = row ? table_extra(&core->table, row) : NULL;
	if (extra && extra->unrecorded && (row->flags & flags) == ROW_WANTED && core->slots[row->slot]->ready) {
		extra->unrecorded = false;
		row->flags |= ROW_HELD;
		queue_row(core, id, row, true);
	}
	core_unlock(core);
}

/* Is it what nsp_core_replaced told of? */
static bool is_message(const uint8_t *message, size_t len)
{
	const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)message;
	struct object object;

	return len >= sizeof(*head) && head->nlmsg_len == len && object_read(head, &object) &&
	       head->nlmsg_type == kinds[object.decoded.kind]->new_type;
}

int nsp_core_remember(struct nsp_core *core, const char *key, const uint8_t *message, size_t len)
{
	uint32_t id;
	int rc = 0;

	if (!is_message(message, len))
		return -EINVAL;
	core_lock(core);
	struct row *row = find_row(core, key, &id);
	if (!row || !(row->flags & ROW_WANTED)) {
		rc = -ENOENT;
	} else {
		struct extra *extra = table_extra_make(&core->table, row);
		if (!extra->replaced) {
			extra->replaced = array_copy(message, len);
		}
	}
	core_unlock(core);
	return rc;
}

/* Of what an earlier life has put in its place nothing is known but that it is ours. So is the object itself, where it is ours by now:
 * replaced, it would keep our protocol. */
static void put_deletion(struct nsp_op *op, const struct nlmsghdr *kept)
{
	struct object object;

	object_read(kept, &object);
	struct item item = object_item(&object);
	kind_delete(nsp_op_room(op), &item, kinds[item.kind]->per_link ? object.ifindex : 0, ENCODE_DELETE_ANY, true);
}

int nsp_op_restore(struct nsp_op *op, const uint8_t *message, size_t len)
{
	const struct nlmsghdr *kept = (const struct nlmsghdr *)(const void *)message;

	if (!is_message(message, len))
		return -EINVAL;
	if (kinds[kind_of_message(kept)]->unmarked) /* on which link ours is, is not known */
		return encode(op, kept, NLM_F_CREATE | NLM_F_REPLACE) ? 0 : -ESTALE;
	put_deletion(op, kept);
	((struct op *)op)->told = true;
	return encode(op, kept, kept->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) ? 0 : -ESTALE;
}
