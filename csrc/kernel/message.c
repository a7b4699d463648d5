/* SPDX-License-Identifier: Apache-2.0 */
/* The builders and readers of message.h as functions, for programs. */
#define NSP_BOTH

#include "kernel/internal.h"
