/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and networks as text. */
#ifndef NSP_PREFIX_H
#define NSP_PREFIX_H

#include "wire/fault.h"

/* Reads a network, or an address as a network of one host, into `ip` and `prefix_len`; `family` becomes 4 or 6. */
bool prefix_parse(const uint8_t *data, size_t len, const char *field, uint8_t ip[16], uint8_t *prefix_len, uint8_t *family,
		  struct fault *fault);

/* Writes an address, without prefix; `out` holds 46 bytes. Returns its length. */
size_t prefix_format_ip(char *out, bool v6, const uint8_t *ip);

#endif
