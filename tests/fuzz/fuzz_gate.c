/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs at the gate read: what runc and crun have written of a container, what CNI hands on, how they are called, and what the
 * gate answers. The linker has them call what stands here in place of sockets and files.
 *
 *   | what it is, 1 byte | text ... |
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"

#include <stdio.h>
#include <sys/poll.h>

#include "gate/call.h"
#include "gate/cni.h"
#include "gate/forward.h"
#include "gate/input.h"
#include "gate/json.h"
#include "wire/text.h"

/* ---- the other side ---- */

static struct bytes other_side;
static struct bytes file;

int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	return dup(STDERR_FILENO);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	static const int errors[] = { ECONNREFUSED, EAGAIN, EACCES, ENOENT };
	uint8_t how = take_byte(&other_side);

	(void)fd;
	need(len >= sizeof(sa_family_t) + strlen(address->sa_data));
	errno = errors[how & 3];
	return how & 0x80 ? -1 : 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	need(count == 1 && timeout > 0);
	fds->revents = fds->events;
	return take_byte(&other_side) == 0xff ? 0 : 1;
}

/* As much as a byte of the input says. */
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	size_t most = 1 + ((size_t)take_byte(&other_side) << 11);

	(void)fd;
	(void)flags;
	need(len && buf);
	if (other_side.at < other_side.end && *other_side.at == 0xfe) {
		other_side.at++;
		errno = EPIPE;
		return -1;
	}
	return (ssize_t)(len > most && other_side.at < other_side.end ? most : len);
}

ssize_t __wrap_recv(int fd, void *buf, size_t cap, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t cap, int flags)
{
	struct bytes part = take_part(&other_side);
	size_t len = bytes_left(&part);

	(void)fd;
	(void)flags;
	if (len > cap)
		len = cap;
	memcpy(buf, part.at, len);
	return (ssize_t)len;
}

char *__wrap_input_read_path(const char *path, size_t max, size_t *len);
char *__wrap_input_read_path(const char *path, size_t max, size_t *len)
{
	need(path[0] && bytes_left(&file) < max);
	*len = bytes_left(&file);
	return *len ? exact(file.at, *len) : NULL;
}

/* ---- what is read ---- */

static void need_line(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	need(len < cap && text_is_clean((const uint8_t *)text, len));
}

static void walk(struct json value, unsigned depth)
{
	struct json_walk members;
	struct json name, member;
	char text[64];
	int64_t number;

	need(value.len);
	if (json_string(value, text, sizeof(text)))
		need(strlen(text) < sizeof(text) && value.at[0] == '"');
	if (json_number(value, &number))
		need(number >= 0 && value.at[0] >= '0' && value.at[0] <= '9');
	if (depth > 8 || !json_open(value, &members))
		return;
	while (json_next(&members, &name, &member)) {
		need(member.at > value.at && member.at + member.len < value.at + value.len);
		walk(member, depth + 1);
	}
}

static void read_json(const char *text, size_t len)
{
	struct json value;

	if (json_value(text, len, &value))
		walk(value, 0);
}

static void read_container(const char *text, size_t len)
{
	struct container container;

	if (!container_read(&container, text, len))
		return;
	need(container.pid > 0 && container.start_time >= 0 && container.bundle[0] == '/');
	need(strnlen(container.bundle, sizeof(container.bundle)) < sizeof(container.bundle));
}

static void read_answer(const char *text, size_t len)
{
	char *reason = malloc(GATE_REASON_MAX + 1);

	need(reason);
	enum gate_answer answer = gate_answer_parse(text, len, reason);
	need(answer <= GATE_NONE);
	if (answer != GATE_NONE)
		need_line(reason, GATE_REASON_MAX + 1);
	free(reason);
}

/* A text as a string says the same again, as far as it goes. */
static void quote(const char *text, size_t len)
{
	for (size_t size = 3; size < 6 * len + 4; size += 1 + size / 2) {
		char *quoted = malloc(size), *back = malloc(len + 1), *copy = strndup(text, len);
		need(quoted && back && copy);
		size_t count = json_quote(copy, quoted, size);
		struct json value = { NULL, 0 };
		need(count < size && count >= 2 && !quoted[count] && json_value(quoted, count, &value) && value.len == count);
		need(json_string(value, back, len + 1) && strlen(back) <= strlen(copy));
		if (text_is_utf8((const uint8_t *)copy, strlen(copy)))
			need(!memcmp(back, copy, strlen(back)) && text_is_utf8((const uint8_t *)back, strlen(back)));
		free(quoted);
		free(back);
		free(copy);
	}
}

/* CNI_ARGS, a NUL, and the configuration. */
static void read_cni(const char *text, size_t len)
{
	static char texts[CNI_SETTINGS][256];
	static struct gate_request request;
	const char *end = memchr(text, 0, len);
	char reason[GATE_REASON_MAX + 1] = "";
	struct cni cni = { .command = "ADD", .id = "id", .args = end ? text : NULL };
	struct gate gate;

	if (end) {
		len -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	char *copy = exact(text, len);
	enum cni_read read = cni_read(&cni, copy, len);
	need_line(cni.version, sizeof(cni.version));
	if (read != CNI_READ_NO_OBJECT) {
		need(cni.config.at >= copy && cni.config.at + cni.config.len <= copy + len);
		need(!cni.before.len || (cni.before.at >= copy && cni.before.at + cni.before.len <= copy + len));
		bool usable = cni_settings(&cni, &gate, texts, reason);
		need(usable || reason[0]);
		need(strnlen(reason, sizeof(reason)) < sizeof(reason));
		if (usable) {
			need(gate.deadline_ms > 0 && gate.socket[0] == '/');
			cni_names_label(&cni, &gate);
			gate_request_begin(&request, "add");
			gate_request_add(&request, "config", cni.config.at, cni.config.len);
			need(request.wrong == !!memchr(cni.config.at, 0, cni.config.len) && request.len < sizeof(request.data));
		}
	}
	free(copy);
}

#define ARGUMENTS 16

/* Arguments with NULs behind them; what is for the runtime stays, in its order. */
static void read_call(const char *text, size_t len)
{
	char *copy = malloc(len + 1), *argv[ARGUMENTS + 2] = { NULL }, *before[ARGUMENTS + 2];
	static struct container container;
	static struct call call;
	size_t count = 0, kept = 0, at = 0;

	need(copy);
	memcpy(copy, text, len);
	copy[len] = 0;
	argv[count++] = (char *)(uintptr_t)"nsplane-runc";
	for (; at < len && count <= ARGUMENTS; at += strlen(copy + at) + 1)
		argv[count++] = copy + at;
	memcpy(before, argv, sizeof(before));
	call_read(&call, argv);
	need(argv[0] == before[0] && call.runtime && call.gate.socket && call.gate.environment_key);
	for (size_t i = 1; argv[++kept];) {
		while (i < count && before[i] != argv[kept])
			i++;
		need(i++ < count);
	}
	need(kept <= count);
	need(strnlen(call.wrong, sizeof(call.wrong)) < sizeof(call.wrong));
	if (call.id)
		container_find(&container, &call);
	free(copy);
}

static void set(const char *text, size_t len)
{
	static const char *const names[] = { "socket", "policy", "deadline", "environment-key" };
	char reason[GATE_REASON_MAX + 1] = "", *copy = strndup(text, len);
	struct gate gate;

	for (unsigned i = 0; i < 4; i++) {
		need(gate_settings(&gate, reason));
		bool taken = gate_set(&gate, names[i], copy, "it", reason);
		need(taken ? gate.deadline_ms > 0 && gate.deadline_ms <= 3600 * 1000 && strlen(gate.socket) < 108 : reason[0]);
		if (taken)
			gate_finds_label(&gate, text, len);
	}
	free(copy);
}

/* The container's bundle and the gate's side, both from the input. */
static void ask(const char *text, size_t len)
{
	static struct gate_request request;
	char reason[GATE_REASON_MAX + 1] = "";
	struct bytes bytes = { (const uint8_t *)text, (const uint8_t *)text + len };
	struct bytes bundle = file = take_part(&bytes);
	struct gate gate;

	need(gate_settings(&gate, reason));
	gate_bundle_has_label(&gate, "/");
	other_side = bytes;
	gate_request_begin(&request, "create");
	gate_request_add(&request, "state", (const char *)bundle.at, bytes_left(&bundle));
	enum gate_answer answer = gate_ask(&gate, &request, reason);
	need(answer <= GATE_NONE && strnlen(reason, sizeof(reason)) < sizeof(reason));
	need(answer == GATE_OK || answer == GATE_IGNORED || reason[0]);
	need(!request.wrong || answer == GATE_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *text, size_t len) = { read_json, read_container, read_answer, quote,
									 read_cni,  read_call,	    set,	 ask };

	if (size < 1)
		return 0;
	char *copy = exact(data + 1, size - 1);
	file = (struct bytes){ data, data + size };
	readers[data[0] & 7](copy, size - 1);
	free(copy);
	return 0;
}
