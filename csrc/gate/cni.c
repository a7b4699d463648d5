/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/cni.h"

#include <stdio.h>
#include <string.h>

const char *const cni_versions[5] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };

static const struct {
	const char *name, *setting;
} settings[CNI_SETTINGS] = {
	{ "gate", "socket" },
	{ "policy", "policy" },
	{ "deadline", "deadline" },
	{ "environmentKey", "environment-key" },
};

static bool read_version(struct cni *cni)
{
	struct json value;
	char said[sizeof(cni->version)];

	if (!json_member(cni->config, "cniVersion", &value))
		return true;
	if (!json_string(value, said, sizeof(said)))
		return false;
	for (size_t i = 0; i < sizeof(cni_versions) / sizeof(cni_versions[0]); i++) {
		if (strcmp(said, cni_versions[i]) != 0)
			continue;
		strcpy(cni->version, said);
		return true;
	}
	return false;
}

enum cni_read cni_read(struct cni *cni, const char *text, size_t len)
{
	strcpy(cni->version, cni_versions[4]);
	cni->before = (struct json){ "", 0 };
	if (!json_value(text, len, &cni->config) || cni->config.at[0] != '{')
		return CNI_READ_NO_OBJECT;
	if (!json_member(cni->config, "prevResult", &cni->before) || cni->before.at[0] == 'n') /* null */
		cni->before.len = 0;
	return read_version(cni) ? CNI_READ : CNI_READ_OTHER_VERSION;
}

bool cni_settings(const struct cni *cni, struct gate *gate, char texts[CNI_SETTINGS][256], char *reason)
{
	struct json value;

	if (!gate_settings(gate, reason))
		return false;
	for (size_t i = 0; i < CNI_SETTINGS; i++) {
		if (!json_member(cni->config, settings[i].name, &value))
			continue;
		if (value.at[0] != '"' && value.len < sizeof(texts[i])) { /* a number, for one */
			memcpy(texts[i], value.at, value.len);
			texts[i][value.len] = 0;
		} else if (!json_string(value, texts[i], sizeof(texts[i]))) {
			snprintf(reason, GATE_REASON_MAX + 1, "%s is no text of at most 255 bytes", settings[i].name);
			return false;
		}
		if (!gate_set(gate, settings[i].setting, texts[i], settings[i].name, reason))
			return false;
	}
	return true;
}

/* Is the argument NAME=VALUE among those of CNI_ARGS, with a value? */
static bool given(const char *args, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = args; at; at = strchr(at, ';')) {
		at += *at == ';';
		if (strncmp(at, name, len) == 0 && at[len] == '=' && at[len + 1] && at[len + 1] != ';')
			return true;
	}
	return false;
}

/* Does the template with a pod's name make a label of these arguments? One that cannot be read might. */
static bool fills_template(const struct cni *cni, const char *args)
{
	char template[256] = "{namespace}/{pod}";
	struct json value;

	if (json_member(cni->config, "label", &value) && !json_string(value, template, sizeof(template)))
		return true;
	return template[0] && (!strstr(template, "{namespace}") || given(args, "K8S_POD_NAMESPACE")) &&
	       (!strstr(template, "{pod}") || given(args, "K8S_POD_NAME"));
}

bool cni_names_label(const struct cni *cni, const struct gate *gate)
{
	const char *args = cni->args ? cni->args : "";

	return given(args, gate->environment_key) || fills_template(cni, args) ||
	       gate_finds_label(gate, cni->config.at, cni->config.len);
}
