/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - how an OCI runtime was called, and what that runtime knows of a container. */
#ifndef NSPLANE_GATE_CALL_H
#define NSPLANE_GATE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/forward.h"

struct call {
	const char *root, *log, *log_format; /* of the runtime's own options; NULL where they are not given */
	const char *command;		     /* NULL where there is none */
	const char *id;			     /* what stands behind `start`, or NULL */
	const char *runtime;		     /* of --nsplane-runtime or NSPLANE_RUNC, else "runc" */
	struct gate gate;
	char wrong[GATE_REASON_MAX + 1]; /* what of the gate's settings cannot be used; empty where all can */
};

/* Reads arguments, and takes those out that begin with --nsplane-: they are not the runtime's. */
void call_read(struct call *call, char **argv);

/* What a runtime has written of a container that it has created. */
struct container {
	pid_t pid;
	int64_t start_time; /* of the process, in clock ticks since the boot */
	char bundle[4096];
};

/* Of runc's state.json, or crun's status. False where something is missing. */
bool container_read(struct container *container, const char *text, size_t len);

enum container_found {
	CONTAINER_CREATED, /* waits for its start */
	CONTAINER_OTHER,   /* there, but started already */
	CONTAINER_UNKNOWN, /* no such container, or not of a runtime that writes what is known here */
};

enum container_found container_find(struct container *container, const struct call *call);

#endif
