/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces are opened by path, process and name, made as `ip netns add` makes them, and leave nothing behind. */
#include "test.h"

#include <nsplane/core.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char name[64], path[128];

static bool same(int a, int b)
{
	struct nsp_netns_id ids[2];

	return nsp_netns_identify(a, &ids[0], NULL) == 0 && nsp_netns_identify(b, &ids[1], NULL) == 0 && ids[0].dev == ids[1].dev &&
	       ids[0].ino == ids[1].ino;
}

static bool listed(const char *wanted)
{
	long need = nsp_netns_list(NULL, 0, NULL);
	char *buf = malloc((size_t)need + 4096);
	bool found = false;

	need = nsp_netns_list(buf, (size_t)need + 4096, NULL);
	for (char *at = buf; at < buf + need; at += strlen(at) + 1)
		if (strcmp(at, wanted) == 0)
			found = true;
	free(buf);
	return found;
}

static bool lo_is_up(int netns)
{
	struct nsp_link lo = { .fields = NSP_LINK_INDEX, .index = 1 };
	struct outcome *outcome = calloc(1, sizeof(*outcome));
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint32_t buf[32];
	bool up;

	NEED(nsp_socket_open(&sock, netns, NULL));
	nsp_batch_init(&batch, buf, sizeof(buf));
	NEED(nsp_link_get(&batch, &lo));
	NEED(nsp_batch_send(&sock, &batch, outcome_failed, outcome_reply, outcome, NULL));
	up = nsp_link_read(outcome->reply, &lo) == 0 && lo.loopback && lo.up && strcmp(lo.name, "lo") == 0;
	nsp_socket_close(&sock);
	free(outcome);
	return up;
}

static void test_named(void)
{
	struct nsp_error err = { 0 };
	struct stat st;
	int made, opened;

	made = nsp_netns_create(name, &err);
	CHECK(made >= 0);
	CHECK(lo_is_up(made));
	CHECK_EQ(fcntl(made, F_GETFD), FD_CLOEXEC);
	CHECK(listed(name));
	opened = nsp_netns_open_name(name, &err);
	CHECK(same(made, opened));
	close(opened);
	opened = nsp_netns_open(path, &err);
	CHECK(same(made, opened));
	close(opened);

	CHECK_EQ(nsp_netns_create(name, &err), -EEXIST);
	CHECK_EQ(err.code, EEXIST);
	CHECK(strstr(err.text, name) && strstr(err.text, "File exists"));

	CHECK_EQ(nsp_netns_delete(name, &err), 0);
	CHECK(stat(path, &st) < 0);
	CHECK(!listed(name));
	CHECK_EQ(nsp_netns_delete(name, &err), -ENOENT);
	CHECK_EQ(nsp_netns_open_name(name, &err), -ENOENT);
	CHECK(lo_is_up(made)); /* a descriptor holds it */
	close(made);
}

static void test_with_ip(void)
{
	char command[256];
	int fd;

	snprintf(command, sizeof(command), "ip netns add %s 2>/dev/null", name);
	if (system(command) != 0)
		return;
	fd = nsp_netns_open_name(name, NULL);
	CHECK(fd >= 0);
	close(fd);
	CHECK(listed(name));
	CHECK_EQ(nsp_netns_delete(name, NULL), 0);

	fd = nsp_netns_create(name, NULL);
	close(fd);
	snprintf(command, sizeof(command), "ip netns exec %s ip link show up dev lo | grep -q UP", name);
	CHECK_EQ(system(command), 0);
	snprintf(command, sizeof(command), "ip netns del %s", name);
	CHECK_EQ(system(command), 0);
	CHECK(!listed(name));
}

static void test_names_refused(void)
{
	static const char *const refused[] = { "", ".", "..", "a/b", "/", "../x" };
	char longest[257];
	struct nsp_error err;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		memset(&err, 0, sizeof(err));
		CHECK_EQ(nsp_netns_create(refused[i], &err), -EINVAL);
		CHECK(strlen(err.text) > 20);
		CHECK_EQ(nsp_netns_open_name(refused[i], NULL), -EINVAL);
		CHECK_EQ(nsp_netns_delete(refused[i], NULL), -EINVAL);
	}
	memset(longest, 'n', sizeof(longest));
	longest[256] = '\0';
	CHECK_EQ(nsp_netns_create(longest, &err), -EINVAL);
	CHECK_STR(err.text, "the name of a network namespace is 256 bytes long, more than 255");
	longest[255] = '\0';
	CHECK_EQ(nsp_netns_open_name(longest, &err), -ENOENT);
}

/* The moment between a file's making and its binding, and what is no network namespace at all. */
static void test_not_a_namespace(void)
{
	struct nsp_error err = { 0 };
	char fifo[64];
	int fd;

	NEED(fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
	close(fd);
	CHECK_EQ(nsp_netns_open_name(name, &err), -EINVAL);
	CHECK(strstr(err.text, "no network namespace is bound on"));
	CHECK(!listed(name));
	CHECK_EQ(nsp_netns_create(name, &err), -EEXIST);
	CHECK_EQ(nsp_netns_delete(name, &err), 0);

	CHECK_EQ(nsp_netns_open("/proc/self/ns/mnt", &err), -EINVAL);
	CHECK_STR(err.text, "/proc/self/ns/mnt is not a network namespace");
	CHECK_EQ(nsp_netns_open("/etc/passwd", &err), -EINVAL);
	CHECK_EQ(nsp_netns_open("/nsplane/nowhere", &err), -ENOENT);
	CHECK_STR(err.text, "open /nsplane/nowhere: No such file or directory");

	snprintf(fifo, sizeof(fifo), "/tmp/nsp-ctest-%d", getpid());
	NEED(mkfifo(fifo, 0600));
	CHECK_EQ(nsp_netns_open(fifo, &err), -EINVAL); /* and does not wait for a writer */
	unlink(fifo);
}

/* A failure after the file was made, here because there is no /proc: in a mount namespace of its own. */
static void test_failure_leaves_nothing(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct nsp_error err = { 0 };

		if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0 ||
		    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
			_exit(2);
		if (nsp_netns_create(name, &err) != -ENOENT)
			_exit(3);
		_exit(access(path, F_OK) == 0 ? 4 : 0);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static pid_t child_in_new_netns(int *ready)
{
	pid_t child;
	int pipes[2];
	char byte;

	NEED(pipe2(pipes, O_CLOEXEC));
	child = fork();
	if (child == 0) {
		if (nsp_netns_unshare(NULL) < 0)
			_exit(1);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	*ready = read(pipes[0], &byte, 1) == 1;
	close(pipes[0]);
	return child;
}

static void test_processes(void)
{
	struct nsp_error err = { 0 };
	int pidfd, fd, own, ready;
	pid_t child;

	NEED(own = nsp_netns_open("/proc/self/ns/net", NULL));
	fd = nsp_netns_open_pid(getpid(), &pidfd, &err);
	CHECK(same(fd, own) && pidfd >= 0);
	close(fd);
	close(pidfd);

	child = child_in_new_netns(&ready);
	CHECK(ready);
	fd = nsp_netns_open_pid(child, &pidfd, &err);
	CHECK(fd >= 0 && !same(fd, own));
	CHECK(lo_is_up(fd));
	close(pidfd);
	close(fd);
	kill(child, SIGKILL);

	/* A zombie is no process any more. */
	siginfo_t info;
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	CHECK_EQ(nsp_netns_open_pid(child, &pidfd, &err), -ESRCH);
	CHECK_EQ(pidfd, -1);
	waitpid(child, NULL, 0);
	CHECK_EQ(nsp_netns_open_pid(child, &pidfd, &err), -ESRCH);
	CHECK(strstr(err.text, "No such process"));
	CHECK_EQ(nsp_netns_open_pid(0, &pidfd, &err), -EINVAL);
	CHECK_EQ(nsp_netns_open_pid(-1, &pidfd, &err), -EINVAL);
	close(own);
}

struct other_thread {
	pthread_barrier_t barrier;
	int tid;
};

static void *other_thread_main(void *arg)
{
	struct other_thread *other = arg;

	other->tid = (int)syscall(SYS_gettid);
	nsp_netns_unshare(NULL);
	pthread_barrier_wait(&other->barrier);
	pthread_barrier_wait(&other->barrier);
	return NULL;
}

static void test_threads(void)
{
	struct nsp_error err = { 0 };
	struct other_thread other;
	int own, fd, pidfd;
	pthread_t thread;

	NEED(own = nsp_netns_open("/proc/self/ns/net", NULL));
	pthread_barrier_init(&other.barrier, NULL, 2);
	pthread_create(&thread, NULL, other_thread_main, &other);
	pthread_barrier_wait(&other.barrier);
	fd = nsp_netns_open_task(getpid(), other.tid, &pidfd, &err);
	CHECK(fd >= 0 && pidfd >= 0 && !same(fd, own));
	close(fd);
	close(pidfd);
	CHECK_EQ(nsp_netns_open_pid(other.tid, &pidfd, &err), -ESRCH);
	CHECK(strstr(err.text, "thread"));
	pthread_barrier_wait(&other.barrier);
	pthread_join(thread, NULL);
	for (int i = 0; i < 5000 && syscall(SYS_tgkill, getpid(), other.tid, 0) == 0; i++)
		usleep(1000); /* who joins is woken before the kernel has taken the thread off its list */
	CHECK_EQ(nsp_netns_open_task(getpid(), other.tid, &pidfd, &err), -ESRCH);
	CHECK_EQ(nsp_netns_open_task(1, getpid(), &pidfd, &err), -ESRCH); /* a thread, but not that process's */
	pthread_barrier_destroy(&other.barrier);
	close(own);
}

static void test_enter(void)
{
	int netns = nsp_netns_create_anonymous(NULL), status;
	pid_t child;

	CHECK(lo_is_up(netns));
	child = fork();
	if (child == 0) {
		struct nsp_error err = { 0 };
		struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct none[2] = { 0 };
		int now, bad = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

		if (nsp_netns_enter(bad, &err) != -EINVAL || !strstr(err.text, "is not a network namespace"))
			_exit(1);
		if (nsp_netns_enter(netns, NULL) < 0)
			_exit(2);
		now = nsp_netns_open("/proc/self/ns/net", NULL);
		if (!same(now, netns))
			_exit(3);
		/* Without privileges it is still possible to stay. */
		if (syscall(SYS_capset, &header, none) < 0)
			_exit(4);
		_exit(nsp_netns_enter(netns, NULL) == 0 ? 0 : 5);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(WEXITSTATUS(status), 0);
	close(netns);
}

static void test_caller_stays(void)
{
	int before, after, netns;
	struct nsp_socket sock;

	NEED(before = nsp_netns_open("/proc/thread-self/ns/net", NULL));
	netns = nsp_netns_create_anonymous(NULL);
	NEED(nsp_socket_open(&sock, netns, NULL));
	NEED(after = nsp_netns_open("/proc/thread-self/ns/net", NULL));
	CHECK(same(before, after) && !same(before, netns));
	nsp_socket_close(&sock);
	CHECK_EQ(sock.fd, -1);
	close(before);
	close(after);
	close(netns);
}

static void test_cookie(void)
{
	int netns = nsp_netns_create_anonymous(NULL), other = nsp_netns_create_anonymous(NULL), here;
	uint64_t cookie = 0, again = 0, others = 0;

	CHECK_EQ(nsp_netns_cookie(netns, &cookie, NULL), 0);
	CHECK_EQ(nsp_netns_cookie(netns, &again, NULL), 0);
	CHECK_EQ(nsp_netns_cookie(other, &others, NULL), 0);
	CHECK(cookie && cookie == again && cookie != others);
	NEED(here = open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	CHECK_EQ(nsp_netns_cookie(here, &cookie, NULL), -EINVAL);
	close(here);
	close(netns);
	close(other);
}

static bool has_news(int fd)
{
	struct pollfd news = { .fd = fd, .events = POLLIN };
	bool has = poll(&news, 1, 0) > 0;

	nsp_directories_drain(fd);
	return has;
}

static void test_directories(void)
{
	char directory[] = "/tmp/nsp-ctest-XXXXXX", file[64];
	struct nsp_error err;
	int fd, number;

	CHECK(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/there", directory);
	NEED(fd = nsp_directories_open(NULL));
	NEED(number = nsp_directories_add(fd, directory, NULL));
	CHECK_EQ(nsp_directories_add(fd, directory, NULL), number);
	CHECK(!has_news(fd));
	CHECK_EQ(symlink("nowhere", file), 0);
	CHECK(has_news(fd) && !has_news(fd));
	CHECK_EQ(nsp_directories_add(fd, file, &err), -ENOENT);
	unlink(file);
	CHECK(has_news(fd));
	nsp_directories_remove(fd, number);
	CHECK(has_news(fd)); /* that it is not heard of any more */
	CHECK_EQ(symlink("nowhere", file), 0);
	CHECK(!has_news(fd));
	unlink(file);
	rmdir(directory);
	close(fd);
}

static int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			count++;
	return count;
}

/* Of named namespaces: the rest of the machine has a life of its own. */
static int mounts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, name) || strstr(line, " /run/netns ");
	if (file)
		fclose(file);
	return count;
}

/* One of the caller's own namespace, of a single digit. */
static void read_setting(const char *setting, char value[2])
{
	FILE *file;
	char at[128];

	snprintf(at, sizeof(at), "/proc/sys/net/%s", setting);
	file = fopen(at, "r");
	if (!file)
		exit(1);
	value[0] = (char)fgetc(file);
	value[1] = 0;
	fclose(file);
}

/* What is no descriptor is nobody's namespace, and least of all the caller's. */
static void test_no_descriptor(void)
{
	static const int none[] = { -1, -2, -EPERM, -EMFILE, INT_MIN };
	static const char *const setting = "ipv4/ip_forward";
	struct world *world = world_new();
	struct nsp_link link = { .fields = NSP_LINK_NAME | NSP_LINK_KIND, .name = "red", .kind = "veth" };
	struct nsp_link peer = { .fields = NSP_LINK_NAME, .name = "blue" };
	struct nsp_event events[64];
	struct nsp_socket sock;
	struct nsp_error err;
	char before[2], after[2];

	read_setting(setting, before);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		err.text[0] = 0;
		CHECK_EQ(nsp_socket_open(&sock, none[i], &err), -EBADF);
		CHECK(strstr(err.text, "is not the descriptor of a network namespace"));
		CHECK_EQ(sock.fd, -1);
		CHECK_EQ(nsp_netns_sysctl(none[i], setting, before[0] == '0' ? "1" : "0", &err), -EBADF);
		CHECK_EQ(nsp_monitor_survey(none[i], events, 64, NULL, &err), -EBADF);
		CHECK_EQ(nsp_link_create(&world->batch, &link, &peer, none[i]), -EBADF);
		CHECK_EQ(nsp_netns_enter(none[i], &err), -EBADF);
	}
	CHECK_EQ(world->batch.count, 0);
	read_setting(setting, after);
	CHECK_STR(after, before);

	/* Its own has to be asked for. */
	CHECK_EQ(nsp_netns_sysctl(NSP_NETNS_CURRENT, setting, before, &err), 0);
	CHECK_EQ(nsp_socket_open(&sock, NSP_NETNS_CURRENT, &err), 0);
	nsp_socket_close(&sock);
	CHECK(nsp_monitor_survey(NSP_NETNS_CURRENT, events, 64, NULL, &err) > 0);
	world_free(world);
}

static void test_settings(void)
{
	static const char *const refused[] = { "",
					       "/",
					       "..",
					       "../kernel/hostname",
					       "ipv4/../../kernel/hostname",
					       "ipv4/..",
					       "./ipv4/ip_forward",
					       "/ipv4/ip_forward",
					       "ipv4//ip_forward",
					       "ipv4/ip_forward/" };
	struct world *world = world_new();
	struct nsp_error err;

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		CHECK_EQ(nsp_netns_sysctl(world->netns, refused[i], "1", &err), -EINVAL);
		CHECK(strstr(err.text, "is not the name of a setting"));
	}
	CHECK_EQ(nsp_netns_sysctl(world->netns, "ipv4/ip_forward", "1", &err), 0);
	CHECK_EQ(nsp_netns_sysctl(world->netns, "ipv4/no..such", "1", &err), -ENOENT);
	world_free(world);
}

int main(void)
{
	int fds, mounted;

	test_needs_root();
	CHECK_STR(nsp_version(), "0.1");
	snprintf(name, sizeof(name), "nsp-ctest-%d", getpid());
	snprintf(path, sizeof(path), "/run/netns/%s", name);

	test_named(); /* which also makes /run/netns */
	fds = descriptors();
	mounted = mounts();
	test_with_ip();
	test_names_refused();
	test_not_a_namespace();
	test_failure_leaves_nothing();
	/* The valgrind of Debian 12 knows no pidfds. */
	if (syscall(SYS_pidfd_open, -1, 0) < 0 && errno == ENOSYS) {
		puts("not tried: processes and threads, for want of pidfd_open");
	} else {
		test_processes();
		test_threads();
	}
	test_no_descriptor();
	test_settings();
	test_enter();
	test_caller_stays();
	test_cookie();
	test_directories();
	test_named();
	CHECK_EQ(descriptors(), fds);
	CHECK_EQ(mounts(), mounted);
	return test_end();
}
