/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and attributes are built by programs of what the library knows nothing about, and read. */
#include "test.h"

#include <linux/fib_rules.h>

static void test_bytes(void)
{
	static const uint8_t should[] = {
		5,  0, 1, 0,	0x11, 0,    0,	  0,				/* u8, padded with zeroes */
		6,  0, 2, 0,	0x12, 0x34, 0,	  0,				/* be16 */
		8,  0, 3, 0,	0x12, 0x34, 0x56, 0x78,				/* be32 */
		4,  0, 4, 0,							/* a flag */
		7,  0, 5, 0,	'a',  'b',  0,	  0,				/* a string with its NUL */
		12, 0, 6, 0x80, 8,    0,    7,	  0,	0xfe, 0xff, 0xff, 0xff, /* a nest with an s32 */
	};
	uint32_t buf[32];
	struct nsp_attrs attrs;
	struct nsp_msg msg;

	memset(buf, 0xff, sizeof(buf));
	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_u8(&msg, 1, 0x11);
	nsp_attr_put_be16(&msg, 2, 0x1234);
	nsp_attr_put_be32(&msg, 3, 0x12345678);
	nsp_attr_put(&msg, 4, NULL, 0);
	nsp_attr_put_str(&msg, 5, "ab");
	struct nlattr *nest = nsp_attr_nest(&msg, 6 | NLA_F_NESTED);
	nsp_attr_put_s32(&msg, 7, -2);
	nsp_attr_nest_end(&msg, nest);
	CHECK_EQ(nsp_attrs_end(&msg, &attrs), 0);
	CHECK(attrs.data == buf);
	CHECK_EQ(attrs.len, sizeof(should));
	/* Lengths, types and numbers are of the host's order, which is this one on every machine that this runs on. */
	CHECK(memcmp(attrs.data, should, sizeof(should)) == 0);
}

static void test_what_is_read(void)
{
	const struct nlattr *attr, *inner;
	uint32_t buf[64], seen = 0, u32 = 0;
	struct nsp_attrs attrs;
	struct nsp_msg msg;
	uint64_t u64 = 0;
	uint16_t u16 = 0;
	char text[4];

	nsp_attrs_begin(&msg, buf, sizeof(buf));
	nsp_attr_put_u16(&msg, 1, 0xabcd);
	nsp_attr_put_u32(&msg, 2, 0x89abcdef);
	nsp_attr_put_u64(&msg, 3, 0x0123456789abcdefu);
	nsp_attr_put(&msg, 4, "wide", 4); /* without a NUL */
	struct nlattr *nest = nsp_attr_nest(&msg, 5 | NLA_F_NESTED);
	nsp_attr_put_u8(&msg, 6, 1);
	nsp_attr_nest_end(&msg, nest);
	CHECK_EQ(nsp_attrs_end(&msg, &attrs), 0);

	NSP_ATTR_EACH_OF(attr, attrs.data, attrs.len)
	{
		seen |= 1u << nsp_attr_type(attr);
		switch (nsp_attr_type(attr)) {
		case 1:
			CHECK_EQ(nsp_attr_len(attr), 2);
			CHECK_EQ(nsp_attr_get(attr, &u16, sizeof(u16)), 1);
			CHECK_EQ(nsp_attr_get(attr, &u32, sizeof(u32)), 0);
			CHECK_EQ(u32, 0);
			break;
		case 2:
			CHECK_EQ(nsp_attr_get(attr, &u32, sizeof(u32)), 1);
			break;
		case 3:
			CHECK_EQ(nsp_attr_get(attr, &u64, sizeof(u64)), 1);
			break;
		case 4:
			nsp_attr_get_str(attr, text, sizeof(text));
			CHECK_STR(text, "wid");
			break;
		case 5:
			NSP_ATTR_EACH_IN(inner, attr)
				seen |= 1u << nsp_attr_type(inner);
			break;
		}
	}
	CHECK_EQ(seen, 0x7e);
	CHECK_EQ(u16, 0xabcd);
	CHECK_EQ(u32, 0x89abcdef);
	CHECK_EQ(u64, 0x0123456789abcdefu);
}

/* Lengths that lead outside end it. */
static void test_malformed(void)
{
	struct nlattr attrs[3] = { { 4, 1 }, { 4, 2 }, { 4, 3 } };
	const struct nsp_attrs none = { 0 };
	const struct nlattr *attr;
	int count = 0;

	attrs[1].nla_len = 9;
	NSP_ATTR_EACH_OF(attr, attrs, sizeof(attrs))
	count++;
	CHECK_EQ(count, 1);
	attrs[1].nla_len = 3;
	NSP_ATTR_EACH_OF(attr, attrs, sizeof(attrs))
	count++;
	CHECK_EQ(count, 2);
	NSP_ATTR_EACH_OF(attr, none.data, none.len)
	count++;
	CHECK_EQ(count, 2);
	CHECK(!nsp_msg_body(&(struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN + 3 }, 4));
}

/* In every length of room that is too short nothing is written outside of it, and the end says so. */
static void test_no_room(void)
{
	struct nsp_attrs attrs;
	struct nsp_msg msg;

	for (uint32_t cap = 0; cap <= 40; cap += 4) {
		uint32_t *buf = malloc(cap + 4);

		nsp_attrs_begin(&msg, buf, cap);
		struct nlattr *nest = nsp_attr_nest(&msg, 1);
		nsp_attr_put_u64(&msg, 2, 1);
		nsp_attr_put_str(&msg, 3, "seven b");
		nsp_attr_put_u8(&msg, 4, 1);
		nsp_attr_nest_end(&msg, nest);
		CHECK_EQ(nsp_attrs_end(&msg, &attrs), cap < 36 ? -ENOSPC : 0);
		CHECK_EQ(attrs.len, cap < 36 ? 0 : 36);
		free(buf);
	}

	/* An attribute has 64 KiB at most, whatever room there is. */
	uint32_t *buf = calloc(3, 65536);
	nsp_attrs_begin(&msg, buf, 3 * 65536);
	nsp_attr_put(&msg, 1, buf, 65532);
	CHECK_EQ(nsp_attrs_end(&msg, &attrs), -ENOSPC);
	nsp_attrs_begin(&msg, buf, 3 * 65536);
	struct nlattr *nest = nsp_attr_nest(&msg, 1);
	nsp_attr_put(&msg, 2, buf + 32768, 65531);
	CHECK(msg.head);
	nsp_attr_nest_end(&msg, nest);
	CHECK_EQ(nsp_attrs_end(&msg, &attrs), -ENOSPC);
	CHECK(!nsp_msg_take(&msg, UINT32_MAX));
	free(buf);
}

static void count_rule(void *arg, uint32_t index, const void *msg)
{
	const struct nlmsghdr *head = msg;
	const struct fib_rule_hdr *rule = nsp_msg_body(head, sizeof(*rule));
	const struct nlattr *attr;
	uint32_t priority = 0;

	(void)index;
	if (!rule)
		return;
	NSP_ATTR_EACH(attr, head, sizeof(*rule))
		if (nsp_attr_type(attr) == FRA_PRIORITY)
			nsp_attr_get(attr, &priority, sizeof(priority));
	*(int *)arg += priority == 1234;
}

/* A kind of object for which there is no builder: made, and told in an answer. */
static void test_a_rule(void)
{
	struct world *world = world_new();
	struct nsp_msg msg;
	int told = 0;

	struct fib_rule_hdr *rule =
		nsp_msg_begin(&msg, &world->batch, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, sizeof(*rule));
	CHECK(rule != NULL);
	rule->family = AF_INET;
	rule->action = FR_ACT_BLACKHOLE;
	nsp_attr_put_u32(&msg, FRA_PRIORITY, 1234);
	CHECK_EQ(nsp_msg_end(&msg, &world->batch), 0);
	CHECK_EQ(world->batch.count, 1);
	CHECK_EQ(nsp_batch_send(&world->sock, &world->batch, NULL, count_rule, &told, NULL), 0);
	CHECK_EQ(told, 1);
	CHECK_EQ(world_send(world, NULL), EEXIST);

	/* Where it does not fit the batch is as before. */
	struct nsp_batch batch;
	uint32_t buf[8];
	nsp_batch_init(&batch, buf, sizeof(buf));
	CHECK(nsp_msg_begin(&msg, &batch, RTM_NEWRULE, 0, sizeof(*rule)) != NULL);
	nsp_attr_put_u32(&msg, FRA_PRIORITY, 1);
	CHECK_EQ(nsp_msg_end(&msg, &batch), -ENOSPC);
	CHECK(!nsp_msg_begin(&msg, &batch, RTM_NEWRULE, 0, 64));
	nsp_attr_put_u32(&msg, FRA_PRIORITY, 1);
	CHECK_EQ(nsp_msg_end(&msg, &batch), -ENOSPC);
	CHECK(!nsp_msg_begin(&msg, &batch, RTM_NEWRULE, 0, UINT32_MAX));
	CHECK_EQ(batch.len, 0);
	CHECK_EQ(batch.count, 0);
	world_free(world);
}

int main(void)
{
	test_needs_root();
	test_bytes();
	test_what_is_read();
	test_malformed();
	test_no_room();
	test_a_rule();
	return test_end();
}
