/* SPDX-License-Identifier: Apache-2.0 */
/* Items of a frame that are refused, and why. */
#include "core/refused.h"

#include "core/array.h"
#include "kinds/block.h"
#include "wire/plain.h"

#define SHOWN_MAX 1024

void frame_refuse(struct nsp_frame *frame, uint32_t index, uint32_t offset, const uint8_t *data, size_t len,
		  const struct fault *fault)
{
	ARRAY_GROW(frame->faults, frame->fault_count, frame->fault_cap);
	struct frame_fault *entry = &frame->faults[frame->fault_count++];
	*entry = (struct frame_fault){ .what = { .index = index, .offset = offset } };
	if (data && (offset != NSP_NO_OFFSET || (len <= SHOWN_MAX && plain_is((struct mp_in){ data, data + len })))) {
		entry->what.data = data;
		entry->what.len = (uint32_t)len;
	}
	memcpy(entry->what.field, fault->field, sizeof(entry->what.field));
	memcpy(entry->what.text, fault->text, sizeof(entry->what.text));
}

void frame_refuse_key(struct nsp_frame *frame, const char *key, size_t len)
{
	frame->faults[frame->fault_count - 1].key = (uint32_t)frame->text.len + 1;
	mp_put_raw(&frame->text, key, len);
	mp_put_raw(&frame->text, "", 1);
}

int nsp_frame_fault(struct nsp_frame *frame, uint32_t i, struct nsp_fault *fault)
{
	if (i >= frame->fault_count)
		return -ENOENT;
	const struct frame_fault *entry = &frame->faults[i];
	*fault = entry->what;
	fault->key = entry->key ? (const char *)frame->text.data + entry->key - 1 : NULL;
	if (fault->offset == NSP_NO_OFFSET)
		return 0;
	frame->shown.len = 0;
	block_show(&frame->shown, (struct mp_in){ fault->data, fault->data + fault->len }, frame->keys, fault->offset);
	bool is_short = frame->shown.len <= SHOWN_MAX;
	fault->data = is_short ? frame->shown.data : NULL;
	fault->len = is_short ? (uint32_t)frame->shown.len : 0;
	return 0;
}
