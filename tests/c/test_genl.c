/* SPDX-License-Identifier: Apache-2.0 */
/* Generic netlink: the numbers of families, one request and its answers, and many requests in a batch. */
#include "test.h"

#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>

static uint32_t memory[16384];

static struct nsp_room room_of(uint32_t cap)
{
	return (struct nsp_room){ .buf = memory, .cap = cap };
}

static void open_in(struct nsp_socket *sock, const struct world *world)
{
	NEED(nsp_genl_open(sock, world->netns, NULL));
}

/* The attributes of ethtool's header: a link by its name. They lie in `buf`. */
static struct nsp_attrs link_named(uint32_t *buf, uint32_t cap, const char *name)
{
	struct nsp_attrs attrs;
	struct nsp_msg msg;

	nsp_attrs_begin(&msg, buf, cap);
	struct nlattr *header = nsp_attr_nest(&msg, ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED);
	nsp_attr_put_str(&msg, ETHTOOL_A_HEADER_DEV_NAME, name);
	nsp_attr_nest_end(&msg, header);
	NEED(nsp_attrs_end(&msg, &attrs));
	return attrs;
}

static struct nsp_genl features_of(int family, uint32_t *buf, uint32_t cap, const char *name)
{
	return (struct nsp_genl){
		.family = (uint16_t)family,
		.command = ETHTOOL_MSG_FEATURES_GET,
		.version = ETHTOOL_GENL_VERSION,
		.attrs = link_named(buf, cap, name),
	};
}

static void test_families(void)
{
	struct world *world = world_new();
	struct nsp_error err = { 0 };
	struct nsp_socket sock;

	open_in(&sock, world);
	CHECK_EQ(nsp_genl_family(&sock, "nlctrl", &err), GENL_ID_CTRL);
	CHECK(nsp_genl_family(&sock, "ethtool", &err) > GENL_ID_CTRL);
	CHECK_EQ(nsp_genl_family(&sock, "nobody", &err), -ENOENT);
	CHECK_STR(err.text, "generic netlink family nobody: No such file or directory");
	CHECK_EQ(nsp_genl_family(&sock, "a name that no family can have", &err), -ENOENT);
	nsp_socket_close(&sock);
	CHECK_EQ(nsp_genl_open(&sock, -1, &err), -EBADF);
	world_free(world);
}

static void test_a_request_and_its_answer(void)
{
	struct world *world = world_new();
	struct nsp_room room = room_of(sizeof(memory)), small = room_of(8);
	struct nsp_error err = { 0 };
	struct nsp_genl answer;
	struct nsp_socket sock;
	uint32_t buf[32];

	open_in(&sock, world);
	int family = nsp_genl_family(&sock, "ethtool", NULL);
	struct nsp_genl request = features_of(family, buf, sizeof(buf), "lo");
	CHECK_EQ(nsp_genl_request(&sock, &request, 0, &room, &err), 1);
	CHECK_EQ(nsp_genl_read(memory, &answer), 0);
	CHECK_EQ(answer.family, family);
	CHECK_EQ(answer.command, ETHTOOL_MSG_FEATURES_GET_REPLY);
	CHECK_EQ(answer.version, ETHTOOL_GENL_VERSION);
	const struct nlattr *attr;
	int found = 0;
	NSP_ATTR_EACH_OF(attr, answer.attrs.data, answer.attrs.len)
	found |= 1 << nsp_attr_type(attr);
	CHECK(found & 1 << ETHTOOL_A_FEATURES_ACTIVE);

	/* What does not fit is left out, and told. */
	CHECK_EQ(nsp_genl_request(&sock, &request, 0, &small, &err), 1);
	CHECK_EQ(small.len, room.len);
	CHECK_EQ(nsp_genl_request(&sock, &request, 0, NULL, &err), 1);

	/* The kernel's own sentence. */
	request = features_of(family, buf, sizeof(buf), "none");
	CHECK_EQ(nsp_genl_request(&sock, &request, 0, &room, &err), -ENODEV);
	CHECK(strstr(err.text, "no device matches name"));
	CHECK_EQ(room.len, 0);
	nsp_socket_close(&sock);
	world_free(world);
}

static void test_a_dump(void)
{
	struct world *world = world_new();
	struct nsp_genl request = { .family = GENL_ID_CTRL, .command = CTRL_CMD_GETFAMILY, .version = 1 }, answer;
	struct nsp_room room = room_of(sizeof(memory));
	struct nsp_error err = { 0 };
	struct nsp_socket sock;
	long read = 0;

	open_in(&sock, world);
	long count = nsp_genl_request(&sock, &request, NLM_F_DUMP, &room, &err);
	CHECK(count > 1);
	CHECK(room.len <= room.cap);
	for (uint32_t at = 0; at < room.len; read++) {
		const struct nlmsghdr *head = (const void *)((const uint8_t *)memory + at);

		CHECK_EQ(nsp_genl_read(head, &answer), 0);
		CHECK_EQ(answer.family, GENL_ID_CTRL);
		at += NLMSG_ALIGN(head->nlmsg_len);
	}
	CHECK_EQ(read, count);
	request.family = 0xfff0;
	CHECK_EQ(nsp_genl_request(&sock, &request, NLM_F_DUMP, &room, &err), -ENOENT);
	nsp_socket_close(&sock);
	world_free(world);
}

static void test_a_batch(void)
{
	struct world *world = world_new();
	struct outcome outcome = { 0 };
	struct nsp_error err = { 0 };
	struct nsp_socket sock;
	struct nsp_batch batch;
	uint32_t buf[32], space[16];

	open_in(&sock, world);
	int family = nsp_genl_family(&sock, "ethtool", NULL);
	struct nsp_genl of_lo = features_of(family, buf, sizeof(buf), "lo"), of_none;
	CHECK_EQ(nsp_genl_put(&world->batch, &of_lo, 0), 0);
	of_none = features_of(family, buf, sizeof(buf), "none");
	CHECK_EQ(nsp_genl_put(&world->batch, &of_none, 0), 1);
	CHECK_EQ(nsp_batch_send(&sock, &world->batch, outcome_failed, outcome_reply, &outcome, &err), 0);
	CHECK_EQ(outcome.failures, 1);
	CHECK_EQ(outcome.last_index, 1);
	CHECK_EQ(outcome.error, ENODEV);
	CHECK_EQ(outcome.replies, 1);
	CHECK_EQ(outcome.reply_index, 0);

	nsp_batch_init(&batch, space, 24); /* a header of 20 bytes, and no room for what follows */
	CHECK_EQ(nsp_genl_put(&batch, &of_none, 0), -ENOSPC);
	CHECK_EQ(batch.len, 0);
	of_none.attrs.len = 0;
	CHECK_EQ(nsp_genl_put(&batch, &of_none, 0), 0);
	nsp_socket_close(&sock);
	world_free(world);
}

static void test_too_short(void)
{
	struct nlmsghdr head = { .nlmsg_len = NLMSG_LENGTH(2), .nlmsg_type = GENL_ID_CTRL };
	struct nsp_genl genl;

	CHECK_EQ(nsp_genl_read(&head, &genl), -EINVAL);
}

int main(void)
{
	test_needs_root();
	test_families();
	test_a_request_and_its_answer();
	test_a_dump();
	test_a_batch();
	test_too_short();
	return test_end();
}
