/* SPDX-License-Identifier: Apache-2.0 */
/* Items that another decoder reads: what it would not see is checked here. */
#ifndef NSP_PLAIN_H
#define NSP_PLAIN_H

#include "wire/fault.h"

/* Is this what every reader takes for the same: text that is UTF-8, no extension types, at most 8 levels deep? */
bool plain_is(struct mp_in value);

/* Checks of an item of another kind what its own decoder would not see: that all of it is plain, and no field given twice. */
bool plain_check(struct mp_in item, struct fault *fault);

#endif
