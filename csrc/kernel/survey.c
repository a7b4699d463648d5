/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace as it is when one begins to watch it, in the words of the monitor. */
#include "kernel/internal.h"

#include "nsplane/core.h"

struct survey {
	struct nsp_event *events;
	long cap;
	long count;
	struct nsp_room *room;
	long before;	      /* how many of them, */
	uint32_t room_before; /* and bytes of the room, are of tables before: a dump that begins again begins behind these */
	bool has_bridges;
};

static void begin_again(struct survey *survey)
{
	survey->count = survey->before;
	if (survey->room)
		survey->room->len = survey->room_before;
}

static void add(struct survey *survey, const struct nsp_event *event)
{
	if (survey->count < survey->cap)
		survey->events[survey->count] = *event;
	survey->count++;
}

static void table_ended(struct survey *survey)
{
	survey->before = survey->count;
	survey->room_before = survey->room ? survey->room->len : 0;
}

static void link_seen(void *arg, uint32_t index, const void *msg)
{
	struct survey *survey = arg;
	struct nsp_event event = { .type = NSP_EVENT_LINK };

	(void)index;
	if (!msg) {
		begin_again(survey);
		return;
	}
	if (nsp_link_read(msg, &event.link) < 0)
		return;
	if (!strcmp(event.link.kind, "bridge") || !strcmp(event.link.slave_kind, "bridge"))
		survey->has_bridges = true;
	nsp_link_keep(&event.link, survey->room);
	add(survey, &event);
}

static void addr_seen(void *arg, uint32_t index, const void *msg)
{
	struct survey *survey = arg;
	struct nsp_event event = { .type = NSP_EVENT_ADDR };

	(void)index;
	if (!msg) {
		begin_again(survey);
		return;
	}
	if (nsp_addr_read(msg, &event.addr) >= 0)
		add(survey, &event);
}

static void vlans_seen(void *arg, uint32_t index, const void *msg)
{
	struct survey *survey = arg;
	struct nsp_event event = { .type = NSP_EVENT_VLANS };

	(void)index;
	if (!msg) {
		begin_again(survey);
		return;
	}
	if (nsp_link_read(msg, &event.link) < 0 || !(event.link.fields & NSP_LINK_VLANS))
		return;
	nsp_link_keep(&event.link, survey->room);
	add(survey, &event);
}

long nsp_survey(struct nsp_socket *sock, struct nsp_event *events, long cap, struct nsp_room *room, struct nsp_error *err)
{
	struct survey survey = { .events = events, .cap = cap, .room = room };
	int rc;

	if (room)
		room->len = 0;
	rc = nsp_dump(sock, NSP_DUMP_LINKS, 0, 0, 0, link_seen, &survey, err);

	table_ended(&survey);
	if (rc >= 0)
		rc = nsp_dump(sock, NSP_DUMP_ADDRS, 0, 0, 0, addr_seen, &survey, err);
	table_ended(&survey);
	if (rc >= 0 && survey.has_bridges)
		rc = nsp_dump(sock, NSP_DUMP_VLANS, 0, 0, 0, vlans_seen, &survey, err);
	return rc < 0 ? rc : survey.count;
}

long nsp_monitor_survey(int netns_fd, struct nsp_event *events, long cap, struct nsp_room *room, struct nsp_error *err)
{
	cleanup_socket struct nsp_socket sock = { .fd = -1 };
	int rc = nsp_socket_open(&sock, netns_fd, err);

	return rc < 0 ? rc : nsp_survey(&sock, events, cap, room, err);
}

struct route_survey {
	struct nsp_route *routes;
	long cap;
	long count;
};

static void foreign_route_seen(void *arg, uint32_t index, const void *msg)
{
	struct route_survey *survey = arg;
	struct nsp_route route;

	(void)index;
	if (!msg) {
		survey->count = 0;
		return;
	}
	if ((nsp_route_read(msg, &route) < 0 && nsp_route_read_type(msg, &route) < 0) || route.proto == NSP_PROTOCOL)
		return;
	if (survey->count < survey->cap)
		survey->routes[survey->count] = route;
	survey->count++;
}

long nsp_route_survey(int netns_fd, struct nsp_route *routes, long cap, struct nsp_error *err)
{
	cleanup_socket struct nsp_socket sock = { .fd = -1 };
	struct route_survey survey = { .routes = routes, .cap = cap };
	int rc = nsp_socket_open(&sock, netns_fd, err);

	if (rc >= 0)
		rc = nsp_dump(&sock, NSP_DUMP_ROUTES, 0, 0, 0, foreign_route_seen, &survey, err);
	return rc < 0 ? rc : survey.count;
}
