/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of bulk items: route/web0/10.0.0.0/8;metric=100, arp/eth0@microservice:web/10.0.0.9. */
#ifndef NSP_KIND_KEY_H
#define NSP_KIND_KEY_H

#include "kinds/kind.h"
#include "wire/reference.h"

/* Is this a key of a bulk kind? */
bool key_is_bulk(const char *key, size_t len);

/* Reads a key of a bulk kind into an item without attributes. */
bool key_parse(const char *key, size_t len, struct decoded *decoded, struct mp_out *text, struct fault *fault);

/* Writes the key that begins a body; `out` holds NSP_KEY_MAX bytes. Returns its length. */
size_t key_format(char *out, const char *slot, uint8_t kind, const uint8_t *body);

#endif
