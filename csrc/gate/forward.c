/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "gate/forward.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gate/input.h"
#include "wire/text.h"

#define PROTOCOL "nsplane-gate/1"

static void say(char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, GATE_REASON_MAX + 1, format, args);
	va_end(args);
}

/* Seconds, with up to three digits behind a point: at the least one millisecond, at most an hour. */
static bool parse_deadline(const char *text, int *ms)
{
	long whole = 0, part = 0, unit = 100;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if ((whole = whole * 10 + (*at - '0')) > 3600)
			return false;
	if (at == text)
		return false;
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9' && unit; at++, unit /= 10)
			part += unit * (*at - '0');
	whole = whole * 1000 + part;
	if (*at || whole < 1 || whole > 3600 * 1000)
		return false;
	*ms = (int)whole;
	return true;
}

bool gate_set(struct gate *gate, const char *name, const char *value, const char *whose, char *reason)
{
	const char *wanted = NULL;

	if (strcmp(name, "socket") == 0) {
		if (value[0] != '/' || strlen(value) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			wanted = "an absolute path of at most 107 bytes";
		gate->socket = value;
	} else if (strcmp(name, "policy") == 0) {
		gate->closed = strcmp(value, "closed") == 0;
		if (!gate->closed && strcmp(value, "open") != 0)
			wanted = "open or closed";
	} else if (strcmp(name, "deadline") == 0) {
		if (!parse_deadline(value, &gate->deadline_ms))
			wanted = "seconds, from 0.001 to 3600";
	} else {
		if (!value[0] || strlen(value) > 200)
			wanted = "a key of 1 to 200 bytes";
		gate->environment_key = value;
	}
	if (!wanted)
		return true;
	say(reason, "%s is %s, not '%.200s'", whose, wanted, value);
	return false;
}

bool gate_settings(struct gate *gate, char *reason)
{
	static const char *const names[][2] = {
		{ "socket", "NSPLANE_GATE" },
		{ "policy", "NSPLANE_GATE_POLICY" },
		{ "deadline", "NSPLANE_GATE_DEADLINE" },
		{ "environment-key", "NSPLANE_GATE_ENVIRONMENT_KEY" },
	};
	const char *value;

	*gate = (struct gate){ GATE_SOCKET, 10 * 1000, false, "MICROSERVICE_LABEL" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((value = getenv(names[i][1])) && value[0] && !gate_set(gate, names[i][0], value, names[i][1], reason))
			return false;
	return true;
}

static void append(struct gate_request *request, const char *text, size_t len)
{
	/* Two bytes are left for the NUL of this string, and for the empty one at the end. */
	if (request->wrong || len > sizeof(request->data) - 2 - request->len || memchr(text, 0, len)) {
		request->wrong = true;
		return;
	}
	memcpy(request->data + request->len, text, len);
	request->len += len;
}

static void end_string(struct gate_request *request)
{
	if (!request->wrong)
		request->data[request->len++] = 0;
	if (request->len > sizeof(request->data) - 2)
		request->wrong = true;
}

void gate_request_begin(struct gate_request *request, const char *verb)
{
	request->len = 0;
	request->wrong = false;
	append(request, PROTOCOL, strlen(PROTOCOL));
	end_string(request);
	append(request, verb, strlen(verb));
	end_string(request);
}

void gate_request_add(struct gate_request *request, const char *name, const char *value, size_t len)
{
	append(request, name, strlen(name));
	append(request, "=", 1);
	append(request, value, len);
	end_string(request);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the socket is ready. False where the deadline comes first. */
static bool ready(int fd, short events, int64_t end)
{
	struct pollfd waiting = { .fd = fd, .events = events };
	int64_t left;
	int got;

	do {
		left = end - now_ms();
		got = left > 0 ? poll(&waiting, 1, (int)left) : 0;
	} while (got < 0 && errno == EINTR);
	return got > 0;
}

/* What stands here goes to people, and some engines take words of it for their own: podman "No such file" for a missing command. */
static const char *without_gate(int error)
{
	switch (error) {
	case ENOENT:
		return "nothing is there";
	case ECONNREFUSED:
		return "nobody listens";
	case EAGAIN:
	case EINPROGRESS:
		return "it takes no connection";
	default:
		return strerror(error);
	}
}

static int connect_to(const struct gate *gate, int64_t end, char *reason)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;
	int64_t left = end - now_ms();

	if (fd < 0) {
		say(reason, "the gate cannot be asked: socket: %s", strerror(errno));
		return -1;
	}
	/* A connect to a unix socket whose queue is full waits as long as a send may. A time of zero would be for ever. */
	left = left > 0 ? left : 1;
	struct timeval patience = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	memcpy(address.sun_path, gate->socket, strlen(gate->socket));
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR && now_ms() < end)
			continue;
		error = errno;
		close(fd);
		say(reason, "the gate at %s cannot be reached: %s", gate->socket, without_gate(error));
		return -1;
	}
	return fd;
}

/* Sends all of it. An end of the other's is no failure yet: it may have answered before. */
static bool send_all(int fd, const char *data, size_t len, int64_t end)
{
	while (len) {
		ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0) {
			data += sent;
			len -= (size_t)sent;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return true;
		} else if (errno != EINTR && (errno != EAGAIN || !ready(fd, POLLOUT, end))) {
			return false;
		}
	}
	return true;
}

enum gate_answer gate_answer_parse(const char *data, size_t len, char *reason)
{
	static const char *const words[] = {
		[GATE_OK] = "ok", [GATE_IGNORED] = "ignored", [GATE_REFUSED] = "refused", [GATE_LATE] = "late"
	};
	const char *text = memchr(data, 0, len), *end;
	size_t count;

	reason[0] = 0;
	if (!text || !(end = memchr(text + 1, 0, len - (size_t)(text + 1 - data))) || end + 1 != data + len)
		return GATE_NONE;
	text++;
	count = (size_t)(end - text);
	if (count > GATE_REASON_MAX)
		return GATE_NONE;
	memcpy(reason, text, count + 1);
	if (!text_is_clean((const uint8_t *)reason, count))
		for (size_t i = 0; i < count; i++)
			if ((unsigned char)reason[i] < 0x20 || (unsigned char)reason[i] > 0x7e)
				reason[i] = '?';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(data, words[i]) == 0)
			return (enum gate_answer)i;
	return GATE_NONE;
}

/* Receives until the other end is closed. */
static enum gate_answer receive(int fd, const struct gate *gate, int64_t end, char *reason)
{
	char answer[GATE_ANSWER_MAX];
	size_t len = 0;
	ssize_t got;

	for (;;) {
		if (!ready(fd, POLLIN, end)) {
			say(reason, "the gate at %s has not answered within %d.%03d s", gate->socket, gate->deadline_ms / 1000,
			    gate->deadline_ms % 1000);
			return GATE_NONE;
		}
		got = recv(fd, answer + len, sizeof(answer) - len, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got > 0)
			len += (size_t)got;
		if (got <= 0 || len == sizeof(answer))
			break;
	}
	enum gate_answer word = gate_answer_parse(answer, len, reason);
	if (word == GATE_NONE)
		say(reason, "the gate at %s has ended %s", gate->socket, len ? "with an answer that is none" : "without an answer");
	else if (word != GATE_OK && word != GATE_IGNORED && !reason[0])
		say(reason, "the gate gave no reason");
	return word;
}

enum gate_answer gate_ask(const struct gate *gate, struct gate_request *request, char *reason)
{
	/* The gate's own deadline is earlier, so that its reason arrives. */
	int told = gate->deadline_ms > 200 ? gate->deadline_ms - 100 : (gate->deadline_ms + 1) / 2, fd;
	int64_t end = now_ms() + gate->deadline_ms;
	enum gate_answer answer;
	char number[16];

	snprintf(number, sizeof(number), "%d", told);
	gate_request_add(request, "deadline_ms", number, strlen(number));
	end_string(request);
	if (request->wrong) {
		say(reason, "what the gate is to be told has a NUL in it, or is longer than %d KiB", GATE_REQUEST_MAX / 1024);
		return GATE_NONE;
	}
	fd = connect_to(gate, end, reason);
	if (fd < 0)
		return GATE_NONE;
	if (send_all(fd, request->data, request->len, end)) {
		answer = receive(fd, gate, end, reason);
	} else {
		answer = GATE_NONE;
		say(reason, "the gate at %s does not take what it is asked", gate->socket);
	}
	close(fd);
	return answer;
}

bool gate_finds_label(const struct gate *gate, const char *text, size_t len)
{
	static const char annotation[] = "\"" GATE_ANNOTATION "\"";
	char variable[208];
	int count = snprintf(variable, sizeof(variable), "\"%s=", gate->environment_key);

	return memmem(text, len, variable, (size_t)count) || memmem(text, len, annotation, strlen(annotation));
}

bool gate_bundle_has_label(const struct gate *gate, const char *bundle)
{
	char path[PATH_MAX + 16];
	bool has = true;
	size_t len;

	if (snprintf(path, sizeof(path), "%s/config.json", bundle) >= (int)sizeof(path))
		return true;
	char *text = input_read_path(path, INPUT_MAX, &len);
	if (text)
		has = gate_finds_label(gate, text, len);
	free(text);
	return has;
}
