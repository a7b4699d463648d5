/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of any length: each message that fails is told by its number, and every other one has been carried out. */
#include "test.h"

#define MANY 3000

/* What was told about each message. */
struct told {
	int errors[MANY];
	int times[MANY];
	int failures;
	int outside;
	bool ordered;
	uint32_t last;
	char text[256];
	int replies[MANY];
	int links[MANY];
};

static void told_failed(void *arg, uint32_t index, int error, const char *text)
{
	struct told *told = arg;

	if (index >= MANY) {
		told->outside++;
		return;
	}
	if (told->failures++ && index <= told->last)
		told->ordered = false;
	told->last = index;
	told->errors[index] = error;
	told->times[index]++;
	snprintf(told->text, sizeof(told->text), "%s", text);
}

static void told_reply(void *arg, uint32_t index, const void *msg)
{
	struct told *told = arg;
	struct nsp_link link;

	if (index >= MANY) {
		told->outside++;
		return;
	}
	told->replies[index]++;
	if (nsp_link_read(msg, &link) == 0)
		told->links[index] = link.index;
}

static struct told told;

static int send_all(struct world *world)
{
	struct nsp_error err = { 0 };
	int ret;

	memset(&told, 0, sizeof(told));
	told.ordered = true;
	ret = nsp_batch_send(&world->sock, &world->batch, told_failed, told_reply, &told, &err);
	if (ret < 0)
		printf("%s\n", err.text);
	return ret;
}

static struct nsp_route nth_route(int oif, uint32_t n)
{
	struct nsp_route route = route_of(oif, "10.0.0.0", 32, NULL);

	route.dst[1] = (uint8_t)(n >> 16);
	route.dst[2] = (uint8_t)(n >> 8);
	route.dst[3] = (uint8_t)n;
	return route;
}

static void put_routes(struct world *world, int oif, uint32_t count)
{
	nsp_batch_reset(&world->batch);
	for (uint32_t i = 0; i < count; i++) {
		struct nsp_route route = nth_route(oif, i);

		if (nsp_route_put(&world->batch, &route, NSP_PUT_NEW) != (int)i)
			CHECK(!"the index of an appended message");
	}
}

static void count_row(void *arg, uint32_t index, const void *msg)
{
	struct nsp_route route;

	(void)index;
	if (!msg)
		*(int *)arg = 0;
	else if (nsp_route_read(msg, &route) == 0 && route.proto == 110)
		++*(int *)arg;
}

static int routes_there(struct world *world)
{
	int count = 0;

	NEED(nsp_dump(&world->sock, NSP_DUMP_ROUTES, AF_INET, 0, RT_TABLE_MAIN, count_row, &count, NULL));
	return count;
}

static void test_lengths(uint32_t window)
{
	static const uint32_t lengths[] = { 0, 1, 2, 255, 256, 257, 1000, MANY };
	struct world *world = world_new();
	int oif = world_veth(world, "v0");

	if (window)
		world->sock.window = window;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_routes(world, oif, lengths[i]);
		CHECK_EQ(world->batch.count, lengths[i]);
		CHECK_EQ(send_all(world), 0);
		/* Those of the former round are there; the rest is new. */
		CHECK_EQ(told.failures, i ? lengths[i - 1] : 0);
		CHECK(told.failures == 0 || (told.errors[0] == EEXIST && told.last == lengths[i - 1] - 1));
		CHECK(told.ordered && !told.outside);
		CHECK_EQ(routes_there(world), lengths[i]);
	}
	world_free(world);
}

static void test_all_fail(int rcvbuf)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), twice = 0;

	if (rcvbuf) {
		socklen_t len = sizeof(rcvbuf);

		/* As where SO_RCVBUFFORCE is not allowed: the kernel's default, and a window that goes with it. */
		NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)));
		NEED(getsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, &len));
		world->sock.window = (uint32_t)rcvbuf / 1280;
	}
	put_routes(world, oif + 1000, MANY); /* no such link */
	CHECK_EQ(send_all(world), 0);
	CHECK_EQ(told.failures, MANY);
	for (int i = 0; i < MANY; i++)
		twice += told.errors[i] != ENODEV || told.times[i] != 1;
	CHECK_EQ(twice, 0);
	CHECK(told.ordered && !told.outside);

	/* The socket is as good as before. */
	put_routes(world, oif, 10);
	CHECK_EQ(send_all(world), 0);
	CHECK_EQ(told.failures, 0);
	world_free(world);
}

static void test_which_fail(void)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), wrong = 0;

	nsp_batch_reset(&world->batch);
	for (uint32_t i = 0; i < 600; i++) {
		/* Every seventh, and the last of the first chunk and of all. */
		bool bad = i % 7 == 3 || i == 255 || i == 599;
		struct nsp_route route = nth_route(bad ? oif + 1000 : oif, i);

		NEED(nsp_route_put(&world->batch, &route, NSP_PUT_NEW));
	}
	CHECK_EQ(send_all(world), 0);
	for (uint32_t i = 0; i < 600; i++)
		wrong += told.errors[i] != (i % 7 == 3 || i == 255 || i == 599 ? ENODEV : 0);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(routes_there(world), 600 - told.failures);
	world_free(world);
}

/* A lone message that fails is last and first at once. */
static void test_ext_ack(void)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0");
	struct nsp_route route = route_of(oif, "10.0.0.0", 8, "192.0.2.1");
	struct outcome outcome;

	NEED(nsp_route_put(&world->batch, &route, NSP_PUT_NEW));
	CHECK_EQ(world_send(world, &outcome), ENETUNREACH);
	CHECK_STR(outcome.text, "Nexthop has invalid gateway");
	CHECK_EQ(outcome.failures, 1);

	/* Many of them: an answer with a sentence takes more of the receive buffer. */
	for (uint32_t i = 0; i < 1000; i++)
		NEED(nsp_route_put(&world->batch, &route, NSP_PUT_NEW));
	CHECK_EQ(send_all(world), 0);
	CHECK_EQ(told.failures, 1000);
	CHECK_STR(told.text, "Nexthop has invalid gateway");

	/* Nobody has to listen. */
	CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, NULL), 0);
	nsp_batch_reset(&world->batch);
	world_free(world);
}

static void test_get_among_others(void)
{
	struct nsp_link lo = { .fields = NSP_LINK_INDEX, .index = 1 }, none = { .fields = NSP_LINK_NAME, .name = "none" };
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), wrong = 0;
	uint32_t count;

	nsp_batch_reset(&world->batch);
	for (uint32_t i = 0; i < 300; i++) {
		struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = oif };
		struct nsp_route route = nth_route(oif, i);

		NEED(nsp_route_put(&world->batch, &route, NSP_PUT_NEW));
		NEED(nsp_link_get(&world->batch, i & 1 ? &link : &lo));
		NEED(nsp_link_get(&world->batch, &none));
	}
	NEED(nsp_link_get(&world->batch, &lo)); /* and in the last place: a reply, then the ACK */
	count = world->batch.count;
	CHECK_EQ(send_all(world), 0);
	CHECK_EQ(told.failures, 300);
	for (uint32_t i = 0; i < 900; i++) {
		wrong += told.errors[i] != (i % 3 == 2 ? ENODEV : 0);
		wrong += told.replies[i] != (i % 3 == 1);
		wrong += told.links[i] != (i % 3 != 1 ? 0 : i / 3 & 1 ? oif : 1);
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(told.replies[count - 1], 1);
	CHECK_EQ(told.links[count - 1], 1);
	CHECK_EQ(routes_there(world), 300);
	world_free(world);
}

/* Links with everything that takes room, many to a batch, with a small receive buffer. */
static void test_get_in_small_buffer(void)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), size = 106496, missing = 0;
	socklen_t len = sizeof(size);

	NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	NEED(getsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &size, &len));
	world->sock.window = (uint32_t)size / 1280;
	nsp_batch_reset(&world->batch);
	for (uint32_t i = 0; i < 1000; i++) {
		struct nsp_link link = { .fields = NSP_LINK_INDEX, .index = oif };

		NEED(nsp_link_get(&world->batch, &link));
	}
	CHECK_EQ(send_all(world), 0);
	for (uint32_t i = 0; i < 1000; i++)
		missing += told.replies[i] != 1;
	CHECK_EQ(missing, 0);
	world_free(world);
}

/* A receive buffer that is far too small for the window: the loss is told, and the socket mends itself. */
static void test_lost_verdicts(void)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), size = 2048, tries;
	struct nsp_error err = { 0 };

	NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	put_routes(world, oif + 1000, 256);
	memset(&told, 0, sizeof(told));
	CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, told_failed, told_reply, &told, &err), -ENOBUFS);
	CHECK_EQ(err.code, ENOBUFS);
	CHECK(told.failures > 0 && told.failures < 256);
	CHECK(world->sock.window < 256);
	for (tries = 0; tries < 10; tries++)
		if (nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, NULL) == 0)
			break;
	CHECK(tries < 10);
	CHECK_EQ(send_all(world), 0);
	CHECK_EQ(told.failures, 256);
	world_free(world);
}

/* The window that was cut by a loss comes back when none has followed for long, and no further than it was. */
static void test_window_grows_again(void)
{
	struct world *world = world_new();
	int oif = world_veth(world, "v0"), small = 1, large = 1 << 20, rounds;
	struct nsp_link link = { .fields = NSP_LINK_INDEX | NSP_LINK_UP, .index = oif, .up = 1 };

	CHECK_EQ(world->sock.window, 256);
	NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	put_routes(world, oif + 1000, 256);
	while (nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, NULL) == -ENOBUFS)
		;
	uint32_t smallest = world->sock.window;
	CHECK(smallest < 16);
	NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large)));
	nsp_batch_reset(&world->batch);
	NEED(nsp_link_change(&world->batch, &link));
	for (rounds = 0; rounds < 10000 && world->sock.window < 256; rounds++)
		CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, NULL), 0);
	CHECK_EQ(world->sock.window, 256);
	CHECK(rounds > 1000); /* not at once */
	for (rounds = 0; rounds < 1100; rounds++)
		CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, NULL), 0);
	CHECK_EQ(world->sock.window, 256);
	world_free(world);
}

/* Chunks are bounded by bytes too, whatever the socket's send buffer. */
static void test_large_messages(int sndbuf)
{
	static struct {
		struct nlmsghdr head;
		struct rtmsg rtm;
		uint8_t attrs[8192];
	} msg;
	struct world *world = world_new();
	int oif = world_veth(world, "v0");
	struct nsp_route route = route_of(oif + 1000, "10.0.0.0", 8, NULL);
	const uint32_t sizes[] = { 512, 2048, 8192 };
	struct nlattr *padding;

	if (sndbuf)
		NEED(setsockopt(world->sock.fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t at, count = sizeof(world->buf) / sizes[i] - 1;

		NEED(nsp_route_put(&world->batch, &route, NSP_PUT_NEW));
		at = ((struct nlmsghdr *)(void *)world->batch.buf)->nlmsg_len;
		memcpy(&msg, world->batch.buf, at);
		nsp_batch_reset(&world->batch);
		padding = (struct nlattr *)(void *)((uint8_t *)&msg + at);
		padding->nla_type = RTA_PAD;
		padding->nla_len = (uint16_t)(sizes[i] - at);
		msg.head.nlmsg_len = sizes[i];
		for (uint32_t n = 0; n < count; n++)
			NEED(nsp_batch_copy(&world->batch, &msg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL));
		CHECK_EQ(send_all(world), 0);
		CHECK_EQ(told.failures, count);
		CHECK_EQ(told.errors[0], sndbuf && sizes[i] > 5000 ? EMSGSIZE : ENODEV);
		nsp_batch_reset(&world->batch);
	}
	world_free(world);
}

static void test_room(void)
{
	struct nsp_route route = route_of(1, "10.0.0.0", 8, "10.0.0.1");
	struct nsp_batch batch, before;
	uint8_t buf[256];
	int ret, count = 0;

	memset(buf, 0xee, sizeof(buf));
	/* From an odd address it begins at the next one that fits. */
	nsp_batch_init(&batch, buf + 1, 200);
	CHECK_EQ((uintptr_t)batch.buf % 4, 0);
	for (;;) {
		before = batch;
		ret = nsp_route_put(&batch, &route, NSP_PUT_NEW);
		if (ret < 0)
			break;
		CHECK_EQ(ret, count++);
	}
	CHECK_EQ(ret, -ENOSPC);
	CHECK_EQ(count, 200 / 52);
	CHECK_EQ(memcmp(&batch, &before, sizeof(batch)), 0);
	CHECK_EQ(batch.count, (uint32_t)count);
	CHECK_EQ(batch.last, batch.len - 52);
	for (size_t i = 201; i < sizeof(buf); i++)
		CHECK(buf[i] == 0xee);
	nsp_batch_init(&batch, buf, 0);
	CHECK_EQ(nsp_route_put(&batch, &route, NSP_PUT_NEW), -ENOSPC);
}

static void test_malformed(void)
{
	struct world *world = world_new();
	struct nsp_error err = { 0 };

	put_routes(world, 1, 3);
	((struct nlmsghdr *)(void *)(world->batch.buf + world->batch.last))->nlmsg_len = 5000;
	CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, NULL, NULL, NULL, &err), -EINVAL);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_lengths(0);
	test_lengths(1);
	test_lengths(7);
	test_all_fail(0);
	test_all_fail(106496);
	test_which_fail();
	test_ext_ack();
	test_get_among_others();
	test_get_in_small_buffer();
	test_lost_verdicts();
	test_window_grows_again();
	test_large_messages(0);
	test_large_messages(2560);
	test_room();
	test_malformed();
	return test_end();
}
