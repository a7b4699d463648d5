/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as the items that are wanted: all of them, and what a request would change. */
#include "rig.h"

static void rig_put_generation(struct rig *rig, const char *source, uint64_t generation, const char *items)
{
	uint32_t serial = rig_start_as(rig, source, generation, items, false);

	rig_end(rig, serial);
}

/* Every run of items, one a line: "lab/2: [...]". */
static char *all_items(struct rig *rig, size_t bytes)
{
	struct mp_out text = { 0 };
	const uint8_t *data;
	uint64_t cursor = 0, generation;
	uint32_t origin;
	char head[64];
	size_t len;

	do {
		long count = nsp_core_items(rig->core, &cursor, bytes, &origin, &data, &len);
		if (!count)
			continue;
		const char *source = nsp_core_origin_source(rig->core, origin, &generation);
		int n = snprintf(head, sizeof(head), "%s/%llu %ld: ", source, (unsigned long long)generation, count);
		mp_put_raw(&text, head, (size_t)n);
		mp_put_raw(&text, shown(data, len), strlen(shown(data, len)));
	} while (cursor);
	mp_put_byte(&text, 0);
	return (char *)text.data;
}

static void test_all_that_is_wanted(void)
{
	struct rig *rig = rig_new_ready();

	rig_put_generation(rig, "lab", 0, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	rig_put_generation(rig, "lab", 2,
			   "[{kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.9, metric: 7, prefsrc: 192.0.2.1},"
			   " {kind: arp, interface: later, ip: 192.0.2.9, mac: 02:00:00:00:00:09}]");
	rig_put_generation(rig, "two", 0, "[{kind: route, interface: web0, dst: 12.0.0.0/8}]");
	rig_end(rig, rig_start_delete(rig, "two", "[route/web0/12.0.0.0/8]", 0));
	char *text = all_items(rig, 1 << 20);
	CHECK_HAS(text, "lab/0 1: {kind: route, interface: web0, dst: 10.0.0.0/8}");
	CHECK_HAS(text,
		  "lab/2 2: {kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.9, metric: 7, prefsrc: 192.0.2.1}");
	CHECK_HAS(text, "{kind: arp, interface: later, ip: 192.0.2.9, mac: 02:00:00:00:00:09}");
	CHECK(!strstr(text, "12.0.0.0"));
	free(text);

	/* In many small pieces the same. */
	text = all_items(rig, 1);
	CHECK_HAS(text, "lab/2 1: {kind: route, interface: web0, dst: 11.0.0.0/8");
	CHECK_HAS(text, "lab/2 1: {kind: arp");
	free(text);
	rig_free(rig);
}

static const char *compared(struct rig *rig, const char *source, const char *list, const char *text, uint32_t flags)
{
	const uint8_t *data;
	size_t len;

	rig_read(rig, list, text);
	nsp_core_compare(rig->core, rig->frame, nsp_core_origin(rig->core, source, 0), flags, &data, &len);
	return shown(data, len);
}

static void test_what_a_request_would_change(void)
{
	struct rig *rig = rig_new_ready();
	const uint8_t *data;
	size_t len;

	rig_put_generation(rig, "lab", 3,
			   "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8}]");
	const char *text =
		compared(rig, "lab", "items",
			 "[{kind: route, interface: web0, dst: 10.0.0.0/8}, {kind: route, interface: web0, dst: 11.0.0.0/8,"
			 " gateway: 192.0.2.9}, {kind: arp, interface: never, ip: 192.0.2.9, mac: 02:00:00:00:00:09}]",
			 0);
	CHECK_HAS(text, "{key: route/web0/10.0.0.0/8, action: unchanged, interface: web0, source: lab, generation: 3,");
	CHECK_HAS(
		text,
		"{key: route/web0/11.0.0.0/8, action: change, interface: web0, source: lab, generation: 3, state: configured, "
		"before: {kind: route,"
		" interface: web0, dst: 11.0.0.0/8}, after: {kind: route, interface: web0, dst: 11.0.0.0/8, gateway: 192.0.2.9}}");
	CHECK_HAS(
		text,
		"{key: arp/never/192.0.2.9, action: create, interface: never, source: nil, generation: 0, state: nil, before: nil, "
		"after: {kind:"
		" arp, interface: never, ip: 192.0.2.9, mac: 02:00:00:00:00:09}}");
	CHECK_EQ(nsp_slot_find(rig->core, "web0"), rig->slot);

	text = compared(rig, "two", "keys", "[route/web0/10.0.0.0/8, route/web0/12.0.0.0/8]", 0);
	CHECK_HAS(text, "{key: route/web0/10.0.0.0/8, action: conflict, interface: web0, source: lab,");
	CHECK_HAS(text, "{key: route/web0/12.0.0.0/8, action: absent, interface: web0, source: nil, generation: 0, state: nil, "
			"before: nil, "
			"after: nil}");
	CHECK_HAS(compared(rig, "two", "keys", "[route/web0/10.0.0.0/8]", NSP_FORCE), "action: delete");

	/* What the frame does not name would be swept away, and of older generations. */
	rig_read(rig, "items", "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(nsp_core_compare_sweep(rig->core, rig->frame, nsp_core_origin(rig->core, "lab", 0), &data, &len), 1);
	CHECK_HAS(shown(data, len), "{key: route/web0/11.0.0.0/8, action: delete, interface: web0, source: lab, generation: 3,");
	CHECK_EQ(nsp_core_compare_sweep(rig->core, NULL, nsp_core_origin(rig->core, "lab", 3), &data, &len), 0);
	CHECK_EQ(nsp_core_compare_sweep(rig->core, NULL, nsp_core_origin(rig->core, "lab", 4), &data, &len), 2);
	CHECK_EQ(nsp_core_compare_sweep(rig->core, NULL, nsp_core_origin(rig->core, "two", 4), &data, &len), 0);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	test_all_that_is_wanted();
	test_what_a_request_would_change();
	return test_end();
}
