/* SPDX-License-Identifier: Apache-2.0 */
/* Items of a frame that are refused, and why. */
#include "core/refused.h"

#include "core/array.h"
#include "wire/plain.h"

#define SHOWN_MAX 1024

void frame_refuse(struct nsp_frame *frame, uint32_t index, const uint8_t *data, size_t len, const struct fault *fault)
{
	ARRAY_GROW(frame->faults, frame->fault_count, frame->fault_cap);
	struct frame_fault *entry = &frame->faults[frame->fault_count++];
	*entry = (struct frame_fault){ .what.index = index };
	if (len <= SHOWN_MAX && plain_is((struct mp_in){ data, data + len })) {
		entry->data = data;
		entry->len = (uint32_t)len;
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

const char *frame_fault_key(const struct nsp_frame *frame, const struct frame_fault *fault)
{
	return fault->key ? (const char *)frame->text.data + fault->key - 1 : NULL;
}
