/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

char *input_read(int fd, size_t max, size_t *len)
{
	size_t room = 16 * 1024;
	char *text = malloc(room), *more;
	ssize_t got;

	*len = 0;
	while (text) {
		got = read(fd, text + *len, room - *len);
		if (got == 0)
			return text;
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0 && (*len += (size_t)got) > max) {
			got = -1;
			errno = EFBIG;
		}
		if (got < 0) {
			int error = errno;
			free(text);
			errno = error;
			return NULL;
		}
		if (*len == room) {
			more = realloc(text, room *= 2);
			if (!more)
				free(text);
			text = more;
		}
	}
	return NULL;
}

char *input_read_path(const char *path, size_t max, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;
	char *text;

	if (fd < 0)
		return NULL;
	text = input_read(fd, max, len);
	error = errno;
	close(fd);
	errno = error;
	return text;
}
