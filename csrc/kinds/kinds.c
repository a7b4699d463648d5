/* SPDX-License-Identifier: Apache-2.0 */
/* The bulk kinds: each is a file of this folder and a line of kinds.def. */
#include "kinds/value.h"

#include <stdio.h>

#include "wire/text.h"

#define KIND(file, name) extern const struct kind name;
#include "kinds/kinds.def"
#undef KIND

#define KIND(file, name) &name,
const struct kind *const kinds[KINDS_MAX] = {
#include "kinds/kinds.def"
};

unsigned kind_count(void)
{
	unsigned count = 0;

	while (count < KINDS_MAX && kinds[count])
		count++;
	return count;
}

int kind_named(const uint8_t *name, size_t len)
{
	for (int i = 0; i < KINDS_MAX && kinds[i]; i++)
		if (len && *name == (uint8_t)*kinds[i]->name && text_is(name, len, kinds[i]->name))
			return i;
	return -1;
}

int kind_of_family(int kind, uint8_t family)
{
	for (int i = kind; i < KINDS_MAX && kinds[i]; i++)
		if (kinds[i]->family == family && (i == kind || !strcmp(kinds[i]->name, kinds[kind]->name)))
			return i;
	return -1;
}

unsigned kind_name_index(int kind)
{
	unsigned index = 0;

	for (int i = 1; i <= kind; i++)
		index += strcmp(kinds[i]->name, kinds[i - 1]->name) != 0;
	return index;
}

int kind_of_message(const struct nlmsghdr *msg)
{
	const uint8_t *family = nsp_msg_body(msg, KIND_MESSAGE_BODY); /* which begins with it */

	for (int i = 0; family && i < KINDS_MAX && kinds[i]; i++)
		if ((msg->nlmsg_type == kinds[i]->new_type || msg->nlmsg_type == kinds[i]->del_type) && *family == kinds[i]->family)
			return i;
	return -1;
}

bool kind_is_exact(uint8_t kind, const uint8_t *key)
{
	return !kinds[kind]->is_exact || kinds[kind]->is_exact(key);
}

bool kind_may_be_hit(uint8_t kind, const uint8_t *key)
{
	return kinds[kind]->is_exact && kinds[kind]->is_exact(key);
}

int kind_delete(struct nsp_batch *batch, const struct item *item, int32_t ifindex, enum encode_mode mode, bool told)
{
	int index = kinds[item->kind]->encode(kinds[item->kind], batch, item, ifindex, mode);

	if (index >= 0 && told && !kind_is_exact(item->kind, item->body))
		((struct nlmsghdr *)(void *)(batch->buf + batch->last))->nlmsg_flags |= NLM_F_ECHO;
	return index;
}

bool object_read(const struct nlmsghdr *msg, struct object *object)
{
	int kind = kind_of_message(msg);

	memset(object, 0, offsetof(struct object, hops));
	object->decoded.kind = (uint8_t)kind;
	object->gone = kind >= 0 && msg->nlmsg_type == kinds[kind]->del_type;
	return kind >= 0 && kinds[kind]->read(msg, object);
}

/* All but the set of next hops, which the body of what was decoded does not have. */
static bool has_value(const struct kind *kind, const uint8_t *a, const uint8_t *b)
{
	size_t len = kind->body_size - kind->key_size - (kind->set ? sizeof(uint32_t) : 0);

	return !memcmp(a + kind->key_size, b + kind->key_size, len);
}

bool object_is(const struct object *object, const struct item *item)
{
	const struct kind *kind = kinds[item->kind];
	const struct decoded *decoded = &object->decoded;
	uint32_t flags = ITEM_GATEWAY | ITEM_OWN | ITEM_SOURCE;

	return object->plain && !((item->flags ^ decoded->flags) & flags) &&
	       (kind->is_as ? kind->is_as(item->body, decoded->body) : has_value(kind, item->body, decoded->body)) &&
	       (!(item->flags & ITEM_SOURCE) || !memcmp(item->source, decoded->source, 16)) &&
	       item->hops_len == decoded->hops_len &&
	       (!item->hops_len || !memcmp(item->hops, decoded_hops(decoded, object->hops), item->hops_len));
}

int nsp_schema_field(uint32_t name, uint32_t field, struct nsp_field_info *info)
{
	int kind = 0;

	while (kind < KINDS_MAX && kinds[kind] && kind_name_index(kind) < name)
		kind++;
	if (kind == KINDS_MAX || !kinds[kind])
		return -ENOENT;
	const struct field *from = kinds[kind]->fields, *end = from + kinds[kind]->field_count;
	while (from < end && (from->derived || field--))
		from++;
	if (from == end)
		return -ENOENT;
	*info = (struct nsp_field_info){
		.required = from->required,
		.min = from->min,
		.max = from->max,
		.width = value_width(from, 4),
		.width6 = value_width(from, 6),
	};
	snprintf(info->kind, sizeof(info->kind), "%s", kinds[kind]->name);
	snprintf(info->name, sizeof(info->name), "%s", from->name);
	snprintf(info->type, sizeof(info->type), "%s", from->shown);
	snprintf(info->about, sizeof(info->about), "%s", from->about);
	return 0;
}
