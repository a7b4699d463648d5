/* SPDX-License-Identifier: Apache-2.0 */
/* The core's descriptor is readable when something was completed, and only then, however late it is written. */
#include "rig.h"

#include <poll.h>
#include <sys/eventfd.h>

/* The writer's thread stops at this gate before it writes the event. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static pthread_t planner;
static bool gate_shut;
static uint32_t gate_waiting, gate_passed;

/* In place of the C library's. */
int eventfd_write(int fd, eventfd_t value)
{
	bool stops = !pthread_equal(pthread_self(), planner);

	pthread_mutex_lock(&gate_lock);
	gate_waiting += stops;
	pthread_cond_broadcast(&gate_moved);
	while (stops && gate_shut)
		pthread_cond_wait(&gate_moved, &gate_lock);
	pthread_mutex_unlock(&gate_lock);

	ssize_t written = write(fd, &value, sizeof(value));

	pthread_mutex_lock(&gate_lock);
	gate_waiting -= stops;
	gate_passed += stops;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
	return written == sizeof(value) ? 0 : -1;
}

static void gate_await(const uint32_t *counter, uint32_t least)
{
	pthread_mutex_lock(&gate_lock);
	while (*counter < least)
		pthread_cond_wait(&gate_moved, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

static void gate_set(bool shut)
{
	pthread_mutex_lock(&gate_lock);
	gate_shut = shut;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
}

static bool is_readable(struct rig *rig)
{
	struct pollfd event = { .fd = nsp_core_fd(rig->core), .events = POLLIN };

	return poll(&event, 1, 0) == 1;
}

/* Has the planner take everything that is there, as it does when the event is readable. Returns how many completions there were. */
static uint32_t take_all(struct rig *rig)
{
	struct nsp_done done;
	uint32_t count = 0;

	while (nsp_core_poll(rig->core, &done)) {
		nsp_op_free(done.op);
		count++;
	}
	return count;
}

/* Nothing is under way, and nothing noted: the writer sleeps, so it has written whatever it had to. */
static void rest(struct rig *rig)
{
	bool idle;

	rig_quiet(rig);
	do {
		nap();
		pthread_mutex_lock(&rig->core->lock);
		idle = rig->core->idle;
		pthread_mutex_unlock(&rig->core->lock);
	} while (!idle);
	take_all(rig);
	CHECK(!is_readable(rig));
}

static void test_quiet_after_all_was_taken(void)
{
	struct rig *rig = rig_new_ready();

	rest(rig);
	struct pollfd event = { .fd = nsp_core_fd(rig->core), .events = POLLIN };
	rig_start(rig, "[{kind: route, interface: web0, dst: 10.0.0.0/8}]");
	CHECK_EQ(poll(&event, 1, WAIT_MS), 1);
	CHECK_EQ(take_all(rig), 1);
	CHECK(!is_readable(rig));
	rig_free(rig);
}

static void submit_nothing(struct rig *rig)
{
	struct nsp_op *op = nsp_op_new(1);

	nsp_op_stage(op, rig->netns, 0);
	nsp_core_submit(rig->core, op, false);
}

static void test_written_after_it_was_taken(void)
{
	struct rig *rig = rig_new_ready();

	rest(rig);
	gate_set(true);
	uint32_t passed = gate_passed;
	submit_nothing(rig);
	gate_await(&gate_waiting, 1);
	CHECK_EQ(take_all(rig), 1);
	CHECK(!is_readable(rig));

	/* The planner is woken once for nothing, and not for ever. */
	gate_set(false);
	gate_await(&gate_passed, passed + 1);
	CHECK(is_readable(rig));
	CHECK_EQ(take_all(rig), 0);
	CHECK(!is_readable(rig));

	/* What comes next is told. */
	submit_nothing(rig);
	gate_await(&gate_passed, passed + 2);
	CHECK(is_readable(rig));
	CHECK_EQ(take_all(rig), 1);
	CHECK(!is_readable(rig));
	rig_free(rig);
}

static void test_completed_while_the_write_is_late(void)
{
	struct rig *rig = rig_new_ready();

	rest(rig);
	gate_set(true);
	uint32_t passed = gate_passed;
	submit_nothing(rig);
	gate_await(&gate_waiting, 1);
	CHECK_EQ(take_all(rig), 1);

	/* A request of the planner's own is completed before the late write comes. */
	uint32_t serial = nsp_core_request_open(rig->core);
	nsp_core_request_commit(rig->core, serial);
	CHECK(is_readable(rig));
	gate_set(false);
	gate_await(&gate_passed, passed + 1);
	CHECK_EQ(take_all(rig), 1);
	CHECK(!is_readable(rig));
	nsp_core_request_close(rig->core, serial);
	rig_free(rig);
}

int main(void)
{
	test_needs_root();
	planner = pthread_self();
	test_quiet_after_all_was_taken();
	test_written_after_it_was_taken();
	test_completed_while_the_write_is_late();
	return test_end();
}
