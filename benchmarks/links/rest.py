"""The kernel at rest between the sides."""

import time

from ..agent import wait_until
from ..network import NETNS, REST_SECONDS, ip, ip_in

LINK = "rest"
MOST_SECONDS = 120


def rest(prefix: str) -> None:
    """Waits until the kernel has taken apart every namespace that was let go of, so that nobody pays for another's.

    It does so in the order in which they were, many at a time: of all of these first the links, then everything else. So one whose
    link is gone may have been among the last of them, and one that was let go of after that has all of them behind it.
    """
    for _ in range(2):
        let_go(f"{prefix}-rest", f"{prefix}-last")
    time.sleep(REST_SECONDS)


def let_go(here: str, last: str) -> None:
    """Makes two namespaces and a veth pair between them, lets go of one, and waits until the kernel has taken its link away."""
    ip("netns", "add", here)
    try:
        ip("netns", "add", last)
        ip("-n", here, "link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", last)
        ip("netns", "delete", last)
        wait_until(lambda: all(link["ifname"] != LINK for link in ip_in(NETNS / here, "link", "show")), MOST_SECONDS)
    finally:
        ip("netns", "delete", here)
