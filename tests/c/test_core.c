/* SPDX-License-Identifier: Apache-2.0 */
/* Rows are put, written, changed in place and deleted; what the kernel refuses is told in its own words, and hurts nothing else. */
#include "rig.h"

#include <fcntl.h>
#include <sys/wait.h>

static void test_waits_for_its_interface(void)
{
	struct rig *rig = rig_new();

	rig_lost(rig, "[interface/web0]", 0);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: arp, interface: web0, ip: 192.0.2.9, mac: "
		     "02:00:00:00:00:09}]");
	CHECK_EQ(rig->counts[NSP_STATE_PENDING], 2);
	CHECK_HAS(rig->entries,
		  "{key: route/web0/10.0.0.0/8, state: pending, source: lab, missing: [interface/web0], errno: nil, message: ,");
	CHECK_HAS(rig->entries, "item: {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}}");
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");

	rig_ready(rig);
	CHECK_HAS(rig_await(rig, "route/web0/10.0.0.0/8", "state: configured"), "missing: [], errno: nil, message: ,");
	CHECK_HAS(rig_await(rig, "arp/web0/192.0.2.9", "state: configured"), "state: configured");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "proto 110 metric 0 table 254 scope 253");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:09");
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "proto 110 state 0x80");
	rig_free(rig);
}

static void test_fields_reach_the_kernel(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9, metric: 5, table: 1000, prefsrc: "
		     "192.0.2.1, scope: site},"
		     " {kind: route, interface: web0, dst: fd00::/16, gateway: 2001:db8::9},"
		     " {kind: route, interface: web0, dst: fd01::/16, metric: 7},"
		     " {kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 198.51.100.1, onlink: true},"
		     " {kind: arp, interface: web0, ip: 2001:db8::9, mac: 02:00:00:00:00:09}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 5);
	CHECK_STR(rig->entries, "");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "proto 110 metric 5 table 1000 scope 200");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "via 2001:db8::9");
	CHECK_HAS(in_kernel(rig, "fd00::/16"), "metric 1024");
	CHECK_HAS(in_kernel(rig, "fd01::/16"), "metric 7");
	CHECK_HAS(in_kernel(rig, "11.0.0.0/8"), "via 198.51.100.1");
	CHECK_HAS(neigh_in_kernel(rig, "2001:db8::9"), "mac 02:00:00:00:00:09");

	/* And are shown as they could have been written. */
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8;metric=5;table=1000"),
		  "item: {kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9, metric: 5, table: 1000, prefsrc: "
		  "192.0.2.1, scope: site}}");
	CHECK_HAS(rig_row(rig, "route/web0/fd00::/16"),
		  "item: {kind: route, interface: web0, dst: fd00::/16, gateway: 2001:db8::9}}");
	CHECK_HAS(rig_row(rig, "route/web0/11.0.0.0/8"), "gateway: 198.51.100.1, onlink: true}}");
	CHECK_STR(rig_row(rig, "route/web0/10.0.0.0/8"), "none");
	CHECK_STR(rig_row(rig, "interface/web0"), "none");
	rig_free(rig);
}

static void test_slot_of_a_kernel_interface(void)
{
	struct rig *rig = rig_new();
	uint32_t slot = nsp_slot_find(rig->core, "v0@microservice:my%2Fweb");

	nsp_slot_ready(rig->core, slot, rig->netns, rig->link);
	rig_put(rig, "[{kind: arp, interface: v0, namespace: {type: microservice, microservice: my/web}, ip: 192.0.2.9, mac: "
		     "02:00:00:00:00:09}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(
		rig_row(rig, "arp/v0@microservice:my%2Fweb/192.0.2.9"),
		"item: {kind: arp, interface: v0, namespace: {type: microservice, microservice: my/web}, ip: 192.0.2.9, mac: 02:");
	nsp_slot_ready(rig->core, nsp_slot_find(rig->core, "v0@pid:17"), rig->netns, rig->link);
	rig_put(rig, "[{kind: route, interface: v0, namespace: {type: pid, pid: 17}, dst: 10.0.0.0/8}]");
	CHECK_HAS(rig_row(rig, "route/v0@pid:17/10.0.0.0/8"), "namespace: {type: pid, pid: 17}, dst: 10.0.0.0/8}");
	rig_free(rig);
}

static void test_unchanged_is_not_written(void)
{
	static const char items[] = "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9, prefsrc: 192.0.2.1}]";
	struct rig *rig = rig_new_ready();
	struct nsp_totals before, after;

	rig_put(rig, items);
	nsp_core_totals(rig->core, &before);
	CHECK_EQ(before.written, 1);
	CHECK_EQ(before.rows[0][NSP_STATE_CONFIGURED], 1);
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	nsp_core_totals(rig->core, &after);
	CHECK_EQ(after.written, before.written);
	rig_free(rig);
}

static void test_changed_in_place(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9},"
		     " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}]");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.10, prefsrc: 192.0.2.1},"
		     " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:0a}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.10");
	CHECK_EQ(ours_in_kernel(rig), 1);
	CHECK_HAS(neigh_in_kernel(rig, "192.0.2.9"), "mac 02:00:00:00:00:0a");

	/* From a gateway to the link, and with another metric beside it: that is another key. */
	rig_put(rig,
		"[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 10.0.0.0/8, metric: 9}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "direct");
	CHECK_EQ(ours_in_kernel(rig), 2);
	rig_free(rig);
}

static void test_deleted(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: fd00::/8},"
		     " {kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}]");
	rig_delete(
		rig,
		"[route/web0/10.0.0.0/8, route/web0/fd00::/8, arp/web0/192.0.2.9, route/web0/11.0.0.0/8, route/none/10.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 5);
	CHECK_STR(rig->entries, "");
	CHECK_EQ(ours_in_kernel(rig), 0);
	CHECK_STR(neigh_in_kernel(rig, "192.0.2.9"), "");
	CHECK_STR(rig_row(rig, "route/web0/10.0.0.0/8"), "none");

	/* Gone from the kernel already: as good. Never written: nothing to delete. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	struct nsp_route route = route_of(rig->link, "10.0.0.0", 8, NULL);
	nsp_route_delete(&rig->world->batch, &route);
	CHECK_EQ(world_send(rig->world, NULL), 0);
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	rig_lost(rig, "[interface/web0]", 0);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	CHECK_EQ(rig->counts[NSP_STATE_REMOVED], 1);
	struct nsp_totals totals;
	nsp_core_totals(rig->core, &totals);
	for (int state = 0; state < NSP_STATES; state++)
		CHECK_EQ(totals.rows[0][state] + totals.rows[1][state], 0);
	rig_free(rig);
}

static uint32_t tries_of(struct rig *rig, const char *key)
{
	const char *tries = strstr(rig_row(rig, key), "tries: ");

	return tries ? (uint32_t)atoi(tries + 7) : 0;
}

static void test_refused_in_the_kernels_words(void)
{
	struct rig *rig = rig_new_ready();

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.255}, {kind: route, interface: web0, dst: "
		     "11.0.0.0/8},"
		     " {kind: route, interface: web0, dst: 12.0.0.0/8, prefsrc: 198.51.100.77}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2);
	CHECK_HAS(rig->entries, "{key: route/web0/10.0.0.0/8, state: failed, source: lab, missing: [], errno: EINVAL,"
				" message: Nexthop has invalid gateway,");
	CHECK_HAS(rig->entries, "tries: 1, item: {kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.255}}");
	CHECK_HAS(rig->entries, "{key: route/web0/12.0.0.0/8, state: failed, source: lab, missing: [], errno: EINVAL, message: "
				"Invalid prefsrc address,");

	/* Judged again on request, and counted. */
	rig_quiet(rig);
	rig_quiet(rig); /* the route on the link has had it judged again, too */
	uint32_t before = tries_of(rig, "route/web0/10.0.0.0/8");
	nsp_core_recheck(rig->core, rig->netns, rig->link, NSP_RECHECK_REFUSED);
	rig_quiet(rig);
	CHECK_EQ(tries_of(rig, "route/web0/10.0.0.0/8"), before + 1);
	struct nsp_slot_info info;
	CHECK_EQ(nsp_slot_info(rig->core, rig->slot, &info), 0);
	CHECK_EQ(info.rows, 3);
	CHECK_EQ(info.unsettled, 2);
	CHECK_EQ(info.ready, 1);

	/* Put right, it is configured. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.2}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.2");

	/* A configured route that is changed to one that the kernel refuses is not left as it was. */
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.255}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	rig_quiet(rig);
	CHECK_STR(in_kernel(rig, "10.0.0.0/8"), "");
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "state: retrying");
	rig_free(rig);
}

static void test_few_bad_among_many(void)
{
	struct rig *rig = rig_new_ready();
	char *text = routes(0, 50000, ""), bad[] = ", gateway: 192.0.2.255";
	uint32_t at[] = { 0, 255, 256, 31337, 49999 };
	struct nsp_totals totals;

	/* The bad ones stand among the good. */
	char *items = malloc(strlen(text) + 5 * sizeof(bad));
	char *out = items, *p = text;
	for (uint32_t i = 0, next = 0; *p; i += *p == '{', p++) {
		if (*p == '}' && next < 5 && i == at[next] + 1) {
			out = stpcpy(out, bad);
			next++;
		}
		*out++ = *p;
	}
	*out = 0;
	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 49995);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 5);
	CHECK_HAS(rig->entries, "key: route/web0/20.0.0.0/32, state: failed");
	CHECK_HAS(rig->entries, "key: route/web0/20.0.0.255/32, state: failed");
	CHECK_HAS(rig->entries, "key: route/web0/20.0.1.0/32, state: failed");
	CHECK_HAS(rig->entries, "key: route/web0/20.0.122.105/32, state: failed");
	CHECK_HAS(rig->entries, "key: route/web0/20.0.195.79/32, state: failed");
	CHECK_EQ(ours_in_kernel(rig), 49995);
	nsp_core_totals(rig->core, &totals);
	CHECK_EQ(totals.rows[0][NSP_STATE_CONFIGURED], 49995);
	CHECK_EQ(totals.rows[0][NSP_STATE_RETRYING], 5);
	CHECK_EQ(totals.queued, 0);
	free(items);
	free(text);
	rig_free(rig);
}

static void test_many_bad_at_once(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 1000, ", gateway: 192.0.2.255");

	rig_put(rig, items);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1000);
	CHECK_HAS(rig->entries,
		  "key: route/web0/20.0.3.231/32, state: failed, source: lab, missing: [], errno: EINVAL, message: Nexthop");
	CHECK_EQ(ours_in_kernel(rig), 0);
	free(items);
	rig_free(rig);
}

/* The kernel's verdicts overflow the receive buffer: whatever is not known is written again, in smaller portions. */
static void test_lost_verdicts(void)
{
	struct rig *rig = rig_new_ready();
	char *good = routes(0, 2000, ""), *bad = routes(5000, 2000, ", gateway: 192.0.2.255");
	struct nsp_socket *sock = &rig->core->netns[rig->netns]->sock;
	int smallest = 1;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(setsockopt(sock->fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)), 0);
	rig_put(rig, bad);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 2000);
	CHECK(sock->window < 4);
	rig_put(rig, good);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 2000);
	rig_quiet(rig);
	CHECK_EQ(ours_in_kernel(rig), 2001);
	free(good);
	free(bad);
	rig_free(rig);
}

/* Good rows among many bad ones, whose verdicts overflow the receive buffer again and again: each has its own verdict in the end. */
static void test_lost_verdicts_of_good_rows(void)
{
	struct rig *rig = rig_new_ready();
	int smallest = 1;
	char *text = malloc(200 * 256), *out = text;

	for (unsigned i = 0; i < 256; i++)
		out += sprintf(out, "%c{kind: route, interface: web0, dst: 20.0.0.%u/32, gateway: 192.0.2.%u}", i ? ',' : '[', i,
			       i & 1 ? 255 : 2);
	strcpy(out, "]");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(setsockopt(rig->core->netns[rig->netns]->sock.fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)), 0);
	rig_put(rig, text);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 128);
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 128);
	CHECK(!strstr(rig->entries, "EEXIST"));
	CHECK_EQ(ours_in_kernel(rig), 129);
	free(text);
	rig_free(rig);
}

/* A socket that fails is no reason to try the same for ever: it is told, and another is opened. */
static void test_broken_socket(void)
{
	struct rig *rig = rig_new_ready();
	int fd;

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK_EQ(dup3(fd, rig->core->netns[rig->netns]->sock.fd, O_CLOEXEC), rig->core->netns[rig->netns]->sock.fd);
	close(fd);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}]");
	CHECK_EQ(rig->counts[NSP_STATE_FAILED], 1);
	CHECK_HAS(rig->entries, "errno: ENOTSOCK, message: send to a rtnetlink socket: Socket operation on non-socket");
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.9}]");
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 1);
	CHECK_HAS(in_kernel(rig, "10.0.0.0/8"), "via 192.0.2.9");
	rig_free(rig);
}

static void test_names_of_errors(void)
{
	for (int code = -1; code < 200; code++) {
		const char *name = nsp_errno_name(code), *known = strerrorname_np(code);
		if (code == EOPNOTSUPP)
			known = "EOPNOTSUPP";
		CHECK_STR(name ? name : "none", known && code ? known : "none");
	}
}

/* Who knows what one core makes of a key knows nothing of another. */
static void test_hashes_are_the_cores_own(void)
{
	struct nsp_core *one = nsp_core_new(NULL), *two = nsp_core_new(NULL);
	uint64_t x = 1, y = 2;
	uint32_t same = 0;

	for (int i = 0; i < 100; i++) {
		char key[16];
		snprintf(key, sizeof(key), "web%d", i);
		uint32_t a = nsp_slot_find(one, key), b = nsp_slot_find(two, key);
		uint8_t dst[16] = { 10, (uint8_t)i };
		same += one->slots[a]->hash == two->slots[b]->hash;
		same += hash_bytes(&one->table.secret, 1, dst, 13) == hash_bytes(&two->table.secret, 1, dst, 13);
	}
	CHECK(same < 4);
	for (int i = 0; i < 100000; i++) { /* and where there are no numbers of 128 bits it is the same hash */
		x = x * 6364136223846793005u + 1;
		y = y * 6364136223846793005u + x;
		if (hash_fold_by_halves(x, y) != hash_fold(x, y))
			break;
		same += i == 99999 ? 1000 : 0;
	}
	CHECK(same >= 1000);
	nsp_core_free(one);
	nsp_core_free(two);
}

/* A slot that has taken over the number of another is not taken for that one. */
static void test_generations_of_one_number(void)
{
	struct rig *rig = rig_new();
	uint32_t first = nsp_slot_find(rig->core, "one");

	nsp_slot_ready(rig->core, first, rig->netns, rig->link);
	uint32_t generation = rig->core->slots[first]->generation;
	CHECK_EQ(nsp_slot_free(rig->core, first), 0);
	CHECK_EQ(nsp_slot_find(rig->core, "two"), first);
	nsp_slot_ready(rig->core, first, rig->netns, rig->peer);
	CHECK(rig->core->slots[first]->generation != generation);
	rig_free(rig);
}

/* A forked child has a copy of the core in mid-change, its lock perhaps held by a writer that it does not have. */
static void test_freed_in_a_forked_child(void)
{
	struct rig *rig = rig_new_ready();
	int status;

	uint32_t ballast = rig_ballast(rig, 20000);
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();
		if (child == 0) {
			alarm(WAIT_MS / 1000);
			nsp_core_free(rig->core);
			nsp_core_free(rig->core);
			_exit(0);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
	}
	rig_end(rig, ballast);
	CHECK_EQ(rig->counts[NSP_STATE_CONFIGURED], 20000);
	rig_free(rig);
}

/* ---- reading rows ---- */

struct page_sum {
	uint32_t pages;
	long count;
};

static struct page_sum read_all(struct rig *rig, const char *prefix, uint32_t states, const char *source, size_t bytes)
{
	struct page_sum sum = { 0 };
	uint64_t cursor = 0;
	const uint8_t *data;
	size_t len;

	do {
		long count = nsp_core_rows(rig->core, prefix, states, source, &cursor, UINT32_MAX, bytes, &data, &len);
		struct mp_in in = { data, data ? data + len : NULL };
		for (long i = 0; i < count; i++)
			CHECK(mp_skip(&in));
		CHECK(in.p == in.end);
		sum.count += count;
		sum.pages++;
	} while (cursor);
	return sum;
}

static void test_pages(void)
{
	struct rig *rig = rig_new_ready();
	char *items = routes(0, 10000, "");

	CHECK_EQ(read_all(rig, "", 0, NULL, 1000).count, 0);
	rig_put(rig, items);
	rig_put_as(rig, "other",
		   "[{kind: arp, interface: web0, ip: 192.0.2.9, mac: 02:00:00:00:00:09}, {kind: route, interface: web0, dst: "
		   "10.0.0.0/8},"
		   " {kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 198.51.100.1}, {kind: route, interface: db0, dst: "
		   "10.0.0.0/8}]");
	CHECK_EQ(read_all(rig, "", 0, NULL, 1 << 30).pages, 1);
	CHECK_EQ(read_all(rig, "", 0, NULL, 1 << 30).count, 10004);
	struct page_sum sum = read_all(rig, "", 0, NULL, 50000);
	CHECK_EQ(sum.count, 10004);
	CHECK(sum.pages > 20 && sum.pages < 100);
	CHECK_EQ(read_all(rig, "arp/", 0, NULL, 50000).count, 1);
	CHECK_EQ(read_all(rig, "route/web0/20.0.1.", 0, NULL, 1000).count, 256);
	CHECK_EQ(read_all(rig, "route/db0/", 0, NULL, 1000).count, 1);
	CHECK_EQ(read_all(rig, "", 1 << NSP_STATE_PENDING, NULL, 1000).count, 2);
	CHECK_EQ(read_all(rig, "", 1 << NSP_STATE_PENDING | 1 << NSP_STATE_CONFIGURED, NULL, 1 << 20).count, 10004);
	CHECK_EQ(read_all(rig, "", 1 << NSP_STATE_FAILED, NULL, 1000).count, 0);
	CHECK_EQ(read_all(rig, "", 0, "other", 100).count, 4);
	CHECK_EQ(read_all(rig, "route/web0", 1 << NSP_STATE_CONFIGURED, "other", 100).count, 1);
	CHECK_EQ(read_all(rig, "", 0, "nobody", 100).count, 0);
	free(items);
	rig_free(rig);
}

/* ---- changes ---- */

static void test_changes(void)
{
	struct rig *rig = rig_new();
	long count;

	rig_lost(rig, "[interface/web0]", 0);
	rig_put(rig, "[{kind: route, interface: web0, dst: 11.0.0.0/8}]");
	rig_changes(rig, &count);
	CHECK_EQ(count, 0); /* nobody watches */

	nsp_core_watch(rig->core, 1);
	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	rig_ready(rig);
	rig_await(rig, "route/web0/10.0.0.0/8", "state: configured");
	rig_await(rig, "route/web0/11.0.0.0/8", "state: configured");
	const char *text = rig_changes(rig, &count);
	CHECK_HAS(text, "item/route/web0/11.0.0.0/8: {key: route/web0/11.0.0.0/8, state: configured, source: lab,");
	CHECK_HAS(text, "item: {kind: route, interface: web0, dst: 11.0.0.0/8}, previous: pending}");
	CHECK_HAS(text, "item/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: configured");

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8, gateway: 192.0.2.255}]");
	CHECK_HAS(rig_changes(rig, &count),
		  "state: retrying, source: lab, missing: [], errno: EINVAL, message: Nexthop has invalid gateway");
	CHECK_EQ(count, 1);
	rig_quiet(rig);
	rig_lost(rig, "[microservice/web]", 0);
	text = rig_changes(rig, &count);
	CHECK_EQ(count, 2);
	CHECK_HAS(text, "state: pending, source: lab, missing: [microservice/web]");
	CHECK_HAS(text, "previous: retrying}");
	CHECK_HAS(text, "previous: configured}");
	rig_delete(rig, "[route/web0/10.0.0.0/8]");
	CHECK_HAS(rig_changes(rig, &count),
		  "item/route/web0/10.0.0.0/8: {key: route/web0/10.0.0.0/8, state: removed, source: lab,");
	CHECK_EQ(count, 1);

	nsp_core_watch(rig->core, 0);
	rig_delete(rig, "[route/web0/11.0.0.0/8]");
	rig_changes(rig, &count);
	CHECK_EQ(count, 0);
	rig_free(rig);
}

static void test_sources_without_rows(void)
{
	struct rig *rig = rig_new_ready();
	uint32_t most = 0;
	char name[24];

	rig_put(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	uint32_t kept = nsp_core_origin(rig->core, "lab", 0);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "source %d", i);
		uint32_t number = nsp_core_origin(rig->core, name, 0);
		most = number > most ? number : most;
	}
	CHECK(most < 300);
	CHECK_EQ(nsp_core_origin(rig->core, "lab", 0), kept);
	CHECK_HAS(rig_row(rig, "route/web0/10.0.0.0/8"), "source: lab");
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_waits_for_its_interface();
	test_fields_reach_the_kernel();
	test_slot_of_a_kernel_interface();
	test_unchanged_is_not_written();
	test_changed_in_place();
	test_deleted();
	test_refused_in_the_kernels_words();
	test_few_bad_among_many();
	test_many_bad_at_once();
	test_lost_verdicts();
	test_lost_verdicts_of_good_rows();
	test_broken_socket();
	test_names_of_errors();
	test_hashes_are_the_cores_own();
	test_generations_of_one_number();
	test_sources_without_rows();
	test_freed_in_a_forked_child();
	test_pages();
	test_changes();
	return test_end();
}
