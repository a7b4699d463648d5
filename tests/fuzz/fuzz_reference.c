/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of namespaces, processes and files, as they come in items and keys and as they are opened: what is taken leads nowhere else, and
 * says the same when it is written and read again.
 *
 *   | what it is, 1 byte | text ... |
 */
#include "fuzz.h"

#include <stdio.h>

#include "wire/prefix.h"
#include "wire/reference.h"
#include "wire/text.h"

/* Whatever would be opened is looked at and not opened: the linker has the library call this in place of open(2) and statfs(2). */
static char opened[4096];

static int note(const char *path)
{
	need(strlen(path) < sizeof(opened));
	strcpy(opened, path);
	errno = ENOENT;
	return -1;
}

struct statfs64;
int __wrap_statfs64(const char *path, struct statfs64 *fs);
int __wrap_statfs64(const char *path, struct statfs64 *fs)
{
	(void)fs;
	return note(path);
}

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	(void)flags;
	return note(path);
}

/* Does it lead to something below the folder, by names alone? */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (strncmp(path, folder, len) != 0)
		return false;
	for (path += len; *path == '/';) {
		size_t name = strcspn(++path, "/");

		if (name == 0 || (name == 1 && path[0] == '.') || (name == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += name;
		if (!*path)
			return true;
	}
	return false;
}

static void need_error(int rc, const struct nsp_error *err)
{
	need(rc < 0 && err->code == -rc && strnlen(err->text, sizeof(err->text)) < sizeof(err->text) && err->text[0]);
}

static void open_name(const char *text)
{
	struct nsp_error err = { 0 };

	opened[0] = 0;
	need_error(nsp_netns_open_name(text, &err), &err);
	if (opened[0]) {
		need(is_below(opened, NSP_NETNS_DIR) && !strcmp(opened + sizeof(NSP_NETNS_DIR), text));
		need(!strchr(text, '/'));
	}
	/* What an item may name can be opened. */
	need(!text_is_netns((const uint8_t *)text, strlen(text)) || opened[0]);
	opened[0] = 0;
	need_error(nsp_netns_open(text, &err), &err);
	need(!strcmp(opened, text));
}

static void write_setting(const char *text)
{
	struct nsp_error err = { 0 };

	opened[0] = 0;
	need_error(nsp_netns_sysctl(NSP_NETNS_CURRENT, text, "1", &err), &err);
	need(!opened[0] || is_below(opened, "/proc/sys/net"));
}

/* A key's place: as an item it says the same again. */
static void read_slot(const uint8_t *data, size_t size)
{
	struct mp_out item = { 0 }, text = { 0 };
	struct mp_token name = { .type = MP_NIL, .data = (const uint8_t *)"" }, token;
	struct mp_in namespace = { NULL, NULL };
	struct slot_memo memo = { 0 };
	struct fault fault;
	uint32_t slot = 0;

	if (!reference_is_slot((const char *)data, size) || memchr(data, 0, size))
		return;
	char *key = strndup((const char *)data, size);
	need(key && size < NSP_KEY_MAX);
	uint32_t pairs = reference_put(&item, key);
	struct mp_in in = { item.data, item.data ? item.data + item.len : NULL };
	while (pairs--) {
		need(mp_next(&in, &token) && token.type == MP_STR);
		if (token.len == 9 && !memcmp(token.data, "interface", 9))
			need(mp_next(&in, &name) && name.type == MP_STR);
		else
			need(reference_pass(&in, &memo, &namespace));
	}
	need(in.p == in.end);
	need(reference_decode(&name, namespace, &slot, &text, &memo, &fault));
	need(!strcmp((const char *)text.data + slot, key));
	mp_free(&item);
	mp_free(&text);
	free(key);
}

static void read_texts(const uint8_t *data, size_t size)
{
	uint8_t ip[16], again[16], prefix_len, family, mac[6];
	char text[64];
	struct fault fault;
	uint64_t number;
	int of = text_parse_ip(data, size, ip);

	if (of) {
		size_t len = prefix_format_ip(text, of == 6, ip);
		need(len < 46 && text_parse_ip((const uint8_t *)text, len, again) == of && !memcmp(ip, again, of == 6 ? 16 : 4));
	}
	if (prefix_parse(data, size, "dst", ip, &prefix_len, &family, &fault))
		need((family == 4 && prefix_len <= 32) || (family == 6 && prefix_len <= 128));
	text_parse_mac(data, size, mac);
	if (text_parse_number((const char *)data, size, UINT32_MAX, &number))
		need(number <= UINT32_MAX && (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number) == size);
	need(!text_is_link(data, size) || (size < 16 && !memchr(data, '/', size)));
	need(!text_is_clean(data, size) || text_is_utf8(data, size));
	need(!text_is_name(data, size) || text_is_clean(data, size));
	fault_text(text, data, size);
	need(strnlen(text, sizeof(text)) < sizeof(text) && text_is_utf8((const uint8_t *)text, strlen(text)));
}

static void encode(const uint8_t *data, size_t size)
{
	char *encoded = malloc(3 * size + 1), *decoded = malloc(3 * size + 1);

	need(encoded && decoded);
	size_t len = text_encode(encoded, data, size);
	need(len <= 3 * size);
	long back = text_decode(decoded, encoded, len);
	need(back == (long)size && !memcmp(decoded, data, size));
	need(text_decode(decoded, (const char *)data, size) <= (long)size);
	free(encoded);
	free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 2048)
		return 0;
	uint8_t *copy = exact(data + 1, size - 1);
	char *text = strndup((const char *)data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		read_slot(copy, size - 1);
		break;
	case 1:
		read_texts(copy, size - 1);
		break;
	case 2:
		encode(copy, size - 1);
		break;
	case 3:
		open_name(text);
		break;
	default:
		write_setting(text);
	}
	free(text);
	free(copy);
	return 0;
}
