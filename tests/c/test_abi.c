/* SPDX-License-Identifier: Apache-2.0 */
/* What a compiled program knows of the structs of nsplane/netlink.h: under one soname a change here breaks it. */
#include "test.h"

#define FIELD(type, name, at) { #type "." #name, offsetof(struct type, name), at }
#define SIZE(type, size) { "the size of " #type, sizeof(struct type), size }

static const struct {
	const char *what;
	size_t is, was;
} layout[] = {
	SIZE(nsp_error, 256),
	FIELD(nsp_error, text, 4),
	SIZE(nsp_netns_id, 16),
	SIZE(nsp_socket, 24),
	SIZE(nsp_batch, 24),
	SIZE(nsp_msg, 24),
	SIZE(nsp_attrs, 16),
	SIZE(nsp_room, 16),
	SIZE(nsp_link, 424),
	FIELD(nsp_link, name, 8),
	FIELD(nsp_link, up, 56),
	FIELD(nsp_link, mac, 64),
	FIELD(nsp_link, master, 100),
	FIELD(nsp_link, netns, 116),
	FIELD(nsp_link, data, 120),
	FIELD(nsp_link, alias, 168),
	FIELD(nsp_link, parent_dev, 296),
	FIELD(nsp_link, vlans, 328),
	FIELD(nsp_link, txqueuelen, 344),
	FIELD(nsp_link, reserved, 368),
	SIZE(nsp_addr, 44),
	FIELD(nsp_addr, local, 12),
	SIZE(nsp_route, 68),
	FIELD(nsp_route, dst, 20),
	SIZE(nsp_hop, 24),
	FIELD(nsp_hop, gateway, 8),
	SIZE(nsp_nexthop, 32),
	FIELD(nsp_nexthop, hop, 8),
	SIZE(nsp_nexthop_member, 8),
	SIZE(nsp_tun, 48),
	FIELD(nsp_tun, flags, 16),
	FIELD(nsp_tun, reserved, 28),
	SIZE(nsp_neigh, 32),
	FIELD(nsp_neigh, mac, 10),
	FIELD(nsp_neigh, dst, 16),
	SIZE(nsp_monitor, 72),
	SIZE(nsp_event, 488),
	FIELD(nsp_event, link, 16),
	FIELD(nsp_event, addr, 440),
	SIZE(nsp_genl, 24),
	FIELD(nsp_genl, attrs, 8),
};

int main(void)
{
	/* Elsewhere pointers and their alignment differ. */
	if (sizeof(void *) != 8)
		return 77;
	for (size_t i = 0; i < sizeof(layout) / sizeof(*layout); i++) {
		CHECK_EQ(layout[i].is, layout[i].was);
		if (layout[i].is != layout[i].was)
			printf("(%s)\n", layout[i].what);
	}
	return test_end();
}
