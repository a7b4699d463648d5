/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/call.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate/input.h"
#include "gate/json.h"

#define STATE_MAX (16u << 20)

/* The runtimes' options that take a value, which may be the next argument (runc(8), crun(1)). */
static const char *const valued[] = { "root", "log", "log-format", "criu", "rootless", "cgroup-manager" };
static const char own[] = "nsplane-";

/* The value of this option: behind its '=', or the next argument, which is taken then. NULL where it is another option. */
static const char *value_of(const char *option, const char *name, char **argv, size_t *at)
{
	size_t len = strlen(name);

	if (strncmp(option, name, len) != 0 || (option[len] && option[len] != '='))
		return NULL;
	if (option[len])
		return option + len + 1;
	if (!argv[*at + 1])
		return NULL;
	return argv[++*at];
}

static void set_own(struct call *call, const char *option, char **argv, size_t *at)
{
	static const char *const names[][2] = {
		{ "nsplane-gate", "socket" },
		{ "nsplane-policy", "policy" },
		{ "nsplane-deadline", "deadline" },
		{ "nsplane-environment-key", "environment-key" },
	};
	const char *value = value_of(option, "nsplane-runtime", argv, at);
	char whose[64];

	if (value) {
		call->runtime = value;
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = value_of(option, names[i][0], argv, at);
		if (!value)
			continue;
		snprintf(whose, sizeof(whose), "--%s", names[i][0]);
		gate_set(&call->gate, names[i][1], value, whose, call->wrong);
		return;
	}
	snprintf(call->wrong, sizeof(call->wrong), "--%.100s: there is no such option, or it lacks its value", option);
}

void call_read(struct call *call, char **argv)
{
	const char *runtime = getenv("NSPLANE_RUNC"), *value;
	const char **kept[] = { &call->root, &call->log, &call->log_format };
	size_t at = argv[0] ? 1 : 0, to = at;

	memset(call, 0, sizeof(*call));
	call->runtime = runtime && runtime[0] ? runtime : "runc";
	gate_settings(&call->gate, call->wrong);
	for (; argv[at] && argv[at][0] == '-'; at++) {
		const char *option = argv[at] + (argv[at][1] == '-' ? 2 : 1);
		size_t first = at;

		if (strncmp(option, own, strlen(own)) == 0) {
			set_own(call, option, argv, &at);
			continue;
		}
		for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++) {
			value = value_of(option, valued[i], argv, &at);
			if (!value)
				continue;
			if (i < sizeof(kept) / sizeof(kept[0]))
				*kept[i] = value;
			break;
		}
		while (first <= at)
			argv[to++] = argv[first++];
	}
	call->command = argv[at];
	if (call->command && strcmp(call->command, "start") == 0)
		for (size_t i = at + 1; argv[i] && !call->id; i++)
			call->id = argv[i][0] == '-' ? NULL : argv[i];
	do
		argv[to++] = argv[at];
	while (argv[at++]);
}

static bool number_of(struct json object, const char *name, int64_t *number)
{
	struct json value;

	return json_member(object, name, &value) && json_number(value, number);
}

/* runc has it among the labels of its own configuration. */
static bool labelled_bundle(struct json state, char *bundle, size_t size)
{
	static const char start[] = "bundle=";
	struct json config, labels, none, label;
	struct json_walk walk;

	if (!json_member(state, "config", &config) || !json_member(config, "labels", &labels) || !json_open(labels, &walk))
		return false;
	while (json_next(&walk, &none, &label)) {
		if (!json_string(label, bundle, size) || strncmp(bundle, start, strlen(start)) != 0)
			continue;
		memmove(bundle, bundle + strlen(start), strlen(bundle + strlen(start)) + 1);
		return true;
	}
	return false;
}

bool container_read(struct container *container, const char *text, size_t len)
{
	struct json state, bundle;
	int64_t pid, start_time;

	if (!json_value(text, len, &state))
		return false;
	if (number_of(state, "init_process_pid", &pid)) {
		if (!number_of(state, "init_process_start", &start_time) ||
		    !labelled_bundle(state, container->bundle, sizeof(container->bundle)))
			return false;
	} else if (!number_of(state, "pid", &pid) || !number_of(state, "process-start-time", &start_time) ||
		   !json_member(state, "bundle", &bundle) || !json_string(bundle, container->bundle, sizeof(container->bundle))) {
		return false;
	}
	if (pid < 1 || pid > INT_MAX || container->bundle[0] != '/')
		return false;
	container->pid = (pid_t)pid;
	container->start_time = start_time;
	return true;
}

static enum container_found find_in(struct container *container, const char *root, const char *id)
{
	static const char *const names[] = { "state.json", "status" };
	char path[PATH_MAX];
	bool known = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !known; i++) {
		size_t len;

		if (snprintf(path, sizeof(path), "%s/%s/%s", root, id, names[i]) >= (int)sizeof(path))
			return CONTAINER_UNKNOWN;
		char *text = input_read_path(path, STATE_MAX, &len);
		known = text && container_read(container, text, len);
		free(text);
	}
	if (!known)
		return CONTAINER_UNKNOWN;
	/* Both have it from the creation to the start. */
	if (snprintf(path, sizeof(path), "%s/%s/exec.fifo", root, id) >= (int)sizeof(path))
		return CONTAINER_UNKNOWN;
	return access(path, F_OK) == 0 ? CONTAINER_CREATED : CONTAINER_OTHER;
}

enum container_found container_find(struct container *container, const struct call *call)
{
	const char *name = strrchr(call->runtime, '/'), *home = getenv("XDG_RUNTIME_DIR");
	char root[PATH_MAX];
	enum container_found found;

	if (!call->id[0] || call->id[0] == '.' || strchr(call->id, '/'))
		return CONTAINER_UNKNOWN;
	if (call->root)
		return find_in(container, call->root, call->id);
	/* Each has a place of its own name, for users other than root below their own directory. */
	name = name ? name + 1 : call->runtime;
	if (snprintf(root, sizeof(root), "/run/%s", name) >= (int)sizeof(root))
		return CONTAINER_UNKNOWN;
	found = find_in(container, root, call->id);
	if (found == CONTAINER_UNKNOWN && home && home[0] && snprintf(root, sizeof(root), "%s/%s", home, name) < (int)sizeof(root))
		found = find_in(container, root, call->id);
	return found;
}
