/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - asks the gate whether a container may start, waits for its answer, and decides where none comes.
 *
 * What is asked goes over a unix stream socket, one request a connection: strings, each ended by a NUL, that are the protocol's name, what
 * is asked, fields NAME=VALUE, and an empty one. The answer is a word and a reason, each ended by a NUL. All of it has a limit: in bytes,
 * and in time.
 */
#ifndef NSPLANE_GATE_FORWARD_H
#define NSPLANE_GATE_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_SOCKET "/run/nsplane/gate.sock"
#define GATE_ANNOTATION "io.nsplane.label" /* of a container with a microservice's label */
#define GATE_REQUEST_MAX (256 * 1024)
#define GATE_REASON_MAX 1000
#define GATE_ANSWER_MAX (GATE_REASON_MAX + 32)

/* How the gate is reached, and what is done without it. */
struct gate {
	const char *socket;
	int deadline_ms;
	bool closed;		     /* without an answer a container that has a label does not start */
	const char *environment_key; /* of the environment variable with a microservice's label */
};

enum gate_answer {
	GATE_OK,
	GATE_IGNORED, /* it has no label: nothing was waited for */
	GATE_REFUSED,
	GATE_LATE, /* the gate is there, and has not seen the end of it within the deadline */
	GATE_NONE, /* it is not there, or says nothing that can be understood */
};

struct gate_request {
	size_t len;
	bool wrong; /* something did not fit, or has a NUL in it */
	char data[GATE_REQUEST_MAX];
};

/*
 * The settings: defaults, and in their place NSPLANE_GATE, NSPLANE_GATE_POLICY, NSPLANE_GATE_DEADLINE and NSPLANE_GATE_ENVIRONMENT_KEY of
 * the environment. False where one of them cannot be used; `reason` (GATE_REASON_MAX + 1 bytes, as everywhere) says which.
 */
bool gate_settings(struct gate *gate, char *reason);

/* One of them by its name: `socket`, `policy`, `deadline` or `environment-key`. `whose` is what a refusal calls it. */
bool gate_set(struct gate *gate, const char *name, const char *value, const char *whose, char *reason);

void gate_request_begin(struct gate_request *request, const char *verb);
void gate_request_add(struct gate_request *request, const char *name, const char *value, size_t len);

/* Asks. Returns within the deadline, with the reason of a refusal, or of there being no answer: one printable line. */
enum gate_answer gate_ask(const struct gate *gate, struct gate_request *request, char *reason);

/* Reads an answer; GATE_NONE where it is none. */
enum gate_answer gate_answer_parse(const char *data, size_t len, char *reason);

/* Does this text, a config.json or what CNI hands on, name a label in a variable or an annotation? Looks for their names alone. */
bool gate_finds_label(const struct gate *gate, const char *text, size_t len);

/* Does the bundle's config.json name one? One that cannot be read might. */
bool gate_bundle_has_label(const struct gate *gate, const char *bundle);

#endif
