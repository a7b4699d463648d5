/* SPDX-License-Identifier: Apache-2.0 */
/* cni.h - what a CNI plugin is called with (https://www.cni.dev/docs/spec/). */
#ifndef NSPLANE_GATE_CNI_H
#define NSPLANE_GATE_CNI_H

#include <stdbool.h>
#include <stddef.h>

#include "gate/forward.h"
#include "gate/json.h"

struct cni {
	const char *command, *id, *netns, *ifname, *args; /* of the environment; NULL where they are not given */
	struct json config;
	struct json before; /* the result of the plugin before it; of length 0 where there is none */
	char version[16];   /* in which answers are given: the configuration's, where that is a supported one */
};

/* Before 0.3.0 there is no chain. */
extern const char *const cni_versions[5];

enum cni_read {
	CNI_READ,
	CNI_READ_NO_OBJECT,
	CNI_READ_OTHER_VERSION,
};

/* Finds in a configuration what is needed of it. `cni` points into the text afterwards. */
enum cni_read cni_read(struct cni *cni, const char *text, size_t len);

/* The settings, those of the environment and those of the configuration, for a plugin has hardly an environment of its own. `texts` is
 * room for them. False where one cannot be used; `reason` says which. */
#define CNI_SETTINGS 4
bool cni_settings(const struct cni *cni, struct gate *gate, char texts[CNI_SETTINGS][256], char *reason);

/* Does anything that came from the runtime name a label, or make one: an argument, an annotation, a pod's name? */
bool cni_names_label(const struct cni *cni, const struct gate *gate);

#endif
