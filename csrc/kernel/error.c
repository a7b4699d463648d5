/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/internal.h"

#include <stdarg.h>
#include <stdio.h>

static void fill(struct nsp_error *err, int code, const char *fmt, va_list args)
{
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), fmt, args);
}

int nsp_fail(struct nsp_error *err, int code, const char *fmt, ...)
{
	va_list args;
	size_t len;

	if (!err)
		return -code;
	va_start(args, fmt);
	fill(err, code, fmt, args);
	va_end(args);

	/* %m is strerror() without its static buffer. */
	len = strlen(err->text);
	errno = code;
	snprintf(err->text + len, sizeof(err->text) - len, ": %m");
	return -code;
}

int nsp_refuse(struct nsp_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -code;
	va_start(args, fmt);
	fill(err, code, fmt, args);
	va_end(args);
	return -code;
}
