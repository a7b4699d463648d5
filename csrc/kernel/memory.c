/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/internal.h"

#include "nsplane/core.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void nsp_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
