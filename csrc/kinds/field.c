/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/field.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/prefix.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

uint32_t field_number(const struct field *field, const uint8_t *body)
{
	uint32_t number = 0;
	uint16_t half = 0;

	if (field->size == 4)
		memcpy(&number, body + field->offset, 4);
	else if (field->size == 2)
		memcpy(&half, body + field->offset, 2);
	else if (field->size == 1)
		half = body[field->offset];
	return number | half;
}

void field_put_number(const struct field *field, uint32_t number, uint8_t *body)
{
	uint16_t half = (uint16_t)number;

	if (field->size == 4)
		memcpy(body + field->offset, &number, 4);
	else if (field->size == 2)
		memcpy(body + field->offset, &half, 2);
	else if (field->size == 1)
		body[field->offset] = (uint8_t)number;
}

void field_put_address(const struct field *field, const uint8_t *ip, bool v6, uint8_t *body)
{
	memcpy(body + field->offset, mapped, sizeof(mapped));
	memcpy(body + field->offset + (v6 ? 0 : sizeof(mapped)), ip, v6 ? 16 : 4);
}

size_t field_text(const struct field *field, uint8_t family, const uint8_t *at, char *out)
{
	if (field->type == FIELD_MAC)
		return (size_t)sprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2], at[3], at[4], at[5]);
	if (field->type == FIELD_ADDRESS)
		return !memcmp(at, mapped, sizeof(mapped)) ? prefix_format_ip(out, false, at + 12) :
							     prefix_format_ip(out, true, at);
	size_t n = prefix_format_ip(out, family == AF_INET6, at);
	if (field->type == FIELD_PREFIX)
		n += (size_t)sprintf(out + n, "/%u", at[field->size]);
	return n;
}
