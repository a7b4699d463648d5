/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsplane-runc - an OCI runtime in front of another one, which holds a container's start until its network is there.
 *
 *	nsplane-runc [--nsplane-runtime RUNTIME] [--nsplane-gate SOCKET] [--nsplane-policy open|closed] [--nsplane-deadline SECONDS]
 *		     [--nsplane-environment-key NAME] ARGUMENT...
 *
 * Of `start` it asks the gate, and waits. All else it leaves to the runtime, which it becomes. Where the start is refused it ends the
 * container's process, which waits for it, and says why where the runtime would.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gate/call.h"
#include "gate/json.h"

#define REAPED_WITHIN_MS 5000

/* A line in the log that the caller reads, in the runtime's own format. */
static void log_line(const struct call *call, const char *level, const char *text)
{
	const char *path = call->log, *files = "file:";
	char quoted[6 * GATE_REASON_MAX + 600], line[sizeof(quoted) + 100], when[32];
	time_t now = time(NULL);
	int fd = STDERR_FILENO, count;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	json_quote(text, quoted, sizeof(quoted));
	if (call->log_format && strcmp(call->log_format, "json") == 0)
		count = snprintf(line, sizeof(line), "{\"level\":\"%s\",\"msg\":%s,\"time\":\"%s\"}\n", level, quoted, when);
	else
		count = snprintf(line, sizeof(line), "time=\"%s\" level=%s msg=%s\n", when, level, quoted);
	if (path && strncmp(path, files, strlen(files)) == 0) /* as crun has it */
		path += strlen(files);
	if (path && path[0]) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0)
			fd = STDERR_FILENO;
	}
	while (write(fd, line, (size_t)count) < 0 && errno == EINTR)
		;
	if (fd != STDERR_FILENO)
		close(fd);
}

/* As runc does, on stderr too where that is not the log. */
static int fail(const struct call *call, const char *text)
{
	log_line(call, "error", text);
	if (call->log && call->log[0])
		fprintf(stderr, "%s\n", text);
	return 1;
}

/* Is it the same program as this one? It would call itself for ever. */
static bool is_self(const char *path)
{
	struct stat self, other;

	return stat("/proc/self/exe", &self) == 0 && stat(path, &other) == 0 && self.st_dev == other.st_dev &&
	       self.st_ino == other.st_ino;
}

/* Becomes the runtime. Returns where that cannot be. */
static int become(const struct call *call, char **argv)
{
	const char *path = getenv("PATH"), *next, *name = call->runtime;
	char file[PATH_MAX], text[PATH_MAX + 100];
	int error = ENOENT;

	if (strchr(name, '/')) {
		if (is_self(name)) {
			snprintf(text, sizeof(text), "nsplane-runc: the runtime %s is nsplane-runc itself", name);
			return fail(call, text);
		}
		argv[0] = (char *)name;
		execv(name, argv);
		error = errno;
	} else {
		if (!path || !path[0])
			path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
		for (; path; path = *next ? next + 1 : NULL) {
			next = strchrnul(path, ':');
			if (next == path ||
			    snprintf(file, sizeof(file), "%.*s/%s", (int)(next - path), path, name) >= (int)sizeof(file) ||
			    access(file, X_OK) < 0 || is_self(file))
				continue;
			argv[0] = file;
			execv(file, argv);
			error = errno;
		}
	}
	snprintf(text, sizeof(text), "nsplane-runc: the runtime %.4000s cannot be run: %s", name,
		 error == ENOENT ? "it is not there" : strerror(error));
	return fail(call, text);
}

/* When the kernel started this process, in clock ticks since the boot (field 22 of proc_pid_stat(5)); -1 where it has ended. */
static long long start_time(pid_t pid)
{
	char path[64], text[1024], *at;
	long long ticks = -1;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return -1;
	text[got] = 0;
	/* What stands before the last bracket is the program's name, with whatever is in it. */
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		ticks = strtoll(at, NULL, 10);
	return ticks;
}

/*
 * Ends the process that waits for the start, and waits until it is reaped: an engine that asks before would find it alive, and leave it
 * and its shim for ever. It is known by the time of its start too, so that no other is hit that has its number now.
 */
static void end_process(const struct container *container)
{
	struct timespec moment = { .tv_nsec = 1000 * 1000 };
	int fd = (int)syscall(SYS_pidfd_open, container->pid, 0);

	if (fd < 0)
		return;
	if (start_time(container->pid) == container->start_time && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0) {
		struct pollfd ended = { .fd = fd, .events = POLLIN };
		poll(&ended, 1, REAPED_WITHIN_MS);
		for (int i = 0; i < REAPED_WITHIN_MS && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0; i++)
			nanosleep(&moment, NULL);
	}
	close(fd);
}

/* Whether it may start, where it waits for that; `text` says why not. */
static bool may_start(const struct call *call, const struct container *container, char *text, size_t size)
{
	static struct gate_request request;
	char reason[GATE_REASON_MAX + 1], pid[16];
	enum gate_answer answer;

	snprintf(pid, sizeof(pid), "%d", container->pid);
	gate_request_begin(&request, "start");
	gate_request_add(&request, "id", call->id, strlen(call->id));
	gate_request_add(&request, "bundle", container->bundle, strlen(container->bundle));
	gate_request_add(&request, "pid", pid, strlen(pid));
	answer = gate_ask(&call->gate, &request, reason);
	if (answer == GATE_OK || answer == GATE_IGNORED)
		return true;
	if (answer != GATE_REFUSED && !gate_bundle_has_label(&call->gate, container->bundle))
		return true;
	if (answer != GATE_REFUSED && !call->gate.closed) {
		snprintf(text, size, "nsplane: started without its network: %s", reason);
		log_line(call, "warning", text);
		return true;
	}
	snprintf(text, size, "nsplane: %s", reason);
	return false;
}

int main(int argc, char **argv)
{
	static struct container container;
	static struct call call;
	char text[GATE_REASON_MAX + 100];

	(void)argc;
	call_read(&call, argv);
	/* Wrong settings keep nobody from ending a container. */
	if (call.wrong[0] && call.command && (strcmp(call.command, "create") == 0 || strcmp(call.command, "start") == 0)) {
		snprintf(text, sizeof(text), "nsplane-runc: %s", call.wrong);
		return fail(&call, text);
	}
	if (call.id) {
		switch (container_find(&container, &call)) {
		case CONTAINER_CREATED:
			if (!may_start(&call, &container, text, sizeof(text))) {
				end_process(&container);
				return fail(&call, text);
			}
			break;
		case CONTAINER_UNKNOWN:
			if (call.gate.closed) {
				snprintf(text, sizeof(text),
					 "nsplane: container %.200s is not known: there is nothing that runc or crun writes of it",
					 call.id);
				return fail(&call, text);
			}
			break;
		case CONTAINER_OTHER:
			break;
		}
	}
	return become(&call, argv);
}
