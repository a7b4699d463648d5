/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds/protocol.h"

#include <stdio.h>

const char *protocol_name(uint8_t protocol, char buf[16])
{
	static const struct {
		const char *word;
		uint8_t number;
	} known[] = { { "kernel", 2 }, { "boot", 3 },  { "static", 4 }, { "ra", 9 },	{ "zebra", 11 },
		      { "bird", 12 },  { "dhcp", 16 }, { "bgp", 186 },	{ "ospf", 188 } };

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].number == protocol)
			return known[i].word;
	snprintf(buf, 16, "%u", protocol);
	return buf;
}
