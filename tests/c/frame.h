/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - requests that are written as text, decoded. */
#ifndef TEST_FRAME_H
#define TEST_FRAME_H

#include "items.h"

#include "bodies.h"

#include "core/frame.h"
#include "wire/prefix.h"

#define ROUTE "kind: route, interface: web0, dst: 10.0.0.0/8"
#define ROUTE6 "kind: route, interface: web0, dst: fd00::/8"
#define ARP "kind: arp, interface: web0, ip: 10.0.0.9"

static struct nsp_frame *frame;
static struct mp_out bytes;
static struct nsp_error error;

/* Reads a request that is written as text. A copy of exactly its length is what the sanitizers watch. */
static inline int read_frame(const uint8_t *data, size_t len)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len ? len : 1);
	if (len)
		memcpy(copy, data, len);
	memset(&error, 0, sizeof(error));
	return nsp_frame_read(frame, copy, len, &error);
}

static inline struct nsp_frame_view read_text(const char *request)
{
	struct nsp_frame_view view;

	bytes.len = 0;
	put_value(&bytes, request);
	CHECK_EQ(read_frame(bytes.data, bytes.len), 0);
	nsp_frame_view(frame, &view);
	return view;
}

/* One item that has to be good. */
static inline const struct decoded *item(const char *text)
{
	static const struct decoded none;
	char request[4096];

	snprintf(request, sizeof(request), "{items: [%s]}", text);
	struct nsp_frame_view view = read_text(request);
	if (view.bulk == 1 && view.invalid == 0 && view.others == 0) {
		test_passed++;
		return &frame->bulk[0];
	}
	struct nsp_fault fault = { .text = "it is left to the engine" };
	nsp_frame_fault(frame, 0, &fault);
	printf("%s: %s: %s\n", text, fault.field, fault.text);
	test_failed++;
	return &none;
}

static inline const char *slot(const struct decoded *decoded)
{
	return frame_slot(frame, decoded);
}

static inline const char *ip(const uint8_t *address, bool v6)
{
	static char text[4][INET6_ADDRSTRLEN];
	static int next;
	char *out = text[next++ & 3];

	prefix_format_ip(out, v6, address);
	return out;
}

/* One item that has to be refused. */
static inline void refused(const char *text, const char *field, const char *sentence)
{
	char request[4096];
	struct nsp_fault fault = { 0 };

	snprintf(request, sizeof(request), "{items: [{kind: veth}, %s, {kind: veth}]}", text);
	struct nsp_frame_view view = read_text(request);
	nsp_frame_fault(frame, 0, &fault);
	if (view.invalid == 1 && view.bulk == 0 && view.others == 2 && view.count == 3 && fault.index == 1 &&
	    !strcmp(fault.field, field) && strstr(fault.text, sentence)) {
		test_passed++;
		return;
	}
	test_failed++;
	printf("%s: %u invalid, '%s': '%s' in place of '%s': '%s'\n", text, view.invalid, fault.field, fault.text, field, sentence);
}

static inline int frame_tests_end(void)
{
	read_frame(NULL, 0);
	nsp_frame_free(frame);
	mp_free(&bytes);
	return test_end();
}

#endif
