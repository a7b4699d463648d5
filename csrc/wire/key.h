/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of bulk items: route/web0/10.0.0.0/8;metric=100, arp/eth0@microservice:web/10.0.0.9. */
#ifndef NSP_KEY_H
#define NSP_KEY_H

#include "wire/reference.h"
#include "wire/wish.h"

/* Is this a key of a bulk kind? */
bool key_is_bulk(const char *key, size_t len);

/* Reads a key of a bulk kind into a wish without attributes. */
bool key_parse(const char *key, size_t len, struct wish *wish, struct mp_out *text, struct fault *fault);

/* Writes a key; `out` holds NSP_KEY_MAX bytes. Returns its length. */
size_t key_format(char *out, const char *slot, uint8_t type, const uint8_t *dst, uint8_t dst_len, uint32_t metric, uint32_t table);

#endif
