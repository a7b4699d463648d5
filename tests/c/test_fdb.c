/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of forwarding tables: of a bridge with the ports v0 (the slot web0) and v1, and of a vxlan link that is a port too (the slot vx). */
#include "listener.h"

static void by_bridge(struct rig *rig, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "nsenter --net=/proc/%d/fd/%d bridge fdb %s", getpid(), rig->world->netns, command);
	CHECK_EQ(system(line), 0);
}

/* What bridge(8) shows of one MAC, in the order of its lines. */
static const char *shown_of(struct rig *rig, const char *mac)
{
	static char text[4096];
	char line[512];

	snprintf(line, sizeof(line), "nsenter --net=/proc/%d/fd/%d sh -c 'bridge fdb show | grep -i ^%s | sort'", getpid(),
		 rig->world->netns, mac);
	FILE *pipe = popen(line, "r");
	size_t len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = 0;
	pclose(pipe);
	return text;
}

static struct listener bridged(void)
{
	struct listener listener = listener_new();
	struct rig *rig = listener.rig;
	struct nsp_link link;

	world_veth(rig->world, "v1");
	/* Without VLANs on its ports: else a kernel that has these shows an entry once more for each. */
	by_ip(rig, "link add br0 up type bridge vlan_default_pvid 0 && ip link set v0 master br0 && ip link set v1 up master br0");
	by_ip(rig, "link add vx up master br0 type vxlan id 7 dstport 4789 local 192.0.2.1");
	int32_t vxlan = world_link(rig->world, "vx", &link);
	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "vx"), rig->netns, vxlan);
	return listener;
}

#define M9 "02:00:00:00:00:09"
#define ON_PORT(fields) "[{kind: fdb, interface: web0, mac: " M9 fields "}]"
#define TO(fields) "[{kind: fdb, interface: vx, mac: " M9 ", dst: " fields "}]"
#define ON_V0 M9 " dev v0 master br0 static\n"

static void test_on_a_port(struct listener *listener)
{
	struct rig *rig = listener->rig;

	rig_put(rig, ON_PORT(""));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	CHECK_HAS(rig_row(rig, "fdb/web0/" M9), "item: {kind: fdb, interface: web0, mac: " M9 "}");
	rig_put(rig, ON_PORT(", sticky: true"));
	CHECK_STR(shown_of(rig, M9), M9 " dev v0 sticky master br0 static\n");
	rig_put(rig, ON_PORT(", local: true"));
	CHECK_STR(shown_of(rig, M9), M9 " dev v0 master br0 permanent\n");
	rig_put(rig, ON_PORT(""));
	listen_in(listener);
	CHECK_EQ(totals(listener).missing + totals(listener).altered, 0);
}

static void test_undone(struct listener *listener)
{
	struct rig *rig = listener->rig;

	by_bridge(rig, "del " M9 " dev v0 master");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	CHECK_EQ(totals(listener).missing, 1);
	by_bridge(rig, "replace " M9 " dev v1 master static");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	by_bridge(rig, "replace " M9 " dev v0 master static sticky");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	CHECK_EQ(totals(listener).missing, 1);
	CHECK_EQ(totals(listener).altered, 2);
	CHECK_HAS(rig_row(rig, "fdb/web0/" M9), "state: configured");
}

/* The kernel's messages name nobody: what we did ourselves comes back late, and is not taken for somebody else's doing. */
static void test_echoes(struct listener *listener)
{
	struct nsp_totals before = totals(listener);
	struct rig *rig = listener->rig;
	uint32_t serial = 0;

	for (int i = 0; i < 20; i++) {
		rig_start(rig, ON_PORT(", sticky: true"));
		rig_start_delete(rig, "lab", "[fdb/web0/" M9 "]", 0);
		rig_start(rig, ON_PORT(""));
		rig_put(rig, "[]"); /* the writer has done all that */
		if (i % 2)
			listen_in(listener);
	}
	serial = rig_start(rig, ON_PORT(""));
	rig_end(rig, serial);
	listen_in(listener);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	CHECK_EQ(totals(listener).missing, before.missing);
	CHECK_EQ(totals(listener).altered, before.altered);
	rig_delete(rig, "[fdb/web0/" M9 "]");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), "");
}

static void test_somebody_elses(struct listener *listener)
{
	struct rig *rig = listener->rig;

	by_bridge(rig, "add " M9 " dev v1 master static sticky");
	rig_put(rig, ON_PORT(""));
	CHECK_HAS(rig->entries, "errno: EEXIST, message: exists: a static entry, link v1");
	rig_put(rig, ON_PORT(", override: true"));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_STR(shown_of(rig, M9), ON_V0);
	rig_delete(rig, "[fdb/web0/" M9 "]");
	rig_quiet(rig);
	CHECK_STR(shown_of(rig, M9), M9 " dev v1 sticky master br0 static\n");
	by_bridge(rig, "del " M9 " dev v1 master");

	/* A learned one is nobody's; one as it is wanted is taken for ours. */
	by_bridge(rig, "add " M9 " dev v1 master dynamic");
	rig_put(rig, ON_PORT(""));
	CHECK_STR(shown_of(rig, M9), ON_V0);
	rig_delete(rig, "[fdb/web0/" M9 "]");
	by_bridge(rig, "add " M9 " dev v0 master static");
	rig_put(rig, ON_PORT(""));
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	rig_delete(rig, "[fdb/web0/" M9 "]");
	CHECK_STR(shown_of(rig, M9), "");
}

/* Of one MAC the bridge has an entry, and the vxlan link that is its port another. */
static void test_on_a_vxlan(struct listener *listener)
{
	struct rig *rig = listener->rig;

	rig_put(rig, "[{kind: fdb, interface: vx, mac: " M9 "}, {kind: fdb, interface: vx, mac: " M9 ", dst: 192.0.2.5}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.5 self static\n" M9 " dev vx master br0 static\n");
	CHECK_HAS(rig_row(rig, "fdb/vx/" M9 ";self"), "item: {kind: fdb, interface: vx, mac: " M9 ", dst: 192.0.2.5}");
	rig_delete(rig, "[fdb/vx/" M9 "]");
	rig_put(rig, TO("192.0.2.6, port: 4790, vni: 9"));
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.6 port 4790 vni 9 self static\n");
	rig_put(rig, TO("192.0.2.6, port: 4789, vni: 7")); /* the interface's own: the kernel does not tell of them */
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.6 self static\n");
	by_bridge(rig, "replace " M9 " dev vx dst 192.0.2.7");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.6 self static\n");
	by_bridge(rig, "del " M9 " dev vx");
	listen_in(listener);
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.6 self static\n");
	rig_delete(rig, "[fdb/vx/" M9 ";self]");
	by_bridge(rig, "add " M9 " dev vx dst 192.0.2.8");
	rig_put(rig, TO("192.0.2.6"));
	CHECK_HAS(rig->entries, "errno: EEXIST, message: exists: a permanent entry, dst 192.0.2.8");
	rig_put(rig, TO("192.0.2.6, override: true"));
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.6 self static\n");
	rig_delete(rig, "[fdb/vx/" M9 ";self]");
	rig_quiet(rig);
	CHECK_STR(shown_of(rig, M9), M9 " dev vx dst 192.0.2.8 self permanent\n");
}

#define ZERO "00:00:00:00:00:00"
#define FLOOD(dst) "{kind: fdb, interface: vx, mac: " ZERO ", dst: " dst "}"

/* Of a group there are as many as there are other ends, ours beside those of others. */
static void test_several_ends(struct listener *listener)
{
	struct rig *rig = listener->rig;

	by_bridge(rig, "append " ZERO " dev vx dst 192.0.2.9");
	rig_put(rig, "[" FLOOD("192.0.2.5") ", " FLOOD("192.0.2.6") ", " FLOOD("192.0.2.6, port: 4790, vni: 9") "]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 3);
	CHECK_STR(shown_of(rig, ZERO),
		  ZERO " dev vx dst 192.0.2.5 self static\n" ZERO " dev vx dst 192.0.2.6 port 4790 vni 9 self static\n" ZERO
		       " dev vx dst 192.0.2.6 self static\n" ZERO " dev vx dst 192.0.2.9 self static\n");
	CHECK_HAS(rig_row(rig, "fdb/vx/" ZERO ";self;dst=192.0.2.6;port=4790;vni=9"), "dst: 192.0.2.6, port: 4790, vni: 9}");
	by_bridge(rig, "del " ZERO " dev vx dst 192.0.2.6");
	listen_in(listener);
	CHECK_HAS(shown_of(rig, ZERO), "dst 192.0.2.6 self");
	rig_delete(rig, "['fdb/vx/" ZERO ";self;dst=192.0.2.6', 'fdb/vx/" ZERO ";self;dst=192.0.2.5']");
	CHECK_STR(shown_of(rig, ZERO),
		  ZERO " dev vx dst 192.0.2.6 port 4790 vni 9 self static\n" ZERO " dev vx dst 192.0.2.9 self static\n");
	rig_delete(rig, "['fdb/vx/" ZERO ";self;dst=192.0.2.6;port=4790;vni=9']");
	CHECK_STR(shown_of(rig, ZERO), ZERO " dev vx dst 192.0.2.9 self static\n");
}

static void test_not_yet_a_port(struct listener *listener)
{
	struct rig *rig = listener->rig;

	by_ip(rig, "link set v0 nomaster");
	rig_put(rig, ON_PORT(""));
	CHECK_HAS(rig->entries, "state: pending, source: lab, missing: [master/web0], errno: EOPNOTSUPP");
	by_ip(rig, "link set v0 master br0");
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_REFUSED);
	rig_quiet(rig);
	CHECK_HAS(rig_await(rig, "fdb/web0/" M9, "state: configured"), "state: configured");
	CHECK_STR(shown_of(rig, M9), ON_V0);
}

int main(void)
{
	test_needs_root();
	struct listener listener = bridged();

	test_on_a_port(&listener);
	test_undone(&listener);
	test_echoes(&listener);
	test_somebody_elses(&listener);
	test_on_a_vxlan(&listener);
	by_bridge(listener.rig, "del " M9 " dev vx");
	test_several_ends(&listener);
	test_not_yet_a_port(&listener);
	listener_free(&listener);
	return test_end();
}
