/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - reads all of a file, up to a limit. */
#ifndef NSPLANE_GATE_INPUT_H
#define NSPLANE_GATE_INPUT_H

#include <stddef.h>

#define INPUT_MAX (64u << 20)

/* Both return what free() takes back, or NULL with errno; EFBIG where it is more than `max` bytes. */
char *input_read(int fd, size_t max, size_t *len);
char *input_read_path(const char *path, size_t max, size_t *len);

#endif
