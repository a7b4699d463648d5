/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs at the gate read, which comes from container engines, and what they say to the gate. */
#include "test.h"

#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "gate/call.h"
#include "gate/cni.h"
#include "gate/json.h"

static char reason[GATE_REASON_MAX + 1];

static struct json value_of(const char *text)
{
	struct json value = { "", 0 };

	json_value(text, strlen(text), &value);
	return value;
}

static bool is_value(const char *text)
{
	struct json value;

	return json_value(text, strlen(text), &value);
}

/* The member of an object, as it stands there; nothing where it is not found. */
static const char *member(const char *text, const char *name)
{
	static char found[256];
	struct json value;

	found[0] = 0;
	if (json_member(value_of(text), name, &value))
		snprintf(found, sizeof(found), "%.*s", (int)value.len, value.at);
	return found;
}

/* What a string means; "(none)" where it is none. */
static const char *text_of(const char *text)
{
	static char found[16];

	return json_string(value_of(text), found, sizeof(found)) ? found : "(none)";
}

static void test_values(void)
{
	CHECK(is_value(" {\"a\": [1, {\"b\": \"]}\"}]}\n"));
	CHECK(is_value("-1.5E+3"));
	CHECK(is_value("null"));
	CHECK(is_value("\"\""));
	CHECK(!is_value(""));
	CHECK(!is_value(" "));
	CHECK(!is_value("{"));
	CHECK(!is_value("}"));
	CHECK(!is_value("{} {}"));
	CHECK(!is_value("\"a"));
	CHECK(!is_value("\"a\\\""));
	CHECK(!is_value("\"\\"));
	CHECK(!is_value("[\"]"));
}

static void test_members(void)
{
	const char *object = "{\"a\" : {\"b\": 1}, \"b\":\"x\\\"y\" ,\"c\":[1,2],\"d\" :true, \"b\": 2}";
	struct json name, value, array = value_of("[1, \"two\",[3] ]");
	struct json_walk walk;
	char seen[64] = "";

	CHECK_STR(member(object, "a"), "{\"b\": 1}");
	CHECK_STR(member(object, "b"), "\"x\\\"y\"");
	CHECK_STR(member(object, "c"), "[1,2]");
	CHECK_STR(member(object, "d"), "true");
	CHECK_STR(member(object, "e"), "");
	CHECK_STR(member("{}", "a"), "");
	CHECK_STR(member("[\"a\", 1]", "a"), "");
	CHECK_STR(member("{\"b\" 1, \"a\": 1}", "a"), "");
	CHECK_STR(member("{\"b\": 1 \"a\": 1}", "a"), "");
	CHECK_STR(member("{b: 1, \"a\": 1}", "a"), "");
	CHECK_STR(member("{\"b\":, \"a\": 1}", "a"), "");

	CHECK(json_open(array, &walk));
	while (json_next(&walk, &name, &value))
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%zu<%.*s>", name.len, (int)value.len, value.at);
	CHECK_STR(seen, "0<1>0<\"two\">0<[3]>");
	CHECK(!walk.broken);
	CHECK(json_open(value_of("[]"), &walk) && !json_next(&walk, &name, &value) && !walk.broken);
	CHECK(json_open(value_of("[1,]"), &walk) && json_next(&walk, &name, &value) && !json_next(&walk, &name, &value) &&
	      walk.broken);
	CHECK(!json_open(value_of("\"text\""), &walk));
	CHECK(!json_open(value_of(""), &walk));
}

static void test_strings_and_numbers(void)
{
	int64_t number;
	char quoted[32];

	CHECK_STR(text_of("\"plain\""), "plain");
	CHECK_STR(text_of("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t");
	CHECK_STR(text_of("\"\\u0041\\u00e9\\u20AC\""), "A\xc3\xa9\xe2\x82\xac");
	CHECK_STR(text_of("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80");
	CHECK_STR(text_of("\"\\ud83d\""), "(none)");
	CHECK_STR(text_of("\"\\ude00\""), "(none)");
	CHECK_STR(text_of("\"\\ud83d\\u0041\""), "(none)");
	CHECK_STR(text_of("\"\\u0000\""), "(none)");
	CHECK_STR(text_of("\"\\u12\""), "(none)");
	CHECK_STR(text_of("\"\\x\""), "(none)");
	CHECK_STR(text_of("\"fifteen letters\""), "fifteen letters");
	CHECK_STR(text_of("\"sixteen letters!\""), "(none)");
	CHECK_STR(text_of("12"), "(none)");

	CHECK(json_number(value_of("9223372036854775807"), &number) && number == INT64_MAX);
	CHECK(!json_number(value_of("9223372036854775808"), &number));
	CHECK(!json_number(value_of("-1"), &number));
	CHECK(!json_number(value_of("1.5"), &number));
	CHECK(!json_number(value_of(""), &number));

	CHECK_EQ(json_quote("a\"b\\c\n\x7f", quoted, sizeof(quoted)), 21);
	CHECK_STR(quoted, "\"a\\\"b\\\\c\\u000a\\u007f\"");
	json_quote("\xc3\xa9", quoted, sizeof(quoted));
	CHECK_STR(quoted, "\"\xc3\xa9\"");
	json_quote("\xc3(\xff", quoted, sizeof(quoted));
	CHECK_STR(quoted, "\"?(?\"");
	json_quote("abc\xe2\x82\xac", quoted, 7); /* no half of a character */
	CHECK_STR(quoted, "\"abc\"");
	json_quote("abc\n", quoted, 7);
	CHECK_STR(quoted, "\"abc\"");
	json_quote("abc", quoted, 3);
	CHECK_STR(quoted, "\"\"");
}

static enum gate_answer parsed(const char *data, size_t len)
{
	return gate_answer_parse(data, len, reason);
}

static void test_answers(void)
{
	static char large[GATE_REASON_MAX + 16] = "refused";

	CHECK_EQ(parsed("ok\0\0", 4), GATE_OK);
	CHECK_EQ(parsed("ignored\0\0", 9), GATE_IGNORED);
	CHECK_EQ(parsed("late\0web: \xc3\xa9\0", 13), GATE_LATE);
	CHECK_STR(reason, "web: \xc3\xa9");
	CHECK_EQ(parsed("refused\0a\nb\xff\0", 13), GATE_REFUSED);
	CHECK_STR(reason, "a?b?");
	CHECK_EQ(parsed("", 0), GATE_NONE);
	CHECK_EQ(parsed("ok", 2), GATE_NONE);
	CHECK_EQ(parsed("ok\0", 3), GATE_NONE);
	CHECK_EQ(parsed("ok\0\0x", 5), GATE_NONE);
	CHECK_EQ(parsed("ok\0a\0b\0", 7), GATE_NONE);
	CHECK_EQ(parsed("\0\0", 2), GATE_NONE);
	CHECK_EQ(parsed("okay\0\0", 6), GATE_NONE);
	memset(large + 8, 'x', GATE_REASON_MAX);
	CHECK_EQ(parsed(large, 8 + GATE_REASON_MAX + 1), GATE_REFUSED);
	CHECK_EQ(strlen(reason), GATE_REASON_MAX);
	large[8 + GATE_REASON_MAX] = 'x';
	CHECK_EQ(parsed(large, 8 + GATE_REASON_MAX + 2), GATE_NONE);
}

static void test_settings(void)
{
	struct gate gate;

	CHECK(gate_settings(&gate, reason));
	CHECK_STR(gate.socket, "/run/nsplane/gate.sock");
	CHECK(!gate.closed);
	CHECK_EQ(gate.deadline_ms, 10000);
	CHECK(gate_set(&gate, "deadline", "0.25", "d", reason));
	CHECK_EQ(gate.deadline_ms, 250);
	CHECK(gate_set(&gate, "deadline", "3600", "d", reason));
	CHECK_EQ(gate.deadline_ms, 3600000);
	for (const char **wrong = (const char *[]){ "", "0", "-1", "3601", "1s", ".5", "0.0001", "0.0005", "1e3", " 1",
						    "99999999999999999999", NULL };
	     *wrong; wrong++)
		CHECK(!gate_set(&gate, "deadline", *wrong, "NSPLANE_GATE_DEADLINE", reason));
	CHECK_STR(reason, "NSPLANE_GATE_DEADLINE is seconds, from 0.001 to 3600, not '99999999999999999999'");
	CHECK(!gate_set(&gate, "socket", "gate.sock", "s", reason));
	CHECK(!gate_set(&gate, "policy", "opened", "p", reason));
	CHECK(!gate_set(&gate, "environment-key", "", "k", reason));

	setenv("NSPLANE_GATE_POLICY", "closed", 1);
	CHECK(gate_settings(&gate, reason) && gate.closed);
	CHECK(gate_finds_label(&gate, "{\"io.nsplane.label\":1}", 22));
	CHECK(gate_finds_label(&gate, "[\"MICROSERVICE_LABEL=web\"]", 26));
	CHECK(!gate_finds_label(&gate, "[\"MICROSERVICE_LABEL=web\"]", 20));
	CHECK(!gate_finds_label(&gate, "[\"MY_MICROSERVICE_LABEL=web\"]", 29));
	CHECK(gate_bundle_has_label(&gate, "/nonexistent"));
	setenv("NSPLANE_GATE_POLICY", "shut", 1);
	CHECK(!gate_settings(&gate, reason));
	unsetenv("NSPLANE_GATE_POLICY");
}

/* What stands in the arguments after they were read, with blanks between. */
static const char *left(char **argv)
{
	static char text[512];

	text[0] = 0;
	for (; *argv; argv++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", *argv);
	return text;
}

#define ARGS(...) ((char *[]){ "nsplane-runc", __VA_ARGS__, NULL })

static void test_calls(void)
{
	static struct call call;
	char **argv = ARGS("--nsplane-policy", "closed", "--nsplane-deadline=2.5", "--root", "/r", "--log=/l", "--debug",
			   "--log-format", "json", "start", "--nsplane-gate", "id");

	call_read(&call, argv);
	CHECK_STR(left(argv), "nsplane-runc --root /r --log=/l --debug --log-format json start --nsplane-gate id ");
	CHECK_STR(call.root, "/r");
	CHECK_STR(call.log, "/l");
	CHECK_STR(call.log_format, "json");
	CHECK_STR(call.command, "start");
	CHECK_STR(call.id, "id");
	CHECK_STR(call.runtime, "runc");
	CHECK(call.gate.closed);
	CHECK_EQ(call.gate.deadline_ms, 2500);
	CHECK_STR(call.wrong, "");

	argv = ARGS("--root", "start", "create", "--bundle", "/b", "start");
	call_read(&call, argv);
	CHECK_STR(call.command, "create");
	CHECK(!call.id);

	argv = ARGS("--nsplane-runtime=/usr/bin/crun", "-root=/r", "start");
	call_read(&call, argv);
	CHECK_STR(left(argv), "nsplane-runc -root=/r start ");
	CHECK_STR(call.runtime, "/usr/bin/crun");
	CHECK_STR(call.root, "/r");
	CHECK(!call.id);

	argv = ARGS("--nsplane-polices=open", "state", "x");
	call_read(&call, argv);
	CHECK_STR(left(argv), "nsplane-runc state x ");
	CHECK_STR(call.wrong, "--nsplane-polices=open: there is no such option, or it lacks its value");

	argv = ARGS("--nsplane-deadline");
	call_read(&call, argv);
	CHECK_STR(left(argv), "nsplane-runc ");
	CHECK(call.wrong[0] && !call.command);
	argv = ARGS("--root");
	call_read(&call, argv);
	CHECK_STR(left(argv), "nsplane-runc --root ");
	argv = (char *[]){ NULL };
	call_read(&call, argv);
	CHECK(!call.command);
}

static bool reads(struct container *container, const char *text)
{
	return container_read(container, text, strlen(text));
}

static void test_containers(void)
{
	static struct container found;

	CHECK(reads(&found, "{\"id\":\"a\",\"init_process_pid\":12,\"init_process_start\":345,\"config\":{\"labels\":[\"x=y\","
			    "\"bundle=/b\"]}}"));
	CHECK_EQ(found.pid, 12);
	CHECK_EQ(found.start_time, 345);
	CHECK_STR(found.bundle, "/b");
	CHECK(reads(&found, "{\n \"pid\": 7,\n \"process-start-time\": 8,\n \"bundle\": \"/c\\/d\"\n}"));
	CHECK_EQ(found.pid, 7);
	CHECK_EQ(found.start_time, 8);
	CHECK_STR(found.bundle, "/c/d");
	CHECK(!reads(&found, "{\"pid\": 0, \"process-start-time\": 8, \"bundle\": \"/c\"}"));
	CHECK(!reads(&found, "{\"pid\": 4294967297, \"process-start-time\": 8, \"bundle\": \"/c\"}"));
	CHECK(!reads(&found, "{\"pid\": 7, \"process-start-time\": 8, \"bundle\": \"c\"}"));
	CHECK(!reads(&found, "{\"pid\": 7, \"bundle\": \"/c\"}"));
	CHECK(!reads(&found, "{\"init_process_pid\":12,\"init_process_start\":345,\"config\":{\"labels\":[\"x=y\"]}}"));
	CHECK(!reads(&found, ""));
}

static enum cni_read cni_of(struct cni *cni, const char *text)
{
	return cni_read(cni, text, strlen(text));
}

static void test_cni(void)
{
	static char texts[CNI_SETTINGS][256];
	struct cni cni = { .command = "ADD" };
	struct gate gate;

	CHECK_EQ(cni_of(&cni, "{\"cniVersion\":\"0.4.0\",\"prevResult\" : {\"ips\": [ ]}, \"policy\":\"closed\",\"deadline\": 2}"),
		 CNI_READ);
	CHECK_STR(cni.version, "0.4.0");
	CHECK_EQ(cni.before.len, 12);
	CHECK(memcmp(cni.before.at, "{\"ips\": [ ]}", 12) == 0);
	CHECK(cni_settings(&cni, &gate, texts, reason));
	CHECK(gate.closed);
	CHECK_EQ(gate.deadline_ms, 2000);
	CHECK(!cni_names_label(&cni, &gate));
	cni.args = "IgnoreUnknown=1;K8S_POD_NAME=web"; /* podman's: of no namespace, and so there is no NAMESPACE/POD */
	CHECK(!cni_names_label(&cni, &gate));
	cni.args = "K8S_POD_NAMESPACE=;K8S_POD_NAME=web";
	CHECK(!cni_names_label(&cni, &gate));
	cni.args = "K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web";
	CHECK(cni_names_label(&cni, &gate));
	cni.args = "MICROSERVICE_LABEL=web";
	CHECK(cni_names_label(&cni, &gate));
	cni.args = NULL;
	CHECK_EQ(cni_of(&cni, "{\"label\":\"web\"}"), CNI_READ);
	CHECK(cni_names_label(&cni, &gate));
	cni.args = "K8S_POD_NAME=web";
	CHECK_EQ(cni_of(&cni, "{\"label\":\"\"}"), CNI_READ);
	CHECK(!cni_names_label(&cni, &gate));

	cni.args = "IgnoreUnknown=1;K8S_POD_NAME=web";
	CHECK_EQ(cni_of(&cni, "{\"label\":\"{pod}\",\"prevResult\":null}"), CNI_READ);
	CHECK_EQ(cni.before.len, 0);
	CHECK(cni_names_label(&cni, &gate));
	cni.args = "K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web";
	CHECK_EQ(cni_of(&cni, "{\"label\":\"\"}"), CNI_READ);
	CHECK(!cni_names_label(&cni, &gate));
	CHECK_EQ(cni_of(&cni, "{\"label\":\"\",\"runtimeConfig\":{\"a\":{\"io.nsplane.label\":\"web\"}}}"), CNI_READ);
	CHECK(cni_names_label(&cni, &gate));

	CHECK_EQ(cni_of(&cni, "{\"deadline\":\"never\"}"), CNI_READ);
	CHECK_STR(cni.version, "1.1.0");
	CHECK_EQ(cni.before.len, 0);
	CHECK(!cni_settings(&cni, &gate, texts, reason));
	CHECK_STR(reason, "deadline is seconds, from 0.001 to 3600, not 'never'");
	CHECK_EQ(cni_of(&cni, "{\"cniVersion\":\"0.2.0\"}"), CNI_READ_OTHER_VERSION);
	CHECK_EQ(cni_of(&cni, "{\"cniVersion\":1}"), CNI_READ_OTHER_VERSION);
	CHECK_EQ(cni_of(&cni, "[]"), CNI_READ_NO_OBJECT);
	CHECK_EQ(cni_of(&cni, ""), CNI_READ_NO_OBJECT);
}

/* A gate that takes one connection at a time and gives each the same answer. */
struct server {
	int fd;
	pid_t pid;
	char folder[32], socket[64];
};

static void server_open(struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(server->folder, "/tmp/test_gate-XXXXXX");
	if (!mkdtemp(server->folder))
		exit(1);
	snprintf(server->socket, sizeof(server->socket), "%s/gate.sock", server->folder);
	strcpy(address.sun_path, server->socket);
	NEED(server->fd = socket(AF_UNIX, SOCK_STREAM, 0));
	NEED(bind(server->fd, (struct sockaddr *)&address, sizeof(address)));
	NEED(listen(server->fd, 0));
}

static void server_close(struct server *server)
{
	close(server->fd);
	unlink(server->socket);
	rmdir(server->folder);
}

/* What is asked with this limit, of a server that answers so from its queue; what it was told goes to `told`. */
static enum gate_answer asked(struct server *server, int deadline_ms, const char *answer, size_t answer_len, char *told,
			      size_t size)
{
	static struct gate_request request;
	struct gate gate = { server->socket, deadline_ms, false, "K" };
	pid_t pid = fork();

	if (pid == 0) {
		gate_request_begin(&request, "start");
		gate_request_add(&request, "id", "a=b", 3);
		_exit((int)gate_ask(&gate, &request, reason));
	}
	int fd = accept(server->fd, NULL, NULL), status = -1;
	ssize_t len = recv(fd, told, size, 0);
	while (len > 1 && (told[len - 1] || told[len - 2]))
		len += recv(fd, told + len, size - (size_t)len, 0);
	for (ssize_t i = 0; i + 1 < len; i++)
		if (!told[i])
			told[i] = '|';
	NEED(send(fd, answer, answer_len, MSG_NOSIGNAL));
	if (answer_len)
		close(fd);
	waitpid(pid, &status, 0);
	if (!answer_len)
		close(fd);
	return (enum gate_answer)WEXITSTATUS(status);
}

static void test_asking(void)
{
	static struct gate_request request;
	struct server server;
	char told[512];

	signal(SIGPIPE, SIG_IGN);
	server_open(&server);
	CHECK_EQ(asked(&server, 5000, "ok\0", 4, told, sizeof(told)), GATE_OK);
	CHECK_STR(told, "nsplane-gate/1|start|id=a=b|deadline_ms=4900|");
	CHECK_EQ(asked(&server, 5000, "refused\0no", 11, told, sizeof(told)), GATE_REFUSED);
	CHECK_EQ(asked(&server, 5000, "refused\0no", 10, told, sizeof(told)), GATE_NONE);
	CHECK_EQ(asked(&server, 50, "", 0, told, sizeof(told)), GATE_NONE);
	CHECK_STR(told, "nsplane-gate/1|start|id=a=b|deadline_ms=25|");

	/* Nobody takes connections: two fill the queue, the third waits for its turn, all to their deadline. */
	struct gate gate = { server.socket, 30, false, "K" };
	for (int i = 0; i < 3; i++) {
		gate_request_begin(&request, "status");
		CHECK_EQ(gate_ask(&gate, &request, reason), GATE_NONE);
		CHECK(strstr(reason, "has not answered within 0.030 s") || strstr(reason, "takes no connection"));
	}
	server_close(&server);
	gate_request_begin(&request, "status");
	CHECK_EQ(gate_ask(&gate, &request, reason), GATE_NONE);
	CHECK(strstr(reason, "cannot be reached: nothing is there"));
}

static void test_requests(void)
{
	static struct gate_request request;
	static char large[GATE_REQUEST_MAX];
	struct gate gate = { "/nonexistent", 30, false, "K" };

	memset(large, 'x', sizeof(large));
	for (size_t len = GATE_REQUEST_MAX - 60; len <= GATE_REQUEST_MAX; len++) {
		gate_request_begin(&request, "add");
		gate_request_add(&request, "config", large, len);
		gate_ask(&gate, &request, reason);
		CHECK_EQ(request.wrong, strstr(reason, "is longer than 256 KiB") != NULL);
		CHECK(request.wrong ||
		      (request.len <= GATE_REQUEST_MAX && !request.data[request.len - 1] && !request.data[request.len - 2]));
	}
	CHECK(request.wrong);
	gate_request_begin(&request, "add");
	gate_request_add(&request, "config", "a\0b", 3);
	CHECK(request.wrong);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_values();
	test_members();
	test_strings_and_numbers();
	test_answers();
	test_settings();
	test_calls();
	test_containers();
	test_cni();
	test_asking();
	test_requests();
	return test_end();
}
