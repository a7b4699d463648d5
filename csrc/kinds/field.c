/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/field.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/prefix.h"

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

size_t field_text(const struct field *field, uint8_t family, const uint8_t *at, char *out)
{
	if (field->type == FIELD_MAC)
		return (size_t)sprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2], at[3], at[4], at[5]);
	size_t n = prefix_format_ip(out, family == AF_INET6, at);
	if (field->type == FIELD_PREFIX)
		n += (size_t)sprintf(out + n, "/%u", at[field->size]);
	return n;
}
