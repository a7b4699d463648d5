/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/internal.h"

#define TEXT(x) #x
#define VERSION(major, minor) TEXT(major) "." TEXT(minor)

const char *nsp_version(void)
{
	return VERSION(NSP_VERSION_MAJOR, NSP_VERSION_MINOR);
}
