/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NSP_VERDICT_H
#define NSP_VERDICT_H

#include "core/row.h"

/* A row that was sent to the kernel, and its verdict. */
struct sent {
	uint32_t row;
	uint32_t generation; /* of its slot */
	uint32_t request;    /* that waits for the verdict, or 0 */
	uint32_t netns;
	int32_t ifindex;
	uint32_t table; /* as in `struct slot` */
	enum row_due due;
	uint32_t nexthop; /* the object that it goes by, or 0 */
	bool on_link;	  /* row_is_on_link: what is behind it may be reachable now, or no more */
	int error;
	char *text;
};

static inline bool sent_is_deleted(const struct sent *sent)
{
	return sent->due == DUE_DELETE || sent->due == DUE_GIVE_BACK;
}

/* Writes one verdict down. true: the row met EEXIST, and it is to be found out who is there. */
bool verdict_take(struct nsp_core *core, struct sent *sent);
/* The verdict was lost. Over our own it is tried again; of what was new it is to be found out (true) whether it is there, and whose. */
bool verdict_lose(struct nsp_core *core, struct sent *sent);

#endif
