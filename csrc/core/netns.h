/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_NETNS_H
#define NSP_NETNS_H

#include "core/core.h"

/* Whoever names a namespace by its number holds it: until the last has let go, the number means this namespace and no other. */
void netns_hold(struct nsp_core *core, uint32_t number);
void netns_release(struct nsp_core *core, uint32_t number);

/* The rest is the writer's. The command socket, opened where it is not; called without the lock. */
struct nsp_socket *netns_socket(struct nsp_core *core, uint32_t number, struct nsp_error *err);
/* With NLM_F_ECHO the kernel tells the author of a change, and of others no socket that has the author's port id: which the monitor has
 * (nsp_monitor_listen). From here on its command socket drops what it is told so, and routes are put and deleted with that flag. For each
 * change that the monitor is told of, the kernel looks through all namespaces that it watches. */
void netns_drop_echo(struct nsp_core *core, struct netns *netns);
/* A deletion may hit another object of ours from here on: what has gone is wanted to be told. */
void netns_note_inexact(struct netns *netns);
/* Its descriptor, -1 where it has been closed; called without the lock. */
int netns_fd(struct nsp_core *core, uint32_t number);
/* One of generic netlink, for the caller to use once and close: such messages are few. */
int netns_open_generic(struct nsp_core *core, uint32_t number, struct nsp_socket *sock, struct nsp_error *err);
void netns_disconnect(struct nsp_core *core, struct netns *netns);
/* Closes it, unless somebody holds it again. */
void netns_close(struct nsp_core *core, uint32_t number);

#endif
