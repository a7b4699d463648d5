/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_CONNECTED_H
#define NSP_CONNECTED_H

#include "core/op.h"

/* Puts back what a namespace has lost of the routes to what is on its links. Called without the lock. */
int connected_check(struct op *op, struct nsp_socket *sock, struct nsp_error *err);

#endif
