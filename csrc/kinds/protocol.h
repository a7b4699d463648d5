/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_KIND_PROTOCOL_H
#define NSP_KIND_PROTOCOL_H

#include <stdint.h>

/* RTPROT_* in words; `buf` is for those that have none. */
const char *protocol_name(uint8_t protocol, char buf[16]);

#endif
