/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/prefix.h"

#include <arpa/inet.h>

#include "wire/text.h"

/* Clears what lies behind the prefix. true where it was clear. */
static bool mask(uint8_t ip[16], unsigned bits)
{
	bool clear = true;

	for (unsigned i = bits / 8; i < 16; i++) {
		uint8_t keep = i == bits / 8 ? (uint8_t)(0xff00 >> (bits % 8)) : 0;
		clear &= !(ip[i] & (uint8_t)~keep);
		ip[i] &= keep;
	}
	return clear;
}

bool prefix_parse(const uint8_t *data, size_t len, const char *field, uint8_t ip[16], uint8_t *prefix_len, uint8_t *family,
		  struct fault *fault)
{
	const uint8_t *slash = memchr(data, '/', len);
	size_t address = slash ? (size_t)(slash - data) : len;
	char text[64], network[46];
	uint64_t bits;

	*family = (uint8_t)text_parse_ip(data, address, ip);
	if (!*family)
		return fault_set(fault, field, "'%s' is not a network such as 10.0.0.0/8", fault_text(text, data, len));
	unsigned most = *family == 4 ? 32 : 128;
	if (!slash)
		bits = most;
	else if (!text_parse_number((const char *)slash + 1, len - address - 1, most, &bits))
		return fault_set(fault, field, "'%s' wants a prefix length of 0 to %u", fault_text(text, data, len), most);
	*prefix_len = (uint8_t)bits;
	if (bits < most && !mask(ip, *prefix_len)) {
		prefix_format_ip(network, *family == 6, ip);
		return fault_set(fault, field, "'%s' has host bits set: the network is %s/%u", fault_text(text, data, len), network,
				 *prefix_len);
	}
	return true;
}

size_t prefix_format_ip(char *out, bool v6, const uint8_t *ip)
{
	if (v6) {
		inet_ntop(AF_INET6, ip, out, INET6_ADDRSTRLEN);
		return strlen(out);
	}
	char *p = out;
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		if (ip[i] >= 100)
			*p++ = (char)('0' + ip[i] / 100);
		if (ip[i] >= 10)
			*p++ = (char)('0' + ip[i] / 10 % 10);
		*p++ = (char)('0' + ip[i] % 10);
	}
	*p = 0;
	return (size_t)(p - out);
}
