/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsplane-hook - holds a container's creation until its network is there: as a hook of an OCI runtime, or as a CNI plugin.
 *
 * With CNI_COMMAND in its environment it is a plugin, to stand last in a chain (https://www.cni.dev/docs/spec/): ADD waits and prints the
 * result of the plugin before as it came. Otherwise it is a `createRuntime` hook, which gets the container's state on its input
 * (https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks). Both wait for the gate's answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate/cni.h"
#include "gate/forward.h"
#include "gate/input.h"
#include "gate/json.h"

/* Of the specification's well known ones; those from 100 on are a plugin's own. */
enum cni_error {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_DECODING = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_UNAVAILABLE = 50,
	CNI_REFUSED = 100,
};

static struct gate_request request;
static char reason[GATE_REASON_MAX + 1];

static int cni_fail(const struct cni *cni, enum cni_error code, const char *message)
{
	char quoted[6 * GATE_REASON_MAX + 8];

	json_quote(message, quoted, sizeof(quoted));
	printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":%s}\n", cni->version, code, quoted);
	fflush(stdout);
	return 1;
}

static int cni_print_version(const struct cni *cni)
{
	size_t count = sizeof(cni_versions) / sizeof(cni_versions[0]);

	printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[", cni->version);
	for (size_t i = 0; i < count; i++)
		printf("%s\"%s\"", i ? "," : "", cni_versions[i]);
	puts("]}");
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}

static void ask_field(const char *name, const char *value)
{
	if (value)
		gate_request_add(&request, name, value, strlen(value));
}

static enum gate_answer cni_ask(const struct cni *cni, const struct gate *gate, const char *verb)
{
	gate_request_begin(&request, verb);
	ask_field("id", cni->id);
	ask_field("netns", cni->netns);
	ask_field("ifname", cni->ifname);
	ask_field("args", cni->args);
	gate_request_add(&request, "config", cni->config.at, cni->config.len);
	return gate_ask(gate, &request, reason);
}

static int cni_add(const struct cni *cni, const struct gate *gate)
{
	enum gate_answer answer = cni_ask(cni, gate, "add");

	if (answer == GATE_REFUSED)
		return cni_fail(cni, CNI_REFUSED, reason);
	if ((answer == GATE_LATE || answer == GATE_NONE) && cni_names_label(cni, gate)) {
		if (gate->closed)
			return cni_fail(cni, CNI_TRY_AGAIN, reason);
		fprintf(stderr, "nsplane-hook: added without its network: %s\n", reason);
	}
	if (cni->before.len)
		fwrite(cni->before.at, 1, cni->before.len, stdout);
	else /* alone: all that there is of a network, nsplane makes */
		printf("{\"cniVersion\":\"%s\",\"interfaces\":[],\"ips\":[]}", cni->version);
	putchar('\n');
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}

/* What a deletion or a collection asks for is done by itself as namespaces end: neither fails for want of a gate. */
static int cni_other(const struct cni *cni, const struct gate *gate)
{
	static const char *const verbs[][2] = { { "CHECK", "check" }, { "DEL", "del" }, { "GC", "gc" }, { "STATUS", "status" } };
	bool forgiving = strcmp(cni->command, "DEL") == 0 || strcmp(cni->command, "GC") == 0;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(cni->command, verbs[i][0]) != 0)
			continue;
		enum gate_answer answer = cni_ask(cni, gate, verbs[i][1]);
		if (answer == GATE_OK || answer == GATE_IGNORED || forgiving)
			return 0;
		if (i == 3)
			return cni_fail(cni, CNI_UNAVAILABLE, reason);
		if (answer == GATE_REFUSED || (gate->closed && cni_names_label(cni, gate)))
			return cni_fail(cni, answer == GATE_REFUSED ? CNI_REFUSED : CNI_TRY_AGAIN, reason);
		return 0;
	}
	snprintf(reason, sizeof(reason), "CNI_COMMAND '%.100s' is not known", cni->command);
	return cni_fail(cni, CNI_INVALID_ENVIRONMENT, reason);
}

static int cni_plugin(const char *command)
{
	static char texts[CNI_SETTINGS][256];
	struct cni cni = { .command = command, .version = "1.1.0" };
	bool version = strcmp(command, "VERSION") == 0;
	struct gate gate;
	size_t len;

	cni.id = getenv("CNI_CONTAINERID");
	cni.netns = getenv("CNI_NETNS");
	cni.ifname = getenv("CNI_IFNAME");
	cni.args = getenv("CNI_ARGS");
	char *text = input_read(STDIN_FILENO, INPUT_MAX, &len);
	if (!text) {
		snprintf(reason, sizeof(reason), "the configuration on standard input cannot be read: %s", strerror(errno));
		return cni_fail(&cni, CNI_IO, reason);
	}
	enum cni_read read = cni_read(&cni, text, len);
	if (version && (read != CNI_READ_NO_OBJECT || !len)) /* some ask for it with nothing */
		return cni_print_version(&cni);
	if (read == CNI_READ_NO_OBJECT)
		return cni_fail(&cni, CNI_DECODING, "the configuration on standard input is no JSON object");
	if (read == CNI_READ_OTHER_VERSION)
		return cni_fail(&cni, CNI_INCOMPATIBLE_VERSION, "cniVersion is none of 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0");
	if (!cni_settings(&cni, &gate, texts, reason))
		return cni_fail(&cni, CNI_INVALID_CONFIG, reason);
	if (strcmp(command, "ADD") != 0)
		return cni_other(&cni, &gate);
	if (!cni.id || !cni.id[0] || !cni.netns || !cni.netns[0] || !cni.ifname || !cni.ifname[0])
		return cni_fail(&cni, CNI_INVALID_ENVIRONMENT, "CNI_CONTAINERID, CNI_NETNS and CNI_IFNAME are needed");
	return cni_add(&cni, &gate);
}

static int fail(const char *why)
{
	fprintf(stderr, "nsplane: %s\n", why);
	return 1;
}

/* Does the bundle that the state names have a label? One that is not to be found might. */
static bool state_has_label(const struct gate *gate, const char *text, size_t len)
{
	static char bundle[4096];
	struct json state, value;

	return gate_finds_label(gate, text, len) || !json_value(text, len, &state) || !json_member(state, "bundle", &value) ||
	       !json_string(value, bundle, sizeof(bundle)) || gate_bundle_has_label(gate, bundle);
}

static int oci_hook(void)
{
	struct gate gate;
	size_t len;

	if (!gate_settings(&gate, reason))
		return fail(reason);
	char *state = input_read(STDIN_FILENO, INPUT_MAX, &len);
	if (!state)
		return fail("the container's state cannot be read from standard input");
	gate_request_begin(&request, "create");
	gate_request_add(&request, "state", state, len);
	enum gate_answer answer = gate_ask(&gate, &request, reason);
	if (answer == GATE_OK || answer == GATE_IGNORED)
		return 0;
	if (answer == GATE_REFUSED)
		return fail(reason);
	if (!state_has_label(&gate, state, len))
		return 0;
	if (gate.closed)
		return fail(reason);
	fprintf(stderr, "nsplane: created without its network: %s\n", reason);
	return 0;
}

int main(void)
{
	const char *command = getenv("CNI_COMMAND");

	return command && command[0] ? cni_plugin(command) : oci_hook();
}
