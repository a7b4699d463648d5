/* SPDX-License-Identifier: Apache-2.0 */
/* nsplane.h - all of the library: nsplane/netlink.h, which is stable, and nsplane/core.h, which is not. */
#ifndef NSPLANE_H
#define NSPLANE_H

#include <nsplane/core.h>
#include <nsplane/netlink.h>

#endif
