/* SPDX-License-Identifier: Apache-2.0 */
/* What an override has replaced is put back as it was, or it is told that it cannot be; and the planner can record it before. */
#include "back.h"

#define OVER(dst, rest) "[{kind: route, interface: web0, dst: " dst ", override: true" rest "}]"

/* Somebody's route (`add`), and how it is shown. */
struct foreign {
	const char *before; /* what is to be there first */
	const char *add;
	const char *dst;
	bool v6;
};

static const struct foreign foreigners[] = {
	{ NULL, "route add 10.0.0.0/8 via 192.0.2.77 dev v0 proto static mtu 1300 src 192.0.2.1", "10.0.0.0/8", false },
	{ NULL, "route add 10.0.0.0/8 proto bgp nexthop via 192.0.2.77 dev v0 weight 3 nexthop via 192.0.2.78 dev v0", "10.0.0.0/8",
	  false },
	{ NULL, "route add blackhole 10.0.0.0/8 proto static", "10.0.0.0/8", false },
	{ NULL, "route add unreachable 10.0.0.0/8", "10.0.0.0/8", false },
	{ NULL, "route add 10.0.0.0/8 via inet6 2001:db8::77 dev v0", "10.0.0.0/8", false },
	{ "nexthop add id 7 via 192.0.2.77 dev v0", "route add 10.0.0.0/8 nhid 7 proto static", "10.0.0.0/8", false },
	{ "nexthop add id 7 via 192.0.2.77 dev v0 "
	  "&& ip nexthop add id 9 group 7",
	  "route add 10.0.0.0/8 nhid 9", "10.0.0.0/8", false },
	{ NULL, "-6 route add fd00::/16 via 2001:db8::77 dev v0 proto static pref high", "fd00::/16", true },
	{ NULL, "-6 route add fd00::/16 proto bgp nexthop via 2001:db8::77 dev v0 nexthop via 2001:db8::78 dev v0", "fd00::/16",
	  true },
	{ NULL, "-6 route add blackhole fd00::/16", "fd00::/16", true },
	{ "nexthop add id 17 via 2001:db8::77 dev v0", "-6 route add fd00::/16 nhid 17 proto static", "fd00::/16", true },
	{ "route add 10.0.0.0/8 dev v0 proto static scope host", "route prepend 10.0.0.0/8 via 192.0.2.77 dev v0 proto bgp",
	  "10.0.0.0/8", false },
	{ "-6 route add fd00::/16 dev v0 proto static", "-6 route append fd00::/16 via 2001:db8::77 dev v0 proto bgp", "fd00::/16",
	  true },
};

static const char *shown_of(struct rig *rig, const struct foreign *foreign)
{
	static char text[4096];
	char command[128];

	snprintf(command, sizeof(command), "-%d route show %s table all", foreign->v6 ? 6 : 4, foreign->dst);
	snprintf(text, sizeof(text), "%s", by_ip_shown(rig, command));
	return text;
}

static void test_of_every_shape(void)
{
	char before[4096];

	for (size_t i = 0; i < sizeof(foreigners) / sizeof(*foreigners); i++) {
		const struct foreign *foreign = &foreigners[i];
		struct rig *rig = rig_new_ready();

		if (foreign->before)
			by_ip(rig, foreign->before);
		by_ip(rig, foreign->add);
		snprintf(before, sizeof(before), "%s", shown_of(rig, foreign));
		rig_put(rig,
			foreign->v6 ? OVER("fd00::/16", ", gateway: 2001:db8::9") : OVER("10.0.0.0/8", ", gateway: 192.0.2.9"));
		CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
		CHECK_HAS(shown_of(rig, foreign), foreign->v6 ? "via 2001:db8::9" : "via 192.0.2.9");
		rig_delete(rig, foreign->v6 ? "[route/web0/fd00::/16]" : "[route/web0/10.0.0.0/8]");
		rig_quiet(rig);
		CHECK_STR(shown_of(rig, foreign), before);
		rig_free(rig);
	}
}

/* Its link had no carrier when it was replaced, and has one now. */
static void test_with_linkdown(void)
{
	struct rig *rig = rig_new_ready();

	by_ip(rig, "link set v0-p down");
	by_ip(rig, "route add 10.0.0.0/8 nexthop via 192.0.2.77 dev v0 nexthop via 192.0.2.78 dev v0");
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "linkdown");
	rig_put(rig, OVER("10.0.0.0/8", ""));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	by_ip(rig, "link set v0-p up");
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	rig_quiet(rig);
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "nexthop via 192.0.2.77 dev v0");
	CHECK_HAS(by_ip_shown(rig, "route show 10.0.0.0/8"), "nexthop via 192.0.2.78 dev v0");
	rig_free(rig);
}

/* A router's route has a lifetime that goes on. */
static void test_with_lifetime(void)
{
	struct rig *rig = rig_new_ready();

	by_ip(rig, "-6 route add ::/0 via 2001:db8::77 dev v0 proto ra expires 1000");
	by_ip(rig, "-6 route add fd00::/16 via 2001:db8::77 dev v0 proto ra expires 1");
	rig_put(rig, "[{kind: route, interface: web0, dst: ::/0, override: true}, {kind: route, interface: web0, dst: fd00::/16,"
		     " override: true}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
	rig_delete(rig, "[route/web0/::/0, route/web0/fd00::/16]");
	rig_quiet(rig);
	const char *shown = by_ip_shown(rig, "-6 route show default");
	CHECK_HAS(shown, "default via 2001:db8::77 dev v0 proto ra metric 1024 expires ");
	int left = atoi(strstr(shown, "expires ") + 8);
	CHECK(left > 900 && left < 1000);
	CHECK_STR(by_ip_shown(rig, "-6 route show fd00::/16"), "");
	rig_free(rig);
}

/* ---- the planner records it ---- */

static const char *told(struct rig *rig, long expected)
{
	static char text[4096];
	const uint8_t *data;
	size_t len;

	CHECK_EQ(nsp_core_replaced(rig->core, &data, &len), expected);
	snprintf(text, sizeof(text), "%s", shown(data, len));
	return text;
}

static void test_is_recorded_before(void)
{
	struct rig *rig = rig_new_ready();

	nsp_core_record_replaced(rig->core, 1);
	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	foreign_neigh(rig, "192.0.2.9", 0x77, NUD_PERMANENT);
	uint32_t serial = rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, override: true},"
					 " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09, override: true}]");
	rig_quiet(rig);
	CHECK_EQ(rig_result(rig, serial), 2);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	const char *text = told(rig, 2);
	CHECK_HAS(text, "{key: route/web0/10.0.0.0/8, netns: 1, message: ");
	CHECK_HAS(text, "{key: arp/web0/192.0.2.9, netns: 1, message: ");
	nsp_core_replace(rig->core, "route/web0/10.0.0.0/8");
	nsp_core_replace(rig->core, "arp/web0/192.0.2.9");
	nsp_core_replace(rig->core, "route/web0/11.0.0.0/8");
	nsp_core_replace(rig->core, "nonsense");
	rig_end(rig, serial);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	told(rig, 0);
	rig_delete(rig, "[route/web0/10.0.0.0/8, arp/web0/192.0.2.9]");
	rig_quiet(rig);
	text = told(rig, 2);
	CHECK_HAS(text, "{key: route/web0/10.0.0.0/8, netns: 1, message: nil, errno: 0, text: }");
	CHECK_HAS(text, "{key: arp/web0/192.0.2.9, netns: 1, message: nil, errno: 0, text: }");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");

	/* Overtaken while it is recorded: deleted, or put anew; or its slot is lost. */
	rig_start(rig, OVER("10.0.0.0/8", ""));
	rig_quiet(rig);
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	nsp_core_replace(rig->core, "route/web0/10.0.0.0/8");
	rig_quiet(rig);
	told(rig, 2);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	serial = rig_start(rig, OVER("10.0.0.0/8", ""));
	rig_quiet(rig);
	uint32_t newer = rig_start(rig, OVER("10.0.0.0/8", ", gateway: 192.0.2.9"));
	rig_quiet(rig);
	CHECK_EQ(rig_result(rig, serial), 0);
	CHECK_EQ(rig->counts[NSP_STATE_SUPERSEDED], 1);
	told(rig, 2);
	nsp_core_replace(rig->core, "route/web0/10.0.0.0/8");
	rig_end(rig, newer);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	rig_quiet(rig);
	told(rig, 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_ready(rig);
	rig_quiet(rig);
	rig_lost(rig, "[interface/web0]", NSP_SLOT_WITHDRAW);
	nsp_core_replace(rig->core, "route/web0/10.0.0.0/8");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_free(rig);
}

/* In the next life: the row is told of it, or it is put back without one. */
static void test_in_the_next_life(void)
{
	struct rig *rig = rig_new_ready();
	uint8_t message[4096];
	const uint8_t *data;
	size_t len;

	nsp_core_record_replaced(rig->core, 1);
	foreign_route(rig, "10.0.0.0", 8, "192.0.2.77");
	rig_start(rig, OVER("10.0.0.0/8", ""));
	rig_quiet(rig);
	CHECK_EQ(nsp_core_replaced(rig->core, &data, &len), 1);
	struct mp_in in = { data, data + len };
	struct mp_token token;
	for (int i = 0; i < 6; i++)
		CHECK(mp_next(&in, &token));
	CHECK(mp_next(&in, &token));
	CHECK_EQ(token.type, MP_BIN);
	len = token.len;
	memcpy(message, token.data, len);
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	rig_quiet(rig);
	foreign_route_gone(rig, "10.0.0.0", 8);

	CHECK_EQ(nsp_core_remember(rig->core, "route/web0/10.0.0.0/8", message, len), -ENOENT);
	rig_put(rig, OVER("10.0.0.0/8", ", gateway: 192.0.2.9"));
	CHECK_EQ(nsp_core_remember(rig->core, "route/web0/10.0.0.0/8", message, len - 1), -EINVAL);
	CHECK_EQ(nsp_core_remember(rig->core, "route/web0/10.0.0.0/8", message, len), 0);
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	rig_quiet(rig);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	foreign_route_gone(rig, "10.0.0.0", 8);

	struct nsp_op *op = nsp_op_new(9);
	nsp_op_stage(op, rig->netns, 0);
	CHECK_EQ(nsp_op_restore(op, message, 7), -EINVAL);
	CHECK_EQ(nsp_op_restore(op, message, len), 0);
	carry_out(rig, op);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.77");
	rig_free(rig);
}

/* The nexthop object, or the link, has gone since. */
static void test_cannot_be_put_back(void)
{
	struct rig *rig = rig_new_ready();

	nsp_core_record_replaced(rig->core, 1);
	by_ip(rig, "nexthop add id 7 via 192.0.2.77 dev v0");
	by_ip(rig, "route add 10.0.0.0/8 nhid 7 proto static");
	rig_start(rig, OVER("10.0.0.0/8", ""));
	rig_quiet(rig);
	told(rig, 1);
	nsp_core_replace(rig->core, "route/web0/10.0.0.0/8");
	rig_await(rig, "route/web0/10.0.0.0/8", "state: configured");
	by_ip(rig, "nexthop del id 7");
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	rig_quiet(rig);
	CHECK_HAS(told(rig, 1), "{key: route/web0/10.0.0.0/8, netns: 1, message: nil, errno: 22, text: Nexthop id does not exist}");
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_of_every_shape();
	test_with_linkdown();
	test_with_lifetime();
	test_is_recorded_before();
	test_in_the_next_life();
	test_cannot_be_put_back();
	return test_end();
}
